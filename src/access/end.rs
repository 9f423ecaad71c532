//! Ending impersonations: by the staff member, by the customer, with a sign-out.
//!
//! Every end is a transaction of its own with one `platform.impersonation_ended` in both logs; the entry
//! carries the last running number, and nothing numbered comes after it (architecture §5.1).

use super::again::Again;
use super::entries::{self, permitted};
use super::transaction::{ActError, Done, InMemory};
use super::{Access, Known, RequestInfo};
use crate::audit::entry::{Entry, Logs, Stage};
use crate::audit::write_act;
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, Subject};
use crate::domain::{Event, Millis, PlatformUser, Principal, RevokeReason};
use crate::policy::Permit;
use crate::store::{ChangeRecord, Effect, Row, StoreError, Tx, Value};

/// An impersonation that is over.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Which.
    pub id: ImpersonationId,
    /// Since when.
    pub ended_at: Millis,
    /// Why.
    pub reason: RevokeReason,
}

/// What a sign-out ended.
#[derive(Debug, Clone)]
pub struct EndedAll {
    /// How many impersonations.
    pub impersonations: usize,
}

/// A grant that is being ended, and whose.
struct Grant {
    id: ImpersonationId,
    org: OrgId,
    reason: String,
    ticket_ref: Option<String>,
    operator: PlatformUser,
}

/// Live grants by some column, in the lock order of architecture §5 (by id).
#[derive(Debug, Clone)]
pub(super) enum LiveGrants {
    /// One.
    One(ImpersonationId),
    /// All of an org.
    OfOrg(OrgId),
    /// All there are.
    All,
    /// All of a platform user.
    OfUser(PlatformUserId),
    /// All of a platform user whose time is over.
    ExpiredOfUser(PlatformUserId),
}

macro_rules! live_grants {
    ($condition:literal) => {
        concat!(
            "SELECT i.id, i.org_id, i.reason, i.ticket_ref, u.id, u.email, u.display_name, u.roles, u.disabled_at, \
               u.password_change_required, u.enrolment_required \
             FROM impersonation i JOIN platform_user u ON u.id = i.platform_user_id \
             WHERE i.ended_at IS NULL AND ",
            $condition,
            " ORDER BY i.id"
        )
    };
}

/// Locks grants in the order of their ids. Alone in its statement: what is read with a lock is as it was before the
/// wait for it.
macro_rules! lock_grants {
    ($condition:literal) => {
        concat!(
            "SELECT i.id FROM impersonation i WHERE i.ended_at IS NULL AND ",
            $condition,
            " ORDER BY i.id {for_update}"
        )
    };
}

/// The two texts for one condition on `$1`.
macro_rules! texts {
    ($condition:literal) => {
        (lock_grants!($condition), live_grants!($condition))
    };
}

impl LiveGrants {
    fn texts(&self) -> ((&'static str, &'static str), &str) {
        match self {
            Self::One(id) => (texts!("i.id = $1"), id.as_str()),
            Self::OfOrg(id) => (texts!("i.org_id = $1"), id.as_str()),
            Self::All => (texts!("i.id <> $1"), ""),
            Self::OfUser(id) => (texts!("i.platform_user_id = $1"), id.as_str()),
            Self::ExpiredOfUser(id) => {
                (texts!("i.platform_user_id = $1 AND i.expires_at <= {now}"), id.as_str())
            }
        }
    }

    async fn lock(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let ((lock, _), id) = self.texts();
        tx.rows(lock, &[id.into()]).await.map(drop)
    }

    async fn rows(&self, tx: &mut Tx) -> Result<Vec<Row>, StoreError> {
        let ((_, read), id) = self.texts();
        tx.rows(read, &[id.into()]).await
    }
}

fn grant_of(row: &Row) -> Result<Grant, StoreError> {
    let corrupt = |e: crate::domain::ids::InvalidId| StoreError::Corrupt(e.to_string());
    Ok(Grant {
        id: ImpersonationId::parse(row.text(0)?).map_err(corrupt)?,
        org: OrgId::parse(row.text(1)?).map_err(corrupt)?,
        reason: row.text(2)?.to_owned(),
        ticket_ref: row.opt_text(3)?.map(str::to_owned),
        operator: super::records::platform_user_of(row, 4)?,
    })
}

