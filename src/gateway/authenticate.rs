//! Who is this, proved; nothing about what is allowed.
//!
//! A credential is an access or API token in `Authorization: Bearer` (RFC 6750 §2.1) or in a token
//! header, or, where there is none of these, the console's session cookie. In the query string (RFC 6750 §2.3) it is
//! none; a cookie's value is no bearer token, and a token no cookie.

use super::admit::Once;
use super::refusal::Refusal;
use crate::access::{Access, Authenticated, CredentialError};
use crate::domain::{Millis, Principal};
use http::HeaderValue;

/// Longer ones are never ours.
const MAX_TOKEN: usize = 8 * 1024;

/// What a request presents as credential.
#[derive(Debug, Clone, Default)]
pub struct Presented {
    /// The header's value, whose end is the token.
    value: Option<HeaderValue>,
    /// Where the token begins in it.
    start: usize,
    /// It stood in `Authorization`.
    pub by_authorization: bool,
}

impl Presented {
    /// From the two places where a credential may stand.
    ///
    /// # Errors
    /// `400 AMBIGUOUS_CREDENTIALS` for two that differ.
    pub fn from_headers(authorization: Once<'_>, token: Once<'_>) -> Result<Self, Refusal> {
        if authorization.repeated || token.differs {
            return Err(ambiguous());
        }
        let bearer = authorization.value.and_then(|value| Some((value, bearer_start(value.as_bytes())?)));
        match (bearer, token.value) {
            (Some((value, start)), other) => {
                let presented = Self { value: Some(value.clone()), start, by_authorization: true };
                if other.is_some_and(|other| Some(other.as_bytes().trim_ascii()) != presented.bytes()) {
                    return Err(ambiguous());
                }
                Ok(presented)
            }
            (None, Some(value)) => Ok(Self { value: Some(value.clone()), start: 0, by_authorization: false }),
            (None, None) => Ok(Self::default()),
        }
    }

    /// Nothing was presented.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.value.is_none()
    }

    fn bytes(&self) -> Option<&[u8]> {
        self.value.as_ref().and_then(|v| v.as_bytes().get(self.start..)).map(<[u8]>::trim_ascii)
    }

    /// The token; `Some(Err)` if something was given that can't be one.
    fn token(&self) -> Option<Result<&str, Refusal>> {
        let bytes = self.bytes()?;
        let fits = !bytes.is_empty() && bytes.len() <= MAX_TOKEN && bytes.iter().all(u8::is_ascii_graphic);
        Some(
            Some(bytes)
                .filter(|_| fits)
                .and_then(|b| std::str::from_utf8(b).ok())
                .ok_or_else(Refusal::invalid_token),
        )
    }
}

/// `400 AMBIGUOUS_CREDENTIALS`.
pub(super) fn ambiguous() -> Refusal {
    Refusal::own(400, "AMBIGUOUS_CREDENTIALS", "more than one credential was given; send one")
}

/// Where the token begins after `Bearer`, in any case; `None` for another scheme.
fn bearer_start(value: &[u8]) -> Option<usize> {
    const SCHEME: &[u8] = b"bearer";
    let scheme = value.get(..SCHEME.len())?;
    let ends = value.get(SCHEME.len()).is_none_or(|b| *b == b' ' || *b == b'\t');
    (ends && scheme.eq_ignore_ascii_case(SCHEME)).then_some(SCHEME.len())
}

/// Who presents a credential: `None` for a stranger. Whether the token is still in time, [`expired`] tells:
/// who it is must be known first, for the entry of the refusal.
///
/// # Errors
/// 401, or 503 when the records can't be read.
pub async fn authenticate(access: &Access, presented: &Presented) -> Result<Option<Authenticated>, Refusal> {
    // What was proved before is told by its digest; only what is new is looked at byte by byte.
    let known = presented.bytes().filter(|b| b.len() <= MAX_TOKEN).and_then(|b| access.recall(b));
    if known.is_some() {
        return Ok(known);
    }
    let Some(token) = presented.token() else { return Ok(None) };
    access.authenticate(token?).await.map(Some).map_err(|e| match e {
        CredentialError::Invalid => Refusal::invalid_token(),
        CredentialError::Stale => Refusal::view_stale(),
        CredentialError::Unavailable => Refusal::store_unavailable(),
    })
}

