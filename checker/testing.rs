//! For tests, of this crate and of others: every tiny history of a model, and random ones that aim at traps.
//!
//! A history is made of *contents* (what an operation asks and hears, over the values initial, 1 and 2) put on workers.
//! A worker whose operation is never answered goes on as a new process.
//!
//! [`keeps_its_promises`] holds a model, ours or yours, against everything that it says about itself.

mod alphabet;
mod promises;

pub mod lagging;

use crate::model::Model;
use crate::problem::{ObjOp, Problem};
use crate::spec::{ModelName, Setup, Specified};
pub use alphabet::{Content, alphabet, spec};
use history::{Interner, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
pub use promises::{Promises, agrees, keeps_its_promises};
use std::sync::Arc;

/// Pseudo-random numbers from a seed (splitmix64, Steele, Lea and Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(pub u64);

impl Rng {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound as u64) as usize
    }

    /// True once in `n`.
    pub fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `items`, which are not empty.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }
}

/// An alphabet, decoded for every process by one model.
#[derive(Clone, Debug)]
pub struct Letters<M: Model> {
    /// The model, which has seen all contents.
    pub model: M,
    /// The values.
    pub values: Interner,
    letters: Vec<Vec<Option<M::Op>>>,
    info: Vec<bool>,
    /// The values 1 and 2 that each content mentions, in order, where renaming them changes nothing.
    mentions: Vec<Vec<i64>>,
}

/// More processes than any history of this module has.
const PROCESSES: u32 = 24;

impl<M: Specified> Letters<M> {
    /// Decodes an alphabet.
    ///
    /// # Panics
    /// If a content does not fit the model.
    pub fn new(model: ModelName) -> Letters<M> {
        let spec = spec(model);
        let mut values = Interner::default();
        let processes: Arc<[i64]> = (0..i64::from(PROCESSES)).collect();
        let mut typed = M::setup(&mut Setup { spec: &spec, values: &mut values, processes: &processes })
            .expect("the specification fits the model");
        let contents = alphabet(model);
        let letters = contents
            .iter()
            .map(|content| {
                let decode = |process| {
                    let op = raw(&mut values, content, process);
                    typed.decode(&mut values, &op).unwrap_or_else(|e| panic!("{content:?}: {e:?}"))
                };
                (0..PROCESSES).map(decode).collect()
            })
            .collect();
        let info: Vec<bool> = contents.iter().map(|c| c.outcome == Outcome::Info).collect();
        // Contents that come to the same, like failed writes of different values, are one letter.
        let letters: Vec<Vec<Option<M::Op>>> = letters;
        let first = |l: usize| (0..l).all(|e| (&letters[e], info[e]) != (&letters[l], info[l]));
        let different: Vec<usize> = (0..letters.len()).filter(|&l| first(l)).collect();
        let symmetric = matches!(model, ModelName::Register | ModelName::CasRegister | ModelName::Queue);
        let mention = |l: usize| match &letters[l][0] {
            Some(_) if symmetric => mentions(&[&contents[l].input, &contents[l].output]),
            Some(_) | None => Vec::new(),
        };
        Letters {
            mentions: different.iter().map(|&l| mention(l)).collect(),
            info: different.iter().map(|&l| info[l]).collect(),
            letters: different.iter().map(|&l| letters[l].clone()).collect(),
            model: typed,
            values,
        }
    }

    /// The operations of one process: those that were answered, and those that were not.
    pub fn of_one(&self) -> (Vec<M::Op>, Vec<M::Op>) {
        let of = |open| {
            let letters = self.letters.iter().zip(&self.info).filter(move |(_, info)| **info == open);
            letters.filter_map(|(letter, _)| letter[0]).collect()
        };
        (of(false), of(true))
    }

    /// Calls `visit` with every history of exactly `n` operations on at most `workers` workers, up to renaming of
    /// workers, and of the values 1 and 2 where the model does not tell them apart. Returns how many there were.
    pub fn every(&self, n: usize, workers: usize, visit: &mut impl FnMut(&Problem<M>)) -> u64 {
        let mut maker = Every {
            letters: self,
            n,
            problem: Problem { model: self.model.clone(), ops: Vec::new() },
            open: vec![None; workers],
            made: 0,
            rank: 0,
            processes: 0,
            worker_process: vec![None; workers],
            count: 0,
            visit,
        };
        maker.extend(0);
        maker.count
    }

