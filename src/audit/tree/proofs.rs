//! Proofs out of the stored tiles: that a leaf is in a tree, and that a tree grew out of a smaller one.
//!
//! The tiles are checked against the signed root before anything is taken from them, so a damaged table gives an
//! error and not a false proof.

use crate::audit::leaves::{Head, signed};
use crate::audit::tree::{Checkpoint, CheckpointError, TILE_HEIGHT, parse_hash};
use crate::store::{StoreError, Tx};
use std::cell::RefCell;
use std::collections::HashMap;
use tlog_tiles::{Error, Hash, Tile, TileHashReader, TileReader, prove_record, prove_tree};

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The tiles can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Asked for what the tree hasn't.
    #[error("the checkpoint is of {size} entries")]
    Beyond {
        /// Of the checkpoint.
        size: u64,
    },
    /// The entry has expired; its hash is in the tree still.
    #[error("the entry has expired")]
    Expired,
    /// What is stored isn't what was signed.
    #[error("the stored tree is not the one that was signed ({0})")]
    Damaged(String),
}

impl From<CheckpointError> for ProofError {
    fn from(error: CheckpointError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// The audit path of the leaf `index` in the tree of `checkpoint` (RFC 6962, §2.1.1).
///
/// # Errors
/// [`ProofError`].
pub async fn inclusion(
    tx: &mut Tx,
    head: &Head,
    checkpoint: &Checkpoint,
    index: u64,
) -> Result<Vec<Hash>, ProofError> {
    let size = checkpoint.size;
    if index >= size {
        return Err(ProofError::Beyond { size });
    }
    prove(tx, head, checkpoint, |reader| prove_record(size, index, reader)).await
}

/// The proof that the tree of `checkpoint` grew out of the one of `from` leaves (RFC 6962, §2.1.2); empty when they
/// are the same or that one is empty.
///
/// # Errors
/// [`ProofError`].
pub async fn consistency(
    tx: &mut Tx,
    head: &Head,
    checkpoint: &Checkpoint,
    from: u64,
) -> Result<Vec<Hash>, ProofError> {
    let size = checkpoint.size;
    if from > size {
        return Err(ProofError::Beyond { size });
    }
    if from == 0 || from == size {
        return Ok(Vec::new());
    }
    prove(tx, head, checkpoint, |reader| prove_tree(size, from, reader)).await
}

/// Asks `of` twice: first to learn which tiles it needs, then with them.
async fn prove(
    tx: &mut Tx,
    head: &Head,
    checkpoint: &Checkpoint,
    of: impl Fn(&TileHashReader<'_>) -> Result<Vec<Hash>, Error> + Send + Sync,
) -> Result<Vec<Hash>, ProofError> {
    let mut known = HashMap::new();
    for tile in wanted(checkpoint, &of) {
        let data = read(tx, head, &tile).await?;
        known.insert(tile, data);
    }
    let tiles = Tiles { known, ..Tiles::default() };
    let reader = TileHashReader::new(checkpoint.size, checkpoint.root, &tiles);
    of(&reader).map_err(|error| ProofError::Damaged(error.to_string()))
}

/// The tiles that a proof needs.
fn wanted(
    checkpoint: &Checkpoint,
    of: impl Fn(&TileHashReader<'_>) -> Result<Vec<Hash>, Error>,
) -> Vec<Tile> {
    let none = Tiles::default();
    // Without tiles this can only fail, but for proofs that need none.
    drop(of(&TileHashReader::new(checkpoint.size, checkpoint.root, &none)));
    none.wanted.take()
}

/// Tiles that were read, and those that were asked for in vain.
#[derive(Default)]
struct Tiles {
    known: HashMap<Tile, Vec<u8>>,
    wanted: RefCell<Vec<Tile>>,
}

impl TileReader for Tiles {
    fn height(&self) -> u8 {
        TILE_HEIGHT
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let found: Option<Vec<Vec<u8>>> = tiles.iter().map(|tile| self.known.get(tile).cloned()).collect();
        found.ok_or_else(|| {
            self.wanted.borrow_mut().extend_from_slice(tiles);
            Error::InvalidTile
        })
    }

    fn save_tiles(&self, _: &[Tile], _: &[Vec<u8>]) {}
}

async fn read(tx: &mut Tx, head: &Head, tile: &Tile) -> Result<Vec<u8>, StoreError> {
    let from = signed(tile.level_index() << TILE_HEIGHT);
    let until = from + i64::from(tile.width());
    let rows = if tile.level() == 0 {
        let text = "SELECT hash FROM audit_leaf WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
        tx.rows(text, &[head.id.into(), from.into(), until.into()]).await?
    } else {
        let text = "SELECT hash FROM audit_node WHERE log = $1 AND level = $4 AND idx >= $2 AND idx < $3 ORDER BY idx";
        let args = [head.id.into(), from.into(), until.into(), i64::from(tile.level()).into()];
        tx.rows(text, &args).await?
    };
    let mut data = Vec::with_capacity(rows.len() * tlog_tiles::HASH_SIZE);
    for row in &rows {
        let hash = parse_hash(row.text(0)?)
            .ok_or_else(|| StoreError::Corrupt("a hash of the audit log".to_owned()))?;
        data.extend_from_slice(&hash.0);
    }
    Ok(data)
}

/// An inclusion proof that can be checked by itself (C2SP tlog-proof): `extra` holds the leaf's data, that is the
/// line, 0x0A and the bond.
#[must_use]
pub fn tlog_proof(line: &str, bond: Option<&Hash>, index: u64, path: &[Hash], checkpoint: &str) -> String {
    use base64::Engine as _;
    let mut extra = line.as_bytes().to_vec();
    extra.push(b'\n');
    extra.extend_from_slice(bond.map_or(&[][..], |bond| &bond.0));
    let extra = base64::engine::general_purpose::STANDARD.encode(extra);
    let mut text = format!("c2sp.org/tlog-proof@v1\nextra {extra}\nindex {index}\n");
    for hash in path {
        text.push_str(&format!("{hash}\n"));
    }
    text.push('\n');
    text.push_str(checkpoint);
    text
}
