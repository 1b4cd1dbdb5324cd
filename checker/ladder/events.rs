//! A history as reads and writes in the order of each session, where reads name their writes: what all rungs share.
//!
//! ```text
//!   session 0   w x 1 ── r y 0 ── r x 1          each read knows the write that it saw
//!   session 1   w y 1 ── r x 0 ── (r x, w x 2)   a cas that succeeded is a read and then a write
//! ```
//! Writes that were never answered are here if somebody saw them: they did happen. The others need not have happened, and
//! no order gets worse without them. A read whose value several operations wrote (or one, and it was there at first) names
//! no write: it is left out and counted, because what is violated without it is violated, and what holds without it is
//! not decided.

use crate::model::Model;
use crate::objects::Built;
use crate::sources::Sees;
use history::{History, NEVER, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// Where the value of a read comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// From nobody: it was there at first.
    Initial,
    /// From this write.
    Write(u32),
    /// From nobody: no operation that may have happened wrote it.
    Nowhere,
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It wrote a value of its own.
    Write,
    /// It read.
    Read(From),
}

/// A read or a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Dense number of its session.
    pub session: u32,
    /// Dense number of its key.
    pub key: u32,
    /// What it did.
    pub act: Act,
    /// Index in `History::ops`.
    pub source: u32,
    /// Rank of the invocation.
    pub invoke: u32,
    /// Rank of the return; [`NEVER`] if there was none.
    pub ret: u32,
}

/// All events, session by session: the next one of a session has the next number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events {
    /// The events of session 0 in its order, then those of session 1 …
    pub list: Vec<Event>,
    /// Where each session begins in `list`, and the end.
    pub start: Vec<u32>,
    /// How many keys there are.
    pub keys: u32,
    /// Per key, the sessions that wrote it …
    writers: Vec<Writer>,
    /// … by the range of each key, and the end.
    writers_start: Vec<u32>,
    /// The writes, by key and then by session and place.
    writes: Vec<u32>,
    /// Reads that name no write, and the first of them in words.
    pub unsure: Option<Unsure>,
    /// Whether sessions and processes are the same.
    pub by_process: bool,
    /// Whether operations of one session overlapped, so that each of its processes counts as a session.
    pub split: bool,
}

/// The writes of one session to one key: a range of [`Events::writes`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    pub session: u32,
    from: u32,
    to: u32,
}

/// Reads that were left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unsure {
    /// How many.
    pub reads: u64,
    /// Index into `History::ops` of the first.
    pub first: u32,
    /// Whether that read names no value at all: it says what was not there.
    pub negative: bool,
    /// The keys that they read.
    pub keys: FxHashSet<u32>,
}

/// One decoded operation, before its session and its source are known.
#[derive(Clone, Copy)]
struct Access {
    source: u32,
    key: u32,
    sees: Option<Sees>,
    leaves: Option<ValueId>,
    maybe: bool,
}

impl Events {
    /// The events of a history; `None` if some operation is neither a read nor a write nor both of one value.
    /// O(n log n).
    pub fn new<M: Model>(history: &History, built: &Built<M>) -> Option<Events> {
        let mut initial = Vec::with_capacity(built.objects.len());
        let mut accesses: Vec<Access> = Vec::with_capacity(history.ops.len());
        for (key, object) in (0..).zip(&built.objects) {
            let model = &object.problem.model;
            initial.push(model.initial_value()?);
            for op in &object.problem.ops {
                let access = model.access(op.op)?;
                accesses.push(Access {
                    source: op.source,
                    key,
                    sees: access.sees,
                    leaves: access.leaves,
                    maybe: op.indeterminate(),
                });
            }
        }
        if built.objects.len() > 1 {
            // Operations are numbered by invocation.
            accesses.sort_unstable_by_key(|access| access.source);
        }
        Some(Events::from_accesses(history, &accesses, &initial))
    }

    fn from_accesses(history: &History, accesses: &[Access], initial: &[ValueId]) -> Events {
        let (from, unsure) = sources(accesses, initial);
        let real = happened(accesses, &from);
        let (lines, by_process, split) = lines(history, accesses);
        let sessions = lines.iter().max().map_or(0, |&last| last as usize + 1);
        // How many events each session has, then where each begins.
        let mut start = vec![0u32; sessions + 1];
        for (i, access) in accesses.iter().enumerate().filter(|(i, _)| real[*i]) {
            start[lines[i] as usize + 1] += access.events(from[i]);
        }
        for s in 0..sessions {
            start[s + 1] += start[s];
        }
        let mut next = start.clone();
        let nothing = Event { session: 0, key: 0, act: Act::Write, source: 0, invoke: 0, ret: 0 };
        let mut list = vec![nothing; start[sessions] as usize];
        let mut write_of = vec![u32::MAX; accesses.len()];
        for (i, access) in accesses.iter().enumerate().filter(|(i, _)| real[*i]) {
            let op = &history.ops[access.source as usize];
            let ret = if access.maybe { NEVER } else { op.ret };
            let session = lines[i];
            let at = &mut next[session as usize];
            let event =
                |act| Event { session, key: access.key, act, source: access.source, invoke: op.invoke, ret };
            if let Some(from) = from[i].named() {
                // Sources are numbers of accesses until all writes have their places.
                list[*at as usize] = event(Act::Read(from));
                *at += 1;
            }
            if access.leaves.is_some() {
                list[*at as usize] = event(Act::Write);
                write_of[i] = *at;
                *at += 1;
            }
        }
        for event in &mut list {
            if let Act::Read(From::Write(access)) = event.act {
                event.act = Act::Read(From::Write(write_of[access as usize]));
            }
        }
        let mut events = Events {
            list,
            start,
            keys: initial.len() as u32,
            unsure,
            by_process,
            split,
            ..Events::default()
        };
        events.index_writes();
        events
    }