/// Whose session a cookie is. A value that is none of ours, or no longer, is as no cookie at all: browsers send it by
/// themselves, and its owner has to be able to sign in again.
///
/// # Errors
/// 503, when the records can't be read.
pub async fn authenticate_cookie(
    access: &Access,
    value: &HeaderValue,
) -> Result<Option<Authenticated>, Refusal> {
    let Ok(value) = value.to_str() else { return Ok(None) };
    if value.len() > MAX_TOKEN {
        return Ok(None);
    }
    match access.authenticate_cookie(value).await {
        Ok(authenticated) => Ok(Some(authenticated)),
        Err(CredentialError::Invalid) => Ok(None),
        Err(CredentialError::Stale) => Err(Refusal::view_stale()),
        Err(CredentialError::Unavailable) => Err(Refusal::store_unavailable()),
    }
}

/// A token that is past its `exp` proves nobody. An impersonation's expiry is a fact that policies judge.
#[must_use]
pub fn expired(authenticated: &Authenticated, now: Millis) -> Option<Refusal> {
    let judged_by_policy = matches!(authenticated.known.session.principal, Principal::Impersonation(_));
    (!judged_by_policy && authenticated.token_expires_at <= now).then(Refusal::token_expired)
}

#[cfg(test)]
mod tests {
    use super::{Once, Presented};
    use http::HeaderValue;

    fn once(values: &[&'static str]) -> (Vec<HeaderValue>, bool, bool) {
        let all: Vec<_> = values.iter().map(|v| HeaderValue::from_static(v)).collect();
        let differs = all.windows(2).any(|w| w[0] != w[1]);
        (all, values.len() > 1, differs)
    }

    fn presented(authorization: &[&'static str], token: &[&'static str]) -> Result<Presented, String> {
        let (a, a_rep, a_diff) = once(authorization);
        let (t, t_rep, t_diff) = once(token);
        Presented::from_headers(
            Once { value: a.first(), repeated: a_rep, differs: a_diff },
            Once { value: t.first(), repeated: t_rep, differs: t_diff },
        )
        .map_err(|r| r.code.as_str().to_owned())
    }

    fn token(p: Result<Presented, String>) -> Option<String> {
        p.unwrap().token().map(|t| t.map_or_else(|r| r.code.as_str().to_owned(), str::to_owned))
    }

    #[test]
    fn one_credential_in_either_place() {
        assert_eq!(token(presented(&["Bearer abc"], &[])), Some("abc".into()));
        assert_eq!(token(presented(&["bEaReR   abc"], &[])), Some("abc".into()));
        assert_eq!(token(presented(&[], &["abc"])), Some("abc".into()));
        assert_eq!(token(presented(&["Bearer abc"], &["abc"])), Some("abc".into()));
        assert_eq!(token(presented(&[], &["abc", "abc"])), Some("abc".into()));
        assert_eq!(token(presented(&[], &[])), None);
    }

    #[test]
    fn another_scheme_is_no_credential() {
        assert_eq!(token(presented(&["Basic abc"], &[])), None);
        assert_eq!(token(presented(&["Bearerabc"], &[])), None);
        assert_eq!(token(presented(&["Basic abc"], &["tok"])), Some("tok".into()));
        assert!(!presented(&["Basic abc"], &["tok"]).unwrap().by_authorization);
    }

    #[test]
    fn two_that_differ_are_ambiguous() {
        for (authorization, header) in [
            (&["Bearer abc"][..], &["abd"][..]),
            (&["Bearer abc", "Bearer abc"], &[]),
            (&["Bearer abc", "Basic x"], &[]),
            (&[], &["abc", "abd"]),
        ] {
            assert_eq!(presented(authorization, header).unwrap_err(), "AMBIGUOUS_CREDENTIALS");
        }
    }

    #[test]
    fn what_can_t_be_a_token_is_invalid() {
        assert_eq!(token(presented(&["Bearer"], &[])), Some("INVALID_TOKEN".into()));
        assert_eq!(token(presented(&["Bearer "], &[])), Some("INVALID_TOKEN".into()));
        assert_eq!(token(presented(&["Bearer a b"], &[])), Some("INVALID_TOKEN".into()));
        let long: &'static str = Box::leak(format!("Bearer {}", "a".repeat(9000)).into_boxed_str());
        assert_eq!(token(presented(&[long], &[])), Some("INVALID_TOKEN".into()));
    }
}
