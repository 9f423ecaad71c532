//! The front door: credentials in, sessions with their facts out.

use super::accounts::{AccountSettings, Accounts, SetupSecret};
use super::credentials::{self, CredentialHash, Credentials, Proof};
use super::federation::Federation;
use super::freshness::{Freshness, Rule};
use super::mint::MintLimiter;
use super::oauth::OAuth;
use super::records;
use super::view::View;
use super::{Authenticated, Cluster, CredentialError, Known, Lease};
use crate::audit::AuditWriter;
use crate::domain::ids::{ImpersonationId, OrgId, Subject};
use crate::domain::{Clock, Millis, Org, boot_time};
use crate::identity::{ApiToken, ProvedToken, Sealer, TokenError, Tokens};
use crate::policy::PolicyEngine;
use crate::store::change::{self, Position};
use crate::store::{ChangeRecord, Db, Live, StoreError, live::Stamped};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How often facts are read again when changes overtake them, before giving up.
const READ_ATTEMPTS: usize = 8;

/// How many times the patience of a request a start waits for its first lease.
const FIRST_RENEWALS: usize = 10;

/// What is configured.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// How long an impersonation lives, milliseconds (default 30 minutes).
    pub impersonation_ttl: Millis,
    /// Mints a minute for each platform user.
    pub mint_per_minute: u32,
    /// Accounts of the vendor's staff.
    pub accounts: AccountSettings,
    /// For tests: a rule that is left out.
    #[doc(hidden)]
    pub without: Option<Rule>,
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
    /// Opens and seals what is kept or handed out for a while.
    pub sealer: Arc<Sealer>,
    /// The authorization server.
    pub oauth: OAuth,
    /// The providers that the customers' people sign in with.
    pub federation: Federation,
    /// What the setup gate asks for.
    pub setup_secret: SetupSecret,
    /// Audit.
    pub audit: AuditWriter,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub settings: AccessSettings,
    /// Where the change log stood at the start: nothing older is cached.
    pub started_at: Position,
    /// How long this gateway's view may be trusted.
    pub lease: Lease,
    /// Who this gateway is, where several share the records.
    pub cluster: Option<Cluster>,
}

/// See the module.
pub struct Access {
    pub(super) db: Db,
    pub(super) live: Arc<dyn Live>,
    pub(super) policy: Arc<PolicyEngine>,
    pub(super) tokens: Tokens,
    pub(super) sealer: Arc<Sealer>,
    pub(super) oauth: OAuth,
    pub(super) federation: Arc<Federation>,
    pub(super) audit: AuditWriter,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: AccessSettings,
    pub(super) limiter: MintLimiter,
    pub(super) accounts: Accounts,
    pub(super) view: View,
    pub(super) lease: Lease,
    pub(super) cluster: Option<Cluster>,
    /// Where the change log stood when nothing was cached yet.
    pub(super) started_at: Position,
    pub(super) credentials: Credentials,
    pub(super) followed_at: AtomicI64,
    /// How far the database's clock is ahead of this machine's, milliseconds, as seen last.
    skew: AtomicI64,
}

impl Access {
    /// Puts it together.
    #[must_use]
    pub fn new(parts: AccessParts) -> Self {
        let AccessParts {
            db,
            live,
            policy,
            tokens,
            sealer,
            oauth,
            federation,
            setup_secret,
            audit,
            clock,
            settings,
            started_at,
            lease,
            cluster,
        } = parts;
        let accounts = Accounts::new(settings.accounts.clone(), sealer.clone(), setup_secret);
        let limiter = MintLimiter::new(settings.mint_per_minute);
        let view = View::starting_at(&started_at, settings.without != Some(Rule::Stamp));
        let credentials = Credentials::default();
        let followed_at = AtomicI64::new(clock.now());
        Self {
            db,
            live,
            policy,
            tokens,
            sealer,
            oauth,
            federation: Arc::new(federation),
            audit,
            clock,
            settings,
            limiter,
            accounts,
            view,
            lease,
            cluster,
            started_at,
            credentials,
            followed_at,
            skew: AtomicI64::new(0),
        }
    }

    /// Who a credential proves, when that is known already: no I/O, no waiting. Any bytes may be asked for;
    /// only those that were proved once are known.
    #[must_use]
    pub fn recall(&self, credential: &[u8]) -> Option<Authenticated> {
        self.recall_proof(&credentials::hash(credential))
    }

