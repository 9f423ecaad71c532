//! One signing key: made, sealed half and public half, and what it signs.

use super::KeyError;
use crate::identity::seal::SealError;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Value, json};

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037): impersonation tokens and assertions, which this gateway makes many of.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: access tokens, because RFC 9068 §2.1 has every resource server read it, and
    /// libraries do without being asked (Authlib's validator takes no EdDSA unless it is told to).
    Rs256,
}

impl Algorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Rs256];

    /// `alg` (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }
}

/// Signs.
pub(in crate::identity) struct SigningKey {
    /// RFC 7638 thumbprint.
    pub(in crate::identity) kid: String,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// A key that was made: what is kept of it.
pub(super) struct Made {
    pub(super) kid: String,
    /// PKCS #8, to be sealed.
    pub(super) pkcs8: Vec<u8>,
    /// The column `public_key`.
    pub(super) public: String,
}

impl SigningKey {
    /// From the private half.
    pub(super) fn read(algorithm: Algorithm, kid: &str, pkcs8: &[u8]) -> Result<Self, KeyError> {
        let invalid = |_| KeyError::Invalid { kid: kid.to_owned() };
        let pair = match algorithm {
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8).map_err(invalid)?),
            Algorithm::Rs256 => Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(pkcs8).map_err(invalid)?)),
        };
        Ok(Self { kid: kid.to_owned(), pair })
    }

    pub(in crate::identity) const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Ed25519(_) => Algorithm::EdDsa,
            Pair::Rsa(_) => Algorithm::Rs256,
        }
    }

    /// The compact JWS (RFC 7515 §7.1) of `claims`; `None` when the system has no random bytes for blinding, or
    /// `claims` is no JSON.
    pub(in crate::identity) fn sign(&self, typ: &str, claims: &impl serde::Serialize) -> Option<String> {
        let header = json!({ "typ": typ, "alg": self.algorithm().as_str(), "kid": self.kid });
        self.compact(&header.to_string(), &serde_json::to_vec(claims).ok()?)
    }

    /// The same of any header and payload.
    pub(in crate::identity) fn compact(&self, header: &str, payload: &[u8]) -> Option<String> {
        let mut jws = BASE64URL.encode(header);
        jws.push('.');
        BASE64URL.encode_string(payload, &mut jws);
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(jws.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), jws.as_bytes(), &mut signature).ok()?;
                signature
            }
        };
        jws.push('.');
        BASE64URL.encode_string(signature, &mut jws);
        Some(jws)
    }
}

/// A new key. RSA takes a tenth of a second or so: not on a thread that others wait for.
pub(super) fn generate(algorithm: Algorithm) -> Result<Made, KeyError> {
    let failed = || KeyError::Seal(SealError::Entropy);
    let (pkcs8, public, canonical) = match algorithm {
        Algorithm::EdDsa => {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| failed())?;
            let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| failed())?;
            let public = BASE64URL.encode(pair.public_key().as_ref());
            // RFC 7638 §3.2: required members only, in lexicographic order; RFC 8037 §2 names them for OKP.
            let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{public}"}}"#);
            (pkcs8.as_ref().to_vec(), public, canonical)
        }
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| failed())?;
            let pkcs8 = pair.as_der().map_err(|_| failed())?;
            let half = pair.public_key();
            let n = BASE64URL.encode(half.modulus().big_endian_without_leading_zero());
            let e = BASE64URL.encode(half.exponent().big_endian_without_leading_zero());
            let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
            (pkcs8.as_ref().to_vec(), format!("{n}.{e}"), canonical)
        }
    };
    let kid = BASE64URL.encode(digest(&SHA256, canonical.as_bytes()).as_ref());
    Ok(Made { kid, pkcs8, public })
}

/// The public half as a JWK (RFC 7517 §4), from its column.
pub(super) fn jwk(algorithm: Algorithm, kid: &str, public: &str) -> Value {
    let alg = algorithm.as_str();
    match algorithm {
        Algorithm::EdDsa => {
            json!({ "kty": "OKP", "crv": "Ed25519", "alg": alg, "use": "sig", "kid": kid, "x": public })
        }
        Algorithm::Rs256 => {
            let (n, e) = public.split_once('.').unwrap_or((public, ""));
            json!({ "kty": "RSA", "alg": alg, "use": "sig", "kid": kid, "n": n, "e": e })
        }
    }
}
