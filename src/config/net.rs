//! Network values as they stand in configuration: origins, hosts, address ranges, header names.

use super::document::Complaint;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// `http` or `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Clear text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// 80 or 443.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A web origin (RFC 6454): scheme, host and port, nothing else. Displayed without the scheme's default port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// How to speak.
    pub scheme: Scheme,
    /// Name or address in lower case; an IPv6 address in brackets.
    pub host: String,
    /// The port, also when it is the default.
    pub port: u16,
}

impl Origin {
    /// `host` or `host:port`, as a `Host` header names it.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.clone()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        // Before the `@` of a URL stands a user, and maybe a password.
        Self::read(text).map_err(|complaint| Complaint { secret: text.contains('@'), ..complaint })
    }

    fn read(text: &str) -> Result<Self, Complaint> {
        let help = "for example `https://api.example.com` or `http://127.0.0.1:9000`";
        let url = url::Url::parse(text).map_err(|e| Complaint::new(format!("not a URL: {e}")).help(help))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => {
                return Err(Complaint::new(format!("scheme `{other}`, wanted is http or https")).help(help));
            }
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| Complaint::new("no host").help(help))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                Complaint::new("a URL with a user or password").help("secrets don't belong into this file")
            );
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            let help = "paths are forwarded as they come in; leave out everything after the port";
            return Err(Complaint::new("more than scheme, host and port").help(help));
        }
        let port = url.port().unwrap_or(scheme.default_port());
        Ok(Self { scheme, host: host.to_owned(), port })
    }
}

/// A text that isn't an [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidOrigin(String);

impl FromStr for Origin {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        Self::parse(text).map_err(|complaint| match complaint.help {
            Some(help) => InvalidOrigin(format!("{} ({help})", complaint.message)),
            None => InvalidOrigin(complaint.message),
        })
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        Self::parse(text).map_err(|complaint| InvalidNetwork(complaint.message))
    }
}

/// Not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidNetwork(String);

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

/// A `Host` header's value: name or address, with a port or without.
pub(super) fn host(text: &str) -> Result<String, Complaint> {
    let lower = text.to_ascii_lowercase();
    let parsed = Origin::parse(&format!("http://{lower}"));
    let same = parsed.is_ok_and(|origin| {
        // An explicit `:80` is a value of its own, which `authority` leaves out.
        lower == origin.authority() || lower == format!("{}:{}", origin.host, origin.port)
    });
    if same {
        Ok(lower)
    } else {
        Err(Complaint::new("not a host name or address, with or without port")
            .help("for example `api.example.com`"))
    }
}

/// A range of addresses in CIDR notation (RFC 4632).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in the range. An IPv4 address that came in over an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same_prefix(u128::from(net.to_bits()), u128::from(ip.to_bits()), 32, self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same_prefix(net.to_bits(), ip.to_bits(), 128, self.prefix),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        let bad =
            || Complaint::new("not an address range").help("for example `10.0.0.0/8`, `::1` or `fd00::/8`");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(bad)?,
            None => bits,
        };
        let network = Self { address, prefix };
        if network.has_host_bits(bits) {
            let help = "the bits behind the prefix have to be zero";
            return Err(Complaint::new("an address within a range, not a range").help(help));
        }
        Ok(network)
    }

    fn has_host_bits(&self, bits: u8) -> bool {
        let value = match self.address {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        let free = u32::from(bits - self.prefix);
        let mask = 1_u128.checked_shl(free).map_or(u128::MAX, |bit| bit - 1);
        value & mask != 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn same_prefix(a: u128, b: u128, bits: u8, prefix: u8) -> bool {
    (a ^ b).checked_shr(u32::from(bits - prefix)).unwrap_or(0) == 0
}

/// A header that may carry an API token: a field name, in lower case, that nothing else uses.
pub(super) fn token_header(text: &str) -> Result<String, Complaint> {
    let name = http::HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| Complaint::new("not a header name").help("for example `x-drawbridge-token`"))?;
    let taken = matches!(
        name.as_str(),
        "authorization"
            | "connection"
            | "content-length"
            | "cookie"
            | "host"
            | "origin"
            | "transfer-encoding"
            | "upgrade"
            | "x-request-id"
            | "x-drawbridge-principal"
            | "x-drawbridge-org"
            | "x-drawbridge-role"
            | "x-drawbridge-impersonation"
            | "x-drawbridge-actor"
            | "x-drawbridge-assertion"
    );
    if taken {
        let help =
            "`Authorization: Bearer` is read in any case; the identity headers are the gateway's to set";
        return Err(Complaint::new("a header with another meaning").help(help));
    }
    if name.as_str().contains('_') {
        let help = "many servers take `_` for `-`, so the gateway refuses such headers";
        return Err(Complaint::new("a header name with `_`").help(help));
    }
    Ok(name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Network, Origin, host, token_header};

    #[test]
    fn networks_hold_their_addresses() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::/0", "::1", "127.0.0.1"),
        ] {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        for wrong in ["", "10.0.0.1/8", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "10/8", "fd00::1/8"] {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn origins_are_origins() {
        let origin = Origin::parse("HTTPS://API.Example.com:443/").unwrap();
        assert_eq!((origin.to_string().as_str(), origin.port), ("https://api.example.com", 443));
        assert_eq!(Origin::parse("http://[::1]:9000").unwrap().authority(), "[::1]:9000");
        for wrong in [
            "api.example.com",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://u:p@a",
            "http://",
            "http://a:99999",
        ] {
            assert!(Origin::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn hosts_have_no_path_scheme_or_user() {
        assert_eq!(host("API.example.com:8443").unwrap(), "api.example.com:8443");
        assert_eq!(host("a:80").unwrap(), "a:80");
        assert_eq!(host("[::1]").unwrap(), "[::1]");
        for wrong in ["", "http://a", "a/b", "a b", "u@a", "a:", "a:0x1", "a?b", "a#b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn token_headers_are_free_names() {
        assert_eq!(token_header("X-Platz-Token").unwrap(), "x-platz-token");
        for wrong in ["", "Authorization", "Cookie", "x token", "x-drawbridge-org", "x_token"] {
            assert!(token_header(wrong).is_err(), "{wrong}");
        }
    }
}
