//! Trees over numbers from 0 on: how often each instant is covered, and the best of a range.

/// How often each instant is covered. Every operation takes O(log n).
#[derive(Debug)]
pub(crate) struct Cover {
    /// Instants, a power of two.
    len: usize,
    /// Per node: how often all of it is covered beyond what its ancestors say.
    added: Vec<i32>,
    /// Per node: how often its least covered instant is, by this node and those below.
    least: Vec<i32>,
}

impl Cover {
    /// The instants below `instants`, none of them covered; the last one must stay so.
    pub(crate) fn new(instants: usize) -> Cover {
        let len = instants.next_power_of_two();
        Cover { len, added: vec![0; 2 * len], least: vec![0; 2 * len] }
    }

    /// Covers the instants `from..=to` so many times more.
    pub(crate) fn add(&mut self, from: u32, to: u32, times: i32) {
        let (mut low, mut high) = (from as usize + self.len, to as usize + self.len + 1);
        let ends = [low, high - 1];
        while low < high {
            if low % 2 == 1 {
                self.put(low, times);
                low += 1;
            }
            if high % 2 == 1 {
                high -= 1;
                self.put(high, times);
            }
            (low, high) = (low / 2, high / 2);
        }
        for end in ends {
            let mut node = end / 2;
            while node > 0 {
                self.least[node] = self.added[node] + self.least[2 * node].min(self.least[2 * node + 1]);
                node /= 2;
            }
        }
    }

    fn put(&mut self, node: usize, times: i32) {
        self.added[node] += times;
        self.least[node] += times;
    }

    /// The first instant from `at` on that is not covered.
    pub(crate) fn first_free(&self, at: u32) -> u32 {
        // Up from the leaf, with how often everything above covers it, until something to the right is free.
        let mut node = at as usize + self.len;
        let mut above: i32 = 0;
        let mut up = node / 2;
        while up > 0 {
            above += self.added[up];
            up /= 2;
        }
        while self.least[node] + above > 0 {
            // The next node to the right of everything looked at.
            while node % 2 == 1 {
                node /= 2;
                above -= self.added[node];
            }
            node += 1;
        }
        while node < self.len {
            above += self.added[node];
            node *= 2;
            if self.least[node] + above > 0 {
                node += 1;
            }
        }
        (node - self.len) as u32
    }
}

/// Keys by number, of which those that are not 0 are there. Every operation takes O(log n).
#[derive(Debug)]
pub(crate) struct Best {
    len: usize,
    /// Per node, the largest key below.
    keys: Vec<u32>,
}

impl Best {
    pub(crate) fn new(keys: impl ExactSizeIterator<Item = u32>) -> Best {
        let len = keys.len().next_power_of_two();
        let mut all = vec![0; 2 * len];
        for (n, key) in keys.enumerate() {
            all[len + n] = key;
        }
        for node in (1..len).rev() {
            all[node] = all[2 * node].max(all[2 * node + 1]);
        }
        Best { len, keys: all }
    }

    /// Gives a number another key; 0 takes it away.
    pub(crate) fn set(&mut self, n: usize, key: u32) {
        let mut node = self.len + n;
        self.keys[node] = key;
        while node > 1 {
            node /= 2;
            self.keys[node] = self.keys[2 * node].max(self.keys[2 * node + 1]);
        }
    }

    /// The largest key in `from..to`, and whose it is.
    pub(crate) fn best(&self, from: usize, to: usize) -> Option<(usize, u32)> {
        let node =
            self.nodes(from, to).max_by_key(|&node| self.keys[node]).filter(|&node| self.keys[node] > 0)?;
        Some((self.down(node, |keys, node| keys[2 * node] == keys[node]), self.keys[node]))
    }

    /// The first number in `from..to` that is there.
    pub(crate) fn first(&self, from: usize, to: usize) -> Option<usize> {
        let there = self.nodes(from, to).filter(|&node| self.keys[node] > 0);
        there.map(|node| self.down(node, |keys, node| keys[2 * node] > 0)).min()
    }

    fn down(&self, mut node: usize, left: impl Fn(&[u32], usize) -> bool) -> usize {
        while node < self.len {
            node = if left(&self.keys, node) { 2 * node } else { 2 * node + 1 };
        }
        node - self.len
    }

    /// The nodes that `from..to` is made of.
    fn nodes(&self, from: usize, to: usize) -> impl Iterator<Item = usize> {
        let (mut low, mut high) = (from + self.len, to + self.len);
        std::iter::from_fn(move || {
            while low < high {
                let found = if low % 2 == 1 {
                    low += 1;
                    Some(low - 1)
                } else if high % 2 == 1 {
                    high -= 1;
                    Some(high)
                } else {
                    (low, high) = (low / 2, high / 2);
                    None
                };
                if found.is_some() {
                    return found;
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Rng;

    #[test]
    fn the_first_free_instant_is_the_one_that_counting_finds() {
        let mut rng = Rng(9);
        for _ in 0..300 {
            let instants = 2 + rng.below(30);
            let (mut cover, mut counted) = (Cover::new(instants), vec![0; instants]);
            let mut added: Vec<(usize, usize)> = Vec::new();
            for _ in 0..rng.below(12) {
                let (from, to, times) = if !added.is_empty() && rng.once_in(3) {
                    let (from, to) = added.swap_remove(rng.below(added.len()));
                    (from, to, -1)
                } else {
                    let from = rng.below(instants - 1);
                    added.push((from, from + rng.below(instants - 1 - from)));
                    let (from, to) = added[added.len() - 1];
                    (from, to, 1)
                };
                cover.add(from as u32, to as u32, times);
                counted[from..=to].iter_mut().for_each(|count| *count += times);
                for at in 0..instants {
                    let free = (at..instants).find(|&i| counted[i] == 0);
                    assert_eq!(Some(cover.first_free(at as u32) as usize), free, "{counted:?} from {at}");
                }
            }
        }
    }

    #[test]
    fn the_best_and_the_first_of_a_range_are_those_that_looking_finds() {
        let mut rng = Rng(11);
        for _ in 0..300 {
            let mut keys: Vec<u32> = (0..1 + rng.below(20)).map(|_| rng.below(6) as u32).collect();
            let mut tree = Best::new(keys.iter().copied());
            for _ in 0..10 {
                let n = rng.below(keys.len());
                keys[n] = rng.below(6) as u32;
                tree.set(n, keys[n]);
                let from = rng.below(keys.len());
                let to = from + rng.below(keys.len() - from + 1);
                let largest = keys[from..to].iter().copied().max().filter(|&key| key > 0);
                assert_eq!(tree.best(from, to).map(|(_, key)| key), largest);
                assert!(tree.best(from, to).is_none_or(|(n, key)| keys[n] == key && (from..to).contains(&n)));
                assert_eq!(tree.first(from, to), (from..to).find(|&n| keys[n] > 0));
            }
        }
    }
}
