//! A log as a file that can be checked without the gateway: `drawbridge-audit-export/1`.
//!
//! ```text
//! {"format":"drawbridge-audit-export/1","log":"<origin>","key":"<verifier key>","first":0,"prefix":[]}
//! {"index":0,"hash":"<base64>","bond":"<base64 or empty>","entry":{…}}
//! {"checkpoint":"<a signed note>"}
//! ```
//!
//! One header, the entries from index `first` on without gaps, each checkpoint directly behind the entry with index
//! size-1, the newest as the last line. `prefix` holds the roots of the complete subtrees over what has expired, so
//! that the root can be computed all the same. Each line has one spelling and ends in one line feed: the verifier
//! writes headers and checkpoints anew and compares bytes, and takes an entry's wrapper literally.
//!
//! [`Export`] makes the lines of a log; [`super::verify`] checks them.

mod events;
mod prefix;
mod producer;

pub use events::Events;
pub use prefix::edge_at;
pub use producer::{Export, ExportError};

use super::leaves::Leaf;
use super::tree::{Edge, Hash, VerifierKey, parse_hash};
use serde::{Deserialize, Serialize};

/// What the header says that the file is.
pub const FORMAT: &str = "drawbridge-audit-export/1";

/// Media type of the lines.
pub const MEDIA_TYPE: &str = "application/jsonl";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    format: String,
    /// The log's origin.
    pub log: String,
    /// What verifies its checkpoints, as the one who made the file says.
    pub key: String,
    /// Index of the first entry that is kept.
    pub first: u64,
    prefix: Vec<String>,
}

impl Header {
    /// The header of the log that `key` signs, of which `expired` has expired.
    #[must_use]
    pub fn new(key: &VerifierKey, expired: &Edge) -> Self {
        Self {
            format: FORMAT.to_owned(),
            log: key.name().to_owned(),
            key: key.as_str().to_owned(),
            first: expired.size(),
            prefix: expired.roots().iter().map(Hash::to_string).collect(),
        }
    }

    /// Reads a line without its line feed; `None` unless it is a header in its only spelling.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let header: Self = serde_json::from_str(line).ok()?;
        (header.format == FORMAT && header.line()?.strip_suffix('\n') == Some(line)).then_some(header)
    }

    /// What has expired.
    #[must_use]
    pub fn expired(&self) -> Option<Edge> {
        let roots: Option<Vec<Hash>> = self.prefix.iter().map(|text| parse_hash(text)).collect();
        Edge::new(self.first, roots?)
    }

    /// The line, with its line feed.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        serde_json::to_string(self).ok().map(|text| text + "\n")
    }
}

/// The line of a leaf, with its line feed; `None` when its entry isn't there.
#[must_use]
pub fn entry_line(leaf: &Leaf) -> Option<String> {
    let entry = leaf.line.as_deref()?;
    let bond = leaf.bond.as_ref().map(Hash::to_string).unwrap_or_default();
    Some(format!(
        "{{\"index\":{},\"hash\":\"{}\",\"bond\":\"{bond}\",\"entry\":{entry}}}\n",
        leaf.index, leaf.hash
    ))
}

/// An entry's line as it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntryLine<'a> {
    /// Index in the log.
    pub index: u64,
    /// The hash that is said to be its leaf's.
    pub hash: Hash,
    /// The bond to the other log.
    pub bond: Option<Hash>,
    /// The entry, byte for byte.
    pub entry: &'a str,
}

