//! What this gateway holds in memory about sessions and orgs, and the rule that keeps it true:
//! facts stamped `as_of = k` are usable while no change of their subjects has a number above `k`
//! (architecture §5.2).
//!
//! Pure memory: no I/O, no waiting. [`super::Access`] fills it and applies changes to it.

mod log;
#[cfg(test)]
mod tests;

use super::{Cancellation, Known};
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, Subject};
use crate::domain::{Millis, Org, RevokeReason, Session};
use crate::identity::AssertionSlot;
use crate::policy::PreparedSlot;
use crate::store::change::Position;
use crate::store::{ChangeRecord, Effect};
use log::Log;
use parking_lot::RwLock;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// Above this many sessions, those that nothing is open under make room.
const MAX_SESSIONS: usize = 200_000;
/// After this many remembered changes, older facts are read again instead.
const MAX_CHANGES: usize = 100_000;

/// Sessions that are looked at under one lock.
const AT_ONCE: usize = 1_000;

/// When a session is over, and which.
pub(super) type Expiry = (Millis, Subject);

/// A read-write lock, because the hot path only reads; never held over an `.await`.
#[derive(Default)]
pub(super) struct View {
    inner: RwLock<Inner>,
}

#[derive(Default)]
struct Inner {
    sessions: HashMap<Subject, Entry>,
    /// Who or what each session is under, first, and the session: those of a subject lie together.
    under: BTreeSet<(Subject, Subject)>,
    /// When to cut what is open under a session that nobody ended.
    expiries: BTreeSet<Expiry>,
    orgs: HashMap<OrgId, Arc<Org>>,
    /// Number of the newest change of a subject, above `floor`.
    changed: HashMap<Subject, u64>,
    /// Facts stamped below this are not trusted: their changes are no longer remembered one by one.
    floor: u64,
    /// Every change up to this one is applied here.
    applied: u64,
    /// Applied beyond that, while one before them is still missing.
    ahead: BTreeSet<u64>,
    log: Log,
    /// Number and fingerprint of the newest change of this process' own.
    own: Option<(u64, u64)>,
    /// False only in a test that takes the rule of this module out.
    checks_stamps: bool,
    /// Revocations that the disk refused: in force here all the same, until the record is written or
    /// the gateway restarts (architecture §6).
    unrecorded: HashMap<Subject, RevokeReason>,
}

/// One session. It stays, without facts, after a change: requests may be open under its handle.
struct Entry {
    known: Option<Arc<Known>>,
    handle: Cancellation,
    expires_at: Millis,
    /// The other subjects whose change makes its facts stale: the person behind it, the org that it is in.
    above: Box<[Subject]>,
}

/// Whose sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The vendor's staff, inside an org or not.
    Staff,
    /// All.
    Everybody,
}

/// Facts that were overtaken by a change while they were read: read them again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overtaken;

impl View {
    /// Knows nothing, so that all changes up to `head` are applied already. What others knew before that isn't
    /// taken: which of it has changed since, nobody here remembers.
    pub(super) fn starting_at(head: &Position, checks_stamps: bool) -> Self {
        Self { inner: RwLock::new(Inner { checks_stamps, ..Inner::starting_at(head) }) }
    }

    /// Forgets everything, to go on at `head` of another log.
    pub(super) fn start_over(&self, head: &Position) {
        let mut inner = self.inner.write();
        for entry in inner.sessions.values() {
            entry.handle.cancel();
        }
        let unrecorded = std::mem::take(&mut inner.unrecorded);
        *inner = Inner { unrecorded, checks_stamps: inner.checks_stamps, ..Inner::starting_at(head) };
    }

    /// Remembers what this process itself has committed: a log without it is another one.
    pub(super) fn committed(&self, position: &Position) {
        let mut inner = self.inner.write();
        if inner.own.as_ref().is_none_or(|(n, _)| *n < position.n) {
            inner.own = Some((position.n, position.fingerprint()));
        }
    }

    /// The newest change that this process has committed, by now.
    pub(super) fn newest_own(&self) -> Option<(u64, u64)> {
        self.inner.read().own
    }

    /// Remembers the log as it is read on, place by place.
    pub(super) fn remember(&self, position: &Position) {
        self.inner.write().log.push(position.fingerprint());
    }

    /// Whether facts that somebody else read at change `n` of the log with this fingerprint were read in the log
    /// that this gateway follows, no further than it has come. Facts from a past that was undone are not.
    pub(super) fn vouches(&self, n: u64, fingerprint: u64) -> bool {
        self.inner.read().log.at(n) == Some(fingerprint)
    }

    /// Whether the log that was read doesn't have this change, as far as it is remembered.
    pub(super) fn lacks(&self, n: u64, fingerprint: u64) -> bool {
        let inner = self.inner.read();
        inner.log.is_behind(n) || inner.log.at(n).is_some_and(|known| known != fingerprint)
    }

