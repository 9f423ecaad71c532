//! What is kept for a session between its requests: entities and the slice, ready to be asked.

use super::context::{self, Keys};
use super::decide;
use super::entities::{self, OrgFacts, TYPES, uid};
use super::judge::Findings;
use super::schema::{Declared, ResourceKind};
use super::slice::{Index, Side, Slice};
use crate::domain::{Org, Session};
use arc_swap::ArcSwapOption;
use cedar_policy::{Authorizer, Context, Entities, EntityUid, PolicySet, Request};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Orgs that a session keeps entities for; one more pushes out the oldest.
const MAX_PLACES: usize = 4;

/// Entities prebuilt for one session, refreshed by the policy module when the snapshot, the facts or the
/// org change. About 7 KiB for the first kind of question, nearly all of it Cedar's entities; kinds that need the same
/// share it.
pub struct PreparedSlot {
    /// Whose. Compared with the facts of each request: whoever passes a slot with other facts loses time only.
    about: Arc<Session>,
    /// Read on every request without a lock; replaced whole. A lost race costs one rebuild.
    kept: ArcSwapOption<Kept>,
    /// Whether it was asked since somebody looked ([`PreparedSlot::let_cool`]).
    used: AtomicBool,
}

/// Everything kept, valid for exactly this snapshot and the slot's facts.
struct Kept {
    generation: u64,
    places: Vec<Place>,
}

#[derive(Clone)]
struct Place {
    org: Option<OrgFacts>,
    /// By position of the action. Actions that need the same share it.
    questions: Vec<(usize, Arc<Ready>)>,
}

impl Place {
    fn is_for(&self, org: Option<&Org>) -> bool {
        match (&self.org, org) {
            (None, None) => true,
            (Some(facts), Some(org)) => facts.still(org),
            _ => false,
        }
    }
}

/// A question of which only the context is missing.
pub(super) struct Ready {
    principal: EntityUid,
    resource: EntityUid,
    entities: Entities,
    slice: Arc<Slice>,
    /// What the policies say that don't look at the context.
    settled: Findings,
    /// What the context must hold.
    keys: Keys,
    /// Whether the schema lets this kind of principal ask. If not, nothing is ever permitted.
    pub(super) applies: bool,
    /// Whether a policy looks at the identifier of the resource, so that it must be built for each request.
    by_id: bool,
}

/// What a question is about, as the snapshot knows it.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) generation: u64,
    pub(super) index: &'a Index,
    pub(super) authorizer: &'a Authorizer,
    pub(super) position: usize,
    pub(super) action: &'a Declared,
    pub(super) session: Option<&'a Session>,
    pub(super) org: Option<&'a Org>,
    pub(super) resource_id: Option<&'a str>,
}

impl PreparedSlot {
    /// For these facts, with nothing kept yet.
    #[must_use]
    pub fn about(session: Arc<Session>) -> Self {
        Self { about: session, kept: ArcSwapOption::empty(), used: AtomicBool::new(false) }
    }

    /// Forgets what is kept if it wasn't used since the last call; whether it did. A session that asks again has
    /// it built again.
    pub fn let_cool(&self) -> bool {
        let idle = !self.used.swap(false, Ordering::Relaxed);
        if idle {
            self.kept.store(None);
        }
        idle
    }

    fn is_about(&self, session: &Session) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.about), session) || *self.about == *session
    }

    /// Runs `ask` on what is kept for this question, building it first if need be. `None` if it can't be built.
    pub(super) fn with<T>(&self, asked: Asked<'_>, ask: impl FnOnce(&Ready) -> T) -> Option<T> {
        let session = asked.session.filter(|session| self.is_about(session));
        let kept = self.kept.load();
        let found = session.and(kept.as_ref()).and_then(|kept| kept.find(asked));
        // Read before it is written: most often it is set, and its line in many caches.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        match found {
            Some(ready) if !ready.by_id => Some(ask(ready)),
            Some(_) => Some(ask(&Ready::build(asked)?)),
            None => {
                let ready = Arc::new(Ready::build(asked)?);
                if session.is_some() {
                    self.keep(asked, ready.clone());
                }
                Some(ask(&ready))
            }
        }
    }

    fn keep(&self, asked: Asked<'_>, ready: Arc<Ready>) {
        let kept = self.kept.load();
        let mut places = match kept.as_ref() {
            Some(kept) if kept.generation == asked.generation => kept.places.clone(),
            _ => Vec::new(),
        };
        let same_org = |p: &Place| p.org.as_ref().map(|o| &o.id) == asked.org.map(|o| &o.id);
        places.retain(|p| p.is_for(asked.org) || !same_org(p));
        let place = match places.iter_mut().find(|p| p.is_for(asked.org)) {
            Some(place) => place,
            None => {
                if places.len() >= MAX_PLACES {
                    places.remove(0);
                }
                places.push(Place { org: asked.org.map(OrgFacts::of), questions: Vec::new() });
                let Some(place) = places.last_mut() else { return };
                place
            }
        };
        let alike = place.questions.iter().map(|(_, other)| other).find(|other| other.serves_as(&ready));
        let shared = alike.cloned().unwrap_or(ready);
        place.questions.push((asked.position, shared));
        self.kept.store(Some(Arc::new(Kept { generation: asked.generation, places })));
    }
}

