//! Checkpoints that were kept: a log may only have grown since.

use super::{Expect, Fault};
use crate::audit::tree::{Checkpoint, Hash, LogName, VerifierKey};
use serde::Serialize;

/// A checkpoint that somebody kept.
#[derive(Debug, Clone)]
pub struct Kept {
    /// What to call it: its file.
    pub name: String,
    /// The signed note.
    pub note: String,
}

/// What came of comparing with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptReport {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: u64,
    /// Whether its root was computed from the log and is the same. False when that needs entries which have
    /// expired and are in no export.
    pub recomputed: bool,
}

/// The comparison with one.
#[derive(Debug)]
pub(super) struct Compared {
    name: String,
    checkpoint: Checkpoint,
    recomputed: bool,
}

impl Compared {
    /// Opens `kept`, which must be of the log that `key` signs.
    pub(super) fn open(kept: &Kept, key: &VerifierKey) -> Result<Self, Fault> {
        let name = kept.name.clone();
        match Checkpoint::open(&kept.note, key) {
            Ok(checkpoint) => Ok(Self { name, checkpoint, recomputed: false }),
            Err(error) => Err(Fault::new(format!(
                "the kept checkpoint `{name}` can't be compared with this log, whose key is `{key}`: {error}"
            ))),
        }
    }

    /// The log has `size` entries with this root.
    pub(super) fn grown(&mut self, size: u64, root: impl FnOnce() -> Hash) -> Result<(), Fault> {
        if self.checkpoint.size != size {
            return Ok(());
        }
        self.recomputed = true;
        if root() == self.checkpoint.root {
            return Ok(());
        }
        Err(Fault::new(format!(
            "the first {size} entries are not those of the kept checkpoint `{}`: the log was rewritten",
            self.name
        )))
    }

    /// The log ends with `newest`; it begins with the entry `first`.
    pub(super) fn ended(
        &self,
        expect: &Expect,
        log: &LogName,
        newest: &Checkpoint,
        first: u64,
    ) -> Result<(), Fault> {
        let (name, kept) = (&self.name, &self.checkpoint);
        if kept.size > newest.size {
            return Err(Fault::new(format!(
                "the log has {} entries, and the kept checkpoint `{name}` has {}: its end was cut off, or it was rolled back",
                newest.size, kept.size
            ))
            .at(newest.size));
        }
        // What came after the kept checkpoint is younger than it.
        if let (Some(kept_at), Some(signed_at)) = (kept.time, newest.time)
            && first > kept.size
            && signed_at < kept_at.saturating_add(expect.retention(log))
        {
            return Err(Fault::new(format!(
                "entries {} to {} were removed before their time: they came after the kept checkpoint `{name}`, which is younger than the log's retention",
                kept.size,
                first - 1
            ))
            .at(kept.size));
        }
        Ok(())
    }

    pub(super) fn report(&self) -> KeptReport {
        KeptReport { name: self.name.clone(), size: self.checkpoint.size, recomputed: self.recomputed }
    }
}
