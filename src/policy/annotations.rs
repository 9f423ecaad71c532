//! What the annotations of a policy say: how a refusal is answered, what is written down, who speaks first.

use super::decide::Duty;
use std::sync::Arc;

/// The annotations that a policy may carry.
const KNOWN: [&str; 6] = ["id", "code", "status", "audit", "priority", "help"];

/// The annotations of one policy, checked.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// `@id`.
    pub(super) id: Arc<str>,
    /// `@id` alone, as a list: most decisions have one deciding policy.
    pub(super) alone: Arc<[Arc<str>]>,
    /// `@code` and `@status`: of forbids only.
    pub(super) refusal: Option<Refusal>,
    /// `@audit`.
    pub(super) duty: Duty,
    /// `@priority`, 0 if absent.
    pub(super) priority: i64,
}

/// How a forbid answers.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// `@code`.
    pub(super) code: Arc<str>,
    /// `@status`, 400 to 599.
    pub(super) status: u16,
    /// `@help`.
    pub(super) help: Option<Arc<str>>,
}

/// A fault in the annotations: which one, and what is wrong.
pub(super) struct Wrong {
    /// The annotation's name.
    pub(super) key: String,
    /// One line.
    pub(super) message: String,
    /// What to write instead.
    pub(super) help: Option<String>,
}

impl Wrong {
    fn new(key: &str, message: String, help: &str) -> Self {
        Self { key: key.to_owned(), message, help: Some(help.to_owned()) }
    }
}

/// Reads the annotations of a policy that has an `@id`.
///
/// # Errors
/// Each annotation that is wrong or missing.
pub(super) fn read<'a>(
    id: &str,
    forbid: bool,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<Answer, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let (mut code, mut status, mut help) = (None, None, None);
    let (mut duty, mut priority) = (Duty::None, 0);
    for (key, value) in pairs {
        match key {
            "id" => {}
            "code" | "status" | "help" if !forbid => wrong.push(Wrong::new(
                key,
                format!("`@{key}` says how a refusal is answered; policy `{id}` is a permit"),
                "take it away, or write `forbid`",
            )),
            "code" if is_code(value) => code = Some(Arc::from(value)),
            "code" => wrong.push(Wrong::new(
                key,
                format!("`{value}` is not a code"),
                "write capital letters, digits and `_`, for example `ORG_MISMATCH`",
            )),
            "status" => match value.parse::<u16>() {
                Ok(s) if (400..=599).contains(&s) => status = Some(s),
                _ => wrong.push(Wrong::new(
                    key,
                    format!("`{value}` is not the status of a refusal"),
                    "write a number from 400 to 599",
                )),
            },
            "help" => help = Some(Arc::from(value)),
            "audit" => match value {
                "use" => duty = Duty::Use,
                "control" => duty = Duty::Control,
                "dual" => duty = Duty::Dual,
                _ => wrong.push(Wrong::new(
                    key,
                    format!("`{value}` is not an audit duty"),
                    "write `use`, `control` or `dual`",
                )),
            },
            "priority" => match value.parse() {
                Ok(p) => priority = p,
                Err(_) => wrong.push(Wrong::new(
                    key,
                    format!("`{value}` is not a priority"),
                    "write an integer; the highest wins, 0 if absent",
                )),
            },
            _ => wrong.push(Wrong::new(
                key,
                format!("`@{key}` is not an annotation that the gateway knows"),
                &format!("the known ones are @{}", KNOWN.join(", @")),
            )),
        }
    }
    if forbid {
        for (key, missing) in [("code", code.is_none()), ("status", status.is_none())] {
            if missing && !wrong.iter().any(|w| w.key == key) {
                wrong.push(Wrong {
                    key: "id".to_owned(),
                    message: format!("forbid `{id}` has no `@{key}`"),
                    help: Some(format!("every forbid names its answer: add `@{key}(\"…\")`")),
                });
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let id: Arc<str> = id.into();
    let refusal = code.zip(status).map(|(code, status)| Refusal { code, status, help });
    Ok(Answer { alone: Arc::new([id.clone()]), id, refusal, duty, priority })
}

fn is_code(value: &str) -> bool {
    value.starts_with(|c: char| c.is_ascii_uppercase())
        && value.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
