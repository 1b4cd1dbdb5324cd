//! A short name for the bytes of a file, taken while they are read: which history a shard is a part of.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

/// Passes bytes on, and keeps their hash: 64 bits, eight bytes at a step in four lanes, so that reading is not slowed down.
/// It tells files apart that were mixed up, and is no protection against somebody who wants two to look alike.
pub struct Hashing<R> {
    inner: R,
    sum: Arc<Mutex<Sum>>,
}

/// The hash of what was read so far.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    lanes: [u64; 4],
    /// Bytes that do not fill a step yet.
    rest: Vec<u8>,
    length: u64,
}

const STEP: usize = 32;
/// Odd, with its bits spread out: the golden ratio's.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl<R: Read> Hashing<R> {
    /// Reads through `inner`; the hash is in the second part.
    pub fn new(inner: R) -> (Hashing<R>, Arc<Mutex<Sum>>) {
        let sum = Arc::new(Mutex::new(Sum::default()));
        (Hashing { inner, sum: sum.clone() }, sum)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.sum.lock().unwrap_or_else(PoisonError::into_inner).bytes(&buffer[..count]);
        Ok(count)
    }
}

impl Sum {
    fn bytes(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if !self.rest.is_empty() {
            let missing = (STEP - self.rest.len()).min(bytes.len());
            self.rest.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if self.rest.len() < STEP {
                return;
            }
            let whole = std::mem::take(&mut self.rest);
            self.steps(&whole);
        }
        let whole = bytes.len() / STEP * STEP;
        self.steps(&bytes[..whole]);
        self.rest.extend_from_slice(&bytes[whole..]);
    }

    fn steps(&mut self, bytes: &[u8]) {
        for step in bytes.chunks_exact(STEP) {
            for (lane, word) in self.lanes.iter_mut().zip(step.chunks_exact(8)) {
                let word = word.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
                *lane = (*lane ^ word).wrapping_mul(FACTOR);
                *lane ^= *lane >> 29;
            }
        }
    }

    /// 16 hexadecimal digits.
    pub fn name(&self) -> String {
        let mut last = self.clone();
        last.rest.resize(STEP, 0);
        let rest = std::mem::take(&mut last.rest);
        last.steps(&rest);
        let all = last.lanes.iter().fold(self.length, |all, lane| {
            let all = (all ^ lane).wrapping_mul(FACTOR);
            all ^ all >> 31
        });
        format!("{all:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8], at_once: usize) -> String {
        let (mut reader, sum) = Hashing::new(bytes);
        let mut buffer = vec![0; at_once];
        while reader.read(&mut buffer).expect("bytes in memory can be read") > 0 {}
        let sum = sum.lock().expect("no panic");
        sum.name()
    }

    #[test]
    fn the_name_of_a_file_does_not_depend_on_how_it_was_read() {
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * i % 251) as u8).collect();
        for length in [0, 1, 31, 32, 33, 64, 999, 1000] {
            let whole = name(&bytes[..length], 4096);
            for at_once in [1, 7, 32, 100] {
                assert_eq!(name(&bytes[..length], at_once), whole, "{length} bytes, {at_once} at once");
            }
        }
    }

    #[test]
    fn a_file_with_one_byte_changed_moved_or_added_has_another_name() {
        let bytes: Vec<u8> = (0..100u8).collect();
        let mut names = vec![name(&bytes, 4096), name(&[&bytes[..], &[0]].concat(), 4096)];
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            names.push(name(&other, 4096));
        }
        let mut swapped = bytes.clone();
        swapped.swap(3, 60);
        names.push(name(&swapped, 4096));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
