//! Which policies a question needs. Cedar evaluates every policy of a set on every call (0.6 to 1.6 µs
//! each); here a question gets the few whose scope matches it, as one small set.
//!
//! Each policy lies in one bucket: of the entity that its scope names for the resource, else for the
//! principal, else of nobody. A question looks into the buckets of its principal, its resource and
//! everything that these are in, and keeps the policies whose whole scope matches. The scope is then
//! settled, so the kept policies are *lowered*: scope `(principal, action, resource)`, conditions as
//! they are. That is exact, because Cedar's decision is only "some forbid? else some permit?" and a
//! policy whose scope doesn't match neither decides nor errs.
//!
//! Most policies speak of a session and its org only, not of the context. They are evaluated when a
//! session first asks for such an action ([`Slice::settled`]) and their findings kept with the session's
//! prepared entities; each request evaluates the few that look at the context ([`Slice::open`]).
//!
//! Sets are made on the first question that needs them and shared by their list of policies. Memory:
//! about 200 bytes a policy for the index, 1 KiB for each policy that was ever lowered, 0.5 KiB for each
//! policy in a kept set; at most [`MAX_SETS`] sets are kept (at 10 policies each 10 MiB), then all are
//! forgotten and made anew on demand; what sessions hold stays alive with them.

use super::annotations::Answer;
use super::context::Keys;
use super::reads::Reads;
use cedar_policy::{
    ActionConstraint, Effect, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint,
    ResourceConstraint,
};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

/// Bound of the shared sets.
pub(super) const MAX_SETS: usize = 2048;

/// A policy with what is known about it.
pub(super) struct Indexed {
    pub(super) answer: Answer,
    pub(super) effect: Effect,
    reads: Reads,
    policy: Policy,
    principal: Scope,
    action: ActionConstraint,
    resource: Scope,
    lowered: OnceLock<Option<Policy>>,
}

/// One side of a scope.
#[derive(Debug)]
enum Scope {
    Any,
    Is(EntityTypeName),
    In(Option<EntityTypeName>, EntityUid),
    Eq(EntityUid),
}

/// One side of a question: the entity and all that it is in.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) uid: &'a EntityUid,
    pub(super) ancestors: &'a [EntityUid],
}

/// The policies that answer a question, and what their conditions look at.
pub(super) struct Slice {
    /// Those that don't look at the context: what they say of a session stays as it is while the facts
    /// about it and its org do.
    pub(super) settled: PolicySet,
    /// Those that do: asked on every request.
    pub(super) open: PolicySet,
    pub(super) reads: Reads,
}

/// All policies, by bucket.
pub(super) struct Index {
    policies: Vec<Indexed>,
    /// Policies whose scope names no entity.
    any: Vec<u32>,
    by_entity: HashMap<EntityUid, Vec<u32>>,
    /// Types of the resources that some scope names.
    named_types: HashSet<EntityTypeName>,
    positions: HashMap<PolicyId, u32>,
    /// By list of policies. A mutex: taken only when a session meets an action for the first time.
    sets: Mutex<HashMap<Box<[u32]>, Arc<Slice>>>,
}

impl Index {
    /// Indexes the policies. Positions follow the order of their ids.
    pub(super) fn new(mut policies: Vec<(Policy, Answer, Reads)>) -> Self {
        policies.sort_by(|a, b| a.1.id.cmp(&b.1.id));
        let mut index = Self {
            policies: Vec::with_capacity(policies.len()),
            any: Vec::new(),
            by_entity: HashMap::new(),
            named_types: HashSet::new(),
            positions: HashMap::new(),
            sets: Mutex::new(HashMap::new()),
        };
        for ((policy, answer, reads), position) in policies.into_iter().zip(0_u32..) {
            let principal = Scope::of_principal(policy.principal_constraint());
            let resource = Scope::of_resource(policy.resource_constraint());
            if let Some(named) = resource.entity() {
                index.named_types.insert(named.type_name().clone());
            }
            match resource.entity().or(principal.entity()) {
                Some(entity) => index.by_entity.entry(entity.clone()).or_default().push(position),
                None => index.any.push(position),
            }
            index.positions.insert(policy.id().clone(), position);
            index.policies.push(Indexed {
                answer,
                effect: policy.effect(),
                reads,
                action: policy.action_constraint(),
                principal,
                resource,
                policy,
                lowered: OnceLock::new(),
            });
        }
        index
    }

    /// The policy with this id, and its position.
    pub(super) fn find(&self, id: &PolicyId) -> Option<(u32, &Indexed)> {
        let position = *self.positions.get(id)?;
        Some((position, self.at(position)?))
    }

    /// The policy at this position.
    pub(super) fn at(&self, position: u32) -> Option<&Indexed> {
        self.policies.get(usize::try_from(position).ok()?)
    }

