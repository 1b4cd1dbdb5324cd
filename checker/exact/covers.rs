//! Stretches of time during which something is certainly there, and the instants between them.
//!
//! Instants lie between events: instant `r` comes right before the event of rank `r`.
//!
//! ```text
//!   events      0     1     2     3
//!   instants  0    1     2     3     4          covered from 1 to 3: instants 2 and 3 are; at 1 and 4 it may be gone
//! ```

use std::collections::BTreeMap;

/// A union of stretches, with who covers what.
#[derive(Debug, Default)]
pub(crate) struct Covers {
    /// Disjoint: first covered instant to last covered instant.
    merged: BTreeMap<u32, u32>,
    /// Every stretch with its owner, as it was added.
    all: Vec<(u32, u32, u32)>,
}

impl Covers {
    /// Covers the instants `from..=to`, for `owner`. Amortised O(log n).
    pub(crate) fn add(&mut self, from: u32, to: u32, owner: u32) {
        if from > to {
            return;
        }
        self.all.push((from, to, owner));
        let (mut from, mut to) = (from, to);
        // Stretches that touch become one.
        while let Some((&first, &last)) = self.merged.range(..=to.saturating_add(1)).next_back() {
            if last.saturating_add(1) < from {
                break;
            }
            self.merged.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.merged.insert(from, to);
    }

    /// The first instant from `at` on that is not covered; `None` if there is none. O(log n).
    pub(crate) fn free(&self, at: u32) -> Option<u32> {
        match self.merged.range(..=at).next_back() {
            Some((_, &last)) if last >= at => last.checked_add(1),
            Some(_) | None => Some(at),
        }
    }

    /// Owners below `below` of stretches that together cover `from..=to`, few of them. O(n log n).
    pub(crate) fn owners(&self, from: u32, to: u32, below: u32) -> Vec<u32> {
        let wanted = |&(first, last, owner): &(u32, u32, u32)| first <= to && last >= from && owner < below;
        let mut sorted: Vec<(u32, u32, u32)> = self.all.iter().copied().filter(wanted).collect();
        sorted.sort_unstable();
        let (mut owners, mut at, mut next) = (Vec::new(), from, 0);
        while at <= to {
            // Of those that cover this instant, the one that goes furthest.
            let mut best: Option<(u32, u32)> = None;
            while next < sorted.len() && sorted[next].0 <= at {
                let (_, last, owner) = sorted[next];
                if best.is_none_or(|(furthest, _)| last > furthest) {
                    best = Some((last, owner));
                }
                next += 1;
            }
            match best.filter(|&(last, _)| last >= at) {
                Some((last, owner)) => {
                    owners.push(owner);
                    let Some(after) = last.checked_add(1) else { break };
                    at = after;
                }
                None => break,
            }
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn what_is_covered_is_never_free_and_its_owners_cover_it() {
        let mut rng = Rng(5);
        for _ in 0..300 {
            let mut covers = Covers::default();
            let mut covered = [false; 40];
            let mut stretches = Vec::new();
            for owner in 0..rng.below(8) as u32 {
                let from = rng.below(30) as u32;
                let to = from + rng.below(8) as u32;
                covers.add(from, to, owner);
                stretches.push((from, to));
                covered[from as usize..=to as usize].fill(true);
            }
            for at in 0..38u32 {
                let free = covers.free(at).expect("the end is free");
                assert!(free >= at && !covered[free as usize]);
                assert!((at..free).all(|i| covered[i as usize]));
                if free > at {
                    let owners = covers.owners(at, free - 1, u32::MAX);
                    let inside = |i: u32| {
                        owners
                            .iter()
                            .any(|&o| (stretches[o as usize].0..=stretches[o as usize].1).contains(&i))
                    };
                    assert!((at..free).all(inside), "{owners:?} of {stretches:?}");
                }
            }
        }
    }
}
