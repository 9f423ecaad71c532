//! Proof key for code exchange (RFC 7636), S256 only (RFC 9700 §2.1.1).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// Whether a `code_challenge` can be one of S256: 32 bytes in base64url without padding (RFC 7636 §4.2).
#[must_use]
pub fn is_challenge(challenge: &str) -> bool {
    BASE64URL.decode(challenge).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether a `code_verifier` is of 43 to 128 unreserved characters (RFC 7636 §4.1).
#[must_use]
pub fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
#[must_use]
pub fn challenge(verifier: &str) -> String {
    BASE64URL.encode(digest(&SHA256, verifier.as_bytes()))
}

/// Whether `verifier` is what `kept` was made of.
#[must_use]
pub fn proves(verifier: &str, kept: &str) -> bool {
    is_verifier(verifier) && verify_slices_are_equal(challenge(verifier).as_bytes(), kept.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn s_34_the_vector_of_the_rfc() {
        assert_eq!(challenge(VERIFIER), CHALLENGE);
        assert!(proves(VERIFIER, CHALLENGE) && is_challenge(CHALLENGE));
        assert!(!proves(&VERIFIER.replace('d', "e"), CHALLENGE));
        // What is no hash, or a challenge of `plain`.
        assert!(!is_challenge(VERIFIER.get(1..).unwrap()) && !is_challenge("") && !is_challenge("a b"));
        assert!(!is_challenge(&format!("{CHALLENGE}=")));
    }

    proptest::proptest! {
        #[test]
        fn s_34_only_the_same_verifier_proves(verifier in "[A-Za-z0-9._~-]{43,128}", other in "[A-Za-z0-9._~-]{43,128}") {
            let kept = challenge(&verifier);
            proptest::prop_assert!(is_challenge(&kept) && proves(&verifier, &kept));
            proptest::prop_assert_eq!(proves(&other, &kept), other == verifier);
            // The challenge itself, which whoever saw the request has, proves nothing.
            proptest::prop_assert!(!proves(&kept, &kept));
        }

        #[test]
        fn s_34_length_and_alphabet_are_checked(verifier in "\\PC{0,140}") {
            let fits = (43..=128).contains(&verifier.len())
                && verifier.chars().all(|c| c.is_ascii_alphanumeric() || "-._~".contains(c));
            proptest::prop_assert_eq!(is_verifier(&verifier), fits);
            proptest::prop_assert_eq!(proves(&verifier, &challenge(&verifier)), fits);
        }
    }
}
