//! The front door: credentials in, sessions with their facts out.

use super::credentials::{self, Credentials, Proof};
use super::mint::MintLimiter;
use super::records;
use super::view::View;
use super::{Authenticated, CredentialError, Known};
use crate::audit::AuditWriter;
use crate::domain::ids::{OrgId, Subject};
use crate::domain::{Clock, Millis, Org};
use crate::identity::{ApiToken, Tokens};
use crate::policy::PolicyEngine;
use crate::store::{ChangeRecord, Db, Live, StoreError, change, live::Stamped};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How often facts are read again when changes overtake them, before giving up.
const READ_ATTEMPTS: usize = 8;

/// Changes of others that are applied at a time.
const FOLLOWED: usize = 1_000;

/// What is configured.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// How long an impersonation lives, milliseconds (default 30 minutes).
    pub impersonation_ttl: Millis,
    /// Mints a minute for each platform user.
    pub mint_per_minute: u32,
}

/// What [`Access`] is composed of.
pub struct AccessParts {
    /// Records.
    pub db: Db,
    /// Live sessions.
    pub live: Arc<dyn Live>,
    /// Policies.
    pub policy: Arc<PolicyEngine>,
    /// Tokens.
    pub tokens: Tokens,
    /// Audit.
    pub audit: AuditWriter,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub settings: AccessSettings,
    /// Head of the change log at the start: nothing older is cached.
    pub head: u64,
}

/// See the module.
pub struct Access {
    pub(super) db: Db,
    live: Arc<dyn Live>,
    pub(super) policy: Arc<PolicyEngine>,
    pub(super) tokens: Tokens,
    pub(super) audit: AuditWriter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: AccessSettings,
    pub(super) limiter: MintLimiter,
    pub(super) view: View,
    credentials: Credentials,
    followed_at: AtomicI64,
}

