//! The first step: framing, Host, limits, and one look at every header. What is wrong here is answered
//! before anyone is known (400, 405, 413, 421, 431); a path that isn't canonical is only noted, because a
//! stranger gets 401 first and an impersonated attempt is recorded.
//!
//! No I/O and no Pingora type: a request's head goes in, what the later steps need comes out.

use super::authenticate::{Presented, ambiguous};
use super::host::PublicHosts;
use super::hygiene::{Fate, fate};
use super::path::{BadPath, canonical};
use super::refusal::Refusal;
use super::settings::{GateSettings, Limits, SessionCookies, StripCredentials};
use crate::config::Network;
use crate::console::{AmbiguousCookie, Side, own_cookie};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use std::net::IpAddr;

/// A request's head as it was read.
pub struct Head<'a> {
    /// Method.
    pub method: &'a Method,
    /// Protocol version.
    pub version: Version,
    /// Target with query, as it will be sent.
    pub target: &'a [u8],
    /// The same, parsed.
    pub uri: &'a Uri,
    /// Header fields.
    pub headers: &'a HeaderMap,
    /// The bytes on the wire (HTTP/1 only).
    pub raw: Option<&'a [u8]>,
    /// The request line on the wire had a byte that Pingora escapes or cuts off before anyone sees it.
    pub odd_request_line: bool,
    /// The other end of the connection.
    pub peer: IpAddr,
}

/// What the later steps need to know of a request that was admitted.
#[derive(Debug)]
pub struct Admitted {
    /// `Host` or `:authority`.
    pub host: HeaderValue,
    /// The client: the peer, or whom a trusted proxy names.
    pub source: IpAddr,
    /// The peer is a trusted proxy.
    pub trusted: bool,
    /// What was presented as credential.
    pub presented: Result<Presented, Refusal>,
    /// `Drawbridge-Org`.
    pub org: Option<HeaderValue>,
    /// `User-Agent`.
    pub user_agent: Option<HeaderValue>,
    /// A WebSocket handshake.
    pub websocket: bool,
    /// A WebSocket handshake from an origin that isn't allowed.
    pub foreign_origin: bool,
    /// `Accept: text/event-stream`.
    pub event_stream: bool,
    /// `Expect: 100-continue`.
    pub expects_continue: bool,
    /// `Content-Length`.
    pub content_length: Option<u64>,
    /// What is wrong with the path.
    pub bad_path: Option<BadPath>,
    /// Headers that don't reach the upstream.
    pub strip: Vec<HeaderName>,
    /// `host` is that of vendor staff.
    pub platform_host: bool,
    /// There is a `Cookie` header that may hold one of ours.
    pub cookies: bool,
    /// The session cookie's value, when nothing else was presented: what a client says explicitly counts before what
    /// its browser sends by itself.
    pub cookie: Option<HeaderValue>,
    /// The browser says that one of our own pages makes it send this.
    pub same_origin: bool,
}

/// The rules, built once.
#[derive(Debug)]
pub struct Admission {
    hosts: PublicHosts,
    platform_host: Option<PublicHosts>,
    origins: Vec<String>,
    token_headers: Vec<String>,
    trusted_proxies: Vec<Network>,
    limits: Limits,
    strip: StripCredentials,
    look_at_cookies: bool,
    session_cookies: Option<SessionCookies>,
    public_origins: Vec<String>,
}

/// The single values that one pass over the headers finds.
#[derive(Default)]
struct Seen<'a> {
    host: Option<&'a HeaderValue>,
    authorization: Once<'a>,
    token: Once<'a>,
    org: Once<'a>,
    origin: Once<'a>,
    content_length: Once<'a>,
    transfer_encoding: Once<'a>,
    fetch_site: Once<'a>,
    user_agent: Option<&'a HeaderValue>,
    forwarded_for: Vec<&'a HeaderValue>,
    upgrade_websocket: bool,
    event_stream: bool,
    expects_continue: bool,
    cookies: bool,
    nominations: usize,
}

/// A header that may stand once.
#[derive(Default, Clone, Copy)]
pub struct Once<'a> {
    /// Its first value.
    pub value: Option<&'a HeaderValue>,
    /// It stood more than once.
    pub repeated: bool,
    /// … with another value.
    pub differs: bool,
}

