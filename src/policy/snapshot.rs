//! One immutable policy set: schema, routes, policies, slices.

use super::context;
use super::decide::{Decision, Question};
use super::entities;
use super::judge::{Case, Findings};
use super::prepared::{Asked, Base, Ready};
use super::routes::{Found, Pattern, Routes};
use super::schema::{Declared, ResourceKind, Schemas};
use super::slice::Index;
use cedar_policy::{Authorizer, Entities, PolicySet, Request};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use super::engine::{PolicyEngine, PolicyFolders};
pub use super::fault::LoadReport;

/// A declared action.
#[derive(Debug)]
pub struct Action {
    /// Its position in the snapshot's table.
    pub index: usize,
    /// The Cedar id, for example `listCameras`.
    pub name: Arc<str>,
    /// Whether the gateway serves it itself (declared in a schema of the gateway) or forwards it.
    pub served_here: bool,
    /// `@decide("handler")`: the gate asks for `call`, the handler's transaction decides.
    pub decided_by_handler: bool,
    /// Whether the request needs an org (its resource type belongs to one).
    pub needs_org: bool,
    /// Whether a stranger may ask (`Anonymous` is among its principals).
    pub open_to_strangers: bool,
    /// Whether it is served before the installation is set up (it is in the group `beforeSetup`).
    pub before_setup: bool,
}

/// What the route table says of a method and a canonical path.
pub enum Routed<'a> {
    /// Declared.
    Declared {
        /// The action.
        action: &'a Action,
        /// The org in the path (`{org}`), as it stands there.
        org: Option<&'a str>,
        /// Identifier of the resource: the last path parameter that is not the org.
        resource_id: Option<&'a str>,
    },
    /// The path is declared with other methods: the value for `Allow`.
    MethodNotAllowed {
        /// For example `GET, HEAD`.
        allow: &'a str,
        /// The stand-in action `undeclared`.
        action: &'a Action,
    },
    /// Nobody declared it.
    Undeclared {
        /// The stand-in action `undeclared`.
        action: &'a Action,
    },
}

/// One immutable set: the route table, the policies, everything precomputed. See the module.
pub struct Snapshot {
    /// Unlike that of any other snapshot of the process: what was prepared for another is void.
    generation: u64,
    hash: Arc<str>,
    actions: Vec<Action>,
    /// What the schema says of each action, in the same order.
    declared: Vec<Declared>,
    by_name: HashMap<Arc<str>, usize>,
    undeclared: usize,
    routes: Routes,
    index: Index,
    /// All policies with their scopes: the yardstick.
    everything: PolicySet,
    warnings: Vec<String>,
    authorizer: Authorizer,
}

