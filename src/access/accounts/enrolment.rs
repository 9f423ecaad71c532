//! One's own second factor: enrolling it, and its backup codes.

use super::credential::{self, Credential};
use super::own::{end_all_but, user_of};
use super::step_up::{StepUp, record_backup_code, spend_factor};
use super::throttle::{Account, Authenticator, forgive_in};
use crate::access::again::Again;
use crate::access::entries::{self, permitted};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, Known, RequestInfo};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Event, Millis, Secret};
use crate::identity::{BackupCode, SessionSecret, TotpSecret, qr_svg};
use crate::policy::Permit;
use crate::store::Tx;
use std::sync::Arc;

/// What authenticators show as the name of the account's issuer.
const ISSUER: &str = "Drawbridge";
/// How long an enrolment may stay unconfirmed, milliseconds.
const PENDING: Millis = 15 * 60_000;

/// A second factor that waits to be confirmed by one of its codes. Shown once.
#[derive(Debug)]
pub struct Enrolment {
    /// To be typed into an app: base32.
    pub secret: Secret,
    /// The same as a URI (Key Uri Format).
    pub otpauth_uri: Secret,
    /// The URI as a QR code, an SVG.
    pub qr_svg: Secret,
}

/// A second factor that is confirmed.
#[derive(Debug)]
pub struct Confirmed {
    /// Eight, shown once.
    pub backup_codes: Vec<Secret>,
    /// How many sessions and impersonations it ended.
    pub ended: usize,
    /// The browser's cookie has another value from now on.
    pub cookie: Option<Secret>,
}

/// What the transactions need.
#[derive(Clone)]
struct Asked {
    user: PlatformUserId,
    session: Subject,
    version: i64,
    entry: Entry,
    again: Again,
}

impl Asked {
    /// The account under its lock, if the act is still permitted and the credentials are those that were looked at.
    async fn account(&self, tx: &mut Tx) -> Result<Credential, ActError> {
        let account = credential::locked(tx, &self.user).await?.ok_or(ActError::NotFound("platform user"))?;
        self.again.judge(tx).await?;
        if account.version == self.version {
            Ok(account)
        } else {
            Err(ActError::Conflict("another change of these credentials"))
        }
    }
}

impl Access {
    fn asked(
        &self,
        permit: &Permit,
        caller: &Known,
        version: i64,
        request: &RequestInfo,
    ) -> Result<Asked, ActError> {
        let mut entry =
            entries::entry(Event::SecondFactorEnabled, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, permit);
        entry.status = Some(200);
        Ok(Asked {
            user: user_of(caller)?.clone(),
            session: caller.session.key.clone(),
            version,
            entry,
            again: self.again(permit, caller, request),
        })
    }

    /// Begins to enrol a second factor; one that is there stays in force until the new one is confirmed, and has to
    /// be proved together with the password.
    ///
    /// # Errors
    /// [`ActError`]: `StepUp`.
    pub async fn begin_enrolment(
        self: &Arc<Self>,
        permit: Permit,
        caller: &Known,
        step_up: StepUp,
        request: &RequestInfo,
    ) -> Result<Enrolment, ActError> {
        let account = self.own_credential(caller).await?;
        if account.password_hash.is_none() {
            return Err(ActError::Invalid {
                member: "current",
                fault: "can't be right: this account has no password; ask a platform admin for an initial one",
            });
        }
        let otp = if account.is_enrolled() {
            let (Some(current), Some(otp)) = (&step_up.current, step_up.otp) else {
                return Err(ActError::StepUp);
            };
            self.prove_current(&account, current, request).await?;
            self.attempt_step_up(&account.user.email, Authenticator::Totp).await?;
            Some(otp)
        } else {
            None
        };
        let secret = TotpSecret::generate().ok_or(ActError::Busy)?;
        let sealed = credential::seal(&self.accounts.sealer, &account.user.id, &secret);
        let sealed = sealed.map_err(|_| ActError::Busy)?;
        let asked = self.asked(&permit, caller, account.version, request)?;
        let access = Arc::clone(self);
        let begun = self
            .act(move |tx| {
                let (access, asked, sealed, otp) = (access.clone(), asked.clone(), sealed.clone(), otp.clone());
                Box::pin(async move {
                    let account = asked.account(tx).await?;
                    if !access.spend(tx, &account, otp.as_ref(), &asked.entry).await? {
                        return Ok(Done::unchanged(false));
                    }
                    tx.execute(
                        "UPDATE platform_credential SET pending_secret = $1, pending_at = {now} WHERE platform_user_id = $2",
                        &[sealed.into(), asked.user.as_str().into()],
                    )
                    .await?;
                    Ok(Done::unchanged(true))
                })
            })
            .await?;
        self.refuse_unless(begun, &account, request).await?;
        let uri = secret.uri(ISSUER, &account.user.email);
        let drawn = qr_svg(&uri).ok_or(ActError::Busy)?;
        Ok(Enrolment {
            secret: Secret::new(secret.base32()),
            otpauth_uri: Secret::new(uri),
            qr_svg: Secret::new(drawn),
        })
    }

