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

/// A person after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activated {
    /// Who.
    pub id: OrgUserId,
    /// How the account stands.
    pub active: bool,
    /// How many sessions the call ended.
    pub ended: usize,
}

/// The provider of a person; `None` for who signs in with none.
async fn provider_of(tx: &mut Tx, person: &OrgUserId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT provider FROM org_user_identity WHERE org_user_id = $1";
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
        let provider = provider_of(&mut tx, caller).await?.unwrap_or_default();
        let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = tx
            .rows(
                "SELECT u.id, u.email, u.display_name, u.active, u.site_admin, u.created_at, i.last_sign_in_at \
                 FROM org_user_identity i JOIN org_user u ON u.id = i.org_user_id \
                 WHERE i.provider = $1 AND ($2 = '' OR u.id < $2) ORDER BY u.id DESC LIMIT $3",
                &[provider.into(), after.unwrap_or_default().into(), fetch.into()],
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

    /// Activates or deactivates a person of the caller's provider; deactivated, every session of theirs is over. One's
    /// own account stays as it is. A repeat gives the same answer.
    ///
    /// # Errors
    /// [`ActError`]: another provider's person is not found.
    pub async fn set_active(
        &self,
        permit: Permit,
        caller: &Known,
        person: OrgUserId,
        active: bool,
        request: &RequestInfo,
    ) -> Result<Activated, ActError> {
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
        entry.details.insert("active".to_owned(), active.into());
        // What a deactivation that the disk refused ended in memory must not come back.
        let overdue = active && self.view.is_unrecorded(&person.subject());
        let (me, again) = (me.id.clone(), self.again(&permit, caller, request));
        let subject = person.subject();
        let work = work(move |tx| {
            let (me, person) = (me.clone(), person.clone());
            let (entry, again) = (entry.clone(), again.clone());
            Box::pin(async move {
                tx.row("SELECT id FROM org_user WHERE id = $1 {for_update}", &[person.as_str().into()])
                    .await?;
                again.judge(tx).await?;
                let (mine, theirs) = (provider_of(tx, &me).await?, provider_of(tx, &person).await?);
                if theirs.is_none() || mine != theirs {
                    return Err(ActError::NotFound("person"));
                }
                set(tx, person, active, overdue, &entry).await
            })
        });
        if active {
            self.act(work).await
        } else {
            let reason = RevokeReason::AccountDeactivated;
            self.revoke(InMemory { subjects: vec![subject], reason }, work).await
        }
    }
}

async fn set(
    tx: &mut Tx,
    person: OrgUserId,
    active: bool,
    overdue: bool,
    entry: &Entry,
) -> Result<Done<Activated>, ActError> {
    let changed = tx
        .execute(
            "UPDATE org_user SET active = $1 WHERE id = $2 AND active <> $1",
            &[active.into(), person.as_str().into()],
        )
        .await?;
    if changed == 0 && !overdue {
        return Ok(Done::repeated(Activated { id: person, active, ended: 0 }));
    }
    to_orgs_of(tx, person.as_str(), entry).await?;
    let mut changes = vec![ChangeRecord { effect: Effect::Changed, subjects: vec![person.subject()] }];
    let mut ended = 0;
    if !active || overdue {
        let why = RevokeReason::AccountDeactivated;
        let rows = tx
            .rows(
                "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE subject_id = $2 AND ended_at IS NULL RETURNING id",
                &[why.as_str().into(), person.as_str().into()],
            )
            .await?;
        let subjects = rows.iter().map(|row| Ok(Subject::from_stored(row.text(0)?)));
        let subjects = subjects.collect::<Result<Vec<_>, StoreError>>()?;
        ended = subjects.len();
        if ended > 0 {
            changes.push(ChangeRecord { effect: Effect::Ended(Some(why)), subjects });
        }
    }
    Ok(Done::changed(Activated { id: person, active, ended }, changes))
}
