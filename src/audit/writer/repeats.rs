//! Refusals outside impersonations, by kind: the first is written at once, repeats are counted and written together,
//! so that strangers can't fill the disk.

use crate::audit::entry::{ActorType, Entry};
use crate::domain::Event;
use crate::domain::ids::{OrgId, RequestId};
use std::collections::HashMap;
use std::sync::Arc;

/// Kinds that are told apart. Beyond, refusals are counted by event alone.
const KINDS: usize = 1_024;

/// What makes two refusals the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Known {
        actor: String,
        /// Whose log tells of it: what was told to one org is news to another.
        org: Option<OrgId>,
        code: Option<String>,
        action: Option<Arc<str>>,
        /// What decided: an attempt on the audit log is no wrong path among others.
        policies: Arc<[Arc<str>]>,
        source: Option<String>,
    },
    Rest(Event),
}

/// The kinds met since the last time, with how often they were met again.
#[derive(Default)]
pub(super) struct Repeats {
    kinds: HashMap<Kind, Met>,
}

struct Met {
    again: u64,
    last: Option<Entry>,
}

impl Repeats {
    /// Takes note of a refusal; its kind when it is the first of it and must be written now.
    pub(super) fn note(&mut self, entry: &Entry) -> Option<Kind> {
        let kind = Kind::Known {
            actor: entry.actor.clone(),
            org: entry.org_id.clone(),
            code: entry.code.clone(),
            action: entry.action.clone(),
            policies: entry.policies.clone(),
            source: entry.source_address.clone(),
        };
        if let Some(met) = self.kinds.get_mut(&kind) {
            met.again += 1;
            met.last = Some(entry.clone());
            return None;
        }
        if self.kinds.len() < KINDS {
            self.kinds.insert(kind.clone(), Met { again: 0, last: None });
            return Some(kind);
        }
        if entry.platform_user.is_some() {
            // Staff are few, and each refusal of theirs has a name, whoever filled the table.
            return Some(kind);
        }
        let met = self.kinds.entry(Kind::Rest(entry.event)).or_insert(Met { again: 0, last: None });
        met.again += 1;
        met.last = Some(rest(entry));
        None
    }

    /// The first of `kind` couldn't be written: the next one is the first.
    pub(super) fn forget(&mut self, kind: &Kind) {
        self.kinds.remove(kind);
    }

    /// One entry for each kind that was met again. Kinds that were not are forgotten.
    pub(super) fn take(&mut self) -> Vec<Entry> {
        self.kinds.retain(|_, met| met.again > 0);
        let repeats = self.kinds.values_mut().filter_map(|met| {
            let count = std::mem::take(&mut met.again);
            let last = met.last.take()?;
            Some(Entry { request_id: RequestId::random(), count, ..last })
        });
        repeats.collect()
    }
}

/// What is left to tell when there are too many kinds.
fn rest(entry: &Entry) -> Entry {
    Entry {
        actor_type: ActorType::System,
        actor: "system".to_owned(),
        actor_name: "too many different refusals to tell apart".to_owned(),
        platform_user: None,
        acting_user_id: None,
        acting_bot_id: None,
        token_id: None,
        org_id: None,
        logs: crate::audit::entry::Logs::Platform,
        action: None,
        resource: None,
        method: None,
        path: None,
        query_keys: Vec::new(),
        code: None,
        source_address: None,
        user_agent: None,
        status: None,
        ..entry.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::fixtures::refusal;
    use crate::domain::ids::PlatformUserId;

    #[test]
    fn the_first_is_written_and_repeats_are_counted() {
        let mut repeats = Repeats::default();
        assert!(repeats.note(&refusal("usr_a", "OWNER_ONLY")).is_some());
        assert!(repeats.note(&refusal("usr_a", "OWNER_ONLY")).is_none());
        assert!(repeats.note(&refusal("usr_a", "OWNER_ONLY")).is_none());
        assert!(repeats.note(&refusal("usr_a", "POLICY_DENIED")).is_some());
        let taken = repeats.take();
        assert_eq!(taken.len(), 1);
        assert_eq!((taken[0].count, taken[0].code.as_deref()), (2, Some("OWNER_ONLY")));
        assert!(repeats.note(&refusal("usr_a", "OWNER_ONLY")).is_none(), "still going on");
        assert!(repeats.note(&refusal("usr_a", "POLICY_DENIED")).is_some(), "was over");
        assert_eq!(repeats.take().len(), 1);
        assert!(repeats.take().is_empty());
        assert!(repeats.kinds.is_empty());
    }

    #[test]
    fn each_org_is_told() {
        let mut repeats = Repeats::default();
        let of = |org: &str| Entry { org_id: Some(OrgId::parse(org).unwrap()), ..refusal("pu_ann", "X") };
        assert!(repeats.note(&of("org_acme")).is_some());
        assert!(repeats.note(&of("org_globex")).is_some());
        assert!(repeats.note(&of("org_acme")).is_none());
        assert_eq!(repeats.take()[0].org_id, of("org_acme").org_id);
    }

    #[test]
    fn staff_stay_named_in_a_full_table() {
        let mut repeats = Repeats::default();
        for i in 0..2_000 {
            repeats.note(&refusal(&format!("usr_{i}"), "X"));
        }
        let ann = (PlatformUserId::parse("pu_ann").unwrap(), "Staff".to_owned());
        let ann = Entry { platform_user: Some(ann), ..refusal("pu_ann", "X") };
        assert!(repeats.note(&ann).is_some());
        assert!(repeats.note(&ann).is_some(), "each by itself");
    }

    #[test]
    fn memory_is_bounded_and_nothing_goes_uncounted() {
        let mut repeats = Repeats::default();
        let written =
            (0..5_000).filter(|i| repeats.note(&refusal(&format!("usr_{i}"), "X")).is_some()).count();
        assert_eq!(written, KINDS);
        let taken = repeats.take();
        assert_eq!(taken.iter().map(|e| e.count).sum::<u64>(), 5_000 - KINDS as u64);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].source_address, None);
    }
}