    /// Finds the writes of each key again after `list` was filled. O(n + keys).
    fn index_writes(&mut self) {
        let is_write = |event: &Event| event.act == Act::Write;
        let mut of_key = vec![0u32; self.keys as usize + 1];
        for event in self.list.iter().filter(|event| is_write(event)) {
            of_key[event.key as usize + 1] += 1;
        }
        for key in 0..self.keys as usize {
            of_key[key + 1] += of_key[key];
        }
        let mut next = of_key.clone();
        self.writes = vec![0; of_key[self.keys as usize] as usize];
        for (number, event) in (0..).zip(&self.list).filter(|(_, event)| is_write(event)) {
            self.writes[next[event.key as usize] as usize] = number;
            next[event.key as usize] += 1;
        }
        self.writers_start = vec![0];
        for key in 0..self.keys as usize {
            let mut at = of_key[key];
            while at < of_key[key + 1] {
                let session = self.list[self.writes[at as usize] as usize].session;
                let mine = &self.writes[at as usize..of_key[key + 1] as usize];
                let count = mine.partition_point(|&w| self.list[w as usize].session == session) as u32;
                self.writers.push(Writer { session, from: at, to: at + count });
                at += count;
            }
            self.writers_start.push(self.writers.len() as u32);
        }
    }

    /// How many sessions there are.
    pub fn sessions(&self) -> usize {
        self.start.len() - 1
    }

    /// The events of a session, in its order.
    pub fn session(&self, session: u32) -> Range<u32> {
        self.start[session as usize]..self.start[session as usize + 1]
    }

    /// The event of that number.
    pub fn at(&self, event: u32) -> &Event {
        &self.list[event as usize]
    }

    /// The place of an event in its session, from 0.
    pub fn place(&self, event: u32) -> u32 {
        event - self.start[self.at(event).session as usize]
    }

    /// The sessions that wrote `key`.
    pub fn writers(&self, key: u32) -> &[Writer] {
        let (from, to) = (self.writers_start[key as usize], self.writers_start[key as usize + 1]);
        &self.writers[from as usize..to as usize]
    }

    /// The last write of `writer` among the first `places` events of its session.
    pub fn last_write(&self, writer: Writer, places: u32) -> Option<u32> {
        let writes = &self.writes[writer.from as usize..writer.to as usize];
        let end = self.start[writer.session as usize] + places;
        let before = writes.partition_point(|&w| w < end);
        before.checked_sub(1).map(|last| writes[last])
    }

    /// The first read that names no write because there is none, if there is one.
    pub fn read_from_nowhere(&self) -> Option<u32> {
        (0..)
            .zip(&self.list)
            .find(|(_, event)| event.act == Act::Read(From::Nowhere))
            .map(|(number, _)| number)
    }

    /// Only these events (ascending), with sessions and keys numbered anew. Reads whose source is not among them are left out
    /// as well. Returns what each event was before. O(size of `numbers`, log n).
    pub fn only(&self, numbers: &[u32]) -> (Events, Vec<u32>) {
        let held = |event: &u32| match self.at(*event).act {
            Act::Read(From::Write(w)) => numbers.binary_search(&w).is_ok(),
            Act::Read(From::Initial | From::Nowhere) | Act::Write => true,
        };
        let old: Vec<u32> = numbers.iter().copied().filter(held).collect();
        let mut keys: FxHashMap<u32, u32> = FxHashMap::default();
        let (mut start, mut list, mut last) = (Vec::new(), Vec::with_capacity(old.len()), u32::MAX);
        for (number, &event) in (0..).zip(&old) {
            let mut event = *self.at(event);
            if event.session != last {
                last = event.session;
                start.push(number);
            }
            let count = keys.len() as u32;
            event.key = *keys.entry(event.key).or_insert(count);
            event.session = start.len() as u32 - 1;
            if let Act::Read(From::Write(w)) = event.act {
                event.act = Act::Read(From::Write(old.binary_search(&w).map_or(u32::MAX, |at| at as u32)));
            }
            list.push(event);
        }
        start.push(list.len() as u32);
        let mut events = Events { list, start, keys: keys.len() as u32, ..Events::default() };
        events.index_writes();
        (events, old)
    }

