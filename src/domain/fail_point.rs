//! Places between two effects at which a test may end the process. In a release they are nothing.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// All of them. A request passes those of the gate, the writer and the gate again; what it left is then placed in
/// the trees and signed.
pub const FAIL_POINTS: &[&str] = &[
    "act.before_commit",
    "act.committed",
    "writer.written",
    "writer.committed",
    "writer.answered",
    "gate.recorded",
    "gate.sending",
    "gate.answered",
    "sequencer.placed",
    "sequencer.before_commit",
    "sequencer.committed",
    "sequencer.signed",
    "sequencer.publishing",
];

/// Where to end.
struct End {
    name: String,
    left: AtomicU64,
}

/// The order that `DRAWBRIDGE_TEST_END_AT` names a file for: `place n` ends at the n-th passing of that place after
/// the file came to be.
fn end() -> Option<&'static End> {
    static FILE: OnceLock<Option<PathBuf>> = OnceLock::new();
    static END: OnceLock<End> = OnceLock::new();
    let file = FILE.get_or_init(|| std::env::var_os("DRAWBRIDGE_TEST_END_AT").map(PathBuf::from)).as_ref()?;
    if let Some(end) = END.get() {
        return Some(end);
    }
    let text = std::fs::read_to_string(file).ok()?;
    let (name, n) = text.trim_end().split_once(' ')?;
    let left = AtomicU64::new(n.parse().ok()?);
    Some(END.get_or_init(|| End { name: name.to_owned(), left }))
}

/// Passes the place `name`, or ends the process as a crash would: nothing is flushed, nothing is dropped.
pub fn fail_point(name: &'static str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(end) = end() else { return };
    if end.name == name && end.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        std::process::abort();
    }
}