    /// The same of what was kept under this hash.
    pub(super) fn recall_proof(&self, hash: &CredentialHash) -> Option<Authenticated> {
        // Before the facts: what is read afterwards is at least as new.
        let freshness = self.lease.now();
        let proof = self.credentials.get(hash)?;
        let known = self.view.session(&proof.session)?;
        if !freshness.admits(&known.session.principal) {
            return None;
        }
        Some(Authenticated { known, token_expires_at: proof.token_expires_at })
    }

    /// Who a credential proves; reads the records when it must. Ended, expired, disabled are facts, not errors.
    ///
    /// # Errors
    /// [`CredentialError`].
    pub async fn authenticate(&self, credential: &str) -> Result<Authenticated, CredentialError> {
        let (hash, round) = (credentials::hash(credential.as_bytes()), self.credentials.round());
        let proof = match self.credentials.get(&hash) {
            Some(proof) => proof,
            None => self.prove(credential).await?,
        };
        let known = self.fresh(&proof.session).await?;
        let token_expires_at = proof.token_expires_at;
        // One text of the identifier, shared with the facts.
        let session = known.session.key.clone();
        self.credentials.keep(hash, Proof { session, token_expires_at }, round);
        Ok(Authenticated { known, token_expires_at })
    }

    async fn prove(&self, credential: &str) -> Result<Proof, CredentialError> {
        if let Some(token) = ApiToken::parse(credential) {
            let mut tx = self.db.read().await.map_err(unavailable)?;
            let key = records::api_token_key(&mut tx, &token).await.map_err(unavailable)?;
            let session = key.ok_or(CredentialError::Invalid)?;
            return Ok(Proof { session, token_expires_at: Millis::MAX });
        }
        let proved = self.prove_token(credential).await.map_err(|error| {
            tracing::debug!(error = &error as &dyn std::error::Error, "a token was refused");
            CredentialError::Invalid
        })?;
        // An impersonation's expiry is one of its facts: policy tells expired from revoked.
        let token_expires_at = if proved.impersonation { Millis::MAX } else { proved.expires_at };
        Ok(Proof { session: proved.session, token_expires_at })
    }

    /// Proves a token of ours. One of a key that isn't known makes us look at the keys, once a second at most.
    pub(super) async fn prove_token(&self, token: &str) -> Result<ProvedToken, TokenError> {
        match self.tokens.prove(token) {
            Err(error) if error.is_unknown_key() && self.tokens.keys().may_ask() => {
                self.reread_keys().await;
                self.tokens.prove(token)
            }
            proved => proved,
        }
    }

    /// A session with facts that may be trusted; waits a little for a renewal of the lease that is late.
    pub(super) async fn fresh(&self, key: &Subject) -> Result<Arc<Known>, CredentialError> {
        for late in [false, true] {
            if late {
                self.lease.renewal().await;
            }
            let freshness = self.lease.now();
            // Nobody but a grant is let in then, so that nothing need be asked of records that don't answer.
            if freshness != Freshness::Lapsed || ImpersonationId::parse(key.as_str()).is_ok() {
                let known = self.known(key).await?.ok_or(CredentialError::Invalid)?;
                if freshness.admits(&known.session.principal) {
                    return Ok(known);
                }
            }
        }
        Err(CredentialError::Stale)
    }

    pub(super) fn is_without(&self, rule: Rule) -> bool {
        self.settings.without == Some(rule)
    }

    /// Whether a request that was let in on these facts may still go out: asked before the first byte of every
    /// upstream try, since it may have waited in between.
    #[must_use]
    pub fn may_still_go(&self, known: &Known) -> bool {
        self.lease.now().admits(&known.session.principal)
    }

