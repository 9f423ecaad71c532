//! The lines of one log, checked one after the other.

use super::grants::Grants;
use super::kept::Compared;
use super::{Expect, Fault, KeptReport};
use crate::audit::export::{EntryLine, Header, parse_checkpoint};
use crate::audit::tree::{Checkpoint, Edge, LogName, VerifierKey, leaf_hash};
use crate::audit::witness::verify_cosignature;
use crate::domain::rfc3339;
use serde::Serialize;
use serde_json::Value;

/// What was checked and found right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's origin.
    pub log: String,
    /// Entries that were there.
    pub entries: u64,
    /// Index of the first; those before have expired.
    pub first: u64,
    /// Entries that the log has had in all.
    pub size: u64,
    /// Root of the tree of all these, in base64.
    pub root: String,
    /// Time of the first entry.
    pub from: Option<String>,
    /// Time of the last.
    pub to: Option<String>,
    /// Impersonations seen.
    pub sessions: u64,
    /// Gaps in their running numbers: none, or there would be no report.
    pub gaps: u64,
    /// Requests whose outcome isn't there (yet).
    pub open: u64,
    /// Checkpoints whose root and signature are right.
    pub checkpoints: u64,
    /// The key that signed them.
    pub key: String,
    /// Whether that key was given, and not taken from the log itself.
    pub key_given: bool,
    /// When the newest was signed.
    pub signed_at: Option<String>,
    /// Size of the newest checkpoint that the witness signed, if one was asked for.
    pub witnessed: Option<u64>,
    /// Kept checkpoints that it was compared with.
    pub against: Vec<KeptReport>,
}

/// Takes the lines of one export. After a [`Fault`] it is of no more use.
#[derive(Debug)]
pub struct Verifier {
    expect: Expect,
    lines: u64,
    state: Option<State>,
}

/// What is known once the header is read.
#[derive(Debug)]
struct State {
    log: LogName,
    key: VerifierKey,
    first: u64,
    edge: Edge,
    grants: Grants,
    against: Vec<Compared>,
    newest: Option<Checkpoint>,
    checkpoints: u64,
    witnessed: Option<u64>,
    from: Option<String>,
    to: Option<String>,
}

impl Verifier {
    /// A verifier that knows this much.
    #[must_use]
    pub const fn new(expect: Expect) -> Self {
        Self { expect, lines: 0, state: None }
    }

    /// Lines taken.
    #[must_use]
    pub const fn lines(&self) -> u64 {
        self.lines
    }

    /// Entries that the log has, as far as it was read.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.state.as_ref().map_or(0, |state| state.edge.size())
    }

    /// Takes the next line, without its line feed.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn line(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.lines += 1;
        let line = self.lines;
        let at = |fault: Fault| fault.on(line);
        let text = std::str::from_utf8(bytes)
            .map_err(|_| at(Fault::new("the line isn't UTF-8: bytes were changed")))?;
        let Some(state) = &mut self.state else {
            self.state = Some(State::begin(&self.expect, text).map_err(at)?);
            return Ok(());
        };
        if text.starts_with("{\"checkpoint\"") {
            state.checkpoint(&self.expect, text).map_err(at)
        } else {
            state.entry(text).map_err(at)
        }
    }

    /// The end of the lines.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn finish(self) -> Result<Report, Fault> {
        let state = self
            .state
            .ok_or_else(|| Fault::new("there is nothing in it: an export begins with its header"))?;
        state
            .finish(&self.expect)
            .map_err(|fault| if fault.line.is_none() { fault.on(self.lines) } else { fault })
    }
}

/// A key has one spelling here: the library reads its id in capitals too.
fn key_of(header: &Header) -> Option<VerifierKey> {
    let key = VerifierKey::parse(&header.key).ok()?;
    let id = key.as_str().split('+').nth(1)?;
    let exact = key.as_str() == header.key && !id.bytes().any(|b| b.is_ascii_uppercase());
    exact.then_some(key)
}

impl State {
    fn begin(expect: &Expect, line: &str) -> Result<Self, Fault> {
        let header =
            Header::parse(line).ok_or_else(|| Fault::new("it doesn't begin with the header of an export"))?;
        let key = key_of(&header).ok_or_else(|| Fault::new("the header's key isn't a verifier key"))?;
        let log = LogName::of_origin(&header.log).filter(|_| key.name() == header.log);
        let log = log.ok_or_else(|| Fault::new("the header's key isn't that of the log that it names"))?;
        if let Some(given) = &expect.key
            && *given != key
        {
            return Err(Fault::new(format!(
                "the log names another key than the one that was given: `{key}`"
            )));
        }
        if let Some(expected) = &expect.log
            && *expected != log
        {
            return Err(Fault::new(format!("it is the log `{log}`, and not that of `{expected}`")));
        }
        let edge = header
            .expired()
            .ok_or_else(|| Fault::new("the header's prefix isn't that of its first entry"))?;
        let against =
            expect.against.iter().map(|kept| Compared::open(kept, &key)).collect::<Result<_, _>>()?;
        let mut state = Self {
            log,
            key,
            first: header.first,
            grants: Grants::new(header.first == 0),
            edge,
            against,
            newest: None,
            checkpoints: 0,
            witnessed: None,
            from: None,
            to: None,
        };
        state.compare()?;
        Ok(state)
    }

