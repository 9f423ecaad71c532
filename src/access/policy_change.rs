//! What became of an edit of the policy files, for the platform log.

use super::Access;
use super::transaction::{ActError, Done};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::Event;
use std::sync::Arc;

/// At most this many faults go into an entry; the process log has all of them.
const FAULTS: usize = 20;

impl Access {
    /// Records that a policy set is in force (`hash`), or that an edit was refused (`faults`).
    ///
    /// # Errors
    /// [`ActError::Store`]; the policy set is in force all the same.
    pub async fn record_policy_reload(
        &self,
        hash: Option<Arc<str>>,
        faults: Option<&[String]>,
    ) -> Result<(), ActError> {
        let event = if hash.is_some() { Event::PolicyReloaded } else { Event::PolicyRejected };
        let mut entry = Entry::system(event, Stage::Act, self.clock.now());
        entry.policy_hash = hash;
        if let Some(faults) = faults {
            let faults: Vec<_> = faults.iter().take(FAULTS).cloned().collect();
            entry.details.insert("faults".to_owned(), faults.into());
        }
        self.act(move |tx| {
            let entry = entry.clone();
            Box::pin(async move {
                write_act(tx, &entry).await?;
                Ok(Done::unchanged(()))
            })
        })
        .await
    }
}
