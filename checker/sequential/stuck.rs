//! Where a search for an order of all processes stood when its budget ended.

use crate::keyed::Keyed;
use crate::model::{Advance, Model};
use crate::problem::{ObjOp, Problem};
use crate::search::{Stuck, Waiting};
use history::Interner;
use rustc_hash::{FxHashMap, FxHashSet};

/// The longest legal order that was looked at, but for a sixty-fourth: copies of it are dear.
pub(super) struct Deepest {
    order: Vec<u32>,
    step: usize,
}

impl Deepest {
    /// For so many operations.
    pub(super) fn of(ops: usize) -> Deepest {
        Deepest { order: Vec::new(), step: 1 + ops / 64 }
    }

    /// Keeps the order of this length, if it is longer. It must be legal, and keep every process.
    pub(super) fn see(&mut self, length: usize, order: impl FnOnce() -> Vec<u32>) {
        if length >= self.order.len() + self.step {
            self.order = order();
        }
    }

    /// The order, once.
    pub(super) fn take(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.order)
    }
}

/// What is known where no order goes on from `placed` (indices into `History::ops`, a legal order of a part). O(n log n).
pub(crate) fn stuck<M: Model>(
    problem: &Problem<Keyed<M>>,
    placed: &[u32],
    values: &Interner,
    states: u64,
) -> Stuck {
    let models = &problem.model.objects;
    let by_source: FxHashMap<u32, &ObjOp<_>> = problem.ops.iter().map(|op| (op.source, op)).collect();
    let mut held: Vec<Vec<M::State>> = models.iter().map(|model| vec![model.init()]).collect();
    let mut last: FxHashMap<u32, u32> = FxHashMap::default();
    for op in placed.iter().filter_map(|source| by_source.get(source)) {
        let (model, held) = (&models[op.op.object as usize], &mut held[op.op.object as usize]);
        last.insert(op.process, op.invoke);
        if let [state] = &mut held[..] {
            if model.advance(state, op.op.op) != Advance::Open {
                continue;
            }
        }
        let mut next = Vec::new();
        for state in held.iter() {
            model.step(state, op.op.op, &mut |s| {
                if !next.contains(&s) {
                    next.push(s);
                }
            });
        }
        *held = next;
    }
    // Per process: what of it returned, what of that is placed, and what comes next.
    let mut processes: FxHashMap<u32, (u32, u32, Option<&ObjOp<_>>)> = FxHashMap::default();
    for op in problem.ops.iter().filter(|op| !op.indeterminate()) {
        let (of, done, next) = processes.entry(op.process).or_default();
        *of += 1;
        if last.get(&op.process).is_some_and(|&last| op.invoke <= last) {
            *done += 1;
        } else if next.is_none_or(|next| op.invoke < next.invoke) {
            *next = Some(op);
        }
    }
    let mut waiting: Vec<(bool, Waiting)> = processes
        .into_values()
        .filter_map(|(of, done, next)| {
            let next = next?;
            let at = next.op.object as usize;
            let mut possible = false;
            for state in &held[at] {
                models[at].step(state, next.op.op, &mut |_| possible = true);
            }
            let name = &problem.model.names[at];
            let name = if name.is_empty() { "the object" } else { name };
            let why = match held[at].first().filter(|_| !possible) {
                Some(state) => models[at].describe_conflict(values, state, next.op.op, name),
                None => "it could come next, and led nowhere".to_string(),
            };
            Some((possible, Waiting { op: next.source, done, of, why }))
        })
        .collect();
    waiting.sort_by_key(|(possible, waiting)| (*possible, waiting.op));
    let answered = problem.ops.iter().filter(|op| !op.indeterminate());
    let in_order = placed.iter().filter(|s| by_source.get(s).is_some_and(|op| !op.indeterminate())).count();
    Stuck {
        placed: in_order as u32,
        of: answered.count() as u32,
        awaited: waiting.first().map(|(_, waiting)| waiting.op),
        open: waiting.iter().map(|(_, waiting)| waiting.op).collect(),
        unanswered: problem.ops.iter().filter(|op| op.indeterminate()).count() as u32,
        width: waiting.len() as u32,
        distinct: problem.ops.iter().map(|op| op.op).collect::<FxHashSet<_>>().len() as u32,
        states,
        waiting: waiting.into_iter().map(|(_, waiting)| waiting).collect(),
    }
}
