//! How files become a set: parse file by file, check the schemas, lint, validate, index. Anything wrong,
//! and there is no set, but a report of everything that is.

use super::fault::{Fault, LoadReport};
use super::slice::Index;
use super::snapshot::Snapshot;
use super::source::{SourceFile, Sources};
use super::{lint, schema};
use cedar_policy::{PolicyId, PolicySet, ValidationMode, Validator};
use std::collections::HashMap;

/// How far policies may follow references: `principal.operator.disabled` is two.
const LEVEL: u32 = 2;

/// Makes a snapshot of the files.
///
/// # Errors
/// [`LoadReport`] with every fault: of the schemas, of each policy file, then of the policies against the schemas.
pub(super) fn snapshot(sources: &Sources) -> Result<Snapshot, LoadReport> {
    let mut faults = Vec::new();
    let checked = lint::policies(&sources.policies, &mut faults);
    let schemas = match schema::load(&sources.schemas) {
        Ok(schemas) => Some(schemas),
        Err(wrong) => {
            faults.extend(wrong);
            None
        }
    };
    let mut warnings = Vec::new();
    if let Some(schemas) = &schemas {
        let files: HashMap<PolicyId, usize> =
            checked.iter().map(|c| (c.policy.id().clone(), c.file)).collect();
        let set = PolicySet::from_policies(checked.iter().map(|c| c.policy.clone())).unwrap_or_default();
        let result =
            Validator::new(schemas.schema.clone()).validate_with_level(&set, ValidationMode::Strict, LEVEL);
        let file = |id: &PolicyId| files.get(id).and_then(|position| sources.policies.get(*position));
        faults.extend(result.validation_errors().map(|error| fault(file(error.policy_id()), error)));
        warnings = result.validation_warnings().map(ToString::to_string).collect();
        if checked.is_empty() && faults.is_empty() {
            let path = sources.policies.first().map_or("policies", |f| f.path.as_str());
            faults.push(
                Fault::of_path(path, "the files hold no policy").help("an empty set would refuse everything"),
            );
        }
    }
    let Some(schemas) = schemas.filter(|_| faults.is_empty()) else { return Err(LoadReport::of(faults)) };
    let index = Index::new(checked.into_iter().map(|c| (c.policy, c.answer, c.reads)).collect());
    Snapshot::new(sources.hash(), schemas, index, warnings)
        .ok_or_else(|| LoadReport::of(vec![Fault::of_path("schemas", "no action `undeclared`")]))
}

fn fault(file: Option<&SourceFile>, error: &dyn miette::Diagnostic) -> Fault {
    match file {
        Some(file) => Fault::from_cedar(file, error),
        None => Fault::of_path("policies", error.to_string()),
    }
}
