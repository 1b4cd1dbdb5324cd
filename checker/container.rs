//! Things that elements are put into and taken out of, each once: a bag, a stack, a priority queue.
//!
//! ```text
//!   bag             enqueue: v    dequeue: null → v         any of those that are in
//!   stack           push: v       pop, peek: null → v       the one that came last
//!   priority-queue  insert: n     delete-min, peek: null → n    the smallest
//! ```
//! Null is the answer of an empty one.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Exact, Held, bag, heard_of, priority_queue, stack, stack_heard_of};
use crate::model::{Advance, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{ModelName, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

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
    /// What a history says in the end, for [`Model::informed`].
    known: Option<Arc<Known>>,
}

/// What somebody knows who has seen the whole history of a bag.
#[derive(Clone, Debug)]
struct Known {
    /// Elements that nobody heard of again: which of them an unheard taking takes is all the same.
    lost: FxHashSet<i64>,
    /// Elements that were put in more often than anybody heard that he took them.
    spare: FxHashSet<i64>,
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
        Container { discipline, initial: initial.into(), known: None }
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

    /// What an unheard taking may take from a bag.
    fn may_go<'a>(&'a self, all: &'a BTreeMap<i64, u32>) -> impl Iterator<Item = i64> + 'a {
        let known = self.known.as_deref();
        let lost = known.and_then(|known| all.keys().find(|element| known.lost.contains(element)));
        all.keys().copied().filter(move |element| {
            known.is_none_or(|known| Some(element) == lost || known.spare.contains(element))
        })
    }

    /// Whether `element` may be taken from `inside`.
    fn takes(&self, inside: &Inside, element: i64) -> bool {
        match (self.discipline, inside) {
            (Discipline::PriorityQueue, Inside::Sorted(all)) => {
                all.first_key_value().is_some_and(|(&first, _)| first == element)
            }
            (_, Inside::Sorted(all)) => all.contains_key(&element),
            (_, Inside::Stacked(all)) => all.last() == Some(&element),
        }
    }
}

/// What is in a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Inside {
    /// In the order of their coming.
    Stacked(Vec<i64>),
    /// How often each is there.
    Sorted(BTreeMap<i64, u32>),
}

impl Inside {
    fn is_empty(&self) -> bool {
        match self {
            Inside::Stacked(all) => all.is_empty(),
            Inside::Sorted(all) => all.is_empty(),
        }
    }

    fn put(&mut self, element: i64) {
        match self {
            Inside::Stacked(all) => all.push(element),
            Inside::Sorted(all) => *all.entry(element).or_default() += 1,
        }
    }

    /// Takes one that is there: of a stack the last one, which it is.
    fn take(&mut self, element: i64) {
        match self {
            Inside::Stacked(all) => {
                all.pop();
            }
            Inside::Sorted(all) => {
                if let Some(times) = all.get_mut(&element) {
                    *times -= 1;
                    if *times == 0 {
                        all.remove(&element);
                    }
                }
            }
        }
    }

    /// All, what came first or is smallest first. O(n).
    pub fn all(&self) -> Vec<i64> {
        match self {
            Inside::Stacked(all) => all.clone(),
            Inside::Sorted(all) => {
                all.iter().flat_map(|(&element, &times)| (0..times).map(move |_| element)).collect()
            }
        }
    }
}

/// What exact methods need to know of an operation.
fn held(op: ContainerOp) -> Held {
    match op {
        ContainerOp::Put(element) => Held::Put(element),
        ContainerOp::Take(element) => Held::Take(element),
        ContainerOp::Peek(_) => Held::Peek,
        ContainerOp::Empty => Held::Empty,
        ContainerOp::TakeUnheard => Held::TakeUnheard,
    }
}

