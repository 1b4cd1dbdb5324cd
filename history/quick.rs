//! Reads what nearly every line of a history is made of, eight bytes at a time: short names, small numbers, words.
//!
//! Everything here answers "I do not know" (`None`) wherever there is anything unusual, be it right or wrong: then the
//! strict scanner reads the same bytes again, and says what it is. So nothing is judged here, and no error is lost.

use crate::interner::{Interner, ValueId};

/// The eight bytes from `at` on, the first lowest; nothing if there are fewer.
#[inline(always)]
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let eight = bytes.get(at..)?.first_chunk::<8>()?;
    Some(u64::from_le_bytes(*eight))
}

/// A name of at most eight bytes as [`word`] reads it.
pub(crate) const fn name(text: &[u8]) -> u64 {
    let (mut word, mut i) = (0, 0);
    while i < text.len() {
        word |= (text[i] as u64) << (8 * i);
        i += 1;
    }
    word
}

/// Whether `word` begins with the `length` bytes of `name`.
#[inline(always)]
pub(crate) fn begins(word: u64, name: u64, length: u32) -> bool {
    word & low(length) == name
}

/// The lowest `length` bytes.
#[inline(always)]
const fn low(length: u32) -> u64 {
    if length >= 8 { u64::MAX } else { (1 << (8 * length)) - 1 }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// A number of at most 18 digits that is written as we would write it, and where it ends.
#[inline(always)]
pub(crate) fn int(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = *bytes.get(at)? == b'-';
    let first = at + usize::from(negative);
    let mut at = first;
    let mut number: u64 = 0;
    loop {
        let digits = word(bytes, at)? ^ (ONES * 0x30);
        // A byte is a digit if it is below 10 now.
        let others = (((digits & !HIGH) + ONES * 0x76) | digits) & HIGH;
        let count = others.trailing_zeros() / 8;
        if count == 8 {
            number = number.wrapping_mul(100_000_000).wrapping_add(eight(digits));
            at += 8;
            if at - first > 16 {
                return None;
            }
            continue;
        }
        if count > 0 {
            number =
                number.wrapping_mul(TENS[count as usize]).wrapping_add(eight(digits << (64 - 8 * count)));
            at += count as usize;
        }
        break;
    }
    let count = at - first;
    if count == 0 || count > 18 || (count > 1 && bytes[first] == b'0') {
        return None;
    }
    let number = number as i64;
    Some((if negative { -number } else { number }, at))
}

const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// The number that eight digits make, the highest in the lowest byte: pairs, then fours, then all.
#[inline(always)]
fn eight(digits: u64) -> u64 {
    let twos = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (twos * 100 + (twos >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// Where the text that begins at `at` ends with a quote, if all of it is printable ASCII without a backslash.
#[inline(always)]
pub(crate) fn quoted(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let word = word(bytes, at)?;
        let stops = has_byte(word, b'"') | has_byte(word, b'\\') | has_below(word, 0x20) | (word & HIGH);
        if stops == 0 {
            at += 8;
            continue;
        }
        at += (stops.trailing_zeros() / 8) as usize;
        return if bytes[at] == b'"' { Some(at) } else { None };
    }
}

/// High bits where `word` has the byte; above the lowest of them there may be false ones.
#[inline(always)]
fn has_byte(word: u64, byte: u8) -> u64 {
    has_zero(word ^ (ONES * byte as u64))
}

#[inline(always)]
fn has_zero(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGH
}

/// High bits where `word` has a byte below `limit`; above the lowest of them there may be false ones.
#[inline(always)]
fn has_below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGH
}

/// The numbers of the last few words of at most seven bytes: functions, mostly.
pub(crate) struct Words {
    known: [(u64, ValueId); 8],
    used: usize,
}

impl Words {
    pub(crate) fn new() -> Words {
        Words { known: [(0, ValueId::NULL); 8], used: 0 }
    }

    /// The number of the text `bytes[start..end]`, which is ASCII.
    #[inline(always)]
    pub(crate) fn number(
        &mut self,
        bytes: &[u8],
        start: usize,
        end: usize,
        values: &mut Interner,
    ) -> Option<ValueId> {
        let length = end - start;
        if length > 7 {
            return Some(values.intern_text(std::str::from_utf8(&bytes[start..end]).ok()?));
        }
        // The length in the highest byte, so that no text is the beginning of another.
        let word = word(bytes, start)? & low(length as u32) | (length as u64 + 1) << 56;
        match self.known[..self.used].iter().find(|known| known.0 == word) {
            Some(known) => Some(known.1),
            None => self.learn(word, std::str::from_utf8(&bytes[start..end]).ok()?, values),
        }
    }

    #[cold]
    fn learn(&mut self, word: u64, text: &str, values: &mut Interner) -> Option<ValueId> {
        let id = values.intern_text(text);
        if self.used < self.known.len() {
            self.known[self.used] = (word, id);
            self.used += 1;
        }
        Some(id)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Numbers that look random: SplitMix64.
    pub(crate) struct Dice(pub u64);

    impl Dice {
        pub(crate) fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % n
        }

        pub(crate) fn once_in(&mut self, n: u64) -> bool {
            self.below(n) == 0
        }

        pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
            &from[self.below(from.len() as u64) as usize]
        }
    }

    #[test]
    fn a_number_is_read_as_the_standard_library_reads_it() {
        let mut x: u64 = 7;
        for i in 0..200_000_u32 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (x >> (i % 64)) as i64 % 1_000_000_000_000_000_000;
            for number in [number, -number] {
                let text = format!("{number},         ");
                let end = text.find(',').expect("it is there");
                assert_eq!(int(text.as_bytes(), 0), Some((number, end)), "{text}");
            }
        }
        for odd in ["", "-", "x", "00", "01", "-01", "1234567890123456789", "/", ":"] {
            let text = format!("{odd},         ");
            assert_eq!(int(text.as_bytes(), 0), None, "{odd}");
        }
    }

    #[test]
    fn a_text_ends_at_its_quote_or_is_left_to_the_scanner() {
        for before in 0..20 {
            for special in 0..=255_u8 {
                let mut text = vec![b'a'; before];
                text.push(special);
                text.extend_from_slice(b"bc\"         ");
                let expected = match special {
                    b'"' => Some(before),
                    b'\\' | 0..=31 | 128.. => None,
                    _ => Some(before + 3),
                };
                assert_eq!(quoted(&text, 0), expected, "{before} {special}");
            }
        }
    }

    #[test]
    fn words_are_told_apart() {
        let (mut words, mut values) = (Words::new(), Interner::default());
        for text in
            ["a", "aa", "a\0", "", "read", "write", "a", "enqueue", "dequeue", "transfer", "x", "y", "z"]
        {
            let padded = format!("{text}        ");
            let id = words.number(padded.as_bytes(), 0, text.len(), &mut values);
            assert_eq!(id, Some(values.intern_text(text)), "{text:?}");
        }
    }
}
