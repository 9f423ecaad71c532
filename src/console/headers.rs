//! The headers that every page is sent with: one place, so that no page can go without.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Nothing runs on a page, nothing is fetched but our style sheet and pictures, nobody frames it, and forms go
/// home (OWASP ASVS 3.4.3). There is no exception: no nonce, no inline style.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; object-src 'none'; \
                      frame-ancestors 'none'; form-action 'self'";

/// The security headers of a page (ASVS 3.4.1 to 3.4.8).
///
/// `https`: the public URL is, so browsers are told to stay there. `forms_to`: origins beside our own that a form of
/// this page may end at. Browsers apply `form-action` to the redirects after a form too: a sign-in page names the
/// origin of the client's redirect URI. One that can't stand in a policy is left out.
#[must_use]
pub fn security_headers(https: bool, forms_to: &[&str]) -> HeaderMap {
    let mut policy = POLICY.to_owned();
    for origin in forms_to.iter().filter(|o| is_source(o)) {
        policy.push(' ');
        policy.push_str(origin);
    }
    let mut headers = HeaderMap::new();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let all = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=()",
        ),
        // What stands on a page concerns one person, now.
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if https {
        let year = HeaderValue::from_static("max-age=31536000; includeSubDomains");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    headers
}

/// A source of a policy, and not a way to write another directive.
fn is_source(origin: &str) -> bool {
    !origin.is_empty()
        && origin.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'\'' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(forms_to: &[&str]) -> String {
        security_headers(true, forms_to)[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    #[test]
    fn forms_end_at_home_or_where_it_is_said() {
        assert!(policy(&[]).ends_with("form-action 'self'"));
        assert!(policy(&["https://app.test"]).ends_with("form-action 'self' https://app.test"));
        for bad in ["", "https://a.test; script-src *", "a b", "'unsafe-inline'", "https://a,b"] {
            assert!(policy(&[bad]).ends_with("form-action 'self'"), "{bad}");
        }
    }

    #[test]
    fn plain_http_promises_no_https() {
        assert!(!security_headers(false, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
        assert!(security_headers(true, &[]).contains_key(header::STRICT_TRANSPORT_SECURITY));
    }
}
