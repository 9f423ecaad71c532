//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, which every authenticator app has.
//!
//! What step was accepted last is kept by `access`, under the lock of the account's row: each step counts once.

use super::base32;
use crate::domain::Millis;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA1_FOR_LEGACY_USE_ONLY};
use qrcode::QrCode;
use qrcode::render::svg;
use zeroize::Zeroize as _;

/// Seconds of a step (RFC 6238 §5.2).
pub const STEP_SECONDS: i64 = 30;
/// How many steps beside the running one are accepted at a sign-in, for delay and clocks that are a bit off
/// (RFC 6238 §5.2: at most one).
const WINDOW: i64 = 1;
/// How far a clock may be off for an enrolment to say so, in steps: ten minutes.
const FAR: i64 = 20;
/// Bytes of a secret: as many as SHA-1 gives (RFC 4226 §4, R6).
const BYTES: usize = 20;

/// The secret that a person's authenticator app shares with us. Wiped when dropped, never shown by `Debug`.
#[derive(Clone)]
pub struct TotpSecret([u8; BYTES]);

impl std::fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

impl Drop for TotpSecret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// The step that runs at `now`.
#[must_use]
pub fn step_at(now: Millis) -> i64 {
    now.div_euclid(STEP_SECONDS * 1000)
}

impl TotpSecret {
    /// A new one; `None` when the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = [0_u8; BYTES];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// From its bytes; `None` unless they are twenty.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, to be sealed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a person types it into an app: 32 letters of base32.
    #[must_use]
    pub fn base32(&self) -> String {
        base32::encode(&self.0)
    }

    /// What the QR code says (Key Uri Format of Google Authenticator).
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode as encode};
        let [issuer, account] = [issuer, account].map(|text| encode(text, NON_ALPHANUMERIC).to_string());
        let secret = self.base32();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_SECONDS}"
        )
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: i64) -> String {
        hotp(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0, step, 6)
    }

    /// The step within one of the running one whose code this is, if it is newer than `last`, the newest that was
    /// accepted. Exactly six digits: nothing is trimmed, so that one step has one text.
    #[must_use]
    pub fn accepted(&self, code: &str, now: Millis, last: Option<i64>) -> Option<i64> {
        let running = step_at(now);
        // All are computed, whichever matches.
        (running - WINDOW..=running + WINDOW)
            .filter(|step| self.matches(code, *step))
            .fold(None, |found, step| found.or(Some(step)))
            .filter(|step| last.is_none_or(|last| *step > last))
    }

    /// How far the clock of whoever typed `code` seems to be ahead of ours, in seconds; `None` when it is no code of
    /// the ten minutes around now.
    #[must_use]
    pub fn clock_offset(&self, code: &str, now: Millis) -> Option<i64> {
        let running = step_at(now);
        let found = (running - FAR..=running + FAR).filter(|step| self.matches(code, *step));
        found.min_by_key(|step| (step - running).abs()).map(|step| (step - running) * STEP_SECONDS)
    }

    fn matches(&self, code: &str, step: i64) -> bool {
        verify_slices_are_equal(code.as_bytes(), self.code(step).as_bytes()).is_ok()
    }
}

/// HOTP (RFC 4226 §5.3), with the hash that RFC 6238 lets one choose.
fn hotp(algorithm: hmac::Algorithm, secret: &[u8], counter: i64, digits: u32) -> String {
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), &counter.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 15);
    let four =
        tag.get(offset..offset + 4).and_then(|four| <[u8; 4]>::try_from(four).ok()).unwrap_or_default();
    let number = (u32::from_be_bytes(four) & 0x7fff_ffff) % 10_u32.pow(digits);
    format!("{number:0width$}", width = digits as usize)
}

/// A QR code as an SVG that can stand in a page (black on white, whatever the page's colours, or scanners fail);
/// `None` for more than a code can hold.
#[must_use]
pub fn qr_svg(text: &str) -> Option<String> {
    let code = QrCode::new(text.as_bytes()).ok()?;
    let drawn = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
    // No XML declaration inside of HTML.
    drawn.find("<svg").and_then(|at| drawn.get(at..)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::hmac::{HMAC_SHA256, HMAC_SHA512};

    const NOW: Millis = 1_800_000_000_000;

    /// RFC 6238, appendix B: eight digits, keys of the hash's length.
    #[test]
    fn s_10_vectors_of_the_rfc() {
        let key = |n: usize| b"1234567890".iter().copied().cycle().take(n).collect::<Vec<u8>>();
        let vectors = [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000_i64, "65353130", "77737706", "47863826"),
        ];
        for (time, sha1, sha256, sha512) in vectors {
            let step = step_at(time * 1000);
            assert_eq!(hotp(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key(20), step, 8), sha1);
            assert_eq!(hotp(HMAC_SHA256, &key(32), step, 8), sha256);
            assert_eq!(hotp(HMAC_SHA512, &key(64), step, 8), sha512);
        }
    }

    /// Against an implementation that nobody here wrote.
    #[test]
    fn s_10_the_same_codes_as_another_implementation() {
        for _ in 0..50 {
            let secret = TotpSecret::generate().unwrap();
            let theirs = totp_rs::Builder::new().with_secret(secret.bytes().to_vec()).build().unwrap();
            for step in [1, 7, 60_000_000, 61_234_567] {
                let time = u64::try_from(step * STEP_SECONDS).unwrap();
                assert_eq!(secret.code(step), theirs.generate(time).to_string());
            }
        }
    }

    #[test]
    fn s_12_one_step_of_tolerance_and_no_more() {
        let (secret, running) = (TotpSecret::generate().unwrap(), step_at(NOW));
        for off in -3..=3 {
            let accepted = secret.accepted(&secret.code(running + off), NOW, None);
            // Codes of six digits meet by chance, once in a hundred thousand.
            assert_eq!(accepted.is_some(), off.abs() <= 1, "{off}");
        }
    }

    #[test]
    fn s_11_a_step_counts_once_and_has_one_text() {
        let (secret, running) = (TotpSecret::generate().unwrap(), step_at(NOW));
        let code = secret.code(running);
        assert_eq!(secret.accepted(&code, NOW, Some(running - 1)), Some(running));
        assert_eq!(secret.accepted(&code, NOW, Some(running)), None);
        assert_eq!(secret.accepted(&code, NOW, Some(running + 1)), None);
        for other in [
            format!("{code} "),
            format!(" {code}"),
            format!("{} {}", code.split_at(3).0, code.split_at(3).1),
            String::new(),
        ] {
            assert_eq!(secret.accepted(&other, NOW, None), None, "{other:?}");
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told() {
        let (secret, running) = (TotpSecret::generate().unwrap(), step_at(NOW));
        assert_eq!(secret.clock_offset(&secret.code(running + 9), NOW), Some(270));
        assert_eq!(secret.clock_offset(&secret.code(running - 20), NOW), Some(-600));
        assert_eq!(secret.clock_offset(&secret.code(running - 21), NOW), None);
    }

    #[test]
    fn the_uri_and_its_picture() {
        let secret = TotpSecret::from_bytes(&[7; 20]).unwrap();
        let uri = secret.uri("Draw bridge", "a&b@vendor.example");
        assert!(uri.starts_with("otpauth://totp/Draw%20bridge:a%26b%40vendor%2Eexample?secret="), "{uri}");
        let svg = qr_svg(&uri).unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && !svg.contains("<script"), "{svg}");
    }
}
