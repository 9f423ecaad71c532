//! The right edge of a tree: the roots of the complete subtrees that it is made of, which is all that is needed to
//! let it grow and to know its root.

use tlog_tiles::{Error, Hash, HashReader, stored_hashes_for_record_hash, tree_hash};

/// Levels of hashes in one tile: tiles are 256 hashes wide ([tlog-tiles](https://c2sp.org/tlog-tiles)).
pub const TILE_HEIGHT: u8 = 8;

/// The root of a full tile, which is a hash in the tile above it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Node {
    /// Level of the tile that the hash stands in: 1 for the roots of 256 leaves, 2 for those of 65,536, …
    pub level: u8,
    /// Which of that level, from 0.
    pub index: u64,
    /// The hash.
    pub hash: Hash,
}

/// The right edge of a tree of a given size.
#[derive(Debug, Clone, PartialEq)]
pub struct Edge {
    size: u64,
    /// Roots of the complete subtrees, greatest (leftmost) first: as many as `size` has ones in binary.
    roots: Vec<Hash>,
}

impl Default for Edge {
    fn default() -> Self {
        Self::empty()
    }
}

impl Edge {
    /// The tree without leaves.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// The edge with these roots; `None` unless there are as many as a tree of this size has.
    #[must_use]
    pub fn new(size: u64, roots: Vec<Hash>) -> Option<Self> {
        (roots.len() == size.count_ones() as usize).then_some(Self { size, roots })
    }

    /// From its text ([`Edge::roots_text`]).
    #[must_use]
    pub fn parse(size: u64, roots: &str) -> Option<Self> {
        let roots: Option<Vec<Hash>> = roots.split_whitespace().map(super::parse_hash).collect();
        Self::new(size, roots?)
    }

    /// Leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, greatest first.
    #[must_use]
    pub fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// The roots in base64 with spaces between them.
    #[must_use]
    pub fn roots_text(&self) -> String {
        let texts: Vec<String> = self.roots.iter().map(Hash::to_string).collect();
        texts.join(" ")
    }

    /// Adds a leaf; the tiles that it fills, lowest first, are given to `filled`.
    pub fn push(&mut self, leaf: Hash, mut filled: impl FnMut(Node)) {
        let Ok(hashes) = stored_hashes_for_record_hash(self.size, leaf, &Last(&self.roots)) else { return };
        for (level, hash) in (0_u8..).zip(&hashes) {
            if level > 0 && level.is_multiple_of(TILE_HEIGHT) {
                filled(Node { level: level / TILE_HEIGHT, index: self.size >> level, hash: *hash });
            }
        }
        // The subtrees that the leaf completes are now one.
        let merged = hashes.len() - 1;
        self.roots.truncate(self.roots.len() - merged);
        self.roots.extend(hashes.last());
        self.size += 1;
    }

    /// The root of the tree (RFC 6962, §2.1); of the empty tree, the SHA-256 of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        tree_hash(self.size, &Last(&self.roots)).unwrap_or(tlog_tiles::EMPTY_HASH)
    }
}

/// The roots of an edge as the library asks for them: a growing tree wants those that the new leaf completes, which
/// are the last ones, and the root of the tree wants all, both greatest first.
struct Last<'a>(&'a [Hash]);

impl HashReader for Last<'_> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<Hash>, Error> {
        let from = self.0.len().checked_sub(indexes.len()).ok_or(Error::IndexesNotInTree)?;
        Ok(self.0.iter().skip(from).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ct_merkle::mem_backed_tree::MemoryBackedTree;
    use proptest::prelude::*;
    use sha2::Sha256;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The same roots as another implementation, after every leaf, also when the edge was written out and read.
        #[test]
        fn roots_are_those_of_rfc_6962(leaves in prop::collection::vec("[ -~]{0,8}", 0..600)) {
            let mut other: MemoryBackedTree<Sha256, Vec<u8>> = MemoryBackedTree::new();
            let mut edge = Edge::empty();
            for leaf in &leaves {
                other.push(leaf.as_bytes().to_vec());
                edge.push(tlog_tiles::record_hash(leaf.as_bytes()), |_| {});
                edge = Edge::parse(edge.size(), &edge.roots_text()).unwrap();
                prop_assert_eq!(edge.root().0[..].to_vec(), other.root().as_bytes().to_vec());
            }
        }
    }

    #[test]
    fn full_tiles_are_told_once_lowest_first() {
        let (mut edge, mut told) = (Edge::empty(), Vec::new());
        for n in 0_u32..65_536 + 300 {
            edge.push(tlog_tiles::record_hash(&n.to_be_bytes()), |node| told.push((node.level, node.index)));
        }
        let mut expected: Vec<(u8, u64)> = (0..256).map(|i| (1, i)).collect();
        expected.extend([(2, 0), (1, 256)]);
        assert_eq!(told, expected);
    }

    #[test]
    fn an_edge_has_as_many_roots_as_its_size_has_ones() {
        assert!(Edge::new(5, Vec::new()).is_none());
        assert!(Edge::parse(1, "x").is_none());
        assert_eq!(Edge::parse(0, "").unwrap(), Edge::empty());
    }
}
