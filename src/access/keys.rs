//! The signing keys as this gateway follows them, and their rotation.

use super::Access;
use super::transaction::{ActError, Done};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::{Event, rfc3339};
use crate::identity::{KeyError, Rotated, Rotation, rotate};
use std::sync::Arc;
use std::time::Duration;

/// How often the keys are read again. [`crate::identity::PUBLISHED_BEFORE`] counts on it.
const FOLLOW: Duration = Duration::from_secs(5);

impl Access {
    /// Reads the keys every five seconds, until the task is dropped.
    pub async fn follow_keys(self: Arc<Self>) {
        let mut tick = tokio::time::interval(FOLLOW);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.reread_keys().await;
        }
    }

    /// Reads the keys. What a key proved that isn't served any more has to be proved anew.
    pub(super) async fn reread_keys(&self) {
        match self.tokens.keys().reread().await {
            Ok(read) if read.lost => {
                tracing::warn!("a signing key isn't served any more: its tokens are refused from now on");
                self.credentials.forget();
            }
            Ok(_) => {}
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    "the signing keys can't be read again; those that are known stay in force"
                );
            }
        }
    }

    /// Makes the next signing keys, and writes that down.
    ///
    /// # Errors
    /// [`ActError::Store`], [`ActError::Token`].
    pub async fn rotate_keys(&self, how: Rotation) -> Result<Rotated, ActError> {
        let (time, sealer) = (self.clock.now(), self.sealer.clone());
        let rotated = self
            .act(move |tx| {
                let sealer = sealer.clone();
                Box::pin(async move {
                    let rotated = rotate(tx, &sealer, how).await.map_err(|error| match error {
                        KeyError::Store(error) => ActError::Store(error),
                        KeyError::Seal(_) | KeyError::Invalid { .. } => {
                            ActError::Token(crate::identity::TokenError::Signing)
                        }
                    })?;
                    let mut entry = Entry::system(Event::KeysRotated, Stage::Act, time);
                    entry.actor_name = "Operator".to_owned();
                    for (algorithm, kid) in &rotated.keys {
                        entry.details.insert(algorithm.as_str().to_owned(), kid.as_str().into());
                    }
                    entry.details.insert("signs_from".to_owned(), rfc3339(rotated.signs_from).into());
                    entry.details.insert("old_until".to_owned(), rfc3339(rotated.old_until).into());
                    write_act(tx, &entry).await?;
                    Ok(Done::unchanged(rotated))
                })
            })
            .await?;
        self.reread_keys().await;
        Ok(rotated)
    }
}
