//! A session as this gateway knows it, and why a credential may prove nobody.

use super::Cancellation;
use super::accounts::OwnAccount;
use crate::domain::{Millis, Session};
use crate::identity::AssertionSlot;
use crate::policy::PreparedSlot;
use std::sync::{Arc, OnceLock};

/// A session with everything that the hot path wants to have at hand.
pub struct Known {
    /// The facts.
    pub session: Arc<Session>,
    /// Head of the change log, read before the facts.
    pub as_of: u64,
    /// Cut with the session. Shared by all versions of the facts about one session.
    pub cancellation: Cancellation,
    /// Cedar entities built from the facts.
    pub prepared: PreparedSlot,
    /// What the upstream is told about these facts, signed, for the running second.
    pub assertion: AssertionSlot,
    /// Of a platform user: what `/platform/me` tells besides, once it was asked for.
    pub account: OnceLock<OwnAccount>,
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
    /// This gateway can't tell whether it still counts: `503 VIEW_STALE`.
    #[error("what is known of the session may be out of date")]
    Stale,
    /// The records can't be read: `503 STORE_UNAVAILABLE`.
    #[error("the records can't be read")]
    Unavailable,
}
