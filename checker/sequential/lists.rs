//! Many short lists in two vectors.

/// A list of numbers for each operation.
#[derive(Debug)]
pub(crate) struct Lists {
    items: Vec<u32>,
    start: Vec<u32>,
}

impl Lists {
    /// Groups `pairs` of an operation and an item of its list, for operations below `n`. O(n + pairs).
    pub fn new(n: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Lists {
        let mut start = vec![0u32; n + 1];
        for (of, _) in pairs.clone() {
            start[of as usize + 1] += 1;
        }
        for i in 0..n {
            start[i + 1] += start[i];
        }
        let mut items = vec![0; start[n] as usize];
        let mut fill = start.clone();
        for (of, item) in pairs {
            items[fill[of as usize] as usize] = item;
            fill[of as usize] += 1;
        }
        Lists { items, start }
    }

    /// The list of `op`, in the order of the pairs.
    pub fn of(&self, op: u32) -> &[u32] {
        &self.items[self.start[op as usize] as usize..self.start[op as usize + 1] as usize]
    }
}