impl Snapshot {
    /// `None` if the stand-in `undeclared` is missing (the schema check demands it).
    pub(super) fn new(hash: Arc<str>, schemas: Schemas, index: Index, warnings: Vec<String>) -> Option<Self> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(0);
        let actions: Vec<Action> = schemas.actions.iter().enumerate().map(Action::of).collect();
        let by_name: HashMap<_, _> = actions.iter().map(|a| (a.name.clone(), a.index)).collect();
        Some(Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            hash,
            undeclared: *by_name.get("undeclared")?,
            actions,
            declared: schemas.actions,
            by_name,
            routes: schemas.routes,
            everything: index.everything(),
            index,
            warnings,
            authorizer: Authorizer::new(),
        })
    }

    /// SHA-256 over file names and contents, hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &Arc<str> {
        &self.hash
    }

    /// Looks up a method and a canonical path (raw bytes of the request line, without query).
    #[must_use]
    pub fn route<'a>(&'a self, method: &str, path: &'a str) -> Routed<'a> {
        match self.routes.find(method, path) {
            Found::Action { index, org, resource_id } => match self.actions.get(index) {
                Some(action) => Routed::Declared { action, org, resource_id },
                None => Routed::Undeclared { action: self.undeclared() },
            },
            Found::Allow(allow) => Routed::MethodNotAllowed { allow, action: self.undeclared() },
            Found::Nothing => Routed::Undeclared { action: self.undeclared() },
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the position was found in this very table when it was made")]
    fn undeclared(&self) -> &Action {
        &self.actions[self.undeclared]
    }

    /// The action with this Cedar id.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&Action> {
        self.actions.get(*self.by_name.get(name)?)
    }

    /// Every action that can be asked for, by name.
    #[must_use]
    pub fn actions(&self) -> &[Action] {
        &self.actions
    }

    /// Method and path, as the schemas write them, of every route that the gateway serves itself.
    pub fn served_here(&self) -> impl Iterator<Item = (&str, &str)> {
        self.declared.iter().filter(|a| a.served_here).flat_map(|a| &a.routes).flat_map(Pattern::written)
    }

    /// How many policies the set has.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.index.len()
    }

    /// What Cedar finds odd, but not wrong, one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Decides. Never fails: what can't be evaluated is denied (`POLICY_ERROR`, 500).
    /// For an action decided by its handler, the gate passes [`Snapshot::action`]`("call")`.
    #[must_use]
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let Some(asked) = self.asked(question) else { return self.case(question, false, true).broken() };
        let ask = |ready: &Ready| {
            let case = self.case(question, asked.action.served_here, ready.applies);
            match ready.findings(asked, question.context) {
                Some(found) => case.verdict(&found),
                None => case.broken(),
            }
        };
        let decision = match question.prepared {
            Some(slot) => slot.with(asked, ask),
            None => Ready::build(asked).map(|ready| ask(&ready)),
        };
        decision.unwrap_or_else(|| self.case(question, asked.action.served_here, true).broken())
    }

    /// Decides by evaluating every policy of the set with everything that is known: slow, and by
    /// definition right. [`Snapshot::decide`] always gives the same (a property test holds it to that).
    #[must_use]
    pub fn decide_with_every_policy(&self, question: &Question<'_>) -> Decision {
        let Some(asked) = self.asked(question) else { return self.case(question, false, true).broken() };
        let broken = || self.case(question, asked.action.served_here, true).broken();
        let Some(mut base) = Base::build(asked) else { return broken() };
        base.entities.push(entities::action(&asked.action.uid, &asked.action.groups));
        let applies = asked.action.principals.contains(&base.principal.kind);
        let response = || {
            let context = context::build(question.context, asked.action.context)?;
            let action = asked.action.uid.clone();
            let request = Request::new(base.principal.uid, action, base.resource, context, None).ok()?;
            let entities = Entities::from_entities(base.entities, None).ok()?;
            Some(self.authorizer.is_authorized(&request, &self.everything, &entities))
        };
        match response() {
            Some(response) => {
                let found = Findings::of(&response, &self.index);
                self.case(question, asked.action.served_here, applies).verdict(&found)
            }
            None => broken(),
        }
    }

    /// The question in this snapshot's own terms. An action of another snapshot is looked up by name.
    fn asked<'a>(&'a self, question: &Question<'a>) -> Option<Asked<'a>> {
        let own = self.actions.get(question.action.index).filter(|a| a.name == question.action.name);
        let position = match own {
            Some(action) => action.index,
            None => *self.by_name.get(&question.action.name)?,
        };
        let action = self.declared.get(position)?;
        let org = match action.resource {
            ResourceKind::Platform => None,
            ResourceKind::Org | ResourceKind::OfOrg => question.org,
        };
        Some(Asked {
            generation: self.generation,
            index: &self.index,
            authorizer: &self.authorizer,
            position,
            action,
            session: question.session,
            org,
            resource_id: question.resource_id,
        })
    }

    fn case<'a>(&'a self, question: &Question<'a>, served_here: bool, applies: bool) -> Case<'a> {
        Case {
            index: &self.index,
            action: &question.action.name,
            served_here,
            applies,
            session: question.session,
            org: question.org.map(|o| &o.id),
            policy_hash: &self.hash,
        }
    }
}

impl Action {
    fn of((index, declared): (usize, &Declared)) -> Self {
        Self {
            index,
            name: declared.name.clone(),
            served_here: declared.served_here,
            decided_by_handler: declared.decided_by_handler,
            needs_org: declared.resource != ResourceKind::Platform,
            open_to_strangers: declared.principals.contains(&entities::TYPES.anonymous),
            before_setup: declared.groups.contains(&entities::uid(&entities::TYPES.action, "beforeSetup")),
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("hash", &self.hash)
            .field("actions", &self.actions.len())
            .field("policies", &self.index.len())
            .finish_non_exhaustive()
    }
}