impl<'a> Once<'a> {
    fn see(&mut self, value: &'a HeaderValue) {
        match self.value {
            None => self.value = Some(value),
            Some(first) => {
                self.repeated = true;
                self.differs |= first != value;
            }
        }
    }
}

impl Admission {
    /// From the settings.
    #[must_use]
    pub fn new(settings: &GateSettings) -> Self {
        Self {
            hosts: PublicHosts::new(&settings.public_hosts),
            platform_host: settings.platform_host.as_ref().map(|host| PublicHosts::new([host])),
            origins: settings
                .public_origins
                .iter()
                .chain(&settings.websocket_origins)
                .map(|o| o.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            token_headers: settings.token_headers.iter().map(|h| h.to_ascii_lowercase()).collect(),
            trusted_proxies: settings.trusted_proxies.clone(),
            limits: settings.limits,
            strip: settings.strip,
            session_cookies: settings.session_cookies,
            public_origins: settings
                .public_origins
                .iter()
                .map(|o| o.trim_end_matches('/').to_owned())
                .collect(),
            look_at_cookies: settings.strip.cookies && !settings.own_cookies.is_empty(),
        }
    }

    /// Admits a request or says what is wrong with its head.
    ///
    /// # Errors
    /// A refusal that is answered before anyone is known.
    pub fn admit(&self, head: &Head<'_>) -> Result<Admitted, Refusal> {
        self.sizes(head)?;
        let trusted = self.trusts(head.peer);
        let mut strip = Vec::new();
        let seen = self.look(head.headers, trusted, &mut strip)?;
        framing(head, &seen)?;
        method(head.method)?;
        let host = self.host(head, &seen)?;
        let content_length = content_length(&seen)?;
        if let (Some(most), Some(length)) = (self.limits.body_bytes, content_length)
            && length > most
        {
            return Err(body_too_large(most));
        }
        let websocket =
            seen.upgrade_websocket && head.version == Version::HTTP_11 && *head.method == Method::GET;
        if websocket && (content_length.is_some_and(|n| n > 0) || seen.transfer_encoding.value.is_some()) {
            return Err(Refusal::bad_request("a WebSocket handshake has no body; send it without one"));
        }
        if seen.org.differs || seen.origin.repeated {
            return Err(Refusal::bad_request("`Drawbridge-Org` and `Origin` may stand once; send one value"));
        }
        let presented = Presented::from_headers(seen.authorization, seen.token);
        let (presented, cookie) = match (self.cookie(head), presented) {
            (Err(ambiguous), Ok(presented)) if presented.is_none() => (Err(ambiguous), None),
            (Ok(cookie), Ok(presented)) if presented.is_none() => (Ok(presented), cookie),
            (_, presented) => (presented, None),
        };
        if self.strip.authorization && presented.as_ref().is_ok_and(|p| p.by_authorization) {
            strip.push(http::header::AUTHORIZATION);
        }
        Ok(Admitted {
            source: if trusted { self.client(head.peer, &seen.forwarded_for) } else { head.peer },
            trusted,
            presented,
            org: seen.org.value.cloned(),
            user_agent: seen.user_agent.cloned(),
            websocket,
            foreign_origin: websocket && seen.origin.value.is_some_and(|o| !self.is_origin_allowed(o)),
            event_stream: seen.event_stream,
            expects_continue: seen.expects_continue,
            content_length,
            bad_path: bad_path(head),
            strip,
            cookies: seen.cookies && self.look_at_cookies,
            cookie,
            same_origin: self.is_same_origin(&seen),
            platform_host: self.platform_host.as_ref().is_some_and(|ours| ours.contains(host.as_bytes())),
            host,
        })
    }

    fn sizes(&self, head: &Head<'_>) -> Result<(), Refusal> {
        let bytes = head.raw.map_or_else(
            || {
                head.target.len()
                    + head.headers.iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum::<usize>()
            },
            <[u8]>::len,
        );
        if bytes > self.limits.header_bytes || head.headers.len() > self.limits.header_count {
            return Err(Refusal::own(
                431,
                "HEADERS_TOO_LARGE",
                format!(
                    "a request's head may have {} bytes and {} fields; send less",
                    self.limits.header_bytes, self.limits.header_count
                ),
            ));
        }
        Ok(())
    }

    /// One pass over all headers.
    fn look<'a>(
        &self,
        headers: &'a HeaderMap,
        trusted: bool,
        strip: &mut Vec<HeaderName>,
    ) -> Result<Seen<'a>, Refusal> {
        let mut seen = Seen::default();
        for (name, value) in headers {
            match name.as_str() {
                "host" => seen.host = Some(value),
                "authorization" => seen.authorization.see(value),
                "user-agent" => seen.user_agent = Some(value),
                "cookie" => seen.cookies = true,
                "content-length" => seen.content_length.see(value),
                "transfer-encoding" => seen.transfer_encoding.see(value),
                "connection" => nominations(value.as_bytes(), &mut seen.nominations)?,
                "upgrade" => {
                    seen.upgrade_websocket |= value.as_bytes().eq_ignore_ascii_case(b"websocket");
                }
                "origin" => seen.origin.see(value),
                "sec-fetch-site" => seen.fetch_site.see(value),
                "expect" => {
                    seen.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
                }
                "accept" => {
                    seen.event_stream |= value.as_bytes().starts_with(b"text/event-stream");
                }
                other => {
                    if other == "drawbridge-org" {
                        seen.org.see(value);
                    } else if self.token_headers.iter().any(|t| t == other) {
                        seen.token.see(value);
                        if !self.strip.token_headers {
                            continue;
                        }
                    } else if other == "x-forwarded-for" {
                        seen.forwarded_for.push(value);
                    }
                    match fate(other, &self.token_headers) {
                        Fate::Pass => {}
                        Fate::Forwarding if trusted => {}
                        Fate::Ours | Fate::Forwarding => strip.push(name.clone()),
                    }
                }
            }
        }
        Ok(seen)
    }

    fn host(&self, head: &Head<'_>, seen: &Seen<'_>) -> Result<HeaderValue, Refusal> {
        let host = match (head.uri.authority(), seen.host) {
            (Some(authority), _) if head.version == Version::HTTP_2 => {
                HeaderValue::from_str(authority.as_str()).ok()
            }
            (_, host) => host.cloned(),
        };
        match host {
            None => Err(Refusal::bad_request("the request names no host; send a `Host` header")),
            Some(host) if self.hosts.contains(host.as_bytes()) => Ok(host),
            Some(_) => Err(Refusal::own(
                421,
                "UNKNOWN_HOST",
                "this host is not served here; use the gateway's public address",
            )),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|n| n.contains(address))
    }

    /// The nearest address that no trusted proxy stands for.
    fn client(&self, peer: IpAddr, forwarded_for: &[&HeaderValue]) -> IpAddr {
        let mut client = peer;
        for hop in forwarded_for.iter().rev().flat_map(|v| v.as_bytes().rsplit(|b| *b == b',')) {
            let hop = std::str::from_utf8(hop.trim_ascii()).ok().and_then(|h| h.parse::<IpAddr>().ok());
            let Some(hop) = hop else { break };
            client = hop;
            if !self.trusts(hop) {
                break;
            }
        }
        client
    }

    /// The session cookie's value; an empty one is none.
    fn cookie(&self, head: &Head<'_>) -> Result<Option<HeaderValue>, Refusal> {
        let cookies = head.headers.contains_key(http::header::COOKIE);
        let Some(names) = self.session_cookies.filter(|_| cookies) else { return Ok(None) };
        let value = |name: &str| {
            let all = head.headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes);
            let value = own_cookie(all, name).map_err(|AmbiguousCookie| ambiguous())?;
            Ok(value.filter(|v| !v.is_empty()).and_then(|v| HeaderValue::from_bytes(v).ok()))
        };
        let (staff, people) = (value(names.staff)?, value(names.people)?);
        Ok(match Side::of(head.uri.path()) {
            Side::Staff => staff.or(people),
            Side::People => people.or(staff),
        })
    }

    /// What the browser says of the page that makes it send this (Fetch Metadata, `Origin`). Where it says
    /// `Sec-Fetch-Site`, that alone counts: our pages have `Referrer-Policy: no-referrer`, under which a browser's
    /// `Origin` is `null`.
    fn is_same_origin(&self, seen: &Seen<'_>) -> bool {
        match (seen.fetch_site, seen.origin) {
            (Once { repeated: true, .. }, _) | (_, Once { repeated: true, .. }) => false,
            (Once { value: Some(site), .. }, _) => site.as_bytes() == b"same-origin",
            (Once { value: None, .. }, Once { value: Some(origin), .. }) => origin
                .to_str()
                .is_ok_and(|o| self.public_origins.iter().any(|own| own.eq_ignore_ascii_case(o))),
            (Once { value: None, .. }, Once { value: None, .. }) => false,
        }
    }

    fn is_origin_allowed(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|o| self.origins.iter().any(|allowed| allowed.eq_ignore_ascii_case(o)))
    }
}

