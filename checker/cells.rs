//! Objects whose operations are accesses to a cell, in columns: what a long history of a register is decided on.
//!
//! A [`Problem`](crate::Problem) is what every search, model and explanation works on, and each of its operations takes
//! half a cache line and a decision about its kind wherever it is looked at. Where nothing is wrong, none of that is
//! needed. Here an operation is four numbers, made while it is decoded, and nobody has to ask what it is:
//!
//! ```text
//!   write 7        invoke  ret  saw 0  left 8          0: nothing
//!   read → 7       invoke  ret  saw 8  left 0          n + 1: the value with the number n
//!   cas 7 → 9      invoke  ret  saw 8  left 10
//! ```
//! What has an order is decided by zones ([`crate::exact`]) and verified ([`crate::certify`]) on these; whatever has
//! none, or is of another kind, is built as a problem and decided again, with evidence.

use crate::certify::replay_cell;
use crate::exact::Zones;
use crate::model::Model;
use crate::problem::Problem;
use crate::sources::Sees;
use history::{History, NEVER, Outcome, ValueId};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one operation did to its cell, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CellOp {
    /// Rank of the invocation.
    pub(crate) invoke: u32,
    /// Rank of the return; [`NEVER`] if it is indeterminate.
    pub(crate) ret: u32,
    /// The value that it found, as [`number`] has it.
    pub(crate) saw: u32,
    /// The value that it left.
    pub(crate) left: u32,
}

/// How a value stands in a [`CellOp`], where 0 is none. A value beyond all numbers stands for one that nobody names.
pub(crate) fn number(value: Option<ValueId>) -> u32 {
    value.map_or(0, |value| value.0.wrapping_add(1))
}

/// The cells of a history.
#[derive(Debug)]
pub(crate) struct Cells {
    /// The keys of each cell; none where the history names none.
    pub(crate) keys: Vec<Vec<ValueId>>,
    /// Where the operations of each cell begin, and where the last ones end.
    pub(crate) starts: Vec<usize>,
    /// All operations, those of one cell in the order of their invocations.
    pub(crate) ops: Vec<CellOp>,
    /// Their indices in [`History::ops`]; none where they are the same.
    sources: Option<Vec<u32>>,
    /// What each cell holds at first.
    pub(crate) initial: u32,
    /// How many values there are, where they are numbered without gaps (from 1 on).
    pub(crate) dense: Option<u32>,
}

/// So many operations are looked at between two looks at whether to stop.
const FREE: usize = 1 << 16;

/// The cells of `history`, one per key; `None` if some operation is no access to a cell, does not fit the model, or saw
/// only what was not there, or if values are written again in the first cell (then they are in all of them).
///
/// O(operations).
pub(crate) fn cells<M: Model>(history: &mut History, model: &mut M, stop: &AtomicBool) -> Option<Cells> {
    let first = history.ops.first()?.key;
    if let Some(cells) = one(history, model, first, stop)? {
        return Some(cells);
    }
    several(history, model, stop)
}

/// The access of an operation: `None` if it is none, `Some(None)` if it can be left out.
#[inline]
fn access<M: Model>(
    values: &mut history::Interner,
    model: &mut M,
    op: &history::Op,
) -> Option<Option<CellOp>> {
    let Some(decoded) = model.decode(values, op).ok()? else { return Some(None) };
    let ret = if op.outcome == Outcome::Info { NEVER } else { op.ret };
    in_columns(model, decoded, op.invoke, ret).map(Some)
}

#[inline]
fn in_columns<M: Model>(model: &M, op: M::Op, invoke: u32, ret: u32) -> Option<CellOp> {
    let access = model.access(op)?;
    let saw = match access.sees {
        Some(Sees::Is(value)) => Some(value),
        Some(Sees::IsNot(_)) => return None,
        None => None,
    };
    Some(CellOp { invoke, ret, saw: number(saw), left: number(access.leaves) })
}

/// All operations, if all have this key; `Some(None)` if not.
///
/// Their values get numbers of their own: a history has others too (pairs of a cas, errors, nodes), and a table with a
/// place for each of those takes longer to lay out than the numbers take to give.
fn one<M: Model>(
    history: &mut History,
    model: &mut M,
    key: ValueId,
    stop: &AtomicBool,
) -> Option<Option<Cells>> {
    // No room is made before it is clear that there is one key, as far as can be seen.
    if history.ops.iter().take(FREE).any(|op| op.key != key) {
        return Some(None);
    }
    let mut ops: Vec<CellOp> = Vec::with_capacity(history.ops.len());
    let mut sources: Option<Vec<u32>> = None;
    let mut numbers = Numbers::new(history.values.len());
    for (from, part) in history.ops.chunks(FREE).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        for (op, source) in part.iter().zip((from * FREE) as u32..) {
            if op.key != key {
                return Some(None);
            }
            let Some(mut op) = access(&mut history.values, model, op)? else {
                // From here on places differ.
                sources.get_or_insert_with(|| (0..source).collect());
                continue;
            };
            numbers.number(&mut op).then_some(())?;
            ops.push(op);
            if let Some(sources) = &mut sources {
                sources.push(source);
            }
        }
    }
    let keys = if key == ValueId::NULL { Vec::new() } else { vec![key] };
    let (starts, initial) = (vec![0, ops.len()], numbers.known(number(model.initial_value())));
    Some(Some(Cells { keys: vec![keys], starts, ops, sources, initial, dense: Some(numbers.count) }))
}

