//! Revocation (RFC 7009): a client gives a token back, which signs the person out of that session.

use super::code::end_session;
use super::{OAuthClient, OAuthError};
use crate::access::transaction::{Done, InMemory};
use crate::access::{Access, RequestInfo};
use crate::domain::RevokeReason;

impl Access {
    /// Ends the session of an access token of this client, and with it, as any sign-out, every impersonation of the
    /// person. What is no token of ours, or over already, is as good as revoked (RFC 7009 §2.2).
    ///
    /// # Errors
    /// [`OAuthError`]: it is another client's.
    pub async fn revoke_token(
        &self,
        client: &OAuthClient,
        token: &str,
        request: &RequestInfo,
    ) -> Result<(), OAuthError> {
        let Ok(proved) = self.prove_token(token).await else { return Ok(()) };
        // An impersonation is nobody's client's: it has an end of its own.
        if proved.impersonation || proved.client_id != client.id {
            return Err(OAuthError::invalid("invalid_grant", "the token was issued to another client"));
        }
        let why = RevokeReason::Logout;
        let in_memory = InMemory { subjects: vec![proved.session.clone()], reason: why };
        let (key, client, request) = (proved.session, client.id.clone(), request.clone());
        self.revoke(in_memory, move |tx| {
            let (key, client, request) = (key.clone(), client.clone(), request.clone());
            Box::pin(async move {
                let changes = end_session(tx, &key, why, Some(&client), &request).await?;
                if changes.is_empty() { Ok(Done::repeated(())) } else { Ok(Done::changed((), changes)) }
            })
        })
        .await?;
        Ok(())
    }
}
