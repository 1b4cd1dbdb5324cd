//! Watches: a store whose every change has a revision, and clients that are told of the changes from a revision on.
//!
//! ```text
//!   put: [name, v] → revision        delete: name → revision, null = there was nothing
//!   watch: from → [upto, [[revision, name, v]…]]      these are all changes from `from` to `upto`; v null = deleted
//!   catch-up: the same, and there are no changes after `upto` yet
//! ```
//! Revisions grow with every change, by any amount: other keys raise them, too. An answer of a watch is judged by itself:
//! whoever goes on where his last answer ended has a stream that is ordered, without repetitions, without gaps, and that
//! is taken up again at the right place, if and only if each of the answers is what the changes say. `watch` may lag behind.
//! `from` null is "from now on": the answer says where that is. `"applied":false` says that the revisions asked for are not
//! kept any more (compacted), with `"observed"` the first that is: that is no promise broken.

use crate::decode::{function, must_apply, pair, refuse, unknown};
use crate::exact::{Exact, Watched, watched};
use crate::model::{Advance, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::spec::{Setup, Specified};
use crate::verdict::Property;
use history::{Applied, Interner, Op, Outcome, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A store that is watched.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    answers: Vec<Answer>,
    /// The revisions that writes were told, in the whole history: nobody else has made them.
    told: Arc<FxHashSet<i64>>,
    /// Other revisions that answers name, by the change that they name with them; ascending.
    seen: Arc<FxHashMap<Change, Vec<i64>>>,
}

/// What a write does: this value under this name, null if it deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Change {
    /// Of what.
    pub name: ValueId,
    /// What it is now.
    pub value: ValueId,
}

/// A change that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// When, in the store's own count.
    pub revision: i64,
    /// What.
    pub change: Change,
}

/// What a watch was told.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The first revision that it is about.
    pub from: i64,
    /// The last one.
    pub upto: i64,
    /// The changes between, as it was told them.
    pub events: Arc<[Event]>,
    /// How many of them are left out here.
    left_out: usize,
}

impl Answer {
    /// Whether it says that the store has counted so far. One that ends before it begins was told nothing: it may have
    /// asked for what is yet to come.
    pub fn claims(&self) -> bool {
        self.from <= self.upto
    }

    /// Whether it is wrong whatever happened: its revisions do not grow from 1 on, or it is not about all of them.
    pub fn impossible(&self) -> bool {
        let outside = |event: &Event| event.revision < self.from.max(1) || event.revision > self.upto;
        self.events.iter().any(outside)
            || self.events.windows(2).any(|two| two[0].revision >= two[1].revision)
    }
}

/// The changes so far, and how far the store has counted: what is made next is larger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// By revision.
    pub events: Vec<Event>,
    /// The largest revision that anybody was told, or 0.
    pub reached: i64,
}

/// What a client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchOp {
    /// It wrote this, and made this revision.
    Write(Change, i64),
    /// It may have written this; nobody heard.
    WriteUnheard(Change),
    /// It got this answer, a number of the model.
    Watch(u32),
    /// The same, and it was told that this is all there is.
    CatchUp(u32),
}

impl Watch {
    /// The answer that [`WatchOp::Watch`] names.
    pub fn answer(&self, number: u32) -> &Answer {
        &self.answers[number as usize]
    }

    /// The revisions at which an unanswered write of `change` may have happened, if anybody saw it: ascending.
    fn candidates(&self, change: Change) -> impl Iterator<Item = i64> + '_ {
        let seen = self.seen.get(&change).map_or(&[][..], Vec::as_slice);
        seen.iter().copied().filter(|revision| !self.told.contains(revision))
    }

    fn read(&mut self, values: &mut Interner, op: &Op) -> Result<u32, IllFormed> {
        let shape = "[upto, [[revision, name, value]…]] as the result of a watch";
        let given = values.get(op.output).clone();
        let no = || refuse(shape, &given, true);
        let Some([Value::Int(upto), Value::List(listed)]) = given.as_list() else { return Err(no()) };
        let mut events = Vec::with_capacity(listed.len());
        for event in listed.iter() {
            let Some([Value::Int(revision), name, value]) = event.as_list() else { return Err(no()) };
            let change = Change { name: values.intern(name), value: values.intern(value) };
            events.push(Event { revision: *revision, change });
        }
        let first = events.first().map_or(upto.saturating_add(1), |event: &Event| event.revision);
        let from = match values.get(op.input) {
            Value::Null => first,
            Value::Int(from) => *from,
            other => return Err(refuse("a revision to watch from, or null", other, false)),
        };
        let seen = Arc::make_mut(&mut self.seen);
        for event in &events {
            let known = seen.entry(event.change).or_default();
            if let Err(at) = known.binary_search(&event.revision) {
                known.insert(at, event.revision);
            }
        }
        self.answers.push(Answer { from, upto: *upto, events: events.into(), left_out: 0 });
        Ok(self.answers.len() as u32 - 1)
    }

    fn write(&mut self, values: &Interner, op: &Op, change: Change) -> Result<Option<WatchOp>, IllFormed> {
        match op.outcome {
            Outcome::Fail => Ok(None),
            Outcome::Info => Ok(Some(WatchOp::WriteUnheard(change))),
            // There was nothing to delete, so nothing changed.
            Outcome::Ok if change.value == ValueId::NULL && op.output == ValueId::NULL => Ok(None),
            Outcome::Ok => {
                let made = values.get(op.output);
                let revision = made.as_int().filter(|&revision| revision > 0);
                let revision = revision.ok_or_else(|| refuse("the revision that it made", made, true))?;
                Arc::make_mut(&mut self.told).insert(revision);
                Ok(Some(WatchOp::Write(change, revision)))
            }
        }
    }

    /// Whether the changes from the first to the last revision of an answer are those that it has.
    fn agrees(&self, store: &Store, answer: &Answer) -> bool {
        between(store, answer) == &answer.events[..]
    }
}

