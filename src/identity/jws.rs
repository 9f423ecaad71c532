//! Compact JWS (RFC 7515) as this gateway signs and accepts it: the keys are known beforehand, each for one
//! algorithm, and the header says no more than which of them.
//!
//! Stricter than the RFCs where they leave a choice (RFC 8725 §3): a key without `kid`, of another algorithm, for
//! encryption, too short, twice in one set, or with a private half makes the whole set unusable. Not for claims:
//! those are `token`'s.

use super::keys::Algorithm;
use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde::Deserialize;
use std::collections::HashMap;

/// The longest key id, in bytes (ours have 43).
const MAX_KID: usize = 64;
/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Why a text is no JWS of these keys. For the log; a client is told `INVALID_TOKEN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// Not three parts of canonical base64url.
    #[error("not a compact JWS")]
    Malformed,
    /// A header member that we never write (`crit`, `jwk`, `jku`, `x5c`, `x5u`, `zip`, …), or one given twice.
    #[error("the header isn't acceptable")]
    Header,
    /// No key has this `kid`.
    #[error("no such key")]
    UnknownKey,
    /// The key is for another algorithm (RFC 8725 §3.1).
    #[error("not the algorithm of the key")]
    Algorithm,
    /// It was signed by somebody else, or changed since.
    #[error("the signature doesn't verify")]
    Signature,
}

/// Why a JWK set can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JWK set can't be used: {0}")]
pub struct JwksError(&'static str);

/// A JWS that verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// `typ`, if the header has one.
    pub typ: Option<String>,
    /// The algorithm of the key.
    pub algorithm: Algorithm,
    /// What was signed.
    pub payload: Vec<u8>,
}

/// Public keys by `kid`.
#[derive(Debug, Clone, Default)]
pub struct VerifyingKeys(HashMap<String, VerifyingKey>);

#[derive(Debug, Clone)]
enum VerifyingKey {
    Ed25519(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// The members of a JWK that matter here. Others (`x5t`, …) are allowed to be there (RFC 7517 §4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<String>,
    n: Option<String>,
    e: Option<String>,
    /// Of a private or symmetric key (RFC 7518 §6.2.2, §6.3.2, §6.4).
    d: Option<serde_json::Value>,
    k: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: String,
    typ: Option<String>,
}

impl VerifyingKeys {
    /// Reads a JWK set (RFC 7517 §5), all of it or nothing.
    ///
    /// # Errors
    /// [`JwksError`]: what is wrong with it.
    pub fn from_jwks(set: &serde_json::Value) -> Result<Self, JwksError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Jwk>,
        }
        let set = Set::deserialize(set).map_err(|_| JwksError("it has no well-formed `keys`"))?;
        let mut keys = HashMap::new();
        for jwk in set.keys {
            let (kid, key) = read(jwk)?;
            if keys.insert(kid, key).is_some() {
                return Err(JwksError("two keys have the same `kid`"));
            }
        }
        Ok(Self(keys))
    }

    /// Whether there is a key with this id.
    #[must_use]
    pub fn contains(&self, kid: &str) -> bool {
        self.0.contains_key(kid)
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Verifies a compact JWS by the key that its header names.
    ///
    /// # Errors
    /// [`JwsError`].
    pub fn verify(&self, compact: &str) -> Result<Verified, JwsError> {
        let mut parts = compact.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JwsError::Malformed);
        };
        // Without padding, and without bits that a decoder would throw away.
        let decode = |part: &str| BASE64URL.decode(part).map_err(|_| JwsError::Malformed);
        let (header_json, decoded, signature_bytes) = (decode(header)?, decode(payload)?, decode(signature)?);
        // An array would be read as a struct member by member.
        if header_json.first() != Some(&b'{') {
            return Err(JwsError::Header);
        }
        let Header { alg, kid, typ } = serde_json::from_slice(&header_json).map_err(|_| JwsError::Header)?;
        if kid.len() > MAX_KID {
            return Err(JwsError::Header);
        }
        let key = self.0.get(&kid).ok_or(JwsError::UnknownKey)?;
        let algorithm = key.algorithm();
        if alg != algorithm.as_str() {
            return Err(JwsError::Algorithm);
        }
        let signed = compact.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        let verified = match key {
            VerifyingKey::Ed25519(x) => {
                UnparsedPublicKey::new(&ED25519, x).verify(signed.as_bytes(), &signature_bytes)
            }
            VerifyingKey::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                signed.as_bytes(),
                &signature_bytes,
            ),
        };
        verified.map_err(|_| JwsError::Signature)?;
        Ok(Verified { typ, algorithm, payload: decoded })
    }
}

impl VerifyingKey {
    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ed25519(_) => Algorithm::EdDsa,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }
}

fn read(jwk: Jwk) -> Result<(String, VerifyingKey), JwksError> {
    if jwk.d.is_some() || jwk.k.is_some() {
        return Err(JwksError("a key has its private half"));
    }
    let kid = jwk.kid.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID);
    let kid = kid.ok_or(JwksError("a key has no `kid` of 1 to 64 bytes"))?;
    let verifies = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !verifies {
        return Err(JwksError("a key isn't for signatures"));
    }
    let decoded = |member: Option<String>| BASE64URL.decode(member?).ok();
    let key = match jwk.kty.as_str() {
        "OKP" => {
            let x = decoded(jwk.x).filter(|x| x.len() == 32 && jwk.crv.as_deref() == Some("Ed25519"));
            VerifyingKey::Ed25519(x.ok_or(JwksError("an OKP key is no Ed25519 key"))?)
        }
        "RSA" => {
            // RFC 7518 §2 (Base64urlUInt): no leading zero.
            let number = |bytes: &Vec<u8>| bytes.first().is_some_and(|first| *first != 0);
            let n = decoded(jwk.n).filter(|n| number(n) && MODULUS.contains(&n.len()));
            let n = n.filter(|n| n.last().is_some_and(|last| last & 1 == 1) && !is_roca(n));
            // 65537 and nothing else: what every generator has made for decades (FIPS 186-5 §5.1 allows no less).
            let e = decoded(jwk.e).filter(|e| e.as_slice() == [1, 0, 1]);
            let (n, e) = n.zip(e).ok_or(JwksError("an RSA key is too short, or its numbers are no key"))?;
            VerifyingKey::Rsa { n, e }
        }
        _ => return Err(JwksError("a key is neither Ed25519 nor RSA")),
    };
    if jwk.alg.as_deref().is_none_or(|alg| alg == key.algorithm().as_str()) {
        Ok((kid, key))
    } else {
        Err(JwksError("a key is for another algorithm"))
    }
}

/// Whether a modulus has the mark of a library whose primes can be found from it (CVE-2017-15361): modulo each of
/// these primes it is a power of 65537. One in a hundred million others has it too.
fn is_roca(n: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101,
        103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|prime| {
        let rest = n.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 8037 appendix A.2 and A.4.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const SIGNED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
         hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn okp(change: impl Fn(&mut serde_json::Value)) -> serde_json::Value {
        let mut jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": "one", "x": X });
        change(&mut jwk);
        json!({ "keys": [jwk] })
    }

    #[test]
    fn a_key_set_is_read_whole_or_not_at_all() {
        assert_eq!(VerifyingKeys::from_jwks(&okp(|_| {})).unwrap().len(), 1);
        type Change = fn(&mut serde_json::Value);
        let changes: [(&str, Change); 10] = [
            ("no kid", |k| k["kid"] = json!(null)),
            ("an empty kid", |k| k["kid"] = json!("")),
            ("a long kid", |k| k["kid"] = json!("k".repeat(65))),
            ("another algorithm", |k| k["alg"] = json!("ES256")),
            ("for encryption", |k| k["use"] = json!("enc")),
            ("for wrapping", |k| k["key_ops"] = json!(["wrapKey"])),
            ("private", |k| k["d"] = json!("AAAA")),
            ("another curve", |k| k["crv"] = json!("X25519")),
            ("short", |k| k["x"] = json!("AAAA")),
            ("padded", |k| k["x"] = json!(format!("{X}="))),
        ];
        for (what, change) in changes {
            assert!(VerifyingKeys::from_jwks(&okp(change)).is_err(), "{what}");
        }
        let twice = json!({ "keys": [okp(|_| {})["keys"][0], okp(|_| {})["keys"][0]] });
        assert!(VerifyingKeys::from_jwks(&twice).is_err(), "the same kid twice");
    }

    #[test]
    fn a_jws_without_kid_names_no_key() {
        let keys = VerifyingKeys::from_jwks(&okp(|_| {})).unwrap();
        assert_eq!(keys.verify(SIGNED), Err(JwsError::Header));
    }
}
