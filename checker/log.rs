//! A log that is only appended to: a partition of Kafka, a stream, Elle's list.
//!
//! ```text
//!   append: v → offset (append-log) or nothing (list-append)
//!   read: null → [v…], all of it    read: offset → v, null = nothing there yet
//! ```
//! Offsets count from 0, or from the length of what the log starts with.

use crate::decode::{function, must_apply, refuse, unknown};
use crate::exact::{Exact, Logged, logs};
use crate::model::{Advance, IllFormed, Model};
use crate::problem::{ObjOp, Problem};
use crate::register::initial_list;
use crate::spec::{ModelName, NilRead, Setup, Specified};
use crate::verdict::Property;
use history::{Interner, Op, Outcome, Value, ValueId};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// A log.
#[derive(Clone, Debug)]
pub struct Log {
    initial: Arc<[Entry]>,
    nil_read: NilRead,
    /// Whether answers of appends are offsets.
    offsets: bool,
    snapshots: Vec<Arc<[Entry]>>,
    /// How long each list was when it was read, whatever was left out of it since.
    lengths: Vec<u32>,
    numbered: FxHashMap<ValueId, u32>,
    /// Whether entries are left out, so that positions are those that were told, and may jump.
    gaps: bool,
}

/// What was appended, and where as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What.
    pub value: ValueId,
    /// Where: [`UNTOLD`] where the place follows from the state, or nobody was told.
    pub at: u32,
}

impl From<Entry> for ValueId {
    fn from(entry: Entry) -> ValueId {
        entry.value
    }
}

/// No known position.
pub const UNTOLD: u32 = u32::MAX;

/// What a client did with a log, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LogOp {
    /// It appended this at this position.
    AppendAt(ValueId, u32),
    /// It appended this, and nobody heard where.
    Append(ValueId),
    /// The same, and somebody in the core read it at this position.
    AppendSeen(ValueId, u32),
    /// It read this list, a number of the model.
    Read(u32),
    /// It read this at this position.
    ReadAt(u32, ValueId),
    /// It was told that there is nothing at this position yet.
    End(u32),
}

impl Log {
    /// A log that starts with `initial`. With `offsets`, answers of appends are positions.
    pub fn new(initial: &[ValueId], offsets: bool, nil_read: NilRead) -> Log {
        let initial: Vec<Entry> = initial.iter().map(|&value| Entry { value, at: UNTOLD }).collect();
        Log {
            initial: initial.into(),
            nil_read,
            offsets,
            snapshots: Vec::new(),
            lengths: Vec::new(),
            numbered: FxHashMap::default(),
            gaps: false,
        }
    }

    /// What the log starts with.
    pub fn initial(&self) -> &[Entry] {
        &self.initial
    }

    /// The list that [`LogOp::Read`] names, with the position of each entry.
    pub fn list(&self, number: u32) -> &[Entry] {
        &self.snapshots[number as usize]
    }

    fn snapshot(&mut self, values: &mut Interner, id: ValueId) -> Result<u32, IllFormed> {
        if let Some(&number) = self.numbered.get(&id) {
            return Ok(number);
        }
        let listed = match values.get(id) {
            Value::Null => Vec::new(),
            Value::List(items) => items.to_vec(),
            other => return Err(refuse("a list of what was appended as the result of a read", other, true)),
        };
        let entry = |(at, value): (u32, &Value)| Entry { value: values.intern(value), at };
        self.snapshots.push((0..).zip(&listed).map(entry).collect());
        self.lengths.push(listed.len() as u32);
        let number = self.snapshots.len() as u32 - 1;
        self.numbered.insert(id, number);
        Ok(number)
    }

    /// Gives appends of which nobody was told the position the one at which somebody read what was appended once.
    fn place(&self, ops: &mut [ObjOp<LogOp>]) {
        let mut times: FxHashMap<ValueId, usize> = FxHashMap::default();
        let mut read: FxHashMap<ValueId, u32> = FxHashMap::default();
        for entry in self.initial.iter() {
            *times.entry(entry.value).or_default() += 1;
        }
        for op in ops.iter() {
            match op.op {
                LogOp::AppendAt(value, _) | LogOp::Append(value) | LogOp::AppendSeen(value, _) => {
                    *times.entry(value).or_default() += 1;
                }
                LogOp::Read(number) if !op.indeterminate() => {
                    read.extend(self.list(number).iter().map(|entry| (entry.value, entry.at)));
                }
                LogOp::ReadAt(at, value) if !op.indeterminate() => {
                    read.insert(value, at);
                }
                LogOp::Read(_) | LogOp::ReadAt(..) | LogOp::End(_) => {}
            }
        }
        for op in ops {
            if let LogOp::Append(value) = op.op {
                if let (Some(1), Some(&at)) = (times.get(&value), read.get(&value)) {
                    op.op = LogOp::AppendSeen(value, at);
                }
            }
        }
    }

