//! Attribution that waits to be written: bounded, and what didn't fit is counted and told.

use crate::audit::entry::{ActorType, Entry, Logs};
use crate::domain::ids::{OrgId, RequestId};
use std::collections::{HashMap, VecDeque};

/// Entries that wait, at most.
const CAPACITY: usize = 16_384;
/// Orgs whose losses are told apart.
const ORGS: usize = 256;

/// The buffer.
#[derive(Default)]
pub(super) struct Uses {
    waiting: VecDeque<Entry>,
    /// What didn't fit, by org, with one example of it.
    lost: HashMap<Option<OrgId>, (u64, Entry)>,
}

impl Uses {
    pub(super) fn push(&mut self, entry: Entry) {
        if self.waiting.len() < CAPACITY {
            self.waiting.push_back(entry);
        } else {
            self.lose(entry);
        }
    }

    pub(super) fn lose(&mut self, entry: Entry) {
        let org = entry
            .org_id
            .clone()
            .filter(|o| self.lost.len() < ORGS || self.lost.contains_key(&Some(o.clone())));
        self.lost.entry(org).or_insert_with(|| (0, entry)).0 += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.lost.len()
    }

    /// At most `max` entries to write, losses first.
    pub(super) fn take(&mut self, max: usize) -> Vec<Entry> {
        let mut taken: Vec<Entry> =
            self.lost.drain().map(|(org, (n, example))| loss(org, n, &example)).collect();
        let n = max.saturating_sub(taken.len()).min(self.waiting.len());
        taken.extend(self.waiting.drain(..n));
        taken
    }
}

/// The entry that tells how many are missing.
fn loss(org: Option<OrgId>, count: u64, example: &Entry) -> Entry {
    let details = [("lost".to_owned(), serde_json::Value::from(count))];
    Entry {
        request_id: RequestId::random(),
        actor_type: ActorType::System,
        actor: "system".to_owned(),
        actor_name: "System".to_owned(),
        platform_user: None,
        acting_user_id: None,
        acting_bot_id: None,
        token_id: None,
        logs: if org.is_some() { Logs::Both } else { Logs::Platform },
        org_id: org,
        action: None,
        resource: None,
        method: None,
        path: None,
        query_keys: Vec::new(),
        decision: None,
        policies: Vec::new().into(),
        source_address: None,
        user_agent: None,
        status: None,
        count,
        details: details.into_iter().collect(),
        ..example.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixtures::attribution;

    #[test]
    fn what_does_not_fit_is_an_entry_of_its_own() {
        let mut uses = Uses::default();
        for _ in 0..CAPACITY + 3 {
            uses.push(attribution("usr_a"));
        }
        let taken = uses.take(512);
        assert_eq!(taken.len(), 512);
        assert_eq!((taken[0].count, taken[0].actor.as_str()), (3, "system"));
        assert_eq!(taken[0].details["lost"], 3);
        assert_eq!(uses.len(), CAPACITY - 511);
    }
}
