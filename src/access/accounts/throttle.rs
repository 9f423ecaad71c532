//! Guessing is slow: after ten failures in a row each further attempt waits, twice as long each time.
//!
//! One counter for each account and authenticator, by the address in its one spelling, whether there is such an
//! account or not. An attempt is counted *before* it is looked at, in a transaction that is committed by then: neither
//! a roll-back nor a hundred attempts at once get around it (CVE-2026-35597). What was right takes it back.

use super::credential::{self, Credential};
use super::{email_key, sign_in::SignInError};
use crate::access::Access;
use crate::access::transaction::{ActError, Done};
use crate::domain::Millis;
use crate::identity::{STEP_SECONDS, step_at};
use crate::store::{StoreError, Tx};
use aws_lc_rs::digest::{SHA256, digest};

/// Failures in a row that cost no wait.
const FREE: i64 = 10;
/// The first wait, milliseconds.
const FIRST: Millis = 1_000;
/// The longest, milliseconds.
const LONGEST: Millis = 15 * 60_000;
/// Codes tried in one step of thirty seconds.
const IN_STEP: i64 = 5;
/// After this long, milliseconds, failures are forgotten.
const FORGOTTEN: Millis = 24 * 3_600_000;
/// Addresses that are nobody's are remembered up to this many.
const UNKNOWN: i64 = 10_000;

/// What is guessed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Authenticator {
    Password,
    /// Codes and backup codes.
    Totp,
    /// The secret of the setup gate.
    Setup,
}

impl Authenticator {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Totp => "totp",
            Self::Setup => "setup",
        }
    }
}

/// Whose failures are counted: a hash, so that what was typed isn't kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account(String);

impl Account {
    /// Of an address in whatever spelling.
    pub(super) fn of(email: &str) -> Self {
        Self(hex::encode(digest(&SHA256, email_key(email).as_bytes())))
    }

    /// Of the setup gate.
    pub(super) fn setup() -> Self {
        Self("setup".to_owned())
    }
}

/// How long after the failure before the next attempt may come, milliseconds.
fn pause(failures: i64) -> Millis {
    match u32::try_from((failures - FREE).min(20)) {
        Err(_) => 0,
        Ok(doublings) => FIRST.checked_shl(doublings).unwrap_or(LONGEST).min(LONGEST),
    }
}

/// The row of failures as it stands.
struct Failures {
    failures: i64,
    last_at: Millis,
    step: i64,
    in_step: i64,
}

impl Failures {
    /// Milliseconds to wait until an attempt may be made at `now`; 0: it may.
    fn wait(&self, which: Authenticator, now: Millis) -> Millis {
        let paused = self.last_at + pause(self.failures) - now;
        let step = step_at(now);
        let crowded = which == Authenticator::Totp && self.step == step && self.in_step >= IN_STEP;
        let next_step = if crowded { (step + 1) * STEP_SECONDS * 1000 - now } else { 0 };
        paused.max(next_step).max(0)
    }
}

impl Access {
    /// Counts an attempt on an address and gives the account, if there is one.
    pub(super) async fn count_attempt(
        &self,
        email: &str,
        which: Authenticator,
    ) -> Result<Option<Credential>, SignInError> {
        let key = email_key(email);
        let counted = self.act(move |tx| {
            let key = key.clone();
            Box::pin(async move {
                let found = credential::by_email(tx, &key).await?;
                let counted = count(tx, &Account::of(&key), which, found.is_some()).await?;
                Ok(Done::unchanged(counted.map(|()| found)))
            })
        });
        counted
            .await
            .map_err(SignInError::from)?
            .map_err(|retry_after| SignInError::Throttled { retry_after })
    }

    /// Counts an attempt of somebody whose address is known by their session.
    pub(super) async fn attempt_step_up(&self, email: &str, which: Authenticator) -> Result<(), ActError> {
        match self.count_attempt(email, which).await {
            Ok(_) => Ok(()),
            Err(SignInError::Throttled { retry_after }) => Err(ActError::Throttled { retry_after }),
            Err(SignInError::Store(error)) => Err(error.into()),
            Err(SignInError::Refused | SignInError::OtpRefused | SignInError::Busy) => Err(ActError::Busy),
        }
    }

    /// Counts an attempt on the setup gate.
    pub(super) async fn attempt_setup(&self) -> Result<(), ActError> {
        let counted = self.act(|tx| {
            Box::pin(async move {
                Ok(Done::unchanged(count(tx, &Account::setup(), Authenticator::Setup, true).await?))
            })
        });
        counted.await?.map_err(|retry_after| ActError::Throttled { retry_after })
    }

