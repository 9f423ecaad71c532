//! The lines of a log, page by page.

use super::{Header, checkpoint_line, entry_line};
use crate::audit::AuditReader;
use crate::audit::leaves::Head;
use crate::audit::tree::{Checkpoint, LogName};
use crate::store::StoreError;
use futures_util::stream::{self, Stream};
use std::collections::VecDeque;

/// Leaves read in one transaction: a long export must hold none open.
const PAGE: usize = 500;

/// Why there is no export, or no more of one.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The records can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has no entry, or no gateway has signed it yet.
    #[error("nothing of the log `{0}` has been signed yet: a running gateway signs within a second")]
    Unsigned(LogName),
    /// Entries have expired since the newest checkpoint.
    #[error("entries of the log `{0}` have just expired; export it once the gateway has signed it anew")]
    Expiring(LogName),
    /// It was to go on behind the end.
    #[error(
        "the log `{log}` has {size} signed entries, fewer than {after}: its end was cut off, or it was rolled back"
    )]
    Beyond {
        /// The log.
        log: LogName,
        /// Entries that it has.
        size: u64,
        /// Entries that somebody has of it.
        after: u64,
    },
    /// It was to go on before the first that is kept.
    #[error("entries of the log `{log}` from {after} to {first} have expired meanwhile; begin a new export")]
    Expired {
        /// The log.
        log: LogName,
        /// The first that is kept.
        first: u64,
        /// Where it was to go on.
        after: u64,
    },
    /// An entry isn't where its leaf is.
    #[error(
        "entry {index} of the log `{log}` is gone, and it hasn't expired; `drawbridge audit verify` tells more"
    )]
    Missing {
        /// The log.
        log: LogName,
        /// Its index.
        index: u64,
    },
}

/// An export under way. It ends with the checkpoint that was the newest when it began.
pub struct Export {
    reader: AuditReader,
    head: Head,
    newest: String,
    size: u64,
    /// The next entry.
    at: u64,
    /// Checkpoints that are kept, still to be told.
    kept: VecDeque<(u64, String)>,
    header: Option<String>,
    ended: bool,
}

impl Export {
    /// Begins the export of `log`; with `after`, its continuation for whoever has that many entries.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn begin(reader: &AuditReader, log: &LogName, after: Option<u64>) -> Result<Self, ExportError> {
        let unsigned = || ExportError::Unsigned(log.clone());
        let head = reader.head(log).await?.ok_or_else(unsigned)?;
        let newest = head.checkpoint.clone().ok_or_else(unsigned)?;
        let corrupt = |e| StoreError::Corrupt(format!("the newest checkpoint of the log `{log}`: {e}"));
        let checkpoint = Checkpoint::read(&newest).map_err(corrupt)?;
        let (size, first) = (checkpoint.size, head.first);
        let at = after.unwrap_or(first);
        if at > size && after.is_some() {
            return Err(ExportError::Beyond { log: log.clone(), size, after: at });
        }
        if at < first {
            return Err(ExportError::Expired { log: log.clone(), first, after: at });
        }
        // The signed note says from where on entries were kept; until it says so, they are missing.
        if checkpoint.first < first {
            return Err(ExportError::Expiring(log.clone()));
        }
        let header = match after {
            Some(_) => None,
            None => Header::new(&reader.verifier(log), &reader.edge_at(&head, first).await?).line(),
        };
        let from = after.map_or(first, |after| after.saturating_add(1));
        let mut kept: VecDeque<_> = reader.kept_checkpoints(&head, from).await?.into();
        kept.retain(|(kept, _)| *kept < size);
        Ok(Self { reader: reader.clone(), head, newest, size, at, kept, header, ended: false })
    }

    /// Entries that this export has, without those of before.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.size.saturating_sub(self.at)
    }

    /// The next lines; `None` after the last.
    ///
    /// # Errors
    /// [`ExportError`]; what was told until then ends without its checkpoint, and is no export.
    pub async fn next(&mut self) -> Result<Option<String>, ExportError> {
        if self.ended {
            return Ok(None);
        }
        let mut text = self.header.take().unwrap_or_default();
        self.kept(&mut text);
        if self.at == self.size {
            text.push_str(&checkpoint_line(&self.newest));
            self.ended = true;
            return Ok(Some(text));
        }
        let limit = usize::try_from(self.size - self.at).map_or(PAGE, |left| left.min(PAGE));
        let leaves = self.reader.leaves(&self.head, self.at, limit).await?;
        for leaf in &leaves {
            let line = Some(leaf).filter(|leaf| leaf.index == self.at).and_then(entry_line);
            text.push_str(&line.ok_or_else(|| self.missing())?);
            self.at += 1;
            self.kept(&mut text);
        }
        if leaves.is_empty() { Err(self.missing()) } else { Ok(Some(text)) }
    }

    /// Tells the kept checkpoint of the entries so far, if there is one.
    fn kept(&mut self, text: &mut String) {
        if self.kept.front().is_some_and(|(size, _)| *size == self.at)
            && let Some((_, note)) = self.kept.pop_front()
        {
            text.push_str(&checkpoint_line(&note));
        }
    }

    fn missing(&self) -> ExportError {
        ExportError::Missing { log: self.head.log.clone(), index: self.at }
    }

    /// The lines as a stream. What goes wrong on the way is logged and ends it without a checkpoint, so that whoever
    /// verifies it sees that it isn't whole.
    pub fn into_stream(self) -> impl Stream<Item = String> + Send {
        stream::unfold(self, |mut export| async move {
            match export.next().await {
                Ok(text) => text.map(|text| (text, export)),
                Err(error) => {
                    let log = export.head.log.as_str();
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        log,
                        "an export ends too early"
                    );
                    None
                }
            }
        })
    }
}
