//! What a platform admin does with the accounts of others: make one, issue a new initial password, take a second
//! factor away. (Disabling and enabling are in [`crate::access::disable`].)

use super::credential;
use super::own::end_all_but;
use super::{InitialPassword, email_key};
use crate::access::again::Again;
use crate::access::entries::{self, denied, permitted};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, Known, Reason, RequestInfo, records};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, Millis, PlatformUser, Principal, Secret, is_email, visible_length};
use crate::identity::initial_password;
use crate::policy::{Context, Decision, Permit, Question};
use crate::store::{StoreError, Tx};
use std::sync::Arc;

/// Roles that an account may have (`PlatformRole` in the schema).
const ROLES: [&str; 4] = [crate::access::ADMIN_ROLE, "sre", "support", "engineer"];
/// Characters of a name at most.
const MAX_NAME: i64 = 200;

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Address, in whatever spelling.
    pub email: String,
    /// Name for people.
    pub display_name: String,
    /// `platform-admin`, `sre`, `support` or `engineer`; `None`: staff without a title.
    pub role: Option<String>,
    /// Why.
    pub reason: Reason,
}

/// An account that was made.
#[derive(Debug, Clone)]
pub struct Provisioned {
    /// The account.
    pub user: PlatformUser,
    /// To be handed over, once.
    pub initial: InitialPassword,
}

/// An account to be inserted, checked.
#[derive(Debug, Clone)]
pub(super) struct Insert {
    pub(super) id: PlatformUserId,
    pub(super) email: String,
    pub(super) display_name: String,
    pub(super) roles: Vec<String>,
    pub(super) phc: String,
}

impl Insert {
    /// Checks address and name.
    ///
    /// # Errors
    /// [`ActError::Invalid`].
    pub(super) fn new(
        email: &str,
        display_name: &str,
        roles: Vec<String>,
        phc: String,
    ) -> Result<Self, ActError> {
        let email = email_key(email);
        if !is_email(&email) {
            return Err(ActError::Invalid {
                member: "email",
                fault: "is no e-mail address: write `name@host`",
            });
        }
        let display_name = display_name.trim().to_owned();
        if !(1..=MAX_NAME).contains(&visible_length(&display_name))
            || display_name.chars().any(char::is_control)
        {
            let fault = "must be a name of 1 to 200 characters";
            return Err(ActError::Invalid { member: "display_name", fault });
        }
        Ok(Self { id: PlatformUserId::random(), email, display_name, roles, phc })
    }

    /// The account as decisions know it.
    pub(super) fn user(&self) -> PlatformUser {
        PlatformUser {
            id: self.id.clone(),
            email: self.email.clone(),
            display_name: self.display_name.clone(),
            roles: self.roles.clone(),
            disabled: false,
            password_change_required: true,
            enrolment_required: true,
        }
    }

    /// Inserts it with its initial password; until when that may be used.
    ///
    /// # Errors
    /// [`ActError::Conflict`]: the address is taken.
    pub(super) async fn insert(&self, tx: &mut Tx, ttl: Millis) -> Result<Millis, ActError> {
        let made = tx
            .execute(
                "INSERT INTO platform_user (id, email, display_name, roles, disabled_at, created_at, credential_version, \
                   password_change_required, enrolment_required) VALUES ($1, $2, $3, $4, NULL, {now}, 0, 1, 1) \
                 ON CONFLICT DO NOTHING",
                &[
                    self.id.as_str().into(),
                    self.email.as_str().into(),
                    self.display_name.as_str().into(),
                    serde_json::Value::from(self.roles.clone()).to_string().into(),
                ],
            )
            .await?;
        if made == 0 {
            return Err(ActError::Conflict("an account with this address"));
        }
        set_initial(tx, &self.id, &self.phc, ttl).await
    }

    /// The entry of a new account.
    pub(super) fn describe(&self, entry: &mut Entry) {
        entry.resource = Some(self.id.to_string());
        entry.details.insert("email".to_owned(), self.email.as_str().into());
        let roles = serde_json::Value::from(self.roles.clone()).to_string();
        entry.details.insert("roles".to_owned(), roles.into());
    }
}