/// `413 BODY_TOO_LARGE`.
#[must_use]
pub fn body_too_large(most: u64) -> Refusal {
    Refusal::own(413, "BODY_TOO_LARGE", format!("a body may have {most} bytes here; send less"))
}

/// Ambiguous framing (RFC 9112 §6.3, §11.2) and bytes that must not stand in a request line.
fn framing(head: &Head<'_>, seen: &Seen<'_>) -> Result<(), Refusal> {
    if head.odd_request_line || head.target.iter().any(|b| !(0x21..=0x7e).contains(b) || *b == b'#') {
        return Err(Refusal::bad_request(
            "the request line has a byte that can't stand there; escape spaces, `#` and all that isn't ASCII",
        ));
    }
    if seen.content_length.repeated || seen.transfer_encoding.repeated {
        return Err(Refusal::bad_request("the body's length is given twice; send one `Content-Length`"));
    }
    if let Some(coding) = seen.transfer_encoding.value {
        let twice = seen.content_length.value.is_some() || head.raw.is_some_and(names_content_length);
        if twice || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::bad_request(
                "the body's length is ambiguous; send `Content-Length` or `Transfer-Encoding: chunked`",
            ));
        }
    }
    if head.raw.is_some_and(has_bare_line_feed) {
        return Err(Refusal::bad_request("lines of a request's head end in CR LF; send both"));
    }
    Ok(())
}

