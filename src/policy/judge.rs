//! From what Cedar says to what the gateway does: code, status, audit duty, deciding policies.

use super::annotations::Answer;
use super::decide::{Decision, Denial, Duty, Permit};
use super::slice::Index;
use crate::domain::ids::OrgId;
use crate::domain::{Principal, Session};
use cedar_policy::{AuthorizationError, Effect, Response};
use std::sync::{Arc, LazyLock};

/// What the verdict is about.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) index: &'a Index,
    pub(super) action: &'a Arc<str>,
    pub(super) served_here: bool,
    /// Whether the schema lets this kind of principal ask at all.
    pub(super) applies: bool,
    pub(super) session: Option<&'a Session>,
    pub(super) org: Option<&'a OrgId>,
    pub(super) policy_hash: &'a Arc<str>,
}

/// What evaluating some policies gave: positions, in the order of their ids.
///
/// Of disjoint sets of policies the findings can be joined, because a policy says the same whatever
/// stands beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    forbids: Vec<u32>,
    /// Not known where a forbid was found; then they don't matter.
    permits: Vec<u32>,
    errors: Vec<(u32, Arc<str>)>,
}

impl Findings {
    /// What Cedar answered.
    pub(super) fn of(response: &Response, index: &Index) -> Self {
        let diagnostics = response.diagnostics();
        let mut found = Self::default();
        for (at, policy) in diagnostics.reason().filter_map(|id| index.find(id)) {
            match policy.effect {
                Effect::Forbid => found.forbids.push(at),
                Effect::Permit => found.permits.push(at),
            }
        }
        for error in diagnostics.errors() {
            let AuthorizationError::PolicyEvaluationError(failed) = error;
            // An unknown id can't be; it would still be an error.
            let at = index.find(failed.policy_id()).map_or(u32::MAX, |(at, _)| at);
            found.errors.push((at, error.to_string().into()));
        }
        found.sorted()
    }

    /// With those of other policies.
    pub(super) fn join(mut self, other: &Self) -> Self {
        self.forbids.extend(&other.forbids);
        self.permits.extend(&other.permits);
        self.errors.extend(other.errors.iter().cloned());
        self.sorted()
    }

    fn sorted(mut self) -> Self {
        self.forbids.sort_unstable();
        self.permits.sort_unstable();
        self.errors.sort_unstable_by_key(|(at, _)| *at);
        self
    }
}

static DEFAULT_DENY: LazyLock<Arc<str>> = LazyLock::new(|| "POLICY_DENIED".into());
static ERROR: LazyLock<Arc<str>> = LazyLock::new(|| "POLICY_ERROR".into());
static NOBODY: LazyLock<Arc<[Arc<str>]>> = LazyLock::new(|| Arc::new([]));

impl Case<'_> {
    /// The ladder: an error denies; a forbid denies with its answer; a permit permits, if the schema lets
    /// this kind of principal ask; else the default denies.
    ///
    /// Outside the schema policies were not validated, so their errors say nothing: forbids speak, and
    /// nothing is permitted.
    pub(super) fn verdict(&self, found: &Findings) -> Decision {
        if self.applies && !found.errors.is_empty() {
            for (_, error) in &found.errors {
                tracing::error!(action = %self.action, error = %error, "a policy failed, the request is denied");
            }
            let failed: Vec<u32> = found.errors.iter().map(|(at, _)| *at).collect();
            return self.error(self.ids(&failed));
        }
        match (found.forbids.as_slice(), found.permits.as_slice()) {
            ([], []) => self.default_deny(),
            ([], permits) if self.applies => self.permitted(permits),
            ([], _) => self.default_deny(),
            (forbids, _) => self.forbidden(forbids),
        }
    }

    /// What can't be evaluated is denied.
    pub(super) fn error(&self, policies: Arc<[Arc<str>]>) -> Decision {
        self.denied(&ERROR, 500, None, Duty::None, policies)
    }

    /// [`Case::error`] where no policy is to blame.
    pub(super) fn broken(&self) -> Decision {
        self.error(NOBODY.clone())
    }

    fn default_deny(&self) -> Decision {
        self.denied(&DEFAULT_DENY, 403, None, Duty::None, NOBODY.clone())
    }

    fn forbidden(&self, decided: &[u32]) -> Decision {
        // The highest priority speaks; among equals the first by id (positions follow the ids).
        let spokesman = self
            .answers(decided)
            .filter_map(|(at, a)| Some((a.priority, std::cmp::Reverse(at), a.refusal.as_ref()?)))
            .max_by_key(|(priority, at, _)| (*priority, *at));
        let Some((_, _, refusal)) = spokesman else { return self.broken() };
        let duty = self.duty(decided);
        self.denied(&refusal.code, refusal.status, refusal.help.clone(), duty, self.ids(decided))
    }

    fn permitted(&self, decided: &[u32]) -> Decision {
        let annotated = self.duty(decided);
        // A handler's own transaction (`control`) writes both logs; everything else that an impersonation
        // may do is an intent in both logs first, whatever the annotations say.
        let by_handler = self.served_here && annotated == Duty::Control;
        let floor = if self.impersonated() && !by_handler { Duty::Dual } else { Duty::None };
        Decision::Permit(Permit::new(
            self.action.clone(),
            self.org.cloned(),
            self.ids(decided),
            annotated.max(floor),
            self.policy_hash.clone(),
        ))
    }

    fn denied(
        &self,
        code: &Arc<str>,
        status: u16,
        help: Option<Arc<str>>,
        duty: Duty,
        policies: Arc<[Arc<str>]>,
    ) -> Decision {
        // A refusal is written down by who was refused, at least.
        let floor = match self.session.map(|s| &s.principal) {
            None => Duty::None,
            Some(Principal::OrgUser(_) | Principal::Bot(_)) => Duty::Use,
            Some(Principal::PlatformUser(_)) => Duty::Control,
            Some(Principal::Impersonation(_)) => Duty::Dual,
        };
        Decision::Denied(Denial {
            action: self.action.clone(),
            code: code.clone(),
            status,
            help,
            duty: duty.max(floor),
            policies,
            policy_hash: self.policy_hash.clone(),
        })
    }

    fn impersonated(&self) -> bool {
        matches!(self.session.map(|s| &s.principal), Some(Principal::Impersonation(_)))
    }

    fn answers<'b>(&'b self, decided: &'b [u32]) -> impl Iterator<Item = (u32, &'b Answer)> {
        decided.iter().filter_map(|at| Some((*at, &self.index.at(*at)?.answer)))
    }

    fn duty(&self, decided: &[u32]) -> Duty {
        self.answers(decided).map(|(_, a)| a.duty).max().unwrap_or(Duty::None)
    }

    /// Their ids; without an allocation for the one that most decisions have.
    fn ids(&self, decided: &[u32]) -> Arc<[Arc<str>]> {
        if let [only] = decided
            && let Some(policy) = self.index.at(*only)
        {
            return policy.answer.alone.clone();
        }
        self.answers(decided).map(|(_, a)| a.id.clone()).collect()
    }
}