    #[cfg(test)]
    pub(super) fn of_list(list: Vec<Event>, sessions: u32, keys: u32) -> Events {
        let start = (0..=sessions).map(|s| list.partition_point(|event| event.session < s) as u32).collect();
        let mut events = Events { list, start, keys, by_process: true, ..Events::default() };
        events.index_writes();
        events
    }
}

impl Access {
    fn events(&self, from: Seen) -> u32 {
        u32::from(from.named().is_some()) + u32::from(self.leaves.is_some())
    }
}

/// What an access saw, by the number of the access that wrote it.
#[derive(Clone, Copy)]
enum Seen {
    /// It did not look, or what it saw names no write.
    Nothing,
    Known(From),
}

impl Seen {
    fn named(self) -> Option<From> {
        match self {
            Seen::Nothing => None,
            Seen::Known(from) => Some(from),
        }
    }
}

/// Who may have written a value.
#[derive(Clone, Copy)]
enum Wrote {
    One(u32),
    Several,
}

fn sources(accesses: &[Access], initial: &[ValueId]) -> (Vec<Seen>, Option<Unsure>) {
    let mut wrote: FxHashMap<(u32, ValueId), Wrote> = FxHashMap::default();
    for (i, access) in (0..).zip(accesses) {
        if let Some(value) = access.leaves {
            let first = if value == initial[access.key as usize] { Wrote::Several } else { Wrote::One(i) };
            wrote.entry((access.key, value)).and_modify(|w| *w = Wrote::Several).or_insert(first);
        }
    }
    let mut unsure: Option<Unsure> = None;
    let mut leave_out = |access: &Access, negative| {
        let first = || Unsure { reads: 0, first: access.source, negative, keys: FxHashSet::default() };
        let unsure = unsure.get_or_insert_with(first);
        unsure.reads += 1;
        unsure.keys.insert(access.key);
        Seen::Nothing
    };
    let seen = accesses.iter().map(|access| match access.sees {
        None => Seen::Nothing,
        Some(Sees::Is(value)) => match wrote.get(&(access.key, value)) {
            Some(Wrote::One(w)) => Seen::Known(From::Write(*w)),
            None if value == initial[access.key as usize] => Seen::Known(From::Initial),
            None => Seen::Known(From::Nowhere),
            Some(Wrote::Several) => leave_out(access, false),
        },
        Some(Sees::IsNot(_)) => leave_out(access, true),
    });
    let seen = seen.collect();
    (seen, unsure)
}

/// Whether each access happened: it was answered, or what it wrote was seen by one that happened.
fn happened(accesses: &[Access], seen: &[Seen]) -> Vec<bool> {
    let mut real: Vec<bool> = accesses.iter().map(|access| !access.maybe).collect();
    let mut open: Vec<usize> = (0..accesses.len()).filter(|&i| real[i]).collect();
    while let Some(i) = open.pop() {
        if let Seen::Known(From::Write(w)) = seen[i] {
            let w = w as usize;
            if !real[w] {
                real[w] = true;
                open.push(w);
            }
        }
    }
    real
}

/// The session of each access, dense in order of first appearance; whether sessions are the same as processes; and whether
/// some session had to be split by process because its operations overlapped.
fn lines(history: &History, accesses: &[Access]) -> (Vec<u32>, bool, bool) {
    let op = |access: &Access| &history.ops[access.source as usize];
    let sessions = accesses.iter().map(|access| op(access).session as usize + 1).max().unwrap_or(0);
    // Per session: its last process, when its last operation returned, and whether operations of two overlap.
    let mut last = vec![(u32::MAX, 0u32, false); sessions];
    for access in accesses {
        let op = op(access);
        let (process, ret, overlap) = &mut last[op.session as usize];
        *overlap |= *process != u32::MAX && *process != op.process && *ret > op.invoke;
        (*process, *ret) = (op.process, if access.maybe { NEVER } else { (*ret).max(op.ret) });
    }
    let mut dense: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    let mut whole = vec![u32::MAX; sessions];
    // Whose line it is, and whether one process has two.
    let (mut process_of, mut line_of): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut same = true;
    let mut lines = Vec::with_capacity(accesses.len());
    for access in accesses {
        let op = op(access);
        let line = if last[op.session as usize].2 {
            dense.entry((op.session, op.process)).or_insert(u32::MAX)
        } else {
            &mut whole[op.session as usize]
        };
        if *line == u32::MAX {
            *line = process_of.len() as u32;
            process_of.push(op.process);
        }
        let process = op.process as usize;
        if line_of.len() <= process {
            line_of.resize(process + 1, u32::MAX);
        }
        if line_of[process] == u32::MAX {
            line_of[process] = *line;
        }
        same &= process_of[*line as usize] == op.process && line_of[process] == *line;
        lines.push(*line);
    }
    (lines, same, last.iter().any(|&(_, _, overlap)| overlap))
}
