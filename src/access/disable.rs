//! Disabling and enabling platform accounts.
//!
//! Disabling locks every active admin's row first: two admins who disable each other leave one (architecture §5).

use super::accounts::clear_factors;
use super::end::{LiveGrants, end_grants};
use super::entries::{self, denied, permitted};
use super::transaction::{ActError, Done, InMemory, work};
use super::{Access, Known, Reason, RequestInfo, records};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, Millis, PlatformUser, Principal, RevokeReason};
use crate::policy::{Context, Decision, Permit, Question};
use crate::store::{ChangeRecord, Effect, StoreError, Tx, Value};
use std::sync::Arc;

/// Name of the role that administers the platform.
pub const ADMIN_ROLE: &str = "platform-admin";

/// Why an account is disabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The person left.
    Departure,
    /// The person does something else now.
    RoleChange,
    /// The account may be in wrong hands.
    Compromise,
}

impl Cause {
    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Departure => "departure",
            Self::RoleChange => "role_change",
            Self::Compromise => "compromise",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct DisableRequest {
    /// Whose account.
    pub user: PlatformUserId,
    /// Why, in words.
    pub reason: Reason,
    /// Ticket; one inside the reason serves too.
    pub ticket_ref: Option<String>,
    /// Why, by kind.
    pub cause: Option<Cause>,
    /// The other admin who acknowledged: identifier or e-mail.
    pub approved_by: Option<String>,
}

/// An account that is disabled.
#[derive(Debug, Clone)]
pub struct Disabled {
    /// Whose.
    pub id: PlatformUserId,
    /// Since when.
    pub disabled_at: Millis,
    /// How many impersonations the call ended.
    pub ended: usize,
}

/// An account that is enabled.
#[derive(Debug, Clone)]
pub struct Enabled {
    /// Whose.
    pub id: PlatformUserId,
}

type Outcome = Result<Disabled, ActError>;

/// What the policies say of a disable, and the entry that tells it.
struct Judged {
    entry: Entry,
    target: PlatformUser,
    decision: Decision,
}

impl Access {
    /// Disables an account: `disabled_at`, every session and impersonation, in one step.
    ///
    /// # Errors
    /// [`ActError`]; policy refusals are in the platform log.
    pub async fn disable(
        self: &Arc<Self>,
        call: Permit,
        caller: &Known,
        asked: DisableRequest,
        request: &RequestInfo,
    ) -> Result<Disabled, ActError> {
        drop(call);
        let (me, request) = (caller.session.key.clone(), request.clone());
        let access = Arc::clone(self);
        let work = work(|tx| {
            let (access, me, asked, request) = (access.clone(), me.clone(), asked.clone(), request.clone());
            Box::pin(async move { access.disable_in(tx, &me, &asked, &request).await })
        });
        let mut result = self.act(&work).await;
        if matches!(result, Err(ActError::Store(StoreError::Full(_)))) {
            let nothing = InMemory { subjects: Vec::new(), reason: RevokeReason::PlatformUserDisabled };
            result = self.revoke(nothing, &work).await;
        }
        if let Err(ActError::Store(
            StoreError::Full(_)
            | StoreError::ReadOnly(_)
            | StoreError::Io(_)
            | StoreError::Unreachable(_)
            | StoreError::Unknown(_),
        )) = &result
        {
            self.disable_unwritten(&me, &asked, &request).await?;
        }
        result?
    }

    /// The disk refuses the record: what the policies permit is in force in memory all the same.
    async fn disable_unwritten(
        &self,
        me: &Subject,
        asked: &DisableRequest,
        request: &RequestInfo,
    ) -> Result<(), ActError> {
        // It locks rows, which PostgreSQL grants to a writer only. SQLite's writer may be shut.
        let tx = if self.db.is_shared() { self.db.write().await } else { self.db.read().await };
        let mut tx = tx?;
        match self.judge_disable(&mut tx, me, asked, request).await?.decision {
            Decision::Permit(_) => {
                self.view.apply_unrecorded(&[asked.user.subject()], RevokeReason::PlatformUserDisabled);
                Ok(())
            }
            Decision::Denied(denial) => Err(denial.into()),
        }
    }