impl Kept {
    fn find(&self, asked: Asked<'_>) -> Option<&Ready> {
        if self.generation != asked.generation {
            return None;
        }
        let place = self.places.iter().find(|p| p.is_for(asked.org))?;
        place.questions.iter().find(|(position, _)| *position == asked.position).map(|(_, ready)| &**ready)
    }
}

impl Ready {
    /// Whether this answers whatever `other` answers.
    fn serves_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slice, &other.slice)
            && !self.slice.reads.action
            && self.keys == other.keys
            && self.applies == other.applies
            && self.by_id == other.by_id
            && self.resource == other.resource
    }

    /// Builds all that a question needs. `None` if it lacks its org or Cedar refuses an entity.
    pub(super) fn build(asked: Asked<'_>) -> Option<Self> {
        let Asked { action, index, .. } = asked;
        let base = Base::build(asked)?;
        let principal = Side { uid: &base.principal.uid, ancestors: &base.principal.groups };
        let own = Side { uid: &action.uid, ancestors: &action.groups };
        let resource = Side { uid: &base.resource, ancestors: base.org.as_slice() };
        let slice = index.slice(principal, own, resource)?;
        let mut all = base.entities;
        if slice.reads.action {
            all.push(entities::action(&action.uid, &action.groups));
        }
        let mut ready = Self {
            applies: action.principals.contains(&base.principal.kind),
            by_id: action.resource == ResourceKind::OfOrg
                && (slice.reads.resource_id || index.names_type(&action.resource_type)),
            keys: slice.reads.context.and(action.context),
            entities: Entities::from_entities(all, None).ok()?,
            settled: Findings::default(),
            slice,
            principal: base.principal.uid,
            resource: base.resource,
        };
        ready.settled = ready.ask(asked, &ready.slice.settled, Context::empty())?;
        Some(ready)
    }

    /// All findings for a request with this context; `None` if Cedar refuses the request (it never does).
    pub(super) fn findings(&self, asked: Asked<'_>, context: &decide::Context<'_>) -> Option<Findings> {
        if self.slice.open.is_empty() {
            return Some(self.settled.clone());
        }
        let context = context::build(context, self.keys)?;
        Some(self.ask(asked, &self.slice.open, context)?.join(&self.settled))
    }

    fn ask(&self, asked: Asked<'_>, policies: &PolicySet, context: Context) -> Option<Findings> {
        let action = asked.action.uid.clone();
        let request =
            Request::new(self.principal.clone(), action, self.resource.clone(), context, None).ok()?;
        let response = asked.authorizer.is_authorized(&request, policies, &self.entities);
        Some(Findings::of(&response, asked.index))
    }
}

/// The entities of a question, before any policy is looked at.
pub(super) struct Base {
    pub(super) principal: entities::Who,
    pub(super) resource: EntityUid,
    /// What the resource is in: its org, unless it is the org or none.
    org: Option<EntityUid>,
    pub(super) entities: Vec<cedar_policy::Entity>,
}

impl Base {
    /// `None` if the action needs an org and there is none, or Cedar refuses an entity.
    pub(super) fn build(asked: Asked<'_>) -> Option<Self> {
        let Asked { action, resource_id, .. } = asked;
        let org = match action.resource {
            ResourceKind::Platform => None,
            ResourceKind::Org | ResourceKind::OfOrg => Some(OrgFacts::of(asked.org?)),
        };
        let mut principal = entities::principal(asked.session, org.as_ref().map(|o| &o.id))?;
        let mut all = std::mem::take(&mut principal.entities);
        let Some(org) = org else {
            let resource = uid(&TYPES.platform, "drawbridge");
            return Some(Self { principal, resource, org: None, entities: all });
        };
        let org_uid = uid(&TYPES.org, org.id.as_str());
        all.push(org.entity()?);
        if action.resource == ResourceKind::Org {
            return Some(Self { principal, resource: org_uid, org: None, entities: all });
        }
        let resource = uid(&action.resource_type, resource_id.unwrap_or(org.id.as_str()));
        all.push(entities::of_org(&resource, &org_uid)?);
        Some(Self { principal, resource, org: Some(org_uid), entities: all })
    }
}
