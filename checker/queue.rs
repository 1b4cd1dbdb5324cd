//! A first-in-first-out queue. Dequeuing from an empty queue is answered with null.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{self, Exact};
use crate::model::{Advance, Forced, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Interner, NEVER, Op, Outcome, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    initial: Arc<[ValueId]>,
    /// Elements of which there is one, and somebody hears that he takes it: an unheard dequeue never does.
    heard: Arc<FxHashSet<ValueId>>,
}

/// What a client did with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QueueOp {
    /// It put this behind all others.
    Enqueue(ValueId),
    /// It took this from the front.
    Dequeue(ValueId),
    /// It was told that there is nothing.
    Empty,
    /// It may have taken what was in front, if anything; nobody heard what.
    DequeueUnheard,
}

impl Queue {
    /// A queue that holds `initial`, front first.
    pub fn new(initial: &[ValueId]) -> Queue {
        Queue { initial: initial.into(), heard: Arc::default() }
    }
}

impl Specified for Queue {
    fn setup(setup: &mut Setup<'_>) -> Result<Queue, String> {
        Ok(Queue::new(&initial_list(setup, "a list, front first")?))
    }
}

impl Model for Queue {
    /// What it holds, front first.
    type State = Arc<VecDeque<ValueId>>;
    type Op = QueueOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<QueueOp>, IllFormed> {
        match function(values, op)? {
            "enqueue" => {
                must_apply(op, "enqueue")?;
                if op.input == ValueId::NULL {
                    // A dequeue could not tell it from an empty queue.
                    return Err(refuse("a value other than null to enqueue", &Value::Null, false));
                }
                Ok((op.outcome != Outcome::Fail).then_some(QueueOp::Enqueue(op.input)))
            }
            "dequeue" => {
                must_apply(op, "dequeue")?;
                Ok(match op.outcome {
                    Outcome::Fail => None,
                    Outcome::Info => Some(QueueOp::DequeueUnheard),
                    Outcome::Ok if op.output == ValueId::NULL => Some(QueueOp::Empty),
                    Outcome::Ok => Some(QueueOp::Dequeue(op.output)),
                })
            }
            f => Err(unknown("enqueue or dequeue", f)),
        }
    }

    fn exact(&self, ops: &[ObjOp<QueueOp>], stop: &AtomicBool) -> Option<Exact> {
        if self.initial.is_empty() { exact::fifo(ops, stop) } else { None }
    }

    fn init(&self) -> Arc<VecDeque<ValueId>> {
        Arc::new(self.initial.iter().copied().collect())
    }

    fn step(
        &self,
        state: &Arc<VecDeque<ValueId>>,
        op: QueueOp,
        out: &mut impl FnMut(Arc<VecDeque<ValueId>>),
    ) {
        let mut next = state.clone();
        if self.advance(&mut next, op) == Advance::Done {
            out(next);
        }
    }

    fn advance(&self, state: &mut Arc<VecDeque<ValueId>>, op: QueueOp) -> Advance {
        let takes = match (op, state.front()) {
            (QueueOp::Enqueue(v), _) => {
                Arc::make_mut(state).push_back(v);
                return Advance::Done;
            }
            (QueueOp::Empty | QueueOp::DequeueUnheard, None) => return Advance::Done,
            (QueueOp::Dequeue(v), front) => front == Some(&v),
            (QueueOp::DequeueUnheard, Some(front)) => !self.heard.contains(front),
            (QueueOp::Empty, Some(_)) => false,
        };
        if !takes {
            return Advance::Illegal;
        }
        Arc::make_mut(state).pop_front();
        Advance::Done
    }

    fn is_pure(&self, op: QueueOp) -> bool {
        match op {
            QueueOp::Empty => true,
            QueueOp::Enqueue(_) | QueueOp::Dequeue(_) | QueueOp::DequeueUnheard => false,
        }
    }

