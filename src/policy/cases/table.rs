//! Who may do what, as a table: every action by every kind of caller.

use super::world::{self, With};
use super::{answer, policies};
use crate::policy::snapshot::Snapshot;
use serde::Serialize;
use std::fmt;

/// The callers of the table: heading, who, in which org.
const COLUMNS: [(&str, &str, &str); 12] = [
    ("stranger", "stranger", "acme"),
    ("viewer", "viewer", "acme"),
    ("operator", "operator", "acme"),
    ("admin", "admin", "acme"),
    ("owner", "owner", "acme"),
    ("owner elsewhere", "owner@globex", "acme"),
    ("bot (operator)", "bot:operator", "acme"),
    ("bot (admin)", "bot:admin", "acme"),
    ("impersonation", "impersonation", "acme"),
    ("impersonation elsewhere", "impersonation", "globex"),
    ("staff", "staff", "acme"),
    ("platform admin", "platform-admin", "acme"),
];

/// Every action by every kind of caller.
#[derive(Debug, Serialize)]
pub struct Table {
    /// Kinds of callers.
    pub columns: Vec<&'static str>,
    /// One row an action.
    pub rows: Vec<Row>,
}

/// One action.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub action: String,
    /// One decision a column.
    pub cells: Vec<Cell>,
}

/// One decision.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// `permit`, or the code of the refusal.
    pub decision: String,
    /// The deciding policies.
    pub by: Vec<String>,
}

/// Asks every question of the table, with ordinary facts: live sessions, open orgs, support access on.
#[must_use]
pub fn table(snapshot: &Snapshot) -> Table {
    let cell =
        |action: &str, who: &str, org: &str| match world::ask(snapshot, who, action, org, &With::default()) {
            Ok(decision) => Cell {
                decision: answer(&decision).to_owned(),
                by: policies(&decision).iter().map(ToString::to_string).collect(),
            },
            Err(unknown) => Cell { decision: unknown, by: Vec::new() },
        };
    let row = |action: &str| Row {
        action: action.to_owned(),
        cells: COLUMNS.iter().map(|(_, who, org)| cell(action, who, org)).collect(),
    };
    Table {
        columns: COLUMNS.iter().map(|(heading, _, _)| *heading).collect(),
        rows: snapshot.actions().iter().map(|a| row(&a.name)).collect(),
    }
}

impl fmt::Display for Table {
    /// One line an action: who may, then each refusal with those who get it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|r| r.action.len()).max().unwrap_or(0);
        for row in &self.rows {
            let mut groups: Vec<(&str, Vec<&str>)> = vec![("permit", Vec::new())];
            for (column, cell) in self.columns.iter().zip(&row.cells) {
                match groups.iter_mut().find(|(decision, _)| *decision == cell.decision) {
                    Some((_, who)) => who.push(column),
                    None => groups.push((&cell.decision, vec![column])),
                }
            }
            let mut head = row.action.as_str();
            for (decision, who) in groups.into_iter().filter(|(_, who)| !who.is_empty()) {
                writeln!(f, "{head:width$}  {decision:26}  {}", who.join(", "))?;
                head = "";
            }
        }
        Ok(())
    }
}
