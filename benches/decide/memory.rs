//! Bytes for each session: how much the process grows by thousands of them.

use super::fixture::{Fixture, TTL};
use super::steps::ask;
use drawbridge::access::Known;
use drawbridge::gateway::admit::Once;
use drawbridge::gateway::authenticate::{Presented, authenticate};
use http::HeaderValue;
use std::sync::Arc;

/// How many sessions.
const SESSIONS: usize = 4_000;
/// How many of them come first, so that pools and caches have their size.
const BEFORE: usize = 400;

/// One line.
pub(crate) async fn per_session(fixture: &Fixture) -> String {
    let access = &fixture.parts.access;
    let mut tokens = Vec::with_capacity(SESSIONS + BEFORE);
    for _ in 0..SESSIONS + BEFORE {
        let issued = access.issue_bot_token(&fixture.bot, "bench", TTL).await.unwrap();
        tokens.push(HeaderValue::from_str(&format!("Bearer {}", issued.token.expose())).unwrap());
    }
    let now = fixture.parts.clock.now();
    let mut known: Vec<Arc<Known>> = Vec::with_capacity(SESSIONS + BEFORE);
    let mut at_start = 0;
    for (n, token) in tokens.iter().enumerate() {
        if n == BEFORE {
            for known in &known {
                assert!(ask(fixture, &fixture.parts.policy.snapshot(), known, now).is_some());
            }
            at_start = resident();
        }
        let once = Once { value: Some(token), repeated: false, differs: false };
        let presented = Presented::from_headers(once, Once::default()).ok().unwrap();
        known.push(authenticate(access, &presented).await.ok().flatten().expect("a bot").known);
    }
    let cold = resident();
    for known in &known[BEFORE..] {
        assert!(ask(fixture, &fixture.parts.policy.snapshot(), known, now).is_some());
    }
    let warm = resident();
    let each = |bytes: usize| bytes / SESSIONS;
    format!(
        "{SESSIONS} sessions: {} bytes each once known, {} bytes each once they asked",
        each(cold.saturating_sub(at_start)),
        each(warm.saturating_sub(at_start)),
    )
}

/// Resident bytes of this process (proc(5), `VmRSS`).
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}
