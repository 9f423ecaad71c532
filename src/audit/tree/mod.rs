//! Each log is a Merkle tree over its entries (RFC 6962, §2.1): what a leaf is, how a tree grows, what is signed,
//! what proves that an entry is in it and that it only grew.
//!
//! No I/O but [`proofs`], which reads the tiles that a proof needs. Hashing is `tlog_tiles`' and signing
//! `signed_note`'s; the formats are those of C2SP: [tlog-checkpoint](https://c2sp.org/tlog-checkpoint),
//! [signed-note](https://c2sp.org/signed-note), [tlog-proof](https://c2sp.org/tlog-proof).

mod checkpoint;
mod edge;
mod leaf;
mod proofs;

pub use checkpoint::{Checkpoint, CheckpointError, LogKey, LogName, VerifierKey};
pub use edge::{Edge, Node, TILE_HEIGHT};
pub use leaf::{bond, leaf_hash, parse_hash};
pub use proofs::{ProofError, consistency, inclusion, tlog_proof};
pub use tlog_tiles::Hash;
