//! What a witness cosigns: the checks of C2SP [tlog-witness](https://c2sp.org/tlog-witness), in its order. No I/O.

use super::super::tree::{Checkpoint, CheckpointError, LogName, VerifierKey};
use super::request::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tlog_tiles::{EMPTY_HASH, check_tree};

/// A size that no log reaches, and up to which reckoning with sizes can't overflow.
const MAX_SIZE: u64 = 1 << 62;

/// Why a witness doesn't cosign.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 400: not a request, or one that contradicts itself.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// 404: a log that the witness doesn't watch.
    #[error("the witness doesn't watch the log `{0}`")]
    UnknownLog(String),
    /// 403: not signed by the log.
    #[error("the log's signature")]
    Unsigned(#[source] CheckpointError),
    /// 409: the checkpoint that the witness knows is of another size.
    #[error("the witness has cosigned {known} entries")]
    Conflict {
        /// That size.
        known: u64,
    },
    /// 422: the log was changed, cut back or forked.
    #[error("{0}")]
    Inconsistent(&'static str),
    /// The witness can't keep what it cosigns, and so doesn't.
    #[error("the witness' state can't be kept")]
    Storage(#[source] std::io::Error),
}

/// The logs that a witness watches: all of one installation, which have one key under a name for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// Up to the last `/` of an origin, and with it.
    base: String,
    /// The type and the public key.
    typed: Vec<u8>,
}

impl Trust {
    /// Trusts the key of one of the logs for all of its installation.
    ///
    /// # Errors
    /// [`CheckpointError::Key`] when it isn't the key of a log.
    pub fn of(key: &VerifierKey) -> Result<Self, CheckpointError> {
        let read = || {
            let name = key.name();
            let (base, _) = name.rsplit_once('/')?;
            LogName::of_origin(name)?;
            let encoded = key.as_str().splitn(3, '+').nth(2)?;
            Some(Self { base: format!("{base}/"), typed: STANDARD.decode(encoded).ok()? })
        };
        read().ok_or_else(|| CheckpointError::Key(key.as_str().to_owned()))
    }

    /// The key of the log `origin`; `None` if it isn't of this installation.
    #[must_use]
    pub fn key_of(&self, origin: &str) -> Option<VerifierKey> {
        LogName::parse(origin.strip_prefix(&self.base)?)?;
        let id = signed_note::key_id(origin, &self.typed);
        VerifierKey::parse(&format!("{origin}+{id:08x}+{}", STANDARD.encode(&self.typed))).ok()
    }
}

/// The checkpoint in `request`, which one of the logs in `trust` has signed.
pub(super) fn open(trust: &Trust, request: &Request) -> Result<Checkpoint, Refusal> {
    let told = Checkpoint::read(&request.note).map_err(|_| Refusal::Malformed("no checkpoint in it"))?;
    let key = trust.key_of(&told.origin).ok_or_else(|| Refusal::UnknownLog(told.origin.clone()))?;
    let opened = Checkpoint::open(&request.note, &key).map_err(Refusal::Unsigned)?;
    if request.old > opened.size || opened.size > MAX_SIZE {
        return Err(Refusal::Malformed("the old size is beyond the checkpoint's"));
    }
    Ok(opened)
}

/// Whether `new`, with the proof of `request`, continues `known`, the last that was cosigned of that log.
pub(super) fn continues(
    known: Option<&Checkpoint>,
    request: &Request,
    new: &Checkpoint,
) -> Result<(), Refusal> {
    let known_size = known.map_or(0, |k| k.size);
    if request.old != known_size {
        return Err(Refusal::Conflict { known: known_size });
    }
    if new.size == 0 && new.root != EMPTY_HASH {
        return Err(Refusal::Inconsistent("the root of an empty log isn't that of the empty tree"));
    }
    let Some(known) = known.filter(|k| k.size > 0) else {
        // The empty tree is the beginning of every tree.
        let none = request.proof.is_empty();
        return if none { Ok(()) } else { Err(Refusal::Inconsistent("a proof from the empty log")) };
    };
    if new.size == known.size && new.root != known.root {
        return Err(Refusal::Inconsistent("the same size with another root"));
    }
    check_tree(&request.proof, new.size, new.root, known.size, known.root)
        .map_err(|_| Refusal::Inconsistent("the log doesn't continue what was cosigned"))
}
