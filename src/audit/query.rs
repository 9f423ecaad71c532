//! Reading a log: filter, page, newest first, one merged item for each request.

use crate::domain::Millis;
use crate::domain::ids::OrgId;
use crate::store::{StoreError, Tx};

/// Which log, through whose eyes.
#[derive(Debug, Clone)]
pub enum Log {
    /// One org's.
    Org(OrgId),
    /// The platform's.
    Platform,
    /// The platform's, own entries only.
    PlatformOf(crate::domain::ids::PlatformUserId),
}

/// What to show.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub from: Option<Millis>,
    /// Not after.
    pub to: Option<Millis>,
    /// Actor id.
    pub actor: Option<String>,
    /// Cedar action.
    pub action: Option<String>,
    /// Event name.
    pub event: Option<String>,
    /// Grant.
    pub impersonation_id: Option<String>,
    /// `permit` or `deny`.
    pub decision: Option<String>,
    /// Request.
    pub request_id: Option<String>,
    /// Ticket (platform log only).
    pub ticket_ref: Option<String>,
}

/// One page: items as they are answered, and where the next begins.
pub struct Page {
    /// Newest first.
    pub items: Vec<serde_json::Value>,
    /// Give it back as `cursor`.
    pub next: Option<String>,
}

/// Reads one page; `limit` 1 to 500. A cursor that isn't one gives `None`.
pub async fn page(
    _tx: &mut Tx,
    _log: &Log,
    _filter: &Filter,
    _limit: usize,
    _cursor: Option<&str>,
) -> Result<Option<Page>, StoreError> {
    unimplemented!()
}
