//! Makes operations of events: each completion finds its invocation.
//!
//! ```text
//!   rank      0   1   2   3   4
//!   P0        |-----------|               invoke=0 ret=3
//!   P1            |---|                   invoke=1 ret=2
//!   P0 again                  |------ …   never completed: invoke=4 ret=NEVER, outcome Info
//! ```

use crate::apart::Apart;
use crate::event::{Event, Kind};
use crate::format::Format;
use crate::history::{FaultEvent, History, Malformed, Source};
use crate::interner::{Interner, ValueId};
use crate::op::{Applied, NEVER, NO_TIME, Op, Outcome};
use crate::raw::{Raw, RawProcess, Wrong, text_of};
use crate::read::Sink;
use crate::scan::{brief, word};
use crate::shard::Shard;
use rustc_hash::FxHashMap;
use std::ops::ControlFlow;

/// Pairs events that are in memory; the position in the sequence counts as the line.
///
/// A process that goes on after `info` becomes a new process, with a warning. O(events).
///
/// # Errors
/// What is not a history: a process with two open calls, a completion without its invocation, or of another function.
pub fn pair(events: impl IntoIterator<Item = Event>) -> Result<History, Malformed> {
    let mut values = Interner::default();
    let mut pairing = Pairing::new(false, None);
    for (i, event) in events.into_iter().enumerate() {
        let raw = Raw::from_event(&event, i as u64 + 1, &mut values);
        pairing.event(&raw, &values).map_err(|wrong| Malformed {
            file: "-".to_string(),
            line: raw.line,
            column: raw.column,
            expected: wrong.expected,
            found: wrong.found,
        })?;
    }
    Ok(pairing.finish(values, Source { name: "-".to_string(), format: "" }))
}

/// Takes events one by one.
pub(crate) struct Pairing {
    /// Whether it is a history of our own runner, which never lets a process go on after `info`.
    own: bool,
    ops: Vec<Op>,
    apart: Option<Apart>,
    processes: Vec<i64>,
    faults: Vec<FaultEvent>,
    dues: Vec<(u32, i64)>,
    ranks: u32,
    slots: Slots,
    /// Dense numbers of the processes that went on after `info`, in order.
    renewed: Vec<u32>,
    first_renewed: Option<(i64, u64)>,
    sessions: FxHashMap<i64, u32>,
    sessions_count: u32,
}

/// What is known about the process of one name.
#[derive(Clone, Copy)]
struct Slot {
    dense: u32,
    session: u32,
    /// Index of the open operation, or `NONE`.
    open: u32,
    /// Whether that is an index into what was set apart.
    apart: bool,
    /// Line of its `info`, after which it should not go on.
    ended: u64,
}

const NONE: u32 = u32::MAX;
const UNSEEN: Slot = Slot { dense: NONE, session: NONE, open: NONE, apart: false, ended: 0 };

/// Slots by process; small names, which is nearly all, by position.
#[derive(Default)]
struct Slots {
    small: Vec<Slot>,
    others: FxHashMap<i64, Slot>,
}

impl Slots {
    const SMALL: usize = 1 << 16;

    fn of(&mut self, process: i64) -> &mut Slot {
        match usize::try_from(process) {
            Ok(i) if i < Slots::SMALL => {
                if i >= self.small.len() {
                    self.small.resize(i + 1, UNSEEN);
                }
                &mut self.small[i]
            }
            Ok(_) | Err(_) => self.others.entry(process).or_insert(UNSEEN),
        }
    }
}

impl Pairing {
    pub(crate) fn new(own: bool, shard: Option<Shard>) -> Pairing {
        Pairing {
            own,
            ops: Vec::new(),
            apart: shard.map(|shard| Apart::new(Some(shard))),
            processes: Vec::new(),
            faults: Vec::new(),
            dues: Vec::new(),
            ranks: 0,
            slots: Slots::default(),
            renewed: Vec::new(),
            first_renewed: None,
            sessions: FxHashMap::default(),
            sessions_count: 0,
        }
    }

    /// One that keeps no operation, and only finds what is no history.
    pub(crate) fn that_forgets(own: bool) -> Pairing {
        Pairing { apart: Some(Apart::new(None)), ..Pairing::new(own, None) }
    }

