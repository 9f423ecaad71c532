//! Proving once more who one is, inside a session: for changes of one's own credentials (ASVS 7.5.1).

use super::credential::Credential;
use super::sign_in::failed_entry;
use super::throttle::Authenticator;
use crate::access::transaction::ActError;
use crate::access::{Access, RequestInfo};
use crate::audit::entry::Entry;
use crate::audit::write_act;
use crate::domain::{Event, Millis, PlatformUser, Secret};
use crate::identity::{BackupCode, Sealer};
use crate::store::{StoreError, Tx};

/// What somebody typed to prove it.
#[derive(Debug, Clone, Default)]
pub struct StepUp {
    /// The password as it is now.
    pub current: Option<Secret>,
    /// A code of the authenticator, or a backup code.
    pub otp: Option<Secret>,
}

/// The second factor that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Factor {
    Totp,
    BackupCode {
        /// How many are left.
        left: i64,
    },
}

/// Takes a code, once: under the lock of the account's row, which the caller holds. `None`: it is wrong, or spent.
pub(super) async fn spend_factor(
    tx: &mut Tx,
    sealer: &Sealer,
    account: &Credential,
    otp: &Secret,
    now: Millis,
) -> Result<Option<Factor>, StoreError> {
    let Some(totp) = account.totp(sealer)? else { return Ok(None) };
    let user = account.user.id.as_str();
    if let Some(step) = totp.accepted(otp.expose(), now, account.totp_step) {
        tx.execute(
            "UPDATE platform_credential SET totp_step = $1 WHERE platform_user_id = $2",
            &[step.into(), user.into()],
        )
        .await?;
        return Ok(Some(Factor::Totp));
    }
    let Some(code) = BackupCode::parse(otp.expose()) else { return Ok(None) };
    let spent = tx
        .execute(
            "UPDATE backup_code SET used_at = {now}, used_for = 'sign_in' \
             WHERE hash = $1 AND platform_user_id = $2 AND used_at IS NULL",
            &[code.hash().into(), user.into()],
        )
        .await?;
    if spent == 0 {
        return Ok(None);
    }
    let left = tx
        .row(
            "SELECT count(*) FROM backup_code WHERE platform_user_id = $1 AND used_at IS NULL",
            &[user.into()],
        )
        .await?;
    Ok(Some(Factor::BackupCode { left: left.map_or(Ok(0), |row| row.int(0))? }))
}

/// Writes down a backup code that was spent, beginning from the entry of the act that asked for it.
pub(super) async fn record_backup_code(tx: &mut Tx, factor: &Factor, act: &Entry) -> Result<(), StoreError> {
    let Factor::BackupCode { left } = factor else { return Ok(()) };
    let mut entry = act.clone();
    entry.event = Event::BackupCodeUsed;
    entry.details.clear();
    entry.details.insert("left".to_owned(), (*left).into());
    write_act(tx, &entry).await
}

impl Access {
    /// Whether `current` is the password. Wrong ones are counted and written down.
    pub(super) async fn prove_current(
        &self,
        account: &Credential,
        current: &Secret,
        request: &RequestInfo,
    ) -> Result<(), ActError> {
        let email = &account.user.email;
        let place = self.accounts.hasher.enter()?;
        self.attempt_step_up(email, Authenticator::Password).await?;
        let verdict = place.verify(current.clone(), account.password_hash.clone()).await?;
        if !verdict.right {
            self.record_step_up_failed(&account.user, "password", request).await;
            return Err(ActError::StepUp);
        }
        self.forgive(email, Authenticator::Password).await
    }

    pub(super) async fn record_step_up_failed(
        &self,
        user: &PlatformUser,
        cause: &'static str,
        request: &RequestInfo,
    ) {
        let mut entry = failed_entry(Some(user), cause, 403, request);
        entry.code = Some("STEP_UP_REQUIRED".to_owned());
        if let Err(error) = self.audit.record(entry).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a failed step-up can't be recorded");
        }
    }
}
