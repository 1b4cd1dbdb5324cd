//! Remembers long vectors in a few words each: equal vectors get equal numbers, and a changed entry costs O(log n).

use crate::search::table_bytes;
use rustc_hash::FxHashMap;

/// A vector of numbers that is changed entry by entry and named by a single number.
///
/// ```text
///            9              pairs of numbers are numbered: (7,8) is 9.
///         7     8           Two vectors of one length are equal exactly when their roots are:
///        3 1   4 1          nothing is hashed away, so a memo on roots is exact.
/// ```
#[derive(Debug)]
pub(crate) struct Tree {
    /// Leaves first, root last.
    levels: Vec<Vec<u32>>,
    /// The number of each pair.
    pairs: FxHashMap<(u32, u32), u32>,
    /// Leaves that changed since the last root.
    dirty: Vec<u32>,
}

impl Tree {
    /// A vector of `len` zeros.
    pub fn new(len: usize) -> Tree {
        let mut levels = vec![vec![0; len.max(1)]];
        while levels[levels.len() - 1].len() > 1 {
            let above = levels[levels.len() - 1].len().div_ceil(2);
            levels.push(vec![0; above]);
        }
        Tree { levels, pairs: FxHashMap::default(), dirty: (0..len as u32).collect() }
    }

    /// Changes an entry.
    pub fn set(&mut self, leaf: usize, value: u32) {
        self.levels[0][leaf] = value;
        self.dirty.push(leaf as u32);
    }

    /// The number of the vector as it stands. O(changed entries · log length).
    pub fn root(&mut self) -> u32 {
        let mut dirty = std::mem::take(&mut self.dirty);
        for level in 0..self.levels.len() - 1 {
            for at in &mut dirty {
                *at /= 2;
            }
            dirty.sort_unstable();
            dirty.dedup();
            for &at in &dirty {
                let below = &self.levels[level];
                let left = below[at as usize * 2];
                let right = below.get(at as usize * 2 + 1).copied().unwrap_or(0);
                let fresh = self.pairs.len() as u32;
                let number = *self.pairs.entry((left, right)).or_insert(fresh);
                self.levels[level + 1][at as usize] = number;
            }
        }
        dirty.clear();
        self.dirty = dirty;
        self.levels[self.levels.len() - 1][0]
    }

    /// Bytes in use, about.
    pub fn bytes(&self) -> usize {
        table_bytes(self.pairs.len(), self.pairs.capacity(), 12)
    }
}

#[cfg(test)]
mod tests {
    use super::Tree;

    #[test]
    fn equal_vectors_have_equal_roots_and_others_do_not() {
        let mut tree = Tree::new(5);
        let mut roots = std::collections::HashMap::new();
        for code in 0..3u32.pow(5) {
            for i in 0..5 {
                tree.set(i, code / 3u32.pow(i as u32) % 3);
            }
            assert_eq!(roots.insert(tree.root(), code), None, "two vectors with one root");
        }
        for i in 0..5 {
            tree.set(i, 0);
        }
        assert_eq!(roots[&tree.root()], 0);
    }
}
