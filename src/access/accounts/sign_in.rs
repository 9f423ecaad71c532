//! Signing in: what was typed in, a session out.

use super::credential::{self, Credential};
use super::step_up::{Factor, record_backup_code, spend_factor};
use super::throttle::{Account, Authenticator, forgive_in};
use crate::access::transaction::{ActError, Done, work};
use crate::access::{Access, RequestInfo, entries, records};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, SessionId};
use crate::domain::{Event, Millis, PlatformUser, Principal, Secret};
use crate::identity::{HashError, SessionSecret};
use crate::store::{StoreError, Tx};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What somebody typed, and for what.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// Address, in whatever spelling.
    pub email: String,
    /// Password.
    pub password: Secret,
    /// Code of the authenticator, or a backup code, where it was asked for at once.
    pub otp: Option<Secret>,
    /// The OAuth client, or the name of the console.
    pub client_id: String,
    /// Whether the session is a browser's: it gets the value of a cookie, and ends when it is idle.
    pub cookie: bool,
    /// The request.
    pub request: RequestInfo,
}

/// What came of it.
#[derive(Debug)]
pub enum SignInAnswer {
    /// The password is right; the second factor is still to be asked for.
    OtpNeeded(PasswordProved),
    /// Signed in.
    SignedIn(SignedIn),
}

/// Somebody knew the password of an account a moment ago. Made by [`Access::sign_in`] only; it counts as long as the
/// account's credentials stay as they were. Seal its claims where they leave the process.
#[derive(Debug, Clone)]
pub struct PasswordProved {
    user: PlatformUserId,
    email: String,
    version: i64,
    at: Millis,
}

/// [`PasswordProved`] as text, to be sealed: whoever can make these up needs no password.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordProvedClaims {
    user: PlatformUserId,
    email: String,
    version: i64,
    at: Millis,
}

/// A session that has begun.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Which.
    pub session: SessionId,
    /// Whose.
    pub user: PlatformUserId,
    /// Their roles.
    pub roles: Vec<String>,
    /// How they proved who they are (RFC 8176).
    pub amr: Vec<String>,
    /// When, whole seconds.
    pub auth_time: Millis,
    /// When the session ends at the latest; a browser's, unless it is used.
    pub expires_at: Millis,
    /// Value of the browser's cookie, to show once.
    pub cookie: Option<Secret>,
    /// Nothing but a change of password may be done with it.
    pub password_change_required: bool,
    /// Nothing but enrolling a second factor may be done with it.
    pub enrolment_required: bool,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown, wrong, disabled, no password, an initial one that is over: the answer tells none from the other.
    #[error("the e-mail or the password is wrong")]
    Refused,
    /// The password was right, the code was not.
    #[error("the code is wrong or was used already")]
    OtpRefused,
    /// Too many attempts have failed.
    #[error("too many attempts; try again in {retry_after} s")]
    Throttled {
        /// Seconds.
        retry_after: u32,
    },
    /// Too many sign in at once: try again in a second.
    #[error("too many sign in at once")]
    Busy,
    /// The records can't be read or written.
    #[error("the records can't be used")]
    Store(#[from] StoreError),
}

impl From<ActError> for SignInError {
    fn from(error: ActError) -> Self {
        match error {
            ActError::Store(error) => Self::Store(error),
            ActError::Throttled { retry_after } | ActError::RateLimited { retry_after } => {
                Self::Throttled { retry_after }
            }
            ActError::Busy => Self::Busy,
            ActError::Refused(_)
            | ActError::NotFound(_)
            | ActError::Invalid { .. }
            | ActError::ClockOff { .. }
            | ActError::StepUp
            | ActError::Conflict(_)
            | ActError::SetupDone
            | ActError::SetupSecret
            | ActError::Token(_)
            | ActError::NoPermit => Self::Refused,
        }
    }
}

impl PasswordProved {
    /// Whose password it was.
    #[must_use]
    pub fn user(&self) -> &PlatformUserId {
        &self.user
    }