    /// Takes back what was counted: the attempt was right.
    pub(super) async fn forgive(&self, email: &str, which: Authenticator) -> Result<(), ActError> {
        let account = Account::of(email);
        self.act(move |tx| {
            let account = account.clone();
            Box::pin(async move {
                forgive_in(tx, &account, which).await?;
                Ok(Done::unchanged(()))
            })
        })
        .await
    }
}

/// The same inside an act's own transaction.
pub(super) async fn forgive_in(
    tx: &mut Tx,
    account: &Account,
    which: Authenticator,
) -> Result<(), StoreError> {
    // How many were tried in this step stays.
    tx.execute(
        "UPDATE sign_in_failure SET failures = 0 WHERE account = $1 AND authenticator = $2",
        &[account.0.as_str().into(), which.as_str().into()],
    )
    .await
    .map(drop)
}

/// Counts one attempt, or says for how many seconds none may be made.
async fn count(
    tx: &mut Tx,
    account: &Account,
    which: Authenticator,
    known: bool,
) -> Result<Result<(), u32>, StoreError> {
    let (account, which_name) = (account.0.as_str(), which.as_str());
    let made = tx
        .execute(
            "INSERT INTO sign_in_failure (account, authenticator, known, failures, last_at, step, in_step) \
             VALUES ($1, $2, $3, 0, {now}, 0, 0) ON CONFLICT DO NOTHING",
            &[account.into(), which_name.into(), known.into()],
        )
        .await?;
    let row = tx
        .row(
            "SELECT failures, last_at, step, in_step FROM sign_in_failure \
             WHERE account = $1 AND authenticator = $2 {for_update}",
            &[account.into(), which_name.into()],
        )
        .await?;
    let row = row.ok_or_else(|| StoreError::Corrupt("a counter of failures is gone".to_owned()))?;
    let mut failures =
        Failures { failures: row.int(0)?, last_at: row.int(1)?, step: row.int(2)?, in_step: row.int(3)? };
    // After the wait for the lock.
    let now = tx.now().await?;
    if now - failures.last_at > FORGOTTEN {
        failures.failures = 0;
    }
    let wait = failures.wait(which, now);
    if wait > 0 {
        return Ok(Err(u32::try_from((wait + 999) / 1000).unwrap_or(u32::MAX)));
    }
    let step = step_at(now);
    let in_step = if failures.step == step { failures.in_step + 1 } else { 1 };
    tx.execute(
        "UPDATE sign_in_failure SET failures = $3, last_at = $4, step = $5, in_step = $6, known = $7 \
         WHERE account = $1 AND authenticator = $2",
        &[
            account.into(),
            which_name.into(),
            (failures.failures + 1).into(),
            now.into(),
            step.into(),
            in_step.into(),
            known.into(),
        ],
    )
    .await?;
    if made > 0 {
        forget(tx, now).await?;
    }
    Ok(Ok(()))
}

/// Keeps the table small, whoever makes up addresses.
async fn forget(tx: &mut Tx, now: Millis) -> Result<(), StoreError> {
    tx.execute("DELETE FROM sign_in_failure WHERE last_at < $1", &[(now - FORGOTTEN).into()]).await?;
    tx.execute(
        "DELETE FROM sign_in_failure WHERE known = 0 AND last_at < \
           (SELECT last_at FROM sign_in_failure WHERE known = 0 ORDER BY last_at DESC LIMIT 1 OFFSET $1)",
        &[UNKNOWN.into()],
    )
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s_08_ten_are_free_then_each_waits_twice_as_long() {
        let waits: Vec<Millis> = [0, 9, 10, 11, 12, 19, 20, 60, i64::MAX].map(pause).into();
        assert_eq!(waits, [0, 0, 1_000, 2_000, 4_000, 512_000, 900_000, 900_000, 900_000]);
        // A hundred in a row take a day.
        let total: Millis = (0..100).map(pause).sum();
        assert!(total > 19 * 3_600_000, "{total}");
    }

    #[test]
    fn s_08_one_account_in_every_spelling() {
        let one = Account::of("ann@vendor.example");
        for spelling in ["Ann@Vendor.Example", " ann@vendor.example\n", "ANN@VENDOR.EXAMPLE"] {
            assert_eq!(Account::of(spelling), one);
        }
        assert_ne!(Account::of("ann@vendor.example."), one);
    }

    #[test]
    fn s_13_five_codes_in_a_step() {
        let now = 1_800_000_000_000 + 7_000;
        let tried = |in_step| Failures { failures: 0, last_at: 0, step: step_at(now), in_step };
        assert_eq!(tried(4).wait(Authenticator::Totp, now), 0);
        assert_eq!(tried(5).wait(Authenticator::Totp, now), 23_000);
        assert_eq!(tried(5).wait(Authenticator::Password, now), 0);
        assert_eq!(tried(5).wait(Authenticator::Totp, now + 23_000), 0);
    }
}
