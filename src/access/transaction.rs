//! How an act is carried out: one transaction with its audit entries and its change records (appended
//! last, under the head row's lock), then in force in this process before the call answers.

use super::{Access, Rule};
use crate::domain::ids::Subject;
use crate::domain::{RevokeReason, fail_point};
use crate::policy::Denial;
use crate::store::{ChangeRecord, Effect, StoreError, Tx, change};
use std::future::Future;
use std::pin::Pin;

/// Why an act was not done. Every variant but `Store` leaves its refusal in the log.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The policies refuse.
    #[error("refused by policy: {}", .0.code)]
    Refused(Box<Denial>),
    /// There is no such thing, or it is somebody else's.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// A member of the body can't be used.
    #[error("`{member}` {fault}")]
    Invalid {
        /// Which.
        member: &'static str,
        /// What is wrong with it, and what is taken.
        fault: &'static str,
    },
    /// Too many mints.
    #[error("too many mints; try again in {retry_after} s")]
    RateLimited {
        /// Seconds.
        retry_after: u32,
    },
    /// Too many passwords or codes were wrong.
    #[error("too many attempts; try again in {retry_after} s")]
    Throttled {
        /// Seconds.
        retry_after: u32,
    },
    /// Too many passwords wait to be hashed: try again in a second.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The password as it is now and a code are needed, and were not given or are wrong.
    #[error("the current password and a code are needed")]
    StepUp,
    /// The code would be right at another time of day.
    #[error("the clock seems to be {seconds} s ahead")]
    ClockOff {
        /// How far the other clock seems to be ahead of ours, seconds.
        seconds: i64,
    },
    /// Something of that name is there already.
    #[error("there is one already: {0}")]
    Conflict(&'static str),
    /// The setup gate is shut for good.
    #[error("this installation is set up")]
    SetupDone,
    /// Not the secret of the setup gate.
    #[error("the setup secret is wrong")]
    SetupSecret,
    /// The records or the log can't be written. Revocations are in force in this process all the same.
    #[error("the records can't be written")]
    Store(#[from] StoreError),
    /// A token can't be signed.
    #[error(transparent)]
    Token(#[from] crate::identity::TokenError),
    /// The permit of the gate was not there to be spent, or is for another action.
    #[error("no permit for this act")]
    NoPermit,
}

/// What the work of a transaction gives: its answer and what changed.
pub(super) struct Done<T> {
    pub(super) value: T,
    pub(super) changes: Vec<ChangeRecord>,
    /// What was asked for had been done before: perhaps by a call that got no answer, so that this one waits
    /// until all that is committed by now is in force on every gateway.
    repeated: bool,
}

impl<T> Done<T> {
    pub(super) fn changed(value: T, changes: Vec<ChangeRecord>) -> Self {
        Self { value, changes, repeated: false }
    }

    /// Nothing that anybody caches changed.
    pub(super) fn unchanged(value: T) -> Self {
        Self::changed(value, Vec::new())
    }

    /// It had been done before.
    pub(super) fn repeated(value: T) -> Self {
        Self { repeated: true, ..Self::unchanged(value) }
    }
}

/// The work of a transaction.
pub(super) type Work<'t, T> = Pin<Box<dyn Future<Output = Result<Done<T>, ActError>> + Send + 't>>;

/// Tells the compiler that a closure is work for any transaction.
pub(super) fn work<T, F>(f: F) -> F
where
    F: for<'t> Fn(&'t mut Tx) -> Work<'t, T> + Send + Sync,
{
    f
}

/// What a revocation puts in force in memory when it can't be written.
pub(super) struct InMemory {
    pub(super) subjects: Vec<Subject>,
    pub(super) reason: RevokeReason,
}

impl Access {
    /// Runs `work` in one transaction. What room is left once the reserve is spent belongs to revocations.
    pub(super) async fn act<T: Send>(
        &self,
        work: impl for<'t> Fn(&'t mut Tx) -> Work<'t, T> + Send + Sync,
    ) -> Result<T, ActError> {
        if self.db.reserve_is_spent() && !self.db.refill_reserve() {
            return Err(StoreError::kept_for_revocations().into());
        }
        self.carry_out(&work).await
    }

    /// Runs `work`, and once more when the database broke a deadlock by it: nothing of it was written then.
    async fn carry_out<T: Send>(
        &self,
        work: &(impl for<'t> Fn(&'t mut Tx) -> Work<'t, T> + Send + Sync),
    ) -> Result<T, ActError> {
        let mut tries = 1;
        loop {
            match self.attempt(work).await {
                Err(ActError::Store(error)) if self.db.again(&error, tries) => tries += 1,
                done => return done,
            }
        }
    }

    async fn attempt<T: Send>(
        &self,
        work: &(impl for<'t> Fn(&'t mut Tx) -> Work<'t, T> + Send + Sync),
    ) -> Result<T, ActError> {
        let drawn = if self.is_without(Rule::HeadRow) { Some(change::draw(&self.db).await?) } else { None };
        let mut tx = self.db.write().await?;
        let Done { value, changes, repeated } = work(&mut tx).await?;
        let before =
            if repeated && self.lease.is_needed() { Some(change::head(&mut tx).await?) } else { None };
        let mut numbered = Vec::with_capacity(changes.len());
        for record in changes {
            let position = match drawn {
                None => change::append(&mut tx, &record).await?,
                Some(n) => change::append_unchained(&mut tx, n, &record).await?,
            };
            numbered.push((position, record));
        }
        fail_point("act.before_commit");
        tx.commit().await?;
        fail_point("act.committed");
        self.publish(&numbered);
        // That a time is over, every gateway sees by itself.
        let told =
            numbered.iter().rev().find(|(_, r)| r.effect != Effect::Ended(Some(RevokeReason::Expired)));
        if let Some(n) = told.map(|(position, _)| position.n).or(before) {
            self.in_force_everywhere(n).await;
        }
        Ok(value)
    }

    /// As [`Access::act`], for what takes access away: on a full disk the reserve is spent on it, and when
    /// it can't be written at all it is in force in memory, while the caller is told that it isn't recorded.
    pub(super) async fn revoke<T: Send>(
        &self,
        in_memory: InMemory,
        work: impl for<'t> Fn(&'t mut Tx) -> Work<'t, T> + Send + Sync,
    ) -> Result<T, ActError> {
        let mut result = self.carry_out(&work).await;
        if matches!(result, Err(ActError::Store(StoreError::Full(_)))) && self.db.release_reserve() {
            tracing::error!("the disk is full: the reserve is spent on a revocation; make room");
            result = self.carry_out(&work).await;
        }
        if let Err(ActError::Store(error)) = &result {
            tracing::error!(
                error = error as &dyn std::error::Error,
                "a revocation can't be recorded; it is in force in this process only"
            );
            self.view.apply_unrecorded(&in_memory.subjects, in_memory.reason);
        }
        result
    }
}