/// The changes that an answer is about.
fn between<'a>(store: &'a Store, answer: &Answer) -> &'a [Event] {
    let first = store.events.partition_point(|event| event.revision < answer.from);
    let end = store.events.partition_point(|event| event.revision <= answer.upto);
    store.events.get(first..end).unwrap_or(&[])
}

impl Specified for Watch {
    fn setup(setup: &mut Setup<'_>) -> Result<Watch, String> {
        match &setup.spec.initial {
            None | Some(Value::Null) => Ok(Watch::default()),
            Some(other) => {
                Err(format!("--initial: a watched store starts without changes (null), found {other}"))
            }
        }
    }
}

impl Model for Watch {
    type State = Arc<Store>;
    type Op = WatchOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<WatchOp>, IllFormed> {
        let f = function(values, op)?;
        match f {
            "put" => {
                must_apply(op, "put")?;
                let [name, value] = pair(values, op.input, "[name, value] as the value of a put")?;
                if value == ValueId::NULL {
                    return Err(refuse("a value other than null, or a delete", &Value::Null, false));
                }
                self.write(values, op, Change { name, value })
            }
            "delete" => {
                must_apply(op, "delete")?;
                self.write(values, op, Change { name: op.input, value: ValueId::NULL })
            }
            "watch" | "catch-up" => {
                let latest = f == "catch-up";
                match op.outcome {
                    Outcome::Fail | Outcome::Info => Ok(None),
                    // What it asked for is not kept any more: nobody has promised it.
                    Outcome::Ok if op.applied == Applied::No => Ok(None),
                    Outcome::Ok => {
                        let number = self.read(values, op)?;
                        Ok(Some(if latest { WatchOp::CatchUp(number) } else { WatchOp::Watch(number) }))
                    }
                }
            }
            f => Err(unknown("put, delete, watch or catch-up", f)),
        }
    }

    fn init(&self) -> Arc<Store> {
        Arc::default()
    }

    fn step(&self, state: &Arc<Store>, op: WatchOp, out: &mut impl FnMut(Arc<Store>)) {
        if let WatchOp::WriteUnheard(change) = op {
            // Where nobody saw it, it changes nothing that anybody could tell: then it is left out.
            for revision in self.candidates(change).filter(|&revision| revision > state.reached) {
                let mut next = state.clone();
                append(&mut next, Event { revision, change });
                out(next);
            }
            return;
        }
        let mut next = state.clone();
        if self.advance(&mut next, op) == Advance::Done {
            out(next);
        }
    }

    fn advance(&self, state: &mut Arc<Store>, op: WatchOp) -> Advance {
        match op {
            WatchOp::Write(_, revision) if revision <= state.reached => return Advance::Illegal,
            WatchOp::Write(change, revision) => append(state, Event { revision, change }),
            WatchOp::WriteUnheard(change) => {
                let reached = state.reached;
                let mut candidates = self.candidates(change).filter(|&revision| revision > reached);
                match (candidates.next(), candidates.next()) {
                    (None, _) => return Advance::Illegal,
                    (Some(revision), None) => {
                        drop(candidates);
                        append(state, Event { revision, change });
                    }
                    (Some(_), Some(_)) => return Advance::Open,
                }
            }
            WatchOp::Watch(number) | WatchOp::CatchUp(number) => {
                let answer = self.answer(number);
                let none_after = || state.events.last().is_none_or(|last| last.revision <= answer.upto);
                let all = matches!(op, WatchOp::Watch(_)) || none_after();
                if !all || !self.agrees(state, answer) {
                    return Advance::Illegal;
                }
                if answer.claims() && state.reached < answer.upto {
                    Arc::make_mut(state).reached = answer.upto;
                }
            }
        }
        Advance::Done
    }

