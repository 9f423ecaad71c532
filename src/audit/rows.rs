//! Entries as rows of the two tables.

use super::entry::{Entry, Logs, Outcome, Stage};
use super::line;
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId};
use crate::domain::{Event, Millis};
use crate::store::{StoreError, Tx, Value};

/// The rows of one transaction.
#[derive(Default)]
pub(super) struct Rows {
    org: Vec<Value>,
    platform: Vec<Value>,
}

const ORG: &str = "INSERT INTO org_audit \
     (org_id, request_id, stage, part, time, event, action, actor, impersonation_id, decision, body)";
const ORG_WIDTH: usize = 11;
const PLATFORM: &str = "INSERT INTO platform_audit \
     (org_id, request_id, stage, part, time, event, action, actor, impersonation_id, decision, \
     platform_user_id, ticket_ref, gateway, body)";
const PLATFORM_WIDTH: usize = 14;
/// Written again is written once.
const ONCE: &str = "ON CONFLICT DO NOTHING";

/// An intent that was recorded, as far as closing it needs.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) request_id: RequestId,
    pub(super) event: Event,
    pub(super) org_id: Option<OrgId>,
    pub(super) impersonation_id: Option<ImpersonationId>,
}

fn text<T: AsRef<str>>(value: Option<T>) -> Value {
    value.map_or(Value::Null, |v| Value::from(v.as_ref()))
}

impl Rows {
    /// Adds `entry` to the logs that it goes to. An intent gets its running number, and the gateway whose it is to close.
    pub(super) fn push(
        &mut self,
        entry: &Entry,
        seq: Option<i64>,
        gateway: Option<&str>,
    ) -> Result<(), StoreError> {
        let part = line::part(entry);
        let org = entry.org_id.as_ref();
        if let Some(org) = org.filter(|_| entry.logs != Logs::Platform) {
            let written = line::org(entry, &part, seq)?;
            self.org.push(org.as_str().into());
            self.org.extend(columns(entry, &part, written.actor));
            self.org.push(written.body.into());
        }
        // What has no org to tell goes to the platform: no entry is lost for want of a log.
        if entry.logs != Logs::Org || org.is_none() {
            let written = line::platform(entry, &part, seq)?;
            let person = entry.platform_user.as_ref().map(|(id, _)| id.as_str());
            let person = person.or_else(|| {
                Some(entry.actor.as_str()).filter(|actor| actor.starts_with(PlatformUserId::PREFIX))
            });
            self.platform.push(text(org.map(OrgId::as_str)));
            self.platform.extend(columns(entry, &part, written.actor));
            self.platform.extend([text(person), text(entry.ticket_ref.as_deref()), text(gateway)]);
            self.platform.push(written.body.into());
        }
        Ok(())
    }

    /// Adds what closes `opened`, to both logs.
    pub(super) fn close(
        &mut self,
        opened: &Opened,
        time: Millis,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let grant = opened.impersonation_id.as_ref();
        let body = line::outcome(&opened.request_id, grant, time, outcome)?;
        let columns = || {
            [
                opened.request_id.as_str().into(),
                Stage::Outcome.as_str().into(),
                "".into(),
                time.into(),
                opened.event.as_str().into(),
                Value::Null,
                grant.map_or("", ImpersonationId::as_str).into(),
                text(grant.map(ImpersonationId::as_str)),
                Value::Null,
            ]
        };
        if let Some(org) = &opened.org_id {
            self.org.push(org.as_str().into());
            self.org.extend(columns());
            self.org.push(body.as_str().into());
        }
        self.platform.push(text(opened.org_id.as_ref().map(OrgId::as_str)));
        self.platform.extend(columns());
        self.platform.extend([Value::Null, Value::Null, Value::Null]);
        self.platform.push(body.into());
        Ok(())
    }

    /// Inserts all of them.
    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let written = tx.insert_many(ORG, ONCE, ORG_WIDTH, &self.org).await?
            + tx.insert_many(PLATFORM, ONCE, PLATFORM_WIDTH, &self.platform).await?;
        let lines = self.org.len() / ORG_WIDTH + self.platform.len() / PLATFORM_WIDTH;
        let dropped = (lines as u64).saturating_sub(written);
        if dropped > 0 {
            // An outcome, say, of a request that somebody else has closed.
            tracing::error!(dropped, "lines of the audit log were there already and stay as they were");
        }
        Ok(())
    }
}

fn columns(entry: &Entry, part: &str, actor: &str) -> [Value; 9] {
    [
        entry.request_id.as_str().into(),
        entry.stage.as_str().into(),
        part.into(),
        entry.time.into(),
        entry.event.as_str().into(),
        text(entry.action.as_deref()),
        actor.into(),
        text(entry.impersonation_id.as_ref().map(ImpersonationId::as_str)),
        text(entry.decision),
    ]
}

/// Writes an act's entry inside the act's own transaction.
///
/// # Errors
/// [`StoreError`].
pub async fn write_act(tx: &mut Tx, entry: &Entry) -> Result<(), StoreError> {
    let mut rows = Rows::default();
    rows.push(entry, None, None)?;
    rows.insert(tx).await
}
