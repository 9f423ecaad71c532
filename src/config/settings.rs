//! The checked configuration: what the rest of the program sees. Every value here has passed all checks.

use super::accounts::{Accounts, Setup};
use super::audit::Audit;
use super::database::DatabaseUrl;
use super::live_url::LiveUrl;
use super::net::{Network, Origin};
use super::oauth2::OAuth2;
use super::oidc::Oidc;
use crate::domain::Format;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// A configuration without fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[limits]`
    pub limits: Limits,
    /// `[upstream]`
    pub upstream: Upstream,
    /// `[data]`
    pub data: Data,
    /// `[database]`
    pub database: Database,
    /// `[live]`
    pub live: Live,
    /// `[policy]`
    pub policy: Policy,
    /// `[impersonation]`
    pub impersonation: Impersonation,
    /// `[accounts]`
    pub accounts: Accounts,
    /// `[setup]`
    pub setup: Setup,
    /// `[audit]`
    pub audit: Audit,
    /// `[oauth2]`
    pub oauth2: OAuth2,
    /// `[oidc]`
    pub oidc: Oidc,
    /// `[session]`
    pub session: Session,
    /// `[credentials]`
    pub credentials: Credentials,
    /// `[log]`
    pub log: Log,
}

/// Where and how the gateway listens.
#[derive(Debug, Clone, PartialEq)]
pub struct Server {
    /// The public listener; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Health and metrics, never through the gate.
    pub admin_listen: SocketAddr,
    /// How clients reach the gateway: issuer of its tokens, the origin of its pages, and a host that it answers to.
    pub public_url: Origin,
    /// Further values of `Host` that it answers to, in lower case.
    pub hosts: Vec<String>,
    /// The value of `Host` by which vendor staff reach it, where short paths lead to signing in; answered to as well.
    pub platform_host: Option<String>,
    /// Worker threads; `None`: one for each processor.
    pub workers: Option<NonZeroUsize>,
    /// Certificate and key, for TLS (with HTTP/2) on the public listener.
    pub tls: Option<Tls>,
    /// How long requests under way may take at shutdown; then they are cut.
    pub drain: Duration,
    /// At shutdown: how long connections are still taken as before after `/readyz` fails.
    pub unready: Duration,
    /// At shutdown, after `unready`: how long clients are told to close before idle connections are closed on them.
    pub lame_duck: Duration,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
}

/// A certificate chain and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain, the server's certificate first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What a request may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and headers; above: 431.
    pub header_bytes: usize,
    /// Number of headers; above: 431.
    pub header_count: usize,
    /// Bytes of a body on its way to the upstream; above: 413. `None`: no limit.
    pub body_bytes: Option<u64>,
    /// Bytes of a body to the gateway's own routes; above: 413.
    pub control_body_bytes: usize,
    /// Requests open to the upstream at once, in all; above: 503. `None`: no cap.
    pub open_requests: Option<NonZeroUsize>,
    /// The same under one session; above: 429.
    pub open_requests_per_session: Option<NonZeroUsize>,
}

/// The customer API behind the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Where it is.
    pub url: Origin,
    /// What it gets as `Host`.
    pub host: UpstreamHost,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Between two reads.
    pub read_timeout: Duration,
    /// For one write.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// `aud` of the signed assertion.
    pub audience: String,
    /// Whether `Authorization` stays at the gateway.
    pub strip_authorization: bool,
}

/// What the upstream gets as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The client's.
    Preserve,
    /// This.
    Value(String),
}

/// Where data is kept (embedded store).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The data folder; one gateway holds it at a time.
    pub dir: PathBuf,
    /// The key that encrypts keys at rest.
    pub master_key_file: PathBuf,
    /// Whether that is the default file, which the gateway makes on first start (mode 0600). A configured one
    /// has to be there: making it would hide that the right one wasn't mounted.
    pub master_key_generated: bool,
}

/// Where the records are: SQLite in the data folder, or PostgreSQL, which several gateways share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// PostgreSQL, as the gateways' role; `None`: SQLite.
    pub url: Option<DatabaseUrl>,
    /// Holds its password.
    pub password_file: Option<PathBuf>,
    /// PostgreSQL, as the tables' owner; only `drawbridge migrate` uses it.
    pub owner_url: Option<DatabaseUrl>,
    /// Holds the owner's password.
    pub owner_password_file: Option<PathBuf>,
    /// Connections of one gateway, at most.
    pub connections: usize,
    /// Until a connection stands.
    pub connect_timeout: Duration,
    /// For one statement.
    pub statement_timeout: Duration,
}

/// Where the facts of live sessions are shared between gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Redis; `None`: the process' own memory.
    pub url: Option<LiveUrl>,
    /// A file with the password, instead of one in the URL.
    pub password_file: Option<PathBuf>,
    /// The authorities that may sign Redis' certificate (PEM); `None`: the system's.
    pub ca_file: Option<PathBuf>,
    /// For a connection, and for an answer.
    pub timeout: Duration,
    /// What every key and channel begins with.
    pub key_prefix: String,
}

/// Where policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Folder of `*.cedar` and `*.cases.toml`.
    pub policies: PathBuf,
    /// Folder of `*.cedarschema`.
    pub schemas: PathBuf,
    /// Whether an edit is put in force by itself (else on `SIGHUP`).
    pub watch: bool,
}

/// Bounds of impersonation that aren't policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impersonation {
    /// How long one lives.
    pub ttl: Duration,
    /// Mints a minute, for each platform user.
    pub mint_per_minute: u32,
}

/// Live sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Among several gateways: how old the view of customers' own sessions may be when this gateway can't renew
    /// its lease. Staff's is never older than the lease, a second.
    pub max_staleness: Duration,
}

/// How credentials come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Headers in which an API token may come beside `Authorization`, in lower case.
    pub token_headers: Vec<String>,
    /// Origins that may open a WebSocket beside the public URL's.
    pub websocket_origins: Vec<Origin>,
}

/// The logs for operators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// From which level on the process log is written.
    pub level: tracing::Level,
    /// Where the access log goes.
    pub access: AccessLogTo,
    /// How the process log looks.
    pub format: Format,
}

/// Where the access log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTo {
    /// Nowhere.
    Off,
    /// Standard error.
    Stderr,
    /// This file, opened again on `SIGHUP`.
    File(PathBuf),
}
