//! Policies beyond what Cedar checks: annotations, templates, entities that can't be supplied.

use super::annotations::{self, Answer};
use super::fault::Fault;
use super::reads::Reads;
use super::source::SourceFile;
use cedar_policy::{Effect, Policy, PolicyId, PolicySet};
use std::collections::HashMap;

/// One policy, checked by itself.
pub(super) struct Checked {
    /// With `@id` as its id.
    pub(super) policy: Policy,
    /// Its annotations.
    pub(super) answer: Answer,
    /// What its conditions look at.
    pub(super) reads: Reads,
    /// Position of its file.
    pub(super) file: usize,
}

/// Parses and checks the files, one by one.
pub(super) fn policies(files: &[SourceFile], faults: &mut Vec<Fault>) -> Vec<Checked> {
    let mut all = Vec::new();
    let mut owners: HashMap<String, usize> = HashMap::new();
    for (position, file) in files.iter().enumerate() {
        let set = match file.text.parse::<PolicySet>() {
            Ok(set) => set,
            Err(errors) => {
                faults.extend(errors.iter().map(|error| Fault::from_cedar(file, error)));
                continue;
            }
        };
        for template in set.templates() {
            let (offset, length) =
                find(file, "?principal").or_else(|| find(file, "?resource")).unwrap_or((0, 0));
            faults.push(
                Fault::at(file, offset, length, format!("`{}` is a template", template.id()))
                    .help("write the policies out; links of templates are not kept anywhere"),
            );
        }
        let mut policies: Vec<_> = set.policies().collect();
        policies.sort_by_key(|p| span(p));
        for policy in policies {
            let Some(id) = policy.annotation("id").filter(|id| is_id(id)) else {
                faults.push(missing_id(file, policy));
                continue;
            };
            if let Some(first) = owners.insert(id.to_owned(), position) {
                let other = files.get(first).map_or("", |f| f.path.as_str());
                faults.push(
                    at_annotation(
                        file,
                        policy,
                        "id",
                        format!("the id `{id}` is taken by a policy of `{other}`"),
                    )
                    .help("an id names one policy of the whole set: choose another"),
                );
                continue;
            }
            all.extend(one(file, position, policy, id, faults));
        }
    }
    all
}

fn one(
    file: &SourceFile,
    position: usize,
    policy: &Policy,
    id: &str,
    faults: &mut Vec<Fault>,
) -> Option<Checked> {
    let forbid = policy.effect() == Effect::Forbid;
    let answer = annotations::read(id, forbid, policy.annotations()).map_err(|wrong| {
        for w in wrong {
            let fault = at_annotation(file, policy, &w.key, w.message);
            faults.push(match w.help {
                Some(help) => fault.help(help),
                None => fault,
            });
        }
    });
    let json = match policy.to_json() {
        Ok(json) => json,
        Err(error) => {
            faults.push(Fault::from_cedar(file, &error));
            return None;
        }
    };
    let reads = Reads::of_policy(&json);
    if reads.beyond {
        let message = format!("policy `{id}` looks at an attribute of `principal.org`");
        faults.push(
            at_annotation(file, policy, "id", message)
                .help("only the org of the request is supplied: write `resource.org` (`impersonation-scope` keeps them equal)"),
        );
    }
    let policy = policy.new_id(PolicyId::new(id));
    Some(Checked { policy, answer: answer.ok()?, reads, file: position })
}

/// Where a policy stands in its file: (offset, length).
fn span(policy: &Policy) -> (usize, usize) {
    policy.as_ref().loc().map_or((0, 0), |loc| (loc.span.offset(), loc.span.len()))
}

/// A fault at an annotation of a policy, or at its head.
fn at_annotation(file: &SourceFile, policy: &Policy, key: &str, message: String) -> Fault {
    let (offset, length) = span(policy);
    let text = file.text.get(offset..offset.saturating_add(length)).unwrap_or_default();
    let needle = format!("@{key}");
    match text.find(&needle) {
        Some(within) => {
            let end = text.get(within..).and_then(|t| t.find(')')).map_or(needle.len(), |e| e + 1);
            Fault::at(file, offset + within, end, message)
        }
        None => Fault::at(file, offset, text.lines().next().map_or(0, str::len), message),
    }
}

fn missing_id(file: &SourceFile, policy: &Policy) -> Fault {
    match policy.annotation("id") {
        Some(id) => at_annotation(file, policy, "id", format!("`{id}` is not an id")),
        None => at_annotation(file, policy, "id", "a policy has no `@id`".to_owned()),
    }
    .help("entries and answers name the deciding policies: write `@id(\"what-it-does\")`, with letters, digits, `-`, `_` and `.`")
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 100 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn find(file: &SourceFile, needle: &str) -> Option<(usize, usize)> {
    file.text.find(needle).map(|offset| (offset, needle.len()))
}