/// Gives an account an initial password in the place of whatever it had; until when it may be used.
pub(super) async fn set_initial(
    tx: &mut Tx,
    user: &PlatformUserId,
    phc: &str,
    ttl: Millis,
) -> Result<Millis, ActError> {
    let expires_at = tx.now().await? + ttl;
    tx.execute(
        "INSERT INTO platform_credential (platform_user_id, password_hash, password_set_at, initial_expires_at) \
         VALUES ($1, $2, {now}, $3) ON CONFLICT (platform_user_id) DO UPDATE SET password_hash = $2, \
           password_set_at = {now}, initial_expires_at = $3, initial_used_at = NULL",
        &[user.as_str().into(), phc.into(), expires_at.into()],
    )
    .await?;
    tx.execute(
        "UPDATE platform_user SET password_change_required = 1, enrolment_required = \
           CASE WHEN EXISTS (SELECT 1 FROM platform_credential c WHERE c.platform_user_id = $1 \
             AND c.totp_secret IS NOT NULL) THEN 0 ELSE 1 END WHERE id = $1",
        &[user.as_str().into()],
    )
    .await?;
    Ok(expires_at)
}

/// Takes the second factor and its backup codes away.
pub(in crate::access) async fn clear_factors(tx: &mut Tx, user: &PlatformUserId) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE platform_credential SET totp_secret = NULL, totp_step = NULL, totp_enabled_at = NULL, \
           pending_secret = NULL, pending_at = NULL WHERE platform_user_id = $1",
        &[user.as_str().into()],
    )
    .await?;
    tx.execute(
        "UPDATE backup_code SET used_at = {now}, used_for = 'void' WHERE platform_user_id = $1 AND used_at IS NULL",
        &[user.as_str().into()],
    )
    .await?;
    tx.execute(
        "UPDATE platform_user SET credential_version = credential_version + 1, enrolment_required = \
           CASE WHEN EXISTS (SELECT 1 FROM platform_credential c WHERE c.platform_user_id = $1) THEN 1 ELSE 0 END \
         WHERE id = $1",
        &[user.as_str().into()],
    )
    .await
    .map(drop)
}

/// An act on somebody's account whose handler decides.
#[derive(Clone)]
struct OnAccount {
    action: &'static str,
    event: Event,
    me: Subject,
    user: PlatformUserId,
    reason: Reason,
    request: RequestInfo,
}

/// What came of asking: the account and the entry that tells it, or the refusal.
enum Judged {
    May(Box<(PlatformUser, Entry)>),
    MayNot(ActError),
}

impl Access {
    /// Makes an account with a random initial password.
    ///
    /// # Errors
    /// [`ActError`]: `Invalid` members, `Conflict` of the address.
    pub async fn create_platform_user(
        self: &Arc<Self>,
        permit: Permit,
        caller: &Known,
        new: NewAccount,
        request: &RequestInfo,
    ) -> Result<Provisioned, ActError> {
        let roles: Vec<String> = new.role.into_iter().collect();
        if roles.iter().any(|role| !ROLES.contains(&role.as_str())) {
            let fault = "must be `platform-admin`, `sre`, `support` or `engineer`";
            return Err(ActError::Invalid { member: "role", fault });
        }
        let (password, phc) = self.new_initial().await?;
        let insert = Insert::new(&new.email, &new.display_name, roles, phc)?;
        let mut entry =
            entries::entry(Event::PlatformUserCreated, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.status = Some(201);
        entry.reason = Some(new.reason.as_str().to_owned()).filter(|reason| !reason.is_empty());
        insert.describe(&mut entry);
        let (again, ttl) =
            (self.again(&permit, caller, request), self.accounts.settings.initial_password_ttl);
        let (user, id) = (insert.user(), insert.id.clone());
        let expires_at = self
            .act(move |tx| {
                let (insert, entry, again): (Insert, Entry, Again) =
                    (insert.clone(), entry.clone(), again.clone());
                Box::pin(async move {
                    again.judge(tx).await?;
                    let expires_at = insert.insert(tx, ttl).await?;
                    write_act(tx, &entry).await?;
                    Ok(Done::unchanged(expires_at))
                })
            })
            .await?;
        Ok(Provisioned { user, initial: InitialPassword { user: id, password, expires_at } })
    }

    /// A random password and what is kept of it.
    pub(super) async fn new_initial(&self) -> Result<(Secret, String), ActError> {
        let password = initial_password().ok_or(ActError::Busy)?;
        let phc = self.accounts.hasher.hash(password.clone()).await?;
        Ok((password, phc))
    }

    /// Issues a new initial password for somebody else's account, for example when theirs is forgotten. Their
    /// sessions and impersonations end. A second factor stays.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn new_initial_password(
        self: &Arc<Self>,
        call: Permit,
        caller: &Known,
        user: PlatformUserId,
        reason: Reason,
        request: &RequestInfo,
    ) -> Result<InitialPassword, ActError> {
        drop(call);
        let (password, phc) = self.new_initial().await?;
        let asked = OnAccount {
            action: "issueInitialPassword",
            event: Event::PasswordChanged,
            me: caller.session.key.clone(),
            user: user.clone(),
            reason,
            request: request.clone(),
        };
        let access = Arc::clone(self);
        let expires_at = self
            .act(move |tx| {
                let (access, asked, phc) = (access.clone(), asked.clone(), phc.clone());
                Box::pin(async move {
                    let (target, mut entry) = match access.judge_account(tx, &asked).await? {
                        Judged::May(may) => *may,
                        Judged::MayNot(error) => return Ok(Done::unchanged(Err(error))),
                    };
                    let expires_at =
                        set_initial(tx, &target.id, &phc, access.accounts.settings.initial_password_ttl)
                            .await?;
                    let ended = end_all_but(tx, &target.id, None, &entry).await?;
                    entry.details.insert("initial".to_owned(), true.into());
                    entry.details.insert("ended".to_owned(), ended.sessions.into());
                    write_act(tx, &entry).await?;
                    Ok(Done::changed(Ok(expires_at), ended.changes))
                })
            })
            .await??;
        Ok(InitialPassword { user, password, expires_at })
    }

