//! Things that elements are put into and taken out of, each once: a bag, a stack, a priority queue.
//!
//! ```text
//!   bag             enqueue: v    dequeue: null → v         any of those that are in
//!   stack           push: v       pop, peek: null → v       the one that came last
//!   priority-queue  insert: n     delete-min, peek: null → n    the smallest
//! ```
//! Null is the answer of an empty one.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Exact, Held, bag, priority_queue};
use crate::model::{IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{ModelName, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, ValueId};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Which element is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discipline {
    /// Any.
    Bag,
    /// The last one.
    Stack,
    /// The smallest one: elements are numbers.
    PriorityQueue,
}

impl Discipline {
    /// The functions that put, take and look.
    fn functions(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Discipline::Bag => ("enqueue", "dequeue", None),
            Discipline::Stack => ("push", "pop", Some("peek")),
            Discipline::PriorityQueue => ("insert", "delete-min", Some("peek")),
        }
    }

    /// How an element is named that is next.
    fn next(self) -> &'static str {
        match self {
            Discipline::Bag => "in",
            Discipline::Stack => "on top of",
            Discipline::PriorityQueue => "the smallest of",
        }
    }
}

/// A bag, a stack or a priority queue.
#[derive(Clone, Debug)]
pub struct Container {
    /// Which of them.
    pub discipline: Discipline,
    initial: Arc<[i64]>,
}

/// What a client did. Elements are numbers of values, those of a priority queue are themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerOp {
    /// It put this in.
    Put(i64),
    /// It took this out.
    Take(i64),
    /// It saw that this would be taken next.
    Peek(i64),
    /// It was told that there is nothing.
    Empty,
    /// It may have taken something, if there was anything; nobody heard what.
    TakeUnheard,
}

impl Container {
    /// A container that holds `initial`, what came first first.
    pub fn new(discipline: Discipline, initial: &[i64]) -> Container {
        let mut initial = initial.to_vec();
        if discipline != Discipline::Stack {
            initial.sort_unstable();
        }
        Container { discipline, initial: initial.into() }
    }

    /// What is in at first.
    pub fn initial(&self) -> &[i64] {
        &self.initial
    }

    fn element(&self, values: &Interner, id: ValueId, output: bool) -> Result<i64, IllFormed> {
        let value = values.get(id);
        match self.discipline {
            Discipline::PriorityQueue => {
                value.as_int().ok_or_else(|| refuse("a whole number of at most 64 bits", value, output))
            }
            Discipline::Bag | Discipline::Stack if id == ValueId::NULL => {
                // Who takes could not tell it from nothing.
                Err(refuse("a value other than null", value, output))
            }
            Discipline::Bag | Discipline::Stack => Ok(id.0.into()),
        }
    }

    fn name(&self, values: &Interner, element: i64) -> String {
        match (self.discipline, u32::try_from(element)) {
            (Discipline::Bag | Discipline::Stack, Ok(id)) => values.get(ValueId(id)).to_string(),
            (Discipline::Bag | Discipline::Stack, Err(_)) | (Discipline::PriorityQueue, _) => {
                element.to_string()
            }
        }
    }

    /// Where in `state` the element lies that would be taken, if it is one that may be.
    fn place(&self, state: &[i64], element: i64) -> Option<usize> {
        let next = match self.discipline {
            Discipline::Bag => state.binary_search(&element).ok(),
            Discipline::Stack => state.len().checked_sub(1),
            Discipline::PriorityQueue => (!state.is_empty()).then_some(0),
        };
        next.filter(|&at| state[at] == element)
    }
}

fn without(state: &[i64], at: usize) -> Arc<[i64]> {
    state[..at].iter().chain(&state[at + 1..]).copied().collect()
}

impl Specified for Container {
    fn setup(setup: &mut Setup<'_>) -> Result<Container, String> {
        let discipline = match setup.spec.model {
            ModelName::Stack => Discipline::Stack,
            ModelName::PriorityQueue => Discipline::PriorityQueue,
            _ => Discipline::Bag,
        };
        let listed = initial_list(setup, "a list of elements, the first one first")?;
        let empty = Container::new(discipline, &[]);
        let elements: Result<Vec<i64>, IllFormed> =
            listed.iter().map(|&id| empty.element(setup.values, id, false)).collect();
        match elements {
            Ok(elements) => Ok(Container::new(discipline, &elements)),
            Err(refusal) => Err(format!("--initial: expected {}, found {}", refusal.expected, refusal.found)),
        }
    }
}

impl Model for Container {
    /// A stack in its order, the others ascending.
    type State = Arc<[i64]>;
    type Op = ContainerOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<ContainerOp>, IllFormed> {
        let (put, take, peek) = self.discipline.functions();
        let f = function(values, op)?;
        if f != put && f != take && Some(f) != peek {
            let peek = peek.map_or(String::new(), |peek| format!(", {peek}"));
            return Err(unknown(&format!("{put}, {take}{peek}"), f));
        }
        must_apply(op, f)?;
        if f == put {
            let element = self.element(values, op.input, false)?;
            return Ok((op.outcome != Outcome::Fail).then_some(ContainerOp::Put(element)));
        }
        Ok(match op.outcome {
            Outcome::Fail => None,
            Outcome::Info => (f == take).then_some(ContainerOp::TakeUnheard),
            Outcome::Ok if op.output == ValueId::NULL => Some(ContainerOp::Empty),
            Outcome::Ok => {
                let element = self.element(values, op.output, true)?;
                Some(if f == take { ContainerOp::Take(element) } else { ContainerOp::Peek(element) })
            }
        })
    }

