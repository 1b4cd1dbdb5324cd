//! Sets of slots: as many words as the history needs.

use std::hash::Hash;

/// A set of small numbers below a fixed bound.
pub(crate) trait Bits: Clone + Eq + Hash + Send {
    /// Empty, with room for `slots`.
    fn new(slots: usize) -> Self;
    /// The words.
    fn words(&self) -> &[u64];
    /// The words, to change.
    fn words_mut(&mut self) -> &mut [u64];

    /// Whether `slot` is in.
    #[inline]
    fn has(&self, slot: u32) -> bool {
        self.words()[slot as usize / 64] >> (slot % 64) & 1 == 1
    }

    /// Puts `slot` in.
    #[inline]
    fn set(&mut self, slot: u32) {
        self.words_mut()[slot as usize / 64] |= 1 << (slot % 64);
    }

    /// Takes `slot` out.
    #[inline]
    fn clear(&mut self, slot: u32) {
        self.words_mut()[slot as usize / 64] &= !(1 << (slot % 64));
    }

    /// Puts all of `other` in.
    #[inline]
    fn add(&mut self, other: &Self) {
        for (a, b) in self.words_mut().iter_mut().zip(other.words()) {
            *a |= b;
        }
    }

    /// Whether all of this is in `other`.
    #[inline]
    fn within(&self, other: &Self) -> bool {
        self.words().iter().zip(other.words()).all(|(a, b)| a & !b == 0)
    }

    /// What is in both.
    #[inline]
    fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        for (a, b) in both.words_mut().iter_mut().zip(other.words()) {
            *a &= b;
        }
        both
    }

    /// Bytes beyond the size of the type.
    fn heap_bytes(&self) -> usize;
}

impl<const N: usize> Bits for [u64; N] {
    #[inline]
    fn new(slots: usize) -> Self {
        assert!(slots <= N * 64, "the width was chosen for the slots");
        [0; N]
    }

    #[inline]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Bits for Box<[u64]> {
    fn new(slots: usize) -> Self {
        vec![0; slots.div_ceil(64)].into()
    }

    #[inline]
    fn words(&self) -> &[u64] {
        self
    }

    #[inline]
    fn words_mut(&mut self) -> &mut [u64] {
        self
    }

    fn heap_bytes(&self) -> usize {
        self.len() * 8
    }
}