    /// Confirms the second factor by a code of it. Every other session ends, and every impersonation.
    ///
    /// # Errors
    /// [`ActError`]: `Invalid` of `otp`, or `ClockOff` where the code would be right at another time.
    pub async fn confirm_enrolment(
        self: &Arc<Self>,
        permit: Permit,
        caller: &Known,
        otp: Secret,
        request: &RequestInfo,
    ) -> Result<Confirmed, ActError> {
        let account = self.own_credential(caller).await?;
        self.attempt_step_up(&account.user.email, Authenticator::Totp).await?;
        let codes = BackupCode::generate_all().ok_or(ActError::Busy)?;
        let hashes: Vec<String> = codes.iter().map(BackupCode::hash).collect();
        let asked = self.asked(&permit, caller, account.version, request)?;
        let access = Arc::clone(self);
        let (ended, cookie) = self
            .act(move |tx| {
                let (access, asked, otp, hashes) =
                    (access.clone(), asked.clone(), otp.clone(), hashes.clone());
                Box::pin(async move { access.confirm_in(tx, asked, &otp, &hashes).await })
            })
            .await?;
        Ok(Confirmed { backup_codes: codes.iter().map(BackupCode::shown).collect(), ended, cookie })
    }

    async fn confirm_in(
        &self,
        tx: &mut Tx,
        asked: Asked,
        otp: &Secret,
        hashes: &[String],
    ) -> Result<Done<(usize, Option<Secret>)>, ActError> {
        let account = asked.account(tx).await?;
        let now = tx.now().await?;
        let fresh = account.pending_at.is_some_and(|at| now - at <= PENDING);
        let pending = if fresh { account.pending(&self.accounts.sealer)? } else { None };
        let pending = pending.ok_or(ActError::Invalid {
            member: "otp",
            fault: "confirms nothing: no enrolment was begun in the last 15 minutes; begin it again",
        })?;
        let Some(step) = pending.accepted(otp.expose(), now, None) else {
            return Err(match pending.clock_offset(otp.expose(), now) {
                Some(seconds) => ActError::ClockOff { seconds },
                None => ActError::Invalid {
                    member: "otp",
                    fault: "is no code of this secret; take the one that the app shows now, six digits without blanks",
                },
            });
        };
        let user = asked.user.as_str();
        tx.execute(
            "UPDATE platform_credential SET totp_secret = pending_secret, totp_step = $1, totp_enabled_at = $2, \
               pending_secret = NULL, pending_at = NULL WHERE platform_user_id = $3",
            &[step.into(), now.into(), user.into()],
        )
        .await?;
        tx.execute("UPDATE platform_user SET enrolment_required = 0 WHERE id = $1", &[user.into()]).await?;
        forgive_in(tx, &Account::of(&account.user.email), Authenticator::Totp).await?;
        replace_backup_codes(tx, &asked.user, hashes).await?;
        let mut ended = end_all_but(tx, &asked.user, Some(&asked.session), &asked.entry).await?;
        let mut entry = asked.entry;
        entry.details.insert("ended".to_owned(), ended.sessions.into());
        write_act(tx, &entry).await?;
        let cookie = ended.renewed.cookie.take().map(SessionSecret::into_secret);
        Ok(Done::changed((ended.sessions + ended.impersonations, cookie), ended.changes))
    }

