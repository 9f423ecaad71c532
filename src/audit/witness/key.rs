//! A witness' key and its signatures: `cosignature/v1` of C2SP [tlog-cosignature](https://c2sp.org/tlog-cosignature),
//! Ed25519 with a time.

use super::super::tree::{Checkpoint, CheckpointError};
use crate::domain::Millis;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, Signature, is_key_name_valid, key_id};

/// The type of a key that cosigns checkpoints.
const KIND: u8 = 0x04;
/// Bytes of the time that a signature begins with.
const TIME: usize = 8;

/// What verifies a witness' signatures: `name+id+key`, as C2SP signed-note encodes it, with a key of type 0x04.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignerKey {
    name: String,
    id: u32,
    public: [u8; 32],
}

impl CosignerKey {
    fn new(name: &str, public: [u8; 32]) -> Self {
        let mut typed = vec![KIND];
        typed.extend_from_slice(&public);
        Self { name: name.to_owned(), id: key_id(name, &typed), public }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] when it isn't one.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.trim();
        let read = || {
            let (name, rest) = text.split_once('+')?;
            let (_, encoded) = rest.split_once('+')?;
            let typed = STANDARD.decode(encoded).ok()?;
            let (KIND, public) = typed.split_first().map(|(kind, public)| (*kind, public))? else {
                return None;
            };
            let key = Self::new(name, public.try_into().ok()?);
            (is_key_name_valid(name) && key.to_string() == text).then_some(key)
        };
        read().ok_or_else(|| CheckpointError::Key(text.to_owned()))
    }

    /// The witness' name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The time in `signature` if it is this key's and true.
    fn time_of(&self, signature: &Signature, text: &[u8]) -> Option<u64> {
        let (time, signature) = signature.signature().split_first_chunk::<TIME>()?;
        let time = u64::from_be_bytes(*time);
        let message = message(time, text);
        // A time of 0 would say nothing of when; one beyond 2^63 is no time.
        let sound = time > 0 && i64::try_from(time).is_ok();
        let verified = UnparsedPublicKey::new(&ED25519, &self.public).verify(&message, signature);
        (sound && verified.is_ok()).then_some(time)
    }
}

impl std::fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![KIND];
        typed.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, STANDARD.encode(typed))
    }
}

/// What is signed.
fn message(time: u64, text: &[u8]) -> Vec<u8> {
    let mut message = format!("cosignature/v1\ntime {time}\n").into_bytes();
    message.extend_from_slice(text);
    message
}

