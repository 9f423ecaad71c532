//! A log as events of OCSF, one on each line, for tools that know that schema. They can't be verified: use the lines
//! of [`Export`](super::Export) for that.

use super::ExportError;
use crate::audit::AuditReader;
use crate::audit::leaves::Head;
use crate::audit::message::Message;
use crate::audit::tree::LogName;
use crate::config::DeliveredAs;
use futures_util::stream::{self, Stream};

/// The events of a log, as it was when this began. Each tells its place as `metadata.sequence`.
pub struct Events {
    reader: AuditReader,
    head: Option<Head>,
    /// The next entry.
    at: u64,
}

impl Events {
    /// Begins at the first entry that is kept, or for whoever has so many entries of the log behind these.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn begin(reader: &AuditReader, log: &LogName, after: Option<u64>) -> Result<Self, ExportError> {
        let head = reader.head(log).await?;
        let size = head.as_ref().map_or(0, |head| head.edge.size());
        let first = head.as_ref().map_or(0, |head| head.first);
        match after {
            Some(after) if after > size => Err(ExportError::Beyond { log: log.clone(), size, after }),
            _ => Ok(Self { reader: reader.clone(), head, at: after.unwrap_or(first) }),
        }
    }

    /// The next lines, perhaps none; `None` at the end.
    ///
    /// # Errors
    /// [`ExportError::Store`].
    pub async fn next(&mut self) -> Result<Option<String>, ExportError> {
        let Some(head) = &self.head else { return Ok(None) };
        let until = Some(head.edge.size());
        let read = Message::read(&self.reader, head, self.at, until, DeliveredAs::Ocsf).await?;
        let Some(message) = read else { return Ok(None) };
        self.at = message.to;
        let mut text = String::new();
        for item in &message.items {
            text.push_str(&item.line()?);
            text.push('\n');
        }
        Ok(Some(text))
    }

    /// The lines as a stream, which what goes wrong on the way ends.
    pub fn into_stream(self) -> impl Stream<Item = Result<String, ExportError>> + Send {
        stream::unfold(Some(self), |events| async move {
            let mut events = events?;
            match events.next().await {
                Ok(text) => text.map(|text| (Ok(text), Some(events))),
                Err(error) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "an export ends too early");
                    Some((Err(error), None))
                }
            }
        })
    }
}