    /// Makes eight new backup codes; the old ones are void.
    ///
    /// # Errors
    /// [`ActError`]: `StepUp`.
    pub async fn new_backup_codes(
        self: &Arc<Self>,
        permit: Permit,
        caller: &Known,
        step_up: StepUp,
        request: &RequestInfo,
    ) -> Result<Vec<Secret>, ActError> {
        let account = self.own_credential(caller).await?;
        let (Some(current), Some(otp)) = (&step_up.current, step_up.otp) else {
            return Err(ActError::StepUp);
        };
        if !account.is_enrolled() {
            return Err(ActError::Invalid {
                member: "otp",
                fault: "can't be right: this account has no second factor; enrol one first",
            });
        }
        self.prove_current(&account, current, request).await?;
        self.attempt_step_up(&account.user.email, Authenticator::Totp).await?;
        let codes = BackupCode::generate_all().ok_or(ActError::Busy)?;
        let hashes: Vec<String> = codes.iter().map(BackupCode::hash).collect();
        let asked = self.asked(&permit, caller, account.version, request)?;
        let access = Arc::clone(self);
        let made = self
            .act(move |tx| {
                let (access, asked, otp, hashes) =
                    (access.clone(), asked.clone(), otp.clone(), hashes.clone());
                Box::pin(async move {
                    let account = asked.account(tx).await?;
                    if !access.spend(tx, &account, Some(&otp), &asked.entry).await? {
                        return Ok(Done::unchanged(false));
                    }
                    replace_backup_codes(tx, &asked.user, &hashes).await?;
                    let mut entry = asked.entry;
                    entry.details.insert("backup_codes_only".to_owned(), true.into());
                    write_act(tx, &entry).await?;
                    Ok(Done::unchanged(true))
                })
            })
            .await?;
        self.refuse_unless(made, &account, request).await?;
        Ok(codes.iter().map(BackupCode::shown).collect())
    }

    /// Takes a code where one is asked for; whether it was right.
    async fn spend(
        &self,
        tx: &mut Tx,
        account: &Credential,
        otp: Option<&Secret>,
        act: &Entry,
    ) -> Result<bool, ActError> {
        let Some(otp) = otp else { return Ok(true) };
        let now = tx.now().await?;
        let Some(factor) = spend_factor(tx, &self.accounts.sealer, account, otp, now).await? else {
            return Ok(false);
        };
        record_backup_code(tx, &factor, act).await?;
        forgive_in(tx, &Account::of(&account.user.email), Authenticator::Totp).await?;
        Ok(true)
    }

    async fn refuse_unless(
        &self,
        right: bool,
        account: &Credential,
        request: &RequestInfo,
    ) -> Result<(), ActError> {
        if right {
            return Ok(());
        }
        self.record_step_up_failed(&account.user, "otp", request).await;
        Err(ActError::StepUp)
    }
}

/// The old codes are void, these are the new ones.
pub(super) async fn replace_backup_codes(
    tx: &mut Tx,
    user: &PlatformUserId,
    hashes: &[String],
) -> Result<(), ActError> {
    tx.execute(
        "UPDATE backup_code SET used_at = {now}, used_for = 'void' WHERE platform_user_id = $1 AND used_at IS NULL",
        &[user.as_str().into()],
    )
    .await?;
    for hash in hashes {
        tx.execute(
            "INSERT INTO backup_code (hash, platform_user_id, created_at) VALUES ($1, $2, {now})",
            &[hash.as_str().into(), user.as_str().into()],
        )
        .await?;
    }
    Ok(())
}