/// Checks that the witness with `key` has cosigned the checkpoint `note`; when that was (the latest, to the second).
///
/// # Errors
/// [`CheckpointError`]; a false signature beside a true one is an error.
pub fn verify_cosignature(note: &str, key: &CosignerKey) -> Result<Millis, CheckpointError> {
    Checkpoint::read(note)?;
    let opened = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
    let mut latest = None;
    for line in signature_lines(note) {
        let signature = Signature::from_bytes(line.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
        if signature.name() != key.name || signature.id() != key.id {
            continue;
        }
        let time = key
            .time_of(&signature, opened.text())
            .ok_or_else(|| CheckpointError::FalseSignature(key.name.clone()))?;
        latest = latest.max(Some(time));
    }
    let latest = latest.ok_or_else(|| CheckpointError::Unsigned(key.name.clone()))?;
    Ok(i64::try_from(latest).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// The lines after the last empty one.
pub(super) fn signature_lines(note: &str) -> impl Iterator<Item = &str> {
    note.rsplit_once("\n\n").map_or("", |(_, lines)| lines).lines()
}

/// The lines of `answer` that are signatures by `key` over `note`, each with its line feed. What others signed is
/// passed over, as C2SP tlog-witness demands.
///
/// # Errors
/// [`CheckpointError`]: there is none, or one of them is false.
pub(super) fn cosignatures(note: &str, answer: &str, key: &CosignerKey) -> Result<String, CheckpointError> {
    let mine = |line: &&str| {
        Signature::from_bytes(line.as_bytes()).is_ok_and(|s| s.name() == key.name && s.id() == key.id)
    };
    let lines: String = answer.lines().filter(mine).map(|line| format!("{line}\n")).collect();
    verify_cosignature(&format!("{note}{lines}"), key)?;
    Ok(lines)
}

/// A witness' own key.
pub struct WitnessKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
    verifier: CosignerKey,
}

impl WitnessKey {
    /// The key with this name and seed.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] when the name can't be a key's.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, CheckpointError> {
        let invalid = || CheckpointError::Key(name.to_owned());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| invalid())?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| invalid())?;
        if !is_key_name_valid(name) {
            return Err(invalid());
        }
        Ok(Self { seed, pair, verifier: CosignerKey::new(name, public) })
    }

    /// A new one, named `witness-` and eight digits.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] when the system gives no random bytes.
    pub fn random() -> Result<Self, CheckpointError> {
        let none = |_| CheckpointError::Key("no random bytes from the system".to_owned());
        let (mut name, mut seed) = ([0; 4], [0; 32]);
        aws_lc_rs::rand::fill(&mut name).map_err(none)?;
        aws_lc_rs::rand::fill(&mut seed).map_err(none)?;
        Self::new(&format!("witness-{}", hex::encode(name)), seed)
    }

    /// Its text, secret, as signed-note's tools encode a signing key.
    #[must_use]
    pub fn secret_text(&self) -> String {
        let mut typed = vec![KIND];
        typed.extend_from_slice(&self.seed);
        let CosignerKey { name, id, .. } = &self.verifier;
        format!("PRIVATE+KEY+{name}+{id:08x}+{}", STANDARD.encode(typed))
    }

    /// Reads [`WitnessKey::secret_text`].
    ///
    /// # Errors
    /// [`CheckpointError::Key`], without the text.
    pub fn parse_secret(text: &str) -> Result<Self, CheckpointError> {
        let text = text.trim();
        let read = || {
            let (name, rest) = text.strip_prefix("PRIVATE+KEY+")?.split_once('+')?;
            let (_, encoded) = rest.split_once('+')?;
            let typed = STANDARD.decode(encoded).ok()?;
            let (KIND, seed) = typed.split_first().map(|(kind, seed)| (*kind, seed))? else { return None };
            let key = Self::new(name, seed.try_into().ok()?).ok()?;
            (key.secret_text() == text).then_some(key)
        };
        read().ok_or_else(|| CheckpointError::Key("the secret".to_owned()))
    }

    /// What verifies its signatures.
    #[must_use]
    pub const fn verifier(&self) -> &CosignerKey {
        &self.verifier
    }

    /// The signature line over the checkpoint `note`, with its line feed.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] when it isn't one.
    pub fn cosign(&self, note: &str, now: Millis) -> Result<String, CheckpointError> {
        let malformed = |_| CheckpointError::Malformed;
        let opened = Note::from_bytes(note.as_bytes()).map_err(malformed)?;
        let time = u64::try_from(now / 1000).unwrap_or_default().max(1);
        let mut signature = time.to_be_bytes().to_vec();
        signature.extend_from_slice(self.pair.sign(&message(time, opened.text())).as_ref());
        let line =
            Signature::new(self.verifier.name.clone(), self.verifier.id, signature).map_err(malformed)?;
        String::from_utf8(line.to_bytes()).map_err(|_| CheckpointError::Malformed)
    }
}