/// The operations by their keys.
fn several<M: Model>(history: &mut History, model: &mut M, stop: &AtomicBool) -> Option<Cells> {
    let first = history.ops.first()?.key;
    let mut written = Numbers::new(history.values.len());
    let mut numbers: FxHashMap<ValueId, u32> = FxHashMap::default();
    let mut keys: Vec<Vec<ValueId>> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    let mut of_op: Vec<u32> = Vec::with_capacity(history.ops.len());
    for part in history.ops.chunks(FREE) {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        for op in part {
            if op.key == first {
                if let Some(mut op) = access(&mut history.values, model, op)? {
                    written.number(&mut op).then_some(())?;
                }
            }
            let number = *numbers.entry(op.key).or_insert_with(|| {
                keys.push(if op.key == ValueId::NULL { Vec::new() } else { vec![op.key] });
                sizes.push(0);
                keys.len() as u32 - 1
            });
            sizes[number as usize] += 1;
            of_op.push(number);
        }
    }
    let mut places: Vec<usize> = Vec::with_capacity(sizes.len());
    let mut end = 0;
    for size in sizes {
        places.push(end);
        end += size;
    }
    let begins = places.clone();
    let nothing = CellOp { invoke: 0, ret: 0, saw: 0, left: 0 };
    let (mut ops, mut sources) = (vec![nothing; end], vec![0; end]);
    for (from, part) in history.ops.chunks(FREE).enumerate() {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        for (op, source) in part.iter().zip(from * FREE..) {
            if let Some(op) = access(&mut history.values, model, op)? {
                let place = &mut places[of_op[source] as usize];
                (ops[*place], sources[*place]) = (op, source as u32);
                *place += 1;
            }
        }
    }
    // What was left out leaves gaps at the ends.
    let mut starts = vec![0];
    let mut kept = 0;
    for (begin, end) in begins.into_iter().zip(places) {
        ops.copy_within(begin..end, kept);
        sources.copy_within(begin..end, kept);
        kept += end - begin;
        starts.push(kept);
    }
    ops.truncate(kept);
    sources.truncate(kept);
    let initial = number(model.initial_value());
    Some(Cells { keys, starts, ops, sources: Some(sources), initial, dense: None })
}

/// A problem's operations in columns: for tests, which hold them against what is said of the problem.
#[doc(hidden)]
#[derive(Debug)]
pub struct Columns {
    ops: Vec<CellOp>,
    initial: u32,
    dense: Option<u32>,
}

impl Columns {
    /// `None` if some operation is no access, or saw only what was not there.
    pub fn of<M: Model>(problem: &Problem<M>) -> Option<Columns> {
        let ops = problem.ops.iter().map(|op| in_columns(&problem.model, op.op, op.invoke, op.ret));
        let ops = ops.collect::<Option<_>>()?;
        Some(Columns { ops, initial: number(problem.model.initial_value()), dense: None })
    }

    /// The same with numbers without gaps; `None` if a value is written twice.
    pub fn dense(mut self) -> Option<Columns> {
        let mut numbers = Numbers::new(0);
        self.ops.iter_mut().all(|op| numbers.number(op)).then_some(())?;
        Some(Columns { initial: numbers.known(self.initial), dense: Some(numbers.count), ops: self.ops })
    }

    /// The order that zones find.
    pub fn order(&self) -> Option<Vec<u32>> {
        Zones::default().order(&self.ops, self.initial, self.dense, &AtomicBool::new(false))
    }

    /// Whether the verifier accepts an order.
    pub fn replay(&self, order: &[u32]) -> bool {
        replay_cell(&self.ops, self.initial, order)
    }
}

/// Values by numbers of their own, from 1 on, as they are named; and whether they were written.
struct Numbers {
    /// By [`number`]: twice the number, and one more if the value was written; 0 if it was not named.
    given: Vec<u32>,
    count: u32,
}

impl Numbers {
    fn new(values: usize) -> Numbers {
        Numbers { given: vec![0; values + 1], count: 0 }
    }

    /// Numbers the values of an operation; `false` if it writes what was written before.
    #[inline(always)]
    fn number(&mut self, op: &mut CellOp) -> bool {
        if op.saw != 0 {
            op.saw = *self.given(op.saw) >> 1;
        }
        if op.left != 0 {
            let given = self.given(op.left);
            if *given & 1 == 1 {
                return false;
            }
            *given |= 1;
            op.left = *given >> 1;
        }
        true
    }

    #[inline]
    fn given(&mut self, value: u32) -> &mut u32 {
        let value = value as usize;
        if value >= self.given.len() {
            // Numbered since.
            self.given.resize(value + 1, 0);
        }
        let given = &mut self.given[value];
        if *given == 0 {
            self.count += 1;
            *given = self.count << 1;
        }
        given
    }

    /// The number of a value that may not have been named: then one that no operation has.
    fn known(&self, value: u32) -> u32 {
        match self.given.get(value as usize) {
            Some(0) | None => u32::MAX,
            Some(given) => given >> 1,
        }
    }
}

impl Cells {
    /// The operations of one cell.
    pub(crate) fn of(&self, cell: usize) -> &[CellOp] {
        &self.ops[self.starts[cell]..self.starts[cell + 1]]
    }

    /// The places of these operations of a cell in the history.
    pub(crate) fn to_sources(&self, cell: usize, order: &mut [u32]) {
        let Some(sources) = &self.sources else { return };
        let sources = &sources[self.starts[cell]..self.starts[cell + 1]];
        order.iter_mut().for_each(|i| *i = sources[*i as usize]);
    }
}
