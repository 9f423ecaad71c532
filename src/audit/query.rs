//! Reading a log: filter, page, newest first, one merged item for each request.
//!
//! A list is in the order of positions; one that is asked for by time alone is in the order of time, then of positions
//! (entries are written a moment after they happened, and not quite in that order), for only so an index finds it.
//!
//! An item stands where its first entry stands: the outcome of a request joins the item of its intent and moves
//! nothing, so that a page begun stays what it was while the log grows.

use crate::domain::Millis;
use crate::domain::ids::{OrgId, PlatformUserId};
use crate::store::{Row, StoreError, Tx, Value};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;

/// Items on one page, at most.
pub const MAX_LIMIT: usize = 500;

/// Which log, through whose eyes.
#[derive(Debug, Clone)]
pub enum Log {
    /// One org's.
    Org(OrgId),
    /// The platform's.
    Platform,
    /// The platform's, own entries only: what this platform user did, and what concerns their grants.
    PlatformOf(PlatformUserId),
}

/// What to show.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before.
    pub from: Option<Millis>,
    /// Not after.
    pub to: Option<Millis>,
    /// Name of the event.
    pub event: Option<String>,
    /// Actor id, as this log tells it.
    pub actor: Option<String>,
    /// Cedar action.
    pub action: Option<String>,
    /// Grant.
    pub impersonation_id: Option<String>,
    /// `permit` or `deny`.
    pub decision: Option<String>,
    /// Request.
    pub request_id: Option<String>,
    /// Ticket (platform log only: an org's log knows none, so nothing there matches).
    pub ticket_ref: Option<String>,
}

impl Filter {
    /// Whether it asks for a time and for nothing else.
    fn is_of_time_alone(&self) -> bool {
        let other = [
            &self.event,
            &self.actor,
            &self.action,
            &self.impersonation_id,
            &self.decision,
            &self.request_id,
            &self.ticket_ref,
        ];
        (self.from.is_some() || self.to.is_some()) && other.iter().all(|value| value.is_none())
    }
}

/// One page: items as they are answered, and where the next begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Newest first.
    pub items: Vec<serde_json::Value>,
    /// Give it back as `cursor`.
    pub next: Option<String>,
}

impl Log {
    const fn table(&self) -> &'static str {
        match self {
            Self::Org(_) => "org_audit",
            Self::Platform | Self::PlatformOf(_) => "platform_audit",
        }
    }

    /// Whether an item of this log may be looked up without saying which org's.
    const fn org(&self) -> Option<&OrgId> {
        match self {
            Self::Org(org) => Some(org),
            Self::Platform | Self::PlatformOf(_) => None,
        }
    }
}

/// A condition, and the values that stand in it.
#[derive(Default)]
struct Conditions {
    text: String,
    args: Vec<Value>,
}

impl Conditions {
    /// Adds `condition`, in which `?` stands for `value` wherever it is.
    fn and(&mut self, condition: &str, value: impl Into<Value>) {
        self.args.push(value.into());
        self.text.push_str(" AND ");
        self.text.push_str(&condition.replace('?', &format!("${}", self.args.len())));
    }

    fn and_if(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.and(condition, value);
        }
    }
}

/// Reads one page; `limit` 1 to 500 (others are brought into that range). A cursor that isn't one of this log's gives `None`.
///
/// # Errors
/// [`StoreError`].
pub async fn page(
    tx: &mut Tx,
    log: &Log,
    filter: &Filter,
    limit: usize,
    cursor: Option<&str>,
) -> Result<Option<Page>, StoreError> {
    let before = match cursor.map(|c| position(log, c)) {
        Some(None) => return Ok(None),
        Some(position) => position,
        None => None,
    };
    let limit = limit.clamp(1, MAX_LIMIT);
    if matches!(log, Log::Org(_)) && filter.ticket_ref.is_some() {
        return Ok(Some(Page { items: Vec::new(), next: None }));
    }
    let (text, args) = selection(log, filter, before, limit + 1);
    let mut rows = tx.rows_dynamic(text, &args).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let outcomes = outcomes(tx, log, &rows).await?;
    let items = rows.iter().map(|row| item(row, &outcomes)).collect::<Result<_, _>>()?;
    let next = match rows.last() {
        Some(last) if more => {
            let (n, time) = (last.int(0)?, last.int(4)?);
            Some(URL_SAFE_NO_PAD.encode(format!("{}:{n}:{time}", log.table())))
        }
        _ => None,
    };
    Ok(Some(Page { items, next }))
}

/// Few are denied, and have an index, which SQLite uses only where the text says so.
fn decision(filter: &Filter) -> &'static str {
    match filter.decision.as_deref() {
        Some("deny") => "decision = 'deny' AND decision = ?",
        _ => "decision = ?",
    }
}