    fn offset(values: &Interner, id: ValueId, output: bool) -> Result<u32, IllFormed> {
        let offset = values.get(id).as_int().and_then(|n| u32::try_from(n).ok()).filter(|&n| n != UNTOLD);
        offset.ok_or_else(|| refuse("an offset: a whole number from 0 on", values.get(id), output))
    }

    /// A list as it was read, with a `…` for what is left out of it here.
    fn read(&self, values: &Interner, number: u32) -> String {
        let mut shown: Vec<String> = Vec::new();
        let mut next = 0;
        for entry in self.list(number) {
            if entry.at > next {
                shown.push("…".to_string());
            }
            shown.push(values.get(entry.value).to_string());
            next = entry.at + 1;
        }
        if self.lengths[number as usize] > next {
            shown.push("…".to_string());
        }
        format!("[{}]", shown.join(" "))
    }

    fn shown(values: &Interner, list: &[Entry]) -> String {
        let shown: Vec<String> = list.iter().map(|entry| values.get(entry.value).to_string()).collect();
        format!("[{}]", shown.join(" "))
    }
}

impl Specified for Log {
    fn setup(setup: &mut Setup<'_>) -> Result<Log, String> {
        let initial = initial_list(setup, "a list, the oldest entry first")?;
        Ok(Log::new(&initial, setup.spec.model == ModelName::AppendLog, setup.spec.nil_read))
    }
}

impl Model for Log {
    type State = Arc<Vec<Entry>>;
    type Op = LogOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<LogOp>, IllFormed> {
        match function(values, op)? {
            "append" => {
                must_apply(op, "append")?;
                Ok(match op.outcome {
                    Outcome::Fail => None,
                    Outcome::Ok if self.offsets && op.output != ValueId::NULL => {
                        Some(LogOp::AppendAt(op.input, Log::offset(values, op.output, true)?))
                    }
                    Outcome::Ok | Outcome::Info => Some(LogOp::Append(op.input)),
                })
            }
            "read" => {
                must_apply(op, "read")?;
                let all = op.input == ValueId::NULL;
                let at = if all { 0 } else { Log::offset(values, op.input, false)? };
                match op.outcome {
                    Outcome::Fail | Outcome::Info => Ok(None),
                    Outcome::Ok if op.output == ValueId::NULL && self.nil_read == NilRead::Unknown => {
                        Ok(None)
                    }
                    Outcome::Ok if all => Ok(Some(LogOp::Read(self.snapshot(values, op.output)?))),
                    Outcome::Ok if op.output == ValueId::NULL => Ok(Some(LogOp::End(at))),
                    Outcome::Ok => Ok(Some(LogOp::ReadAt(at, op.output))),
                }
            }
            f => Err(unknown("append or read", f)),
        }
    }

    fn init(&self) -> Arc<Vec<Entry>> {
        Arc::new(self.initial.to_vec())
    }

    fn step(&self, state: &Arc<Vec<Entry>>, op: LogOp, out: &mut impl FnMut(Arc<Vec<Entry>>)) {
        let mut next = state.clone();
        if self.advance(&mut next, op) == Advance::Done {
            out(next);
        }
    }

    fn advance(&self, state: &mut Arc<Vec<Entry>>, op: LogOp) -> Advance {
        let (legal, appended) = match op {
            // Where entries are left out, those before may be anywhere before.
            LogOp::AppendAt(value, at) | LogOp::AppendSeen(value, at) if self.gaps => {
                let after = state.iter().all(|entry| entry.at == UNTOLD || entry.at < at);
                (after, Some(Entry { value, at }))
            }
            LogOp::AppendAt(value, at) | LogOp::AppendSeen(value, at) => {
                (state.len() == at as usize, Some(Entry { value, at: UNTOLD }))
            }
            LogOp::Append(value) => (true, Some(Entry { value, at: UNTOLD })),
            LogOp::Read(number) => {
                let list = self.list(number);
                let same = |(held, read): (&Entry, &Entry)| {
                    held.value == read.value && (held.at == UNTOLD || held.at == read.at)
                };
                (list.len() == state.len() && state.iter().zip(list).all(same), None)
            }
            LogOp::ReadAt(at, value) if self.gaps => {
                (state.iter().any(|held| held.value == value && (held.at == UNTOLD || held.at == at)), None)
            }
            LogOp::ReadAt(at, value) => {
                (state.get(at as usize).is_some_and(|held| held.value == value), None)
            }
            LogOp::End(at) if self.gaps => (state.iter().all(|held| held.at == UNTOLD || held.at < at), None),
            LogOp::End(at) => (state.len() <= at as usize, None),
        };
        if !legal {
            return Advance::Illegal;
        }
        if let Some(entry) = appended {
            Arc::make_mut(state).push(entry);
        }
        Advance::Done
    }

