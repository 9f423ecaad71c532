//! What an endpoint for clients answers when it doesn't do what was asked (RFC 6749 §5.2).

use crate::access::ActError;
use crate::store::StoreError;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum OAuthError {
    /// 400.
    #[error("{error}: {description}")]
    Invalid {
        /// A code of RFC 6749 §5.2.
        error: &'static str,
        /// What is wrong and what to do.
        description: &'static str,
    },
    /// 401 `invalid_client`.
    #[error("invalid_client: {description}")]
    Client {
        /// What is wrong and what to do.
        description: &'static str,
    },
    /// 503: whether a token counts can't be told now.
    #[error("the view is stale")]
    Stale,
    /// 503: the records can't be used, or nothing can be signed.
    #[error("the records can't be used")]
    Unavailable(#[source] ActError),
}

impl OAuthError {
    pub(super) const fn invalid(error: &'static str, description: &'static str) -> Self {
        Self::Invalid { error, description }
    }

    pub(super) const fn client(description: &'static str) -> Self {
        Self::Client { description }
    }
}

impl From<ActError> for OAuthError {
    fn from(error: ActError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<StoreError> for OAuthError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(ActError::Store(error))
    }
}
