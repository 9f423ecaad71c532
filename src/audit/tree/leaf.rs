//! What is hashed.
//!
//! A leaf's data are the entry's line, a line feed, and the bond: the SHA-256 of the line that tells the same in
//! the other log (nothing, when the entry is in one log only). So each log is bound to the other without a cycle.
//! The platform's line holds 128 random bits (`salt`), so the bond in an org's log tells nothing of its content to
//! somebody who guesses it.

use aws_lc_rs::digest::{SHA256, digest};
use tlog_tiles::{Hash, record_hash};

/// The bond to `other`, the line of the same entry in the other log: its SHA-256.
#[must_use]
pub fn bond(other: &str) -> Hash {
    let mut hash = Hash([0; 32]);
    for (to, from) in hash.0.iter_mut().zip(digest(&SHA256, other.as_bytes()).as_ref()) {
        *to = *from;
    }
    hash
}

/// The hash of a leaf (RFC 6962, §2.1): SHA-256 of 0x00, the line, 0x0A, and the 32 bytes of the bond, if any.
#[must_use]
pub fn leaf_hash(line: &str, bond: Option<&Hash>) -> Hash {
    let mut data = Vec::with_capacity(line.len() + 33);
    data.extend_from_slice(line.as_bytes());
    data.push(b'\n');
    data.extend_from_slice(bond.map_or(&[][..], |bond| &bond.0));
    record_hash(&data)
}

/// A hash from its standard base64; `None` unless it is exactly that.
#[must_use]
pub fn parse_hash(text: &str) -> Option<Hash> {
    Hash::parse_hash(text).ok().filter(|hash| hash.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_commits_to_both_lines() {
        let alone = leaf_hash("{}", None);
        let bound = leaf_hash("{}", Some(&bond("{\"salt\":1}")));
        assert_ne!(alone, bound);
        assert_ne!(bound, leaf_hash("{}", Some(&bond("{\"salt\":2}"))));
        assert_ne!(bound, leaf_hash("{ }", Some(&bond("{\"salt\":1}"))));
        let mut data = b"\0{}\n".to_vec();
        data.extend(digest(&SHA256, b"{\"salt\":1}").as_ref());
        assert_eq!(bound.0[..], *digest(&SHA256, &data).as_ref());
    }

    #[test]
    fn a_hash_has_one_spelling() {
        let text = leaf_hash("{}", None).to_string();
        assert_eq!(parse_hash(&text).unwrap().to_string(), text);
        assert!(parse_hash(text.trim_end_matches('=')).is_none());
        assert!(parse_hash("").is_none());
    }
}
