//! Minting an impersonation: lock, count, ask Cedar with that count, insert, record; one transaction
//! (architecture §5, "Mint and its rivals").

use super::end::{LiveGrants, end_grants};
use super::entries::{self, denied, permitted};
use super::transaction::{ActError, Done, work};
use super::{Access, Known, Reason, RequestInfo, records};
use crate::audit::entry::{ActorType, Entry, Logs, Stage};
use crate::audit::write_act;
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, SessionId};
use crate::domain::{Event, Millis, OrgRole, Principal, RevokeReason, Secret, Session};
use crate::identity::ImpersonationGrant;
use crate::policy::{Context, Decision, Denial, Permit, Question};
use crate::store::{ChangeRecord, StoreError, Tx};
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The role of every impersonation: never `owner`, by whatever input.
const ROLE: OrgRole = OrgRole::Admin;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct MintRequest {
    /// The org to enter.
    pub org: OrgId,
    /// Why.
    pub reason: Reason,
    /// Ticket, as given.
    pub ticket_ref: Option<String>,
    /// `Idempotency-Key`: a repeat gives the same grant.
    pub idempotency_key: Option<String>,
}

/// A grant and its token.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The grant.
    pub id: ImpersonationId,
    /// The org.
    pub org: OrgId,
    /// The role there.
    pub role: OrgRole,
    /// The bearer token, to show once (a repeat with the same `Idempotency-Key` shows it again).
    pub token: Secret,
    /// Seconds from its beginning to its end.
    pub expires_in: i64,
}

/// A grant as it is recorded.
struct Grant {
    id: ImpersonationId,
    started_at: Millis,
    expires_at: Millis,
}

type Outcome = Result<Grant, ActError>;

impl Access {
    /// Mints. `call` is the gate's permit for `call`; whether *this* mint may be is decided here, under lock.
    ///
    /// # Errors
    /// [`ActError`]; refusals are in both logs.
    pub async fn mint(
        self: &Arc<Self>,
        call: Permit,
        caller: &Known,
        asked: MintRequest,
        request: &RequestInfo,
    ) -> Result<Minted, ActError> {
        let Principal::PlatformUser(user) = &caller.session.principal else { return Err(ActError::NoPermit) };
        drop(call);
        if let Err(retry_after) = self.limiter.take(&user.id, self.clock.now()) {
            self.record_rate_limited(caller, &asked, request).await;
            return Err(ActError::RateLimited { retry_after });
        }
        let (user, session) = (user.id.clone(), caller.session.key.clone());
        let org = asked.org.clone();
        let session = SessionId::parse(session.as_str()).map_err(|_| ActError::NoPermit)?;
        let work = {
            let (access, user, request) = (Arc::clone(self), user.clone(), request.clone());
            work(move |tx| {
                let (access, user, session) = (access.clone(), user.clone(), session.clone());
                let (asked, request) = (asked.clone(), request.clone());
                Box::pin(async move { access.mint_in(tx, &user, &session, &asked, &request).await })
            })
        };
        let grant = self.act(work).await??;
        let token = self.tokens.impersonation(&ImpersonationGrant {
            id: &grant.id,
            org: &org,
            role: ROLE,
            operator: &user,
            issued_at: grant.started_at,
            expires_at: grant.expires_at,
        })?;
        let expires_in = (grant.expires_at - grant.started_at) / 1000;
        Ok(Minted { id: grant.id, org, role: ROLE, token, expires_in })
    }

