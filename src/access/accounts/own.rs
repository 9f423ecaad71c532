//! What changes of one's own credentials have in common: whose account it is, and what they end.

use super::cookie::{Renewed, renew};
use super::credential::{self, Credential};
use crate::access::end::{LiveGrants, end_grants};
use crate::access::transaction::ActError;
use crate::access::{Access, Known};
use crate::audit::entry::Entry;
use crate::domain::ids::{PlatformUserId, Subject};
use crate::domain::{Millis, Principal, RevokeReason};
use crate::store::{ChangeRecord, Effect, StoreError, Tx};

/// One's own account, as `/platform/me` shows it beside the session's facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnAccount {
    /// Whether it can sign in by password at all.
    pub has_password: bool,
    /// Whether it has a second factor.
    pub second_factor: bool,
    /// When it signed in last.
    pub last_sign_in_at: Option<Millis>,
    /// How many backup codes are left.
    pub backup_codes: i64,
}

impl OwnAccount {
    /// As `/platform/me` says it: `enabled`, `required` (there is a password without one), `none` (no password).
    #[must_use]
    pub const fn two_factor(&self) -> &'static str {
        match (self.second_factor, self.has_password) {
            (true, _) => "enabled",
            (false, true) => "required",
            (false, false) => "none",
        }
    }
}

impl Access {
    /// One's own account as it was when this session was first asked about; a change of its factors makes it be read
    /// again. Costs the records nothing the second time.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn own_account_in(&self, caller: &Known) -> Result<OwnAccount, ActError> {
        if let Some(account) = caller.account.get() {
            return Ok(*account);
        }
        let account = self.own_account(caller).await?;
        Ok(*caller.account.get_or_init(|| account))
    }

    /// One's own account as it is now.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn own_account(&self, caller: &Known) -> Result<OwnAccount, ActError> {
        let mut tx = self.db.read().await?;
        let account = account_of(&mut tx, caller).await?;
        let row = tx
            .row(
                "SELECT count(*) FROM backup_code WHERE platform_user_id = $1 AND used_at IS NULL",
                &[account.user.id.as_str().into()],
            )
            .await?;
        Ok(OwnAccount {
            has_password: account.password_hash.is_some(),
            second_factor: account.is_enrolled(),
            last_sign_in_at: account.last_sign_in_at,
            backup_codes: row.map_or(Ok(0), |row| row.int(0))?,
        })
    }

    /// The account behind a session, read apart from any act.
    pub(super) async fn own_credential(&self, caller: &Known) -> Result<Credential, ActError> {
        let mut tx = self.db.read().await?;
        account_of(&mut tx, caller).await
    }
}

pub(super) fn user_of(caller: &Known) -> Result<&PlatformUserId, ActError> {
    match &caller.session.principal {
        Principal::PlatformUser(user) => Ok(&user.id),
        Principal::Impersonation(_) | Principal::OrgUser(_) | Principal::Bot(_) => Err(ActError::NoPermit),
    }
}

async fn account_of(tx: &mut Tx, caller: &Known) -> Result<Credential, ActError> {
    credential::by_id(tx, user_of(caller)?).await?.ok_or(ActError::NotFound("platform user"))
}

/// What a change of credentials ended, and what every gateway has to be told.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) sessions: usize,
    pub(super) impersonations: usize,
    pub(super) changes: Vec<ChangeRecord>,
    pub(super) renewed: Renewed,
}

/// Ends every session of `user` and every impersonation; of `keep`, the session that asks, a browser's goes on under
/// another value and a bearer token's as it is. Raises the version of the credentials.
pub(super) async fn end_all_but(
    tx: &mut Tx,
    user: &PlatformUserId,
    keep: Option<&Subject>,
    template: &Entry,
) -> Result<Ended, ActError> {
    let why = RevokeReason::CredentialsChanged;
    tx.execute(
        "UPDATE platform_user SET credential_version = credential_version + 1 WHERE id = $1",
        &[user.as_str().into()],
    )
    .await?;
    let renewed = match keep {
        Some(session) => renew(tx, session).await?,
        None => Renewed::default(),
    };
    // The one that goes on: the new one, or the one that asks where it has no value to renew.
    let spared = match (&renewed.session, keep) {
        (Some(new), _) => new.as_str(),
        (None, Some(session)) => session.as_str(),
        (None, None) => "",
    };
    let rows = tx
        .rows(
            "UPDATE session SET ended_at = {now}, revoke_reason = $1 \
             WHERE subject_id = $2 AND ended_at IS NULL AND id <> $3 RETURNING id",
            &[why.as_str().into(), user.as_str().into(), spared.into()],
        )
        .await?;
    let sessions = rows.iter().map(|row| Ok(Subject::from_stored(row.text(0)?)));
    let sessions = sessions.collect::<Result<Vec<_>, StoreError>>()?;
    let (ended, change) = end_grants(tx, &LiveGrants::OfUser(user.clone()), why, template).await?;
    let others = sessions.len() - usize::from(renewed.session.is_some());
    let mut changes = vec![ChangeRecord { effect: Effect::Changed, subjects: vec![user.subject()] }];
    if !sessions.is_empty() {
        changes.push(ChangeRecord { effect: Effect::Ended(Some(why)), subjects: sessions });
    }
    changes.extend(change);
    Ok(Ended { sessions: others, impersonations: ended.len(), changes, renewed })
}