    fn only_in(&self, op: QueueOp) -> Option<Arc<VecDeque<ValueId>>> {
        match op {
            QueueOp::Empty => Some(Arc::default()),
            QueueOp::Enqueue(_) | QueueOp::Dequeue(_) | QueueOp::DequeueUnheard => None,
        }
    }

    /// An unanswered enqueue of what nobody heard that he took: if it came at all, and an unheard dequeue took it, neither
    /// need have happened; if none did, it only stood in the way.
    fn superfluous(&self, ops: &[ObjOp<QueueOp>]) -> Vec<bool> {
        let heard: FxHashSet<ValueId> = ops
            .iter()
            .filter(|op| !op.indeterminate())
            .filter_map(|op| match op.op {
                QueueOp::Dequeue(v) => Some(v),
                QueueOp::Enqueue(_) | QueueOp::Empty | QueueOp::DequeueUnheard => None,
            })
            .collect();
        ops.iter()
            .map(|op| match op.op {
                QueueOp::Enqueue(v) => op.indeterminate() && !heard.contains(&v),
                QueueOp::Dequeue(_) | QueueOp::Empty | QueueOp::DequeueUnheard => false,
            })
            .collect()
    }

    fn informed(&self, ops: &[ObjOp<QueueOp>]) -> Option<Queue> {
        let mut comes: FxHashMap<ValueId, u32> = FxHashMap::default();
        self.initial.iter().for_each(|&v| *comes.entry(v).or_default() += 1);
        for op in ops {
            if let QueueOp::Enqueue(v) = op.op {
                *comes.entry(v).or_default() += 1;
            }
        }
        let goes = ops.iter().filter_map(|op| match op.op {
            QueueOp::Dequeue(v) if !op.indeterminate() => Some(v),
            QueueOp::Dequeue(_) | QueueOp::Enqueue(_) | QueueOp::Empty | QueueOp::DequeueUnheard => None,
        });
        let heard = goes.filter(|v| comes.get(v) == Some(&1)).collect();
        let unheard = ops.iter().any(|op| op.op == QueueOp::DequeueUnheard);
        unheard.then(|| Queue { initial: self.initial.clone(), heard: Arc::new(heard) })
    }

    /// Where each element comes and goes once, elements come in the order in which they go, those that stay come last,
    /// and they go in the order in which they came.
    fn forced_order(&self, ops: &[ObjOp<QueueOp>]) -> Vec<Forced> {
        let mut comes: FxHashMap<ValueId, Vec<usize>> = FxHashMap::default();
        let mut goes: FxHashMap<ValueId, Vec<usize>> = FxHashMap::default();
        for (i, op) in ops.iter().enumerate() {
            match op.op {
                QueueOp::Enqueue(v) => comes.entry(v).or_default().push(i),
                QueueOp::Dequeue(v) => goes.entry(v).or_default().push(i),
                QueueOp::Empty | QueueOp::DequeueUnheard => {}
            }
        }
        let unheard = ops.iter().any(|op| op.op == QueueOp::DequeueUnheard);
        // A dequeue that has not returned yet may never happen. Where an unheard one may take its element instead, it
        // says nothing about anybody.
        let open = |i: usize| unheard && ops[i].indeterminate();
        let only = |of: Option<&Vec<usize>>| match of.map(Vec::as_slice) {
            None => Some(None),
            Some([one]) => Some(Some(*one)),
            Some(_) => None,
        };
        let place = |op: &ObjOp<QueueOp>| {
            let (QueueOp::Enqueue(v) | QueueOp::Dequeue(v)) = op.op else { return Forced::FREE };
            let (Some(Some(come)), Some(go)) = (only(comes.get(&v)), only(goes.get(&v))) else {
                return Forced::FREE;
            };
            if self.initial.contains(&v) || go.is_some_and(open) {
                return Forced::FREE;
            }
            match (op.op, go) {
                (QueueOp::Enqueue(_), Some(go)) => {
                    Forced { group: 0, earliest: ops[go].invoke, latest: ops[go].ret, late: false }
                }
                (QueueOp::Enqueue(_), None) if !unheard => {
                    Forced { group: 0, earliest: NEVER, latest: NEVER, late: true }
                }
                // Some unheard dequeue may have taken it, but most likely it has stayed.
                (QueueOp::Enqueue(_), None) => Forced { late: true, ..Forced::FREE },
                (QueueOp::Dequeue(_), _) => {
                    Forced { group: 1, earliest: ops[come].invoke, latest: ops[come].ret, late: false }
                }
                (QueueOp::Empty | QueueOp::DequeueUnheard, _) => Forced::FREE,
            }
        };
        ops.iter().map(place).collect()
    }