fn method(method: &Method) -> Result<(), Refusal> {
    if matches!(*method, Method::TRACE | Method::CONNECT) {
        return Err(Refusal {
            allow: Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned()),
            ..Refusal::own(405, "METHOD_NOT_ALLOWED", "this method is never forwarded; use another one")
        });
    }
    Ok(())
}

fn content_length(seen: &Seen<'_>) -> Result<Option<u64>, Refusal> {
    let Some(value) = seen.content_length.value else { return Ok(None) };
    Some(value.as_bytes())
        .filter(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .map(Some)
        .ok_or_else(|| Refusal::bad_request("`Content-Length` must be a number; send its digits only"))
}

/// The tokens of `Connection` (RFC 9110 §7.6.1): few, well-formed, and none that names what was judged.
fn nominations(value: &[u8], so_far: &mut usize) -> Result<(), Refusal> {
    for token in value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|t| !t.is_empty()) {
        *so_far += 1;
        let well_formed = token.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
        let lower = token.to_ascii_lowercase();
        let name = std::str::from_utf8(&lower).unwrap_or_default();
        let judged = fate(name, &[]) != Fate::Pass
            || matches!(
                name,
                "host" | "authorization" | "cookie" | "origin" | "content-length" | "content-type" | "expect"
            );
        if *so_far > 8 || !well_formed || judged {
            return Err(Refusal::bad_request(
                "`Connection` names a header that belongs to the request; name only `close`, `keep-alive` or `upgrade`",
            ));
        }
    }
    Ok(())
}

/// A head with both lengths: Pingora has taken `Content-Length` out of the fields by now (RFC 9112 §6.3).
fn names_content_length(raw: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length";
    raw.split(|b| *b == b'\n')
        .any(|line| line.get(..NAME.len()).is_some_and(|start| start.eq_ignore_ascii_case(NAME)))
}

fn has_bare_line_feed(raw: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', raw).any(|at| at == 0 || raw.get(at - 1) != Some(&b'\r'))
}

fn bad_path(head: &Head<'_>) -> Option<BadPath> {
    let path = head.uri.path().as_bytes();
    // Absolute form: the parsed path is not what stands at the beginning of the target.
    if head.target.get(..path.len()) != Some(path) {
        return Some(BadPath::NotOrigin);
    }
    canonical(path).err()
}

#[cfg(test)]
#[path = "admit_tests.rs"]
mod tests;