    /// With what was kept at this size.
    fn compare(&mut self) -> Result<(), Fault> {
        let edge = &self.edge;
        self.against.iter_mut().try_for_each(|kept| kept.grown(edge.size(), || edge.root()))
    }

    fn entry(&mut self, text: &str) -> Result<(), Fault> {
        let due = self.edge.size();
        let Some(line) = EntryLine::parse(text) else {
            return Err(
                Fault::new("the line is neither an entry nor a checkpoint: bytes were changed").at(due)
            );
        };
        let wrong = |what: String| Fault::new(what).at(line.index).of(line.entry);
        if line.index != due {
            return Err(wrong(format!(
                "entry {due} is due here: entries were left out, doubled or put in another order"
            )));
        }
        if leaf_hash(line.entry, line.bond.as_ref()) != line.hash {
            return Err(wrong("the entry was changed: it isn't the one that its hash is of".to_owned()));
        }
        let entry: Value = serde_json::from_str(line.entry).unwrap_or_default();
        if !entry.is_object() {
            return Err(wrong("the entry isn't a JSON object".to_owned()));
        }
        if let LogName::Org(org) = &self.log
            && entry.get("org_id").and_then(Value::as_str) != Some(org.as_str())
            // What closes a request is known by the request alone.
            && !(entry.get("org_id").is_none() && entry.get("stage").and_then(Value::as_str) == Some("outcome"))
        {
            return Err(wrong("the entry isn't about the org of this log".to_owned()));
        }
        self.grants.entry(&entry).map_err(wrong)?;
        let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
        if due == self.first {
            self.from.clone_from(&time);
        }
        self.to = time;
        self.edge.push(line.hash, |_| {});
        self.compare().map_err(|fault| fault.at(due))
    }

    fn checkpoint(&mut self, expect: &Expect, text: &str) -> Result<(), Fault> {
        let size = self.edge.size();
        let fault = |what: String| Fault::new(what);
        let note = parse_checkpoint(text).ok_or_else(|| {
            fault("the line of the checkpoint was changed: it isn't as it is written".to_owned())
        })?;
        let checkpoint = Checkpoint::open(&note, &self.key).map_err(|error| match expect.key {
            Some(_) => fault(format!("the checkpoint isn't to be believed: {error}")),
            None => fault(format!("the checkpoint isn't to be believed, by the header's key: {error}")),
        })?;
        if checkpoint.size != size {
            return Err(fault(format!(
                "the checkpoint is of {} entries and stands behind {size}: entries were left out or put in, or the end was cut off",
                checkpoint.size
            )));
        }
        let before = self.newest.as_ref();
        if before.is_some_and(|before| before.size >= size) {
            return Err(fault("the checkpoint stands there twice".to_owned()));
        }
        if checkpoint.root != self.edge.root() {
            let from = before.map_or(self.first, |before| before.size);
            return Err(fault(format!(
                "the signed root isn't that of these entries: among entries {from} to {}, or in what has expired before, something was changed, left out, put in or moved",
                size.saturating_sub(1)
            ))
            .at(from));
        }
        if checkpoint.time.is_none() || checkpoint.first > size {
            return Err(fault(
                "the checkpoint doesn't say when it was signed, or begins behind its end".to_owned(),
            ));
        }
        if before.is_some_and(|before| before.first > checkpoint.first) {
            return Err(fault("the log begins earlier than it did before".to_owned()));
        }
        if let Some(witness) = &expect.witness
            && verify_cosignature(&checkpoint.note, witness).is_ok()
        {
            self.witnessed = Some(size);
        }
        self.checkpoints += 1;
        self.newest = Some(checkpoint);
        Ok(())
    }

    fn finish(self, expect: &Expect) -> Result<Report, Fault> {
        let size = self.edge.size();
        let newest = self.newest.as_ref().filter(|newest| newest.size == size).ok_or_else(|| {
            Fault::new("it doesn't end with a signed checkpoint: the end is missing, or making it failed")
                .at(size)
        })?;
        if newest.first < self.first {
            return Err(Fault::new(format!(
                "it begins with entry {}, and when the newest checkpoint was signed, entries from {} on were kept: its beginning was cut off",
                self.first, newest.first
            ))
            .at(newest.first));
        }
        for kept in &self.against {
            kept.ended(expect, &self.log, newest, self.first)?;
        }
        if expect.witness.is_some() && self.witnessed.is_none() {
            return Err(Fault::new("the witness has signed none of its checkpoints"));
        }
        Ok(Report {
            log: self.key.name().to_owned(),
            entries: size - self.first,
            first: self.first,
            size,
            root: newest.root.to_string(),
            from: self.from,
            to: self.to,
            sessions: self.grants.count(),
            gaps: 0,
            open: self.grants.open(),
            checkpoints: self.checkpoints,
            key: self.key.as_str().to_owned(),
            key_given: expect.key.is_some(),
            signed_at: newest.time.map(rfc3339),
            witnessed: self.witnessed,
            against: self.against.iter().map(Compared::report).collect(),
        })
    }
}
