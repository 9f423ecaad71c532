//! What a transaction leaves for the sequencer: which entries it added, and the leaf that each becomes. The sequencer
//! needs nothing else of them, so it doesn't read a line again.

use super::ranges::Ranges;
use super::tree::{Hash, LogName, parse_hash};
use crate::store::{Row, StoreError, Tx, Value};
use std::fmt::Write as _;

/// An entry that has no place in its log's tree yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Waiting {
    /// Its position in the table of its log.
    pub(super) n: i64,
    /// Its log.
    pub(super) log: LogName,
    /// The leaf that it becomes.
    pub(super) leaf: Hash,
}

/// One row of `audit_pending`.
#[derive(Debug)]
pub(super) struct Pending {
    /// Ascending in the order of the transactions.
    pub(super) id: i64,
    /// Positions in the orgs' table.
    pub(super) org: Ranges,
    /// Positions in the platform's.
    pub(super) platform: Ranges,
    /// The entries in the order of their places: the orgs', then the platform's. `None`: their lines tell.
    pub(super) leaves: Option<Vec<Waiting>>,
}

impl Pending {
    /// How many entries.
    pub(super) fn len(&self) -> usize {
        self.org.len() + self.platform.len()
    }

    /// Up to `limit` rows, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) async fn oldest(tx: &mut Tx, limit: i64) -> Result<Vec<Self>, StoreError> {
        let text = "SELECT id, org, platform, leaves FROM audit_pending ORDER BY id LIMIT $1";
        tx.rows(text, &[limit.into()]).await?.iter().map(Self::read).collect()
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let corrupt = || StoreError::Corrupt("what pending entries are".to_owned());
        let ranges = |i| Ranges::parse(row.text(i)?).ok_or_else(corrupt);
        let (org, platform) = (ranges(1)?, ranges(2)?);
        let leaves = Some(row.text(3)?).filter(|text| !text.is_empty()).map(parse);
        Ok(Self {
            id: row.int(0)?,
            org,
            platform,
            leaves: leaves.map(|l| l.ok_or_else(corrupt)).transpose()?,
        })
    }
}

/// Leaves a row. `leaves` may only be missing when it isn't known which entry has which position.
///
/// # Errors
/// [`StoreError`].
pub(super) async fn leave(
    tx: &mut Tx,
    org: Ranges,
    platform: Ranges,
    leaves: Option<&[Waiting]>,
) -> Result<(), StoreError> {
    let leaves = leaves.map_or_else(String::new, text);
    let args: [Value; 3] = [org.to_string().into(), platform.to_string().into(), leaves.into()];
    let text = "INSERT INTO audit_pending (org, platform, leaves, time) VALUES ($1, $2, $3, {now})";
    tx.execute(text, &args).await.map(drop)
}

/// A log's name on a line of its own, then its entries, `position hash` each, until another log's.
fn text(leaves: &[Waiting]) -> String {
    let (mut text, mut of) = (String::with_capacity(leaves.len() * 56), None);
    for Waiting { n, log, leaf } in leaves {
        let named = of.replace(log) == Some(log);
        // Writing to a string doesn't fail.
        let _ = if named { writeln!(text, "{n} {leaf}") } else { writeln!(text, "{log}\n{n} {leaf}") };
    }
    text
}

fn parse(text: &str) -> Option<Vec<Waiting>> {
    let (mut leaves, mut log) = (Vec::new(), None);
    for line in text.lines() {
        match line.split_once(' ') {
            None => log = Some(LogName::parse(line)?),
            Some((n, hash)) => {
                leaves.push(Waiting { n: n.parse().ok()?, log: log.clone()?, leaf: parse_hash(hash)? });
            }
        }
    }
    Some(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tree::leaf_hash;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_left_comes_back(entries in prop::collection::vec((1_i64..i64::MAX, 0..3_usize), 0..40)) {
            let logs = ["org_a", "org_b", "platform"].map(|name| LogName::parse(name).unwrap());
            let leaves: Vec<Waiting> = entries
                .iter()
                .map(|(n, log)| Waiting { n: *n, log: logs[*log].clone(), leaf: leaf_hash(&n.to_string(), None) })
                .collect();
            prop_assert_eq!(parse(&text(&leaves)).unwrap(), leaves);
        }
    }

    #[test]
    fn what_was_changed_is_no_list() {
        let leaf = leaf_hash("{}", None);
        for wrong in [
            format!("1 {leaf}\n"),
            "platform\n1 x\n".into(),
            format!("platform\nx {leaf}\n"),
            "x y z\n".into(),
        ] {
            assert!(parse(&wrong).is_none(), "{wrong}");
        }
    }
}