    /// When it was proved: whoever keeps it for longer than a few minutes asks again.
    #[must_use]
    pub fn at(&self) -> Millis {
        self.at
    }

    /// To be sealed.
    #[must_use]
    pub fn to_claims(&self) -> PasswordProvedClaims {
        let Self { user, email, version, at } = self.clone();
        PasswordProvedClaims { user, email, version, at }
    }

    /// From what was sealed by this installation, and by nobody else.
    #[must_use]
    pub fn from_claims(claims: PasswordProvedClaims) -> Self {
        let PasswordProvedClaims { user, email, version, at } = claims;
        Self { user, email, version, at }
    }
}

/// What a session is begun with.
#[derive(Debug, Clone)]
struct Begin {
    proved: PasswordProved,
    otp: Option<Secret>,
    client_id: String,
    cookie: bool,
    request: RequestInfo,
}

impl Access {
    /// Signs somebody in by password, and by a code where the account has a second factor.
    ///
    /// # Errors
    /// [`SignInError`]; every failure is in the platform log.
    pub async fn sign_in(self: &Arc<Self>, asked: SignIn) -> Result<SignInAnswer, SignInError> {
        let SignIn { email, password, otp, client_id, cookie, request } = asked;
        // First of all: who is turned away because too many sign in has not tried, and costs the records nothing.
        let place = self.accounts.hasher.enter().map_err(|e| busy(&e))?;
        let found = match self.count_attempt(&email, Authenticator::Password).await {
            Ok(found) => found,
            Err(error) => {
                self.record_throttled(&error, &request);
                return Err(error);
            }
        };
        // What can't be the password of anybody is compared too: the answer takes as long.
        let usable = found.as_ref().filter(|c| !c.user.disabled);
        let phc = usable.and_then(|c| c.password_hash.clone());
        let verdict = place.verify(password.clone(), phc).await.map_err(|e| busy(&e))?;
        let now = self.clock.now();
        let cause = match &found {
            None => Some("unknown"),
            Some(account) if account.user.disabled => Some("disabled"),
            Some(_) if !verdict.right => Some("password"),
            Some(account) if account.initial_is_over(now) => Some("initial"),
            Some(_) => None,
        };
        let (Some(account), None) = (&found, cause) else {
            self.record_failed(found.as_ref().map(|c| &c.user), cause.unwrap_or("unknown"), 401, &request);
            return Err(SignInError::Refused);
        };
        self.forgive(&account.user.email, Authenticator::Password).await?;
        if verdict.weaker {
            self.rehash(account, password).await;
        }
        let proved = PasswordProved {
            user: account.user.id.clone(),
            email: account.user.email.clone(),
            version: account.version,
            at: now,
        };
        if account.is_enrolled() {
            let Some(otp) = otp else { return Ok(SignInAnswer::OtpNeeded(proved)) };
            return self
                .sign_in_with_otp(proved, otp, client_id, cookie, request)
                .await
                .map(SignInAnswer::SignedIn);
        }
        self.begin(Begin { proved, otp: None, client_id, cookie, request }).await.map(SignInAnswer::SignedIn)
    }

    /// The second step, for whom [`Access::sign_in`] has asked for a code: one of the authenticator, or a backup code.
    ///
    /// # Errors
    /// [`SignInError`]; every failure is in the platform log.
    pub async fn sign_in_with_otp(
        self: &Arc<Self>,
        proved: PasswordProved,
        otp: Secret,
        client_id: String,
        cookie: bool,
        request: RequestInfo,
    ) -> Result<SignedIn, SignInError> {
        if let Err(error) = self.count_attempt(&proved.email, Authenticator::Totp).await {
            self.record_throttled(&error, &request);
            return Err(error);
        }
        self.begin(Begin { proved, otp: Some(otp), client_id, cookie, request }).await
    }