    pub(crate) fn event(&mut self, raw: &Raw, values: &Interner) -> Result<(), Wrong> {
        let process = match raw.process {
            RawProcess::Client(process) => process,
            RawProcess::Other(_) => {
                self.faults.push(FaultEvent {
                    time: raw.time,
                    rank: self.ranks,
                    f: text_of(values.get(raw.f)),
                    fault: raw.fault,
                    phase: raw.phase,
                    value: values.get(raw.value).clone(),
                    line: line32(raw.line),
                });
                return Ok(());
            }
        };
        // NEVER is no rank.
        if self.ranks == NEVER - 1 {
            return Err(Wrong::new("fewer than 4294967294 events of clients", "one more"));
        }
        match raw.kind {
            Kind::Invoke => self.invoke(process, raw, values)?,
            Kind::Ok => self.complete(process, raw, values, Outcome::Ok)?,
            Kind::Fail => self.complete(process, raw, values, Outcome::Fail)?,
            Kind::Info => self.complete(process, raw, values, Outcome::Info)?,
        }
        self.ranks += 1;
        Ok(())
    }

    fn invoke(&mut self, process: i64, raw: &Raw, values: &Interner) -> Result<(), Wrong> {
        let mut slot = *self.slots.of(process);
        if slot.open != NONE {
            let open = self.open(slot);
            let expected = format!(
                "the completion of process {process}'s {} of line {} before it invokes again",
                word(values.get(open.f)),
                open.invoke_line
            );
            return Err(Wrong::new(expected, format!("the invocation of {}", text_of(values.get(raw.f)))));
        }
        if slot.ended != 0 && self.own {
            let expected =
                format!("a new process after the info of process {process} on line {}", slot.ended);
            return Err(Wrong::new(expected, format!("process {process} again")));
        }
        if slot.dense == NONE || slot.ended != 0 {
            if slot.ended != 0 {
                self.renewed.push(self.processes.len() as u32);
                self.first_renewed.get_or_insert((process, raw.line));
            }
            slot = Slot { dense: self.processes.len() as u32, ..UNSEEN };
            self.processes.push(process);
        }
        let session = match raw.session {
            Some(name) => *self.sessions.entry(name).or_insert_with(|| {
                self.sessions_count += 1;
                self.sessions_count - 1
            }),
            None => {
                if slot.session == NONE {
                    slot.session = self.sessions_count;
                    self.sessions_count += 1;
                }
                slot.session
            }
        };
        let op = Op {
            invoke: self.ranks,
            ret: NEVER,
            process: slot.dense,
            f: raw.f,
            key: raw.key,
            input: raw.value,
            output: ValueId::NULL,
            outcome: Outcome::Info,
            applied: Applied::Unsaid,
            observed: None,
            error: ValueId::NULL,
            node: raw.node,
            session,
            invoke_time: raw.time,
            ret_time: NO_TIME,
            invoke_line: line32(raw.line),
            ret_line: 0,
        };
        slot.apart = self.apart.as_mut().is_some_and(|apart| !apart.keeps(&op, values));
        slot.open = match &mut self.apart {
            Some(apart) if slot.apart => apart.open(op),
            Some(_) | None => {
                self.dues.extend(raw.due.filter(|_| self.apart.is_none()).map(|due| (op.invoke_line, due)));
                self.ops.push(op);
                self.ops.len() as u32 - 1
            }
        };
        *self.slots.of(process) = slot;
        Ok(())
    }

    /// The open operation of a process that has one.
    fn open(&self, slot: Slot) -> &Op {
        match &self.apart {
            Some(apart) if slot.apart => &apart.ops[slot.open as usize],
            Some(_) | None => &self.ops[slot.open as usize],
        }
    }

