//! A person signs out of the browser.

use crate::access::provision::to_orgs_of;
use crate::access::transaction::{ActError, Done, InMemory};
use crate::access::{Access, Known, RequestInfo, entries};
use crate::audit::entry::{Logs, Stage};
use crate::domain::{Event, Principal, RevokeReason};
use crate::policy::Permit;
use crate::store::{ChangeRecord, Effect};

impl Access {
    /// Ends the session that the request is made under.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn sign_out_person(
        &self,
        permit: Permit,
        caller: &Known,
        request: &RequestInfo,
    ) -> Result<(), ActError> {
        let Principal::OrgUser(user) = &caller.session.principal else { return Err(ActError::NoPermit) };
        let mut entry = entries::entry(Event::OrgLogout, Stage::Act, Some(&caller.session), request);
        entries::permitted(&mut entry, &permit);
        entry.status = Some(200);
        entry.logs = Logs::Platform;
        let (user, session, why) = (user.id.clone(), caller.session.key.clone(), RevokeReason::Logout);
        let in_memory = InMemory { subjects: vec![session.clone()], reason: why };
        self.revoke(in_memory, move |tx| {
            let (user, session, entry) = (user.clone(), session.clone(), entry.clone());
            Box::pin(async move {
                let ended = tx
                    .execute(
                        "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE id = $2 AND ended_at IS NULL",
                        &[why.as_str().into(), session.as_str().into()],
                    )
                    .await?;
                if ended == 0 {
                    return Ok(Done::repeated(()));
                }
                to_orgs_of(tx, user.as_str(), &entry).await?;
                let change = ChangeRecord { effect: Effect::Ended(Some(why)), subjects: vec![session] };
                Ok(Done::changed((), vec![change]))
            })
        })
        .await
    }
}
