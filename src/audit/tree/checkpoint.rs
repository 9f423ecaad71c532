//! Checkpoints: what a log's key signs (C2SP tlog-checkpoint, a signed note).
//!
//! ```text
//! drawbridge-4f1c02aa/org_acme           origin: the installation and the log
//! 1027                                    entries
//! qINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=   root
//! time 2026-11-21T19:20:31.118Z           when it was signed
//! first 0                                 the first entry that is still kept
//!
//! — drawbridge-4f1c02aa/org_acme IfZuFq…  signature
//! ```

use crate::domain::ids::OrgId;
use crate::domain::{Millis, parse_rfc3339, rfc3339};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Note, Signature, StandardSigner, StandardVerifier, Verifier as _, VerifierList};
use std::sync::Arc;
use tlog_tiles::Hash;

/// Which log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogName {
    /// The platform's.
    Platform,
    /// One org's.
    Org(OrgId),
}

const PLATFORM: &str = "platform";

impl LogName {
    /// `platform`, or the org's id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Platform => PLATFORM,
            Self::Org(org) => org.as_str(),
        }
    }

    /// The log with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        if name == PLATFORM { Some(Self::Platform) } else { OrgId::parse(name).ok().map(Self::Org) }
    }

    /// The log that an origin names.
    #[must_use]
    pub fn of_origin(origin: &str) -> Option<Self> {
        Self::parse(origin.rsplit_once('/')?.1)
    }
}

impl std::fmt::Display for LogName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why something isn't a checkpoint that is to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a signed note with a checkpoint in it.
    #[error("not a checkpoint")]
    Malformed,
    /// Not signed by the key that is asked for.
    #[error("not signed by `{0}`")]
    Unsigned(String),
    /// A signature by that key that isn't.
    #[error("the signature by `{0}` is false")]
    FalseSignature(String),
    /// A key that can't be used.
    #[error("`{0}` is not a verifier key")]
    Key(String),
}

/// The key that signs the checkpoints of all logs of an installation: Ed25519 (RFC 8032), one name for each log.
#[derive(Clone)]
pub struct LogKey {
    base: Arc<str>,
    /// 0x01 and the seed, as the encoded key has it.
    secret: Arc<str>,
    /// 0x01 and the public key.
    public: [u8; 33],
}

impl LogKey {
    /// The key of the installation `base` (letters, digits, `.`, `-`) with this seed.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] when `base` can't be a key's name.
    pub fn new(base: &str, seed: &[u8; 32]) -> Result<Self, CheckpointError> {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let invalid = || CheckpointError::Key(base.to_owned());
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if base.is_empty() || !base.chars().all(fine) {
            return Err(invalid());
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| invalid())?;
        let mut public = [1_u8; 33];
        for (to, from) in public.iter_mut().skip(1).zip(pair.public_key().as_ref()) {
            *to = *from;
        }
        let mut secret = vec![1_u8];
        secret.extend_from_slice(seed);
        Ok(Self { base: base.into(), secret: STANDARD.encode(secret).into(), public })
    }

    /// The origin of a log: its name in its checkpoints, and its key's name.
    #[must_use]
    pub fn origin(&self, log: &LogName) -> String {
        format!("{}/{log}", self.base)
    }

    /// What verifies a log's checkpoints.
    #[must_use]
    pub fn verifier(&self, log: &LogName) -> VerifierKey {
        let name = self.origin(log);
        let id = signed_note::key_id(&name, &self.public);
        VerifierKey(format!("{name}+{id:08x}+{}", STANDARD.encode(self.public)))
    }

    /// Signs.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`], which doesn't happen.
    pub fn sign(
        &self,
        log: &LogName,
        size: u64,
        root: Hash,
        time: Millis,
        first: u64,
    ) -> Result<String, CheckpointError> {
        let name = self.origin(log);
        let id = signed_note::key_id(&name, &self.public);
        let signer = StandardSigner::new(&format!("PRIVATE+KEY+{name}+{id:08x}+{}", self.secret))
            .map_err(|_| CheckpointError::Malformed)?;
        let extension = format!("time {}\nfirst {first}\n", rfc3339(time));
        let text = tlog_tiles::Checkpoint::new(&name, size, root, &extension)
            .map_err(|_| CheckpointError::Malformed)?
            .to_bytes();
        let mut note = Note::new(&text, &[]).map_err(|_| CheckpointError::Malformed)?;
        note.add_sigs(&[&signer]).map_err(|_| CheckpointError::Malformed)?;
        String::from_utf8(note.to_bytes()).map_err(|_| CheckpointError::Malformed)
    }
}

impl std::fmt::Debug for LogKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogKey").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What verifies signatures: `name+id+key`, as C2SP signed-note encodes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey(String);

impl VerifierKey {
    /// Checks that it is one.
    ///
    /// # Errors
    /// [`CheckpointError::Key`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text = text.trim();
        StandardVerifier::new(text).map_err(|_| CheckpointError::Key(text.to_owned()))?;
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name: of a log's key, its origin.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.split('+').next().unwrap_or_default()
    }

    /// The same key under its name for another log of the installation; `None` when its name isn't that of a log.
    #[must_use]
    pub fn for_log(&self, log: &LogName) -> Option<Self> {
        let (base, _) = self.name().rsplit_once('/')?;
        let public = STANDARD.decode(self.0.splitn(3, '+').nth(2)?).ok()?;
        let name = format!("{base}/{log}");
        let id = signed_note::key_id(&name, &public);
        Some(Self(format!("{name}+{id:08x}+{}", STANDARD.encode(public))))
    }

    fn verifier(&self) -> Result<StandardVerifier, CheckpointError> {
        StandardVerifier::new(&self.0).map_err(|_| CheckpointError::Key(self.0.clone()))
    }
}