impl std::fmt::Debug for WitnessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WitnessKey").field("verifier", &self.verifier).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tree::{Hash, LogKey, LogName};

    const NOW: Millis = 1_795_000_000_123;

    fn note() -> String {
        LogKey::new("drawbridge-test", &[7; 32])
            .unwrap()
            .sign(&LogName::Platform, 27, Hash([9; 32]), NOW, 0)
            .unwrap()
    }

    #[test]
    fn a_cosignature_tells_its_time_and_no_byte_of_it_can_be_changed() {
        let key = WitnessKey::new("witness-1", [5; 32]).unwrap();
        let line = key.cosign(&note(), NOW).unwrap();
        let cosigned = format!("{}{line}", note());
        assert_eq!(verify_cosignature(&cosigned, key.verifier()), Ok(NOW / 1000 * 1000));
        assert_eq!(
            verify_cosignature(&note(), key.verifier()),
            Err(CheckpointError::Unsigned("witness-1".to_owned()))
        );
        let text_and_line = |i: usize| i < note().rfind("\n\n").unwrap() || i > note().len();
        for i in (0..cosigned.len()).filter(|i| text_and_line(*i)) {
            let mut bytes = cosigned.clone().into_bytes();
            bytes[i] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(verify_cosignature(&text, key.verifier()).is_err(), "byte {i}");
        }
    }

    #[test]
    fn another_key_of_the_same_name_is_another() {
        let (one, two) =
            (WitnessKey::new("witness-1", [5; 32]).unwrap(), WitnessKey::new("witness-1", [6; 32]).unwrap());
        let cosigned = format!("{}{}", note(), one.cosign(&note(), NOW).unwrap());
        assert!(matches!(verify_cosignature(&cosigned, two.verifier()), Err(CheckpointError::Unsigned(_))));
        let both = format!("{cosigned}{}", two.cosign(&note(), NOW).unwrap());
        assert!(verify_cosignature(&both, two.verifier()).is_ok());
        let lines: String = signature_lines(&both).skip(1).map(|l| format!("{l}\n")).collect();
        assert_eq!(cosignatures(&note(), &lines, one.verifier()).unwrap(), one.cosign(&note(), NOW).unwrap());
    }

    /// The example of tlog-cosignature with its signature by another implementation's key can't be had; this is the
    /// layout that it fixes: four bytes of key id, eight of time, 64 of signature, over the two lines and the text.
    #[test]
    fn the_layout_is_that_of_c2sp() {
        let key = WitnessKey::new("witness.example.com/w1", [5; 32]).unwrap();
        let line = key.cosign(&note(), 1_679_315_147_000).unwrap();
        let encoded = line.trim_end().strip_prefix("— witness.example.com/w1 ").unwrap();
        let bytes = STANDARD.decode(encoded).unwrap();
        assert_eq!(bytes.len(), 4 + 8 + 64);
        let mut named = b"witness.example.com/w1\n\x04".to_vec();
        named.extend_from_slice(&key.verifier().public);
        let id = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &named);
        assert_eq!(bytes[..4], id.as_ref()[..4]);
        assert_eq!(bytes[4..12], 1_679_315_147_u64.to_be_bytes());
        let text = note().split_once("\n\n").unwrap().0.to_owned();
        let signed = format!("cosignature/v1\ntime 1679315147\n{text}\n");
        let public = UnparsedPublicKey::new(&ED25519, &key.verifier().public);
        public.verify(signed.as_bytes(), &bytes[12..]).unwrap();
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = WitnessKey::random().unwrap();
        assert!(key.verifier().name().starts_with("witness-") && key.verifier().name().len() == 16);
        assert_eq!(&CosignerKey::parse(&key.verifier().to_string()).unwrap(), key.verifier());
        assert_eq!(WitnessKey::parse_secret(&key.secret_text()).unwrap().verifier(), key.verifier());
        // A log's own key is of another type.
        let log = LogKey::new("drawbridge-test", &[7; 32]).unwrap().verifier(&LogName::Platform);
        assert!(CosignerKey::parse(log.as_str()).is_err());
        for bad in
            ["", "a", "a+b", "a+00000000+BAAA", "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"]
        {
            assert!(CosignerKey::parse(bad).is_err() && WitnessKey::parse_secret(bad).is_err(), "{bad}");
        }
        assert!(!format!("{key:?}").contains(&hex::encode(key.seed)));
    }
}