impl Access {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: AccessParts) -> Self {
        let AccessParts { db, live, policy, tokens, audit, clock, settings, head } = parts;
        let limiter = MintLimiter::new(settings.mint_per_minute);
        let (view, credentials) = (View::starting_at(head), Credentials::default());
        let followed_at = AtomicI64::new(clock.now());
        Self { db, live, policy, tokens, audit, clock, settings, limiter, view, credentials, followed_at }
    }

    /// Who a credential proves, when that is known already: no I/O, no waiting. Any bytes may be asked for;
    /// only those that were proved once are known.
    #[must_use]
    pub fn recall(&self, credential: &[u8]) -> Option<Authenticated> {
        let proof = self.credentials.get(&credentials::hash(credential))?;
        let known = self.view.session(&proof.session)?;
        Some(Authenticated { known, token_expires_at: proof.token_expires_at })
    }

    /// Who a credential proves; reads the records when it must. Ended, expired, disabled are facts, not errors.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn authenticate(&self, credential: &str) -> Result<Authenticated, CredentialError> {
        let hash = credentials::hash(credential.as_bytes());
        let proof = match self.credentials.get(&hash) {
            Some(proof) => proof,
            None => self.prove(credential).await?,
        };
        let known = self.known(&proof.session).await?.ok_or(CredentialError::Invalid)?;
        let token_expires_at = proof.token_expires_at;
        self.credentials.keep(hash, proof);
        Ok(Authenticated { known, token_expires_at })
    }

    async fn prove(&self, credential: &str) -> Result<Proof, CredentialError> {
        if let Some(token) = ApiToken::parse(credential) {
            let mut tx = self.db.read().await.map_err(unavailable)?;
            let key = records::api_token_key(&mut tx, &token).await.map_err(unavailable)?;
            let session = key.ok_or(CredentialError::Invalid)?;
            return Ok(Proof { session, token_expires_at: Millis::MAX });
        }
        let proved = self.tokens.prove(credential).map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a token was refused");
            CredentialError::Invalid
        })?;
        // An impersonation's expiry is one of its facts: policy tells expired from revoked.
        let token_expires_at = if proved.impersonation { Millis::MAX } else { proved.expires_at };
        Ok(Proof { session: proved.session, token_expires_at })
    }

    /// A session by its key, from memory, the live store or the records, in this order.
    async fn known(&self, key: &Subject) -> Result<Option<Arc<Known>>, CredentialError> {
        if let Some(known) = self.view.session(key) {
            return Ok(Some(known));
        }
        let now = self.clock.now();
        if let Ok(Some(stamped)) = self.live.get(key, now).await {
            let session = Arc::unwrap_or_clone(stamped.session);
            if let Ok(known) = self.view.insert(session, stamped.as_of, now) {
                return Ok(Some(known));
            }
        }
        for _ in 0..READ_ATTEMPTS {
            let mut tx = self.db.read().await.map_err(unavailable)?;
            // The head first: what is stamped with it is at least as new.
            let as_of = change::head(&mut tx).await.map_err(unavailable)?;
            let session = records::session(&mut tx, key).await.map_err(unavailable)?;
            drop(tx);
            let Some(session) = session else { return Ok(None) };
            if let Ok(known) = self.view.insert(session, as_of, now) {
                let stamped = Stamped { session: known.session.clone(), as_of };
                if known.session.ended.is_none() && self.live.put(stamped).await.is_err() {
                    tracing::debug!("the live store didn't take a session");
                }
                return Ok(Some(known));
            }
        }
        Err(CredentialError::Unavailable)
    }

    /// An org that is known already: no I/O.
    #[must_use]
    pub fn recall_org(&self, id: &OrgId) -> Option<Arc<Org>> {
        self.view.org(id)
    }

    /// An org; [`Org::unknown`] if there is none (that is not kept: strangers can't fill the memory).
    ///
    /// # Errors
    /// [`CredentialError::Unavailable`].
    pub async fn org(&self, id: &OrgId) -> Result<Arc<Org>, CredentialError> {
        if let Some(org) = self.view.org(id) {
            return Ok(org);
        }
        for _ in 0..READ_ATTEMPTS {
            let mut tx = self.db.read().await.map_err(unavailable)?;
            let as_of = change::head(&mut tx).await.map_err(unavailable)?;
            let org = records::org(&mut tx, id).await.map_err(unavailable)?;
            drop(tx);
            let Some(org) = org else { return Ok(Arc::new(Org::unknown(id.clone()))) };
            if let Ok(org) = self.view.insert_org(org, as_of) {
                return Ok(org);
            }
        }
        Err(CredentialError::Unavailable)
    }

    /// Applies changes that are committed: to this process at once, to the live store as a courtesy.
    pub(super) async fn publish(&self, changes: &[(u64, ChangeRecord)]) {
        for (n, record) in changes {
            self.view.apply(*n, record);
        }
        for (n, record) in changes {
            for subject in &record.subjects {
                if self.live.forget(subject, *n).await.is_err() {
                    tracing::warn!(
                        "the live store didn't take a change; gateways read it from the change log"
                    );
                }
            }
        }
        if let Some((n, _)) = changes.last()
            && self.live.hint(*n).await.is_err()
        {
            tracing::debug!("the live store didn't take a hint");
        }
    }

    /// Applies what others have committed: an operator's command beside this gateway.
    pub(super) async fn follow_changes(&self) -> Result<(), StoreError> {
        let mut tx = self.db.read().await?;
        let changes = change::since(&mut tx, self.view.applied(), FOLLOWED).await?;
        drop(tx);
        for change in changes {
            self.view.apply(change.n, &change.record);
        }
        self.live.reached(self.view.applied());
        self.followed_at.store(self.clock.now(), Ordering::Relaxed);
        Ok(())
    }

    /// How long ago the change log was last read for what others committed, in milliseconds. What this
    /// gateway commits itself is in force at once.
    #[must_use]
    pub fn view_age(&self) -> Millis {
        (self.clock.now() - self.followed_at.load(Ordering::Relaxed)).max(0)
    }

    /// Every change up to this one is in force here.
    #[must_use]
    pub fn applied_change(&self) -> u64 {
        self.view.applied()
    }

    /// The issuer of our tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.tokens.issuer()
    }
}

fn unavailable(error: StoreError) -> CredentialError {
    tracing::error!(error = &error as &dyn std::error::Error, "the records can't be read");
    CredentialError::Unavailable
}