/// Ends the live ones among `which`, with their entries begun from `template`. Gives them and the change
/// that tells every gateway; no change when none was live.
pub(super) async fn end_grants(
    tx: &mut Tx,
    which: &LiveGrants,
    why: RevokeReason,
    template: &Entry,
) -> Result<(Vec<Ended>, Option<ChangeRecord>), StoreError> {
    let mut ended = Vec::new();
    let mut subjects: Vec<Subject> = Vec::new();
    which.lock(tx).await?;
    for row in which.rows(tx).await? {
        let grant = grant_of(&row)?;
        let closed = tx
            .row(
                "UPDATE impersonation SET ended_at = {now}, revoke_reason = $1 \
                 WHERE id = $2 AND ended_at IS NULL RETURNING seq, ended_at",
                &[why.as_str().into(), grant.id.as_str().into()],
            )
            .await?;
        let Some(closed) = closed else { continue };
        let mut entry = template.clone();
        entry.event = Event::ImpersonationEnded;
        // What the act itself was about (whom it disabled, and why) is not the customer's to read.
        entry.details.clear();
        entry.resource = None;
        entry.logs = Logs::Both;
        entry.org_id = Some(grant.org);
        entry.impersonation_id = Some(grant.id.clone());
        entry.impersonation_seq = Some(closed.int(0)?);
        entry.platform_user = Some(grant.operator.identity());
        entry.reason = Some(grant.reason);
        entry.ticket_ref = grant.ticket_ref;
        entry.revoke_reason = Some(why);
        entry.status = Some(200);
        write_act(tx, &entry).await?;
        subjects.push(grant.id.subject());
        ended.push(Ended { id: grant.id, ended_at: closed.int(1)?, reason: why });
    }
    let change =
        (!subjects.is_empty()).then_some(ChangeRecord { effect: Effect::Ended(Some(why)), subjects });
    Ok((ended, change))
}

/// One that is over already, if `owner` matches.
async fn ended_before(
    tx: &mut Tx,
    id: &ImpersonationId,
    sql: &'static str,
    owner: &str,
) -> Result<Option<Ended>, StoreError> {
    let row = tx.row(sql, &[id.as_str().into(), Value::from(owner)]).await?;
    let Some(row) = row else { return Ok(None) };
    let reason = row.opt_text(1)?.and_then(RevokeReason::from_name).unwrap_or(RevokeReason::EndedByActor);
    Ok(Some(Ended { id: id.clone(), ended_at: row.opt_int(0)?.unwrap_or_default(), reason }))
}

impl Access {
    /// Ends one's own impersonation: with its token (no `id`), or with the platform token and the `id`.
    /// A repeat gives the same answer.
    ///
    /// # Errors
    /// [`ActError`]: somebody else's is not found.
    pub async fn end_own(
        &self,
        permit: Permit,
        caller: &Known,
        id: Option<ImpersonationId>,
        request: &RequestInfo,
    ) -> Result<Ended, ActError> {
        let (id, user) = match &caller.session.principal {
            Principal::Impersonation(own) => match id {
                Some(other) if other != own.id => return Err(ActError::NotFound("impersonation of yours")),
                _ => (own.id.clone(), own.operator.id.clone()),
            },
            Principal::PlatformUser(user) => {
                let id = id.ok_or(ActError::Invalid {
                    member: "impersonation_id",
                    fault: "is missing: name the impersonation to end",
                })?;
                (id, user.id.clone())
            }
            Principal::OrgUser(_) | Principal::Bot(_) => return Err(ActError::NoPermit),
        };
        let mut template =
            entries::entry(Event::ImpersonationEnded, Stage::Act, Some(&caller.session), request);
        permitted(&mut template, &permit);
        let sql = "SELECT ended_at, revoke_reason FROM impersonation WHERE id = $1 AND platform_user_id = $2";
        self.end_one(id, user.as_str(), sql, RevokeReason::EndedByActor, template, None).await
    }

