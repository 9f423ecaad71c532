//! Every key with its type, default and bounds: the file as it is written, each value with its place.

use super::accounts::RawAccounts;
use super::audit::RawAudit;
use super::database::DatabaseUrl;
use super::document::{Complaint, Document, Setting};
use super::live_url::LiveUrl;
use super::net::{Network, Origin, Scheme, host, token_header};
use super::oauth2::RawOAuth2;
use super::oidc::RawOidc;
use super::settings::{
    AccessLogTo, Config, Credentials, Data, Database, Impersonation, Limits, Live, Log, Policy, Server,
    Session, Tls, Upstream, UpstreamHost,
};
use crate::domain::Format;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// One hour in milliseconds: no timeout is longer.
const HOUR_MS: u64 = 3_600_000;
/// The largest body limit that can be set: 1 TiB.
const TIB: u64 = 1 << 40;

/// The file as it is written.
pub(super) struct RawConfig {
    pub(super) server: RawServer,
    limits: RawLimits,
    pub(super) upstream: RawUpstream,
    pub(super) data: RawData,
    pub(super) database: RawDatabase,
    pub(super) live: RawLive,
    pub(super) policy: RawPolicy,
    impersonation: RawImpersonation,
    pub(super) accounts: RawAccounts,
    session: RawSession,
    pub(super) audit: RawAudit,
    pub(super) oauth2: RawOAuth2,
    pub(super) oidc: RawOidc,
    pub(super) credentials: RawCredentials,
    pub(super) log: RawLog,
}

pub(super) struct RawServer {
    pub(super) listen: Setting<SocketAddr>,
    pub(super) admin_listen: Setting<SocketAddr>,
    /// `None`: what `listen` and TLS amount to.
    pub(super) public_url: Setting<Option<Origin>>,
    pub(super) hosts: Vec<Setting<String>>,
    /// Empty: none.
    pub(super) platform_host: Setting<String>,
    workers: Setting<usize>,
    pub(super) drain_seconds: Setting<u64>,
    unready_ms: Setting<u64>,
    pub(super) lame_duck_ms: Setting<u64>,
    trusted_proxies: Vec<Setting<Network>>,
    /// Empty: no TLS.
    pub(super) cert: Setting<PathBuf>,
    pub(super) key: Setting<PathBuf>,
}

struct RawLimits {
    header_bytes: Setting<usize>,
    header_count: Setting<usize>,
    /// 0: no limit.
    body_bytes: Setting<u64>,
    control_body_bytes: Setting<usize>,
    /// 0: no cap, in both.
    open_requests: Setting<usize>,
    open_requests_per_session: Setting<usize>,
}

pub(super) struct RawUpstream {
    pub(super) url: Setting<Origin>,
    host: Setting<UpstreamHost>,
    connect_timeout_ms: Setting<u64>,
    read_timeout_ms: Setting<u64>,
    write_timeout_ms: Setting<u64>,
    idle_timeout_ms: Setting<u64>,
    audience: Setting<String>,
    strip_authorization: Setting<bool>,
}

pub(super) struct RawData {
    pub(super) dir: Setting<PathBuf>,
    /// Empty: `master.key` in the data folder.
    pub(super) master_key_file: Setting<PathBuf>,
}

pub(super) struct RawDatabase {
    /// `None`: SQLite in the data folder.
    pub(super) url: Setting<Option<DatabaseUrl>>,
    pub(super) password_file: Setting<PathBuf>,
    pub(super) owner_url: Setting<Option<DatabaseUrl>>,
    pub(super) owner_password_file: Setting<PathBuf>,
    connections: Setting<usize>,
    connect_timeout_ms: Setting<u64>,
    statement_timeout_ms: Setting<u64>,
}

pub(super) struct RawLive {
    pub(super) url: Setting<Option<LiveUrl>>,
    /// Empty: none.
    pub(super) password_file: Setting<PathBuf>,
    /// Empty: the system's authorities.
    pub(super) ca_file: Setting<PathBuf>,
    timeout_ms: Setting<u64>,
    key_prefix: Setting<String>,
}

pub(super) struct RawPolicy {
    pub(super) policies: Setting<PathBuf>,
    pub(super) schemas: Setting<PathBuf>,
    watch: Setting<bool>,
}

struct RawImpersonation {
    ttl_seconds: Setting<u64>,
    mint_per_minute: Setting<u32>,
}

struct RawSession {
    /// 0: strict.
    max_staleness_ms: Setting<u64>,
}

pub(super) struct RawCredentials {
    pub(super) token_headers: Vec<Setting<String>>,
    pub(super) websocket_origins: Vec<Setting<Origin>>,
}

pub(super) struct RawLog {
    level: Setting<tracing::Level>,
    pub(super) access: Setting<AccessLogTo>,
    format: Setting<Format>,
}

