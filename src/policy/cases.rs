//! Expected decisions as files: `policies/*.cases.toml`.
//!
//! ```toml
//! [[case]]
//! name = "an impersonation never does what only the owner may"
//! as = "impersonation"            # who, see below; or a list
//! do = ["deleteOrg"]              # actions; or one
//! in = "acme"                     # the org, "acme" unless said otherwise
//! with = { switched_off = true }  # facts that differ from the ordinary
//! expect = "OWNER_ONLY"           # a code, or "permit"
//! by = ["impersonation-ceiling"]  # exactly the deciding policies
//! audit = "dual"                  # optional: none, use, control, dual
//! ```
//!
//! Who: `stranger`, `staff` (support engineer), `platform-admin`, `impersonation` (of acme, by staff),
//! and `viewer`, `operator`, `admin`, `owner`, each with `@acme` (taken if left out) or `@globex`, and
//! the same four with `bot:` before them. There are the orgs `acme` and `globex`, and `nowhere`, which
//! doesn't exist.

mod table;
mod world;

pub use table::{Cell, Row, Table, table};

use super::decide::{Decision, Duty};
use super::snapshot::Snapshot;
use serde::Deserialize;
use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use world::With;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(rename = "as")]
    who: OneOrMore,
    #[serde(rename = "do")]
    action: OneOrMore,
    #[serde(rename = "in", default = "acme")]
    org: String,
    #[serde(default)]
    with: With,
    expect: String,
    by: Vec<String>,
    audit: Option<String>,
}

fn acme() -> String {
    "acme".to_owned()
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// What running cases gave.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Single questions that were asked.
    pub asked: usize,
    /// One block a case that differs: where it stands, what was expected, what was decided.
    pub failures: Vec<String>,
    /// The policies that decided at least one case.
    pub decided: std::collections::BTreeSet<String>,
}

/// Why cases can't be run.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// The folder or a file can't be read.
    #[error("`{}` can't be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file isn't a file of cases.
    #[error("`{}` is not a file of cases: {source}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Why, with line and column.
        source: toml::de::Error,
    },
}

/// Runs every `*.cases.toml` of a folder.
///
/// # Errors
/// [`CasesError`] for the first file that can't be read. A case that names something unknown is a failure.
pub fn run(snapshot: &Snapshot, folder: &Path) -> Result<Outcome, CasesError> {
    let read = |source| CasesError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.file_name().is_some_and(|n| n.to_string_lossy().ends_with(".cases.toml")) {
            paths.push(path);
        }
    }
    paths.sort();
    let mut outcome = Outcome::default();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .map_err(|source| CasesError::Read { path: path.clone(), source })?;
        let file: File =
            toml::from_str(&text).map_err(|source| CasesError::Form { path: path.clone(), source })?;
        for case in &file.case {
            let line = line_of(&text, case.span());
            case.get_ref().run(snapshot, &format!("{}:{line}", path.display()), &mut outcome);
        }
    }
    Ok(outcome)
}

fn line_of(text: &str, span: Range<usize>) -> usize {
    text.get(..span.start).unwrap_or_default().matches('\n').count() + 1
}

impl Case {
    fn run(&self, snapshot: &Snapshot, place: &str, outcome: &mut Outcome) {
        for who in self.who.all() {
            for action in self.action.all() {
                outcome.asked += 1;
                let question = format!("{who} → {action} in {}", self.org);
                match world::ask(snapshot, who, action, &self.org, &self.with) {
                    Ok(decision) => {
                        outcome.decided.extend(policies(&decision).iter().map(ToString::to_string));
                        if let Some(difference) = self.difference(&decision) {
                            let failure = format!("{place}: {}\n  {question}\n{difference}", self.name);
                            outcome.failures.push(failure);
                        }
                    }
                    Err(unknown) => {
                        outcome.failures.push(format!("{place}: {}\n  {question}\n  {unknown}\n", self.name));
                    }
                }
            }
        }
    }

    fn difference(&self, decision: &Decision) -> Option<String> {
        let mut difference = String::new();
        let mut compare = |what: &str, expected: &str, got: &str| {
            if expected != got {
                let _ = writeln!(difference, "  {what}: expected {expected}, got {got}");
            }
        };
        compare("decision", &self.expect, answer(decision));
        let mut expected = self.by.clone();
        expected.sort();
        let got: Vec<_> = policies(decision).iter().map(ToString::to_string).collect();
        compare("by", &expected.join(", "), &got.join(", "));
        if let Some(audit) = &self.audit {
            compare("audit", audit, duty(decision));
        }
        (!difference.is_empty()).then_some(difference)
    }
}

/// `permit`, or the code.
fn answer(decision: &Decision) -> &str {
    match decision {
        Decision::Permit(_) => "permit",
        Decision::Denied(denial) => &denial.code,
    }
}

fn policies(decision: &Decision) -> &[std::sync::Arc<str>] {
    match decision {
        Decision::Permit(permit) => permit.policies(),
        Decision::Denied(denial) => &denial.policies,
    }
}

fn duty(decision: &Decision) -> &'static str {
    let duty = match decision {
        Decision::Permit(permit) => permit.duty(),
        Decision::Denied(denial) => denial.duty,
    };
    match duty {
        Duty::None => "none",
        Duty::Use => "use",
        Duty::Control => "control",
        Duty::Dual => "dual",
    }
}
