//! Backup codes: what gets one in when the authenticator is lost, once each.

use super::base32;
use crate::domain::Secret;
use aws_lc_rs::digest::{SHA256, digest};

/// How many there are.
pub const BACKUP_CODES: usize = 8;
/// Random bytes of one: 120 bits, so that a plain hash keeps it (ASVS 6.5.2 asks for a slow one below 112).
const BYTES: usize = 15;
/// Letters of one.
const LETTERS: usize = 24;

/// One code: 24 letters in groups of four, `abcd-efgh-…`.
#[derive(Debug, Clone)]
pub struct BackupCode(Secret);

impl BackupCode {
    /// A new one; `None` when the system gives no random bytes.
    #[must_use]
    pub fn generate() -> Option<Self> {
        let mut bytes = [0_u8; BYTES];
        aws_lc_rs::rand::fill(&mut bytes).ok()?;
        Some(Self(Secret::new(base32::encode(&bytes).to_lowercase())))
    }

    /// A whole set.
    #[must_use]
    pub fn generate_all() -> Option<Vec<Self>> {
        (0..BACKUP_CODES).map(|_| Self::generate()).collect()
    }

    /// Reads what somebody typed, in any case, with or without hyphens and blanks; `None` when it can't be one.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let letters: String = typed
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_lowercase())
            .take(LETTERS + 1)
            .collect();
        let ours = letters.len() == LETTERS
            && letters.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
        ours.then(|| Self(Secret::new(letters)))
    }

    /// What is stored: SHA-256 in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(digest(&SHA256, self.0.expose().as_bytes()))
    }

    /// As it is shown, once.
    #[must_use]
    pub fn shown(&self) -> Secret {
        let mut text = String::with_capacity(LETTERS + LETTERS / 4);
        for (n, c) in self.0.expose().chars().enumerate() {
            if n > 0 && n % 4 == 0 {
                text.push('-');
            }
            text.push(c);
        }
        Secret::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn s_14_eight_that_differ_and_are_read_as_they_are_shown() {
        let codes = BackupCode::generate_all().unwrap();
        let shown: BTreeSet<String> = codes.iter().map(|code| code.shown().expose().to_owned()).collect();
        assert_eq!(shown.len(), BACKUP_CODES);
        for code in &codes {
            let shown = code.shown();
            assert_eq!(shown.expose().len(), 29);
            for typed in
                [shown.expose().to_owned(), shown.expose().to_uppercase(), shown.expose().replace('-', " ")]
            {
                assert_eq!(BackupCode::parse(&typed).unwrap().hash(), code.hash(), "{typed}");
            }
        }
    }

    #[test]
    fn what_cannot_be_one() {
        let long = "a".repeat(25);
        for other in ["", "123456", "abcd-efgh", "abcd-efgh-ijkl-mnop-qrst-uvw0", long.as_str()] {
            assert!(BackupCode::parse(other).is_none(), "{other}");
        }
    }
}