    /// A session by its key, from memory, the live store or the records, in this order.
    async fn known(&self, key: &Subject) -> Result<Option<Arc<Known>>, CredentialError> {
        if let Some(known) = self.view.session(key) {
            return Ok(Some(known));
        }
        let now = self.clock.now();
        if self.live.is_shared()
            && let Ok(Some(stamped)) = self.live.get(key, now).await
            && (self.view.vouches(stamped.as_of, stamped.log) || self.is_without(Rule::Stamp))
        {
            let session = Arc::unwrap_or_clone(stamped.session);
            if let Ok(known) = self.view.insert(session, stamped.as_of, now) {
                return Ok(Some(known));
            }
        }
        for _ in 0..READ_ATTEMPTS {
            let mut tx = self.db.read().await.map_err(unavailable)?;
            // The head first: what is stamped with it is at least as new.
            let head = change::position(&mut tx).await.map_err(unavailable)?;
            let session = records::session(&mut tx, key).await.map_err(unavailable)?;
            drop(tx);
            let Some(session) = session else { return Ok(None) };
            if let Ok(known) = self.view.insert(session, head.n, now) {
                if self.live.is_shared() && known.session.ended.is_none() {
                    let log = head.fingerprint();
                    let stamped = Stamped { session: known.session.clone(), as_of: head.n, log };
                    if self.live.put(stamped).await.is_err() {
                        tracing::debug!("the live store didn't take a session");
                    }
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

    /// Applies changes that are committed to this process. The others are told by the live store, which nobody
    /// waits for: it may stand still, and each gateway reads the change log anyway.
    pub(super) fn publish(&self, changes: &[(Position, ChangeRecord)]) {
        for (position, record) in changes {
            self.view.apply(position.n, record);
        }
        let Some((newest, _)) = changes.last() else { return };
        self.view.committed(newest);
        let (live, newest) = (self.live.clone(), newest.n);
        let forgotten = if live.is_shared() { changes } else { &[] };
        let gone: Vec<(Subject, u64)> =
            forgotten.iter().flat_map(|(at, r)| r.subjects.iter().map(|s| (s.clone(), at.n))).collect();
        drop(tokio::spawn(async move {
            // The hint first: a revoking call waits for those who hear it.
            if live.hint(newest).await.is_err() {
                tracing::debug!("the live store didn't take a hint");
            }
            for (subject, n) in gone {
                if live.forget(&subject, n).await.is_err() {
                    tracing::warn!(
                        "the live store didn't take a change; gateways read it from the change log"
                    );
                    break;
                }
            }
        }));
    }

    /// How long ago it was seen that nothing had changed that isn't in force here, in milliseconds.
    #[must_use]
    pub fn view_age(&self) -> Millis {
        (self.clock.now() - self.followed_at.load(Ordering::Relaxed)).max(0)
    }

    /// For how long, in milliseconds, this gateway's view may be trusted from now on; `None`: no lease is needed.
    #[must_use]
    pub fn trusted_for(&self) -> Option<Millis> {
        self.lease.is_needed().then(|| self.lease.good_until().saturating_sub(boot_time()))
    }

    /// Waits until the records have been looked at and the lease is good; a few seconds at most, after which
    /// requests are refused until it is.
    pub async fn until_fresh(&self) {
        for _ in 0..FIRST_RENEWALS {
            if self.is_fresh() {
                return;
            }
            self.lease.renewal().await;
        }
    }

    /// Whether requests of every kind are let in: false while the lease has lapsed.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.lease.now() == Freshness::Fresh
    }

    /// How far the database's clock is ahead of this machine's, in milliseconds, at least; 0 on SQLite.
    #[must_use]
    pub fn clock_skew(&self) -> Millis {
        self.skew.load(Ordering::Relaxed)
    }

    /// Takes note of the database's clock, which was asked at `asked` and has just answered.
    pub(super) fn note_skew(&self, asked: Millis, theirs: Millis) {
        self.skew.store(skew(asked, self.clock.now(), theirs), Ordering::Relaxed);
    }

    /// Every change up to this one is in force here.
    #[must_use]
    pub fn applied_change(&self) -> u64 {
        self.view.applied()
    }

    /// The authorization server.
    #[must_use]
    pub fn oauth(&self) -> &OAuth {
        &self.oauth
    }

    /// The issuer of our tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.tokens.issuer()
    }
}

/// How far a clock that said `theirs` at some instant between two of ours is certainly ahead.
fn skew(asked: Millis, answered: Millis, theirs: Millis) -> Millis {
    if theirs > answered { theirs - answered } else { (theirs - asked).min(0) }
}

pub(super) fn unavailable(error: StoreError) -> CredentialError {
    tracing::error!(error = &error as &dyn std::error::Error, "the records can't be read");
    CredentialError::Unavailable
}

#[cfg(test)]
mod tests {
    use super::skew;

    #[test]
    fn only_what_an_answer_proves_is_skew() {
        for (theirs, wanted) in
            [(100, 0), (150, 0), (200, 0), (201, 1), (1_300, 1_100), (99, -1), (-950, -1_050)]
        {
            assert_eq!(skew(100, 200, theirs), wanted, "{theirs}");
        }
    }
}
