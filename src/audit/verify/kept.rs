//! Checkpoints that were kept: a log may only have grown since.

use super::{Expect, Fault, Report};
use crate::audit::tree::{Checkpoint, Hash, LogName, VerifierKey, parse_hash};
use serde::{Deserialize, Serialize};
use tlog_tiles::check_tree;

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
    /// Whether the gateway has proved instead that the log grew out of it ([`Growth`]).
    pub proved: bool,
}

/// A consistency proof (RFC 6962, §2.1.2), as `…/audit-log/consistency` answers.
#[derive(Debug, Clone, Deserialize)]
pub struct Growth {
    path: Vec<String>,
    /// The signed note of the tree that it leads to.
    checkpoint: String,
}

impl Growth {
    /// Whether the tree of `size` leaves with `root` is the beginning of that of `newer`.
    fn proves(&self, size: u64, root: Hash, newer: &Checkpoint) -> bool {
        let path: Option<Vec<Hash>> = self.path.iter().map(|hash| parse_hash(hash)).collect();
        // Of an empty log everything is a continuation.
        size == 0 || path.is_some_and(|path| check_tree(&path, newer.size, newer.root, size, root).is_ok())
    }
}

impl Report {
    /// Kept checkpoints whose entries have expired, so that their roots can't be computed from what was verified.
    pub fn unproved(&self) -> impl Iterator<Item = &KeptReport> {
        self.against.iter().filter(|kept| !kept.recomputed && !kept.proved)
    }

    /// Takes the gateway's proofs that one tree continues both `kept` and what was verified here: then what was
    /// verified continues `kept`. False: they are of two trees, since the log grew between them; ask again.
    ///
    /// # Errors
    /// The [`Fault`] when one of them doesn't prove it.
    pub fn prove(&mut self, kept: &Kept, from_kept: &Growth, from_end: &Growth) -> Result<bool, Fault> {
        let doubt =
            |what: &str| Fault::new(format!("the gateway's consistency proof isn't to be believed: {what}"));
        let key = VerifierKey::parse(&self.key).map_err(|error| doubt(&error.to_string()))?;
        let opened = |note: &str| Checkpoint::open(note, &key).map_err(|error| doubt(&error.to_string()));
        let (newer, also) = (opened(&from_kept.checkpoint)?, opened(&from_end.checkpoint)?);
        if newer.size != also.size {
            return Ok(false);
        }
        if newer.root != also.root {
            return Err(doubt("it signed two trees of the same size"));
        }
        let then = opened(&kept.note)?;
        if !from_kept.proves(then.size, then.root, &newer) {
            return Err(Fault::new(format!(
                "the gateway can't prove that the log grew out of the kept checkpoint `{}` of {} entries: the log was rewritten",
                kept.name, then.size
            )));
        }
        let verified = parse_hash(&self.root).is_some_and(|root| from_end.proves(self.size, root, &newer));
        if !verified {
            return Err(doubt("it isn't about the entries that were verified"));
        }
        for one in self.against.iter_mut().filter(|one| one.name == kept.name && one.size == then.size) {
            one.proved = true;
        }
        Ok(true)
    }
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
        KeptReport {
            name: self.name.clone(),
            size: self.checkpoint.size,
            recomputed: self.recomputed,
            proved: false,
        }
    }
}
