//! Splits a history by key, so that several machines, or several passes of one, judge a part each.
//!
//! Which part a key belongs to is a function of the key alone, the same on every machine and in every format:
//!
//! ```text
//!   key ──as JSON──▶ bytes ──FNV-1a, 64 bits──▶ h ──SplitMix64's mixer──▶ h' ──modulo n──▶ 0 … n-1, said as 1 … n
//! ```

use crate::value::Value;
use std::fmt;
use std::str::FromStr;

/// Part `index` of `of`: the operations of those keys whose hash falls to it, and those without a key where the hash of
/// `null` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: u32,
    of: u32,
}

impl Shard {
    /// Part `index` of `of`, counted from 1; nothing if there is no such part.
    pub fn new(index: u32, of: u32) -> Option<Shard> {
        if (1..=of).contains(&index) { Some(Shard { index, of }) } else { None }
    }

    /// Which part, from 1.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of
    }

    /// Every part, in order.
    pub fn all(of: u32) -> impl Iterator<Item = Shard> {
        (1..=of).map(move |index| Shard { index, of })
    }

    /// Whether the key belongs to this part; exactly one of the `of` parts says so. O(size of the key).
    pub fn takes(self, key: &Value) -> bool {
        bucket(key, self.of) == self.index - 1
    }
}

/// `2/8`, as `--shard` takes it.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        parts
            .and_then(|(index, of)| Shard::new(index, of))
            .ok_or_else(|| format!("expected I/N with 1 ≤ I ≤ N, such as 2/8, found {text:?}"))
    }
}

/// Which of `of` parts the key belongs to, from 0.
pub(crate) fn bucket(key: &Value, of: u32) -> u32 {
    (hash(key) % u64::from(of)) as u32
}

fn hash(key: &Value) -> u64 {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
    let step = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    let h = key.to_json().bytes().fold(FNV_OFFSET, step);
    // The low bits of FNV alone know little of the last characters, where keys differ.
    let h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_the_same_part_on_every_machine() {
        // These numbers are a promise to whoever judges one history on several machines of different ages.
        let part = |key: Value, of| Shard::all(of).position(|shard| shard.takes(&key)).expect("one takes it");
        let keys = [
            Value::Int(0),
            Value::Int(-7),
            "x".into(),
            "0".into(),
            Value::list([Value::Int(1), Value::Null]),
        ];
        let found: Vec<usize> = keys.into_iter().map(|key| part(key, 1000)).collect();
        assert_eq!(found, [26, 537, 960, 380, 904]);
    }

    #[test]
    fn parts_are_about_equal_and_every_key_belongs_to_one() {
        for of in [1, 2, 3, 8, 100] {
            let mut sizes = vec![0; of as usize];
            for key in 0..10_000 {
                let takers: Vec<u32> =
                    Shard::all(of).filter(|shard| shard.takes(&Value::Int(key))).map(Shard::index).collect();
                let [one] = takers[..] else { panic!("{key} belongs to {takers:?} of {of}") };
                sizes[one as usize - 1] += 1;
            }
            let fair = 10_000 / of as i32;
            assert!(sizes.iter().all(|size: &i32| (size - fair).abs() < 20 + fair / 3), "{sizes:?}");
        }
    }

    #[test]
    fn a_shard_is_said_as_one_of_so_many() {
        assert_eq!("2/8".parse(), Ok(Shard { index: 2, of: 8 }));
        assert_eq!(Shard { index: 2, of: 8 }.to_string(), "2/8");
        for wrong in ["0/8", "9/8", "1/0", "", "1", "a/b", "1/2/3", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
