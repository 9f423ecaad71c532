//! Entries as rows of the two tables.

use super::entry::{Entry, Logs, Outcome, Stage};
use super::line;
use super::ranges::Ranges;
use super::tree::{Hash, bond, leaf_hash};
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId};
use crate::domain::{Event, Millis};
use crate::store::{Row, StoreError, Tx, Value};

/// The rows of one transaction.
#[derive(Default)]
pub(super) struct Rows {
    org: Vec<Value>,
    platform: Vec<Value>,
}

/// The salt of one entry: 128 random bits.
fn salt() -> Result<String, StoreError> {
    let mut bytes = [0_u8; 16];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Corrupt("no random bytes from the system".to_owned()))?;
    Ok(hex::encode(bytes))
}

const ORG: &str = "INSERT INTO org_audit \
     (org_id, request_id, stage, part, time, event, action, actor, impersonation_id, decision, body, bond)";
const ORG_WIDTH: usize = 12;
const PLATFORM: &str = "INSERT INTO platform_audit \
     (org_id, request_id, stage, part, time, event, action, actor, impersonation_id, decision, \
     platform_user_id, ticket_ref, gateway, body, bond)";
const PLATFORM_WIDTH: usize = 15;
/// Written again is written once.
const ONCE: &str = "ON CONFLICT DO NOTHING RETURNING n";

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
    /// Adds `entry` to the logs that it goes to. An intent gets its running number, and the gateway whose it is to
    /// close. Gives the leaf of the org's log, or else of the platform's.
    pub(super) fn push(
        &mut self,
        entry: &Entry,
        seq: Option<i64>,
        gateway: Option<&str>,
    ) -> Result<Hash, StoreError> {
        let part = line::part(entry);
        let org = entry.org_id.as_ref();
        let org_log = org.filter(|_| entry.logs != Logs::Platform);
        // What has no org to tell goes to the platform: no entry is lost for want of a log.
        let platform_log = entry.logs != Logs::Org || org.is_none();
        let in_org = org_log.map(|_| line::org(entry, &part, seq)).transpose()?;
        let salt = if in_org.is_some() && platform_log { Some(salt()?) } else { None };
        let in_platform =
            platform_log.then(|| line::platform(entry, &part, seq, salt.as_deref())).transpose()?;
        let bonds = (in_platform.as_ref().map(|l| bond(&l.body)), in_org.as_ref().map(|l| bond(&l.body)));
        let leaf = match (&in_org, &in_platform) {
            (Some(line), _) => leaf_hash(&line.body, bonds.0.as_ref()),
            (None, Some(line)) => leaf_hash(&line.body, bonds.1.as_ref()),
            (None, None) => return Err(StoreError::Corrupt("an entry for no log".to_owned())),
        };
        if let (Some(org), Some(written)) = (org_log, in_org) {
            self.org.push(org.as_str().into());
            self.org.extend(columns(entry, &part, written.actor));
            self.org.extend([written.body.into(), column(bonds.0)]);
        }
        if let Some(written) = in_platform {
            let person = entry.platform_user.as_ref().map(|(id, _)| id.as_str());
            let person = person.or_else(|| {
                Some(entry.actor.as_str()).filter(|actor| actor.starts_with(PlatformUserId::PREFIX))
            });
            self.platform.push(text(org.map(OrgId::as_str)));
            self.platform.extend(columns(entry, &part, written.actor));
            self.platform.extend([text(person), text(entry.ticket_ref.as_deref()), text(gateway)]);
            self.platform.extend([written.body.into(), column(bonds.1)]);
        }
        Ok(leaf)
    }

    /// Adds what closes `opened`, to both logs.
    pub(super) fn close(
        &mut self,
        opened: &Opened,
        time: Millis,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        let grant = opened.impersonation_id.as_ref();
        let line = |salt| line::outcome(&opened.request_id, grant, time, outcome, salt);
        let salt = opened.org_id.as_ref().map(|_| salt()).transpose()?;
        let in_org = opened.org_id.as_ref().map(|_| line(None)).transpose()?;
        let in_platform = line(salt.as_deref())?;
        let bonds = (column(Some(bond(&in_platform))), column(in_org.as_ref().map(|line| bond(line))));
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
        if let (Some(org), Some(in_org)) = (&opened.org_id, in_org) {
            self.org.push(org.as_str().into());
            self.org.extend(columns());
            self.org.extend([in_org.into(), bonds.0]);
        }
        self.platform.push(text(opened.org_id.as_ref().map(OrgId::as_str)));
        self.platform.extend(columns());
        self.platform.extend([Value::Null, Value::Null, Value::Null]);
        self.platform.extend([in_platform.into(), bonds.1]);
        Ok(())
    }

    /// Inserts all of them, and tells the sequencer which they are.
    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let org = tx.insert_many_returning(ORG, ONCE, ORG_WIDTH, &self.org).await?;
        let platform = tx.insert_many_returning(PLATFORM, ONCE, PLATFORM_WIDTH, &self.platform).await?;
        let written = org.len() + platform.len();
        if written > 0 {
            let (org, platform) = (positions(&org)?, positions(&platform)?);
            tx.execute(
                "INSERT INTO audit_pending (org, platform, time) VALUES ($1, $2, {now})",
                &[org.to_string().into(), platform.to_string().into()],
            )
            .await?;
        }
        let lines = self.org.len() / ORG_WIDTH + self.platform.len() / PLATFORM_WIDTH;
        let dropped = lines.saturating_sub(written);
        if dropped > 0 {
            // An outcome, say, of a request that somebody else has closed.
            tracing::error!(dropped, "lines of the audit log were there already and stay as they were");
        }
        Ok(())
    }
}

/// The positions that the database gave.
fn positions(rows: &[Row]) -> Result<Ranges, StoreError> {
    rows.iter().map(|row| row.int(0)).collect()
}

/// A bond as its column has it.
fn column(bond: Option<Hash>) -> Value {
    bond.map_or_else(String::new, |bond| bond.to_string()).into()
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