    async fn disable_in(
        &self,
        tx: &mut Tx,
        me: &Subject,
        asked: &DisableRequest,
        request: &RequestInfo,
    ) -> Result<Done<Outcome>, ActError> {
        let Judged { mut entry, target, decision } = self.judge_disable(tx, me, asked, request).await?;
        match decision {
            Decision::Denied(denial) => {
                entry.event = Event::AccessDenied;
                entry.stage = Stage::Refused;
                denied(&mut entry, &denial);
                write_act(tx, &entry).await?;
                Ok(Done::unchanged(Err(denial.into())))
            }
            Decision::Permit(permit) => {
                permitted(&mut entry, &permit);
                entry.status = Some(200);
                disable_now(tx, &target, &entry).await
            }
        }
    }

    /// Takes the locks, reads the facts under them (a caller who has just been disabled disables nobody) and asks.
    async fn judge_disable(
        &self,
        tx: &mut Tx,
        me: &Subject,
        asked: &DisableRequest,
        request: &RequestInfo,
    ) -> Result<Judged, ActError> {
        let admins = active_admins(tx).await?;
        tx.row("SELECT id FROM platform_user WHERE id = $1 {for_update}", &[asked.user.as_str().into()])
            .await?;
        let facts = records::session(tx, me).await?.ok_or(ActError::NoPermit)?;
        let Principal::PlatformUser(caller) = &facts.principal else { return Err(ActError::NoPermit) };
        let target = records::platform_user(tx, &asked.user).await?;
        let target = target.ok_or(ActError::NotFound("platform user"))?;
        let acknowledged = match &asked.approved_by {
            None => false,
            Some(by) if is_other_admin(&admins, by, caller, &target) => true,
            Some(_) => {
                return Err(ActError::Invalid {
                    member: "approved_by",
                    fault: "names no other active platform admin: give the id or e-mail of one",
                });
            }
        };
        let mut entry = entries::entry(Event::PlatformUserDisabled, Stage::Act, Some(&facts), request);
        describe(&mut entry, asked, &target);
        let now = tx.now().await?;
        let snapshot = self.policy.snapshot();
        let action = snapshot.action("disablePlatformUser").ok_or(ActError::NoPermit)?;
        let context = Context {
            reason_length: asked.reason.visible(),
            has_ticket: entry.ticket_ref.is_some(),
            cause: asked.cause.map_or("", Cause::as_str),
            acknowledged,
            target_is_self: target.id == caller.id,
            target_is_admin: admins.iter().any(|a| a.id == target.id),
            active_admins: i64::try_from(admins.len()).unwrap_or(i64::MAX),
            ..request.context(now, &facts)
        };
        let decision = snapshot.decide(&Question {
            session: Some(&facts),
            action,
            org: None,
            resource_id: Some(target.id.as_str()),
            context: &context,
            prepared: None,
        });
        Ok(Judged { entry, target, decision })
    }

