mod files;
mod http;
mod rules;

use super::*;
use crate::audit::tree::{Edge, LogKey, LogName};
use crate::domain::ShiftedClock;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::Sha256;

/// The installation's key.
fn key() -> LogKey {
    LogKey::new("drawbridge-test", &[7; 32]).unwrap()
}

fn trust() -> Trust {
    Trust::of(&key().verifier(&LogName::Platform)).unwrap()
}

fn acme() -> LogName {
    LogName::parse("org_acme").unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ShiftedClock(0))
}

fn notary(folder: &Path) -> Notary {
    Notary::open(&folder.join("witness"), trust(), clock()).unwrap()
}

/// A history: the leaves from the first one on.
type Leaves = Vec<u32>;

/// The root after these leaves.
fn root(leaves: &[u32]) -> Hash {
    let mut edge = Edge::empty();
    for leaf in leaves {
        edge.push(tlog_tiles::record_hash(&leaf.to_be_bytes()), |_| {});
    }
    edge.root()
}

/// A checkpoint of `log` over `leaves`.
fn checkpoint(log: &LogName, leaves: &[u32]) -> String {
    key().sign(log, leaves.len() as u64, root(leaves), 1_795_000_000_123, 0).unwrap()
}

/// That `leaves` begin with their first `old`, proved by another implementation.
fn proof(leaves: &[u32], old: u64) -> Vec<Hash> {
    let old = usize::try_from(old).unwrap();
    if old == 0 || old >= leaves.len() {
        return Vec::new();
    }
    let mut tree: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
    for leaf in leaves {
        tree.push(leaf.to_be_bytes().to_vec());
    }
    let proof = tree.prove_consistency(leaves.len() - old);
    proof.as_bytes().chunks(32).map(|hash| Hash(hash.try_into().unwrap())).collect()
}

/// What a log with these leaves asks a witness that knows `old` of them.
fn request(log: &LogName, leaves: &[u32], old: u64) -> Request {
    Request { old, proof: proof(leaves, old), note: checkpoint(log, leaves) }
}
