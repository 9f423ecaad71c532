//! Proofs that have been checked before, by the full SHA-256 of the credential: an Ed25519
//! verification costs a hundred microseconds, a look-up here less than one.
//!
//! What is kept is only which session a credential names, which never changes; never whether it is live.

use crate::domain::Millis;
use crate::domain::ids::Subject;
use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::RwLock;
use std::collections::HashMap;

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
    proofs: RwLock<HashMap<CredentialHash, Proof>>,
}

pub(super) fn hash(credential: &str) -> CredentialHash {
    let mut out = CredentialHash::default();
    out.copy_from_slice(digest(&SHA256, credential.as_bytes()).as_ref());
    out
}

impl Credentials {
    pub(super) fn get(&self, hash: &CredentialHash) -> Option<Proof> {
        self.proofs.read().get(hash).cloned()
    }

    pub(super) fn keep(&self, hash: CredentialHash, proof: Proof) {
        let mut proofs = self.proofs.write();
        if proofs.len() >= MAX {
            proofs.clear();
        }
        proofs.insert(hash, proof);
    }
}
