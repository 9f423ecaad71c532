//! Three gateways with one PostgreSQL, one Redis, one master key and one folder of policies.

use super::namespace::Namespace;
use super::node::{Node, PUBLIC, Start};
use super::proxy::Proxy;
use super::upstream::Upstream;
use crate::support::{SOON, postgres, redis};
use drawbridge::access::{Access, ActError, NewOrg, NewPerson};
use drawbridge::config::Config;
use drawbridge::demo::DemoOrgs;
use drawbridge::domain::ids::{OrgId, PlatformUserId, Subject};
use drawbridge::domain::{OrgRole, RevokeReason};
use drawbridge::store::{ChangeRecord, Db, DbOptions, Effect, PostgresOptions, StoreError, change};
use parking_lot::{Mutex, RwLock};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How many gateways.
pub(crate) const GATEWAYS: usize = 3;
/// How long credentials live that nobody ends, milliseconds.
pub(crate) const LONG: i64 = 3_600_000;

/// How a fleet differs from the usual one.
#[derive(Default)]
pub(crate) struct Options {
    /// Environment of the gateways.
    pub(crate) env: Vec<(String, String)>,
    /// A PostgreSQL that may be restarted.
    pub(crate) own_database: bool,
    /// Every statement stands in the server's log.
    pub(crate) log_statements: bool,
    /// Redis is a primary with a replica, behind Sentinels.
    pub(crate) sentinels: bool,
    /// Where the last gateway lives, if not with the others.
    pub(crate) namespace: Option<Namespace>,
    /// `[database] statement_timeout_ms`: waits for locks take half of it.
    pub(crate) statement_timeout_ms: Option<u32>,
    /// More lines of the configuration, as whole sections.
    pub(crate) config: String,
    /// `[impersonation] ttl_seconds`.
    pub(crate) ttl_seconds: Option<u32>,
}

impl Options {
    /// With one rule taken out of every gateway.
    pub(crate) fn without(rule: &str) -> Self {
        Self { env: vec![("DRAWBRIDGE_TEST_WITHOUT".to_owned(), rule.to_owned())], ..Self::default() }
    }
}

/// A running fleet.
pub(crate) struct Fleet {
    nodes: RwLock<Vec<Arc<Node>>>,
    pub(crate) upstream: Upstream,
    pub(crate) operator: Arc<Access>,
    /// The records, for what no call can do yet.
    records: Db,
    pub(crate) orgs: Vec<OrgId>,
    pub(crate) server: Arc<Mutex<postgres::Server>>,
    pub(crate) database: String,
    pub(crate) redis: tokio::sync::Mutex<redis::Server>,
    /// Where gateways ask for the primary, if they do.
    pub(crate) sentinels: Option<tokio::sync::Mutex<redis::Sentinels>>,
    database_url: url::Url,
    redis_address: SocketAddr,
    options: Options,
    folder: tempfile::TempDir,
}

/// The server of all fleets that don't restart it. Each line of its log names the database.
fn shared() -> Arc<Mutex<postgres::Server>> {
    static SHARED: OnceLock<Arc<Mutex<postgres::Server>>> = OnceLock::new();
    SHARED.get_or_init(server).clone()
}

fn server() -> Arc<Mutex<postgres::Server>> {
    Arc::new(Mutex::new(postgres::Server::start(&["log_line_prefix=[%d %p] "])))
}

fn address(url: &url::Url) -> SocketAddr {
    let (host, port) = (url.host_str().expect("a host"), url.port().expect("a port"));
    format!("{host}:{port}").parse().expect("an address")
}

