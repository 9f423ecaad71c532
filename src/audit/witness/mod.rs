//! A witness: a second key, which cosigns a log's checkpoints as long as each continues the one before, and refuses
//! when the log was cut back, changed or forked. Who believes only what it cosigned can't be shown two histories.
//!
//! After C2SP [tlog-witness](https://c2sp.org/tlog-witness): [`rule`](Refusal) says what is cosigned, a [`Notary`]
//! does it and remembers, [`server`] serves one to others. [`Witness`] is what a gateway asks: a notary in its own
//! process, or one at a URL. A witness on the same disk as the log notices a log that was put back; only one that
//! somebody else runs notices when both were.

mod kept;
mod key;
mod notary;
mod remote;
mod request;
mod rule;
pub mod server;

#[cfg(test)]
mod tests;

pub use kept::cosigned;
pub use key::{CosignerKey, WitnessKey, verify_cosignature};
pub use notary::Notary;
pub use remote::Remote;
pub use request::Request;
pub use rule::{Refusal, Trust};

use super::tree::{Checkpoint, CheckpointError, Hash, VerifierKey};
use crate::domain::Clock;
use crate::store::StoreError;
use remote::Failure;
use std::path::Path;
use std::sync::Arc;

/// Why a checkpoint wasn't cosigned.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The witness knows of a history that this checkpoint doesn't continue. If the log itself has fewer than
    /// `known_size` leaves, or `why` says more, the records were put back or changed.
    #[error("the witness refuses: {why} (it has cosigned {known_size} entries)")]
    Refused {
        /// The size of the last checkpoint that it cosigned of this log.
        known_size: u64,
        /// What it says.
        why: String,
    },
    /// No connection, no answer in time.
    #[error("the witness can't be reached")]
    Unreachable(#[source] reqwest::Error),
    /// An answer that a witness doesn't give.
    #[error("the witness answers {status}: {text}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// The first line.
        text: String,
    },
    /// A signature that isn't the configured witness'.
    #[error("the witness' signature")]
    Signature(#[source] CheckpointError),
    /// The witness in this process can't sign.
    #[error("the witness in this process")]
    Own(#[source] Refusal),
    /// Not a checkpoint.
    #[error("the checkpoint to be cosigned")]
    Note(#[source] CheckpointError),
    /// The proof can't be read.
    #[error("the proof for the witness")]
    Proof(#[source] StoreError),
    /// Not a URL.
    #[error("the URL of the witness: {0}")]
    Url(String),
}

/// Who cosigns this installation's checkpoints.
pub enum Witness {
    /// A notary in this process, with its state in a file.
    File(Notary),
    /// A witness elsewhere.
    Url(Box<Remote>),
}

impl Witness {
    /// A witness in this process: state in `path`, key in `<path>.key`, both made on first use. `log` is the key of
    /// one of the logs of the installation.
    ///
    /// # Errors
    /// [`WitnessError::Own`]: what is wrong with the files; [`WitnessError::Signature`]: `log` is no log's key.
    pub fn file(path: &Path, log: &VerifierKey, clock: Arc<dyn Clock>) -> Result<Self, WitnessError> {
        let trust = Trust::of(log).map_err(WitnessError::Signature)?;
        let notary = Notary::open(path, trust, clock);
        Ok(Self::File(notary.map_err(|e| WitnessError::Own(Refusal::Storage(e)))?))
    }

    /// The witness at `url` (its submission prefix), whose signatures `key` verifies.
    ///
    /// # Errors
    /// [`WitnessError::Url`], [`WitnessError::Signature`] when `key` isn't a witness' key.
    pub fn url(url: &str, key: &str) -> Result<Self, WitnessError> {
        let key = CosignerKey::parse(key).map_err(WitnessError::Signature)?;
        Ok(Self::Url(Box::new(Remote::new(url, key)?)))
    }

    /// What verifies its signatures.
    #[must_use]
    pub fn verifier_key(&self) -> &CosignerKey {
        match self {
            Self::File(notary) => notary.verifier(),
            Self::Url(remote) => &remote.key,
        }
    }

    /// Has the checkpoint `note` cosigned; `prove` gives the consistency proof from a size that the witness knows to
    /// the checkpoint's. The signature lines, each with its line feed.
    ///
    /// # Errors
    /// [`WitnessError`]. A checkpoint that comes after a later one of the same log is refused too.
    pub async fn cosign<F>(&self, note: &str, prove: impl Fn(u64) -> F) -> Result<String, WitnessError>
    where
        F: Future<Output = Result<Vec<Hash>, StoreError>>,
    {
        let told = Checkpoint::read(note).map_err(WitnessError::Note)?;
        // What is remembered may be wrong: the witness itself decides.
        let mut old = Some(self.known(&told.origin).await?).filter(|old| *old <= told.size).unwrap_or(0);
        let mut asked_again = false;
        loop {
            let proof = if old == 0 || old == told.size {
                Vec::new()
            } else {
                prove(old).await.map_err(WitnessError::Proof)?
            };
            let request = Request { old, proof, note: note.to_owned() };
            let refusal = match self.submit(request).await {
                Ok(lines) => {
                    if let Self::Url(remote) = self {
                        remote.remember(&told.origin, told.size);
                    }
                    return Ok(lines);
                }
                Err(Failure::Error(error)) => return Err(error),
                Err(Failure::Refused(refusal)) => refusal,
            };
            match refusal {
                Refusal::Conflict { known } if known <= told.size && !asked_again => {
                    (old, asked_again) = (known, true);
                }
                Refusal::Conflict { known } => {
                    let why = format!("it is asked to go back to {} entries", told.size);
                    return Err(WitnessError::Refused { known_size: known, why });
                }
                Refusal::Inconsistent(why) => {
                    return Err(WitnessError::Refused { known_size: old, why: why.to_owned() });
                }
                other @ (Refusal::Malformed(_)
                | Refusal::UnknownLog(_)
                | Refusal::Unsigned(_)
                | Refusal::Storage(_)) => return Err(WitnessError::Own(other)),
            }
        }
    }

    async fn known(&self, origin: &str) -> Result<u64, WitnessError> {
        match self {
            Self::Url(remote) => Ok(remote.known(origin)),
            Self::File(notary) => {
                let last = notary.last(origin).await.map_err(|e| WitnessError::Own(Refusal::Storage(e)))?;
                Ok(last.map_or(0, |c| c.size))
            }
        }
    }

    async fn submit(&self, request: Request) -> Result<String, Failure> {
        match self {
            Self::File(notary) => notary.add(request).await.map_err(Failure::Refused),
            Self::Url(remote) => remote.submit(&request).await,
        }
    }
}

impl std::fmt::Debug for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Witness").field(&self.verifier_key().name()).finish()
    }
}
