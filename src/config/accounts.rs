//! `[accounts]` and `[setup]`: passwords and sessions of the vendor's staff, and the first of them.

use super::check::{fault, unusable};
use super::document::{Complaint, Document, Setting};
use super::fault::Fault;
use super::raw::{any_path, file};
use crate::domain::{is_email, visible_length};
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Accounts of the vendor's staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// Passwords hashed at the same time, 46 MiB each; `None`: one for each processor.
    pub hash_at_once: Option<NonZeroUsize>,
    /// Words that a password must not live on.
    pub forbidden_words: Vec<String>,
    /// How long an initial password may be used.
    pub initial_password: Duration,
    /// From a sign-in to the end of its session.
    pub session_absolute: Duration,
    /// How long a browser's session may be idle.
    pub session_idle: Duration,
}

/// How an installation gets its first platform admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Holds the setup secret; `None`: it follows from the master key and is printed.
    pub secret_file: Option<PathBuf>,
    /// The first platform admin, made at the start.
    pub operator: Option<Operator>,
}

/// The first platform admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// Address.
    pub email: String,
    /// Name; empty: the address.
    pub display_name: String,
    /// Holds their initial password.
    pub password_file: PathBuf,
}

/// As the file writes it.
pub(super) struct RawAccounts {
    hash_at_once: Setting<usize>,
    forbidden_words: Vec<Setting<String>>,
    initial_password_hours: Setting<u64>,
    session_absolute_seconds: Setting<u64>,
    session_idle_seconds: Setting<u64>,
    secret_file: Setting<PathBuf>,
    email: Setting<String>,
    display_name: Setting<String>,
    password_file: Setting<PathBuf>,
}

impl RawAccounts {
    pub(super) fn read(document: &mut Document<'_>) -> Self {
        let mut s = document.section("accounts");
        let hash_at_once = s.whole("hash_at_once", 0, 0..=1024);
        let forbidden_words = s.texts("forbidden_words", Vec::new(), word);
        let initial_password_hours = s.whole("initial_password_hours", 24, 1..=24);
        // NIST 800-63B-4 at AAL2 asks for no more than 24 hours and one.
        let session_absolute_seconds = s.whole("session_absolute_seconds", 43_200, 300..=43_200);
        let session_idle_seconds = s.whole("session_idle_seconds", 3_600, 60..=3_600);
        let mut setup = document.section("setup");
        let secret_file = setup.text("secret_file", PathBuf::new(), any_path);
        let mut operator = document.section("setup.operator");
        Self {
            hash_at_once,
            forbidden_words,
            initial_password_hours,
            session_absolute_seconds,
            session_idle_seconds,
            secret_file,
            email: operator.text("email", String::new(), email),
            display_name: operator.text("display_name", String::new(), name),
            password_file: operator.text("password_file", PathBuf::new(), any_path),
        }
    }

    pub(super) fn accounts(&self) -> Accounts {
        Accounts {
            hash_at_once: NonZeroUsize::new(self.hash_at_once.value),
            forbidden_words: self.forbidden_words.iter().map(|word| word.value.clone()).collect(),
            initial_password: Duration::from_secs(self.initial_password_hours.value * 3_600),
            session_absolute: Duration::from_secs(self.session_absolute_seconds.value),
            session_idle: Duration::from_secs(self.session_idle_seconds.value),
        }
    }

    pub(super) fn setup(&self, base: &Path) -> Setup {
        let operator = file(base, &self.password_file).map(|password_file| Operator {
            email: self.email.value.clone(),
            display_name: self.display_name.value.clone(),
            password_file,
        });
        let operator = operator.filter(|operator| !operator.email.is_empty());
        Setup { secret_file: file(base, &self.secret_file), operator }
    }

    pub(super) fn check(&self, base: &Path, faults: &mut Vec<Fault>) {
        let named = |path: &Setting<PathBuf>| !path.value.as_os_str().is_empty();
        for (setting, key, section) in [
            (&self.secret_file, "secret_file", "setup"),
            (&self.password_file, "password_file", "setup.operator"),
        ] {
            if let Some(span) = setting.span().filter(|_| named(setting)) {
                let path = base.join(&setting.value);
                if let Err(error) = File::open(&path) {
                    faults.push(unusable(key, section, &path, &error.to_string(), Some(span)));
                }
            }
        }
        let (email, password) = (!self.email.value.is_empty(), named(&self.password_file));
        let span = self.email.span().or_else(|| self.password_file.span());
        if let Some(span) = span.filter(|_| email != password && self.email.is_sound()) {
            faults.push(fault(
                "`email` and `password_file` in [setup.operator] belong together",
                "alone",
                "name both, or neither: then the first platform admin is made on /platform/setup or by `drawbridge setup`",
                span,
            ));
        }
    }
}

fn word(text: &str) -> Result<String, Complaint> {
    if text.chars().count() < 4 {
        return Err(Complaint::new("shorter than four characters: it would hit by chance"));
    }
    Ok(text.to_owned())
}

fn email(text: &str) -> Result<String, Complaint> {
    if text.is_empty() || is_email(text) {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new("no e-mail address"))
    }
}

fn name(text: &str) -> Result<String, Complaint> {
    if visible_length(text) <= 200 && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Complaint::new("wanted is a name of at most 200 characters"))
}
