//! placeholder
use super::*;
use std::path::PathBuf;

pub(crate) fn folders() -> PolicyFolders {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    PolicyFolders { policies: root.join("policies"), schemas: root.join("schemas") }
}

#[test]
fn delivered_set_loads() {
    match PolicyEngine::load(folders()) {
        Ok(engine) => eprintln!("{:?} {:#?}", engine.snapshot(), engine.snapshot().warnings()),
        Err(report) => panic!("{}", report.rendered),
    }
}
