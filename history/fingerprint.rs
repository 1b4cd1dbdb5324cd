//! 128 bits that tell the contents of two files apart, as fast as they can be read.
//!
//! It guards against accident, not against malice: whoever can write beside a history can write the history.

use std::io::{self, Read};

/// What is left of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u64; 2]);

impl Fingerprint {
    /// That of everything that `reader` gives. More than 2 GB/s.
    ///
    /// # Errors
    /// The reader's own.
    pub fn of(reader: &mut dyn Read) -> io::Result<Fingerprint> {
        // Small enough to stay in the nearest caches between being read and being mixed.
        let mut buffer = vec![0; 1 << 17];
        let mut mixer = Mixer::new();
        loop {
            let mut filled = 0;
            while filled < buffer.len() {
                match reader.read(&mut buffer[filled..]) {
                    Ok(0) => {
                        mixer.last(&buffer[..filled]);
                        return Ok(mixer.finish());
                    }
                    Ok(count) => filled += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            mixer.stripes(&buffer);
        }
    }

    /// That of `bytes`.
    pub fn of_bytes(bytes: &[u8]) -> Fingerprint {
        let mut mixer = Mixer::new();
        mixer.last(bytes);
        mixer.finish()
    }
}

/// Bytes that are mixed at once: two words for each of four lanes, so that the multiplications overlap.
const STRIPE: usize = 64;

// Digits of the golden ratio and of square roots: nothing up my sleeve, and odd.
const KEYS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xbb67_ae85_84ca_a73b, 0x3c6e_f372_fe94_f82b, 0xa54f_f53a_5f1d_36f1];

/// Two states for each lane, in which each word enters differently: together they have 128 bits for every place.
struct Mixer {
    folded: [u64; 4],
    added: [u64; 4],
    length: u64,
}

impl Mixer {
    fn new() -> Mixer {
        Mixer { folded: KEYS, added: [0; 4], length: 0 }
    }

    /// Takes whole stripes.
    fn stripes(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        let (mut folded, mut added) = (self.folded, self.added);
        for stripe in bytes.chunks_exact(STRIPE) {
            for lane in 0..4 {
                let (a, b) = (word(stripe, 16 * lane), word(stripe, 16 * lane + 8));
                folded[lane] = fold(a ^ folded[lane], b ^ KEYS[lane]);
                added[lane] = (added[lane].rotate_left(27) ^ a).wrapping_mul(KEYS[lane]).wrapping_add(b);
            }
        }
        (self.folded, self.added) = (folded, added);
    }

    /// Takes the end, whatever its length.
    fn last(&mut self, bytes: &[u8]) {
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % STRIPE);
        self.stripes(whole);
        let mut stripe = [0; STRIPE];
        stripe[..rest.len()].copy_from_slice(rest);
        let length = self.length + rest.len() as u64;
        self.stripes(&stripe);
        // The zeros do not count.
        self.length = length;
    }

    fn finish(self) -> Fingerprint {
        let mut out = [self.length, !self.length];
        for lane in 0..4 {
            out[0] = fold(out[0] ^ self.folded[lane], self.added[lane] ^ KEYS[lane]);
            out[1] = fold(out[1] ^ self.added[lane], self.folded[lane].rotate_left(32) ^ KEYS[3 - lane]);
        }
        Fingerprint([out[0] ^ out[1].rotate_left(17), fold(out[0] ^ KEYS[0], out[1] ^ KEYS[1])])
    }
}

#[inline(always)]
fn word(stripe: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*stripe[at..].first_chunk().expect("a stripe has eight words"))
}

/// Both halves of the product.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn contents_that_differ_in_one_bit_or_in_length_are_told_apart() {
        let mut seen = BTreeSet::new();
        let mut bytes: Vec<u8> = (0..300_u32).map(|i| (i * 37 + 1) as u8).collect();
        for length in 0..=bytes.len() {
            assert!(seen.insert(Fingerprint::of_bytes(&bytes[..length]).0), "{length}");
            assert!(length == 0 || seen.insert(Fingerprint::of_bytes(&vec![0; length]).0), "{length} zeros");
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(seen.insert(Fingerprint::of_bytes(&bytes).0), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let halves: BTreeSet<u64> = seen.iter().flatten().copied().collect();
        assert_eq!(halves.len(), 2 * seen.len(), "each half tells them apart");
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_arrive() {
        struct Drip<'a>(&'a [u8]);
        impl Read for Drip<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = buffer.len().min(self.0.len()).min(1 + self.0.len() % 4097);
                buffer[..count].copy_from_slice(&self.0[..count]);
                self.0 = &self.0[count..];
                Ok(count)
            }
        }
        for length in [0, 1, 63, 64, 65, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 400_000] {
            let bytes: Vec<u8> = (0..length).map(|i: u32| (i / 7) as u8).collect();
            let dripped = Fingerprint::of(&mut Drip(&bytes)).expect("memory");
            assert_eq!(dripped, Fingerprint::of_bytes(&bytes), "{length}");
        }
    }
}