/// How often each element was taken or seen for certain.
fn seen(ops: &[ObjOp<ContainerOp>]) -> FxHashMap<i64, usize> {
    let mut seen: FxHashMap<i64, usize> = FxHashMap::default();
    for op in ops.iter().filter(|op| !op.indeterminate()) {
        if let ContainerOp::Take(element) | ContainerOp::Peek(element) = op.op {
            *seen.entry(element).or_default() += 1;
        }
    }
    seen
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
    type State = Arc<Inside>;
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

    fn init(&self) -> Arc<Inside> {
        let mut inside = match self.discipline {
            Discipline::Stack => Inside::Stacked(Vec::new()),
            Discipline::Bag | Discipline::PriorityQueue => Inside::Sorted(BTreeMap::new()),
        };
        self.initial.iter().for_each(|&element| inside.put(element));
        Arc::new(inside)
    }

    fn step(&self, state: &Arc<Inside>, op: ContainerOp, out: &mut impl FnMut(Arc<Inside>)) {
        let mut next = state.clone();
        match (self.advance(&mut next, op), &**state) {
            (Advance::Done, _) => out(next),
            (Advance::Open, Inside::Sorted(all)) => {
                for element in self.may_go(all) {
                    let mut without = state.clone();
                    Arc::make_mut(&mut without).take(element);
                    out(without);
                }
            }
            (Advance::Illegal, _) | (Advance::Open, Inside::Stacked(_)) => {}
        }
    }

    fn advance(&self, state: &mut Arc<Inside>, op: ContainerOp) -> Advance {
        let legal = match op {
            ContainerOp::Put(element) => {
                Arc::make_mut(state).put(element);
                true
            }
            ContainerOp::Take(element) => {
                let takes = self.takes(state, element);
                if takes {
                    Arc::make_mut(state).take(element);
                }
                takes
            }
            ContainerOp::Peek(element) => self.takes(state, element),
            ContainerOp::Empty => state.is_empty(),
            ContainerOp::TakeUnheard => {
                let next = match (&**state, self.discipline) {
                    (Inside::Stacked(all), _) => all.last().copied(),
                    (Inside::Sorted(all), Discipline::Bag) => {
                        let mut may = self.may_go(all);
                        match (may.next(), may.next()) {
                            (Some(_), Some(_)) => return Advance::Open,
                            (None, _) if !all.is_empty() => return Advance::Illegal,
                            (next, _) => next,
                        }
                    }
                    (Inside::Sorted(all), _) => all.keys().next().copied(),
                };
                if let Some(element) = next {
                    Arc::make_mut(state).take(element);
                }
                true
            }
        };
        if legal { Advance::Done } else { Advance::Illegal }
    }

    fn is_pure(&self, op: ContainerOp) -> bool {
        match op {
            ContainerOp::Peek(_) | ContainerOp::Empty => true,
            ContainerOp::Put(_) | ContainerOp::Take(_) | ContainerOp::TakeUnheard => false,
        }
    }

    fn only_in(&self, op: ContainerOp) -> Option<Arc<Inside>> {
        match op {
            ContainerOp::Empty => Some(Container::new(self.discipline, &[]).init()),
            ContainerOp::Put(_) | ContainerOp::Take(_) | ContainerOp::Peek(_) | ContainerOp::TakeUnheard => {
                None
            }
        }
    }

    /// An unheard taking took something that nobody takes later.
    fn tell(&self, ordered: &[ContainerOp]) -> Option<Vec<ContainerOp>> {
        if self.discipline != Discipline::Bag || !ordered.contains(&ContainerOp::TakeUnheard) {
            return None;
        }
        // How often each is there, without those that will be taken; what is left over may go.
        let mut over: FxHashMap<i64, i64> = FxHashMap::default();
        for op in ordered {
            if let ContainerOp::Take(element) = op {
                *over.entry(*element).or_default() -= 1;
            }
        }
        let (mut free, mut inside) = (Vec::new(), 0_usize);
        for &element in self.initial.iter() {
            let more = over.entry(element).or_default();
            *more += 1;
            free.extend((*more > 0).then_some(element));
            inside += 1;
        }
        let mut told = Vec::with_capacity(ordered.len());
        for &op in ordered {
            told.push(match op {
                ContainerOp::TakeUnheard if inside == 0 => ContainerOp::Empty,
                ContainerOp::TakeUnheard => ContainerOp::Take(free.pop()?),
                told => told,
            });
            match op {
                ContainerOp::Put(element) => {
                    let more = over.entry(element).or_default();
                    *more += 1;
                    free.extend((*more > 0).then_some(element));
                    inside += 1;
                }
                ContainerOp::Take(_) | ContainerOp::TakeUnheard => inside = inside.saturating_sub(1),
                ContainerOp::Peek(_) | ContainerOp::Empty => {}
            }
        }
        Some(told)
    }

    fn may_be(&self, unheard: ContainerOp, told: ContainerOp) -> bool {
        // Without an order nobody can tell what a stack or a priority queue gives.
        let takes = matches!(told, ContainerOp::Take(_) | ContainerOp::Empty);
        unheard == told || (unheard == ContainerOp::TakeUnheard && takes)
    }

    /// An unanswered putting of what nobody heard of again: if an unheard taking took it, neither need have happened.
    fn superfluous(&self, ops: &[ObjOp<ContainerOp>]) -> Vec<bool> {
        let seen = seen(ops);
        let lost = |op: &ObjOp<ContainerOp>| match op.op {
            ContainerOp::Put(element) => op.indeterminate() && !seen.contains_key(&element),
            ContainerOp::Take(_) | ContainerOp::Peek(_) | ContainerOp::Empty | ContainerOp::TakeUnheard => {
                false
            }
        };
        ops.iter().map(lost).collect()
    }

    fn informed(&self, ops: &[ObjOp<ContainerOp>]) -> Option<Container> {
        let unheard = ops.iter().any(|op| op.op == ContainerOp::TakeUnheard);
        if self.discipline != Discipline::Bag || !unheard {
            return None;
        }
        let seen = seen(ops);
        let mut comes: FxHashMap<i64, usize> = FxHashMap::default();
        let put = ops.iter().filter_map(|op| match op.op {
            ContainerOp::Put(element) => Some(element),
            ContainerOp::Take(_) | ContainerOp::Peek(_) | ContainerOp::Empty | ContainerOp::TakeUnheard => {
                None
            }
        });
        put.chain(self.initial.iter().copied()).for_each(|element| *comes.entry(element).or_default() += 1);
        let (mut lost, mut spare) = (FxHashSet::default(), FxHashSet::default());
        for (element, times) in comes {
            match seen.get(&element) {
                None => _ = lost.insert(element),
                Some(&taken) if taken < times => _ = spare.insert(element),
                Some(_) => {}
            }
        }
        // A taking that has not returned may go for this very element.
        for op in ops.iter().filter(|op| op.indeterminate()) {
            if let ContainerOp::Take(element) = op.op {
                lost.remove(&element);
                spare.insert(element);
            }
        }
        Some(Container { known: Some(Arc::new(Known { lost, spare })), ..self.clone() })
    }

    fn state_bytes(&self, state: &Arc<Inside>) -> usize {
        match &**state {
            Inside::Stacked(all) => all.len() * 8 + 56,
            Inside::Sorted(all) => all.len() * 18 + 64,
        }
    }

    /// Elements can be left out whole: every operation that names one. The others lie as they lay, and there is nothing
    /// more often. An unheard taking that took one of them, or nothing, is left out of the order that is left; it can be
    /// left out of the history only if it cannot have taken one of those that are kept, because others took each as often
    /// as it was put in.
    fn project(&self, ops: &[ObjOp<ContainerOp>], keep: &mut [bool], _: Property) -> Problem<Container> {
        // Of those that an operation names, whether it is kept, and how often it came more than somebody heard that he
        // took it.
        let mut elements: FxHashMap<i64, (bool, i64)> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            let (element, over) = match op.op {
                ContainerOp::Put(element) => (element, 1),
                ContainerOp::Take(element) if op.indeterminate() => (element, 0),
                ContainerOp::Take(element) => (element, -1),
                ContainerOp::Peek(_) | ContainerOp::Empty | ContainerOp::TakeUnheard => continue,
            };
            let of = elements.entry(element).or_default();
            *of = (of.0 | *kept, of.1 + over);
        }
        // What was there at first may only have been looked at.
        let mut looked_at: FxHashMap<i64, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            let ContainerOp::Peek(element) = op.op else { continue };
            if !elements.contains_key(&element) {
                *looked_at.entry(element).or_default() |= *kept;
            }
        }
        elements.extend(looked_at.into_iter().map(|(element, kept)| (element, (kept, 0))));
        for element in self.initial.iter() {
            if let Some(of) = elements.get_mut(element) {
                of.1 += 1;
            }
        }
        let unheard = elements.values().any(|&(kept, over)| kept && over > 0);
        // What nobody names only matters to who finds nothing, and to unheard takings.
        let others = unheard || ops.iter().all(|op| op.op != ContainerOp::TakeUnheard);
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                ContainerOp::Put(element) | ContainerOp::Take(element) => *kept = elements[&element].0,
                ContainerOp::Peek(element) => *kept &= elements[&element].0,
                ContainerOp::TakeUnheard => *kept |= unheard,
                ContainerOp::Empty => {}
            }
        }
        let stays = |element: &&i64| elements.get(element).map_or(others, |&(kept, _)| kept);
        let initial = self.initial.iter().filter(stays).copied().collect();
        let model = Container { discipline: self.discipline, initial, known: None };
        Problem { model, ops: crate::model::kept(ops, keep) }
    }

    fn exact(&self, ops: &[ObjOp<ContainerOp>], stop: &AtomicBool) -> Option<Exact> {
        match self.discipline {
            Discipline::Bag => bag(ops, stop, &self.initial, held),
            Discipline::PriorityQueue => priority_queue(ops, stop, &self.initial, held),
            Discipline::Stack => stack(ops, stop, &self.initial, held),
        }
    }

    /// What unheard takings took cannot be known, but the others may have no order by themselves.
    fn refuted(&self, ops: &[ObjOp<ContainerOp>], stop: &AtomicBool) -> Option<Exact> {
        if ops.iter().all(|op| op.op != ContainerOp::TakeUnheard) {
            return None;
        }
        match self.discipline {
            Discipline::Bag => heard_of(ops, stop, &self.initial, held, false),
            Discipline::PriorityQueue => heard_of(ops, stop, &self.initial, held, true),
            Discipline::Stack => stack_heard_of(ops, stop, &self.initial, held),
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

    fn describe_state(&self, values: &Interner, state: &Arc<Inside>) -> String {
        let held: Vec<String> = state.all().iter().map(|&element| self.name(values, element)).collect();
        format!("[{}]", held.join(" "))
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Arc<Inside>,
        op: ContainerOp,
        object: &str,
    ) -> String {
        let next = self.discipline.next();
        let held = match (self.discipline, &state.all()[..]) {
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