    /// Takes the second factor of somebody else's account away, disabled or not: it is enrolled anew at the next
    /// sign-in. Their sessions and impersonations end; how many.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn reset_factors(
        self: &Arc<Self>,
        call: Permit,
        caller: &Known,
        user: PlatformUserId,
        reason: Reason,
        request: &RequestInfo,
    ) -> Result<usize, ActError> {
        drop(call);
        let asked = OnAccount {
            action: "resetSecondFactor",
            event: Event::SecondFactorReset,
            me: caller.session.key.clone(),
            user,
            reason,
            request: request.clone(),
        };
        let access = Arc::clone(self);
        self.act(move |tx| {
            let (access, asked) = (access.clone(), asked.clone());
            Box::pin(async move {
                let (target, mut entry) = match access.judge_account(tx, &asked).await? {
                    Judged::May(may) => *may,
                    Judged::MayNot(error) => return Ok(Done::unchanged(Err(error))),
                };
                clear_factors(tx, &target.id).await?;
                let ended = end_all_but(tx, &target.id, None, &entry).await?;
                entry.details.insert("ended".to_owned(), ended.sessions.into());
                write_act(tx, &entry).await?;
                Ok(Done::changed(Ok(ended.sessions + ended.impersonations), ended.changes))
            })
        })
        .await?
    }

    /// Locks the account, reads the caller's facts after that, and asks the policies with what only now is known.
    async fn judge_account(&self, tx: &mut Tx, asked: &OnAccount) -> Result<Judged, ActError> {
        let target =
            credential::locked(tx, &asked.user).await?.ok_or(ActError::NotFound("platform user"))?.user;
        let facts = records::session(tx, &asked.me).await?.ok_or(ActError::NoPermit)?;
        let Principal::PlatformUser(caller) = &facts.principal else { return Err(ActError::NoPermit) };
        let mut entry = entries::entry(asked.event, Stage::Act, Some(&facts), &asked.request);
        entry.resource = Some(target.id.to_string());
        entry.reason = Some(asked.reason.as_str().to_owned());
        entry.ticket_ref = asked.reason.ticket().map(str::to_owned);
        entry.details.insert("target_email".to_owned(), target.email.as_str().into());
        let now = tx.now().await?;
        let snapshot = self.policy.snapshot();
        let action = snapshot.action(asked.action).ok_or(ActError::NoPermit)?;
        let context = Context {
            reason_length: asked.reason.visible(),
            target_is_self: target.id == caller.id,
            ..asked.request.context(now, &facts)
        };
        let decision = snapshot.decide(&Question {
            session: Some(&facts),
            action,
            org: None,
            resource_id: Some(target.id.as_str()),
            context: &context,
            prepared: None,
        });
        match decision {
            Decision::Permit(permit) => {
                permitted(&mut entry, &permit);
                entry.status = Some(200);
                Ok(Judged::May(Box::new((target, entry))))
            }
            Decision::Denied(denial) => {
                entry.event = Event::AccessDenied;
                entry.stage = Stage::Refused;
                denied(&mut entry, &denial);
                write_act(tx, &entry).await?;
                Ok(Judged::MayNot(denial.into()))
            }
        }
    }
}