impl RawConfig {
    /// Reads all sections; what is wrong is noted in `document`.
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        Self {
            server: server(document),
            limits: limits(document),
            upstream: upstream(document),
            data: data(document),
            database: database(document),
            live: live(document),
            policy: policy(document),
            impersonation: impersonation(document),
            accounts: RawAccounts::read(document),
            session: session(document),
            audit: RawAudit::read(document),
            oauth2: RawOAuth2::read(document),
            oidc: RawOidc::read(document),
            credentials: credentials(document),
            log: log(document),
        }
    }

    /// The values alone, with relative paths taken from `base`.
    pub(super) fn resolve(self, base: &Path) -> Config {
        let public_url = self.public_url();
        let (server, data) = (self.server, self.data);
        let dir = base.join(&data.dir.value);
        let master_key_generated = data.master_key_file.value.as_os_str().is_empty();
        let master_key_file =
            if master_key_generated { dir.join("master.key") } else { base.join(data.master_key_file.value) };
        let has_tls = !server.cert.value.as_os_str().is_empty();
        Config {
            server: Server {
                listen: server.listen.value,
                admin_listen: server.admin_listen.value,
                public_url,
                hosts: values(server.hosts),
                platform_host: Some(server.platform_host.value).filter(|host| !host.is_empty()),
                workers: NonZeroUsize::new(server.workers.value),
                tls: has_tls
                    .then(|| Tls { cert: base.join(&server.cert.value), key: base.join(&server.key.value) }),
                drain: Duration::from_secs(server.drain_seconds.value),
                unready: Duration::from_millis(server.unready_ms.value),
                lame_duck: Duration::from_millis(server.lame_duck_ms.value),
                trusted_proxies: values(server.trusted_proxies),
            },
            limits: Limits {
                header_bytes: self.limits.header_bytes.value,
                header_count: self.limits.header_count.value,
                body_bytes: Some(self.limits.body_bytes.value).filter(|bytes| *bytes > 0),
                control_body_bytes: self.limits.control_body_bytes.value,
                open_requests: NonZeroUsize::new(self.limits.open_requests.value),
                open_requests_per_session: NonZeroUsize::new(self.limits.open_requests_per_session.value),
            },
            upstream: Upstream {
                url: self.upstream.url.value,
                host: self.upstream.host.value,
                connect_timeout: Duration::from_millis(self.upstream.connect_timeout_ms.value),
                read_timeout: Duration::from_millis(self.upstream.read_timeout_ms.value),
                write_timeout: Duration::from_millis(self.upstream.write_timeout_ms.value),
                idle_timeout: Duration::from_millis(self.upstream.idle_timeout_ms.value),
                audience: self.upstream.audience.value,
                strip_authorization: self.upstream.strip_authorization.value,
            },
            data: Data { dir, master_key_file, master_key_generated },
            database: Database {
                url: self.database.url.value,
                password_file: file_of(base, self.database.password_file.value),
                owner_url: self.database.owner_url.value,
                owner_password_file: file_of(base, self.database.owner_password_file.value),
                connections: self.database.connections.value,
                connect_timeout: Duration::from_millis(self.database.connect_timeout_ms.value),
                statement_timeout: Duration::from_millis(self.database.statement_timeout_ms.value),
            },
            live: Live {
                url: self.live.url.value,
                password_file: file(base, &self.live.password_file),
                ca_file: file(base, &self.live.ca_file),
                timeout: Duration::from_millis(self.live.timeout_ms.value),
                key_prefix: self.live.key_prefix.value,
            },
            policy: Policy {
                policies: base.join(self.policy.policies.value),
                schemas: base.join(self.policy.schemas.value),
                watch: self.policy.watch.value,
            },
            impersonation: Impersonation {
                ttl: Duration::from_secs(self.impersonation.ttl_seconds.value),
                mint_per_minute: self.impersonation.mint_per_minute.value,
            },
            accounts: self.accounts.accounts(),
            setup: self.accounts.setup(base),
            audit: self.audit.checked(base),
            oauth2: self.oauth2.checked(base),
            oidc: self.oidc.checked(base),
            session: Session { max_staleness: Duration::from_millis(self.session.max_staleness_ms.value) },
            credentials: Credentials {
                token_headers: values(self.credentials.token_headers),
                websocket_origins: values(self.credentials.websocket_origins),
            },
            log: Log {
                level: self.log.level.value,
                access: match self.log.access.value {
                    AccessLogTo::File(path) => AccessLogTo::File(base.join(path)),
                    other @ (AccessLogTo::Off | AccessLogTo::Stderr) => other,
                },
                format: self.log.format.value,
            },
        }
    }

    /// The public URL that is set, or the listener's own.
    fn public_url(&self) -> Origin {
        self.server.public_url.value.clone().unwrap_or_else(|| {
            let listen = self.server.listen.value;
            let tls = !self.server.cert.value.as_os_str().is_empty();
            let scheme = if tls { Scheme::Https } else { Scheme::Http };
            let host = match listen {
                SocketAddr::V4(v4) => v4.ip().to_string(),
                SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
            };
            Origin { scheme, host, port: listen.port() }
        })
    }
}