    async fn begin(self: &Arc<Self>, begin: Begin) -> Result<SignedIn, SignInError> {
        let access = Arc::clone(self);
        let work = work(move |tx| {
            let (access, begin) = (access.clone(), begin.clone());
            Box::pin(async move { access.begin_in(tx, &begin).await })
        });
        self.act(work).await?
    }

    /// The transaction. A failure is an answer, committed with its entry.
    async fn begin_in(
        &self,
        tx: &mut Tx,
        begin: &Begin,
    ) -> Result<Done<Result<SignedIn, SignInError>>, ActError> {
        let account = credential::locked(tx, &begin.proved.user).await?;
        let now = tx.now().await?;
        let account = account.filter(|c| c.version == begin.proved.version && !c.user.disabled);
        let Some(account) = account.filter(|c| !c.initial_is_over(now)) else {
            let entry = failed_entry(None, "changed", 401, &begin.request);
            write_act(tx, &entry).await?;
            return Ok(Done::unchanged(Err(SignInError::Refused)));
        };
        let factor = match (&begin.otp, account.is_enrolled()) {
            (_, false) => None,
            (None, true) => return Ok(Done::unchanged(Err(SignInError::Refused))),
            (Some(otp), true) => match spend_factor(tx, &self.accounts.sealer, &account, otp, now).await? {
                Some(factor) => Some(factor),
                None => {
                    let entry = failed_entry(Some(&account.user), "otp", 401, &begin.request);
                    write_act(tx, &entry).await?;
                    return Ok(Done::unchanged(Err(SignInError::OtpRefused)));
                }
            },
        };
        if factor.is_some() {
            forgive_in(tx, &Account::of(&account.user.email), Authenticator::Totp).await?;
        }
        tx.execute(
            "UPDATE platform_credential SET last_sign_in_at = $1, \
               initial_used_at = CASE WHEN initial_expires_at IS NULL THEN NULL ELSE $1 END \
             WHERE platform_user_id = $2",
            &[now.into(), account.user.id.as_str().into()],
        )
        .await?;
        let signed_in = self.insert_session(tx, begin, &account, factor.as_ref(), now).await?;
        Ok(Done::unchanged(Ok(signed_in)))
    }

    async fn insert_session(
        &self,
        tx: &mut Tx,
        begin: &Begin,
        account: &Credential,
        factor: Option<&Factor>,
        now: Millis,
    ) -> Result<SignedIn, ActError> {
        let settings = &self.accounts.settings;
        let session = SessionId::random();
        // Whole seconds, as `auth_time` and `exp` of tokens are.
        let started_at = now.div_euclid(1000) * 1000;
        let absolute = started_at + settings.session_absolute;
        let expires_at = if begin.cookie { absolute.min(now + settings.session_idle) } else { absolute };
        let secret = if begin.cookie { Some(SessionSecret::generate().ok_or(ActError::Busy)?) } else { None };
        let amr = amr(factor);
        tx.execute(
            "INSERT INTO session (id, subject_id, started_at, expires_at, ended_at, revoke_reason, client_id, amr, \
               auth_time, secret_hash) VALUES ($1, $2, $3, $4, NULL, NULL, $5, $6, $3, $7)",
            &[
                session.as_str().into(),
                account.user.id.as_str().into(),
                started_at.into(),
                expires_at.into(),
                begin.client_id.as_str().into(),
                serde_json::Value::from(amr.clone()).to_string().into(),
                secret.as_ref().map(SessionSecret::hash).into(),
            ],
        )
        .await?;
        let facts = records::session(tx, &session.subject()).await?.ok_or(ActError::NoPermit)?;
        let mut entry = entries::entry(Event::PlatformLogin, Stage::Act, Some(&facts), &begin.request);
        entry.status = Some(200);
        if let Some(factor) = factor {
            record_backup_code(tx, factor, &entry).await?;
        }
        entry.details.insert("amr".to_owned(), amr.clone().into());
        entry.details.insert("client_id".to_owned(), begin.client_id.as_str().into());
        entry.details.insert("cookie".to_owned(), begin.cookie.into());
        write_act(tx, &entry).await?;
        let Principal::PlatformUser(user) = facts.principal else { return Err(ActError::NoPermit) };
        Ok(SignedIn {
            session,
            user: user.id,
            roles: user.roles,
            amr,
            auth_time: started_at,
            expires_at,
            cookie: secret.map(SessionSecret::into_secret),
            password_change_required: user.password_change_required,
            enrolment_required: user.enrolment_required,
        })
    }