impl Fleet {
    pub(crate) async fn start(options: Options) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = if options.own_database { server() } else { shared() };
        let (url, owner_url) = {
            let server = server.lock();
            let database = server.database();
            let urls = (database.url(), database.owner_url());
            // It goes with the server.
            std::mem::forget(database);
            urls
        };
        if options.log_statements {
            let name = url.rsplit('/').next().and_then(|end| end.split('?').next()).expect("a database");
            server.lock().sql("postgres", &format!("ALTER DATABASE {name} SET log_statement = 'all'"));
        }
        let redis = redis::Server::start(&[]).await;
        let sentinels = match options.sentinels {
            true => Some(tokio::sync::Mutex::new(redis::Sentinels::start().await)),
            false => None,
        };
        let redis_address: SocketAddr = address(&url::Url::parse(&redis.url()).expect("a URL"));
        let data = folder.path().join("operator");
        std::fs::write(folder.path().join("master.key"), [7_u8; 32]).expect("a key");
        let text = config(&Places {
            data: &data,
            key: &folder.path().join("master.key"),
            database: &url,
            redis: "",
            upstream: "http://127.0.0.1:9",
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            options: &options,
        });
        // The owner's URL stands beside the other one.
        let text = text.replace("[database]\n", &format!("[database]\nowner_url = \"{owner_url}\"\n"));
        let config: Config = drawbridge::config::parse("operator.toml", &text, Path::new(""))
            .unwrap_or_else(|faults| panic!("{}", faults.lines().collect::<Vec<_>>().join("\n")));
        drawbridge::app::migrate_database(&config).await.expect("the tables are made");
        let (operator, _) = drawbridge::app::open_access(&config).await.expect("the records open");
        let mut orgs = Vec::new();
        for slug in ["acme", "globex"] {
            orgs.push(org(&operator, slug).await);
        }
        let demo = DemoOrgs { acme: orgs[0].clone(), globex: orgs[1].clone() };
        let upstream = Upstream::start([127, 0, 0, 1].into(), &demo).await;
        let records = Db::open(DbOptions::postgres(PostgresOptions::new(&url))).await.expect("the records");
        let database_url = url::Url::parse(&url).expect("a URL");
        let database = database_url.path().trim_start_matches('/').to_owned();
        let fleet = Self {
            nodes: RwLock::default(),
            upstream,
            operator,
            records,
            orgs,
            server,
            database,
            redis: tokio::sync::Mutex::new(redis),
            sentinels,
            database_url,
            redis_address,
            options,
            folder,
        };
        for number in 0..GATEWAYS {
            let node = fleet.launch(number).await;
            fleet.nodes.write().push(node);
        }
        fleet
    }

    async fn launch(&self, number: usize) -> Arc<Node> {
        let namespace = self.options.namespace.as_ref().filter(|_| number + 1 == GATEWAYS);
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let services = namespace.map_or(here, Namespace::services);
        let sql = Proxy::start_at(services, address(&self.database_url)).await;
        let redis = Proxy::start_at(services, self.redis_address).await;
        let mut database = self.database_url.clone();
        database.set_port(Some(sql.address().port())).expect("a port");
        database.set_ip_host(services).expect("a host");
        // What leads to the upstream lives as long as the gateway.
        let upstream = match namespace {
            Some(namespace) => Some(Proxy::start_at(namespace.host(), self.upstream.address).await),
            None => None,
        };
        let upstream_address = upstream.as_ref().map_or(self.upstream.address, Proxy::address);
        let live = match &self.sentinels {
            Some(sentinels) => sentinels.lock().await.url(),
            None => format!("redis://{}", redis.address()),
        };
        let config = config(&Places {
            data: &self.folder.path().join(format!("data-{number}")),
            key: &self.folder.path().join("master.key"),
            database: database.as_str(),
            redis: &live,
            upstream: &format!("http://{upstream_address}"),
            listen: namespace.map_or(here, Namespace::guest),
            options: &self.options,
        });
        let env = &self.options.env;
        let start = Start {
            number,
            folder: self.folder.path(),
            config,
            sql,
            redis,
            upstream,
            env,
            namespace: namespace.map(|n| n.name.as_str()),
        };
        Arc::new(Node::start(start).await)
    }

    /// The gateway in this place.
    pub(crate) fn node(&self, number: usize) -> Arc<Node> {
        self.nodes.read()[number].clone()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Node>> {
        self.nodes.read().clone()
    }

    /// A new gateway in the place of one that is gone.
    pub(crate) async fn replace(&self, number: usize) {
        let node = self.launch(number).await;
        self.nodes.write()[number] = node;
    }

    /// Pulls the cable between the last gateway and its services, or puts it back.
    pub(crate) fn cable(&self, plugged: bool) {
        self.options.namespace.as_ref().expect("a namespace").cable(plugged);
    }

    /// Every gateway takes requests.
    pub(crate) async fn until_ready(&self) {
        for node in self.all() {
            node.until_ready(true).await;
        }
    }

    /// `sql` as superuser.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.lock().sql(&self.database, sql)
    }

    /// Holds an advisory lock of the database until what is given back is dropped.
    pub(crate) fn hold_lock(&self, number: u32) -> LockHolder {
        let sql = format!("SELECT pg_advisory_lock({number}); SELECT pg_sleep(600)");
        let (server, database) = (self.server.clone(), self.database.clone());
        let application = format!("holder {number}");
        let sql = format!("SET application_name = '{application}'; {sql}");
        let psql = server.lock().psql(&database, &sql).spawn().expect("psql");
        let asked = format!(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.granted AND a.application_name = '{application}'"
        );
        let begun = Instant::now();
        while self.sql(&asked) == "0" {
            assert!(begun.elapsed() < SOON, "the lock isn't taken");
        }
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{application}'"
        );
        LockHolder { server, database, psql, end }
    }

    /// A member of staff, made if there is none.
    pub(crate) async fn staff(&self, email: &str) -> PlatformUserId {
        let roles = vec!["platform-admin".to_owned()];
        surely(|| self.operator.provision_platform_user(person(email), roles.clone())).await
    }

    /// A new session of a member of staff; none while the account is disabled.
    pub(crate) async fn staff_token(&self, email: &str, ttl: i64) -> Option<String> {
        let issued = found(|| self.operator.issue_platform_token(email, ttl)).await?;
        Some(issued.token.expose().to_owned())
    }

    /// A person of an org.
    pub(crate) async fn person(&self, email: &str, org: usize, role: OrgRole) {
        surely(|| self.operator.provision_org_user(person(email), self.orgs[org].clone(), role)).await;
    }

    /// A new session of a person.
    pub(crate) async fn person_token(&self, email: &str, ttl: i64) -> String {
        surely(|| self.operator.issue_org_token(email, ttl)).await.token.expose().to_owned()
    }

    /// A new bot's API token.
    pub(crate) async fn bot_token(&self, name: &str, org: usize, ttl: i64) -> String {
        let role = OrgRole::Viewer;
        let bot = surely(|| self.operator.provision_bot(name, self.orgs[org].clone(), role)).await;
        surely(|| self.operator.issue_bot_token(&bot, "history", ttl)).await.token.expose().to_owned()
    }

    /// Ends a session of a person or bot in the records, as the routes to come will; whether that is sure. Unlike
    /// them it doesn't wait: the change is in force everywhere when leases of before it have run out.
    pub(crate) async fn end_in_records(&self, token: &str) -> bool {
        let Ok(session) = self.operator.authenticate(token).await else { return false };
        self.record_end(session.known.session.key.clone()).await.is_ok()
    }

    async fn record_end(&self, key: Subject) -> Result<(), StoreError> {
        let mut tx = self.records.write().await?;
        for text in [
            "UPDATE session SET ended_at = {now}, revoke_reason = 'ended_by_customer' \
             WHERE id = $1 AND ended_at IS NULL",
            "UPDATE api_token SET revoked_at = {now} WHERE id = $1 AND revoked_at IS NULL",
        ] {
            tx.execute(text, &[key.as_str().into()]).await?;
        }
        let effect = Effect::Ended(Some(RevokeReason::EndedByCustomer));
        change::append(&mut tx, &ChangeRecord { effect, subjects: vec![key] }).await?;
        tx.commit().await
    }
}