    /// The owner or an org admin ends one impersonation of `org`.
    ///
    /// # Errors
    /// [`ActError`]: another org's is not found.
    pub async fn end_by_customer(
        &self,
        permit: Permit,
        caller: &Known,
        org: &OrgId,
        id: ImpersonationId,
        request: &RequestInfo,
    ) -> Result<Ended, ActError> {
        let mut template =
            entries::entry(Event::ImpersonationEnded, Stage::Act, Some(&caller.session), request);
        permitted(&mut template, &permit);
        let sql = "SELECT ended_at, revoke_reason FROM impersonation WHERE id = $1 AND org_id = $2";
        let again = self.again(&permit, caller, request);
        self.end_one(id, org.as_str(), sql, RevokeReason::EndedByCustomer, template, Some(again)).await
    }

    async fn end_one(
        &self,
        id: ImpersonationId,
        owner: &str,
        owned: &'static str,
        why: RevokeReason,
        template: Entry,
        again: Option<Again>,
    ) -> Result<Ended, ActError> {
        let owner = owner.to_owned();
        {
            // What isn't theirs must not be revoked in memory either.
            let mut tx = self.db.read().await?;
            if ended_before(&mut tx, &id, owned, &owner).await?.is_none() {
                return Err(ActError::NotFound("impersonation"));
            }
        }
        let in_memory = InMemory { subjects: vec![id.subject()], reason: why };
        self.revoke(in_memory, move |tx| {
            let (id, owner, template) = (id.clone(), owner.clone(), template.clone());
            let again = again.clone();
            Box::pin(async move {
                // The lock first: whoever waited for it is asked about as things are after the wait.
                LiveGrants::One(id.clone()).lock(tx).await?;
                if let Some(again) = again {
                    let lock = "SELECT id FROM impersonation WHERE id = $1 {for_update}";
                    tx.row(lock, &[id.as_str().into()]).await?;
                    again.judge(tx).await?;
                }
                let (ended, change) = end_grants(tx, &LiveGrants::One(id.clone()), why, &template).await?;
                if let Some(ended) = ended.into_iter().next() {
                    return Ok(Done::changed(ended, change.into_iter().collect()));
                }
                let before = ended_before(tx, &id, owned, &owner).await?;
                before.map(Done::repeated).ok_or(ActError::NotFound("impersonation"))
            })
        })
        .await
    }

    /// Signs a platform user out: this session ends, and every impersonation of theirs.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn logout(
        &self,
        permit: Permit,
        caller: &Known,
        request: &RequestInfo,
    ) -> Result<EndedAll, ActError> {
        let Principal::PlatformUser(user) = &caller.session.principal else { return Err(ActError::NoPermit) };
        let mut template = entries::entry(Event::PlatformLogout, Stage::Act, Some(&caller.session), request);
        permitted(&mut template, &permit);
        template.status = Some(200);
        let (user, session) = (user.id.clone(), caller.session.key.clone());
        let why = RevokeReason::Logout;
        let mut subjects = vec![session.clone()];
        {
            let mut tx = self.db.read().await?;
            for row in LiveGrants::OfUser(user.clone()).rows(&mut tx).await? {
                subjects.push(grant_of(&row)?.id.subject());
            }
        }
        let in_memory = InMemory { subjects, reason: why };
        self.revoke(in_memory, move |tx| {
            let (user, session, template) = (user.clone(), session.clone(), template.clone());
            Box::pin(async move {
                tx.row("SELECT id FROM platform_user WHERE id = $1 {for_update}", &[user.as_str().into()]).await?;
                tx.execute(
                    "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE id = $2 AND ended_at IS NULL",
                    &[why.as_str().into(), session.as_str().into()],
                )
                .await?;
                write_act(tx, &template).await?;
                let (ended, change) = end_grants(tx, &LiveGrants::OfUser(user), why, &template).await?;
                let mut changes = vec![ChangeRecord { effect: Effect::Ended(Some(why)), subjects: vec![session] }];
                changes.extend(change);
                Ok(Done::changed(EndedAll { impersonations: ended.len() }, changes))
            })
        })
        .await
    }
}
