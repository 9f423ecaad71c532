//! Every relative link in the Markdown files leads somewhere, anchors included.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders that hold no documents of ours.
const SKIPPED: [&str; 4] = ["target", ".git", "node_modules", ".drawbridge"];

fn documents(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !SKIPPED.contains(&name.as_str()) && !name.starts_with("target") {
            documents(&path, found);
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
}

/// Lines outside of fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Targets of `[text](target)` in a line, code spans left out.
fn links(line: &str) -> Vec<String> {
    let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
    let mut found = Vec::new();
    let mut rest = plain.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let end = after.find(')').unwrap_or(after.len());
        let target = after[..end].split_whitespace().next().unwrap_or_default();
        found.push(target.trim_matches(['<', '>']).to_owned());
        rest = &after[end..];
    }
    found
}

/// The anchors of a document's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (_, line) in prose(text) {
        let level = line.chars().take_while(|c| *c == '#').count();
        if level == 0 || level > 6 || !line[level..].starts_with(' ') {
            continue;
        }
        let slug: String = line[level..]
            .trim()
            .to_lowercase()
            .chars()
            .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect();
        let same = found.iter().filter(|a| **a == slug || a.starts_with(&format!("{slug}-"))).count();
        found.push(if found.contains(&slug) { format!("{slug}-{same}") } else { slug });
    }
    found
}

/// What is wrong with the links of `document`, whose text is `text`.
fn broken(document: &Path, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, content) in prose(text) {
        for target in links(content) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file =
                if path.is_empty() { document.to_owned() } else { document.parent().unwrap().join(path) };
            let place = format!("{}:{line}", document.display());
            if !path.is_empty() && !file.exists() {
                wrong.push(format!("{place}: `{target}`: no such file"));
            } else if !anchor.is_empty() && file.extension().is_some_and(|e| e == "md") {
                let linked =
                    if path.is_empty() { text.to_owned() } else { fs::read_to_string(&file).unwrap() };
                if !anchors(&linked).iter().any(|a| a == anchor) {
                    wrong.push(format!("{place}: `{target}`: no such heading"));
                }
            }
        }
    }
    wrong
}

#[test]
fn relative_links_and_anchors_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    documents(root, &mut found);
    assert!(found.iter().any(|d| d.ends_with("docs/lexicon.md")), "docs/ isn't there");
    let wrong: Vec<_> = found.iter().flat_map(|d| broken(d, &fs::read_to_string(d).unwrap())).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_check_sees_broken_links() {
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("a.md");
    fs::write(dir.path().join("b.md"), "# One two: *three*\n## One\n## One\n```\n# not\n```\n").unwrap();
    let count = |text: &str| broken(&document, text).len();
    assert_eq!(count("[x](b.md) [x](b.md#one-two-three) [x](b.md#one) [x](https://a/b#c)"), 0);
    assert_eq!(count("[x](c.md)"), 1);
    assert_eq!(count("[x](b.md#not) and [y](b.md#two)"), 2);
    assert_eq!(count("# Here\n[x](#here) [y](#there)"), 1);
    assert_eq!(count("`[x](c.md)`\n```\n[x](c.md)\n```\n"), 0);
}
