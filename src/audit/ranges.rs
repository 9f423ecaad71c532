//! Sets of positions as text: `3-9,12`.

use std::fmt;

/// Positions in ascending order, as inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(i64, i64)>);

impl Ranges {
    /// From text; `None` when it isn't one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut ranges = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) = (from.parse().ok()?, to.parse().ok()?);
            if from > to || ranges.last().is_some_and(|(_, last)| *last >= from) {
                return None;
            }
            ranges.push((from, to));
        }
        Some(Self(ranges))
    }

    /// How many positions.
    pub(super) fn len(&self) -> usize {
        self.0.iter().map(|(from, to)| usize::try_from(to - from + 1).unwrap_or(usize::MAX)).sum()
    }

    /// First and last of each range.
    pub(super) fn iter(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.iter().copied()
    }
}

impl FromIterator<i64> for Ranges {
    fn from_iter<I: IntoIterator<Item = i64>>(positions: I) -> Self {
        let mut all: Vec<i64> = positions.into_iter().collect();
        all.sort_unstable();
        let mut ranges: Vec<(i64, i64)> = Vec::new();
        for n in all {
            match ranges.last_mut() {
                Some((_, last)) if *last >= n - 1 => *last = n,
                _ => ranges.push((n, n)),
            }
        }
        Self(ranges)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (from, to)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if from == to {
                write!(f, "{comma}{from}")?;
            } else {
                write!(f, "{comma}{from}-{to}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_comes_back(set in prop::collection::btree_set(1_i64..200, 0..60)) {
            let ranges: Ranges = set.iter().rev().copied().collect();
            let back = Ranges::parse(&ranges.to_string()).unwrap();
            prop_assert_eq!(&back, &ranges);
            let all: BTreeSet<i64> = back.iter().flat_map(|(from, to)| from..=to).collect();
            prop_assert_eq!(back.len(), all.len());
            prop_assert_eq!(all, set);
        }
    }

    #[test]
    fn neighbours_become_ranges() {
        let ranges: Ranges = [3, 1, 2, 9].into_iter().collect();
        assert_eq!(ranges.to_string(), "1-3,9");
        for wrong in ["3-1", "1-3,2", "x", "1-", "-"] {
            assert!(Ranges::parse(wrong).is_none(), "{wrong}");
        }
    }
}