    fn is_pure(&self, op: LogOp) -> bool {
        match op {
            LogOp::Read(_) | LogOp::ReadAt(..) | LogOp::End(_) => true,
            LogOp::AppendAt(..) | LogOp::Append(_) | LogOp::AppendSeen(..) => false,
        }
    }

    fn only_in(&self, op: LogOp) -> Option<Arc<Vec<Entry>>> {
        match op {
            LogOp::Read(number) if !self.gaps => {
                let untold = self.list(number).iter().map(|entry| Entry { at: UNTOLD, ..*entry });
                Some(Arc::new(untold.collect()))
            }
            LogOp::Read(_)
            | LogOp::ReadAt(..)
            | LogOp::End(_)
            | LogOp::AppendAt(..)
            | LogOp::AppendSeen(..)
            | LogOp::Append(_) => None,
        }
    }

    fn state_bytes(&self, state: &Arc<Vec<Entry>>) -> usize {
        size_of_val(&state[..]) + 56
    }

    /// Entries can be left out whole: every append and every reading of one, and its mention in every list. What is left
    /// keeps its order, and offsets still grow with it, though no longer by one. An entry that nobody appended stays in
    /// the lists.
    fn project(&self, ops: &[ObjOp<LogOp>], keep: &mut [bool], _: Property) -> Problem<Log> {
        let mut wanted: FxHashMap<ValueId, bool> = FxHashMap::default();
        for (op, kept) in ops.iter().zip(keep.iter()) {
            if let LogOp::AppendAt(value, _) | LogOp::Append(value) | LogOp::AppendSeen(value, _) = op.op {
                *wanted.entry(value).or_default() |= *kept;
            }
        }
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            match op.op {
                LogOp::AppendAt(value, _) | LogOp::Append(value) | LogOp::AppendSeen(value, _) => {
                    *kept = wanted[&value];
                }
                LogOp::ReadAt(_, value) => *kept &= wanted.get(&value) != Some(&false),
                LogOp::Read(_) | LogOp::End(_) => {}
            }
        }
        let mut model = self.clone();
        if wanted.values().any(|wanted| !wanted) {
            let stays = |entry: &&Entry| wanted.get(&entry.value) != Some(&false);
            model.gaps = true;
            model.initial = (0..)
                .zip(self.initial.iter())
                .map(|(at, entry)| Entry { at, ..*entry })
                .filter(|entry| stays(&entry))
                .collect();
            // Only those that somebody kept speaks of.
            for (op, _) in ops.iter().zip(keep.iter()).filter(|(_, kept)| **kept) {
                if let LogOp::Read(number) = op.op {
                    let list = &mut model.snapshots[number as usize];
                    *list = self.list(number).iter().filter(stays).copied().collect();
                }
            }
        }
        let mut ops = crate::model::kept(ops, keep);
        if model.gaps {
            self.place(&mut ops);
        }
        Problem { model, ops }
    }

    fn exact(&self, ops: &[ObjOp<LogOp>], stop: &AtomicBool) -> Option<Exact> {
        logs(ops, stop, &self.initial, |op| match op {
            LogOp::AppendAt(value, at) => Logged::Appended(value, Some(at)),
            LogOp::Append(value) | LogOp::AppendSeen(value, _) => Logged::Appended(value, None),
            LogOp::Read(number) => Logged::List(self.list(number)),
            LogOp::ReadAt(at, value) => Logged::At(at, value),
            LogOp::End(at) => Logged::End(at),
        })
    }

    fn describe_op(&self, values: &Interner, op: LogOp) -> String {
        let v = |id| values.get(id);
        match op {
            LogOp::AppendAt(value, at) => format!("append {} → offset {at}", v(value)),
            LogOp::Append(value) | LogOp::AppendSeen(value, _) => format!("append {}", v(value)),
            LogOp::Read(number) => format!("read → {}", self.read(values, number)),
            LogOp::ReadAt(at, value) => format!("read offset {at} → {}", v(value)),
            LogOp::End(at) => format!("read offset {at} → nothing"),
        }
    }

    fn describe_state(&self, values: &Interner, state: &Arc<Vec<Entry>>) -> String {
        Log::shown(values, state)
    }

    fn describe_conflict(
        &self,
        values: &Interner,
        state: &Arc<Vec<Entry>>,
        op: LogOp,
        object: &str,
    ) -> String {
        let held = format!("{object} holds {}", Log::shown(values, state));
        match op {
            LogOp::AppendAt(_, at) => format!("it was told offset {at}, but {held}"),
            LogOp::AppendSeen(value, at) => {
                format!("{} was read at offset {at}, but {held}", values.get(value))
            }
            LogOp::Read(number) => {
                format!("it read {}, but {held}", self.read(values, number))
            }
            LogOp::ReadAt(at, value) => format!("it read {} at offset {at}, but {held}", values.get(value)),
            LogOp::End(at) => format!("it found nothing at offset {at}, but {held}"),
            LogOp::Append(_) => format!("nothing speaks against it: {held}"),
        }
    }
}