/// The text, and its values, that find the newest `limit` rows of `log` before a position.
fn selection(log: &Log, filter: &Filter, before: Option<Place>, limit: usize) -> (String, Vec<Value>) {
    let mut conditions = Conditions::default();
    let by_time = filter.is_of_time_alone() && !matches!(log, Log::PlatformOf(_));
    if let Log::Org(org) = log {
        conditions.and("org_id = ?", org.as_str());
    }
    // A request has a few rows: they are found by it and sorted. SQLite would go through the log in its order instead.
    let n = if filter.request_id.is_some() { "+n" } else { "n" };
    // Beside another filter the index of that one is the better.
    let (time, order) = if by_time { ("time", "time DESC, n DESC") } else { ("+time", "") };
    match before {
        Some(before) if by_time => {
            conditions.and("(time, n) < (?", before.time);
            conditions.args.push(before.n.into());
            conditions.text.push_str(&format!(", ${})", conditions.args.len()));
        }
        before => conditions.and_if(&format!("{n} < ?"), before.map(|b| b.n)),
    }
    conditions.and_if(&format!("{time} >= ?"), filter.from);
    conditions.and_if(&format!("{time} <= ?"), filter.to);
    for (condition, value) in [
        ("event = ?", &filter.event),
        ("actor = ?", &filter.actor),
        ("action = ?", &filter.action),
        ("impersonation_id = ?", &filter.impersonation_id),
        (decision(filter), &filter.decision),
        ("request_id = ?", &filter.request_id),
        ("ticket_ref = ?", &filter.ticket_ref),
    ] {
        conditions.and_if(condition, value.as_deref());
    }
    let Conditions { text: conditions, mut args } = conditions;
    args.push(Value::Int(i64::try_from(limit).unwrap_or(i64::MAX)));
    let (table, limit) = (log.table(), args.len());
    let order = if order.is_empty() { format!("{n} DESC") } else { order.to_owned() };
    let newest = |columns: &str, more: &str| {
        format!(
            "SELECT {columns} FROM {table} WHERE stage <> 'outcome'{more}{conditions} \
             ORDER BY {order} LIMIT ${limit}"
        )
    };
    let columns = "n, stage, request_id, body, time";
    let Log::PlatformOf(user) = log else { return (newest(columns, ""), args) };
    args.push(user.as_str().into());
    let user = args.len();
    // Each half has an index; with OR both engines go through the whole log for somebody who has done little.
    let theirs = newest("n", &format!(" AND platform_user_id = ${user}"));
    let by_them = newest("n", &format!(" AND actor = ${user}"));
    let text = format!(
        "SELECT {columns} FROM {table} WHERE n IN (SELECT n FROM ({theirs}) AS theirs \
         UNION SELECT n FROM ({by_them}) AS by_them) ORDER BY n DESC LIMIT ${limit}"
    );
    (text, args)
}

/// Where a page ended: what either order goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    n: i64,
    time: Millis,
}

/// The place that a cursor of this log's stands for.
fn position(log: &Log, cursor: &str) -> Option<Place> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?;
    let (n, time) = text.strip_prefix(log.table())?.strip_prefix(':')?.split_once(':')?;
    Some(Place { n: n.parse().ok()?, time: time.parse().ok()? }).filter(|place| place.n > 0)
}

/// The outcomes of those of `rows` that are intents, by request.
async fn outcomes(tx: &mut Tx, log: &Log, rows: &[Row]) -> Result<HashMap<String, String>, StoreError> {
    let mut args: Vec<Value> = Vec::new();
    for row in rows {
        if row.text(1)? == "intent" {
            args.push(row.text(2)?.into());
        }
    }
    if args.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = (1..=args.len()).map(|n| format!("${n}")).collect();
    let org = match log.org() {
        Some(org) => {
            args.push(org.as_str().into());
            format!(" AND org_id = ${}", args.len())
        }
        None => String::new(),
    };
    let text = format!(
        "SELECT request_id, body FROM {} WHERE request_id IN ({}) AND stage = 'outcome'{org}",
        log.table(),
        list.join(", ")
    );
    let mut outcomes = HashMap::with_capacity(rows.len());
    for row in tx.rows_dynamic(text, &args).await? {
        outcomes.insert(row.text(0)?.to_owned(), row.text(1)?.to_owned());
    }
    Ok(outcomes)
}

/// What an outcome tells that its item then tells.
const OUTCOME: [&str; 7] = ["status", "outcome", "bytes_in", "bytes_out", "latency_ms", "attempts", "cut_by"];

fn item(row: &Row, outcomes: &HashMap<String, String>) -> Result<serde_json::Value, StoreError> {
    let parse = |text: &str| {
        serde_json::from_str::<serde_json::Value>(text)
            .map_err(|e| StoreError::Corrupt(format!("audit entry: {e}")))
    };
    let mut item = parse(row.text(3)?)?;
    if row.text(1)? == "intent"
        && let Some(outcome) = outcomes.get(row.text(2)?)
    {
        merge(&mut item, &mut parse(outcome)?);
    }
    if let Some(item) = item.as_object_mut() {
        // Of use only with the line's own bytes: exports and proofs have it.
        item.shift_remove("salt");
    }
    Ok(item)
}

/// Adds what `outcome` tells to the item of its intent.
pub(super) fn merge(item: &mut serde_json::Value, outcome: &mut serde_json::Value) {
    if let (Some(item), Some(outcome)) = (item.as_object_mut(), outcome.as_object_mut()) {
        for key in OUTCOME {
            item.insert(key.to_owned(), outcome.remove(key).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests;
