//! Places between two effects at which a test may end the process. In a release they are nothing.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where to end: `DRAWBRIDGE_TEST_END_AT=name:n` ends at the n-th passing of the place `name`, and `*:n` at the
/// n-th passing of any.
struct End {
    name: String,
    left: AtomicU64,
}

fn end() -> Option<&'static End> {
    static END: OnceLock<Option<End>> = OnceLock::new();
    END.get_or_init(|| {
        let text = std::env::var("DRAWBRIDGE_TEST_END_AT").ok()?;
        let (name, n) = text.rsplit_once(':')?;
        Some(End { name: name.to_owned(), left: AtomicU64::new(n.parse().ok()?) })
    })
    .as_ref()
}

/// Passes the place `name`, or ends the process as a crash would: nothing is flushed, nothing is dropped.
pub fn fail_point(name: &str) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(end) = end() else { return };
    if (end.name == "*" || end.name == name) && end.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        std::process::abort();
    }
}
