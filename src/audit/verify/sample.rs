//! Random logs, for the verifiers' tests: made in memory, with what the gateway would sign.

use crate::audit::export::{Header, checkpoint_line, entry_line};
use crate::audit::leaves::Leaf;
use crate::audit::tree::{Edge, Hash, LogKey, LogName, bond, leaf_hash};
use crate::domain::rfc3339;
use serde_json::{Value, json};

pub(crate) const NOW: i64 = 1_795_000_000_000;

/// Chance that a seed replays (SplitMix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// From 0 to `n` - 1.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

pub(crate) fn key(seed: u8) -> LogKey {
    LogKey::new("drawbridge-test", &[seed; 32]).unwrap()
}

/// A log in memory.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) key: LogKey,
    pub(crate) log: LogName,
    /// Lines and bonds of all entries, from index 0.
    pub(crate) entries: Vec<(String, Option<Hash>)>,
    pub(crate) first: usize,
    /// Sizes that were signed, ascending; the last is the log's.
    pub(crate) signed: Vec<usize>,
}

/// What an entry of a grant may be.
fn entry(
    log: &LogName,
    n: usize,
    stage: &str,
    event: &str,
    grant: Option<&str>,
    seq: Option<u64>,
    request: usize,
) -> Value {
    let mut entry = json!({
        "id": format!("aud_{n}"), "request_id": format!("req_{request}"), "time": rfc3339(NOW + n as i64),
        "event": event, "org_id": match log { LogName::Org(org) => json!(org), LogName::Platform => if n.is_multiple_of(2) { json!("org_acme") } else { Value::Null } },
        "impersonation_id": grant, "stage": stage, "impersonation_seq": seq,
        "path": "/é\u{2028}\u{1f600}\"}\\,{\"index\":1",
    });
    if stage == "outcome" {
        entry.as_object_mut().unwrap().remove("org_id");
    }
    entry
}

impl Sample {
    /// A random log of 1 to 200 entries: grants that begin, act, end and stay open, and entries without a grant.
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let log = if dice.one_in(2) { LogName::Platform } else { LogName::parse("org_acme").unwrap() };
        let length = 1 + if dice.one_in(3) { dice.below(6) } else { dice.below(200) };
        // Each grant: its running number, and whether it has ended. Requests: those without an outcome.
        let mut grants: Vec<(u64, bool)> = Vec::new();
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut entries = Vec::new();
        for n in 0..length {
            let live: Vec<usize> = (0..grants.len()).filter(|i| !grants[*i].1).collect();
            let grant = (!live.is_empty()).then(|| live[dice.below(live.len())]);
            let name = |i: usize| format!("imp_{i}");
            let value = match (dice.below(8), grant) {
                (0, _) => {
                    grants.push((0, false));
                    entry(
                        &log,
                        n,
                        "act",
                        "platform.impersonation_started",
                        Some(&name(grants.len() - 1)),
                        None,
                        n,
                    )
                }
                (1, Some(i)) => {
                    grants[i].1 = true;
                    entry(
                        &log,
                        n,
                        "act",
                        "platform.impersonation_ended",
                        Some(&name(i)),
                        Some(grants[i].0),
                        n,
                    )
                }
                (2..=4, Some(i)) => {
                    grants[i].0 += 1;
                    open.push((n, i));
                    entry(
                        &log,
                        n,
                        "intent",
                        "platform.impersonated_request",
                        Some(&name(i)),
                        Some(grants[i].0),
                        n,
                    )
                }
                (5, _) if !open.is_empty() => {
                    let (request, i) = open.remove(dice.below(open.len()));
                    entry(&log, n, "outcome", "platform.impersonated_request", Some(&name(i)), None, request)
                }
                _ => entry(&log, n, "use", "org.request", None, None, n),
            };
            let bond = dice.one_in(2).then(|| bond(&format!("{n}")));
            entries.push((value.to_string(), bond));
        }
        let first = if dice.one_in(3) { dice.below(length + 1) } else { 0 };
        let mut signed: Vec<usize> =
            (0..dice.below(4)).map(|_| first + dice.below(length - first + 1)).chain([length]).collect();
        signed.sort_unstable();
        signed.dedup();
        Self { key: key(7), log, entries, first, signed }
    }

    pub(crate) fn edge(&self, size: usize) -> Edge {
        let mut edge = Edge::empty();
        for (line, bond) in &self.entries[..size] {
            edge.push(leaf_hash(line, bond.as_ref()), |_| {});
        }
        edge
    }

    /// The checkpoint of this size, signed a second for each entry after [`NOW`].
    pub(crate) fn note(&self, size: usize) -> String {
        self.note_at(size, NOW + size as i64 * 1000)
    }

    pub(crate) fn note_at(&self, size: usize, time: i64) -> String {
        // Before the last one nothing had expired.
        let first = if Some(&size) == self.signed.last() { self.first } else { 0 };
        self.key.sign(&self.log, size as u64, self.edge(size).root(), time, first as u64).unwrap()
    }

    pub(crate) fn newest(&self) -> String {
        self.note(*self.signed.last().unwrap())
    }

    pub(crate) fn verifier(&self) -> String {
        self.key.verifier(&self.log).to_string()
    }

    pub(crate) fn header(&self) -> String {
        Header::new(&self.key.verifier(&self.log), &self.edge(self.first)).line().unwrap()
    }

    pub(crate) fn leaf(&self, index: usize) -> Leaf {
        let (line, bond) = self.entries[index].clone();
        Leaf { index: index as u64, hash: leaf_hash(&line, bond.as_ref()), bond, line: Some(line) }
    }

    /// The lines of its export.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.header()];
        let checkpoint = |size: usize| self.signed.contains(&size).then(|| checkpoint_line(&self.note(size)));
        lines.extend(checkpoint(self.first));
        for index in self.first..*self.signed.last().unwrap() {
            lines.push(entry_line(&self.leaf(index)).unwrap());
            lines.extend(checkpoint(index + 1));
        }
        lines
    }

    pub(crate) fn export(&self) -> Vec<u8> {
        self.lines().concat().into_bytes()
    }
}
