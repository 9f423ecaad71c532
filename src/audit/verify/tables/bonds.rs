//! What happened to an org's is told in both logs, or in neither.

use super::{Failure, PAGE, Tables};
use crate::audit::leaves::signed;
use crate::audit::tree::{LogName, bond};
use crate::audit::verify::Fault;
use crate::domain::Millis;
use crate::domain::ids::OrgId;
use crate::store::{Row, Tx};
use serde_json::Value;
use std::collections::HashMap;

/// The platform's halves with the orgs', by position.
const PLATFORM: &str = "SELECT p.n, p.org_id, p.time, p.bond, p.body, o.bond, o.body FROM platform_audit p \
     LEFT JOIN org_audit o ON o.org_id = p.org_id AND o.request_id = p.request_id AND o.stage = p.stage AND o.part = p.part \
     WHERE p.n > $1 AND p.org_id IS NOT NULL AND (p.bond <> '' OR o.bond <> '') ORDER BY p.n LIMIT $2";
/// The orgs' halves whose other isn't there.
const ORG: &str = "SELECT o.n, o.org_id, o.time, o.bond, o.body FROM org_audit o \
     LEFT JOIN platform_audit p ON p.request_id = o.request_id AND p.stage = o.stage AND p.part = o.part \
     WHERE o.n > $1 AND o.bond <> '' AND p.n IS NULL ORDER BY o.n LIMIT $2";

impl Tables<'_> {
    /// Checks that the halves of every entry are bound to each other; how many entries are in both logs.
    ///
    /// # Errors
    /// [`Failure`]: the first entry of which that isn't so.
    pub async fn bonds(&self) -> Result<u64, Failure> {
        let first: HashMap<LogName, u64> =
            self.logs().await?.into_iter().map(|head| (head.log, head.first)).collect();
        let (mut after, mut bound) = (0, 0);
        loop {
            let mut tx = self.db.read().await?;
            let rows = tx.rows(PLATFORM, &[after.into(), signed(PAGE).into()]).await?;
            let now = tx.now().await?;
            for row in &rows {
                after = row.int(0)?;
                match row.opt_text(6)? {
                    Some(org) => {
                        together(row, org)?;
                        bound += 1;
                    }
                    None => {
                        let log = OrgId::parse(row.text(1)?).map(LogName::Org).unwrap_or(LogName::Platform);
                        self.alone(row, &log, first.get(&log), now)?;
                    }
                }
            }
            if (rows.len() as u64) < PAGE {
                break;
            }
        }
        self.orgs_alone(first.get(&LogName::Platform)).await?;
        Ok(bound)
    }

    async fn orgs_alone(&self, first: Option<&u64>) -> Result<(), Failure> {
        let mut after = 0;
        loop {
            let mut tx: Tx = self.db.read().await?;
            let rows = tx.rows(ORG, &[after.into(), signed(PAGE).into()]).await?;
            let now = tx.now().await?;
            for row in &rows {
                after = row.int(0)?;
                self.alone(row, &LogName::Platform, first, now)?;
            }
            if (rows.len() as u64) < PAGE {
                return Ok(());
            }
        }
    }

    /// A half whose other, in `log`, isn't there: it may have expired there and not here.
    fn alone(&self, row: &Row, log: &LogName, first: Option<&u64>, now: Millis) -> Result<(), Failure> {
        let expired = row.int(2)?.saturating_add(self.expect.retention(log)) <= now;
        if expired && first.is_some_and(|first| *first > 0) {
            return Ok(());
        }
        let what = format!(
            "the half of this entry that belongs into the log `{log}` isn't there: an entry is in both logs or in neither"
        );
        Err(Fault::new(what).of(row.text(4)?).into())
    }
}

/// Both halves are there: the platform's bond and line are 3 and 4 of `row`, the org's bond is 5.
fn together(row: &Row, org: &str) -> Result<(), Failure> {
    let platform = row.text(4)?;
    let id = |line: &str| {
        serde_json::from_str::<Value>(line).ok().and_then(|e| Some(e.get("id")?.as_str()?.to_owned()))
    };
    let bound = row.text(3)? == bond(org).to_string() && row.text(5)? == bond(platform).to_string();
    if bound && id(platform).is_some() && id(platform) == id(org) {
        return Ok(());
    }
    let what = format!(
        "the halves of this entry in the logs `{}` and `{}` aren't bound to each other: one of them was changed",
        LogName::Platform,
        row.text(1)?
    );
    Err(Fault::new(what).of(platform).into())
}
