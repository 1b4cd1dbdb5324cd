//! Puts things in the order of their ranks, which are all different.

/// Between how many ranks for each thing a table of all ranks is still the fastest way to sort.
const SPARSE: usize = 8;

/// So many places, for each thing, it may be moved in all before another way of sorting is the better one.
const NEARLY: usize = 16;

/// The numbers of the things, by rank. O(n) where they come nearly by rank, as things that happen one after the other do,
/// or where most ranks are there; O(n log n) where they are few among many (one key of a thousand).
///
/// Ranks are distinct: each event has its own.
pub(crate) fn by_rank(ranked: impl Iterator<Item = (u32, u32)>) -> Vec<u32> {
    let mut sorted = ByRank::with_capacity(ranked.size_hint().1.unwrap_or(0));
    ranked.for_each(|(rank, thing)| sorted.push(rank, thing));
    sorted.finish()
}

/// [`by_rank`] of things that come one by one.
#[derive(Debug)]
pub(crate) struct ByRank {
    /// Ranks, and things in the lower half; sorted, as long as that takes few moves.
    pairs: Vec<u64>,
    highest: u64,
    moved: usize,
    /// Whether it took too many.
    given_up: bool,
}

impl ByRank {
    /// For about so many.
    pub(crate) fn with_capacity(things: usize) -> ByRank {
        ByRank { pairs: Vec::with_capacity(things), highest: 0, moved: 0, given_up: false }
    }

    /// One more: it goes where it belongs among those before, which is near their end.
    #[inline]
    pub(crate) fn push(&mut self, rank: u32, thing: u32) {
        let pair = u64::from(rank) << 32 | u64::from(thing);
        self.pairs.push(pair);
        if pair >= self.highest {
            self.highest = pair;
        } else if !self.given_up {
            self.put_back(pair);
        }
    }

    fn put_back(&mut self, pair: u64) {
        let mut at = self.pairs.len() - 1;
        while at > 0 && self.pairs[at - 1] > pair {
            self.pairs[at] = self.pairs[at - 1];
            at -= 1;
        }
        self.pairs[at] = pair;
        self.moved += self.pairs.len() - 1 - at;
        self.given_up = self.moved > NEARLY * self.pairs.len() + 1024;
    }

    /// The things by rank.
    pub(crate) fn finish(self) -> Vec<u32> {
        if !self.given_up {
            return self.pairs.into_iter().map(|pair| pair as u32).collect();
        }
        by_table(self.pairs.iter().map(|pair| ((pair >> 32) as u32, *pair as u32)))
    }
}

/// The same, however they come.
fn by_table(ranked: impl Iterator<Item = (u32, u32)> + Clone) -> Vec<u32> {
    let (mut count, mut lowest, mut highest) = (0usize, u32::MAX, 0);
    for (rank, _) in ranked.clone() {
        count += 1;
        lowest = lowest.min(rank);
        highest = highest.max(rank);
    }
    if count == 0 {
        return Vec::new();
    }
    let range = (highest - lowest) as usize + 1;
    if range > SPARSE * count {
        let mut pairs: Vec<(u32, u32)> = ranked.collect();
        pairs.sort_unstable();
        return pairs.into_iter().map(|(_, thing)| thing).collect();
    }
    const NOBODY: u32 = u32::MAX;
    let mut slots = vec![NOBODY; range];
    for (rank, thing) in ranked {
        debug_assert_eq!(slots[(rank - lowest) as usize], NOBODY, "two events of one rank");
        slots[(rank - lowest) as usize] = thing;
    }
    slots.retain(|&thing| thing != NOBODY);
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn dense_and_sparse_ranks_are_put_in_the_same_order() {
        let mut rng = Rng(3);
        for step in [1, 2, 50] {
            let mut ranks: Vec<u32> = (0..100).map(|i| 7 + i * step).collect();
            for i in 0..100 {
                ranks.swap(i, rng.below(100));
            }
            let ranked = ranks.iter().zip(0..).map(|(&rank, i)| (rank, i));
            let order = by_rank(ranked.clone());
            assert_eq!(order.len(), 100);
            assert!(order.windows(2).all(|w| ranks[w[0] as usize] < ranks[w[1] as usize]));
            assert_eq!(order, by_table(ranked));
        }
        // Far from their places, so that it turns to the table.
        let backwards = (0..5_000u32).map(|i| (5_000 - i, i));
        assert_eq!(by_rank(backwards), (0..5_000).rev().collect::<Vec<u32>>());
        assert_eq!(by_rank(std::iter::empty()), Vec::<u32>::new());
    }
}
