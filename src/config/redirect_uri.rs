//! What a client's redirect URI may be. Which one a request may name is `access::oauth`'s to say.

/// Whether a URI may be registered: https; http on this very machine by its address (RFC 8252 §7.3); or an application's own scheme, which has a dot in it (§7.1). Without fragment (RFC 6749 §3.1.2), user or password.
#[must_use]
pub fn is_redirect_uri(uri: &str) -> bool {
    let Ok(parsed) = url::Url::parse(uri) else { return false };
    let plain = uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains(['#', '\\', '"', '<', '>', '`']);
    let bare = parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none();
    let scheme = match parsed.scheme() {
        "https" => parsed.has_host(),
        "http" => loopback(uri).is_some(),
        own => own.contains('.'),
    };
    plain && bare && scheme
}

/// Host, and what stands behind the port, of a URI at this machine's own address.
#[must_use]
pub fn loopback(uri: &str) -> Option<(&str, &str)> {
    let host = ["http://127.0.0.1", "http://[::1]"].into_iter().find(|host| uri.starts_with(host))?;
    let rest = uri.strip_prefix(host)?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (port, rest) = rest.split_at_checked(digits)?;
            let port = Some(port).filter(|port| !port.starts_with('0'));
            port.and_then(|port| port.parse::<u16>().ok())?;
            rest
        }
    };
    // Else the host's name goes on (`127.0.0.1.evil`), or somebody stands before an `@`.
    let ends = rest.is_empty() || rest.starts_with(['/', '?']);
    ends.then_some((host, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_35_what_may_be_registered() {
        for fine in [
            "https://a.example/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:9000/cb",
            "com.example.app:/cb",
            "https://a/cb?x=1",
        ] {
            assert!(is_redirect_uri(fine), "{fine}");
        }
        for bad in [
            "",
            "/cb",
            "a.example/cb",
            "http://a.example/cb",
            "http://localhost/cb",
            "https://a/cb#f",
            "https://u@a/cb",
            "https://u:p@a/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "app:/cb",
            "https://a/c b",
            "https://a/\"",
            "http://127.0.0.1.evil/",
            "https://a/\\",
        ] {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }
}
