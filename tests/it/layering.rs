//! Rules about the source: who may use whom (architecture §2), and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the crate may use beside itself and [`EVERYWHERE`].
const MAY_USE: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("console", &[]),
    ("config", &[]),
    ("telemetry", &[]),
    ("demo", &[]),
    ("store", BESIDE),
    ("audit", &["store", "config", "telemetry"]),
    ("policy", &["store", "config", "telemetry"]),
    ("identity", &["store", "config", "telemetry"]),
    ("access", &["policy", "identity", "audit", "store", "config", "telemetry"]),
    ("control", &["access", "policy", "identity", "audit", "store", "config", "telemetry", "console"]),
    // A refusal of a page is a page.
    ("gateway", &["access", "policy", "identity", "audit", "store", "config", "telemetry", "console"]),
    ("app", ALL),
    ("cli", ALL),
];

/// The vocabulary.
const EVERYWHERE: &str = "domain";

/// What sits beside the vocabulary, for the layers above it.
const BESIDE: &[&str] = &["config", "telemetry"];

/// What the composition root and the command line may use. Nothing may use them, but for the command line
/// the composition root.
const ALL: &[&str] = &[
    "app",
    "gateway",
    "control",
    "access",
    "policy",
    "identity",
    "audit",
    "store",
    "config",
    "telemetry",
    "console",
    "demo",
];

/// Lines a source file may have: one that needs a map should have been two.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The first segment of every `crate::…` path in `source`, with its line; groups (`crate::{a::b, c}`) are
/// opened, comments left out.
fn uses(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let code: String = source
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "\n".to_owned() } else { format!("{line}\n") })
        .collect();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group).into_iter().map(|head| (line, head))),
            None => found.push((line, word(rest))),
        }
    }
    found
}

/// First segments of the members of a group that was opened before `text`.
fn heads(text: &str) -> Vec<String> {
    let (mut depth, mut heads, mut start) = (0, Vec::new(), true);
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            c if start && (c.is_alphanumeric() || c == '_') => {
                heads.push(word(&text[at..]));
                start = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// Every edge in `source` that `module` may not have.
fn forbidden(module: &str, source: &str) -> Vec<(usize, String)> {
    let allowed = MAY_USE.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed);
    uses(source)
        .into_iter()
        .filter(|(_, used)| {
            used != module
                && used != EVERYWHERE
                && !allowed.is_some_and(|allowed| allowed.contains(&used.as_str()))
        })
        .collect()
}

#[test]
fn modules_use_only_what_is_below_them() {
    let src = root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    assert!(files.len() > 10, "only {} source files found", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let inside = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        let module = inside.split(['/', '.']).next().unwrap();
        if matches!(inside.as_str(), "lib.rs" | "main.rs") {
            continue;
        }
        assert!(
            MAY_USE.iter().any(|(name, _)| *name == module),
            "src/{inside}: a module that architecture §2 doesn't know"
        );
        for (line, used) in forbidden(module, &fs::read_to_string(&file).unwrap()) {
            wrong.push(format!("src/{inside}:{line}: `{module}` may not use `{used}`"));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_rule_sees_what_it_should() {
    assert_eq!(forbidden("domain", "use crate::store::Db;"), [(1, "store".to_owned())]);
    assert_eq!(forbidden("unheard-of", "use crate::store::Db;"), [(1, "store".to_owned())]);
    assert_eq!(forbidden("policy", "\nlet x = crate::audit::Entry::new();"), [(2, "audit".to_owned())]);
    assert_eq!(
        forbidden("gateway", "use crate::{control::Router, domain::{Clock, ids}, access};"),
        [(1, "control".to_owned())]
    );
    assert_eq!(forbidden("demo", "// crate::store is below\nuse crate::domain::Clock;"), []);
    assert_eq!(forbidden("audit", "use crate::audit::Entry; use $crate::nothing;"), []);
}

/// Somebody who doesn't trust us reads it before running it.
#[test]
fn the_second_verifier_stays_short() {
    let lines = fs::read_to_string(root().join("tools/verify_audit.py")).unwrap().lines().count();
    assert!(lines <= 150, "tools/verify_audit.py has {lines} lines");
}

#[test]
fn no_source_file_needs_a_map() {
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        rust_files(&root().join(folder), &mut files);
    }
    let long: Vec<_> = files
        .iter()
        .map(|file| (fs::read_to_string(file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > MAX_LINES)
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:?}");
}