    /// Cuts what is open under sessions, which are read again when they are met next; how many they were.
    pub(super) fn cut(&self, whose: Whose) -> usize {
        let of = |entry: &Entry| whose == Whose::Everybody || entry.above.iter().any(is_staff);
        let none = self.inner.read().sessions.values().all(|entry| !of(entry));
        if none {
            return 0;
        }
        let mut inner = self.inner.write();
        let keys: Vec<Subject> =
            inner.sessions.iter().filter(|(_, entry)| of(entry)).map(|(key, _)| key.clone()).collect();
        for entry in keys.iter().filter_map(|key| inner.remove(key)).collect::<Vec<_>>() {
            entry.handle.cancel_unproven();
        }
        keys.len()
    }

    /// Whether change `n` is in force here.
    pub(super) fn has_applied(&self, n: u64) -> bool {
        let inner = self.inner.read();
        n <= inner.applied || inner.ahead.contains(&n)
    }

    pub(super) fn session(&self, key: &Subject) -> Option<Arc<Known>> {
        self.inner.read().sessions.get(key).and_then(|entry| entry.known.clone())
    }

    pub(super) fn org(&self, id: &OrgId) -> Option<Arc<Org>> {
        self.inner.read().orgs.get(id).cloned()
    }

    /// Every change up to this one has been applied here.
    pub(super) fn applied(&self) -> u64 {
        self.inner.read().applied
    }

    /// Takes facts in that were read at `as_of`. A session that is over at `now` is kept too, so that its
    /// refusals cost nothing; but it has no handle in common with what was open under it.
    pub(super) fn insert(
        &self,
        mut session: Session,
        as_of: u64,
        now: Millis,
    ) -> Result<Arc<Known>, Overtaken> {
        let mut inner = self.inner.write();
        let subjects = session.subjects();
        if !inner.is_current(&subjects, as_of) {
            return Err(Overtaken);
        }
        if inner.sessions.len() >= MAX_SESSIONS {
            inner.make_room();
        }
        if session.ended.is_none() {
            session.ended = inner.unrecorded_end(&session.key, &subjects);
        }
        let key = session.key.clone();
        let over = session.ended.is_some() || session.expires_at <= now;
        let expires_at = if over { Millis::MAX } else { session.expires_at };
        let handle = match inner.remove(&key) {
            Some(old) if !over => old.handle,
            Some(old) => {
                old.handle.cancel();
                Cancellation::default()
            }
            None => Cancellation::default(),
        };
        inner.share_orgs(&mut session);
        let session = session.shared();
        let known = Arc::new(Known {
            session: session.clone(),
            as_of,
            cancellation: handle.clone(),
            prepared: PreparedSlot::about(session),
            assertion: AssertionSlot::default(),
            account: OnceLock::new(),
        });
        let above = subjects.into_iter().filter(|subject| *subject != key).collect();
        inner.put(key, Entry { known: Some(known.clone()), handle, expires_at, above });
        Ok(known)
    }

    /// Takes an org in that was read at `as_of`.
    pub(super) fn insert_org(&self, mut org: Org, as_of: u64) -> Result<Arc<Org>, Overtaken> {
        let mut inner = self.inner.write();
        let subject = org.id.subject();
        if !inner.is_current(std::slice::from_ref(&subject), as_of) {
            return Err(Overtaken);
        }
        if inner.unrecorded.contains_key(&subject) {
            org.allow_platform_impersonation = false;
        }
        let org = Arc::new(org);
        inner.orgs.insert(org.id.clone(), org.clone());
        Ok(org)
    }

    /// Applies a change, once: facts about its subjects are forgotten; if they ended, what is open is cut.
    pub(super) fn apply(&self, n: u64, record: &ChangeRecord) {
        let mut inner = self.inner.write();
        if !inner.is_news(n) {
            return;
        }
        if inner.changed.len() + record.subjects.len() > MAX_CHANGES {
            inner.changed.clear();
            inner.floor = n.max(inner.floor).max(inner.ahead.last().copied().unwrap_or_default());
        }
        for subject in &record.subjects {
            let newest = inner.changed.entry(subject.clone()).or_default();
            *newest = n.max(*newest);
            inner.unrecorded.remove(subject);
            match record.effect {
                Effect::Changed => inner.forget(subject),
                Effect::Ended(_) => inner.end(subject, |_| true),
            }
        }
    }

    /// A revocation that could not be written down: in force in this process. An org stands for the
    /// impersonations of it.
    pub(super) fn apply_unrecorded(&self, subjects: &[Subject], reason: RevokeReason) {
        let mut inner = self.inner.write();
        for subject in subjects {
            inner.unrecorded.insert(subject.clone(), reason);
            let staff_only = is_org(subject);
            inner.end(subject, |key| !staff_only || is_impersonation(key));
        }
    }

    /// Whether a revocation of `subject` is in force here without a record.
    pub(super) fn is_unrecorded(&self, subject: &Subject) -> bool {
        self.inner.read().unrecorded.contains_key(subject)
    }