fn values<T>(settings: Vec<Setting<T>>) -> Vec<T> {
    settings.into_iter().map(|setting| setting.value).collect()
}

/// The file that is named, if any is.
pub(super) fn file(base: &Path, setting: &Setting<PathBuf>) -> Option<PathBuf> {
    Some(&setting.value).filter(|path| !path.as_os_str().is_empty()).map(|path| base.join(path))
}

fn server(document: &mut Document<'_>) -> RawServer {
    let mut s = document.section("server");
    let listen = s.text("listen", local(8080), address);
    let admin_listen = s.text("admin_listen", local(9090), address);
    let public_url = s.text("public_url", None, or_empty(Origin::parse));
    let hosts = s.texts("hosts", Vec::new(), host);
    let platform_host = s.text("platform_host", String::new(), host_or_none);
    let workers = s.whole("workers", 0, 0..=1024);
    let drain_seconds = s.whole("drain_seconds", 10, 0..=3600);
    let unready_ms = s.whole("unready_ms", 0, 0..=600_000);
    let lame_duck_ms = s.whole("lame_duck_ms", 500, 0..=60_000);
    let trusted_proxies = s.texts("trusted_proxies", Vec::new(), Network::parse);
    let mut tls = document.section("server.tls");
    RawServer {
        listen,
        admin_listen,
        public_url,
        hosts,
        platform_host,
        workers,
        drain_seconds,
        unready_ms,
        lame_duck_ms,
        trusted_proxies,
        cert: tls.text("cert", PathBuf::new(), any_path),
        key: tls.text("key", PathBuf::new(), any_path),
    }
}

fn limits(document: &mut Document<'_>) -> RawLimits {
    let mut s = document.section("limits");
    RawLimits {
        header_bytes: s.whole("header_bytes", 32 * 1024, 1024..=1024 * 1024),
        header_count: s.whole("header_count", 100, 8..=1000),
        body_bytes: s.whole("body_bytes", 0, 0..=TIB),
        control_body_bytes: s.whole("control_body_bytes", 64 * 1024, 1024..=16 * 1024 * 1024),
        open_requests: s.whole("open_requests", 10_000, 0..=10_000_000),
        open_requests_per_session: s.whole("open_requests_per_session", 256, 0..=10_000_000),
    }
}

fn upstream(document: &mut Document<'_>) -> RawUpstream {
    let mut s = document.section("upstream");
    let url = Origin { scheme: Scheme::Http, host: "127.0.0.1".into(), port: 9000 };
    RawUpstream {
        url: s.text("url", url, Origin::parse),
        host: s.text("host", UpstreamHost::Preserve, upstream_host),
        connect_timeout_ms: s.whole("connect_timeout_ms", 2_000, 1..=HOUR_MS),
        read_timeout_ms: s.whole("read_timeout_ms", 60_000, 1..=HOUR_MS),
        write_timeout_ms: s.whole("write_timeout_ms", 60_000, 1..=HOUR_MS),
        idle_timeout_ms: s.whole("idle_timeout_ms", 60_000, 1..=HOUR_MS),
        audience: s.text("audience", "upstream".into(), audience),
        strip_authorization: s.flag("strip_authorization", true),
    }
}

fn data(document: &mut Document<'_>) -> RawData {
    let mut s = document.section("data");
    RawData {
        dir: s.text("dir", "data".into(), path),
        master_key_file: s.text("master_key_file", PathBuf::new(), any_path),
    }
}

fn database(document: &mut Document<'_>) -> RawDatabase {
    let mut s = document.section("database");
    RawDatabase {
        url: s.text("url", None, or_empty(DatabaseUrl::parse)),
        password_file: s.text("password_file", PathBuf::new(), any_path),
        owner_url: s.text("owner_url", None, or_empty(DatabaseUrl::parse)),
        owner_password_file: s.text("owner_password_file", PathBuf::new(), any_path),
        connections: s.whole("connections", 16, 2..=1000),
        connect_timeout_ms: s.whole("connect_timeout_ms", 2_000, 1..=60_000),
        statement_timeout_ms: s.whole("statement_timeout_ms", 5_000, 100..=60_000),
    }
}

/// A file, if one is named.
fn file_of(base: &Path, path: PathBuf) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then(|| base.join(path))
}

