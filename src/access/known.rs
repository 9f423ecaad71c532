//! Sessions as this gateway knows them.

use super::Cancellation;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Org, Session};
use crate::policy::PreparedSlot;
use std::sync::Arc;

/// A session with everything the hot path wants to have at hand.
pub struct Known {
    /// The facts.
    pub session: Arc<Session>,
    /// Head of the change log, read before the facts.
    pub as_of: u64,
    /// Cut with the session; also set when a newer version of the facts says that it is over.
    pub cancellation: Cancellation,
    /// Cedar entities built from the facts.
    pub prepared: PreparedSlot,
}

/// A proved credential.
#[derive(Clone)]
pub struct Authenticated {
    /// Its session.
    pub known: Arc<Known>,
    /// `exp` of the token itself (`i64::MAX` for API tokens). An impersonation's is judged by policy, with its facts.
    pub token_expires_at: Millis,
}

/// Why a credential proves nobody.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// Not one of ours: `401 INVALID_TOKEN`.
    #[error("the token is not valid")]
    Invalid,
    /// The records can't be read: `503 STORE_UNAVAILABLE`.
    #[error("the records can't be read")]
    Unavailable,
}

/// The front door of the module.
pub struct Access {
    _private: (),
}

impl Access {
    /// Who a credential proves, when that is known already: no I/O, no waiting.
    #[must_use]
    pub fn recall(&self, _credential: &str) -> Option<Authenticated> {
        unimplemented!()
    }
    /// Who a credential proves; reads the records when it must. Ended, expired, disabled are facts, not errors.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn authenticate(&self, _credential: &str) -> Result<Authenticated, CredentialError> {
        unimplemented!()
    }
    /// An org that is known already: no I/O.
    #[must_use]
    pub fn recall_org(&self, _id: &OrgId) -> Option<Arc<Org>> {
        unimplemented!()
    }
    /// An org; [`Org::unknown`] if there is none.
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn org(&self, _id: &OrgId) -> Result<Arc<Org>, CredentialError> {
        unimplemented!()
    }
}
