//! ID tokens, right ones and others. They are put together by hand: no library makes what is wrong on purpose.

use super::CLIENT;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use drawbridge::domain::{Clock as _, SystemClock};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Keys cost time to make: all providers of this process share them, so that only `iss` tells them apart.
static RSA: LazyLock<[RsaKeyPair; 3]> =
    LazyLock::new(|| [(); 3].map(|()| RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")));
static EC: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));

/// Who signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The provider's key.
    First,
    /// The one that it goes over to.
    Second,
    /// Never one of the provider's.
    Stranger,
    /// On P-256. Published only where a test asks for it.
    Curve,
}

/// How a token is signed.
#[derive(Debug, Clone)]
pub(crate) enum By {
    Key(Signer),
    /// RSASSA-PSS, by an RSA key.
    Pss(Signer),
    /// HMAC with SHA-256, by anything that isn't secret to the forger.
    Hmac(Vec<u8>),
    Nothing,
}

/// An ID token before it is signed: the right one, until a test changes it.
#[derive(Debug, Clone)]
pub(crate) struct IdToken {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) by: By,
    /// What the token answer has besides.
    pub(crate) access_token: String,
    /// Whether the token answer has it.
    pub(crate) sent: bool,
}

impl Signer {
    fn rsa(self) -> &'static RsaKeyPair {
        match self {
            Self::First => &RSA[0],
            Self::Second => &RSA[1],
            Self::Stranger => &RSA[2],
            Self::Curve => panic!("no RSA key"),
        }
    }

    pub(crate) fn kid(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Stranger => "stranger",
            Self::Curve => "curve",
        }
    }

    /// The public key (RFC 7517).
    pub(crate) fn jwk(self) -> Value {
        let b64 = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        if self == Self::Curve {
            let (x, y) = EC.public_key().as_ref()[1..].split_at(32);
            let kid = self.kid();
            return json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": b64(x), "y": b64(y) });
        }
        let public = self.rsa().public_key();
        let (n, e) = (public.modulus(), public.exponent());
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid(),
            "n": b64(n.big_endian_without_leading_zero()), "e": b64(e.big_endian_without_leading_zero()),
        })
    }

    /// The public key as a file has it.
    pub(crate) fn pem(self) -> String {
        let der: Result<PublicKeyX509Der<'_>, _> = AsDer::as_der(self.rsa().public_key());
        let der = der.expect("a public key");
        let text = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| std::str::from_utf8(l).unwrap()).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// A certificate of the key, by itself, as `x5c` has it.
    pub(crate) fn certificate(self) -> String {
        let der: Pkcs8V1Der<'_> = AsDer::as_der(self.rsa()).expect("a private key");
        let pair = rcgen::KeyPair::try_from(der.as_ref()).expect("a key pair");
        let made = rcgen::CertificateParams::new(vec!["idp.test".to_owned()]).unwrap().self_signed(&pair);
        STANDARD.encode(made.unwrap().der())
    }

    fn signature(self, padding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        if self == Self::Curve {
            return EC.sign(&random, message).expect("a signature").as_ref().to_vec();
        }
        let mut signature = vec![0; self.rsa().public_modulus_len()];
        self.rsa().sign(padding, &random, message, &mut signature).expect("a signature");
        signature
    }
}

impl IdToken {
    /// The right one for this sign-in.
    pub(crate) fn of(issuer: &str, nonce: &str, signer: Signer) -> Self {
        let now = SystemClock.now() / 1000;
        let alg = if signer == Signer::Curve { "ES256" } else { "RS256" };
        let access_token = format!("access-{nonce}");
        let claims = json!({
            "iss": issuer, "sub": "248289761001", "aud": CLIENT, "exp": now + 3600, "iat": now, "nonce": nonce,
            "email": "first@acme.example", "email_verified": true, "name": "First Staff",
            "at_hash": left_half(&access_token),
        });
        Self {
            header: json!({ "alg": alg, "typ": "JWT", "kid": signer.kid() }),
            claims,
            by: By::Key(signer),
            access_token,
            sent: true,
        }
    }

    /// With this claim, or another value of it.
    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Without this claim.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.claims.as_object_mut().expect("claims").shift_remove(name).expect("the claim");
        self
    }

    /// With this header parameter, or another value of it.
    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header[name] = value.into();
        self
    }

    /// Signed otherwise; the header still says what it said.
    pub(crate) fn by(mut self, by: By) -> Self {
        self.by = by;
        self
    }

    /// Seconds from now.
    pub(crate) fn at(self, name: &str, from_now: i64) -> Self {
        self.claim(name, SystemClock.now() / 1000 + from_now)
    }

    /// Of somebody with this `sub` and this address.
    pub(crate) fn person(self, sub: &str, email: &str) -> Self {
        self.claim("sub", sub).claim("email", email)
    }

    /// The JWS.
    pub(super) fn compact(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = match &self.by {
            By::Key(signer) => signer.signature(&RSA_PKCS1_SHA256, message.as_bytes()),
            By::Pss(signer) => signer.signature(&RSA_PSS_SHA256, message.as_bytes()),
            By::Hmac(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
            By::Nothing => Vec::new(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// `at_hash` of an access token (OpenID Connect Core §3.1.3.6).
fn left_half(access_token: &str) -> String {
    let whole = digest::digest(&digest::SHA256, access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&whole.as_ref()[..16])
}