    fn complete(
        &mut self,
        process: i64,
        raw: &Raw,
        values: &Interner,
        outcome: Outcome,
    ) -> Result<(), Wrong> {
        let name = |id: ValueId| word(values.get(id));
        let slot = self.slots.of(process);
        if slot.open == NONE {
            let found = format!("its {} of {}", raw.kind.name(), name(raw.f));
            return Err(Wrong::new(format!("an invocation of process {process} before it completes"), found));
        }
        let op = match &mut self.apart {
            Some(apart) if slot.apart => &mut apart.ops[slot.open as usize],
            Some(_) | None => &mut self.ops[slot.open as usize],
        };
        if op.f != raw.f {
            let expected =
                format!("the completion of process {process}'s {} of line {}", name(op.f), op.invoke_line);
            return Err(Wrong::new(expected, format!("the completion of {}", name(raw.f))));
        }
        if op.key != raw.key && raw.key != ValueId::NULL {
            if op.key != ValueId::NULL {
                let (asked, answered) = (brief(values.get(op.key)), brief(values.get(raw.key)));
                return Err(Wrong::new(
                    format!("the key {asked} of the invocation on line {}", op.invoke_line),
                    format!("the key {answered}"),
                ));
            }
            op.key = raw.key;
        }
        let closed = std::mem::replace(&mut slot.open, NONE);
        op.outcome = outcome;
        op.output = raw.value;
        op.error = raw.error;
        op.ret_time = raw.time;
        op.ret_line = line32(raw.line);
        op.observed = raw.observed;
        op.applied = match raw.applied {
            None => Applied::Unsaid,
            Some(true) => Applied::Yes,
            Some(false) => Applied::No,
        };
        if op.node == ValueId::NULL {
            op.node = raw.node;
        }
        match outcome {
            Outcome::Ok | Outcome::Fail => op.ret = self.ranks,
            Outcome::Info => slot.ended = raw.line,
        }
        if let (Some(apart), true) = (&mut self.apart, slot.apart) {
            apart.close(closed, values);
        }
        Ok(())
    }

    /// Whether any operation so far names a key. Known only where a shard is asked for.
    pub(crate) fn keyed(&self) -> bool {
        self.apart.as_ref().is_some_and(|apart| apart.keyed)
    }

    pub(crate) fn finish(mut self, values: Interner, source: Source) -> History {
        let mut warnings = Vec::new();
        if let Some((process, line)) = self.first_renewed {
            // Names below all that the file uses, so that nobody is taken for somebody else.
            let mut free = self.processes.iter().copied().min().unwrap_or(0).min(0);
            for dense in &self.renewed {
                free = free.saturating_sub(1);
                self.processes[*dense as usize] = free;
            }
            let times = match self.renewed.len() {
                1 => "once".to_string(),
                n => format!("{n} times"),
            };
            warnings.push(format!(
                "a process goes on after an info, {times} (first process {process}, line {line}): \
                 each time it counts as a new process, with a name below zero"
            ));
        }
        // In a history that is read in the order of its times, lines do not rise.
        self.dues.sort_unstable();
        let part = self.apart.and_then(|apart| apart.finish(&mut self.ops, &values));
        // A call stands on its own line, after all earlier ones, and before its return.
        debug_assert!(self.ops.windows(2).all(|two| two[0].invoke < two[1].invoke));
        debug_assert!(
            self.ops
                .iter()
                .all(|op| op.invoke < op.ret && (op.ret == NEVER) == (op.outcome == Outcome::Info))
        );
        History {
            ops: self.ops,
            values,
            processes: self.processes,
            ranks: self.ranks,
            faults: self.faults,
            dues: self.dues,
            source,
            warnings,
            part,
        }
    }
}

impl Sink for Pairing {
    fn wants(&mut self, process: i64, kind: Kind, key: ValueId, values: &Interner) -> bool {
        let Some(apart) = &mut self.apart else { return true };
        let slot = *self.slots.of(process);
        match kind {
            Kind::Invoke => key == ValueId::NULL || apart.takes(key, values),
            // What was set apart without a key is kept if its completion names one of ours.
            Kind::Ok | Kind::Fail | Kind::Info if slot.open != NONE && slot.apart => {
                let asked = apart.ops[slot.open as usize].key;
                asked == ValueId::NULL && apart.takes(key, values)
            }
            Kind::Ok | Kind::Fail | Kind::Info => true,
        }
    }

    fn bytes(&self) -> u64 {
        (self.ops.len() * size_of::<Op>() + self.dues.len() * size_of::<(u32, i64)>()) as u64
    }

    fn event(&mut self, raw: &Raw, values: &Interner, _: Format) -> Result<ControlFlow<()>, Wrong> {
        Pairing::event(self, raw, values).map(ControlFlow::Continue)
    }
}

fn line32(line: u64) -> u32 {
    u32::try_from(line).unwrap_or(u32::MAX)
}
