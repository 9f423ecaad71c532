//! The ID token of a provider: what it must say to count (OpenID Connect Core §3.1.3.7).
//!
//! The signature is `jsonwebtoken`'s to verify; which keys and algorithms it may be of, and what the claims have to
//! be, is decided here, stricter than the text where it leaves a choice: the audience is this gateway alone, a nonce
//! is always there, a key is for the algorithm that it names.

use crate::domain::Millis;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{self, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Header, Validation, decode, decode_header};
use serde::Deserialize;

/// By how much a provider's clock may differ from ours, milliseconds.
const LEEWAY: Millis = 30_000;
/// The longest `sub`, in bytes (OpenID Connect Core §2).
const MAX_SUB: usize = 255;
/// The longest token, in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// Why an ID token proves nobody. The names stand in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// No JWS, or no claims that can be read.
    #[error("malformed")]
    Malformed,
    /// `crit` (RFC 7515 §4.1.11), or what would change how the rest is read: nothing of the kind is understood here.
    #[error("critical_header")]
    CriticalHeader,
    /// Not an algorithm of public keys, or not that of the key.
    #[error("algorithm")]
    Algorithm,
    /// No key of the provider has this `kid`.
    #[error("unknown_key")]
    UnknownKey,
    /// Signed by somebody else.
    #[error("signature")]
    Signature,
    /// Another issuer, or none.
    #[error("issuer")]
    Issuer,
    /// For somebody else, or for others as well.
    #[error("audience")]
    Audience,
    /// Handed to another party (`azp`).
    #[error("authorized_party")]
    AuthorizedParty,
    /// It has expired, isn't valid yet, or doesn't say when.
    #[error("time")]
    Time,
    /// Not of this sign-in.
    #[error("nonce")]
    Nonce,
    /// The access token beside it isn't the one that it was made with.
    #[error("at_hash")]
    AccessTokenHash,
    /// No `sub`, or none that can be one.
    #[error("subject")]
    Subject,
}

/// What a token is held against.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    /// Of the same answer.
    pub(super) access_token: Option<&'a str>,
    pub(super) now: Millis,
}

/// What a provider says of a person, in the token or at its userinfo endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Person {
    pub(super) sub: Option<String>,
    pub(super) email: Option<String>,
    /// Whatever stands there: only `true` is true.
    pub(super) email_verified: Option<serde_json::Value>,
    pub(super) name: Option<String>,
    pub(super) preferred_username: Option<String>,
}

/// A token that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proved {
    pub(super) person: Person,
    /// When it expires.
    pub(super) expires_at: Millis,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    azp: Option<String>,
    /// Seconds; a fraction is allowed (RFC 7519 §2).
    exp: Option<f64>,
    iat: Option<f64>,
    nbf: Option<f64>,
    nonce: Option<String>,
    at_hash: Option<String>,
    #[serde(flatten)]
    person: Person,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Proves a token by the provider's keys.
pub(super) fn prove(token: &str, keys: &JwkSet, expected: &Expected<'_>) -> Result<Proved, IdTokenFault> {
    if token.len() > MAX_TOKEN {
        return Err(IdTokenFault::Malformed);
    }
    if token.split('.').next().is_some_and(says_unsigned) {
        return Err(IdTokenFault::Algorithm);
    }
    let header = decode_header(token).map_err(|_| IdTokenFault::Malformed)?;
    let plain = header.crit.is_none() && header.zip.is_none() && header.enc.is_none();
    if !plain || header.extras.inner().contains_key("b64") {
        return Err(IdTokenFault::CriticalHeader);
    }
    let key = key(keys, &header)?;
    let claims = claims(token, key, header.alg)?;
    claims.hold(expected, header.alg)
}

/// `alg` is `none`, or one that the library doesn't know: named, so that the entry says what was tried.
fn says_unsigned(header: &str) -> bool {
    #[derive(Deserialize)]
    struct Alg {
        alg: String,
    }
    let bytes = BASE64URL.decode(header).unwrap_or_default();
    serde_json::from_slice::<Alg>(&bytes).is_ok_and(|header| header.alg.parse::<Algorithm>().is_err())
}

/// The one key that a token may be signed by.
fn key<'a>(keys: &'a JwkSet, header: &Header) -> Result<&'a Jwk, IdTokenFault> {
    let of_public_keys = !matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
    if !of_public_keys {
        return Err(IdTokenFault::Algorithm);
    }
    // Keys of two kinds may share an id (RFC 7517 §4.5), and one needn't be named where there is no choice (OpenID
    // Connect Core §10.1).
    let mut fitting = keys.keys.iter().filter(|jwk| {
        let signs = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        let named = header.kid.is_none() || header.kid == jwk.common.key_id;
        signs && named && family(jwk) == Some(header.alg.family())
    });
    let (Some(key), None) = (fitting.next(), fitting.next()) else { return Err(IdTokenFault::UnknownKey) };
    let fits = match key.common.key_algorithm {
        Some(algorithm) => algorithm.to_string() == format!("{:?}", header.alg),
        None => true,
    };
    if fits { Ok(key) } else { Err(IdTokenFault::Algorithm) }
}

