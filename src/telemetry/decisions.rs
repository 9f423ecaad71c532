//! Decisions by code, counted without a lock for the codes that the product itself knows.

use super::sharded::Counters;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const COUNT: usize = 47;

/// The codes of requirements §7, in byte order: these are counted without a lock.
const CODES: [&str; COUNT] = [
    "ACCOUNT_DISABLED",
    "ACCOUNT_INACTIVE",
    "AMBIGUOUS_CREDENTIALS",
    "AUDIT_UNAVAILABLE",
    "BAD_PATH",
    "BAD_REQUEST",
    "BODY_TOO_LARGE",
    "CONFLICT",
    "ENROLMENT_REQUIRED",
    "HEADERS_TOO_LARGE",
    "IMPERSONATION_BLOCKED",
    "IMPERSONATION_EXPIRED",
    "IMPERSONATION_LIMIT",
    "IMPERSONATION_OUT_OF_SCOPE",
    "IMPERSONATION_REVOKED",
    "INVALID_BODY",
    "INVALID_TOKEN",
    "LAST_ADMIN",
    "METHOD_NOT_ALLOWED",
    "NOT_FOUND",
    "NO_STANDING_ACCESS",
    "ORG_MISMATCH",
    "ORG_REQUIRED",
    "ORG_SUSPENDED",
    "ORIGIN_NOT_ALLOWED",
    "OWNER_ONLY",
    "PASSWORD_CHANGE_REQUIRED",
    "PLATFORM_ACCESS_DENIED",
    "POLICY_DENIED",
    "POLICY_ERROR",
    "RATE_LIMITED",
    "REASON_REQUIRED",
    "ROUTE_NOT_DECLARED",
    "SESSION_ENDED",
    "SETUP_DONE",
    "SETUP_REQUIRED",
    "STEP_UP_REQUIRED",
    "STORE_UNAVAILABLE",
    "TOKEN_EXPIRED",
    "TOKEN_REVOKED",
    "UNAUTHENTICATED",
    "UNKNOWN_HOST",
    "UPSTREAM_TIMEOUT",
    "UPSTREAM_UNREACHABLE",
    "VIEW_STALE",
    "other",
    "permit",
];

/// Where [`CODES`] holds `permit`, asked for most, and `other`.
const PERMIT: usize = 46;
const OTHER: usize = 45;

/// At most this many codes of policy files get a series of their own; the rest counts as `other`.
const MAX_POLICY_CODES: usize = 200;

/// How often each code was the answer.
pub(super) struct Decisions {
    known: Counters<COUNT>,
    /// Codes that only policy files know: rare, so a lock is good enough.
    of_policies: RwLock<HashMap<String, AtomicU64>>,
}

impl Decisions {
    pub(super) fn new() -> Self {
        Self { known: Counters::new(), of_policies: RwLock::new(HashMap::new()) }
    }

    pub(super) fn count(&self, code: &str) {
        if code == "permit" {
            return self.known.add(PERMIT, 1);
        }
        match CODES.binary_search(&code) {
            Ok(index) => self.known.add(index, 1),
            Err(_) => self.count_of_policy(code),
        }
    }

    /// Every code that was counted, and `permit` in any case.
    pub(super) fn totals(&self) -> Vec<(String, u64)> {
        let known = CODES.iter().zip(self.known.totals());
        let known = known.filter(|(code, count)| *count > 0 || **code == "permit");
        let of_policies = self.of_policies.read();
        let of_policies = of_policies.iter().map(|(code, count)| (code.clone(), count.load(Relaxed)));
        known.map(|(code, count)| ((*code).to_owned(), count)).chain(of_policies).collect()
    }

    fn count_of_policy(&self, code: &str) {
        if let Some(counter) = self.of_policies.read().get(code) {
            counter.fetch_add(1, Relaxed);
            return;
        }
        let mut codes = self.of_policies.write();
        if codes.len() >= MAX_POLICY_CODES && !codes.contains_key(code) {
            return self.known.add(OTHER, 1);
        }
        codes.entry(code.to_owned()).or_default().fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{CODES, Decisions, MAX_POLICY_CODES, OTHER, PERMIT};

    #[test]
    fn codes_are_searchable() {
        assert!(CODES.is_sorted());
        assert_eq!((CODES[PERMIT], CODES[OTHER]), ("permit", "other"));
    }

    #[test]
    fn codes_of_policies_are_bounded() {
        let decisions = Decisions::new();
        for n in 0..MAX_POLICY_CODES + 10 {
            decisions.count(&format!("CODE_{n}"));
        }
        decisions.count("CODE_1");
        let totals = decisions.totals();
        assert_eq!(totals.iter().filter(|(code, _)| code.starts_with("CODE_")).count(), MAX_POLICY_CODES);
        assert!(totals.contains(&("other".into(), 10)) && totals.contains(&("CODE_1".into(), 2)));
    }
}
