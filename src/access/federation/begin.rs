//! Off to the provider.

use super::{FederatedProvider, FederationError, SIGN_IN, SIGN_IN_TTL, UnderWay};
use crate::access::Access;
use crate::domain::Secret;
use crate::identity::oidc::Asking;
use crate::identity::{pkce_challenge, random_text};

/// The longest path to return to, in bytes.
const MAX_RETURN_TO: usize = 2_048;

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes.
    pub to: String,
    /// What it keeps until it comes back.
    pub cookie: Secret,
    /// For so many seconds.
    pub seconds: i64,
}

impl Access {
    /// The providers that the customers' people sign in with, in the order of the configuration.
    #[must_use]
    pub fn providers(&self) -> &[FederatedProvider] {
        &self.federation.providers
    }

    /// Begins a sign-in with a provider. `return_to`: a path of this gateway; anything else is left out.
    ///
    /// # Errors
    /// [`FederationError`].
    pub async fn begin_federated(
        &self,
        provider: &str,
        return_to: Option<&str>,
    ) -> Result<Begun, FederationError> {
        let federation = &self.federation;
        let asked = federation.provider(provider).ok_or(FederationError::UnknownProvider)?;
        let random = || random_text().ok_or(FederationError::Busy);
        let under_way = UnderWay {
            provider: asked.id.clone(),
            state: random()?,
            nonce: random()?,
            code_verifier: random()?,
            return_to: return_to.filter(|path| is_own_path(path)).map(str::to_owned),
        };
        let asking = Asking {
            state: &under_way.state,
            nonce: &under_way.nonce,
            code_challenge: &pkce_challenge(&under_way.code_verifier),
        };
        let to = asked.provider.authorization_url(&asking).await.inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(provider = asked.id, error, "nobody can sign in with a provider");
        })?;
        let until = self.clock.now() + SIGN_IN_TTL;
        let sealed = federation.browser.seal(SIGN_IN, until, &under_way).ok_or(FederationError::Busy)?;
        Ok(Begun { to: to.into(), cookie: Secret::new(sealed), seconds: SIGN_IN_TTL / 1000 })
    }
}

/// A path with its query, on this host and no other, whatever a browser makes of it (S-22).
fn is_own_path(path: &str) -> bool {
    path.len() <= MAX_RETURN_TO
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
mod tests {
    use super::is_own_path;

    #[test]
    fn s_22_nobody_is_sent_to_another_host() {
        for own in ["/", "/profile", "/app?a=b&c=%2F%2Fevil.example", "/a//b"] {
            assert!(is_own_path(own), "{own}");
        }
        let long = format!("/{}", "a".repeat(2_048));
        for other in [
            "",
            "profile",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example",
            "/\t/evil.example",
            "/a b",
            "/\u{202e}",
            "javascript:alert(1)",
            long.as_str(),
        ] {
            assert!(!is_own_path(other), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn s_22_whatever_is_let_through_stays_on_the_host(path in "[/\\\\.a:@%2fF\t ]{0,12}") {
            let here = url::Url::parse("https://here.example/auth/oidc/callback").unwrap();
            if is_own_path(&path) {
                let to = here.join(&path).unwrap();
                proptest::prop_assert_eq!(to.origin(), here.origin());
            }
        }
    }
}
