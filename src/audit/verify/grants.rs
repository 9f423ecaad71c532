//! The running numbers of impersonations: what was done under a grant, without a gap.

use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What was seen of one grant.
#[derive(Debug, Default)]
struct Grant {
    /// The number that was seen last; `None` while its first may be any, since the log's beginning has expired.
    last: Option<u64>,
    ended: bool,
}

/// Counters of all grants in a log, and the requests that are open.
#[derive(Debug)]
pub(super) struct Grants {
    /// Whether the log's beginning is there, and with it the beginning of every grant.
    from_start: bool,
    seen: HashMap<String, Grant>,
    open: HashSet<String>,
}

impl Grants {
    pub(super) fn new(from_start: bool) -> Self {
        Self { from_start, seen: HashMap::new(), open: HashSet::new() }
    }

    /// Grants seen.
    pub(super) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Intents without an outcome.
    pub(super) fn open(&self) -> u64 {
        self.open.len() as u64
    }

    /// The next entry, in index order.
    pub(super) fn entry(&mut self, entry: &Value) -> Result<(), String> {
        let text = |name| entry.get(name).and_then(Value::as_str);
        let (stage, request) = (text("stage"), text("request_id").unwrap_or_default());
        match stage {
            Some("intent") => {
                self.open.insert(request.to_owned());
            }
            Some("outcome") => {
                self.open.remove(request);
            }
            _ => {}
        }
        let Some(id) = text("impersonation_id") else { return Ok(()) };
        let event = text("event").unwrap_or_default();
        let begins = event == "platform.impersonation_started" && stage == Some("act");
        let grant = self.seen.entry(id.to_owned()).or_insert_with(|| Grant {
            // Who is seen to begin has no earlier requests.
            last: (self.from_start || begins).then_some(0),
            ended: false,
        });
        let number = entry.get("impersonation_seq").and_then(Value::as_u64);
        let ends = event == "platform.impersonation_ended" && stage == Some("act");
        match (stage, number) {
            (Some("intent"), Some(number)) => {
                if grant.ended {
                    return Err(format!(
                        "request number {number} of impersonation `{id}` stands after its end"
                    ));
                }
                let expected = grant.last.map_or(number.max(1), |last| last + 1);
                grant.last = Some(number);
                if number == expected {
                    Ok(())
                } else {
                    Err(format!(
                        "impersonation `{id}` goes on with request number {number}, and {expected} is due: entries are missing or stand in another order"
                    ))
                }
            }
            (Some("intent"), None) => Err(format!("a request of impersonation `{id}` has no running number")),
            (_, Some(number)) if ends => {
                grant.ended = true;
                let last = *grant.last.get_or_insert(number);
                if number == last {
                    Ok(())
                } else {
                    Err(format!(
                        "impersonation `{id}` ended with request number {number}, and the log has {last}"
                    ))
                }
            }
            (_, None) if ends => {
                Err(format!("the end of impersonation `{id}` doesn't tell its last request number"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn intent(n: u64) -> Value {
        json!({"stage":"intent","event":"platform.impersonated_request","impersonation_id":"imp_a","impersonation_seq":n,"request_id":format!("req_{n}")})
    }

    fn act(event: &str, n: Option<u64>) -> Value {
        json!({"stage":"act","event":format!("platform.impersonation_{event}"),"impersonation_id":"imp_a","impersonation_seq":n,"request_id":"req_x"})
    }

    fn all(from_start: bool, entries: &[Value]) -> Result<(), String> {
        let mut grants = Grants::new(from_start);
        entries.iter().try_for_each(|entry| grants.entry(entry))
    }

    #[test]
    fn numbers_have_no_gap_and_end_with_the_last() {
        let (started, ended) = (act("started", None), act("ended", Some(2)));
        assert_eq!(all(true, &[started.clone(), intent(1), intent(2), ended.clone()]), Ok(()));
        assert_eq!(all(true, &[started.clone(), act("ended", Some(0))]), Ok(()));
        assert_eq!(all(false, &[intent(5), intent(6), act("ended", Some(6))]), Ok(()));
        assert_eq!(all(false, std::slice::from_ref(&ended)), Ok(()));
        for (from_start, wrong) in [
            (true, vec![intent(2)]),
            (true, vec![intent(1), intent(3)]),
            (true, vec![intent(1), intent(1)]),
            (true, vec![intent(1), ended.clone()]),
            (true, vec![intent(1), act("ended", None)]),
            (true, vec![intent(1), intent(2), ended, intent(3)]),
            (false, vec![started, intent(2)]),
            (false, vec![intent(5), intent(7)]),
            (false, vec![intent(0)]),
            (false, vec![act("ended", Some(2)), intent(3)]),
            (true, vec![json!({"stage":"intent","impersonation_id":"imp_a"})]),
        ] {
            assert!(all(from_start, &wrong).is_err(), "{from_start} {wrong:?}");
        }
    }

    #[test]
    fn open_are_those_without_an_outcome() {
        let mut grants = Grants::new(true);
        for n in 1..=3 {
            grants.entry(&intent(n)).unwrap();
        }
        grants.entry(&json!({"stage":"outcome","request_id":"req_2","impersonation_id":"imp_a"})).unwrap();
        assert_eq!((grants.open(), grants.count()), (2, 1));
    }
}
