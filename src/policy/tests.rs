//! The delivered set: it loads without a warning, its cases hold, each of its policies has one.

use super::*;
use std::path::PathBuf;

pub(crate) fn folders() -> PolicyFolders {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    PolicyFolders { policies: root.join("policies"), schemas: root.join("schemas") }
}

#[test]
fn delivered_set_loads() {
    match PolicyEngine::load(folders()) {
        Ok(engine) => assert_eq!(engine.snapshot().warnings(), [""; 0]),
        Err(report) => panic!("{}", report.rendered),
    }
}
#[test]
fn delivered_cases_hold_and_every_policy_has_one() {
    let engine = PolicyEngine::load(folders()).unwrap();
    let snapshot = engine.snapshot();
    let outcome = cases::run(&snapshot, &folders().policies).unwrap();
    assert!(outcome.failures.is_empty(), "{}", outcome.failures.join("\n"));
    assert!(outcome.asked > 250, "{}", outcome.asked);
    let text = defaults::POLICIES.iter().map(|(_, text)| *text).collect::<String>();
    let ids = text.split("@id(\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let untested: Vec<_> = ids.filter(|id| !outcome.decided.contains(*id)).collect();
    assert_eq!(untested, [""; 0], "policies without a case");
}