    /// Those that nobody heard of made the revisions that were seen of them, in that order.
    fn tell(&self, ordered: &[WatchOp]) -> Option<Vec<WatchOp>> {
        if !ordered.iter().any(|op| matches!(op, WatchOp::WriteUnheard(_))) {
            return None;
        }
        let mut used: FxHashMap<Change, usize> = FxHashMap::default();
        let told = ordered.iter().map(|&op| match op {
            WatchOp::WriteUnheard(change) => {
                let used = used.entry(change).or_default();
                *used += 1;
                self.candidates(change).nth(*used - 1).map_or(op, |revision| WatchOp::Write(change, revision))
            }
            WatchOp::Write(..) | WatchOp::Watch(_) | WatchOp::CatchUp(_) => op,
        });
        Some(told.collect())
    }

    fn may_be(&self, unheard: WatchOp, told: WatchOp) -> bool {
        match (unheard, told) {
            (WatchOp::WriteUnheard(change), WatchOp::Write(made, revision)) => {
                change == made && self.candidates(change).any(|candidate| candidate == revision)
            }
            _ => unheard == told,
        }
    }

    /// A write that nobody saw.
    fn superfluous(&self, ops: &[ObjOp<WatchOp>]) -> Vec<bool> {
        let unseen = |op: &ObjOp<WatchOp>| match op.op {
            WatchOp::WriteUnheard(change) => op.indeterminate() && self.candidates(change).next().is_none(),
            WatchOp::Write(..) | WatchOp::Watch(_) | WatchOp::CatchUp(_) => false,
        };
        ops.iter().map(unseen).collect()
    }

    fn state_bytes(&self, state: &Arc<Store>) -> usize {
        size_of_val(&state.events[..]) + 64
    }

    /// Watches can be left out: they only say how far the store has counted. Writes can be left out whole, with every
    /// mention in what answers list: one that was told its revision by that revision, which no other write can have
    /// made; those that nobody heard of all together for each change, with that change wherever it has a revision that
    /// no write was told. What is left has its revisions, which still grow. An answer that is impossible by itself stays as
    /// it is: with it there is no legal order of anything.
    fn project(&self, ops: &[ObjOp<WatchOp>], keep: &mut [bool], _: Property) -> Problem<Watch> {
        let mut revisions: FxHashMap<i64, bool> = FxHashMap::default();
        let mut unheard: FxHashMap<Change, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            match op.op {
                WatchOp::Write(_, revision) => *revisions.entry(revision).or_default() |= *kept,
                WatchOp::WriteUnheard(change) => *unheard.entry(change).or_default() |= *kept,
                WatchOp::Watch(_) | WatchOp::CatchUp(_) => {}
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                WatchOp::Write(_, revision) => *kept = revisions[&revision],
                WatchOp::WriteUnheard(change) => *kept = unheard[&change],
                WatchOp::Watch(_) | WatchOp::CatchUp(_) => {}
            }
        }
        let stays = |event: &&Event| match self.told.contains(&event.revision) {
            true => revisions.get(&event.revision) != Some(&false),
            false => unheard.get(&event.change) != Some(&false),
        };
        let mut model = Watch { told: self.told.clone(), ..Watch::default() };
        let mut seen: FxHashMap<Change, Vec<i64>> = FxHashMap::default();
        let mut ops = crate::model::kept(ops, keep);
        for op in &mut ops {
            let (WatchOp::Watch(number) | WatchOp::CatchUp(number)) = &mut op.op else { continue };
            let answer = self.answer(*number);
            let whole = answer.impossible();
            let events: Arc<[Event]> =
                answer.events.iter().filter(|event| whole || stays(event)).copied().collect();
            for event in events.iter() {
                let known = seen.entry(event.change).or_default();
                if let Err(at) = known.binary_search(&event.revision) {
                    known.insert(at, event.revision);
                }
            }
            let left_out = answer.left_out + answer.events.len() - events.len();
            *number = model.answers.len() as u32;
            model.answers.push(Answer { events, left_out, ..*answer });
        }
        model.seen = Arc::new(seen);
        Problem { model, ops }
    }

    fn exact(&self, ops: &[ObjOp<WatchOp>], stop: &AtomicBool) -> Option<Exact> {
        watched(ops, stop, &self.told, |op| match op {
            WatchOp::Write(change, revision) => Watched::Wrote(change, Some(revision)),
            WatchOp::WriteUnheard(change) => Watched::Wrote(change, None),
            WatchOp::Watch(number) => Watched::Told { answer: self.answer(number), all: false },
            WatchOp::CatchUp(number) => Watched::Told { answer: self.answer(number), all: true },
        })
    }

    fn describe_op(&self, values: &Interner, op: WatchOp) -> String {
        match op {
            WatchOp::Write(change, revision) => format!("{} → revision {revision}", written(values, change)),
            WatchOp::WriteUnheard(change) => written(values, change),
            WatchOp::Watch(number) => format!("watch {}", told(values, self.answer(number))),
            WatchOp::CatchUp(number) => format!("catch-up {}", told(values, self.answer(number))),
        }
    }

    fn describe_state(&self, values: &Interner, state: &Arc<Store>) -> String {
        let events: Vec<String> = state.events.iter().map(|&event| happened(values, event)).collect();
        match &events[..] {
            [] if state.reached == 0 => "nothing yet".to_string(),
            [] => format!("revision {}", state.reached),
            events if state.events.last().is_some_and(|last| last.revision == state.reached) => {
                events.join(", ")
            }
            events => format!("{}, revision {}", events.join(", "), state.reached),
        }
    }

    fn describe_conflict(&self, values: &Interner, state: &Arc<Store>, op: WatchOp, object: &str) -> String {
        let (answer, all) = match op {
            WatchOp::Write(_, revision) if revision <= state.reached => {
                return format!(
                    "it made revision {revision}, but {object} was at revision {} already",
                    state.reached
                );
            }
            WatchOp::Write(..) | WatchOp::WriteUnheard(_) => {
                return format!("nothing speaks against it: {object} was at revision {}", state.reached);
            }
            WatchOp::Watch(number) => (self.answer(number), false),
            WatchOp::CatchUp(number) => (self.answer(number), true),
        };
        if let Some(wrong) = conflict(values, between(state, answer), answer) {
            return wrong;
        }
        match state.events.last().filter(|last| all && last.revision > answer.upto) {
            Some(&last) => {
                let upto = answer.upto;
                format!("it was told that {upto} is the last, but {object} had {}", happened(values, last))
            }
            None => "nothing speaks against it".to_string(),
        }
    }
}

