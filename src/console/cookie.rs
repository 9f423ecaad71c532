//! The cookie that the console's session travels in (RFC 6265bis; requirements §4, OWASP ASVS 3.3).
//!
//! Over https its name begins with `__Host-`: browsers take it only with `Secure`, `Path=/` and no `Domain`, so no
//! neighbouring host can plant one. Plain http is for `dev` on this machine. `SameSite=Strict`: no other site's page
//! makes a browser send it. It has no `Max-Age`: it goes with the browser, and the session ends by itself anyway.

use crate::domain::Secret;
use http::HeaderValue;

/// Over https.
const HOST_BOUND: &str = "__Host-drawbridge-platform";
/// Over http.
const PLAIN: &str = "drawbridge-platform";

/// Its name.
#[must_use]
pub const fn name(https: bool) -> &'static str {
    if https { HOST_BOUND } else { PLAIN }
}

/// Both names: neither ever reaches the upstream.
#[must_use]
pub fn names() -> Vec<String> {
    [HOST_BOUND, PLAIN].map(str::to_owned).to_vec()
}

/// `Set-Cookie` with a session's secret; `None` if that can't stand in a header.
#[must_use]
pub fn set(https: bool, secret: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&attributes(https, secret.expose(), "")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Set-Cookie` that takes it away.
#[must_use]
pub fn clear(https: bool) -> Option<HeaderValue> {
    HeaderValue::from_str(&attributes(https, "", "; Max-Age=0")).ok()
}

fn attributes(https: bool, value: &str, more: &str) -> String {
    let secure = if https { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", name(https))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_18_the_prefix_and_the_attributes_that_it_asks_for() {
        let secret = Secret::new(format!("dbs_{}", "a".repeat(43)));
        let set = set(true, &secret).unwrap();
        assert!(set.is_sensitive());
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-drawbridge-platform=dbs_"));
        let attributes: Vec<_> = text.split("; ").skip(1).collect();
        assert_eq!(attributes, ["Path=/", "HttpOnly", "SameSite=Strict", "Secure"]);
        // S-19: name and value.
        assert!(text.split("; ").next().unwrap().len() <= 4096);
        assert!(clear(true).unwrap().to_str().unwrap().ends_with("Secure; Max-Age=0"));
        assert!(!clear(false).unwrap().to_str().unwrap().contains("Secure"));
    }
}
