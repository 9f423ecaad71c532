//! What the gateway is told: plain, checked values. Where they come from (files, flags) is not its business.

use crate::config::Network;
use crate::console::Site;
use std::num::NonZeroUsize;
use std::time::Duration;

/// Settings of the data plane.
#[derive(Debug, Clone)]
pub struct GateSettings {
    /// `Host` values that are ours, with port where it isn't the scheme's own. Anything else: 421.
    pub public_hosts: Vec<String>,
    /// One of them, for vendor staff: short paths lead to signing in there.
    pub platform_host: Option<String>,
    /// Origins (`https://app.example.com`) that may open WebSockets beside the public ones.
    pub websocket_origins: Vec<String>,
    /// Origins that the public URL stands for.
    pub public_origins: Vec<String>,
    /// Where permitted requests go.
    pub upstream: UpstreamSettings,
    /// Headers that carry an API token, lower case.
    pub token_headers: Vec<String>,
    /// The cookies whose values are sessions; none: no cookie is a credential.
    pub session_cookies: Option<SessionCookies>,
    /// Names of the gateway's own cookies; all others pass to the upstream byte for byte.
    pub own_cookies: Vec<String>,
    /// What our own pages depend on.
    pub site: Site,
    /// Peers whose `X-Forwarded-*` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Which credentials don't reach the upstream.
    pub strip: StripCredentials,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// Every wait has an end.
    pub timeouts: Timeouts,
    /// How often another upstream try may follow a failed one (never under an impersonation).
    pub retries: usize,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            public_hosts: Vec::new(),
            platform_host: None,
            websocket_origins: Vec::new(),
            public_origins: Vec::new(),
            upstream: UpstreamSettings::default(),
            token_headers: vec!["x-drawbridge-token".into(), "x-platz-token".into()],
            session_cookies: None,
            own_cookies: Vec::new(),
            site: Site::default(),
            trusted_proxies: Vec::new(),
            strip: StripCredentials::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
            retries: 2,
        }
    }
}

/// Names of the cookies that sessions travel in. A browser may have both.
#[derive(Debug, Clone, Copy)]
pub struct SessionCookies {
    /// Of the vendor's staff; counts on their routes.
    pub staff: &'static str,
    /// Of the customers' people; counts on all others.
    pub people: &'static str,
}

/// The service behind the gateway.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `https` instead of `http`.
    pub tls: bool,
    /// Server name for TLS; the host if not given.
    pub sni: Option<String>,
    /// What the upstream sees as `Host`.
    pub host_header: HostHeader,
    /// Offer HTTP/2 over TLS.
    pub http2: bool,
    /// Concurrent streams on one HTTP/2 connection (Pingora's own default is 1).
    pub max_h2_streams: usize,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 8081,
            tls: false,
            sni: None,
            host_header: HostHeader::Preserve,
            http2: false,
            max_h2_streams: 100,
        }
    }
}

/// What the upstream sees as `Host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostHeader {
    /// What the client sent.
    Preserve,
    /// This.
    Set(String),
}

/// Which credentials are taken away before a request reaches the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripCredentials {
    /// `Authorization`, when it was the credential.
    pub authorization: bool,
    /// The token headers.
    pub token_headers: bool,
    /// The gateway's own cookies.
    pub cookies: bool,
}

impl Default for StripCredentials {
    fn default() -> Self {
        Self { authorization: true, token_headers: true, cookies: true }
    }
}

/// Bounds on what a client may send.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request's head (RFC 6585 §5: 431 beyond).
    pub header_bytes: usize,
    /// Header fields of a request.
    pub header_count: usize,
    /// Bytes of a body to the upstream; `None`: no bound.
    pub body_bytes: Option<u64>,
    /// Bytes of a body to the gateway's own API.
    pub control_body_bytes: usize,
    /// Requests open to the upstream at once, in all; `None`: no cap.
    pub open_requests: Option<NonZeroUsize>,
    /// The same under one session.
    pub open_requests_per_session: Option<NonZeroUsize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 32 * 1024,
            header_count: 128,
            body_bytes: None,
            control_body_bytes: 64 * 1024,
            open_requests: NonZeroUsize::new(10_000),
            open_requests_per_session: NonZeroUsize::new(256),
        }
    }
}

/// Every wait has an end.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection to the upstream stands (TLS included).
    pub connect: Duration,
    /// Until the upstream's head, and between two pieces of its body.
    pub read: Duration,
    /// The same for WebSockets and event streams, which may rest for long.
    pub stream_idle: Duration,
    /// Until a piece is taken by the upstream or the client.
    pub write: Duration,
    /// How long an idle connection to the upstream is kept.
    pub idle: Duration,
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// Between two pieces of a client's body.
    pub client_body: Duration,
    /// How long a client's idle connection is kept.
    pub keep_alive: Duration,
    /// For a handler of the gateway's own API.
    pub handler: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            stream_idle: Duration::from_secs(3600),
            write: Duration::from_secs(60),
            idle: Duration::from_secs(55),
            head: Duration::from_secs(30),
            client_body: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
            handler: Duration::from_secs(30),
        }
    }
}
