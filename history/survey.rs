//! How much memory a history will take, and into how many shards it must be split to fit.
//!
//! A file that is larger than memory is read several times, each time keeping the operations of other keys. How often
//! is known after one reading that keeps nothing but counts, by the hash of the key:
//!
//! ```text
//!   bucket     0 1 2 3 4 5 6 …      one shard of 720
//!              ▂ ▁ ▃ █ ▂ ▂ ▁
//!   shard 1/3  ▂     █     ▁        so each shard of 2, 3, 4, 5, 6, 8, 9, 10, 12, 15 … is a number of whole buckets
//! ```

use crate::event::Kind;
use crate::format::Format;
use crate::interner::{Interner, ValueId};
use crate::op::Op;
use crate::pairing::Pairing;
use crate::raw::{Raw, RawProcess, Wrong};
use crate::read::{ReadError, ReadOptions, Sink, open, stream};
use crate::shard::{Shard, bucket};
use rustc_hash::FxHashSet;
use std::ops::ControlFlow;
use std::path::Path;

/// Divisible by every number of shards up to 6, and by many more.
const BUCKETS: u32 = 720;

/// What a history holds, counted without keeping it.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Operations of clients.
    pub ops: u64,
    /// Whether any of them names a key: otherwise there are no shards.
    pub keyed: bool,
    buckets: Vec<Content>,
    /// What every reading needs: keys, functions, nodes.
    always: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Content {
    ops: u64,
    /// Bytes that its values may take.
    values: u64,
}

impl Content {
    fn bytes(self, per_op: u64) -> u64 {
        self.ops * (size_of::<Op>() as u64 + per_op) + self.values
    }
}

/// How a history that is too large to be read at once is read in parts: shard by shard, [`Shard::all`]`(of)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passes {
    /// How many shards there are; 1 means that all is read at once.
    pub of: u32,
    /// What the largest of them will need, in bytes.
    pub largest: u64,
    /// Whether that is within the limit. It is not where a single key is too large.
    pub fits: bool,
}

impl Survey {
    /// Reads the history at `path` to its end in the order of its lines, and keeps nothing but its keys.
    ///
    /// # Errors
    /// As [`read_file`](crate::read_file); what is no history is found here.
    pub fn of(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Survey, ReadError> {
        let (name, input) = open(path.as_ref())?;
        let nothing = Shard::new(1, 1).expect("one of one");
        let options = ReadOptions { shard: Some(nothing), order: None, ..*options };
        let mut counting = Counting {
            pairing: Pairing::that_forgets(options.own),
            buckets: vec![Content::default(); BUCKETS as usize],
            bucket_of: Vec::new(),
            waiting: FxHashSet::default(),
            ops: 0,
            keyed: false,
        };
        let (values, ..) = stream(&name, input, &options, &mut counting)?;
        for _ in std::mem::take(&mut counting.waiting) {
            counting.count(ValueId::NULL, &values);
        }
        let Counting { ops, keyed, buckets, .. } = counting;
        Ok(Survey { ops, keyed, buckets, always: values.bytes() })
    }

    /// Bytes that the history will take in memory, with `per_op` bytes beside it for each operation: at most about as
    /// much, because equal values are kept once.
    pub fn bytes(&self, per_op: u64) -> u64 {
        self.always + self.buckets.iter().map(|content| content.bytes(per_op)).sum::<u64>()
    }

    /// The smallest number of shards of which each needs at most `limit` bytes, with `per_op` bytes beside the history
    /// for each operation. Where a key is larger than that, the number that makes the largest shard smallest.
    pub fn passes(&self, limit: u64, per_op: u64) -> Passes {
        let mut best = Passes { of: 1, largest: self.bytes(per_op), fits: self.bytes(per_op) <= limit };
        if !self.keyed {
            return best;
        }
        for of in (2..=BUCKETS).filter(|of| BUCKETS % of == 0) {
            if best.fits {
                break;
            }
            let mut shards = vec![self.always; of as usize];
            for (bucket, content) in self.buckets.iter().enumerate() {
                shards[bucket % of as usize] += content.bytes(per_op);
            }
            let largest = shards.into_iter().max().unwrap_or(0);
            // Every pass reads the whole file, so more of them must be worth it.
            if largest <= limit || largest < best.largest / 10 * 9 {
                best = Passes { of, largest, fits: largest <= limit };
            }
        }
        best
    }
}

struct Counting {
    pairing: Pairing,
    buckets: Vec<Content>,
    /// Buckets by key, from 1; 0 if not known yet.
    bucket_of: Vec<u16>,
    /// Processes whose open operation has not named its key.
    waiting: FxHashSet<i64>,
    ops: u64,
    keyed: bool,
}

impl Counting {
    fn count(&mut self, key: ValueId, values: &Interner) {
        self.keyed |= key != ValueId::NULL;
        let bucket = self.bucket(key, values);
        self.buckets[bucket].ops += 1;
    }

    fn bucket(&mut self, key: ValueId, values: &Interner) -> usize {
        let i = key.0 as usize;
        if i >= self.bucket_of.len() {
            self.bucket_of.resize(i + 1, 0);
        }
        if self.bucket_of[i] == 0 {
            self.bucket_of[i] = bucket(values.get(key), BUCKETS) as u16 + 1;
        }
        usize::from(self.bucket_of[i] - 1)
    }
}

impl Sink for Counting {
    fn wants(&mut self, _: i64, _: Kind, _: ValueId, _: &Interner) -> bool {
        false
    }

    fn event(&mut self, raw: &Raw, values: &Interner, _: Format) -> Result<ControlFlow<()>, Wrong> {
        self.pairing.event(raw, values)?;
        if let RawProcess::Client(process) = raw.process {
            match raw.kind {
                Kind::Invoke => {
                    self.ops += 1;
                    if raw.key == ValueId::NULL {
                        self.waiting.insert(process);
                    } else {
                        self.count(raw.key, values);
                    }
                }
                Kind::Ok | Kind::Fail | Kind::Info => {
                    if self.waiting.remove(&process) {
                        self.count(raw.key, values);
                    }
                }
            }
            let bucket = self.bucket(raw.key, values);
            self.buckets[bucket].values += u64::from(raw.weight);
        }
        Ok(ControlFlow::Continue(()))
    }
}
