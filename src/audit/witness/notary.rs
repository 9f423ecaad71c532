//! A witness itself: its key, the logs that it watches, and what it remembers. In process behind
//! [`Witness::file`](super::Witness::file), in a process of its own behind [`router`](super::server::router).

use super::super::tree::{Checkpoint, CheckpointError};
use super::kept::{self, Kept};
use super::key::{CosignerKey, WitnessKey};
use super::request::Request;
use super::rule::{Refusal, Trust, continues, open};
use crate::domain::Clock;
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// Cosigns what continues, and nothing else. Cheap to clone.
#[derive(Clone)]
pub struct Notary {
    inner: Arc<Inner>,
}

struct Inner {
    key: WitnessKey,
    trust: Trust,
    clock: Arc<dyn Clock>,
    /// Held while a request is checked and kept: both are one step, or a slow request would roll a quick one back.
    kept: Mutex<Kept>,
}

impl Notary {
    /// The witness with the state `path` and the key `<path>.key`, which are made on first use.
    ///
    /// # Errors
    /// What is wrong with the files, and what to do.
    pub fn open(path: &Path, trust: Trust, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let (key, kept) = kept::open(path)?;
        Ok(Self { inner: Arc::new(Inner { key, trust, clock, kept: Mutex::new(kept) }) })
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn verifier(&self) -> &CosignerKey {
        self.inner.key.verifier()
    }

    /// Cosigns the checkpoint of `request`, if it continues what was cosigned before, and keeps it. The signature's line.
    ///
    /// # Errors
    /// [`Refusal`]; then nothing was signed.
    pub async fn add(&self, request: Request) -> Result<String, Refusal> {
        let inner = self.inner.clone();
        let added = tokio::task::spawn_blocking(move || inner.add(&request)).await;
        added.unwrap_or_else(|_| Err(Refusal::Storage(io::Error::other("the work was cancelled"))))
    }

    /// The last checkpoint that it cosigned of the log `origin`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub async fn last(&self, origin: &str) -> io::Result<Option<Checkpoint>> {
        let (inner, origin) = (self.inner.clone(), origin.to_owned());
        let read = move || {
            let mut kept = inner.kept.lock();
            let lock = kept::lock(kept.path())?;
            kept.refresh(&lock)?;
            Ok(kept.last(&origin).cloned())
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err(io::Error::other("the work was cancelled")))
    }

    /// As [`Notary::last`], by the origin's SHA-256 in hexadecimal digits.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub async fn last_by_hash(&self, hash: &str) -> io::Result<Option<Checkpoint>> {
        let hashed = |origin: &String| {
            hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, origin.as_bytes())) == hash
        };
        let origin = self.inner.kept.lock().origins().find(|origin| hashed(origin)).cloned();
        match origin {
            Some(origin) => self.last(&origin).await,
            None => Ok(None),
        }
    }
}

impl Inner {
    fn add(&self, request: &Request) -> Result<String, Refusal> {
        let new = open(&self.trust, request)?;
        let mut kept = self.kept.lock();
        let lock = kept::lock(kept.path()).map_err(Refusal::Storage)?;
        kept.refresh(&lock).map_err(Refusal::Storage)?;
        if let Err(refusal) = continues(kept.last(&new.origin), request, &new) {
            if let Refusal::Inconsistent(why) = refusal {
                // Signed by the log, and contradicting what the log signed before: both are worth keeping.
                let before = kept.last(&new.origin).map(|c| c.note.as_str());
                tracing::error!(origin = %new.origin, why, before, refused = %new.note, "a log contradicts itself");
            }
            return Err(refusal);
        }
        let malformed = |_: CheckpointError| Refusal::Malformed("no checkpoint in it");
        let line = self.key.cosign(&new.note, self.clock.now()).map_err(malformed)?;
        if kept.last(&new.origin).is_none_or(|known| known.size != new.size) {
            let note = new.cosigned(&line).map_err(malformed)?;
            kept.keep(Checkpoint { note, ..new }, &lock).map_err(Refusal::Storage)?;
        }
        Ok(line)
    }
}