    fn init(&self) -> Arc<[i64]> {
        self.initial.clone()
    }

    fn step(&self, state: &Arc<[i64]>, op: ContainerOp, out: &mut impl FnMut(Arc<[i64]>)) {
        match op {
            ContainerOp::Put(element) => {
                let at = match self.discipline {
                    Discipline::Stack => state.len(),
                    Discipline::Bag | Discipline::PriorityQueue => {
                        state.partition_point(|&held| held < element)
                    }
                };
                out(state[..at].iter().chain([&element]).chain(&state[at..]).copied().collect());
            }
            ContainerOp::Take(element) => {
                if let Some(at) = self.place(state, element) {
                    out(without(state, at));
                }
            }
            ContainerOp::Peek(element) => {
                if self.place(state, element).is_some() {
                    out(state.clone());
                }
            }
            ContainerOp::Empty => {
                if state.is_empty() {
                    out(state.clone());
                }
            }
            ContainerOp::TakeUnheard => match self.discipline {
                _ if state.is_empty() => out(state.clone()),
                Discipline::Stack => out(without(state, state.len() - 1)),
                Discipline::PriorityQueue => out(without(state, 0)),
                Discipline::Bag => {
                    for at in (0..state.len()).filter(|&at| at == 0 || state[at] != state[at - 1]) {
                        out(without(state, at));
                    }
                }
            },
        }
    }

    fn is_pure(&self, op: ContainerOp) -> bool {
        match op {
            ContainerOp::Peek(_) | ContainerOp::Empty => true,
            ContainerOp::Put(_) | ContainerOp::Take(_) | ContainerOp::TakeUnheard => false,
        }
    }

    fn only_in(&self, op: ContainerOp) -> Option<Arc<[i64]>> {
        match op {
            ContainerOp::Empty => Some(Arc::from([])),
            ContainerOp::Put(_) | ContainerOp::Take(_) | ContainerOp::Peek(_) | ContainerOp::TakeUnheard => {
                None
            }
        }
    }

    fn state_bytes(&self, state: &Arc<[i64]>) -> usize {
        state.len() * 8 + 32
    }

    /// Elements can be left out whole: every operation that names one, unless an unheard taking may have taken it. The
    /// others lie as they lay, and there is nothing more often.
    fn project(&self, ops: &[ObjOp<ContainerOp>], keep: &mut [bool], _: Property) -> Problem<Container> {
        let unheard = ops.iter().any(|op| op.op == ContainerOp::TakeUnheard);
        let mut wanted: FxHashMap<i64, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let ContainerOp::Put(element) | ContainerOp::Take(element) = op.op {
                *wanted.entry(element).or_default() |= *kept || unheard;
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                ContainerOp::Put(element) | ContainerOp::Take(element) => *kept = wanted[&element],
                ContainerOp::Peek(element) => *kept &= wanted.get(&element) != Some(&false),
                ContainerOp::TakeUnheard => *kept = true,
                ContainerOp::Empty => {}
            }
        }
        let stays = |element: &&i64| wanted.get(element) != Some(&false);
        let initial = self.initial.iter().filter(stays).copied().collect();
        let model = Container { discipline: self.discipline, initial };
        Problem { model, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<ContainerOp>]) -> Option<Exact> {
        let held = |op| match op {
            ContainerOp::Put(element) => Held::Put(element),
            ContainerOp::Take(element) => Held::Take(element),
            ContainerOp::Peek(_) => Held::Peek,
            ContainerOp::Empty => Held::Empty,
            ContainerOp::TakeUnheard => Held::TakeUnheard,
        };
        match self.discipline {
            Discipline::Bag => bag(ops, &self.initial, held),
            Discipline::PriorityQueue => priority_queue(ops, &self.initial, held),
            Discipline::Stack => None,
        }
    }

    fn describe_op(&self, values: &Interner, op: ContainerOp) -> String {
        let (put, take, peek) = self.discipline.functions();
        let peek = peek.unwrap_or(take);
        match op {
            ContainerOp::Put(element) => format!("{put} {}", self.name(values, element)),
            ContainerOp::Take(element) => format!("{take} → {}", self.name(values, element)),
            ContainerOp::Peek(element) => format!("{peek} → {}", self.name(values, element)),
            ContainerOp::Empty => format!("{take} → empty"),
            ContainerOp::TakeUnheard => take.to_string(),
        }
    }

    fn describe_state(&self, values: &Interner, state: &Arc<[i64]>) -> String {
        let held: Vec<String> = state.iter().map(|&element| self.name(values, element)).collect();
        format!("[{}]", held.join(" "))
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Arc<[i64]>,
        op: ContainerOp,
        object: &str,
    ) -> String {
        let next = self.discipline.next();
        let held = match (self.discipline, &**state) {
            (_, []) => format!("{object} is empty"),
            (Discipline::Bag, _) => format!("{object} holds {}", self.describe_state(values, state)),
            (Discipline::Stack, [.., last]) => format!("{} is {next} {object}", self.name(values, *last)),
            (Discipline::PriorityQueue, [first, ..]) => {
                format!("{} is {next} {object}", self.name(values, *first))
            }
        };
        match op {
            ContainerOp::Take(element) => format!("it took {}, but {held}", self.name(values, element)),
            ContainerOp::Peek(element) => format!("it saw {}, but {held}", self.name(values, element)),
            ContainerOp::Empty => format!("it found nothing, but {held}"),
            ContainerOp::Put(_) | ContainerOp::TakeUnheard => {
                format!("nothing speaks against it: {held}")
            }
        }
    }
}
