//! What is measured: three gateways (`drawbridge serve`) before the demo API, on one PostgreSQL and, for hints,
//! one Redis. Each gateway reaches the database through a relay of its own.

use super::relay::Relay;
use super::support::{Target, postgres, redis};
use drawbridge::access::{Access, NewOrg, NewPerson};
use drawbridge::app::open_access;
use drawbridge::config::{AccessLogTo, Config};
use drawbridge::demo::{self, DemoOrgs};
use drawbridge::domain::OrgRole;
use drawbridge::domain::ids::{OrgId, PlatformUserId};
use drawbridge::store::PostgresOptions;
use drawbridge::store::db::migrate;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// How many gateways.
pub(crate) const GATEWAYS: usize = 3;
/// A day.
const TTL: i64 = 86_400_000;
/// Name under which clients know the gateways.
const HOST: &str = "gate.bench";
const OWNER: &str = "owner@acme.example";

/// See the module.
pub(crate) struct Cluster {
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) org: OrgId,
    /// A token of the org's owner.
    pub(crate) owner: String,
    /// A platform admin who only disables others.
    pub(crate) admin: Operator,
    access: Arc<Access>,
    _redis: Option<redis::Server>,
    _demo: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
    _database: postgres::Database<'static>,
}

/// A platform user.
pub(crate) struct Operator {
    pub(crate) id: PlatformUserId,
    pub(crate) token: String,
}

/// A gateway's process; killed with its owner.
pub(crate) struct Gateway {
    process: Child,
    pub(crate) target: Target,
    admin: SocketAddr,
    pub(crate) database: Relay,
}

impl Cluster {
    /// Starts everything; with Redis, gateways hear hints.
    pub(crate) async fn start(hints: bool) -> Self {
        let database = postgres::shared().database();
        let owner = PostgresOptions::new(database.owner_url());
        migrate(&owner, &PostgresOptions::new(database.url())).await.expect("tables");
        let redis = if hints { Some(redis::Server::start(&[]).await) } else { None };
        let folder = tempfile::tempdir().unwrap();
        let access = beside(folder.path(), &database).await;

        let new = NewOrg {
            slug: "acme".into(),
            name: "Acme Corporation".into(),
            plan: "business".into(),
            owner_email: OWNER.into(),
            allow_platform_impersonation: true,
            auto_add_new_users: false,
        };
        let org = access.provision_org(new).await.unwrap();
        access.provision_org_user(person(OWNER), org.clone(), OrgRole::Owner).await.unwrap();
        let owner = access.issue_org_token(OWNER, TTL).await.unwrap().token.expose().to_owned();
        let admin = operator(&access, "admin@drawbridge.example").await;

        let (upstream, demo) = serve_demo(&org).await;
        let mut gateways = Vec::new();
        for n in 0..GATEWAYS {
            let relay = Relay::to(port_of(&database.url())).await;
            let url = database
                .url()
                .replace(&format!(":{}/", port_of(&database.url())), &format!(":{}/", relay.address.port()));
            let live = redis.as_ref().map_or_else(String::new, redis::Server::url);
            let file = folder.path().join(format!("gateway{n}.toml"));
            gateways.push(Gateway::start(&file, upstream, &url, &live, relay));
        }
        for gateway in &gateways {
            gateway.is_ready().await;
        }
        Self {
            gateways,
            org,
            owner,
            admin,
            access,
            _redis: redis,
            _demo: demo,
            _folder: folder,
            _database: database,
        }
    }

    /// A new platform admin.
    pub(crate) async fn operator(&self, name: &str) -> Operator {
        operator(&self.access, &format!("{name}@drawbridge.example")).await
    }
}

/// The acts, beside the gateways, as an operator's command has them.
async fn beside(folder: &Path, database: &postgres::Database<'_>) -> Arc<Access> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut config = Config::defaults(folder);
    config.data.dir = folder.to_owned();
    config.data.master_key_file = folder.join("master.key");
    config.server.public_url = format!("http://{HOST}").parse().expect("an origin");
    config.policy.policies = root.join("policies");
    config.policy.schemas = root.join("schemas");
    config.log.access = AccessLogTo::Off;
    config.database.url = Some(database.url().parse().expect("a URL"));
    open_access(&config).await.expect("the acts").0
}

async fn operator(access: &Access, email: &str) -> Operator {
    let id = access.provision_platform_user(person(email), vec!["platform-admin".to_owned()]).await.unwrap();
    let token = access.issue_platform_token(email, TTL).await.unwrap().token.expose().to_owned();
    Operator { id, token }
}

fn person(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: email.to_owned() }
}

async fn serve_demo(org: &OrgId) -> (SocketAddr, tokio_util::sync::DropGuard) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
    let orgs = DemoOrgs { acme: org.clone(), globex: OrgId::random() };
    tokio::spawn(demo::serve(listener, orgs, stop.clone()));
    (address, stop.drop_guard())
}

fn port_of(url: &str) -> u16 {
    url::Url::parse(url).ok().and_then(|url| url.port()).expect("a port")
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Gateway {
    fn start(file: &Path, upstream: SocketAddr, database: &str, live: &str, relay: Relay) -> Self {
        let (listen, admin, root) = (free(), free(), env!("CARGO_MANIFEST_DIR"));
        let folder = file.parent().expect("a folder").display();
        let mut text = String::new();
        writeln!(text, "[server]\nlisten = \"{listen}\"\nadmin_listen = \"{admin}\"").unwrap();
        writeln!(text, "public_url = \"http://{HOST}\"").unwrap();
        writeln!(text, "[upstream]\nurl = \"http://{upstream}\"").unwrap();
        writeln!(text, "[data]\ndir = \"{folder}\"\nmaster_key_file = \"{folder}/master.key\"").unwrap();
        writeln!(text, "[database]\nurl = \"{database}\"\n[live]\nurl = \"{live}\"").unwrap();
        writeln!(text, "[policy]\npolicies = \"{root}/policies\"\nschemas = \"{root}/schemas\"").unwrap();
        writeln!(text, "[impersonation]\nmint_per_minute = 100000").unwrap();
        writeln!(text, "[log]\nlevel = \"error\"\naccess = \"off\"").unwrap();
        std::fs::write(file, text).unwrap();
        // What it logs when it is cut off belongs in a file.
        let log = std::fs::File::create(file.with_extension("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_drawbridge"))
            .args(["serve", "--config"])
            .arg(file)
            .stderr(log)
            .spawn()
            .expect("drawbridge starts");
        let target = Target { authority: listen.to_string(), host: HOST.to_owned() };
        Self { process, target, admin, database: relay }
    }

    /// Waits until it takes requests of every kind.
    pub(crate) async fn is_ready(&self) {
        let (url, begun) = (format!("http://{}/readyz", self.admin), Instant::now());
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{url} never says that it is ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Stops its process where it stands, or lets it go on.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let process = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(process.expect("a process"), signal).unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
