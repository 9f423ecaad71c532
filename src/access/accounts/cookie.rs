//! A browser's session: who a cookie's value proves, and how long it lives.

use crate::access::credentials::Proof;
use crate::access::service::unavailable;
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, Authenticated, CredentialError, credentials};
use crate::domain::ids::{SessionId, Subject};
use crate::domain::{Millis, Principal, Session};
use crate::identity::SessionSecret;
use crate::store::{ChangeRecord, Effect, StoreError, Tx};

/// A session's end is moved when this much of its idle time is gone, milliseconds: not with every request.
const SLIDE: Millis = 5 * 60_000;

/// Under what a cookie's proof is kept: never what a bearer token with the same text would be looked up by.
fn key(value: &str) -> credentials::CredentialHash {
    credentials::hash(format!("cookie\n{value}").as_bytes())
}

impl Access {
    /// Who the value of a console cookie proves, when that is known already: no I/O. See [`Access::recall`].
    #[must_use]
    pub fn recall_cookie(&self, value: &str) -> Option<Authenticated> {
        self.recall_proof(&key(value))
    }

    /// Who the value of a console cookie proves. Of use as a cookie only: a bearer token isn't one, nor the reverse.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn authenticate_cookie(&self, value: &str) -> Result<Authenticated, CredentialError> {
        let secret = SessionSecret::parse(value).ok_or(CredentialError::Invalid)?;
        let (hash, round) = (key(value), self.credentials.round());
        let session = match self.credentials.get(&hash) {
            Some(proof) => proof.session,
            None => self.session_of(&secret).await?,
        };
        let known = self.fresh(&session).await?;
        // One text of the identifier, shared with the facts.
        let session = known.session.key.clone();
        self.credentials.keep(hash, Proof { session, token_expires_at: Millis::MAX }, round);
        Ok(Authenticated { known, token_expires_at: Millis::MAX })
    }

    /// A value names one session for good: where a session gets another value it is another session.
    async fn session_of(&self, secret: &SessionSecret) -> Result<Subject, CredentialError> {
        let mut tx = self.db.read().await.map_err(unavailable)?;
        let row = tx.row("SELECT id FROM session WHERE secret_hash = $1", &[secret.hash().into()]).await;
        let row = row.map_err(unavailable)?.ok_or(CredentialError::Invalid)?;
        let id = SessionId::parse(row.text(0).map_err(unavailable)?);
        Ok(id.map_err(|_| CredentialError::Invalid)?.subject())
    }

    /// Notes that a browser's session is used: its end moves on, up to the session's absolute end. Writes at most
    /// every five minutes; failing is no reason to refuse.
    pub async fn touch(&self, session: &Session) {
        // A customer's person has the end that their sign-in gave: their provider's, perhaps.
        if !matches!(session.principal, Principal::PlatformUser(_)) {
            return;
        }
        let settings = &self.accounts.settings;
        let now = self.clock.now();
        let absolute = session.started_at + settings.session_absolute;
        let wanted = absolute.min(now + settings.session_idle);
        if wanted - session.expires_at < SLIDE.min(settings.session_idle / 4) || session.ended.is_some() {
            return;
        }
        let key = session.key.clone();
        let moved = self.act(move |tx| {
            let key = key.clone();
            Box::pin(async move {
                let moved = tx
                    .execute(
                        "UPDATE session SET expires_at = $1 WHERE id = $2 AND secret_hash IS NOT NULL \
                         AND ended_at IS NULL AND expires_at > {now} AND expires_at < $1",
                        &[wanted.into(), key.as_str().into()],
                    )
                    .await?;
                let change = ChangeRecord { effect: Effect::Changed, subjects: vec![key] };
                Ok(Done::changed((), if moved > 0 { vec![change] } else { Vec::new() }))
            })
        });
        if let Err(error) = moved.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a session's use can't be noted");
        }
    }
}

/// What a change of credentials leaves of the session that made it.
#[derive(Debug, Default)]
pub(super) struct Renewed {
    /// The cookie's new value; `None`: it is no browser's session, and stays.
    pub(super) cookie: Option<SessionSecret>,
    /// The session that takes its place.
    pub(super) session: Option<SessionId>,
}

/// A browser's session goes on under another identifier and another value, the old one is over (ASVS 7.2.4). It
/// keeps its beginning, and so its absolute end. A session of a bearer token stays as it is.
pub(super) async fn renew(tx: &mut Tx, session: &Subject) -> Result<Renewed, ActError> {
    let row = tx.row("SELECT secret_hash FROM session WHERE id = $1", &[session.as_str().into()]).await?;
    let row = row.ok_or_else(|| StoreError::Corrupt(format!("session `{session}` is gone")))?;
    if row.opt_text(0)?.is_none() {
        return Ok(Renewed::default());
    }
    let (secret, id) = (SessionSecret::generate().ok_or(ActError::Busy)?, SessionId::random());
    tx.execute(
        "INSERT INTO session (id, subject_id, started_at, expires_at, ended_at, revoke_reason, client_id, amr, \
           auth_time, secret_hash) \
         SELECT $1, subject_id, started_at, expires_at, NULL, NULL, client_id, amr, auth_time, $2 \
         FROM session WHERE id = $3",
        &[id.as_str().into(), secret.hash().into(), session.as_str().into()],
    )
    .await?;
    Ok(Renewed { cookie: Some(secret), session: Some(id) })
}
