//! Proofs that have been checked before, by the full SHA-256 of the credential: an Ed25519
//! verification costs a hundred microseconds, a look-up here less than one.
//!
//! What is kept is only which session a credential names, which never changes; never whether it is live.

use crate::domain::Millis;
use crate::domain::ids::Subject;
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::RwLock;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// At most this many are kept; then all are proved anew.
const MAX: usize = 200_000;

/// SHA-256 of a presented credential.
pub(super) type CredentialHash = [u8; 32];

/// What a credential proves.
#[derive(Debug, Clone)]
pub(super) struct Proof {
    pub(super) session: Subject,
    pub(super) token_expires_at: Millis,
}

/// A read-write lock: the hot path only reads.
#[derive(Default)]
pub(super) struct Credentials {
    proofs: RwLock<HashMap<CredentialHash, Proof, BuildHasherDefault<Prefix>>>,
    /// How often all were forgotten: a proof that was under way meanwhile isn't kept.
    forgotten: AtomicU64,
}

/// Takes eight bytes of a digest as they are: SHA-256 has hashed them already. Whoever wants many of *kept*
/// credentials in one bucket would have to find partial collisions among credentials that we issued.
#[derive(Default)]
struct Prefix(u64);

impl Hasher for Prefix {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            self.0 = u64::from_le_bytes(*first);
        }
    }
    /// The length, which is the same for all.
    fn write_usize(&mut self, _: usize) {}
    fn finish(&self) -> u64 {
        self.0
    }
}

pub(super) fn hash(credential: &[u8]) -> CredentialHash {
    let mut out = CredentialHash::default();
    out.copy_from_slice(digest(&SHA256, credential).as_ref());
    out
}

impl Credentials {
    pub(super) fn get(&self, hash: &CredentialHash) -> Option<Proof> {
        self.proofs.read().get(hash).cloned()
    }

    /// Where proofs that begin now belong to.
    pub(super) fn round(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// Forgets all of them.
    pub(super) fn forget(&self) {
        let mut proofs = self.proofs.write();
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        proofs.clear();
    }

    /// Keeps a proof that began in `round`.
    pub(super) fn keep(&self, hash: CredentialHash, proof: Proof, round: u64) {
        let mut proofs = self.proofs.write();
        if self.round() != round {
            return;
        }
        if proofs.len() >= MAX {
            proofs.clear();
        }
        proofs.insert(hash, proof);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_that_begin_alike_are_told_apart() {
        let proof = |at| Proof { session: Subject::from_stored("ses_1"), token_expires_at: at };
        let credentials = Credentials::default();
        let (one, mut other) = (hash(b"a credential"), hash(b"a credential"));
        other[31] ^= 1;
        credentials.keep(one, proof(1), 0);
        assert!(credentials.get(&other).is_none());
        credentials.keep(other, proof(2), 0);
        let times = [one, other].map(|hash| credentials.get(&hash).map(|p| p.token_expires_at));
        assert_eq!(times, [Some(1), Some(2)]);
    }

    #[test]
    fn what_was_proved_while_all_were_forgotten_is_not_kept() {
        let proof = || Proof { session: Subject::from_stored("ses_1"), token_expires_at: 1 };
        let credentials = Credentials::default();
        let (hash, round) = (hash(b"a credential"), credentials.round());
        credentials.keep(hash, proof(), round);
        credentials.forget();
        assert!(credentials.get(&hash).is_none());
        credentials.keep(hash, proof(), round);
        assert!(credentials.get(&hash).is_none());
    }
}