impl std::fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a signed checkpoint tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The log's name everywhere.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root of the tree.
    pub root: Hash,
    /// When it was signed, if it says so.
    pub time: Option<Millis>,
    /// The first entry that was still kept then.
    pub first: u64,
    /// The whole of it, with its signatures.
    pub note: String,
}

impl Checkpoint {
    /// Reads `note` and checks that `key` has signed it and that it is about the log of that name.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, CheckpointError> {
        let opened = Self::read(note)?;
        opened.signed_by(key)?;
        // A key's name is its log's origin: a checkpoint of another log isn't this log's.
        if opened.origin == key.name() {
            Ok(opened)
        } else {
            Err(CheckpointError::Unsigned(key.name().to_owned()))
        }
    }

    /// Reads `note`, whoever has signed it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`].
    pub fn read(note: &str) -> Result<Self, CheckpointError> {
        let parsed = parsed(note)?;
        let told =
            tlog_tiles::Checkpoint::from_bytes(parsed.text()).map_err(|_| CheckpointError::Malformed)?;
        let line =
            |name: &str| told.extension().lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
        let first = line("first").map(str::parse).transpose().map_err(|_| CheckpointError::Malformed)?;
        let time =
            line("time").map(|text| parse_rfc3339(text).ok_or(CheckpointError::Malformed)).transpose()?;
        Ok(Self {
            origin: told.origin().to_owned(),
            size: told.size(),
            root: *told.hash(),
            time,
            first: first.unwrap_or(0),
            note: note.to_owned(),
        })
    }

    /// Checks that `key` has signed it too (a witness, say).
    ///
    /// # Errors
    /// [`CheckpointError::Unsigned`], [`CheckpointError::FalseSignature`].
    pub fn signed_by(&self, key: &VerifierKey) -> Result<(), CheckpointError> {
        let verifier = key.verifier()?;
        let name = verifier.name().to_owned();
        let known = VerifierList::new(vec![Box::new(verifier)]);
        match parsed(&self.note)?.verify(&known) {
            Ok(_) => Ok(()),
            Err(signed_note::NoteError::InvalidSignature { .. }) => {
                Err(CheckpointError::FalseSignature(name))
            }
            Err(_) => Err(CheckpointError::Unsigned(name)),
        }
    }

    /// The note with a further signature line, as a witness gives it.
    ///
    /// # Errors
    /// [`CheckpointError::Malformed`] when the line isn't one.
    pub fn cosigned(&self, line: &str) -> Result<String, CheckpointError> {
        let line = line.trim_end_matches('\n');
        Signature::from_bytes(line.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
        let note = format!("{}{line}\n", self.note);
        parsed(&note)?;
        Ok(note)
    }
}

/// The note, if this is its only spelling.
fn parsed(note: &str) -> Result<Note, CheckpointError> {
    let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| CheckpointError::Malformed)?;
    if parsed.to_bytes() == note.as_bytes() { Ok(parsed) } else { Err(CheckpointError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LogKey {
        LogKey::new("drawbridge-test", &[7; 32]).unwrap()
    }

    fn org() -> LogName {
        LogName::parse("org_acme").unwrap()
    }

    #[test]
    fn what_is_signed_is_what_is_read() {
        let root = Hash([9; 32]);
        let note = key().sign(&org(), 27, root, 1_795_000_000_123, 3).unwrap();
        let lines: Vec<&str> = note.lines().collect();
        assert_eq!(lines[0], "drawbridge-test/org_acme");
        assert_eq!(lines[1], "27");
        assert_eq!(lines[3], "time 2026-11-18T11:06:40.123Z");
        assert_eq!(lines[4], "first 3");
        let seen = Checkpoint::open(&note, &key().verifier(&org())).unwrap();
        assert_eq!((seen.size, seen.root, seen.time, seen.first), (27, root, Some(1_795_000_000_123), 3));
        assert_eq!(LogName::of_origin(&seen.origin), Some(org()));
    }

    #[test]
    fn other_keys_logs_and_bytes_are_refused() {
        let note = key().sign(&org(), 27, Hash([9; 32]), 0, 0).unwrap();
        let other = LogKey::new("drawbridge-test", &[8; 32]).unwrap();
        assert!(matches!(
            Checkpoint::open(&note, &other.verifier(&org())),
            Err(CheckpointError::Unsigned(_))
        ));
        assert!(matches!(
            Checkpoint::open(&note, &key().verifier(&LogName::Platform)),
            Err(CheckpointError::Unsigned(_))
        ));
        let changed = note.replace("\n27\n", "\n28\n");
        assert!(matches!(
            Checkpoint::open(&changed, &key().verifier(&org())),
            Err(CheckpointError::FalseSignature(_))
        ));
        for i in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[i] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            assert!(Checkpoint::open(&text, &key().verifier(&org())).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_bases_name_is_plain() {
        for base in ["", "a b", "a+b", "a/b", "ä"] {
            assert!(LogKey::new(base, &[1; 32]).is_err(), "{base}");
        }
    }
}