    /// How many policies there are.
    pub(super) fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether some scope names a resource of this type.
    pub(super) fn names_type(&self, kind: &EntityTypeName) -> bool {
        self.named_types.contains(kind)
    }

    /// All policies as one set, with their scopes.
    pub(super) fn everything(&self) -> PolicySet {
        PolicySet::from_policies(self.policies.iter().map(|p| p.policy.clone())).unwrap_or_default()
    }

    /// The set for a question.
    /// `None`: a policy can't be lowered; the question must be denied.
    pub(super) fn slice(
        &self,
        principal: Side<'_>,
        action: Side<'_>,
        resource: Side<'_>,
    ) -> Option<Arc<Slice>> {
        let buckets = [principal, resource].into_iter().flat_map(Side::all);
        let mut list: Vec<u32> = buckets
            .filter_map(|entity| self.by_entity.get(entity))
            .flatten()
            .chain(&self.any)
            .copied()
            .filter(|position| {
                self.at(*position).is_some_and(|p| {
                    p.principal.matches(principal)
                        && p.resource.matches(resource)
                        && action_matches(&p.action, action)
                })
            })
            .collect();
        list.sort_unstable();
        list.dedup();
        self.shared(list)
    }

    fn shared(&self, list: Vec<u32>) -> Option<Arc<Slice>> {
        if let Some(known) = self.sets.lock().get(list.as_slice()) {
            return Some(known.clone());
        }
        let slice = Arc::new(self.make(&list)?);
        let mut sets = self.sets.lock();
        if sets.len() >= MAX_SETS {
            sets.clear();
        }
        Some(sets.entry(list.into()).or_insert(slice).clone())
    }

    fn make(&self, list: &[u32]) -> Option<Slice> {
        let policies = || list.iter().filter_map(|position| self.at(*position));
        let set = |settled: bool| {
            let wanted = policies().filter(|p| (p.reads.context == Keys::default()) == settled);
            let lowered: Option<Vec<Policy>> = wanted.map(Indexed::lowered).collect();
            PolicySet::from_policies(lowered?).ok()
        };
        let reads = policies().fold(Reads::default(), |all, p| all.or(p.reads));
        Some(Slice { settled: set(true)?, open: set(false)?, reads })
    }
}

impl Indexed {
    /// The policy without its scope and annotations.
    fn lowered(&self) -> Option<Policy> {
        let lower = || {
            let mut json = self.policy.to_json().ok()?;
            let object = json.as_object_mut()?;
            for side in ["principal", "action", "resource"] {
                object.insert(side.to_owned(), serde_json::json!({ "op": "All" }));
            }
            object.remove("annotations");
            Policy::from_json(Some(self.policy.id().clone()), json).ok()
        };
        self.lowered.get_or_init(lower).clone()
    }
}

impl<'a> Side<'a> {
    fn all(self) -> impl Iterator<Item = &'a EntityUid> {
        std::iter::once(self.uid).chain(self.ancestors)
    }

    fn is_in(self, entity: &EntityUid) -> bool {
        self.all().any(|own| own == entity)
    }
}

impl Scope {
    fn of_principal(constraint: PrincipalConstraint) -> Self {
        match constraint {
            PrincipalConstraint::Any => Self::Any,
            PrincipalConstraint::In(entity) => Self::In(None, entity),
            PrincipalConstraint::Eq(entity) => Self::Eq(entity),
            PrincipalConstraint::Is(kind) => Self::Is(kind),
            PrincipalConstraint::IsIn(kind, entity) => Self::In(Some(kind), entity),
        }
    }

    fn of_resource(constraint: ResourceConstraint) -> Self {
        match constraint {
            ResourceConstraint::Any => Self::Any,
            ResourceConstraint::In(entity) => Self::In(None, entity),
            ResourceConstraint::Eq(entity) => Self::Eq(entity),
            ResourceConstraint::Is(kind) => Self::Is(kind),
            ResourceConstraint::IsIn(kind, entity) => Self::In(Some(kind), entity),
        }
    }

    fn entity(&self) -> Option<&EntityUid> {
        match self {
            Self::In(_, entity) | Self::Eq(entity) => Some(entity),
            Self::Any | Self::Is(_) => None,
        }
    }

    fn matches(&self, side: Side<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Is(kind) => side.uid.type_name() == kind,
            Self::In(kind, entity) => {
                kind.as_ref().is_none_or(|k| side.uid.type_name() == k) && side.is_in(entity)
            }
            Self::Eq(entity) => side.uid == entity,
        }
    }
}

fn action_matches(constraint: &ActionConstraint, action: Side<'_>) -> bool {
    match constraint {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(entity) => action.uid == entity,
        ActionConstraint::In(entities) => entities.iter().any(|entity| action.is_in(entity)),
    }
}