/// A lock of the database, given back when dropped.
pub(crate) struct LockHolder {
    server: Arc<Mutex<postgres::Server>>,
    database: String,
    psql: Child,
    end: String,
}

impl Drop for LockHolder {
    fn drop(&mut self) {
        self.server.lock().sql(&self.database, &self.end);
        drop(self.psql.kill());
        drop(self.psql.wait());
    }
}

/// What the operator does, again while the database is down.
async fn surely<T, F>(act: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, ActError>>,
{
    found(act).await.expect("whom the act is about")
}

/// The same with somebody whom there may not be.
async fn found<T, F>(act: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<T, ActError>>,
{
    let begun = Instant::now();
    loop {
        match act().await {
            Ok(done) => return Some(done),
            Err(ActError::NotFound(_)) => return None,
            Err(ActError::Store(_)) if begun.elapsed() < SOON => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("the operator's act: {error:?}"),
        }
    }
}

fn person(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: email.to_owned() }
}

async fn org(operator: &Access, slug: &str) -> OrgId {
    let new = NewOrg {
        slug: slug.to_owned(),
        name: slug.to_owned(),
        plan: "business".to_owned(),
        owner_email: format!("owner@{slug}.example"),
        allow_platform_impersonation: true,
        auto_add_new_users: false,
    };
    let org = operator.provision_org(new).await.expect("an org");
    let owner = person(&format!("owner@{slug}.example"));
    operator.provision_org_user(owner, org.clone(), OrgRole::Owner).await.expect("an owner");
    org
}

struct Places<'a> {
    data: &'a Path,
    key: &'a Path,
    database: &'a str,
    redis: &'a str,
    upstream: &'a str,
    listen: IpAddr,
    options: &'a Options,
}

fn config(places: &Places<'_>) -> String {
    let Places { data, key, database, redis, upstream, listen, options } = places;
    let sources = env!("CARGO_MANIFEST_DIR");
    let statement = options.statement_timeout_ms.unwrap_or(5_000);
    let mut text = format!(
        "[server]\nlisten = \"{listen}:0\"\nadmin_listen = \"{listen}:0\"\npublic_url = \"http://{PUBLIC}\"\n\
         workers = 2\n[upstream]\nurl = \"{upstream}\"\n\
         [data]\ndir = \"{}\"\nmaster_key_file = \"{}\"\n\
         [database]\nurl = \"{database}\"\nstatement_timeout_ms = {statement}\n[live]\nurl = \"{redis}\"\n\
         [policy]\npolicies = \"{sources}/policies\"\nschemas = \"{sources}/schemas\"\nwatch = false\n\
         [log]\naccess = \"off\"\nformat = \"json\"\n",
        data.display(),
        key.display(),
    );
    let ttl = options.ttl_seconds.unwrap_or(1_800);
    let more = &options.config;
    write!(text, "[impersonation]\nttl_seconds = {ttl}\nmint_per_minute = 100000\n{more}").expect("a text");
    text
}
