//! Changing one's own password.

use super::credential;
use super::own::{end_all_but, user_of};
use super::step_up::{record_backup_code, spend_factor};
use super::throttle::{Account, Authenticator, forgive_in};
use crate::access::again::Again;
use crate::access::entries::{self, permitted};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, Known, RequestInfo};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, Secret};
use crate::identity::{PasswordFault, SessionSecret, Whose};
use crate::policy::Permit;
use crate::store::Tx;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct ChangePassword {
    /// The password as it is.
    pub current: Secret,
    /// As it is to be.
    pub new: Secret,
    /// A code, where there is a second factor.
    pub otp: Option<Secret>,
}

/// A password that was changed.
#[derive(Debug)]
pub struct Changed {
    /// How many sessions and impersonations it ended.
    pub ended: usize,
    /// The browser's cookie has another value from now on.
    pub cookie: Option<Secret>,
}

/// What the transaction needs.
#[derive(Clone)]
struct Change {
    user: PlatformUserId,
    session: Subject,
    version: i64,
    phc: String,
    otp: Option<Secret>,
    entry: Entry,
    again: Again,
}

impl Access {
    /// Changes one's own password. Every other session ends, and every impersonation.
    ///
    /// # Errors
    /// [`ActError`]: `Invalid` when `new` can't be one, `StepUp` when `current` or `otp` is wrong or missing.
    pub async fn change_own_password(
        self: &Arc<Self>,
        permit: Permit,
        caller: &Known,
        asked: ChangePassword,
        request: &RequestInfo,
    ) -> Result<Changed, ActError> {
        let account = self.own_credential(caller).await?;
        if account.password_hash.is_none() {
            return Err(ActError::Invalid {
                member: "current",
                fault: "can't be right: this account has no password; ask a platform admin for an initial one",
            });
        }
        let whose = Whose { email: &account.user.email, display_name: &account.user.display_name };
        self.accounts.rules.check(asked.new.expose(), whose).map_err(unusable)?;
        if account.is_enrolled() && asked.otp.is_none() {
            return Err(ActError::StepUp);
        }
        self.prove_current(&account, &asked.current, request).await?;
        if asked.new.expose() == asked.current.expose() {
            return Err(unusable(PasswordFault::Same));
        }
        if account.is_enrolled() {
            self.attempt_step_up(&account.user.email, Authenticator::Totp).await?;
        }
        let phc = self.accounts.hasher.hash(asked.new).await?;
        let mut entry = entries::entry(Event::PasswordChanged, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.status = Some(200);
        let change = Change {
            user: user_of(caller)?.clone(),
            session: caller.session.key.clone(),
            version: account.version,
            phc,
            otp: asked.otp,
            entry,
            again: self.again(&permit, caller, request),
        };
        let access = Arc::clone(self);
        let changed = self
            .act(move |tx| {
                let (access, change) = (access.clone(), change.clone());
                Box::pin(async move { access.change_password_in(tx, change).await })
            })
            .await?;
        if changed.is_none() {
            self.record_step_up_failed(&account.user, "otp", request).await;
        }
        changed.ok_or(ActError::StepUp)
    }

    /// `None`: the code is wrong.
    async fn change_password_in(
        &self,
        tx: &mut Tx,
        change: Change,
    ) -> Result<Done<Option<Changed>>, ActError> {
        let account =
            credential::locked(tx, &change.user).await?.ok_or(ActError::NotFound("platform user"))?;
        change.again.judge(tx).await?;
        if account.version != change.version {
            return Err(ActError::Conflict("another change of these credentials"));
        }
        if account.is_enrolled() {
            let now = tx.now().await?;
            let otp = change.otp.as_ref().ok_or(ActError::StepUp)?;
            let Some(factor) = spend_factor(tx, &self.accounts.sealer, &account, otp, now).await? else {
                return Ok(Done::unchanged(None));
            };
            record_backup_code(tx, &factor, &change.entry).await?;
            forgive_in(tx, &Account::of(&account.user.email), Authenticator::Totp).await?;
        }
        tx.execute(
            "UPDATE platform_credential SET password_hash = $1, password_set_at = {now}, initial_expires_at = NULL, \
               initial_used_at = NULL WHERE platform_user_id = $2",
            &[change.phc.into(), change.user.as_str().into()],
        )
        .await?;
        tx.execute(
            "UPDATE platform_user SET password_change_required = 0, enrolment_required = $1 WHERE id = $2",
            &[(!account.is_enrolled()).into(), change.user.as_str().into()],
        )
        .await?;
        let mut entry = change.entry;
        let mut ended = end_all_but(tx, &change.user, Some(&change.session), &entry).await?;
        entry.details.insert("initial".to_owned(), false.into());
        entry.details.insert("ended".to_owned(), ended.sessions.into());
        write_act(tx, &entry).await?;
        let cookie = ended.renewed.cookie.take().map(SessionSecret::into_secret);
        let changed = Changed { ended: ended.sessions + ended.impersonations, cookie };
        Ok(Done::changed(Some(changed), ended.changes))
    }
}

fn unusable(fault: PasswordFault) -> ActError {
    ActError::Invalid { member: "new", fault: fault.told() }
}