    /// A random history of at most `n` operations. Two in three are made along a legal order, and half of those are then
    /// damaged in one place.
    pub fn random(&self, rng: &mut Rng, n: usize) -> Problem<M> {
        let shape = Shape::random(rng, n);
        random_history(&self.model, rng, shape, |rng, process, info| self.any(rng, process, info))
    }

    fn any(&self, rng: &mut Rng, process: u32, info: bool) -> Option<M::Op> {
        let fitting: Vec<usize> = (0..self.letters.len()).filter(|&l| self.info[l] == info).collect();
        self.letters[rng.pick(&fitting)][process as usize]
    }
}

/// How a random history is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Operations.
    pub ops: usize,
    /// How many may be open at once, beside those that are never answered.
    pub workers: usize,
    /// One in so many is never answered; 0 for none.
    pub crash: usize,
    /// Whether it is made along a legal order.
    pub lawful: bool,
    /// Whether one operation is then replaced by any other.
    pub damaged: bool,
}

impl Shape {
    /// Any shape with at most `n` operations, which are at least 2.
    pub fn random(rng: &mut Rng, n: usize) -> Shape {
        let ops = 2 + rng.below(n - 1);
        let crash = rng.pick(&[0, 0, 3, 6]);
        let workers = 2 + rng.below(4);
        let lawful = !rng.once_in(3);
        Shape { ops, workers, crash, lawful, damaged: rng.once_in(2) }
    }
}

/// A random history of a model. `any` gives an operation for a process, answered or not; `None` is one that constrains
/// nothing.
pub fn random_history<M: Model>(
    model: &M,
    rng: &mut Rng,
    shape: Shape,
    mut any: impl FnMut(&mut Rng, u32, bool) -> Option<M::Op>,
) -> Problem<M> {
    let mut ops: Vec<ObjOp<Option<M::Op>>> = Vec::new();
    let mut state = model.init();
    let (mut rank, mut processes, mut invoked) = (0, 0, 0);
    // Worker: its process, its open operation, and whether that took effect.
    let mut open: Vec<(u32, Option<(usize, bool)>)> = Vec::new();
    for _ in 0..shape.workers {
        open.push((processes, None));
        processes += 1;
    }
    let mut pending: Vec<usize> = Vec::new();
    while invoked < shape.ops || open.iter().any(|(_, op)| op.is_some()) {
        let at = rng.below(shape.workers);
        let (process, op) = open[at];
        match op {
            None if invoked < shape.ops => {
                ops.push(ObjOp { invoke: rank, ret: NEVER, process, source: invoked as u32, op: None });
                open[at].1 = Some((invoked, false));
                invoked += 1;
                rank += 1;
            }
            None => {}
            Some((op, false)) if shape.crash > 0 && processes < PROCESSES && rng.once_in(shape.crash) => {
                ops[op].op = any(rng, process, true);
                pending.push(op);
                open[at] = (processes, None);
                processes += 1;
            }
            Some((op, false)) => {
                ops[op].op = legal(model, rng, &mut state, shape.lawful, |rng| any(rng, process, false));
                open[at].1 = Some((op, true));
            }
            Some((op, true)) => {
                ops[op].ret = rank;
                rank += 1;
                open[at].1 = None;
            }
        }
        if !pending.is_empty() && rng.once_in(3) {
            let op = pending.swap_remove(rng.below(pending.len()));
            if let Some(taken) = ops[op].op {
                model.step(&state.clone(), taken, &mut |next| state = next);
            }
        }
    }
    if shape.damaged {
        let at = rng.below(ops.len());
        ops[at].op = any(rng, ops[at].process, ops[at].indeterminate());
    }
    let ops = ops.into_iter().filter_map(|op| op.op.map(|inner| op.with(inner))).collect();
    Problem { model: model.clone(), ops }
}

