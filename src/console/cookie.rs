//! The cookies that sessions of browsers travel in (RFC 6265bis; requirements §4, §6, OWASP ASVS 3.3).
//!
//! Over https their names begin with `__Host-`: browsers take them only with `Secure`, `Path=/` and no `Domain`, so no
//! neighbouring host can plant one. Plain http is for `dev` on this machine.

use crate::domain::Secret;
use http::HeaderValue;

/// What a cookie is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cookie {
    /// A session of the vendor's staff. `SameSite=Strict`: no other site's page makes a browser send it. It has no
    /// `Max-Age`: it goes with the browser, and the session ends by itself anyway.
    Staff,
    /// A session of a customer's person. `SameSite=Lax`: they come from their provider's page, and by links. What
    /// changes something is taken from our own pages only, whatever the cookie says (the gate's `ORIGIN_NOT_ALLOWED`).
    Person,
    /// A sign-in with a provider that is under way.
    SignIn,
}

impl Cookie {
    /// All of them: none ever reaches the upstream.
    const ALL: [Self; 3] = [Self::Staff, Self::Person, Self::SignIn];

    /// Its name.
    #[must_use]
    pub const fn name(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Staff, true) => "__Host-drawbridge-platform",
            (Self::Staff, false) => "drawbridge-platform",
            (Self::Person, true) => "__Host-drawbridge-user",
            (Self::Person, false) => "drawbridge-user",
            (Self::SignIn, true) => "__Host-drawbridge-sign-in",
            (Self::SignIn, false) => "drawbridge-sign-in",
        }
    }

    /// Names of all cookies, over https and over http.
    #[must_use]
    pub fn names() -> Vec<String> {
        let names = Self::ALL.into_iter().flat_map(|cookie| [cookie.name(true), cookie.name(false)]);
        names.map(str::to_owned).collect()
    }

    /// `Set-Cookie` with a secret that goes with the browser; `None` if that can't stand in a header.
    #[must_use]
    pub fn set(self, https: bool, secret: &Secret) -> Option<HeaderValue> {
        self.header(https, secret.expose(), "")
    }

    /// … or after so many seconds.
    #[must_use]
    pub fn set_for(self, https: bool, secret: &Secret, seconds: i64) -> Option<HeaderValue> {
        self.header(https, secret.expose(), &format!("; Max-Age={}", seconds.max(0)))
    }

    /// `Set-Cookie` that takes it away.
    #[must_use]
    pub fn clear(self, https: bool) -> Option<HeaderValue> {
        self.header(https, "", "; Max-Age=0")
    }

    fn header(self, https: bool, value: &str, more: &str) -> Option<HeaderValue> {
        let (name, secure) = (self.name(https), if https { "; Secure" } else { "" });
        let same_site = if self == Self::Staff { "Strict" } else { "Lax" };
        let text = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}{more}");
        let mut header = HeaderValue::from_str(&text).ok()?;
        header.set_sensitive(!value.is_empty());
        Some(header)
    }
}

/// The value of a cookie of ours in a `Cookie` header. A browser sends each name once (RFC 6265 §5.4); `Err` for two
/// that differ, of which nobody could say which is meant.
///
/// # Errors
/// The name stands twice, with different values.
pub fn own_cookie<'a>(
    headers: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> Result<Option<&'a [u8]>, AmbiguousCookie> {
    let mut found = None;
    for pair in headers.flat_map(|value| value.split(|b| *b == b';')) {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        if halves.next().map(<[u8]>::trim_ascii) != Some(name.as_bytes()) {
            continue;
        }
        let value = halves.next().unwrap_or_default().trim_ascii();
        if found.is_some_and(|first| first != value) {
            return Err(AmbiguousCookie);
        }
        found = Some(value);
    }
    Ok(found)
}

/// See [`own_cookie`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmbiguousCookie;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_18_the_prefix_and_the_attributes_that_it_asks_for() {
        let secret = Secret::new(format!("dbs_{}", "a".repeat(43)));
        for (cookie, name, same_site) in [
            (Cookie::Staff, "__Host-drawbridge-platform=dbs_", "SameSite=Strict"),
            (Cookie::Person, "__Host-drawbridge-user=dbs_", "SameSite=Lax"),
        ] {
            let set = cookie.set(true, &secret).unwrap();
            assert!(set.is_sensitive());
            let text = set.to_str().unwrap();
            assert!(text.starts_with(name));
            let attributes: Vec<_> = text.split("; ").skip(1).collect();
            assert_eq!(attributes, ["Path=/", "HttpOnly", same_site, "Secure"]);
            // S-19: name and value.
            assert!(text.split("; ").next().unwrap().len() <= 4096);
            assert!(cookie.clear(true).unwrap().to_str().unwrap().ends_with("Secure; Max-Age=0"));
            assert!(!cookie.clear(false).unwrap().to_str().unwrap().contains("Secure"));
        }
        assert!(
            Cookie::Person.set_for(true, &secret, 60).unwrap().to_str().unwrap().ends_with("; Max-Age=60")
        );
    }
}
