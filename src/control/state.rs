//! What handlers share.

use crate::access::Access;
use crate::audit::AuditReader;
use crate::console::Site;
use crate::identity::Keys;
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone)]
pub struct ControlState {
    /// The acts.
    pub access: Arc<Access>,
    /// The logs.
    pub audit: AuditReader,
    /// What pages depend on.
    pub site: Site,
    /// For the JWK set.
    pub keys: Arc<Keys>,
}