    /// The transaction. A refusal is an answer, committed with its entries; only faults roll back.
    async fn mint_in(
        &self,
        tx: &mut Tx,
        user: &PlatformUserId,
        session: &SessionId,
        asked: &MintRequest,
        request: &RequestInfo,
    ) -> Result<Done<Outcome>, ActError> {
        // Locks in order: user, org. Facts are read after the locks, so that no rival's end is missed.
        tx.row("SELECT id FROM platform_user WHERE id = $1 {for_update}", &[user.as_str().into()]).await?;
        tx.row("SELECT id FROM org WHERE id = $1 {for_share}", &[asked.org.as_str().into()]).await?;
        let facts = records::session(tx, &session.subject()).await?.ok_or(ActError::NoPermit)?;
        let org = records::org(tx, &asked.org).await?;
        let template = self.mint_entry(&facts, asked, request);

        if let Some(repeat) = self.repeated(tx, user, asked).await? {
            return Ok(Done::unchanged(repeat));
        }
        let Some(org) = org else {
            return refuse_unknown_org(tx, template).await;
        };
        let mut changes: Vec<ChangeRecord> = Vec::new();
        let expired = LiveGrants::ExpiredOfUser(user.clone());
        let mut expiry = Entry::system(Event::ImpersonationEnded, Stage::Act, self.clock.now());
        expiry.request_id = request.id.clone();
        changes.extend(end_grants(tx, &expired, RevokeReason::Expired, &expiry).await?.1);

        let taken = tx
            .rows(
                "SELECT slot FROM impersonation WHERE platform_user_id = $1 AND ended_at IS NULL ORDER BY slot",
                &[user.as_str().into()],
            )
            .await?;
        let taken = taken.iter().map(|row| row.int(0)).collect::<Result<Vec<_>, StoreError>>()?;
        let now = tx.now().await?;
        match self.decide_mint(&facts, &org, asked, request, taken.len(), now)? {
            Decision::Denied(denial) => {
                let mut entry = template;
                entry.event = Event::ImpersonationDenied;
                entry.stage = Stage::Refused;
                denied(&mut entry, &denial);
                write_act(tx, &entry).await?;
                Ok(Done::changed(Err(ActError::Refused(Box::new(denial))), changes))
            }
            Decision::Permit(permit) => {
                let grant = self.insert_grant(tx, user, asked, lowest_free(&taken), now).await?;
                let mut entry = template;
                permitted(&mut entry, &permit);
                entry.impersonation_id = Some(grant.id.clone());
                entry.status = Some(201);
                write_act(tx, &entry).await?;
                Ok(Done::changed(Ok(grant), changes))
            }
        }
    }

    fn decide_mint(
        &self,
        facts: &Session,
        org: &crate::domain::Org,
        asked: &MintRequest,
        request: &RequestInfo,
        live: usize,
        now: Millis,
    ) -> Result<Decision, ActError> {
        let snapshot = self.policy.snapshot();
        let action = snapshot.action("startImpersonation").ok_or(ActError::NoPermit)?;
        let context = Context {
            live_impersonations: i64::try_from(live).unwrap_or(i64::MAX),
            reason_length: asked.reason.visible(),
            has_ticket: asked.ticket_ref.is_some(),
            ..request.context(now, facts)
        };
        Ok(snapshot.decide(&Question {
            session: Some(facts),
            action,
            org: Some(org),
            resource_id: Some(asked.org.as_str()),
            context: &context,
            prepared: None,
        }))
    }

    async fn insert_grant(
        &self,
        tx: &mut Tx,
        user: &PlatformUserId,
        asked: &MintRequest,
        slot: i64,
        now: Millis,
    ) -> Result<Grant, StoreError> {
        // Whole seconds, so that `exp − iat` of the token is exactly the lifetime.
        let started_at = now.div_euclid(1000) * 1000;
        let grant = Grant {
            id: ImpersonationId::random(),
            started_at,
            expires_at: started_at + self.settings.impersonation_ttl,
        };
        tx.execute(
            "INSERT INTO impersonation (id, platform_user_id, org_id, role, reason, ticket_ref, slot, seq, \
               started_at, expires_at, ended_at, revoke_reason, idempotency_key, request_digest) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, NULL, NULL, $10, $11)",
            &[
                grant.id.as_str().into(),
                user.as_str().into(),
                asked.org.as_str().into(),
                ROLE.as_str().into(),
                asked.reason.as_str().into(),
                asked.ticket_ref.clone().into(),
                slot.into(),
                grant.started_at.into(),
                grant.expires_at.into(),
                asked.idempotency_key.clone().into(),
                request_digest(asked).into(),
            ],
        )
        .await?;
        Ok(grant)
    }

