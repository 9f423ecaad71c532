//! Bounded and fair: nobody takes more of a bound than what is still free, so that there is always room for a
//! newcomer, and everybody is served in turn (dynamic thresholds, Choudhury and Hahne 1998).

use crate::domain::ids::Subject;
use std::collections::{HashMap, VecDeque};

/// A queue that serves its keys in turn.
pub(super) struct Fair<T> {
    by_key: HashMap<Subject, VecDeque<T>>,
    /// Keys that have something waiting, next first.
    turn: VecDeque<Subject>,
    len: usize,
    capacity: usize,
}

impl<T> Fair<T> {
    pub(super) fn bounded(capacity: usize) -> Self {
        Self { by_key: HashMap::new(), turn: VecDeque::new(), len: 0, capacity }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Puts `item` behind the others of `key`; gives it back when `key` has its share already.
    pub(super) fn push(&mut self, key: Subject, item: T) -> Result<(), T> {
        let held = self.by_key.get(&key).map_or(0, VecDeque::len);
        if held >= self.capacity - self.len {
            return Err(item);
        }
        if held == 0 {
            self.turn.push_back(key.clone());
        }
        self.by_key.entry(key).or_default().push_back(item);
        self.len += 1;
        Ok(())
    }

    /// The next item: one of each key in turn.
    pub(super) fn pop(&mut self) -> Option<T> {
        let key = self.turn.pop_front()?;
        let waiting = self.by_key.get_mut(&key)?;
        let item = waiting.pop_front()?;
        self.len -= 1;
        if waiting.is_empty() {
            self.by_key.remove(&key);
        } else {
            self.turn.push_back(key);
        }
        Some(item)
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        *self = Self::bounded(self.capacity);
    }
}

/// Permits, shared out in the same way.
pub(super) struct Shares {
    by_key: HashMap<Subject, usize>,
    taken: usize,
    capacity: usize,
}

impl Shares {
    pub(super) fn bounded(capacity: usize) -> Self {
        Self { by_key: HashMap::new(), taken: 0, capacity }
    }

    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    /// Takes one for `key`; false when it has its share already.
    pub(super) fn take(&mut self, key: &Subject) -> bool {
        let held = self.by_key.get(key).copied().unwrap_or(0);
        if held >= self.capacity - self.taken {
            return false;
        }
        self.by_key.insert(key.clone(), held + 1);
        self.taken += 1;
        true
    }

    /// Gives one back.
    pub(super) fn give_back(&mut self, key: &Subject) {
        if let Some(held) = self.by_key.get_mut(key) {
            *held -= 1;
            self.taken -= 1;
            if *held == 0 {
                self.by_key.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> Subject {
        Subject::from_stored(&format!("imp_{n}"))
    }

    #[test]
    fn a_flood_leaves_room_and_waits_its_turn() {
        let mut queue = Fair::bounded(100);
        let flooded = (0..1_000).take_while(|i| queue.push(key(1), *i).is_ok()).count();
        assert_eq!(flooded, 50);
        for other in 2..6 {
            queue.push(key(other), -i32::from(other)).unwrap();
        }
        let first: Vec<i32> = (0..5).map(|_| queue.pop().unwrap()).collect();
        assert_eq!(first, [0, -2, -3, -4, -5], "newcomers wait for one of the flood");
    }

    proptest! {
        /// Whatever is pushed and popped, nothing is lost or doubled, each key keeps its order, the bound holds,
        /// and a key that has nothing is let in as long as there is room.
        #[test]
        fn keeps_everything_in_order(steps in prop::collection::vec((any::<bool>(), 0_u8..5), 0..300)) {
            let mut queue = Fair::bounded(16);
            let mut model: HashMap<u8, VecDeque<usize>> = HashMap::new();
            for (i, (push, k)) in steps.into_iter().enumerate() {
                let total: usize = model.values().map(VecDeque::len).sum();
                if push {
                    let mine = model.entry(k).or_default();
                    let taken = queue.push(key(k), (k, i)).is_ok();
                    prop_assert_eq!(taken, mine.len() < 16 - total);
                    if taken {
                        mine.push_back(i);
                    }
                } else {
                    match queue.pop() {
                        Some((k, i)) => prop_assert_eq!(model.get_mut(&k).unwrap().pop_front(), Some(i)),
                        None => prop_assert_eq!(total, 0),
                    }
                }
                prop_assert_eq!(queue.len(), model.values().map(VecDeque::len).sum::<usize>());
            }
        }

        #[test]
        fn shares_add_up(steps in prop::collection::vec((any::<bool>(), 0_u8..4), 0..200)) {
            let mut shares = Shares::bounded(8);
            let mut model: HashMap<u8, usize> = HashMap::new();
            for (take, k) in steps {
                let (held, total) = (model.get(&k).copied().unwrap_or(0), model.values().sum::<usize>());
                if take {
                    let taken = shares.take(&key(k));
                    prop_assert_eq!(taken, held < 8 - total, "{} held of {}", held, total);
                    *model.entry(k).or_default() += usize::from(taken);
                } else if model.get(&k).is_some_and(|n| *n > 0) {
                    shares.give_back(&key(k));
                    *model.get_mut(&k).unwrap() -= 1;
                }
                prop_assert_eq!(shares.taken(), model.values().sum::<usize>());
            }
        }
    }
}
