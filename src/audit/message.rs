//! What is given away at once: up to a hundred entries of one log, as themselves or as events of OCSF.

use super::given::{self, Given};
use super::leaves::{self, Head};
use super::reader::AuditReader;
use super::{json, ocsf};
use crate::config::DeliveredAs;
use crate::domain::{Millis, parse_rfc3339};
use crate::store::StoreError;
use serde_json::Value;
use std::collections::HashMap;

/// Entries of one message, at most.
pub(super) const MOST: usize = 100;

/// Entries of one log, in its order.
#[derive(Debug)]
pub(super) struct Message {
    /// The log's name.
    pub(super) log: String,
    /// Index of the first leaf that it stands for, and of the one behind the last.
    pub(super) from: u64,
    pub(super) to: u64,
    /// How many entries of the log it stands for.
    pub(super) entries: usize,
    /// How many had expired before they were delivered.
    pub(super) expired: usize,
    /// When the first of them was written.
    pub(super) oldest: Option<Millis>,
    /// What is sent. Fewer than `entries` where several are one event, or none.
    pub(super) items: Vec<Item>,
}

/// One thing that is sent.
#[derive(Debug)]
pub(super) struct Item {
    /// Name of the event, for headers.
    pub(super) event: String,
    /// When it happened, RFC 3339.
    pub(super) time: String,
    /// Whether it tells of a refusal.
    pub(super) refused: bool,
    /// What it is about, should it be too long for the way.
    pub(super) index: u64,
    /// It.
    pub(super) value: Value,
}

impl Message {
    /// Reads the next of them, of those before `until` if that is given; `None` at the end of the log.
    pub(super) async fn read(
        reader: &AuditReader,
        head: &Head,
        from: u64,
        until: Option<u64>,
        shape: DeliveredAs,
    ) -> Result<Option<Self>, StoreError> {
        let mut tx = reader.read().await?;
        let most = until.and_then(|until| usize::try_from(until.saturating_sub(from)).ok());
        let most = most.map_or(MOST, |most| most.min(MOST));
        let leaves = leaves::leaves(&mut tx, head, from, most).await?;
        let Some(last) = leaves.last() else { return Ok(None) };
        let given: Vec<Given> =
            leaves.iter().filter_map(|leaf| Given::of(leaf).transpose()).collect::<Result<_, _>>()?;
        let mut intents = match shape {
            DeliveredAs::Entry => HashMap::new(),
            DeliveredAs::Ocsf => given::intents(&mut tx, &head.log, &given).await?,
        };
        drop(tx);
        let log = head.log.to_string();
        let entries = given.len();
        let oldest = given.first().and_then(|first| parse_rfc3339(first.text("time")?));
        let items = given.into_iter().filter_map(|given| item(&log, shape, given, &mut intents)).collect();
        Ok(Some(Self {
            log,
            from,
            to: last.index + 1,
            entries,
            expired: leaves.len() - entries,
            oldest,
            items,
        }))
    }
}

/// One entry as it is sent; `None` for an intent that is sent with its outcome.
fn item(log: &str, shape: DeliveredAs, given: Given, intents: &mut HashMap<String, Value>) -> Option<Item> {
    let Given { index, mut entry } = given;
    let member = |entry: &Value, name| given::text(entry, name).map(str::to_owned);
    let stage = member(&entry, "stage").unwrap_or_default();
    let value = match shape {
        DeliveredAs::Entry => {
            if let Some(members) = entry.as_object_mut() {
                members.insert("log".to_owned(), log.into());
            }
            entry.clone()
        }
        DeliveredAs::Ocsf if stage == "intent" => return None,
        DeliveredAs::Ocsf => {
            // One event for a request: what its intent tells, and how it went.
            let request = member(&entry, "request_id").unwrap_or_default();
            if stage == "outcome"
                && let Some(mut intent) = intents.remove(&request)
            {
                super::query::merge(&mut intent, &mut entry);
                if let Some(members) = intent.as_object_mut() {
                    members.shift_remove("salt");
                    members.insert("index".to_owned(), index.into());
                }
                entry = intent;
            }
            if let Some(members) = entry.as_object_mut() {
                members.insert("log".to_owned(), log.into());
            }
            ocsf::event(&entry)
        }
    };
    Some(Item {
        event: member(&entry, "event").unwrap_or(stage),
        time: member(&entry, "time").unwrap_or_default(),
        refused: given::text(&entry, "decision") == Some("deny"),
        index,
        value,
    })
}

impl Item {
    /// On one line.
    pub(super) fn line(&self) -> Result<String, StoreError> {
        json::line(&self.value)
    }
}