/// So many events of an answer are shown.
const SHOWN_MAX: usize = 8;

fn append(state: &mut Arc<Store>, event: Event) {
    let store = Arc::make_mut(state);
    store.events.push(event);
    store.reached = event.revision;
}

/// Why an answer is not what happened, in words.
fn conflict(values: &Interner, happened_then: &[Event], answer: &Answer) -> Option<String> {
    let show = |event: Event| happened(values, event);
    if let Some(early) = answer.events.iter().find(|event| event.revision < answer.from) {
        return Some(format!("it asked from {} on, and was told of {}", answer.from, show(*early)));
    }
    if let Some(late) = answer.events.iter().find(|event| event.revision > answer.upto) {
        return Some(format!("it was told that this is all up to {}, and of {}", answer.upto, show(*late)));
    }
    if let Some(two) = answer.events.windows(2).find(|two| two[0].revision >= two[1].revision) {
        return Some(format!("it was told of {} after {}", show(two[1]), show(two[0])));
    }
    let missing = happened_then.iter().find(|event| !answer.events.contains(event));
    let made_up = answer.events.iter().find(|event| !happened_then.contains(event));
    match (missing, made_up) {
        (Some(&there), Some(&other)) if there.revision == other.revision => {
            Some(format!("it was told of {}, but it was {}", show(other), show(there)))
        }
        (_, Some(&other)) => Some(format!("it was told of {}, which nobody had made", show(other))),
        (Some(&there), None) => Some(format!(
            "it was told that this is all up to {}, but {} is missing",
            answer.upto,
            show(there)
        )),
        (None, None) => None,
    }
}

fn written(values: &Interner, change: Change) -> String {
    match change.value {
        ValueId::NULL => format!("delete {}", values.get(change.name)),
        value => format!("put {} = {}", values.get(change.name), values.get(value)),
    }
}

/// `12: a = 7`, `13: a deleted`
fn happened(values: &Interner, event: Event) -> String {
    let name = values.get(event.change.name);
    match event.change.value {
        ValueId::NULL => format!("{}: {name} deleted", event.revision),
        value => format!("{}: {name} = {}", event.revision, values.get(value)),
    }
}

/// `from 10 up to 14 → [12: a = 7, 2 more]`
fn told(values: &Interner, answer: &Answer) -> String {
    let events = &answer.events[..];
    // Of a long answer its ends; what is wrong with it is said beside it.
    let (first, last) =
        if events.len() > SHOWN_MAX { (4, events.len() - 2) } else { (events.len(), events.len()) };
    let show = |events: &[Event]| events.iter().map(|&event| happened(values, event)).collect::<Vec<_>>();
    let more = answer.left_out + last - first;
    let more = (more > 0).then(|| format!("{more} more"));
    let shown: Vec<String> =
        [show(&events[..first]), more.into_iter().collect(), show(&events[last..])].concat();
    format!("from {} up to {} → [{}]", answer.from, answer.upto, shown.join(", "))
}
