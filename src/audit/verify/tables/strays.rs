//! Entries that are in no tree.

use super::{Failure, Tables};
use crate::audit::leaves::Head;
use crate::audit::ranges::Ranges;
use crate::audit::tree::LogName;
use crate::audit::verify::Fault;
use crate::store::{StoreError, Tx};

/// Positions in the orgs' table and in the platform's that wait for their place.
async fn pending(tx: &mut Tx) -> Result<(Vec<Ranges>, Vec<Ranges>), StoreError> {
    let (mut org, mut platform) = (Vec::new(), Vec::new());
    for row in tx.rows("SELECT org, platform FROM audit_pending ORDER BY id", &[]).await? {
        let read = |i| {
            let ranges = Ranges::parse(row.text(i)?);
            ranges.ok_or_else(|| StoreError::Corrupt("positions of pending entries were changed".to_owned()))
        };
        org.push(read(0)?);
        platform.push(read(1)?);
    }
    Ok((org, platform))
}

const FOREIGN: &str =
    "an entry stands in the table and in no tree, and waits for no place: it was put in by another way";

impl Tables<'_> {
    /// Entries of a log that wait for their place; any other that is in no tree is a fault.
    pub(super) async fn strays(&self, head: &Head) -> Result<u64, Failure> {
        // One view of all three tables: an entry leaves the one for the other in one transaction.
        let mut tx = self.db.read().await?;
        let (org, platform) = pending(&mut tx).await?;
        let (rows, pending) = match &head.log {
            LogName::Platform => {
                let text = "SELECT e.n FROM platform_audit e LEFT JOIN audit_leaf l ON l.log = $1 AND l.entry = e.n \
                            WHERE l.idx IS NULL ORDER BY e.n";
                (tx.rows(text, &[head.id.into()]).await?, platform)
            }
            LogName::Org(id) => {
                let text = "SELECT e.n FROM org_audit e LEFT JOIN audit_leaf l ON l.log = $1 AND l.entry = e.n \
                            WHERE e.org_id = $2 AND l.idx IS NULL ORDER BY e.n";
                (tx.rows(text, &[head.id.into(), id.as_str().into()]).await?, org)
            }
        };
        for row in &rows {
            if !waits(&pending, row.int(0)?) {
                return Err(self.stray(&mut tx, &head.log, row.int(0)?).await?.into());
            }
        }
        Ok(rows.len() as u64)
    }

    /// Orgs that have entries and no log: all of them must wait for their place.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn without_log(&self) -> Result<(), Failure> {
        let mut tx = self.db.read().await?;
        let (pending, _) = pending(&mut tx).await?;
        let text = "SELECT n, org_id FROM org_audit WHERE NOT EXISTS \
                    (SELECT 1 FROM audit_log WHERE name = org_audit.org_id) ORDER BY n";
        for row in tx.rows(text, &[]).await? {
            if !waits(&pending, row.int(0)?) {
                let log = LogName::parse(row.text(1)?).unwrap_or(LogName::Platform);
                return Err(self.stray(&mut tx, &log, row.int(0)?).await?.into());
            }
        }
        Ok(())
    }

    async fn stray(&self, tx: &mut Tx, log: &LogName, n: i64) -> Result<Fault, Failure> {
        let table = crate::audit::leaves::table(log);
        let rows = tx.rows_dynamic(format!("SELECT body FROM {table} WHERE n = $1"), &[n.into()]).await?;
        let body = rows.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
        Ok(Fault::new(format!("{FOREIGN} (row {n} of {table})")).of(body))
    }
}

fn waits(pending: &[Ranges], n: i64) -> bool {
    pending.iter().flat_map(Ranges::iter).any(|(from, to)| (from..=to).contains(&n))
}
