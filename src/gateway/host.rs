//! Which hosts are ours (RFC 9110 §4.2.3, §7.4): compared without case, the default port and a trailing
//! dot folded away.

/// The hosts that the gateway answers for.
#[derive(Debug, Clone)]
pub struct PublicHosts {
    /// As they were given: most requests name one of these byte for byte.
    exact: Vec<Box<[u8]>>,
    /// In folded form.
    folded: Vec<String>,
}

impl PublicHosts {
    /// `hosts` are `Host` values, with port where it isn't the default one.
    #[must_use]
    pub fn new<S: AsRef<str>>(hosts: impl IntoIterator<Item = S>) -> Self {
        let (mut exact, mut folded) = (Vec::new(), Vec::new());
        for host in hosts {
            exact.push(host.as_ref().as_bytes().into());
            folded.push(fold(host.as_ref()));
        }
        Self { exact, folded }
    }

    /// Whether `host` is one of ours.
    #[must_use]
    pub fn contains(&self, host: &[u8]) -> bool {
        if self.exact.iter().any(|known| **known == *host) {
            return true;
        }
        std::str::from_utf8(host).is_ok_and(|host| {
            let host = fold(host);
            self.folded.contains(&host)
        })
    }
}

/// Lower case, without default port (80, 443) and trailing dot.
fn fold(host: &str) -> String {
    let mut host = host.to_ascii_lowercase();
    for port in [":80", ":443"] {
        if let Some(bare) = host.strip_suffix(port)
            && (!bare.contains(':') || bare.ends_with(']'))
        {
            host.truncate(bare.len());
            break;
        }
    }
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.ends_with(':') => {
            (name, Some(port))
        }
        _ => (host.as_str(), None),
    };
    match (name.strip_suffix('.'), port) {
        (Some(name), Some(port)) => format!("{name}:{port}"),
        (Some(name), None) => name.to_owned(),
        (None, _) => host,
    }
}

#[cfg(test)]
mod tests {
    use super::PublicHosts;

    #[test]
    fn case_default_port_and_trailing_dot_are_folded() {
        let hosts = PublicHosts::new(["api.example.com", "localhost:8080", "[::1]:8080"]);
        for ours in [
            "api.example.com",
            "API.Example.COM",
            "api.example.com.",
            "api.example.com:80",
            "api.example.com:443",
            "api.example.com.:443",
            "localhost:8080",
            "LOCALHOST.:8080",
            "[::1]:8080",
        ] {
            assert!(hosts.contains(ours.as_bytes()), "{ours}");
        }
        for other in [
            "",
            "example.com",
            "api.example.com:8080",
            "api.example.com..",
            "localhost",
            "localhost:80",
            "localhost:8081",
            "[::1]",
            "[::1]:80",
            "api.example.com.evil.org",
            "api.example.com:",
            "api.example.com:443:443",
            "api.example.com, other",
        ] {
            assert!(!hosts.contains(other.as_bytes()), "{other}");
        }
        assert!(!hosts.contains(&[0xff, 0xfe]));
    }

    #[test]
    fn a_default_port_in_the_configuration_is_folded_too() {
        let hosts = PublicHosts::new(["Example.com:443"]);
        assert!(hosts.contains(b"example.com"));
        assert!(hosts.contains(b"example.com:443"));
    }
}