fn family(jwk: &Jwk) -> Option<AlgorithmFamily> {
    match jwk.algorithm {
        AlgorithmParameters::RSA(_) => Some(AlgorithmFamily::Rsa),
        AlgorithmParameters::EllipticCurve(_) => Some(AlgorithmFamily::Ec),
        AlgorithmParameters::OctetKeyPair(_) => Some(AlgorithmFamily::Ed),
        _ => None,
    }
}

fn claims(token: &str, key: &Jwk, algorithm: Algorithm) -> Result<Claims, IdTokenFault> {
    use jsonwebtoken::errors::ErrorKind;
    let key = DecodingKey::from_jwk(key).map_err(|_| IdTokenFault::UnknownKey)?;
    let mut validation = Validation::new(algorithm);
    // Our own clock decides, and a list of audiences is not enough: see `hold`.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    match decode::<Claims>(token, &key, &validation) {
        Ok(data) => Ok(data.claims),
        Err(error) => Err(match error.kind() {
            ErrorKind::InvalidSignature => IdTokenFault::Signature,
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidKeyFormat => IdTokenFault::Algorithm,
            _ => IdTokenFault::Malformed,
        }),
    }
}

impl Claims {
    fn hold(self, expected: &Expected<'_>, algorithm: Algorithm) -> Result<Proved, IdTokenFault> {
        let demand = |holds: bool, fault| if holds { Ok(()) } else { Err(fault) };
        demand(self.iss.as_deref() == Some(expected.issuer), IdTokenFault::Issuer)?;
        demand(self.aud.as_ref().is_some_and(|a| a.is_only(expected.client_id)), IdTokenFault::Audience)?;
        let ours = self.azp.as_deref().is_none_or(|azp| azp == expected.client_id);
        demand(ours, IdTokenFault::AuthorizedParty)?;
        let (Some(exp), Some(iat)) = (millis(self.exp), millis(self.iat)) else {
            return Err(IdTokenFault::Time);
        };
        let begun = iat.max(millis(self.nbf).unwrap_or(iat));
        let in_time = expected.now < exp.saturating_add(LEEWAY) && begun <= expected.now + LEEWAY;
        demand(in_time, IdTokenFault::Time)?;
        let nonce = self.nonce.unwrap_or_default();
        let same = verify_slices_are_equal(nonce.as_bytes(), expected.nonce.as_bytes()).is_ok();
        demand(same, IdTokenFault::Nonce)?;
        if let Some(hash) = &self.at_hash {
            let of = expected.access_token.map(|token| left_half(token, algorithm));
            demand(of.as_ref() == Some(hash), IdTokenFault::AccessTokenHash)?;
        }
        let can_be =
            |sub: &String| !sub.is_empty() && sub.len() <= MAX_SUB && !sub.chars().any(char::is_control);
        demand(self.person.sub.as_ref().is_some_and(can_be), IdTokenFault::Subject)?;
        Ok(Proved { person: self.person, expires_at: exp })
    }
}

impl Audience {
    fn is_only(&self, client_id: &str) -> bool {
        match self {
            Self::One(one) => one == client_id,
            Self::Several(all) => !all.is_empty() && all.iter().all(|one| one == client_id),
        }
    }
}

/// A `NumericDate` in milliseconds; what can't be one is none.
#[expect(clippy::cast_possible_truncation, reason = "a time outside of the range saturates, and is refused")]
fn millis(seconds: Option<f64>) -> Option<Millis> {
    seconds.filter(|s| s.is_finite() && *s > 0.0).map(|s| (s * 1000.0) as Millis)
}

/// The left half of the digest that belongs to the algorithm, in base64url (OpenID Connect Core §3.1.3.6).
fn left_half(access_token: &str, algorithm: Algorithm) -> String {
    let by = match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 | Algorithm::HS256 => &digest::SHA256,
        Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 | Algorithm::HS384 => &digest::SHA384,
        // Ed25519 hashes by SHA-512.
        _ => &digest::SHA512,
    };
    let hash = digest(by, access_token.as_bytes());
    let half = hash.as_ref().len() / 2;
    BASE64URL.encode(hash.as_ref().get(..half).unwrap_or_default())
}

#[cfg(test)]
#[path = "id_token_tests.rs"]
mod tests;
