//! What is printed of a verdict.

use super::{FormatArg, Printer};
use crate::audit::verify::{Fault, TablesReport};
use serde_json::{Value, json};

/// The verdict on one log.
pub(super) struct Verdict {
    /// Its origin, or where it was read.
    pub(super) log: String,
    pub(super) outcome: Result<TablesReport, Fault>,
}

const TO_DO: &str = "to do: change nothing, keep a copy and the checkpoints that you have, get the log anew \
     (`drawbridge audit export`) and verify that; if it stays so, tell the security team of the installation";
const TO_DO_TABLES: &str = "to do: put nothing right by hand; keep a copy of the database and of the witness' state as \
     they are, look who had access, and compare with exports and checkpoints that were kept elsewhere (--against)";

/// 1027 as 1,027.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn entries(n: u64) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{} entries", grouped(n)) }
}

fn many(n: u64, one: &str) -> String {
    format!("{} {one}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Prints it; whether it is OK.
pub(super) fn tell(out: &mut Printer, format: FormatArg, verdict: &Verdict) -> bool {
    match (format, &verdict.outcome) {
        (FormatArg::Json, Ok(found)) => out.data(merged(json!({ "ok": true, "log": verdict.log }), found)),
        (FormatArg::Json, Err(fault)) => out.data(merged(json!({ "ok": false, "log": verdict.log }), fault)),
        (FormatArg::Human, Err(fault)) => {
            out.data(format!("NOT OK  {}  {fault}", verdict.log));
        }
        (FormatArg::Human, Ok(found)) => ok(out, &verdict.log, found),
    }
    verdict.outcome.is_ok()
}

fn merged(mut into: Value, from: &impl serde::Serialize) -> Value {
    if let (Some(into), Ok(Value::Object(from))) = (into.as_object_mut(), serde_json::to_value(from)) {
        for (name, value) in from {
            into.entry(name).or_insert(value);
        }
    }
    into
}

fn ok(out: &mut Printer, log: &str, found: &TablesReport) {
    let Some(report) = &found.report else {
        out.data(format!("OK  {log}  no entries"));
        return;
    };
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
    let mut text = format!("OK  {log}  {}", entries(report.entries));
    if report.entries > 0 {
        text.push_str(&format!("  {} to {}", time(&report.from), time(&report.to)));
    }
    text.push_str(&format!("  {}, no gaps", many(report.sessions, "impersonation")));
    if report.first > 0 {
        text.push_str(&format!(", {} expired before", grouped(report.first)));
    }
    for (n, what) in [
        (report.open, "without an outcome yet"),
        (found.unsigned, "not signed yet"),
        (found.pending, "not yet in the tree"),
    ] {
        if n > 0 {
            text.push_str(&format!(", {} {what}", grouped(n)));
        }
    }
    text.push_str(&format!(
        ", {}, the newest of {}; key {}",
        many(report.checkpoints, "checkpoint"),
        time(&report.signed_at),
        report.key
    ));
    out.data(text);
    for kept in &report.against {
        let (name, then) = (&kept.name, entries(kept.size));
        out.data(match (kept.recomputed, kept.proved) {
            (true, _) => format!("    grown out of the kept checkpoint `{name}` of {then}"),
            (false, true) => format!(
                "    grown out of the kept checkpoint `{name}` of {then}, by the gateway's proof: they have expired"
            ),
            (false, false) => format!(
                "    NOT compared with `{name}` of {then}: they have expired, so these lines alone can't tell; \
                 ask the gateway for a proof: drawbridge audit verify --url … --against {name}"
            ),
        });
    }
    if let Some(size) = report.witnessed {
        out.data(format!("    signed by the witness up to {}", entries(size)));
    }
}

/// What to do when a log isn't OK; `tables`: it was read in the database.
pub(super) fn to_do(out: &mut Printer, tables: bool) {
    out.data(if tables { TO_DO_TABLES } else { TO_DO });
}

/// What an OK stands for, and what it doesn't.
pub(super) fn explain(out: &mut Printer, key_given: bool, compared: bool) {
    out.note("checked: every entry against its hash, every hash against the signed roots, the signatures, the running numbers of every impersonation");
    if !key_given {
        out.note(
            "the key came with the log: compare it with the one that you kept, or give that one with --key",
        );
    }
    if !compared {
        out.note("only a checkpoint that you kept tells whether the end was cut off: give it with --against");
    }
}