    /// Enables an account again, with its factors cleared: they are enrolled anew, not restored.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn enable(
        &self,
        permit: Permit,
        caller: &Known,
        user: PlatformUserId,
        reason: Reason,
        request: &RequestInfo,
    ) -> Result<Enabled, ActError> {
        let mut entry =
            entries::entry(Event::PlatformUserEnabled, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.resource = Some(user.to_string());
        entry.reason = Some(reason.as_str().to_owned());
        entry.status = Some(200);
        let again = self.again(&permit, caller, request);
        // A disable that the disk refused is in force in memory: enabling must end that too.
        let unrecorded = self.view.is_unrecorded(&user.subject());
        self.act(move |tx| {
            let (user, entry, again) = (user.clone(), entry.clone(), again.clone());
            Box::pin(async move {
                let row = tx
                    .row(
                        "SELECT disabled_at FROM platform_user WHERE id = $1 {for_update}",
                        &[user.as_str().into()],
                    )
                    .await?;
                let row = row.ok_or(ActError::NotFound("platform user"))?;
                again.judge(tx).await?;
                let mut changes = Vec::new();
                if row.opt_int(0)?.is_some() || unrecorded {
                    tx.execute(
                        "UPDATE platform_user SET disabled_at = NULL WHERE id = $1",
                        &[user.as_str().into()],
                    )
                    .await?;
                    // What was in the hands of whoever it was disabled for is not simply in force again.
                    clear_factors(tx, &user).await?;
                    write_act(tx, &entry).await?;
                    changes.push(ChangeRecord { effect: Effect::Changed, subjects: vec![user.subject()] });
                }
                Ok(Done::changed(Enabled { id: user }, changes))
            })
        })
        .await
    }
}

/// The active admins, locked in the order of their ids.
async fn active_admins(tx: &mut Tx) -> Result<Vec<PlatformUser>, StoreError> {
    let rows = tx
        .rows(
            "SELECT id, email, display_name, roles, disabled_at, password_change_required, enrolment_required \
             FROM platform_user \
             WHERE disabled_at IS NULL AND roles LIKE $1 ORDER BY id {for_update}",
            &[Value::Text(format!("%\"{ADMIN_ROLE}\"%"))],
        )
        .await?;
    rows.iter().map(|row| records::platform_user_of(row, 0)).collect()
}

fn is_other_admin(admins: &[PlatformUser], by: &str, caller: &PlatformUser, target: &PlatformUser) -> bool {
    admins
        .iter()
        .filter(|a| a.id != caller.id && a.id != target.id)
        .any(|a| a.id.as_str() == by || a.email.eq_ignore_ascii_case(by))
}

fn describe(entry: &mut Entry, asked: &DisableRequest, target: &PlatformUser) {
    entry.resource = Some(target.id.to_string());
    entry.reason = Some(asked.reason.as_str().to_owned());
    entry.ticket_ref = asked.ticket_ref.clone().or_else(|| asked.reason.ticket().map(str::to_owned));
    if let Some(cause) = asked.cause {
        entry.details.insert("cause".to_owned(), cause.as_str().into());
    }
    if let Some(by) = &asked.approved_by {
        entry.details.insert("approved_by".to_owned(), by.as_str().into());
    }
    entry.details.insert("target_email".to_owned(), target.email.as_str().into());
}

async fn disable_now(tx: &mut Tx, target: &PlatformUser, entry: &Entry) -> Result<Done<Outcome>, ActError> {
    let why = RevokeReason::PlatformUserDisabled;
    let id = &target.id;
    let row = tx
        .row(
            "UPDATE platform_user SET disabled_at = {now} WHERE id = $1 AND disabled_at IS NULL RETURNING disabled_at",
            &[id.as_str().into()],
        )
        .await?;
    let Some(row) = row else {
        let row =
            tx.row("SELECT disabled_at FROM platform_user WHERE id = $1", &[id.as_str().into()]).await?;
        let disabled_at = row.and_then(|r| r.opt_int(0).ok().flatten()).unwrap_or_default();
        return Ok(Done::repeated(Ok(Disabled { id: id.clone(), disabled_at, ended: 0 })));
    };
    let disabled_at = row.int(0)?;
    write_act(tx, entry).await?;
    let sessions = tx
        .rows(
            "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE subject_id = $2 AND ended_at IS NULL RETURNING id",
            &[why.as_str().into(), id.as_str().into()],
        )
        .await?;
    let (ended, change) = end_grants(tx, &LiveGrants::OfUser(id.clone()), why, entry).await?;
    let mut subjects = vec![id.subject()];
    for row in &sessions {
        subjects.push(Subject::from_stored(row.text(0)?));
    }
    let mut changes = vec![ChangeRecord { effect: Effect::Ended(Some(why)), subjects }];
    changes.extend(change);
    Ok(Done::changed(Ok(Disabled { id: id.clone(), disabled_at, ended: ended.len() }), changes))
}