    /// Keeps the password at today's cost, unless it has changed meanwhile. Failing is no reason to refuse.
    async fn rehash(&self, account: &Credential, password: Secret) {
        let Ok(phc) = self.accounts.hasher.hash(password).await else { return };
        let (user, before) = (account.user.id.clone(), account.password_hash.clone());
        let kept = self.act(move |tx| {
            let (phc, user, before) = (phc.clone(), user.clone(), before.clone());
            Box::pin(async move {
                tx.execute(
                    "UPDATE platform_credential SET password_hash = $1 WHERE platform_user_id = $2 AND password_hash = $3",
                    &[phc.into(), user.as_str().into(), before.into()],
                )
                .await?;
                Ok(Done::unchanged(()))
            })
        });
        if let Err(error) = kept.await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a password can't be kept at today's cost yet"
            );
        }
    }

    /// Writes down a sign-in that failed. An address that is nobody's is not told: it may be a password.
    ///
    /// Not waited for: an answer about an account must take as long as one about nobody, whose repeats are counted
    /// together and not written one by one.
    fn record_failed(
        &self,
        user: Option<&PlatformUser>,
        cause: &'static str,
        status: u16,
        request: &RequestInfo,
    ) {
        let (entry, audit, is_known) =
            (failed_entry(user, cause, status, request), self.audit.clone(), user.is_some());
        drop(tokio::spawn(async move {
            // Of an account each is told, for the throttle bounds them.
            let recorded = if is_known { audit.record(entry).await } else { audit.refusal(entry).await };
            if let Err(error) = recorded {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a failed sign-in can't be recorded"
                );
            }
        }));
    }

    fn record_throttled(&self, error: &SignInError, request: &RequestInfo) {
        if matches!(error, SignInError::Throttled { .. }) {
            self.record_failed(None, "throttled", 429, request);
        }
    }
}

fn busy(error: &HashError) -> SignInError {
    match error {
        HashError::Busy => tracing::debug!("a sign-in is turned away: too many at once"),
        HashError::Failed(_) => {
            tracing::error!(error = error as &dyn std::error::Error, "a sign-in can't be looked at");
        }
    }
    SignInError::Busy
}

/// What a refused password or code leaves in the platform log.
pub(super) fn failed_entry(
    user: Option<&PlatformUser>,
    cause: &'static str,
    status: u16,
    request: &RequestInfo,
) -> Entry {
    let mut entry = entries::entry(Event::PlatformLoginFailed, Stage::Refused, None, request);
    entry.code = Some(if status == 429 { "RATE_LIMITED" } else { "UNAUTHENTICATED" }.to_owned());
    entry.status = Some(status);
    entry.decision = Some("deny");
    entry.resource = user.map(|user| user.id.to_string());
    entry.platform_user = user.map(PlatformUser::identity);
    entry.details.insert("cause".to_owned(), cause.into());
    entry
}

/// RFC 8176: `pwd`, and `otp`, or `mfa` where a backup code (which has no name there) stood in for it.
fn amr(factor: Option<&Factor>) -> Vec<String> {
    let second = match factor {
        None => None,
        Some(Factor::Totp) => Some("otp"),
        Some(Factor::BackupCode { .. }) => Some("mfa"),
    };
    std::iter::once("pwd").chain(second).map(str::to_owned).collect()
}
