//! What is wrong.

use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// The first thing that is wrong with a log, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct Fault {
    /// Line of the export, from 1.
    pub line: Option<u64>,
    /// Index of the entry in the log.
    pub index: Option<u64>,
    /// The entry's id, as far as it can be read; a changed entry may lie about it.
    pub entry: Option<String>,
    /// The entry's request, likewise.
    pub request: Option<String>,
    /// What is wrong, in a sentence.
    pub what: String,
}

impl Fault {
    /// A fault of the whole.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self { line: None, index: None, entry: None, request: None, what: what.into() }
    }

    /// On this line.
    #[must_use]
    pub const fn on(mut self, line: u64) -> Self {
        self.line = Some(line);
        self
    }

    /// In the entry with this index.
    #[must_use]
    pub const fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    /// In the entry with this text, which names itself if it can be read.
    #[must_use]
    pub fn of(mut self, entry: &str) -> Self {
        if let Ok(entry) = serde_json::from_str::<Value>(entry) {
            // Identifiers are short; whatever else stands there isn't printed.
            let text = |name| {
                let text = entry.get(name).and_then(Value::as_str).filter(|text| text.len() <= 100)?;
                text.bytes().all(|b| b.is_ascii_graphic()).then(|| text.to_owned())
            };
            self.entry = text("id");
            self.request = text("request_id");
        }
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut begun = false;
        let mut part = |f: &mut fmt::Formatter<'_>, name: &str, value: &dyn fmt::Display| {
            let comma = if begun { ", " } else { "" };
            begun = true;
            write!(f, "{comma}{name} {value}")
        };
        if let Some(line) = &self.line {
            part(f, "line", line)?;
        }
        if let Some(index) = &self.index {
            part(f, "entry", index)?;
        }
        if let Some(entry) = &self.entry {
            part(f, "id", entry)?;
        }
        if let Some(request) = &self.request {
            part(f, "request", request)?;
        }
        let colon = if begun { ": " } else { "" };
        write!(f, "{colon}{}", self.what)
    }
}