fn live(document: &mut Document<'_>) -> RawLive {
    let mut s = document.section("live");
    RawLive {
        url: s.text("url", None, or_empty(LiveUrl::parse)),
        password_file: s.text("password_file", PathBuf::new(), any_path),
        ca_file: s.text("ca_file", PathBuf::new(), any_path),
        timeout_ms: s.whole("timeout_ms", 200, 10..=10_000),
        key_prefix: s.text("key_prefix", "drawbridge:".into(), key_prefix),
    }
}

fn policy(document: &mut Document<'_>) -> RawPolicy {
    let mut s = document.section("policy");
    RawPolicy {
        policies: s.text("policies", "policies".into(), path),
        schemas: s.text("schemas", "schemas".into(), path),
        watch: s.flag("watch", true),
    }
}

fn impersonation(document: &mut Document<'_>) -> RawImpersonation {
    let mut s = document.section("impersonation");
    RawImpersonation {
        ttl_seconds: s.whole("ttl_seconds", 1800, 1..=28_800),
        mint_per_minute: s.whole("mint_per_minute", 60, 1..=100_000),
    }
}

fn session(document: &mut Document<'_>) -> RawSession {
    let mut s = document.section("session");
    RawSession { max_staleness_ms: s.whole("max_staleness_ms", 0, 0..=60_000) }
}

fn credentials(document: &mut Document<'_>) -> RawCredentials {
    let mut s = document.section("credentials");
    let headers = ["x-drawbridge-token", "x-platz-token"].map(String::from).to_vec();
    RawCredentials {
        token_headers: s.texts("token_headers", headers, token_header),
        websocket_origins: s.texts("websocket_origins", Vec::new(), Origin::parse),
    }
}

fn log(document: &mut Document<'_>) -> RawLog {
    use tracing::Level;
    let levels = [
        ("error", Level::ERROR),
        ("warn", Level::WARN),
        ("info", Level::INFO),
        ("debug", Level::DEBUG),
        ("trace", Level::TRACE),
    ];
    let mut s = document.section("log");
    RawLog {
        level: s.text("level", Level::INFO, |text| one_of(text, &levels)),
        access: s.text("access", AccessLogTo::Stderr, access),
        format: s.text("format", Format::Json, |text| {
            one_of(text, &[("json", Format::Json), ("human", Format::Human)])
        }),
    }
}

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn address(text: &str) -> Result<SocketAddr, Complaint> {
    let help = "for example `127.0.0.1:8080`, `0.0.0.0:443` or `[::]:8080`";
    text.parse().map_err(|_| Complaint::new("not an address with a port").help(help))
}

fn path(text: &str) -> Result<PathBuf, Complaint> {
    if text.is_empty() { Err(Complaint::new("an empty path")) } else { Ok(text.into()) }
}

/// A path, or nothing.
#[expect(clippy::unnecessary_wraps, reason = "the shape of every reader of a text")]
pub(super) fn any_path(text: &str) -> Result<PathBuf, Complaint> {
    Ok(text.into())
}

pub(super) fn or_empty<T>(
    parse: impl Fn(&str) -> Result<T, Complaint>,
) -> impl Fn(&str) -> Result<Option<T>, Complaint> {
    move |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

/// A host, or nothing.
fn host_or_none(text: &str) -> Result<String, Complaint> {
    if text.is_empty() { Ok(String::new()) } else { host(text) }
}

fn upstream_host(text: &str) -> Result<UpstreamHost, Complaint> {
    if text == "preserve" {
        return Ok(UpstreamHost::Preserve);
    }
    host(text).map(UpstreamHost::Value).map_err(|e| e.help("a host, or `preserve` for the client's own"))
}

/// One key is one slot of a cluster, so a `{` would make all keys one slot, or none that is meant.
fn key_prefix(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | '*' | '?' | '[' | ']' | '\\');
    if text.len() > 64 || !text.chars().all(fits) {
        return Err(Complaint::new("wanted are at most 64 letters, digits and signs like `:`, `-` and `.`"));
    }
    Ok(text.to_owned())
}

fn audience(text: &str) -> Result<String, Complaint> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Complaint::new("wanted is a name without control characters"));
    }
    Ok(text.to_owned())
}

fn access(text: &str) -> Result<AccessLogTo, Complaint> {
    match text {
        "off" => Ok(AccessLogTo::Off),
        "stderr" => Ok(AccessLogTo::Stderr),
        // Most likely meant as a word like the two above.
        "" | "stdout" | "on" => Err(Complaint::new("wanted is `stderr`, `off` or the path of a file")),
        file => Ok(AccessLogTo::File(file.into())),
    }
}

pub(super) fn one_of<T: Copy>(text: &str, values: &[(&str, T)]) -> Result<T, Complaint> {
    values.iter().find(|(name, _)| *name == text).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = values.iter().map(|(name, _)| format!("`{name}`")).collect();
        Complaint::new(format!("wanted is one of {}", names.join(", ")))
    })
}
