//! Applies the change log, record by record, and sees when it isn't the log it used to be.

use super::super::Access;
use super::super::view::View;
use crate::store::change::{self, Position};
use crate::store::{Db, StoreError, Tx};
use std::sync::atomic::Ordering;

/// Records read at a time.
const BATCH: usize = 1_000;

/// How far this gateway has read the change log. There is one, and whoever has it applies what it reads.
pub(in crate::access) struct Follower {
    position: Position,
    /// False only in a test that draws numbers elsewhere than from the head row.
    checks_chain: bool,
}

/// What reading on has shown.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::access) enum Followed {
    /// Every change that was committed before the reading began is applied; whether there were any.
    Applied(bool),
    /// The log isn't the one that was read before: the records were put back to an earlier state, or a
    /// failover lost some. What this gateway knows may be from a past that there wasn't.
    Diverged,
}

impl Access {
    /// Takes note that everything committed by now is in force here.
    pub(in crate::access) fn followed(&self) {
        self.live.reached(self.view.applied());
        self.followed_at.store(self.clock.now(), Ordering::Relaxed);
    }
}

impl Follower {
    /// From the place before which nothing is cached.
    pub(in crate::access) const fn starting_at(position: Position) -> Self {
        Self { position, checks_chain: true }
    }

    pub(in crate::access) fn unchecked(self) -> Self {
        Self { checks_chain: false, ..self }
    }

    /// Every change up to this one is applied.
    pub(in crate::access) const fn applied(&self) -> u64 {
        self.position.n
    }

    /// Begins a reading of what is committed by now; [`Reading::follow`] applies it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in crate::access) async fn read<'f>(
        &'f mut self,
        view: &'f View,
        db: &Db,
    ) -> Result<Reading<'f>, StoreError> {
        // Before the transaction begins, which then sees it.
        let own = view.newest_own();
        Ok(Reading { follower: self, view, own, tx: db.read().await? })
    }

    /// Applies what was committed before `tx` began, `own` among it.
    async fn follow(
        &mut self,
        view: &View,
        tx: &mut Tx,
        own: Option<(u64, u64)>,
    ) -> Result<Followed, StoreError> {
        let before = self.position.n;
        loop {
            let changes = change::since(tx, self.position.n, BATCH).await?;
            let last = changes.len() < BATCH;
            for change in changes {
                let follows = change.n == self.position.n + 1 && change.follows(&self.position.tip)?;
                if self.checks_chain && !follows {
                    return Ok(Followed::Diverged);
                }
                view.apply(change.n, &change.record);
                self.position = Position { n: change.n, tip: change.tip };
                view.remember(&self.position);
            }
            if last {
                break;
            }
        }
        if !self.checks_chain {
            return Ok(Followed::Applied(self.position.n > before));
        }
        // Without new records the log may still be another one, shorter or with other content.
        let head = change::position(tx).await?;
        let shorter = head.n < self.position.n;
        if shorter || (head.n == self.position.n && head.tip != self.position.tip) {
            return Ok(Followed::Diverged);
        }
        if own.is_some_and(|(n, fingerprint)| view.lacks(n, fingerprint)) {
            return Ok(Followed::Diverged);
        }
        Ok(Followed::Applied(self.position.n > before))
    }
}

/// One consistent view of the records, in which the log is read.
pub(in crate::access) struct Reading<'f> {
    follower: &'f mut Follower,
    view: &'f View,
    own: Option<(u64, u64)>,
    /// For what else is to be read in it.
    pub(in crate::access) tx: Tx,
}

impl Reading<'_> {
    /// Applies the log.
    ///
    /// # Errors
    /// [`StoreError`]; what was read before it is applied.
    pub(in crate::access) async fn follow(&mut self) -> Result<Followed, StoreError> {
        self.follower.follow(self.view, &mut self.tx, self.own).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{OrgId, Subject};
    use crate::store::{ChangeRecord, Db, DbOptions, Effect};

    async fn append(db: &Db, subject: Subject) {
        let mut tx = db.write().await.unwrap();
        let record = ChangeRecord { effect: Effect::Changed, subjects: vec![subject] };
        change::append(&mut tx, &record).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn tamper(db: &Db, sql: &'static str) {
        let mut tx = db.write().await.unwrap();
        assert!(tx.execute(sql, &[]).await.unwrap() > 0, "{sql}");
        tx.commit().await.unwrap();
    }

    /// Follows a log of three records, then what `tampering` made of it and one record more.
    async fn follow_after(tampering: &[&'static str], one_more: bool) -> Followed {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(DbOptions::new(folder.path())).await.unwrap();
        let start = Position { n: 0, tip: String::new() };
        let (view, mut follower) = (View::starting_at(&start, true), Follower::starting_at(start));
        for _ in 0..3 {
            append(&db, OrgId::random().subject()).await;
        }
        let mut reading = follower.read(&view, &db).await.unwrap();
        assert_eq!(reading.follow().await.unwrap(), Followed::Applied(true));
        drop(reading);
        assert_eq!((view.applied(), follower.applied()), (3, 3));
        for sql in tampering {
            tamper(&db, sql).await;
        }
        if one_more {
            append(&db, OrgId::random().subject()).await;
        }
        follower.read(&view, &db).await.unwrap().follow().await.unwrap()
    }

    #[tokio::test]
    async fn a_log_without_what_this_process_committed_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(DbOptions::new(folder.path())).await.unwrap();
        let start = Position { n: 0, tip: String::new() };
        let (view, mut follower) = (View::starting_at(&start, true), Follower::starting_at(start));
        append(&db, OrgId::random().subject()).await;
        let own = change::position(&mut db.read().await.unwrap()).await.unwrap();
        view.committed(&own);
        // Put back before it was followed.
        tamper(&db, "DELETE FROM change_log WHERE n = 1").await;
        tamper(&db, "UPDATE change_head SET n = 0, tip = ''").await;
        assert_eq!(follower.read(&view, &db).await.unwrap().follow().await.unwrap(), Followed::Diverged);
        append(&db, OrgId::random().subject()).await;
        assert_eq!(follower.read(&view, &db).await.unwrap().follow().await.unwrap(), Followed::Diverged);
    }

    #[tokio::test]
    async fn what_is_new_is_applied() {
        assert_eq!(follow_after(&[], false).await, Followed::Applied(false));
        assert_eq!(follow_after(&[], true).await, Followed::Applied(true));
    }

    #[tokio::test]
    async fn a_log_put_back_is_seen() {
        const BACK: [&str; 2] = [
            "DELETE FROM change_log WHERE n = 3",
            "UPDATE change_head SET n = 2, tip = (SELECT tip FROM change_log WHERE n = 2)",
        ];
        assert_eq!(follow_after(&BACK, false).await, Followed::Diverged, "shorter");
        // As long as before, with another third record.
        assert_eq!(follow_after(&BACK, true).await, Followed::Diverged, "another record in its place");
    }

    #[tokio::test]
    async fn a_record_that_does_not_follow_is_seen() {
        const OTHER_TIP: [&str; 1] = ["UPDATE change_head SET tip = 'other'"];
        assert_eq!(follow_after(&OTHER_TIP, true).await, Followed::Diverged, "a record after another one");
        const GAP: [&str; 1] = ["UPDATE change_head SET n = 4"];
        assert_eq!(follow_after(&GAP, true).await, Followed::Diverged, "a number is missing");
    }
}