    fn state_bytes(&self, state: &Arc<VecDeque<ValueId>>) -> usize {
        // Two allocations, which have a head each.
        state.capacity() * 4 + 112
    }

    /// Elements can be left out whole: every operation that names one, unless an unheard dequeue may have taken it.
    /// The order of the others in the queue stays, and it is empty more often.
    fn project(&self, ops: &[ObjOp<QueueOp>], keep: &mut [bool], _: Property) -> Problem<Queue> {
        // Whoever took what nobody put in has no order in any history, and needs nobody else to show that.
        let mut put: FxHashSet<ValueId> = self.initial.iter().copied().collect();
        put.extend(ops.iter().filter_map(|op| match op.op {
            QueueOp::Enqueue(v) => Some(v),
            QueueOp::Dequeue(_) | QueueOp::Empty | QueueOp::DequeueUnheard => None,
        }));
        let alone = ops.iter().zip(keep.iter()).any(|(op, kept)| match op.op {
            QueueOp::Dequeue(v) => *kept && !op.indeterminate() && !put.contains(&v),
            QueueOp::Enqueue(_) | QueueOp::Empty | QueueOp::DequeueUnheard => false,
        });
        let unheard = !alone && ops.iter().any(|op| op.op == QueueOp::DequeueUnheard);
        let mut wanted: FxHashMap<ValueId, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let QueueOp::Enqueue(v) | QueueOp::Dequeue(v) = op.op {
                *wanted.entry(v).or_default() |= *kept || unheard;
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                QueueOp::Enqueue(v) | QueueOp::Dequeue(v) => *kept = wanted[&v],
                QueueOp::DequeueUnheard => *kept |= unheard,
                QueueOp::Empty => {}
            }
        }
        let stays = |v: &&ValueId| wanted.get(v) != Some(&false);
        let initial = self.initial.iter().filter(stays).copied().collect();
        let model = Queue { initial, heard: self.heard.clone() };
        Problem { model, ops: crate::model::kept(ops, keep) }
    }

    fn describe_op(&self, values: &Interner, op: QueueOp) -> String {
        match op {
            QueueOp::Enqueue(v) => format!("enqueue {}", values.get(v)),
            QueueOp::Dequeue(v) => format!("dequeue → {}", values.get(v)),
            QueueOp::Empty => "dequeue → empty".to_string(),
            QueueOp::DequeueUnheard => "dequeue".to_string(),
        }
    }

    fn describe_state(&self, values: &Interner, state: &Arc<VecDeque<ValueId>>) -> String {
        let held: Vec<String> = state.iter().map(|&v| values.get(v).to_string()).collect();
        format!("[{}]", held.join(" "))
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Arc<VecDeque<ValueId>>,
        op: QueueOp,
        object: &str,
    ) -> String {
        let front = match state.front() {
            Some(&v) => format!("{} is at the front of {object}", values.get(v)),
            None => format!("{object} is empty"),
        };
        match op {
            QueueOp::Dequeue(v) => format!("it took {}, but {front}", values.get(v)),
            QueueOp::Empty => format!("it found nothing, but {front}"),
            QueueOp::Enqueue(_) | QueueOp::DequeueUnheard => format!("nothing speaks against it: {front}"),
        }
    }
}
