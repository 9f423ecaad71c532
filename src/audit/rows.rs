//! Entries as rows of the two tables.

use super::entry::{Entry, Logs, Outcome, Stage};
use super::line;
use super::pending::{self, Waiting};
use super::tree::{Hash, LogName, bond, leaf_hash};
use crate::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId};
use crate::domain::{Event, Millis};
use crate::store::{Placed, StoreError, Tx, Value};

/// The rows of one transaction, and the leaves that they become.
#[derive(Default)]
pub(super) struct Rows {
    org: Vec<Value>,
    platform: Vec<Value>,
    org_leaves: Vec<(LogName, Hash)>,
    platform_leaves: Vec<Hash>,
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
        let leaves = (
            in_org.as_ref().map(|l| leaf_hash(&l.body, bonds.0.as_ref())),
            in_platform.as_ref().map(|l| leaf_hash(&l.body, bonds.1.as_ref())),
        );
        let leaf = leaves.0.or(leaves.1);
        let leaf = leaf.ok_or_else(|| StoreError::Corrupt("an entry for no log".to_owned()))?;
        self.platform_leaves.extend(leaves.1);
        if let (Some(org), Some(written)) = (org_log, in_org) {
            self.org_leaves.extend(leaves.0.map(|leaf| (LogName::Org(org.clone()), leaf)));
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
        let bonds = (bond(&in_platform), in_org.as_ref().map(|line| bond(line)));
        self.platform_leaves.push(leaf_hash(&in_platform, bonds.1.as_ref()));
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
            self.org_leaves.push((LogName::Org(org.clone()), leaf_hash(&in_org, Some(&bonds.0))));
            self.org.push(org.as_str().into());
            self.org.extend(columns());
            self.org.extend([in_org.into(), column(Some(bonds.0))]);
        }
        self.platform.push(text(opened.org_id.as_ref().map(OrgId::as_str)));
        self.platform.extend(columns());
        self.platform.extend([Value::Null, Value::Null, Value::Null]);
        self.platform.extend([in_platform.into(), column(bonds.1)]);
        Ok(())
    }

    /// Inserts all of them, and tells the sequencer which they are. Written again is written once.
    pub(super) async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let org = tx.insert_many_placed("org_audit", ORG, ORG_WIDTH, &self.org).await?;
        let platform =
            tx.insert_many_placed("platform_audit", PLATFORM, PLATFORM_WIDTH, &self.platform).await?;
        let written = org.positions.len() + platform.positions.len();
        if written > 0 {
            let leaves = (org.all && platform.all).then(|| self.leaves(&org, &platform));
            let ranges = |placed: Placed| placed.positions.into_iter().collect();
            pending::leave(tx, ranges(org), ranges(platform), leaves.as_deref()).await?;
        }
        let dropped = (self.org_leaves.len() + self.platform_leaves.len()).saturating_sub(written);
        if dropped > 0 {
            // An outcome, say, of a request that somebody else has closed.
            tracing::error!(dropped, "lines of the audit log were there already and stay as they were");
        }
        Ok(())
    }

    /// The leaf of each position, in the order of their places.
    fn leaves(&self, org: &Placed, platform: &Placed) -> Vec<Waiting> {
        let in_org = org.positions.iter().zip(&self.org_leaves);
        let in_org = in_org.map(|(n, (log, leaf))| Waiting { n: *n, log: log.clone(), leaf: *leaf });
        let in_platform = platform.positions.iter().zip(&self.platform_leaves);
        let in_platform = in_platform.map(|(n, leaf)| Waiting { n: *n, log: LogName::Platform, leaf: *leaf });
        in_org.chain(in_platform).collect()
    }
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
