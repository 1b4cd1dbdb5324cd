//! Where the operations of a history wait that belong to another shard, or of which nobody knows yet.
//!
//! They are paired like all others, because what is no history is refused whichever part of it is asked for, and
//! forgotten as soon as they complete.

use crate::history::Part;
use crate::interner::{Interner, ValueId};
use crate::op::Op;
use crate::shard::Shard;
use rustc_hash::FxHashSet;

pub(crate) struct Apart {
    /// What is not set apart; nothing if everything is.
    shard: Option<Shard>,
    /// Open operations, and free places among them.
    pub ops: Vec<Op>,
    free: Vec<u32>,
    /// Those that were invoked without a key and turned out to be of this shard.
    late: Vec<Op>,
    /// By key: what is known about it.
    known: Vec<Known>,
    /// Whether any operation names a key.
    pub keyed: bool,
    functions: Vec<ValueId>,
    seen_functions: FxHashSet<ValueId>,
    seen: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Ours,
    Others,
}

impl Apart {
    pub(crate) fn new(shard: Option<Shard>) -> Apart {
        Apart {
            shard,
            ops: Vec::new(),
            free: Vec::new(),
            late: Vec::new(),
            known: Vec::new(),
            keyed: false,
            functions: Vec::new(),
            seen_functions: FxHashSet::default(),
            seen: 0,
        }
    }

    /// Whether the key is of this shard.
    pub(crate) fn takes(&mut self, key: ValueId, values: &Interner) -> bool {
        let Some(shard) = self.shard else { return false };
        let i = key.0 as usize;
        if i >= self.known.len() {
            self.known.resize(i + 1, Known::Nothing);
        }
        if self.known[i] == Known::Nothing {
            self.known[i] = if shard.takes(values.get(key)) { Known::Ours } else { Known::Others };
        }
        self.known[i] == Known::Ours
    }

    /// Whether an operation that is invoked is of this shard for sure. Without a key, its completion may name one.
    pub(crate) fn keeps(&mut self, op: &Op, values: &Interner) -> bool {
        self.seen += 1;
        if self.seen_functions.insert(op.f) {
            self.functions.push(op.f);
        }
        self.keyed |= op.key != ValueId::NULL;
        op.key != ValueId::NULL && self.takes(op.key, values)
    }

    /// Sets an operation apart until it completes.
    pub(crate) fn open(&mut self, op: Op) -> u32 {
        match self.free.pop() {
            Some(place) => {
                self.ops[place as usize] = op;
                place
            }
            None => {
                self.ops.push(op);
                self.ops.len() as u32 - 1
            }
        }
    }

    /// It completed.
    pub(crate) fn close(&mut self, place: u32, values: &Interner) {
        let op = self.ops[place as usize];
        self.keyed |= op.key != ValueId::NULL;
        if self.takes(op.key, values) {
            self.late.push(op);
        }
        self.free.push(place);
    }

    /// Puts what turned out to be of this shard to the others, `ops`.
    pub(crate) fn finish(mut self, ops: &mut Vec<Op>, values: &Interner) -> Option<Part> {
        let mut open = vec![true; self.ops.len()];
        self.free.iter().for_each(|&place| open[place as usize] = false);
        for (op, open) in std::mem::take(&mut self.ops).into_iter().zip(open) {
            if open && self.takes(op.key, values) {
                self.late.push(op);
            }
        }
        if !self.late.is_empty() {
            ops.append(&mut self.late);
            ops.sort_unstable_by_key(|op| op.invoke);
        }
        let Apart { functions, seen, .. } = self;
        self.shard.map(|shard| Part { shard, functions, ops: seen })
    }
}
