//! Entries as they are given away: by live tails and by delivery.

use super::json;
use super::leaves::{Leaf, table};
use super::tree::LogName;
use crate::store::{StoreError, Tx, Value as Arg};
use serde_json::Value;
use std::collections::HashMap;

/// An entry that is given away.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Given {
    /// Its place in the log.
    pub(super) index: u64,
    /// The entry, with its `index`, and without what only exports tell: the salt would let whoever has the org's
    /// line and its bond try out what the platform's line says.
    pub(super) entry: Value,
}

impl Given {
    /// `None`: the entry has expired.
    pub(super) fn of(leaf: &Leaf) -> Result<Option<Self>, StoreError> {
        let Some(line) = &leaf.line else { return Ok(None) };
        let mut entry = parse(line)?;
        if let Some(members) = entry.as_object_mut() {
            members.shift_remove("salt");
            members.insert("index".to_owned(), leaf.index.into());
        }
        Ok(Some(Self { index: leaf.index, entry }))
    }

    /// On one line.
    pub(super) fn line(&self) -> Result<String, StoreError> {
        json::line(&self.entry)
    }

    /// A member that is a text.
    pub(super) fn text(&self, member: &str) -> Option<&str> {
        text(&self.entry, member)
    }

    /// Whether it closes an intent: then it says no more than how that went.
    pub(super) fn is_outcome(&self) -> bool {
        self.text("stage") == Some("outcome")
    }
}

/// A member of `entry` that is a text.
pub(super) fn text<'e>(entry: &'e Value, member: &str) -> Option<&'e str> {
    entry.get(member).and_then(Value::as_str)
}

fn parse(line: &str) -> Result<Value, StoreError> {
    serde_json::from_str(line).map_err(|e| StoreError::Corrupt(format!("audit entry: {e}")))
}

/// The intents that the outcomes among `given` close, by request.
pub(super) async fn intents(
    tx: &mut Tx,
    log: &LogName,
    given: &[Given],
) -> Result<HashMap<String, Value>, StoreError> {
    let outcomes = given.iter().filter(|given| given.is_outcome());
    let mut args: Vec<Arg> = outcomes.filter_map(|given| given.text("request_id")).map(Arg::from).collect();
    if args.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = (1..=args.len()).map(|n| format!("${n}")).collect();
    let of_org = match log {
        LogName::Platform => String::new(),
        LogName::Org(org) => {
            args.push(org.as_str().into());
            format!(" AND org_id = ${}", args.len())
        }
    };
    let text = format!(
        "SELECT request_id, body FROM {} WHERE request_id IN ({}) AND stage = 'intent'{of_org}",
        table(log),
        list.join(", ")
    );
    let rows = tx.rows_dynamic(text, &args).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), parse(row.text(1)?)?))).collect()
}
