//! The right edge of a log as it was at an earlier size, from the tiles that are kept.

use crate::audit::leaves::{Head, signed};
use crate::audit::tree::{Edge, Hash, TILE_HEIGHT, parse_hash};
use crate::store::{StoreError, Tx};

/// The edge of the log of `head` when it had `size` leaves. Reads at most 255 hashes of each level of tiles.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Corrupt`] when hashes are missing.
pub async fn edge_at(tx: &mut Tx, head: &Head, size: u64) -> Result<Edge, StoreError> {
    if size == head.edge.size() {
        return Ok(head.edge.clone());
    }
    let levels = (u64::BITS - size.leading_zeros()).div_ceil(u32::from(TILE_HEIGHT));
    let mut roots: Vec<Hash> = Vec::new();
    for level in (0..levels).rev() {
        // The hashes of this level that no full tile of the next level covers.
        let to = size >> (level * u32::from(TILE_HEIGHT));
        let from = to >> TILE_HEIGHT << TILE_HEIGHT;
        let hashes = hashes(tx, head, level, from, to).await?;
        let mut edge = Edge::empty();
        for hash in &hashes {
            edge.push(*hash, |_| {});
        }
        roots.extend(edge.roots());
    }
    Edge::new(size, roots).ok_or_else(|| StoreError::Corrupt(format!("the edge of `{}` at {size}", head.log)))
}

async fn hashes(tx: &mut Tx, head: &Head, level: u32, from: u64, to: u64) -> Result<Vec<Hash>, StoreError> {
    let (id, from, to) = (head.id, signed(from), signed(to));
    let rows = if level == 0 {
        let text = "SELECT hash FROM audit_leaf WHERE log = $1 AND idx >= $2 AND idx < $3 ORDER BY idx";
        tx.rows(text, &[id.into(), from.into(), to.into()]).await?
    } else {
        let text = "SELECT hash FROM audit_node WHERE log = $1 AND level = $4 AND idx >= $2 AND idx < $3 ORDER BY idx";
        tx.rows(text, &[id.into(), from.into(), to.into(), i64::from(level).into()]).await?
    };
    let corrupt =
        || StoreError::Corrupt(format!("hashes of `{}` at level {level} from {from} to {to}", head.log));
    if i64::try_from(rows.len()) != Ok(to - from) {
        return Err(corrupt());
    }
    rows.iter().map(|row| parse_hash(row.text(0)?).ok_or_else(corrupt)).collect()
}
