//! Gateways are started anew under load. Clients try nothing again: every request that they send is answered, 200.

use crate::drain::{Exchange, exchange};
use crate::support::{Held, Recorder, Served, eventually, is_ready, postgres};
use drawbridge::app::{migrate_database, open_access, seed};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

/// Policies, schemas and the sockets' place in a configuration; `more` has what differs.
fn configuration(folder: &Path, name: &str, held: &Held, upstream: &str, more: &str) -> PathBuf {
    let sources = env!("CARGO_MANIFEST_DIR");
    let file = folder.join(format!("{name}.toml"));
    let text = format!(
        "[policy]\npolicies = \"{sources}/policies\"\nschemas = \"{sources}/schemas\"\nwatch = false\n\
         [upstream]\nurl = \"{upstream}\"\n[log]\naccess = \"off\"\nformat = \"human\"\n\
         [server]\nlisten = \"{}\"\nadmin_listen = \"{}\"\nworkers = 1\nhosts = [\"gateways\"]\n\
         public_url = \"http://gateways\"\n{more}",
        held.gateway(),
        held.admin()
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// Orgs and people in the records of `config`; the token of an owner.
async fn owner(config: &Path) -> String {
    let mut config =
        drawbridge::config::load(config, Path::new("")).unwrap_or_else(|faults| panic!("{faults}"));
    config.database.owner_url = None;
    let (access, audit) = open_access(&config).await.unwrap();
    let people = seed(&access).await.unwrap();
    audit.drain().await;
    let (_, token) = people.variables().into_iter().find(|(name, _)| *name == "OWNER").unwrap();
    token.to_owned()
}

/// Where clients may send, in the order of the gateways.
struct Targets {
    all: Vec<(std::net::SocketAddr, AtomicBool)>,
    token: String,
    answered: AtomicUsize,
    stop: AtomicBool,
}

impl Targets {
    /// Sends until told to stop, on connections that are kept until an answer says `close`.
    async fn client(self: Arc<Self>, first: usize) -> Vec<String> {
        let request = format!(
            "GET /api/v1/cameras HTTP/1.1\r\nHost: gateways\r\nAuthorization: Bearer {}\r\n\r\n",
            self.token
        );
        let mut failed = Vec::new();
        let mut n = first;
        while !self.stop.load(Ordering::SeqCst) {
            n += 1;
            let (address, ready) = &self.all[n % self.all.len()];
            if !ready.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
                continue;
            }
            let stream = match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(error) => {
                    failed.push(format!("gateway {}: {error}", n % self.all.len()));
                    continue;
                }
            };
            let mut connection = BufReader::new(stream);
            // A few on each connection, so that all gateways have both kept and new ones.
            for _ in 0..20 {
                match exchange(&mut connection, &request).await {
                    Exchange::Answered { close } => {
                        self.answered.fetch_add(1, Ordering::SeqCst);
                        if close || self.stop.load(Ordering::SeqCst) {
                            break;
                        }
                    }
                    Exchange::Nothing => {
                        failed.push(format!("gateway {}: closed without an answer", n % self.all.len()));
                        break;
                    }
                    Exchange::Failed(why) => {
                        failed.push(format!("gateway {}: {why}", n % self.all.len()));
                        break;
                    }
                }
            }
        }
        failed
    }

    async fn more_answers(&self) {
        let before = self.answered.load(Ordering::SeqCst);
        eventually("load", async || (self.answered.load(Ordering::SeqCst) > before + 100).then_some(()))
            .await;
    }

    fn load(self: &Arc<Self>, clients: usize) -> JoinSet<Vec<String>> {
        (0..clients).map(|n| self.clone().client(n)).collect()
    }

    async fn end(&self, clients: JoinSet<Vec<String>>, of: &Recorder) {
        self.stop.store(true, Ordering::SeqCst);
        let failed: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
        assert!(failed.is_empty(), "{} failed, the first: {:?}", failed.len(), failed.first());
        let answered = self.answered.load(Ordering::SeqCst);
        assert_eq!(of.seen().len(), answered, "each request reached the upstream once");
        println!("{answered} requests answered, none failed");
    }
}

/// A load balancer: asks each gateway every 50 ms.
fn balance(admins: Vec<std::net::SocketAddr>, targets: Arc<Targets>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let client = reqwest::Client::builder().timeout(Duration::from_millis(500)).build().unwrap();
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            every.tick().await;
            let asked = admins.iter().zip(&targets.all).map(async |(admin, (_, ready))| {
                ready.store(is_ready(*admin, &client).await, Ordering::SeqCst);
            });
            futures_util::future::join_all(asked).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_one_after_another_behind_a_load_balancer() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start().await;
    let database = postgres::shared().database();
    std::fs::write(folder.path().join("master.key"), [7; 32]).unwrap();
    let mut held: Vec<Held> = (0..3).map(|_| Held::new()).collect();
    let more = |owner: &str| {
        format!(
            "unready_ms = 500\n[data]\ndir = \"{0}/data\"\nmaster_key_file = \"{0}/master.key\"\n[database]\n\
             url = \"{1}\"\nconnections = 6\n{owner}",
            folder.path().display(),
            database.url()
        )
    };
    let names = ["a", "b", "c"];
    let file = |n: usize| configuration(folder.path(), names[n], &held[n], &upstream.url(), &more(""));
    let files: Vec<_> = (0..3).map(file).collect();
    let migrating = more(&format!("owner_url = \"{}\"\n", database.owner_url()));
    let migrating = configuration(folder.path(), "migrate", &held[0], &upstream.url(), &migrating);
    let migrating = drawbridge::config::load(&migrating, Path::new("")).unwrap_or_else(|f| panic!("{f}"));
    migrate_database(&migrating).await.unwrap();
    let token = owner(&files[0]).await;

    let client = reqwest::Client::new();
    let mut gateways: VecDeque<Served> = VecDeque::new();
    for (held, file) in held.iter_mut().zip(&files) {
        let mut gateway = held.serve(file);
        gateway.ready(held, &client).await;
        // From now on the port is the gateway's alone: a client that comes while none listens is refused.
        held.let_go();
        gateways.push_back(gateway);
    }
    let targets = Arc::new(Targets {
        all: held.iter().map(|one| (one.gateway(), AtomicBool::new(true))).collect(),
        token,
        answered: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let balancer = balance(held.iter().map(Held::admin).collect(), targets.clone());
    let clients = targets.load(8);
    targets.more_answers().await;
    for (held, file) in held.iter_mut().zip(&files) {
        gateways.pop_front().unwrap().stop().await;
        targets.more_answers().await;
        let mut new = held.serve(file);
        new.ready(held, &client).await;
        held.let_go();
        targets.more_answers().await;
        gateways.push_back(new);
    }
    targets.end(clients, &upstream).await;
    balancer.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_gateway_on_a_socket_that_is_held_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Recorder::start().await;
    let mut held = Held::new();
    let more = format!("[data]\ndir = \"{}/data\"\n", folder.path().display());
    let file = configuration(folder.path(), "gateway", &held, &upstream.url(), &more);
    let token = owner(&file).await;
    let client = reqwest::Client::new();
    let mut gateway = held.serve(&file);
    gateway.ready(&held, &client).await;
    let targets = Arc::new(Targets {
        all: vec![(held.gateway(), AtomicBool::new(true))],
        token,
        answered: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    });
    let clients = targets.load(8);
    for _ in 0..3 {
        targets.more_answers().await;
        gateway.stop().await;
        gateway = held.serve(&file);
        gateway.ready(&held, &client).await;
    }
    targets.more_answers().await;
    targets.end(clients, &upstream).await;
}
