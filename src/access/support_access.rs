//! The owner's switch: whether vendor staff may be let in at all.

use super::end::{LiveGrants, end_grants};
use super::entries::{self, permitted};
use super::transaction::{ActError, Done, InMemory, work};
use super::{Access, Known, RequestInfo};
use crate::audit::entry::{Logs, Stage};
use crate::audit::write_act;
use crate::domain::ids::OrgId;
use crate::domain::{Event, RevokeReason};
use crate::policy::Permit;
use crate::store::{ChangeRecord, Effect};

/// The switch after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SupportAccess {
    /// How it stands.
    pub allow: bool,
    /// How many impersonations the call ended.
    pub ended: usize,
}

impl Access {
    /// Sets the switch. Off ends every live impersonation of the org in the same transaction, and what is
    /// open under them is cut before this returns.
    ///
    /// # Errors
    /// [`ActError`]. When "off" can't be written it is in force in memory, and the error says so.
    pub async fn set_support_access(
        &self,
        permit: Permit,
        caller: &Known,
        org: &OrgId,
        allow: bool,
        request: &RequestInfo,
    ) -> Result<SupportAccess, ActError> {
        let mut template =
            entries::entry(Event::SupportAccessChanged, Stage::Act, Some(&caller.session), request);
        permitted(&mut template, &permit);
        template.logs = Logs::Both;
        template.org_id = Some(org.clone());
        template.status = Some(200);
        template.details.insert("allow_platform_impersonation".to_owned(), allow.into());
        let (org, why) = (org.clone(), RevokeReason::SupportAccessDisabled);
        // An "off" that the disk refused ended these in memory: "on" must not bring them back.
        let overdue = allow && self.view.is_unrecorded(&org.subject());
        let work = {
            let (org, again) = (org.clone(), self.again(&permit, caller, request));
            work(move |tx| {
                let (org, template, again) = (org.clone(), template.clone(), again.clone());
                Box::pin(async move {
                    let row = tx
                        .row(
                            "SELECT allow_platform_impersonation FROM org WHERE id = $1 {for_update}",
                            &[org.as_str().into()],
                        )
                        .await?;
                    let before = row.ok_or(ActError::NotFound("org"))?.int(0)? != 0;
                    again.judge(tx).await?;
                    let mut changes = Vec::new();
                    if before != allow || overdue {
                        tx.execute(
                            "UPDATE org SET allow_platform_impersonation = $1 WHERE id = $2",
                            &[allow.into(), org.as_str().into()],
                        )
                        .await?;
                        write_act(tx, &template).await?;
                        changes.push(ChangeRecord { effect: Effect::Changed, subjects: vec![org.subject()] });
                    }
                    let mut ended = 0;
                    if !allow || overdue {
                        let (all, change) = end_grants(tx, &LiveGrants::OfOrg(org), why, &template).await?;
                        ended = all.len();
                        changes.extend(change);
                    }
                    let set = SupportAccess { allow, ended };
                    Ok(if changes.is_empty() { Done::repeated(set) } else { Done::changed(set, changes) })
                })
            })
        };
        if allow {
            self.act(work).await
        } else {
            let in_memory = InMemory { subjects: vec![org.subject()], reason: why };
            self.revoke(in_memory, work).await
        }
    }
}
