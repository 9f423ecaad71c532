//! One try at one receiver.

use super::syslog::Syslog;
use super::webhook::Webhook;
use crate::audit::message::Message;
use crate::domain::Millis;
use crate::store::StoreError;
use std::io;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// A way to a receiver.
pub(super) enum Way {
    Webhook(Box<Webhook>),
    Syslog(Syslog),
    Stdout,
}

/// Why a try failed. It is made again.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("it answered {0}, wanted is 2xx")]
    Status(u16),
    #[error("the request failed")]
    Request(#[source] reqwest::Error),
    #[error("the connection failed")]
    Connection(#[from] io::Error),
    #[error("it didn't take the entries in time")]
    TimedOut,
    #[error("it talks instead of reading: is this a syslog server?")]
    Talkative,
    #[error(transparent)]
    Entry(#[from] StoreError),
}

impl Way {
    /// Sends `message`; all of it is delivered, or it is to be sent again.
    pub(super) async fn send(
        &self,
        message: &Message,
        id: &str,
        now: Millis,
        within: Duration,
    ) -> Result<(), SendError> {
        let sent = async {
            match self {
                Self::Webhook(webhook) => webhook.send(message, id, now, within).await,
                Self::Syslog(syslog) => syslog.send(message).await,
                Self::Stdout => print(message).await,
            }
        };
        tokio::time::timeout(within, sent).await.unwrap_or(Err(SendError::TimedOut))
    }
}

async fn print(message: &Message) -> Result<(), SendError> {
    let mut lines = String::new();
    for item in &message.items {
        lines.push_str(&item.line()?);
        lines.push('\n');
    }
    let mut out = tokio::io::stdout();
    out.write_all(lines.as_bytes()).await?;
    Ok(out.flush().await?)
}
