//! The customers' people, as a site admin administers them: those of the same provider, whom it alone speaks for
//! (requirements §6).

use super::directory::{Paged, paged};
use super::entries::{self, permitted};
use super::provision::to_orgs_of;
use super::transaction::{ActError, Done, InMemory, work};
use super::{Access, Known, RequestInfo};
use crate::audit::entry::{Entry, Logs, Stage};
use crate::domain::ids::{OrgUserId, Subject};
use crate::domain::{Event, Millis, Principal, RevokeReason};
use crate::policy::Permit;
use crate::store::{ChangeRecord, Effect, StoreError, Tx};

/// A person as the lists show them.
#[derive(Debug, Clone)]
pub struct PersonRecord {
    /// Who.
    pub id: String,
    /// Address, if the provider has verified it.
    pub email: String,
    /// Name.
    pub display_name: String,
    /// Whether the account is active.
    pub active: bool,
    /// Whether they administer others.
    pub site_admin: bool,
    /// When they first came.
    pub created_at: Millis,
    /// When they signed in last.
    pub last_sign_in_at: Millis,
}

/// What is to be otherwise; `None`: as it is.
#[derive(Debug, Clone, Copy)]
pub struct PersonChange {
    /// Whether the account is active.
    pub active: Option<bool>,
    /// Whether they administer others.
    pub site_admin: Option<bool>,
}

/// A person after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Who.
    pub id: OrgUserId,
    /// How the account stands.
    pub active: bool,
    /// Whether they administer others.
    pub site_admin: bool,
    /// How many sessions the call ended.
    pub ended: usize,
}

/// The issuer of a person's provider; `None` for who signs in with none.
async fn issuer_of(tx: &mut Tx, person: &OrgUserId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT issuer FROM org_user_identity WHERE org_user_id = $1";
    let row = tx.row(sql, &[person.as_str().into()]).await?;
    row.map(|row| Ok(row.text(0)?.to_owned())).transpose()
}

impl Access {
    /// The people of the caller's provider, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn people(
        &self,
        caller: &OrgUserId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Paged<PersonRecord>, StoreError> {
        let mut tx = self.db.read().await?;
        let issuer = issuer_of(&mut tx, caller).await?.unwrap_or_default();
        let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = tx
            .rows(
                "SELECT u.id, u.email, u.display_name, u.active, u.site_admin, u.created_at, i.last_sign_in_at \
                 FROM org_user_identity i JOIN org_user u ON u.id = i.org_user_id \
                 WHERE i.issuer = $1 AND ($2 = '' OR u.id < $2) ORDER BY u.id DESC LIMIT $3",
                &[issuer.into(), after.unwrap_or_default().into(), fetch.into()],
            )
            .await?;
        let items = rows.iter().map(|row| {
            Ok(PersonRecord {
                id: row.text(0)?.to_owned(),
                email: row.text(1)?.to_owned(),
                display_name: row.text(2)?.to_owned(),
                active: row.int(3)? != 0,
                site_admin: row.int(4)? != 0,
                created_at: row.int(5)?,
                last_sign_in_at: row.int(6)?,
            })
        });
        Ok(paged(items.collect::<Result<_, StoreError>>()?, limit, |person| person.id.clone()))
    }

    /// Activates or deactivates a person of the caller's provider, or makes them a site admin or none; deactivated, every
    /// session of theirs is over. One's own account stays as it is. A repeat gives the same answer.
    ///
    /// # Errors
    /// [`ActError`]: another provider's person is not found.
    pub async fn change_person(
        &self,
        permit: Permit,
        caller: &Known,
        person: OrgUserId,
        change: PersonChange,
        request: &RequestInfo,
    ) -> Result<Changed, ActError> {
        let Principal::OrgUser(me) = &caller.session.principal else { return Err(ActError::NoPermit) };
        if me.id == person {
            return Err(ActError::Invalid {
                member: "user",
                fault: "is your own account: another site admin has to do this",
            });
        }
        let mut entry = entries::entry(Event::OrgUserChanged, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.status = Some(200);
        entry.logs = Logs::Platform;
        entry.resource = Some(person.to_string());
        for (name, to) in [("active", change.active), ("site_admin", change.site_admin)] {
            if let Some(to) = to {
                entry.details.insert(name.to_owned(), to.into());
            }
        }
        // What a deactivation that the disk refused ended in memory must not come back.
        let overdue = change.active == Some(true) && self.view.is_unrecorded(&person.subject());
        let (me, again) = (me.id.clone(), self.again(&permit, caller, request));
        let subject = person.subject();
        let work = work(move |tx| {
            let (me, person) = (me.clone(), person.clone());
            let (entry, again) = (entry.clone(), again.clone());
            Box::pin(async move {
                // Both, in one order: of two who deactivate each other the second finds that they are active no more.
                let both = "SELECT id FROM org_user WHERE id IN ($1, $2) ORDER BY id {for_update}";
                tx.rows(both, &[me.as_str().into(), person.as_str().into()]).await?;
                again.judge(tx).await?;
                let (mine, theirs) = (issuer_of(tx, &me).await?, issuer_of(tx, &person).await?);
                if theirs.is_none() || mine != theirs {
                    return Err(ActError::NotFound("person"));
                }
                set(tx, person, change, overdue, &entry).await
            })
        });
        if change.active == Some(false) {
            let reason = RevokeReason::AccountDeactivated;
            self.revoke(InMemory { subjects: vec![subject], reason }, work).await
        } else {
            self.act(work).await
        }
    }
}

async fn set(
    tx: &mut Tx,
    person: OrgUserId,
    change: PersonChange,
    overdue: bool,
    entry: &Entry,
) -> Result<Done<Changed>, ActError> {
    let row = tx
        .row("SELECT active, site_admin FROM org_user WHERE id = $1", &[person.as_str().into()])
        .await?
        .ok_or(ActError::NotFound("person"))?;
    let before = (row.int(0)? != 0, row.int(1)? != 0);
    let after = (change.active.unwrap_or(before.0), change.site_admin.unwrap_or(before.1));
    let mut done = Changed { id: person, active: after.0, site_admin: after.1, ended: 0 };
    if before == after && !overdue {
        return Ok(Done::repeated(done));
    }
    tx.execute(
        "UPDATE org_user SET active = $1, site_admin = $2 WHERE id = $3",
        &[after.0.into(), after.1.into(), done.id.as_str().into()],
    )
    .await?;
    to_orgs_of(tx, done.id.as_str(), entry).await?;
    let mut changes = vec![ChangeRecord { effect: Effect::Changed, subjects: vec![done.id.subject()] }];
    if (before.0 && !after.0) || overdue {
        let why = RevokeReason::AccountDeactivated;
        let rows = tx
            .rows(
                "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE subject_id = $2 AND ended_at IS NULL RETURNING id",
                &[why.as_str().into(), done.id.as_str().into()],
            )
            .await?;
        let subjects = rows.iter().map(|row| Ok(Subject::from_stored(row.text(0)?)));
        let subjects = subjects.collect::<Result<Vec<_>, StoreError>>()?;
        done.ended = subjects.len();
        if done.ended > 0 {
            changes.push(ChangeRecord { effect: Effect::Ended(Some(why)), subjects });
        }
    }
    Ok(Done::changed(done, changes))
}
