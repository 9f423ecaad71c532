//! Which of the client's headers never reach the upstream, in whatever spelling.
//!
//! A service behind WSGI or CGI reads `x_drawbridge_org` as `X-Drawbridge-Org`, and some servers do that
//! with every byte that is neither letter nor digit, so names are judged with all such bytes read as `-`. Hop-by-hop and nominated headers (RFC 9110 §7.6.1) are
//! taken away by Pingora before the identity headers are set, and so can't take those with them.

use std::borrow::Cow;

/// What becomes of a client's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It passes byte for byte.
    Pass,
    /// Only the gateway says this.
    Ours,
    /// Says where a request came from: believed from trusted proxies only.
    Forwarding,
}

/// What becomes of the header with this (lower-case) name. `token_headers` are lower case too.
#[must_use]
pub fn fate(name: &str, token_headers: &[String]) -> Fate {
    let other = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let spelled: Cow<'_, str> =
        if name.contains(other) { Cow::Owned(name.replace(other, "-")) } else { Cow::Borrowed(name) };
    let name_as_read = spelled.as_ref();
    match name_as_read.as_bytes().first() {
        Some(b'x') => {
            if name_as_read.starts_with("x-drawbridge-") || name_as_read == "x-request-id" {
                return Fate::Ours;
            }
            if matches!(
                name_as_read,
                // They change what was judged: method, target or host.
                "x-http-method-override"
                    | "x-http-method"
                    | "x-method-override"
                    | "x-host"
                    | "x-http-host-override"
                    | "x-envoy-original-path"
            ) || name_as_read.starts_with("x-original-")
                || name_as_read.starts_with("x-rewrite-")
            {
                return Fate::Ours;
            }
            if name_as_read.starts_with("x-forwarded")
                || matches!(name_as_read, "x-real-ip" | "x-client-ip" | "x-cluster-client-ip")
            {
                return Fate::Forwarding;
            }
        }
        Some(b'f') if name_as_read == "forwarded" => return Fate::Forwarding,
        Some(b't') if name_as_read == "true-client-ip" => return Fate::Forwarding,
        Some(b'c') if name_as_read == "cf-connecting-ip" => return Fate::Forwarding,
        // `Proxy` becomes `HTTP_PROXY` under CGI (CVE-2016-5385).
        Some(b'p') if name_as_read == "proxy" => return Fate::Ours,
        Some(b'd') if name_as_read == "drawbridge-org" => return Fate::Ours,
        _ => {}
    }
    if token_headers.iter().any(|t| t == name_as_read) {
        return Fate::Ours;
    }
    // An underscored twin of a framing header would be believed beside the real one.
    if matches!(spelled, Cow::Owned(_))
        && matches!(name_as_read, "content-length" | "transfer-encoding" | "content-type")
    {
        return Fate::Ours;
    }
    Fate::Pass
}

/// A `Cookie` value without the gateway's own cookies; `None` when none of them is in it. What remains
/// stays as it was, byte for byte, with its separators.
#[must_use]
pub fn without_own_cookies(value: &[u8], own: &[String]) -> Option<Vec<u8>> {
    let is_own = |pair: &[u8]| {
        let pair = pair.trim_ascii_start();
        let name = pair.split(|b| *b == b'=').next().unwrap_or(pair).trim_ascii_end();
        own.iter().any(|o| o.as_bytes() == name)
    };
    if !value.split(|b| *b == b';').any(is_own) {
        return None;
    }
    let mut kept = Vec::with_capacity(value.len());
    for pair in value.split(|b| *b == b';').filter(|p| !is_own(p)) {
        if kept.is_empty() {
            kept.extend_from_slice(pair.trim_ascii_start());
        } else {
            kept.push(b';');
            kept.extend_from_slice(pair);
        }
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::{Fate, fate, without_own_cookies};
    use crate::console::{AmbiguousCookie, own_cookie};
    use proptest::prelude::*;

    fn tokens() -> Vec<String> {
        vec!["x-drawbridge-token".into(), "x-platz-token".into()]
    }

    #[test]
    fn names_that_only_the_gateway_says() {
        for name in [
            "x-drawbridge-principal",
            "x_drawbridge_principal",
            "x-drawbridge_org",
            "x_drawbridge-assertion",
            "x-drawbridge-",
            "x-drawbridge-token",
            "x_platz_token",
            "x-request-id",
            "x_request_id",
            "x-original-url",
            "x-original-host",
            "x-rewrite-url",
            "x_http_method_override",
            "drawbridge-org",
            "drawbridge_org",
            "proxy",
            "content_length",
            "transfer_encoding",
        ] {
            assert_eq!(fate(name, &tokens()), Fate::Ours, "{name}");
        }
        for name in [
            "forwarded",
            "x-forwarded-for",
            "x_forwarded_host",
            "x-forwarded-prefix",
            "x-real-ip",
            "x_real_ip",
        ] {
            assert_eq!(fate(name, &tokens()), Fate::Forwarding, "{name}");
        }
        for name in
            ["x-drawbridge", "x-custom", "cookie", "content-length", "content-type", "accept", "foo_bar"]
        {
            assert_eq!(fate(name, &tokens()), Fate::Pass, "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_ours(tail in "[a-z0-9_-]{0,12}", seps in proptest::collection::vec(any::<bool>(), 2)) {
            let sep = |i: usize| if seps[i] { '_' } else { '-' };
            let name = format!("x{}drawbridge{}{tail}", sep(0), sep(1));
            prop_assert_eq!(fate(&name, &[]), Fate::Ours);
        }
    }

    #[test]
    fn our_cookie_is_found_wherever_it_stands() {
        let find = |headers: &[&'static str]| {
            own_cookie(headers.iter().map(|h| h.as_bytes()), "__Host-d").map(|v| v.map(<[u8]>::to_vec))
        };
        let found = |value: &str| Ok(Some(value.as_bytes().to_vec()));
        assert_eq!(find(&["a=1; __Host-d=x=y"]), found("x=y"));
        // HTTP/2 may split the field (RFC 9113 §8.2.3).
        assert_eq!(find(&["a=1", " __Host-d=x "]), found("x"));
        assert_eq!(find(&["__Host-d=x; __Host-d=x"]), found("x"));
        assert_eq!(find(&["__Host-d=x", "__Host-d=y"]), Err(AmbiguousCookie));
        assert_eq!(find(&["a=__Host-d=x; x__Host-d=1; __host-d=2"]), Ok(None));
        assert_eq!(find(&["__Host-d"]), found(""));
    }

    #[test]
    fn only_our_cookies_are_taken_away() {
        let own = vec!["__Host-drawbridge".to_owned()];
        let without =
            |v: &str| without_own_cookies(v.as_bytes(), &own).map(|b| String::from_utf8(b).unwrap());
        assert_eq!(without("a=1; b=2"), None);
        assert_eq!(without("a=1; __Host-drawbridge=x; b=\"2;3\""), Some("a=1; b=\"2;3\"".into()));
        assert_eq!(without("__Host-drawbridge=x"), Some(String::new()));
        assert_eq!(without("__Host-drawbridge=x; a=1;b=2"), Some("a=1;b=2".into()));
        assert_eq!(without("a=1;  __Host-drawbridge =x"), Some("a=1".into()));
        assert_eq!(without("a=__Host-drawbridge"), None);
        assert_eq!(without("x__Host-drawbridge=1"), None);
    }
}
