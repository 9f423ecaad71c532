//! One immutable policy set: schema, routes, policies, slices.

use super::decide::{Decision, Question};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a set of files can't be put in force: every fault with file, line, column and help.
#[derive(Debug)]
pub struct LoadReport {
    /// Rendered for people (miette, no colour), one block a fault.
    pub rendered: String,
    /// One line a fault, `file:line:column: message`.
    pub faults: Vec<String>,
}

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

/// See the module.
pub struct Snapshot {
    _private: (),
}

impl Snapshot {
    /// SHA-256 over file names and contents, hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &Arc<str> {
        unimplemented!()
    }
    /// Looks up a method and a canonical path (raw bytes of the request line, without query).
    #[must_use]
    pub fn route<'a>(&'a self, _method: &str, _path: &'a str) -> Routed<'a> {
        unimplemented!()
    }
    /// The action with this Cedar id.
    #[must_use]
    pub fn action(&self, _name: &str) -> Option<&Action> {
        unimplemented!()
    }
    /// Decides. Never fails: what can't be evaluated is denied (`POLICY_ERROR`, 500).
    /// For an action decided by its handler, the gate passes [`Snapshot::action`]`("call")`.
    #[must_use]
    pub fn decide(&self, _question: &Question<'_>) -> Decision {
        unimplemented!()
    }
}

/// The snapshot in force and where it came from.
pub struct PolicyEngine {
    _private: (),
}

/// The folders that a policy set is read from.
#[derive(Debug, Clone)]
pub struct PolicyFolders {
    /// `*.cedar`, `*.cases.toml`.
    pub policies: PathBuf,
    /// `*.cedarschema`.
    pub schemas: PathBuf,
}

impl PolicyEngine {
    /// Loads a set, or says all that is wrong with it.
    ///
    /// # Errors
    /// [`LoadReport`] with every fault.
    pub fn load(_folders: PolicyFolders) -> Result<Self, LoadReport> {
        unimplemented!()
    }
    /// The set in force. Take it once a request.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        unimplemented!()
    }
    /// Reads the folders again. `Ok(None)`: nothing changed. On an error the old set stays in force.
    ///
    /// # Errors
    /// [`LoadReport`] with every fault.
    pub fn reload(&self) -> Result<Option<Arc<str>>, LoadReport> {
        unimplemented!()
    }
    /// What was wrong with the newest files, if they were refused (for `/readyz`).
    #[must_use]
    pub fn rejected(&self) -> Option<Arc<LoadReport>> {
        unimplemented!()
    }
}
