//! A log, followed as it grows: what a live tail sends.
//!
//! Nothing is held while it waits: each look is a transaction of its own, which is over before anything is sent.

use super::given::{self, Given};
use super::leaves;
use super::query::{Filter, Log};
use super::reader::AuditReader;
use super::tree::LogName;
use crate::store::StoreError;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;

/// Leaves that one look reads.
const BATCH: usize = 100;
/// Another gateway may be the one that sequences, and its progress isn't told here.
const LOOK: Duration = Duration::from_secs(1);

/// One who follows a log from some place on.
pub struct Follow {
    reader: AuditReader,
    progress: watch::Receiver<u64>,
    log: Log,
    name: LogName,
    filter: Filter,
    next: u64,
}

/// What one look found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Look {
    /// Index and line of each entry that is shown, in the order of the log.
    pub entries: Vec<(u64, String)>,
    /// How far the look went: everything before it was shown, or isn't to be.
    pub next: u64,
    /// Whether the end of the log was reached.
    pub at_end: bool,
}

impl Follow {
    /// Follows `log` behind the entry with index `after`, from its end on without one. `Err` holds the log's size
    /// if it has no such entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin(
        reader: &AuditReader,
        log: Log,
        filter: Filter,
        after: Option<u64>,
    ) -> Result<Result<Self, u64>, StoreError> {
        let name = match &log {
            Log::Org(org) => LogName::Org(org.clone()),
            Log::Platform | Log::PlatformOf(_) => LogName::Platform,
        };
        let progress = reader.progress();
        let size = reader.head(&name).await?.map_or(0, |head| head.edge.size());
        let next = match after {
            None => size,
            Some(after) if after < size => after + 1,
            Some(_) => return Ok(Err(size)),
        };
        Ok(Ok(Self { reader: reader.clone(), progress, log, name, filter, next }))
    }

    /// Looks once.
    ///
    /// # Errors
    /// [`StoreError`]; the next look begins where this one did.
    pub async fn look(&mut self) -> Result<Look, StoreError> {
        // What comes from here on wakes the next wait.
        self.progress.mark_unchanged();
        let mut tx = self.reader.read().await?;
        let Some(head) = leaves::head(&mut tx, &self.name).await? else {
            return Ok(Look { next: self.next, at_end: true, ..Look::default() });
        };
        let leaves = leaves::leaves(&mut tx, &head, self.next, BATCH).await?;
        let given: Vec<Given> =
            leaves.iter().filter_map(|leaf| Given::of(leaf).transpose()).collect::<Result<_, _>>()?;
        let intents =
            if self.chooses() { given::intents(&mut tx, &self.name, &given).await? } else { HashMap::new() };
        drop(tx);
        let mut entries = Vec::with_capacity(given.len());
        for one in given {
            if self.shows(&one, &intents) {
                entries.push((one.index, one.line()?));
            }
        }
        self.next = leaves.last().map_or(self.next, |leaf| leaf.index + 1);
        Ok(Look { entries, next: self.next, at_end: leaves.len() < BATCH })
    }

    /// Waits until there may be more.
    pub async fn grown(&mut self) {
        grown(&mut self.progress, LOOK).await;
    }

    /// Whether it may leave out an entry of the log.
    fn chooses(&self) -> bool {
        let Filter { from, to, event, actor, action, impersonation_id, decision, request_id, ticket_ref } =
            &self.filter;
        let texts = [event, actor, action, impersonation_id, decision, request_id, ticket_ref];
        matches!(self.log, Log::PlatformOf(_))
            || from.is_some()
            || to.is_some()
            || texts.iter().any(|text| text.is_some())
    }

    fn shows(&self, given: &Given, intents: &HashMap<String, Value>) -> bool {
        // How a request went is for those to whom its intent is shown.
        let intent = given.text("request_id").filter(|_| given.is_outcome()).and_then(|id| intents.get(id));
        let entry = intent.unwrap_or(&given.entry);
        let own = match &self.log {
            Log::Org(_) | Log::Platform => true,
            Log::PlatformOf(user) => ["platform_user_id", "actor"]
                .iter()
                .any(|member| given::text(entry, member) == Some(user.as_str())),
        };
        let wanted = |member, value: &Option<String>| {
            value.as_deref().is_none_or(|value| given::text(entry, member) == Some(value))
        };
        let filter = &self.filter;
        own && wanted("event", &filter.event)
            && wanted("actor", &filter.actor)
            && wanted("action", &filter.action)
            && wanted("impersonation_id", &filter.impersonation_id)
            && wanted("decision", &filter.decision)
            && wanted("request_id", &filter.request_id)
            && wanted("ticket_ref", &filter.ticket_ref)
    }
}

/// Waits for the sequencer's progress, for `at_most` this long.
pub(super) async fn grown(progress: &mut watch::Receiver<u64>, at_most: Duration) {
    let told = async {
        if progress.changed().await.is_err() {
            // No sequencer in this process.
            std::future::pending::<()>().await;
        }
    };
    drop(tokio::time::timeout(at_most, told).await);
}

#[cfg(test)]
mod tests;
