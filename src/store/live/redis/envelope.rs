//! What stands in a value: the stamp, a proof that a gateway wrote it for this very key, the facts.
//!
//! `<as_of, 20 digits>.<HMAC-SHA256, base64url>.<log, 16 hexadecimal digits><JSON of the session>`; without the
//! last part it is a tombstone. The
//! stamp has a fixed width, so that scripts compare it as text: their numbers are doubles.

use crate::domain::Session;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key, Tag, sign, verify};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// No value is longer: what is longer isn't ours and isn't read to its end.
pub(super) const LONGEST: usize = 256 * 1024;
/// Stamp, MAC and their dots.
pub(super) const HEAD: usize = 20 + 1 + 43 + 1;

/// Why a value isn't believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejected {
    /// Not of our form.
    Malformed,
    /// Not written by a gateway with our master key, not for this key, or changed since.
    Forged,
    /// Stamped with a change that the records haven't reached.
    Future,
    /// The key holds something else than a string.
    WrongType,
}

impl Rejected {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Future => "future",
            Self::WrongType => "wrong_type",
        }
    }
}

/// A value that a gateway wrote for this key.
pub(super) struct Opened {
    pub(super) as_of: u64,
    /// `None`: a tombstone.
    pub(super) facts: Option<Facts>,
}

/// A session, and which change log its stamp is of.
pub(super) struct Facts {
    pub(super) session: Session,
    pub(super) log: u64,
}

/// Signs values and checks them.
pub(super) struct Envelopes {
    key: Key,
}

/// What is proved. Each part is delimited, so that no two inputs share a proof.
fn parts(purpose: &[u8], name: &str, n: u64, body: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(purpose.len() + name.len() + body.len() + 16);
    text.extend_from_slice(purpose);
    text.extend_from_slice(&(name.len() as u64).to_be_bytes());
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(&n.to_be_bytes());
    text.extend_from_slice(body);
    text
}

const FACTS: &[u8] = b"drawbridge live facts 1\0";
const HINT: &[u8] = b"drawbridge live hint 1\0";

impl Envelopes {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { key: Key::new(HMAC_SHA256, key) }
    }

    fn mac(&self, text: &[u8]) -> Tag {
        let mut context = Context::with_key(&self.key);
        context.update(text);
        context.sign()
    }

    /// The stamp as scripts compare it.
    pub(super) fn stamp(as_of: u64) -> String {
        format!("{as_of:020}")
    }

    /// The value of `name`; a tombstone without a session. `None` if it is too long to be kept.
    pub(super) fn seal(&self, name: &str, as_of: u64, facts: Option<(&Session, u64)>) -> Option<String> {
        let body = match facts {
            None => String::new(),
            Some((session, log)) => format!("{log:016x}{}", serde_json::to_string(session).ok()?),
        };
        let mac = BASE64URL.encode(self.mac(&parts(FACTS, name, as_of, body.as_bytes())));
        Some(format!("{}.{mac}.{body}", Self::stamp(as_of))).filter(|value| value.len() <= LONGEST)
    }

    /// Opens a value that stood at `name`.
    pub(super) fn open(&self, name: &str, value: &[u8]) -> Result<Opened, Rejected> {
        let text = std::str::from_utf8(value).map_err(|_| Rejected::Malformed)?;
        let mut fields = text.splitn(3, '.');
        let (Some(stamp), Some(mac), Some(body)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(Rejected::Malformed);
        };
        let as_of = stamp_of(stamp).ok_or(Rejected::Malformed)?;
        let mac = BASE64URL.decode(mac).map_err(|_| Rejected::Malformed)?;
        verify(&self.key, &parts(FACTS, name, as_of, body.as_bytes()), &mac).map_err(|_| Rejected::Forged)?;
        if body.is_empty() {
            return Ok(Opened { as_of, facts: None });
        }
        let (log, session) = body.split_at_checked(16).ok_or(Rejected::Malformed)?;
        let log = u64::from_str_radix(log, 16).map_err(|_| Rejected::Malformed)?;
        let session = serde_json::from_str(session).map_err(|_| Rejected::Malformed)?;
        Ok(Opened { as_of, facts: Some(Facts { session, log }) })
    }

    /// A hint on `channel`.
    pub(super) fn hint(&self, channel: &str, n: u64) -> String {
        let mac = sign(&self.key, &parts(HINT, channel, n, b""));
        format!("{}.{}", Self::stamp(n), BASE64URL.encode(mac))
    }

    /// The change number of a hint that a gateway gave on `channel`.
    pub(super) fn heard(&self, channel: &str, message: &[u8]) -> Option<u64> {
        let (stamp, mac) = std::str::from_utf8(message).ok()?.split_once('.')?;
        let n = stamp_of(stamp)?;
        let mac = BASE64URL.decode(mac).ok()?;
        verify(&self.key, &parts(HINT, channel, n, b""), &mac).ok()?;
        Some(n)
    }
}

fn stamp_of(text: &str) -> Option<u64> {
    (text.len() == 20 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::{Envelopes, HEAD, Rejected};
    use crate::store::live::contract;

    #[test]
    fn only_what_was_sealed_for_this_key_opens() {
        let (ours, theirs) = (Envelopes::new(&[1; 32]), Envelopes::new(&[2; 32]));
        let facts = contract::impersonation("imp_a", "pu_a", 5_000, 7);
        let value = ours.seal("a", 7, Some((&facts.session, 9))).unwrap();
        let opened = ours.open("a", value.as_bytes()).unwrap();
        let found = opened.facts.unwrap();
        assert_eq!((opened.as_of, &found.session, found.log), (7, &*facts.session, 9));
        assert_eq!(ours.open("b", value.as_bytes()).err(), Some(Rejected::Forged), "another key");
        assert_eq!(theirs.open("a", value.as_bytes()).err(), Some(Rejected::Forged), "another master key");
        let newer = value.replacen("07.", "08.", 1);
        assert_eq!(ours.open("a", newer.as_bytes()).err(), Some(Rejected::Forged), "another stamp");
        let promoted = value.replace("pu_a", "pu_b");
        assert_eq!(ours.open("a", promoted.as_bytes()).err(), Some(Rejected::Forged), "other facts");
        assert!(ours.open("a", &value.as_bytes()[..HEAD]).is_err(), "cut to a tombstone");
        for cut in 0..value.len() {
            assert!(ours.open("a", &value.as_bytes()[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..value.len() {
            let mut bytes = value.clone().into_bytes();
            bytes[at] ^= 1;
            assert!(ours.open("a", &bytes).is_err(), "bit of byte {at}");
        }
    }

    #[test]
    fn a_hint_is_no_fact_and_of_one_channel() {
        let ours = Envelopes::new(&[1; 32]);
        let hint = ours.hint("a", 7);
        assert_eq!(ours.heard("a", hint.as_bytes()), Some(7));
        assert_eq!(ours.heard("b", hint.as_bytes()), None);
        assert!(ours.open("a", format!("{hint}.").as_bytes()).is_err());
        for forged in ["", "7", "18446744073709551615", "18446744073709551615.AAAA"] {
            assert_eq!(ours.heard("a", forged.as_bytes()), None, "{forged}");
        }
    }
}
