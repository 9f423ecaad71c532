//! `[audit]`: the two logs.

use super::check::fault;
use super::delivery::{Delivery, RawDelivery};
use super::document::{Complaint, Document, Setting};
use super::fault::Fault;
use super::raw::{any_path, file, or_empty};
use crate::domain::Retention;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The longest that can be asked for: about a hundred years.
const MAX_DAYS: u64 = 36_500;

/// The two logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The name of this installation in the checkpoints of its logs; `None`: made up and kept in the records.
    pub origin: Option<String>,
    /// How long a request waits for its entry to be durable.
    pub commit_timeout: Duration,
    /// How long entries are kept.
    pub retention: Retention,
    /// Who cosigns checkpoints, if anybody does.
    pub witness: Option<WitnessAt>,
    /// Who else gets the entries.
    pub delivery: Vec<Delivery>,
}

/// Where a witness is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WitnessAt {
    /// In the gateway's process, with its state in this file.
    File(PathBuf),
    /// Elsewhere.
    Url {
        /// Its submission prefix.
        url: Url,
        /// Its verifier key.
        key: String,
    },
}

/// The section as it is written.
pub(super) struct RawAudit {
    origin: Setting<Option<String>>,
    commit_timeout_ms: Setting<u64>,
    org_days: Setting<u32>,
    platform_days: Setting<u32>,
    witness_file: Setting<PathBuf>,
    witness_url: Setting<Option<Url>>,
    witness_key: Setting<Option<String>>,
    pub(super) delivery: Vec<RawDelivery>,
}

impl RawAudit {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let mut s = document.section("audit");
        let usual = Retention::default();
        Self {
            origin: s.text("origin", None, or_empty(origin)),
            commit_timeout_ms: s.whole("commit_timeout_ms", 2_000, 50..=60_000),
            org_days: s.whole("org_days", usual.org_days, 1..=MAX_DAYS),
            platform_days: s.whole("platform_days", usual.platform_days, 1..=MAX_DAYS),
            witness_file: s.text("witness_file", PathBuf::new(), any_path),
            witness_url: s.text("witness_url", None, or_empty(witness_url)),
            witness_key: s.text("witness_key", None, or_empty(witness_key)),
            delivery: RawDelivery::read_all(document),
        }
    }

    /// What only shows when the settings are seen together.
    pub(super) fn check(&self, faults: &mut Vec<Fault>) {
        let (url, key) = (&self.witness_url, &self.witness_key);
        let has_file = !self.witness_file.value.as_os_str().is_empty();
        if let Some(span) =
            url.span().filter(|_| url.value.is_some() && key.is_sound() && key.value.is_none())
        {
            let help =
                "the key is what its signatures are checked with: `drawbridge audit witness` prints it";
            faults.push(fault("`witness_url` without `witness_key` in [audit]", "alone", help, span));
        }
        if let Some(span) =
            key.span().filter(|_| key.value.is_some() && url.is_sound() && url.value.is_none())
        {
            let help = "a witness in a file has its key beside it; `witness_key` is that of one at a URL";
            faults.push(fault("`witness_key` without `witness_url` in [audit]", "alone", help, span));
        }
        if let Some(span) = self.witness_file.span().filter(|_| has_file && url.value.is_some()) {
            let help = "leave one out; the one at a URL notices more, if somebody else runs it";
            faults.push(fault("`witness_file` and `witness_url` in [audit]", "two witnesses", help, span));
        }
    }

    pub(super) fn checked(self, base: &Path) -> Audit {
        let at_file = file(base, &self.witness_file).map(WitnessAt::File);
        let delivery = self.delivery.into_iter().filter_map(|delivery| delivery.checked(base)).collect();
        let at_url = self.witness_url.value.zip(self.witness_key.value);
        Audit {
            origin: self.origin.value,
            commit_timeout: Duration::from_millis(self.commit_timeout_ms.value),
            retention: Retention { org_days: self.org_days.value, platform_days: self.platform_days.value },
            witness: at_url.map(|(url, key)| WitnessAt::Url { url, key }).or(at_file),
            delivery,
        }
    }
}

/// The name of an installation in its checkpoints.
fn origin(text: &str) -> Result<String, Complaint> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.chars().all(fine) && text.len() <= 253 {
        Ok(text.to_owned())
    } else {
        let help = "write it like a host name: audit.example.com";
        Err(Complaint::new("must be letters, digits, `.` and `-`").help(help))
    }
}

fn witness_url(text: &str) -> Result<Url, Complaint> {
    let help = "for example https://witness.example.org; `/add-checkpoint` is put after it";
    let wrong =
        || Complaint { secret: text.contains('@'), ..Complaint::new("not the URL of a witness").help(help) };
    let url = Url::parse(text).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain { Ok(url) } else { Err(wrong()) }
}

/// `name+id+key` with an Ed25519 key for cosignatures (type 4), as C2SP signed-note encodes it.
fn witness_key(text: &str) -> Result<String, Complaint> {
    let help = "it is printed by the witness: name+8 digits+base64";
    let parts: Vec<&str> = text.splitn(3, '+').collect();
    let ok = match parts.as_slice() {
        [name, id, key] => {
            let bytes = STANDARD.decode(key).unwrap_or_default();
            let digits = id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit());
            !name.is_empty() && digits && bytes.len() == 33 && bytes.first() == Some(&4)
        }
        _ => false,
    };
    if ok { Ok(text.to_owned()) } else { Err(Complaint::new("not the key of a witness").help(help)) }
}