    /// The grant of an earlier call with the same `Idempotency-Key`.
    async fn repeated(
        &self,
        tx: &mut Tx,
        user: &PlatformUserId,
        asked: &MintRequest,
    ) -> Result<Option<Outcome>, StoreError> {
        let Some(key) = &asked.idempotency_key else { return Ok(None) };
        let row = tx
            .row(
                "SELECT id, started_at, expires_at, request_digest FROM impersonation \
                 WHERE platform_user_id = $1 AND idempotency_key = $2",
                &[user.as_str().into(), key.as_str().into()],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        if row.opt_text(3)? != Some(request_digest(asked).as_str()) {
            return Ok(Some(Err(ActError::Invalid {
                member: "Idempotency-Key",
                fault: "was used with another body: take a new key",
            })));
        }
        let id = ImpersonationId::parse(row.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
        Ok(Some(Ok(Grant { id, started_at: row.int(1)?, expires_at: row.int(2)? })))
    }

    fn mint_entry(&self, facts: &Session, asked: &MintRequest, request: &RequestInfo) -> Entry {
        let mut entry = entries::entry(Event::ImpersonationStarted, Stage::Act, Some(facts), request);
        entry.actor_type = ActorType::PlatformAdminImpersonating;
        entry.logs = Logs::Both;
        entry.org_id = Some(asked.org.clone());
        entry.resource = Some(asked.org.to_string());
        entry.reason = Some(asked.reason.as_str().to_owned());
        entry.ticket_ref.clone_from(&asked.ticket_ref);
        entry
    }

    async fn record_rate_limited(&self, caller: &Known, asked: &MintRequest, request: &RequestInfo) {
        let mut entry = self.mint_entry(&caller.session, asked, request);
        entry.event = Event::ImpersonationDenied;
        entry.stage = Stage::Refused;
        entry.logs = Logs::Platform;
        entry.decision = Some("deny");
        entry.code = Some("RATE_LIMITED".to_owned());
        entry.status = Some(429);
        if let Err(error) = self.audit.refusal(entry).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a refused mint can't be recorded");
        }
    }
}

async fn refuse_unknown_org(tx: &mut Tx, mut entry: Entry) -> Result<Done<Outcome>, ActError> {
    entry.event = Event::ImpersonationDenied;
    entry.stage = Stage::Refused;
    entry.logs = Logs::Platform;
    entry.decision = Some("deny");
    entry.code = Some("NOT_FOUND".to_owned());
    entry.status = Some(404);
    write_act(tx, &entry).await?;
    Ok(Done::unchanged(Err(ActError::NotFound("org"))))
}

/// What a repeat under one `Idempotency-Key` must agree in.
fn request_digest(asked: &MintRequest) -> String {
    let told = serde_json::json!([asked.org.as_str(), asked.reason.as_str(), asked.ticket_ref]);
    hex::encode(digest(&SHA256, told.to_string().as_bytes()))
}

/// The lowest number from 1 that is not in `taken` (ascending).
fn lowest_free(taken: &[i64]) -> i64 {
    let mut free = 1;
    for slot in taken {
        if *slot == free {
            free += 1;
        }
    }
    free
}

/// How often a denial of one kind may be asked for: a bucket of tokens for each platform user.
pub(super) struct MintLimiter {
    per_minute: u32,
    /// A plain lock: held for an addition.
    buckets: Mutex<HashMap<PlatformUserId, (f64, Millis)>>,
}

impl MintLimiter {
    pub(super) fn new(per_minute: u32) -> Self {
        Self { per_minute, buckets: Mutex::default() }
    }

    /// Takes one, or says after how many seconds there will be one.
    fn take(&self, user: &PlatformUserId, now: Millis) -> Result<(), u32> {
        let size = f64::from(self.per_minute);
        let mut buckets = self.buckets.lock();
        let (left, at) = buckets.entry(user.clone()).or_insert((size, now));
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few minutes")]
        let passed = (now - *at).clamp(0, 60_000) as f64;
        *left = (*left + passed * size / 60_000.0).min(size);
        *at = now;
        if *left >= 1.0 {
            *left -= 1.0;
            return Ok(());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 60")]
        let wait = ((1.0 - *left) * 60.0 / size.max(1.0)).ceil().clamp(1.0, 60.0) as u32;
        Err(wait)
    }
}

/// A denial is kept whole on the heap: it is the rare case of a small result.
impl From<Denial> for ActError {
    fn from(denial: Denial) -> Self {
        Self::Refused(Box::new(denial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_lowest_free_slot(taken in proptest::collection::btree_set(1_i64..12, 0..10)) {
            let sorted: Vec<i64> = taken.iter().copied().collect();
            let free = lowest_free(&sorted);
            prop_assert!(!taken.contains(&free) && (1..free).all(|n| taken.contains(&n)));
        }
    }

    #[test]
    fn a_bucket_fills_again() {
        let (limiter, user) = (MintLimiter::new(60), PlatformUserId::random());
        assert_eq!((0..100).filter(|_| limiter.take(&user, 0).is_ok()).count(), 60);
        assert_eq!(limiter.take(&user, 500), Err(1));
        assert_eq!(limiter.take(&user, 1_000), Ok(()));
        assert!(limiter.take(&user, 1_000).is_err());
        assert_eq!((0..100).filter(|_| limiter.take(&user, 10_000_000).is_ok()).count(), 60);
    }
}
