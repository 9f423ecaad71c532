//! An account with its credentials, as one transaction sees them.

use crate::access::records::platform_user_of;
use crate::domain::ids::PlatformUserId;
use crate::domain::{Millis, PlatformUser};
use crate::identity::{SealError, Sealer, TotpSecret};
use crate::store::{Row, StoreError, Tx};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Credential {
    pub(super) user: PlatformUser,
    /// Raised with every change of password or factor: what was proved before counts no more.
    pub(super) version: i64,
    /// PHC string; `None`: the account can't sign in by password.
    pub(super) password_hash: Option<String>,
    /// Of an initial password.
    pub(super) initial_expires_at: Option<Millis>,
    pub(super) initial_used_at: Option<Millis>,
    /// Sealed.
    totp_secret: Option<String>,
    /// The newest step that was accepted.
    pub(super) totp_step: Option<i64>,
    /// Sealed, of an enrolment that isn't confirmed.
    pending_secret: Option<String>,
    pub(super) pending_at: Option<Millis>,
    pub(super) last_sign_in_at: Option<Millis>,
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT u.id, u.email, u.display_name, u.roles, u.disabled_at, u.password_change_required, \
               u.enrolment_required, u.credential_version, c.password_hash, c.initial_expires_at, c.initial_used_at, \
               c.totp_secret, c.totp_step, c.pending_secret, c.pending_at, c.last_sign_in_at \
             FROM platform_user u LEFT JOIN platform_credential c ON c.platform_user_id = u.id WHERE ",
            $condition
        )
    };
}

fn read(row: &Row) -> Result<Credential, StoreError> {
    let text = |at| row.opt_text(at).map(|text| text.map(str::to_owned));
    Ok(Credential {
        user: platform_user_of(row, 0)?,
        version: row.int(7)?,
        password_hash: text(8)?,
        initial_expires_at: row.opt_int(9)?,
        initial_used_at: row.opt_int(10)?,
        totp_secret: text(11)?,
        totp_step: row.opt_int(12)?,
        pending_secret: text(13)?,
        pending_at: row.opt_int(14)?,
        last_sign_in_at: row.opt_int(15)?,
    })
}

/// By address, as [`crate::domain::email_key`] makes it.
pub(super) async fn by_email(tx: &mut Tx, key: &str) -> Result<Option<Credential>, StoreError> {
    tx.row(select!("u.email = $1"), &[key.into()]).await?.as_ref().map(read).transpose()
}

/// By identifier.
pub(super) async fn by_id(tx: &mut Tx, id: &PlatformUserId) -> Result<Option<Credential>, StoreError> {
    tx.row(select!("u.id = $1"), &[id.as_str().into()]).await?.as_ref().map(read).transpose()
}

/// By identifier, under the lock of the account's row.
pub(super) async fn locked(tx: &mut Tx, id: &PlatformUserId) -> Result<Option<Credential>, StoreError> {
    // Alone in its statement: what is read with a lock is as it was before the wait for it.
    tx.row("SELECT id FROM platform_user WHERE id = $1 {for_update}", &[id.as_str().into()]).await?;
    by_id(tx, id).await
}

fn seal_name(user: &PlatformUserId) -> String {
    format!("totp:{user}")
}

/// Seals a second factor of `user`.
pub(super) fn seal(sealer: &Sealer, user: &PlatformUserId, secret: &TotpSecret) -> Result<String, SealError> {
    sealer.seal(&seal_name(user), secret.bytes())
}

impl Credential {
    /// Whether a second factor is asked for.
    pub(super) fn is_enrolled(&self) -> bool {
        self.totp_secret.is_some()
    }

    /// The second factor.
    pub(super) fn totp(&self, sealer: &Sealer) -> Result<Option<TotpSecret>, StoreError> {
        self.opened(sealer, self.totp_secret.as_deref())
    }

    /// The second factor that is being enrolled.
    pub(super) fn pending(&self, sealer: &Sealer) -> Result<Option<TotpSecret>, StoreError> {
        self.opened(sealer, self.pending_secret.as_deref())
    }

    fn opened(&self, sealer: &Sealer, sealed: Option<&str>) -> Result<Option<TotpSecret>, StoreError> {
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = sealer.open(&seal_name(&self.user.id), sealed).ok();
        let secret = opened.and_then(|bytes| TotpSecret::from_bytes(&bytes));
        let corrupt = || StoreError::Corrupt(format!("second factor of `{}`", self.user.id));
        secret.map(Some).ok_or_else(corrupt)
    }

    /// Whether the password is an initial one that may not be used to sign in any more.
    pub(super) fn initial_is_over(&self, now: Millis) -> bool {
        self.initial_expires_at.is_some_and(|until| until <= now || self.initial_used_at.is_some())
    }
}
