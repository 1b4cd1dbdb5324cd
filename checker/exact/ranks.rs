//! Puts things in the order of their ranks, which are all different.

/// Between how many ranks for each thing a table of all ranks is still the fastest way to sort.
const SPARSE: usize = 8;

/// The numbers of the things, by rank. O(n), or O(n log n) where their ranks are few among many (one key of a thousand).
///
/// Ranks are distinct: each event has its own.
pub(crate) fn by_rank(ranked: impl Iterator<Item = (u32, u32)> + Clone) -> Vec<u32> {
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
            let order = by_rank(ranks.iter().zip(0..).map(|(&rank, i)| (rank, i)));
            assert_eq!(order.len(), 100);
            assert!(order.windows(2).all(|w| ranks[w[0] as usize] < ranks[w[1] as usize]));
        }
        assert_eq!(by_rank(std::iter::empty()), Vec::<u32>::new());
    }
}