/// An operation that is legal in `state`, which it moves on; any, if none is found or it need not be `lawful`.
fn legal<M: Model>(
    model: &M,
    rng: &mut Rng,
    state: &mut M::State,
    lawful: bool,
    mut any: impl FnMut(&mut Rng) -> Option<M::Op>,
) -> Option<M::Op> {
    for _ in 0..if lawful { 30 } else { 0 } {
        let Some(op) = any(rng) else { continue };
        let mut next = None;
        model.step(state, op, &mut |s| next = Some(s));
        if let Some(next) = next {
            *state = next;
            return Some(op);
        }
    }
    any(rng)
}

fn raw(values: &mut Interner, content: &Content, process: u32) -> Op {
    Op {
        invoke: 0,
        ret: if content.outcome == Outcome::Info { NEVER } else { 1 },
        process,
        f: values.intern(&Value::text(content.f)),
        key: ValueId::NULL,
        input: values.intern(&content.input),
        output: values.intern(&content.output),
        outcome: content.outcome,
        applied: content.applied,
        observed: content.observed.as_ref().map(|v| values.intern(v)),
        error: ValueId::NULL,
        node: ValueId::NULL,
        session: process,
        invoke_time: NO_TIME,
        ret_time: NO_TIME,
        invoke_line: 1,
        ret_line: 2,
    }
}

fn mentions(values: &[&Value]) -> Vec<i64> {
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::Int(i) => found.push(*i),
            Value::List(items) => found.extend(mentions(&items.iter().collect::<Vec<_>>())),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {}
        }
    }
    found
}

/// Puts one event after the other.
struct Every<'a, M: Model, V> {
    letters: &'a Letters<M>,
    n: usize,
    problem: Problem<M>,
    /// What each worker has open: the index among `problem.ops`, unless it constrains nothing.
    open: Vec<Option<Option<usize>>>,
    made: usize,
    rank: u32,
    processes: u32,
    worker_process: Vec<Option<u32>>,
    count: u64,
    visit: &'a mut V,
}

impl<M: Model, V: FnMut(&Problem<M>)> Every<'_, M, V> {
    fn extend(&mut self, seen: i64) {
        if self.made == self.n && self.open.iter().all(Option::is_none) {
            self.count += 1;
            (self.visit)(&self.problem);
            return;
        }
        let mut fresh = false;
        for worker in 0..self.open.len() {
            match self.open[worker] {
                Some(op) => self.answer(worker, op, seen),
                None if self.made < self.n => {
                    // Workers that did nothing yet are the same.
                    let new = self.worker_process[worker].is_none();
                    if !(new && fresh) {
                        self.invoke(worker, seen);
                    }
                    fresh |= new;
                }
                None => {}
            }
        }
    }

    fn answer(&mut self, worker: usize, op: Option<usize>, seen: i64) {
        self.open[worker] = None;
        if let Some(op) = op {
            self.problem.ops[op].ret = self.rank;
        }
        self.rank += 1;
        self.extend(seen);
        self.rank -= 1;
        self.open[worker] = Some(op);
    }

    fn invoke(&mut self, worker: usize, seen: i64) {
        let before = self.worker_process[worker];
        let process = before.unwrap_or(self.processes);
        for letter in 0..self.letters.letters.len() {
            // 2 is only mentioned after 1.
            let Some(seen) = self.letters.mentions[letter]
                .iter()
                .try_fold(seen, |seen, &v| (v <= seen + 1).then_some(seen.max(v)))
            else {
                continue;
            };
            let op = self.letters.letters[letter][process as usize];
            let info = self.letters.info[letter];
            let index = op.map(|op| {
                let source = self.made as u32;
                self.problem.ops.push(ObjOp { invoke: self.rank, ret: NEVER, process, source, op });
                self.problem.ops.len() - 1
            });
            self.processes += u32::from(before.is_none());
            self.made += 1;
            self.rank += 1;
            // A worker whose operation is never answered starts afresh.
            self.worker_process[worker] = (!info).then_some(process);
            self.open[worker] = (!info).then_some(index);
            self.extend(seen);
            self.open[worker] = None;
            self.worker_process[worker] = before;
            self.rank -= 1;
            self.made -= 1;
            self.processes -= u32::from(before.is_none());
            if index.is_some() {
                self.problem.ops.pop();
            }
        }
    }
}