    /// Lets go of what was made ready for sessions that haven't asked since it was looked at last; it is made
    /// anew when they ask again. Goes through the next thousand after `place` only, so that nobody waits for
    /// the lock; where to go on, if there is more.
    pub(super) fn let_idle_cool(&self, place: &Expiry) -> Option<Expiry> {
        let after = (Bound::Excluded(place), Bound::Unbounded);
        let next: Vec<Expiry> = self.inner.read().expiries.range(after).take(AT_ONCE).cloned().collect();
        for known in next.iter().filter_map(|(_, key)| self.session(key)) {
            if known.prepared.let_cool() {
                known.assertion.clear();
            }
        }
        next.last().cloned()
    }

    /// Cuts the sessions whose time is over.
    pub(super) fn expire(&self, now: Millis) {
        let due =
            |inner: &Inner| inner.expiries.first().filter(|(at, _)| *at <= now).map(|(_, key)| key.clone());
        if due(&self.inner.read()).is_none() {
            return;
        }
        let mut inner = self.inner.write();
        while let Some(key) = due(&inner) {
            if let Some(entry) = inner.remove(&key) {
                entry.handle.cancel();
            }
        }
    }
}

fn is_impersonation(key: &Subject) -> bool {
    key.as_str().starts_with(ImpersonationId::PREFIX)
}

fn is_staff(subject: &Subject) -> bool {
    subject.as_str().starts_with(PlatformUserId::PREFIX)
}

fn is_org(subject: &Subject) -> bool {
    subject.as_str().starts_with(OrgId::PREFIX)
}

impl Inner {
    fn starting_at(head: &Position) -> Self {
        Self { applied: head.n, floor: head.n, log: Log::ending_at(head), ..Self::default() }
    }

    /// Whether change `n` has not been applied yet; from now on it has.
    fn is_news(&mut self, n: u64) -> bool {
        if n <= self.applied || !self.ahead.insert(n) {
            return false;
        }
        while self.ahead.remove(&(self.applied + 1)) {
            self.applied += 1;
        }
        true
    }

    fn is_current(&self, subjects: &[Subject], as_of: u64) -> bool {
        if !self.checks_stamps {
            return true;
        }
        as_of >= self.floor && subjects.iter().all(|s| self.changed.get(s).is_none_or(|n| *n <= as_of))
    }

    fn unrecorded_end(&self, key: &Subject, subjects: &[Subject]) -> Option<RevokeReason> {
        subjects
            .iter()
            .filter(|s| !is_org(s) || is_impersonation(key))
            .find_map(|s| self.unrecorded.get(s).copied())
    }

    /// The sessions whose facts go stale when `subject` changes: itself, if it is one, and those under it.
    fn sessions_of(&self, subject: &Subject) -> Vec<Subject> {
        // No text comes before the empty one.
        let first = (subject.clone(), Subject::from_stored(""));
        let under = self.under.range(first..).take_while(|(above, _)| above == subject).map(|(_, key)| key);
        let own = self.sessions.get_key_value(subject).map(|(key, _)| key);
        own.into_iter().chain(under).cloned().collect()
    }

    /// Names orgs that are known by the text that is here already, not by one for each session.
    fn share_orgs(&self, session: &mut Session) {
        for membership in session.principal.memberships_mut() {
            if let Some((known, _)) = self.orgs.get_key_value(&membership.org) {
                membership.org = known.clone();
            }
        }
    }

    /// Facts of everything under `subject` are to be read again.
    fn forget(&mut self, subject: &Subject) {
        if let Ok(org) = OrgId::parse(subject.as_str()) {
            self.orgs.remove(&org);
        }
        for key in self.sessions_of(subject) {
            if let Some(entry) = self.sessions.get_mut(&key) {
                entry.known = None;
            }
        }
    }

    /// Cuts and forgets the sessions under `subject` that `which` names.
    fn end(&mut self, subject: &Subject, which: impl Fn(&Subject) -> bool) {
        self.forget(subject);
        for key in self.sessions_of(subject).iter().filter(|key| which(key)) {
            if let Some(entry) = self.remove(key) {
                entry.handle.cancel();
            }
        }
    }

    fn put(&mut self, key: Subject, entry: Entry) {
        for subject in &entry.above {
            self.under.insert((subject.clone(), key.clone()));
        }
        self.expiries.insert((entry.expires_at, key.clone()));
        self.sessions.insert(key, entry);
    }

    fn remove(&mut self, key: &Subject) -> Option<Entry> {
        let entry = self.sessions.remove(key)?;
        self.expiries.remove(&(entry.expires_at, key.clone()));
        for subject in &entry.above {
            self.under.remove(&(subject.clone(), key.clone()));
        }
        Some(entry)
    }

    /// Forgets sessions that no request holds.
    fn make_room(&mut self) {
        let idle: Vec<Subject> = self
            .sessions
            .iter()
            .filter(|(_, entry)| match &entry.known {
                Some(known) => Arc::strong_count(known) == 1 && !others_hold(entry, 2),
                None => !others_hold(entry, 1),
            })
            .map(|(key, _)| key.clone())
            .take(MAX_SESSIONS / 8)
            .collect();
        for key in idle {
            self.remove(&key);
        }
    }
}

/// Whether a request of an earlier version of the facts still holds the handle (`own` holders are ours).
fn others_hold(entry: &Entry, own: usize) -> bool {
    entry.handle.holders() > own
}