impl<'a> EntryLine<'a> {
    /// Reads a line without its line feed; `None` unless its wrapper is exactly that of an entry.
    #[must_use]
    pub fn parse(line: &'a str) -> Option<Self> {
        let (index, rest) = line.strip_prefix("{\"index\":")?.split_once(",\"hash\":\"")?;
        let (hash, rest) = rest.split_once("\",\"bond\":\"")?;
        let (bond, rest) = rest.split_once("\",\"entry\":")?;
        let number: u64 = index.parse().ok()?;
        // `parse` takes `+1` and `01` too.
        (number.to_string() == index).then_some(Self {
            index: number,
            hash: parse_hash(hash)?,
            bond: if bond.is_empty() { None } else { Some(parse_hash(bond)?) },
            entry: rest.strip_suffix('}')?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: String,
}

/// The line of a checkpoint, with its line feed.
#[must_use]
pub fn checkpoint_line(note: &str) -> String {
    format!("{{\"checkpoint\":{}}}\n", serde_json::Value::from(note))
}

/// The note in a checkpoint's line without its line feed; `None` unless that is its only spelling.
#[must_use]
pub fn parse_checkpoint(line: &str) -> Option<String> {
    let read: CheckpointLine = serde_json::from_str(line).ok()?;
    (checkpoint_line(&read.checkpoint).strip_suffix('\n') == Some(line)).then_some(read.checkpoint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tree::{LogKey, LogName, bond, leaf_hash};

    #[test]
    fn lines_are_those_of_the_format() {
        let key = LogKey::new("drawbridge-test", &[7; 32]).unwrap().verifier(&LogName::Platform);
        let mut edge = Edge::empty();
        edge.push(leaf_hash("{}", None), |_| {});
        let header = Header::new(&key, &edge);
        let line = header.line().unwrap();
        let root = edge.root();
        assert_eq!(
            line,
            format!(
                "{{\"format\":\"drawbridge-audit-export/1\",\"log\":\"drawbridge-test/platform\",\"key\":\"{key}\",\"first\":1,\"prefix\":[\"{root}\"]}}\n"
            )
        );
        assert_eq!(Header::parse(line.trim_end()), Some(header));
        let leaf =
            Leaf { index: 1, hash: root, bond: Some(bond("{}")), line: Some("{\"a\":\"}\"}".to_owned()) };
        let line = entry_line(&leaf).unwrap();
        assert_eq!(
            line,
            format!(
                "{{\"index\":1,\"hash\":\"{root}\",\"bond\":\"{}\",\"entry\":{{\"a\":\"}}\"}}}}\n",
                bond("{}")
            )
        );
        let read = EntryLine::parse(line.trim_end()).unwrap();
        assert_eq!((read.index, read.hash, read.bond, read.entry), (1, root, leaf.bond, "{\"a\":\"}\"}"));
        assert_eq!(entry_line(&Leaf { line: None, ..leaf }), None);
        let line = checkpoint_line("a\n\n— b c\n");
        assert_eq!(line, "{\"checkpoint\":\"a\\n\\n— b c\\n\"}\n");
        assert_eq!(parse_checkpoint(line.trim_end()).as_deref(), Some("a\n\n— b c\n"));
    }

    #[test]
    fn another_spelling_is_none() {
        let key = LogKey::new("drawbridge-test", &[7; 32]).unwrap().verifier(&LogName::Platform);
        let header = Header::new(&key, &Edge::empty()).line().unwrap();
        let header = header.trim_end();
        for (from, to) in
            [(",\"first\"", ", \"first\""), ("drawbridge-t", "\\u0064rawbridge-t"), ("/1\"", "/2\"")]
        {
            assert!(header.contains(from));
            assert_eq!(Header::parse(&header.replacen(from, to, 1)), None, "{to}");
        }
        let hash = leaf_hash("{}", None);
        let line = format!("{{\"index\":1,\"hash\":\"{hash}\",\"bond\":\"\",\"entry\":{{}}}}");
        assert!(EntryLine::parse(&line).is_some());
        for (from, to) in [
            (":1,", ":01,"),
            (":1,", ":+1,"),
            (":1,", ": 1,"),
            ("=\"", "\""),
            ("\"bond\":\"", "\"bond\":\"x"),
        ] {
            assert_eq!(EntryLine::parse(&line.replacen(from, to, 1)), None, "{to}");
        }
        for line in [
            "{\"checkpoint\":\"\\u0061\"}",
            "{\"checkpoint\": \"a\"}",
            "{\"checkpoint\":\"a\",\"x\":1}",
            "\"a\"",
        ] {
            assert_eq!(parse_checkpoint(line), None, "{line}");
        }
    }
}
