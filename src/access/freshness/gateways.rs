//! The gateways that share the records: their rows, and which of them may still be serving.

use super::lease::RUN_OUT;
use crate::domain::Millis;
use crate::domain::ids::BootId;
use crate::store::{Row, StoreError, Tx, Value};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Rows of gateways that have been gone for so long are cleared away, milliseconds.
const FORGOTTEN: Millis = 3_600_000;

/// One gateway, as its row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// The process.
    pub boot: String,
    /// For people: where it listens.
    pub name: String,
    /// The policy set in force there.
    pub policy_hash: String,
    /// Every change up to this one is in force there.
    pub applied: u64,
    /// When it last renewed, by the database's clock.
    pub seen_at: Millis,
}

/// What a gateway writes of itself.
pub(super) struct Own<'a> {
    pub(super) boot: &'a BootId,
    pub(super) name: &'a str,
    pub(super) policy_hash: &'a str,
    pub(super) applied: u64,
}

fn bound(n: u64) -> Value {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}

/// Writes that the gateway is there, as of now.
pub(super) async fn renew(tx: &mut Tx, own: &Own<'_>) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO gateway_lease (boot, name, policy_hash, started_at, seen_at, applied) \
         VALUES ($1, $2, $3, {now}, {now}, $4) \
         ON CONFLICT (boot) DO UPDATE SET seen_at = {now}, applied = excluded.applied, \
         policy_hash = excluded.policy_hash",
        &[own.boot.as_str().into(), own.name.into(), own.policy_hash.into(), bound(own.applied)],
    )
    .await?;
    Ok(())
}

/// The gateway serves nothing any more, and nobody needs to wait for it.
pub(super) async fn leave(tx: &mut Tx, boot: &BootId) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM gateway_lease WHERE boot = $1 OR seen_at < {now} - $2",
        &[boot.as_str().into(), FORGOTTEN.into()],
    )
    .await?;
    Ok(())
}

/// All rows.
pub(super) async fn all(tx: &mut Tx) -> Result<Vec<Gateway>, StoreError> {
    let rows =
        tx.rows("SELECT boot, name, policy_hash, applied, seen_at FROM gateway_lease ORDER BY boot", &[]);
    rows.await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Gateway, StoreError> {
    Ok(Gateway {
        boot: row.text(0)?.to_owned(),
        name: row.text(1)?.to_owned(),
        policy_hash: row.text(2)?.to_owned(),
        applied: u64::try_from(row.int(3)?).unwrap_or_default(),
        seen_at: row.int(4)?,
    })
}

/// When this process first saw each row as it is, by its own [`crate::domain::boot_time`].
///
/// A row that has not moved for as long as a lease takes to run out is of a gateway that serves nothing: any
/// renewal that is still to be committed reads the change log after that, and sees what is there now. No clock
/// of another machine is asked, so that one which is set doesn't matter.
#[derive(Default)]
pub(super) struct Sightings {
    /// Locked for a few rows, never over an `.await`.
    seen: Mutex<HashMap<String, Sighting>>,
}

#[derive(Clone, Copy)]
struct Sighting {
    seen_at: Millis,
    since: Millis,
}

impl Sightings {
    /// Takes note of rows that were read at `now` or before; which of them may be serving.
    pub(super) fn note(&self, rows: Vec<Gateway>, now: Millis) -> Vec<Gateway> {
        let mut seen = self.seen.lock();
        seen.retain(|boot, _| rows.iter().any(|row| row.boot == *boot));
        rows.into_iter()
            .filter(|row| {
                let sighting = seen
                    .entry(row.boot.clone())
                    .and_modify(|s| {
                        if s.seen_at != row.seen_at {
                            *s = Sighting { seen_at: row.seen_at, since: now };
                        }
                    })
                    .or_insert(Sighting { seen_at: row.seen_at, since: now });
                now.saturating_sub(sighting.since) < RUN_OUT
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(boot: &str, seen_at: Millis) -> Gateway {
        let (boot, name) = (boot.to_owned(), String::new());
        Gateway { boot, name, policy_hash: String::new(), applied: 0, seen_at }
    }

    #[test]
    fn a_row_that_does_not_move_is_of_nobody() {
        let sightings = Sightings::default();
        let serving = |rows: &[Gateway], now| -> Vec<String> {
            sightings.note(rows.to_vec(), now).into_iter().map(|g| g.boot).collect()
        };
        assert_eq!(serving(&[row("a", 1), row("b", 1)], 0), ["a", "b"]);
        // Whatever the time is in the rows: it is only compared with itself.
        assert_eq!(serving(&[row("a", -7), row("b", 1)], RUN_OUT - 1), ["a", "b"]);
        assert_eq!(serving(&[row("a", -7), row("b", 1)], RUN_OUT), ["a"]);
        assert_eq!(serving(&[row("a", -7), row("b", 2)], RUN_OUT + 1), ["a", "b"]);
        // Gone and back: seen for the first time again.
        assert_eq!(serving(&[row("b", 2)], 2 * RUN_OUT), ["b"]);
        assert_eq!(serving(&[row("a", -7), row("b", 2)], 2 * RUN_OUT + 1), ["a"]);
    }
}
