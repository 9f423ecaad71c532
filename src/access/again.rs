//! Asking the policies again inside an act's transaction, with the facts as they stand under its locks: a
//! caller whose access was taken away while the call waited for them acts no more.

use super::transaction::ActError;
use super::{Access, Known, RequestInfo, records};
use crate::domain::Org;
use crate::domain::ids::{OrgId, Subject};
use crate::policy::{Decision, Permit, PolicyEngine, Question};
use crate::store::Tx;
use std::sync::Arc;

/// The question of the gate, to be asked once more.
#[derive(Clone)]
pub(super) struct Again {
    policy: Arc<PolicyEngine>,
    caller: Subject,
    action: Arc<str>,
    org: Option<OrgId>,
    request: RequestInfo,
}

impl Access {
    /// What the gate asked when it gave `permit`.
    pub(super) fn again(&self, permit: &Permit, caller: &Known, request: &RequestInfo) -> Again {
        Again {
            policy: self.policy.clone(),
            caller: caller.session.key.clone(),
            action: permit.action().clone(),
            org: permit.org().cloned(),
            request: request.clone(),
        }
    }
}

impl Again {
    /// Asks, after the act's locks are taken.
    ///
    /// # Errors
    /// [`ActError::Refused`] if the answer is another one by now.
    pub(super) async fn judge(&self, tx: &mut Tx) -> Result<(), ActError> {
        let facts = records::session(tx, &self.caller).await?.ok_or(ActError::NoPermit)?;
        let org = match &self.org {
            Some(id) => Some(records::org(tx, id).await?.unwrap_or_else(|| Org::unknown(id.clone()))),
            None => None,
        };
        let now = tx.now().await?;
        let snapshot = self.policy.snapshot();
        let action = snapshot.action(&self.action).ok_or(ActError::NoPermit)?;
        let decision = snapshot.decide(&Question {
            session: Some(&facts),
            action,
            org: org.as_ref(),
            resource_id: None,
            context: &self.request.context(now, &facts),
            prepared: None,
        });
        match decision {
            Decision::Permit(_) => Ok(()),
            Decision::Denied(denial) => Err(denial.into()),
        }
    }
}
