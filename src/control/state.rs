//! What handlers share.

use crate::access::Access;
use crate::identity::Keys;
use std::sync::Arc;

/// Cheap to clone.
#[derive(Clone)]
pub struct ControlState {
    /// The acts.
    pub access: Arc<Access>,
    /// For the JWK set.
    pub keys: Arc<Keys>,
}
