//! What an entry is looked up by must be what it says: whoever changes a column hides it from a search.

use crate::domain::rfc3339;
use crate::store::{Row, StoreError};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

/// Columns of an entry, to be selected from the table `e`; [`differs`] reads them.
pub(super) const COLUMNS: &str = "e.request_id, e.stage, e.part, e.time, e.event, e.action, e.actor, \
     e.impersonation_id, e.decision, e.org_id";

/// The column of an entry that doesn't say what its line does; the columns stand in `row` from `at` on.
pub(super) fn differs(row: &Row, at: usize, entry: &Value) -> Result<Option<&'static str>, StoreError> {
    let text = |i: usize| row.opt_text(at + i);
    // An outcome's line doesn't repeat what its intent says.
    for (i, name) in [
        (0, "request_id"),
        (1, "stage"),
        (4, "event"),
        (5, "action"),
        (6, "actor"),
        (7, "impersonation_id"),
        (8, "decision"),
        (9, "org_id"),
    ] {
        if let Some(told) = entry.get(name)
            && told.as_str() != text(i)?
        {
            return Ok(Some(name));
        }
    }
    if entry.get("time").and_then(Value::as_str) != Some(rfc3339(row.int(at + 3)?).as_str()) {
        return Ok(Some("time"));
    }
    let unique = [text(0)?, text(1)?, text(2)?].map(Option::unwrap_or_default).join("\n");
    let hash = digest(&SHA256, unique.as_bytes());
    let id = format!("aud_{}", hex::encode(hash.as_ref().get(..16).unwrap_or_default()));
    Ok((entry.get("id").and_then(Value::as_str) != Some(&id)).then_some("part"))
}
