//! Judges the keys of a growing history again and again, so that the first violation is known soon after it happened.

use checker::{Limits, Rung, Spec, judge};
use history::results::Answer;
use history::{Applied, Event, History, Interner, Kind, NEVER, Op, Outcome, Process, Value, ValueId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// A key is judged again when it has grown by one part in so many: all judging together then costs at most this much more
/// than judging once at the end.
const GROWTH: usize = 4;
/// Judging at quiet times may cost so many times what was read.
const QUIET: u64 = 16;
/// One judgement may take so long; whoever takes longer is left for the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// A violation, the first one that was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    /// The key, as text; `None` if the history names none.
    pub key: Option<String>,
    /// The kind of anomaly.
    pub kind: String,
    /// Its sentence.
    pub sentence: String,
    /// Nanoseconds since the run began of the return that proved it, if recorded.
    pub time: i64,
    /// How many events had been read.
    pub events: u64,
}

/// What was seen so far, by key.
pub struct Watcher<'a> {
    spec: Spec,
    /// Whether operations join keys, so that everything is one object.
    joined: bool,
    memory: usize,
    stop: &'a AtomicBool,
    values: Interner,
    processes: Vec<i64>,
    /// The process of a name, until it ends with `info`.
    dense: HashMap<i64, u32>,
    /// The open operation of a process: its key and its place there.
    open: HashMap<i64, (usize, usize)>,
    numbers: HashMap<ValueId, usize>,
    keys: Vec<Key>,
    ranks: u32,
    events: u64,
    spent: u64,
    /// Some operations name keys and some do not: then nothing is known before the end.
    mixed: bool,
}

#[derive(Default)]
struct Key {
    ops: Vec<Op>,
    returns: usize,
    /// Returns when it was last judged.
    judged: usize,
    /// It took too long, or is known to be violated.
    given_up: bool,
}

impl<'a> Watcher<'a> {
    /// A watcher of linearizability under `spec`. `stop` ends a judgement at once; `memory` is in bytes.
    pub fn new(spec: Spec, memory: u64, stop: &'a AtomicBool) -> Watcher<'a> {
        Watcher {
            joined: spec.model == checker::ModelName::MultiRegister,
            spec,
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            stop,
            values: Interner::default(),
            processes: Vec::new(),
            dense: HashMap::new(),
            open: HashMap::new(),
            numbers: HashMap::new(),
            keys: Vec::new(),
            ranks: 0,
            events: 0,
            spent: 0,
            mixed: false,
        }
    }

    /// Takes the next event, which must be one that pairing accepts; the violation that it proves, if it does and if its
    /// key has grown enough to be looked at.
    pub fn take(&mut self, event: &Event) -> Option<Caught> {
        self.events += 1;
        let Process::Client(process) = event.process else { return None };
        let key = match event.kind {
            Kind::Invoke => {
                self.invoke(process, event);
                return None;
            }
            Kind::Ok | Kind::Fail | Kind::Info => self.complete(process, event)?,
        };
        self.ranks += 1;
        let Key { returns, judged, .. } = self.keys[key];
        if returns > judged + judged / GROWTH { self.judge(key) } else { None }
    }

    /// Nothing new has come for a while: looks at whatever has grown at all, as long as that costs no more than is due.
    pub fn quiet(&mut self) -> Option<Caught> {
        for key in 0..self.keys.len() {
            let Key { ref ops, returns, judged, .. } = self.keys[key];
            if returns > judged && self.spent + ops.len() as u64 <= QUIET * self.events {
                if let Some(caught) = self.judge(key) {
                    return Some(caught);
                }
            }
        }
        None
    }

    fn invoke(&mut self, process: i64, event: &Event) {
        let key = if self.joined { None } else { event.key.as_ref() };
        let name = self.values.intern(key.unwrap_or(&Value::Null));
        self.mixed |= self.numbers.keys().any(|other| (*other == ValueId::NULL) != (name == ValueId::NULL));
        let next = self.keys.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.keys.push(Key::default());
        }
        let next = self.processes.len() as u32;
        let dense = *self.dense.entry(process).or_insert(next);
        if dense == next {
            self.processes.push(process);
        }
        let mut of = |value: Option<&Value>| value.map_or(ValueId::NULL, |value| self.values.intern(value));
        let op = Op {
            invoke: self.ranks,
            ret: NEVER,
            process: dense,
            f: of(Some(&Value::text(&event.f))),
            key: of(event.key.as_ref()),
            input: of(Some(&event.value)),
            output: ValueId::NULL,
            outcome: Outcome::Info,
            applied: Applied::Unsaid,
            observed: None,
            error: ValueId::NULL,
            node: of(event.node.as_deref().map(Value::text).as_ref()),
            session: dense,
            invoke_time: event.time,
            ret_time: history::NO_TIME,
            invoke_line: u32::try_from(self.events).unwrap_or(u32::MAX),
            ret_line: 0,
        };
        self.ranks += 1;
        self.open.insert(process, (number, self.keys[number].ops.len()));
        self.keys[number].ops.push(op);
    }

    /// The key that may be violated now: only an answer can show that.
    fn complete(&mut self, process: i64, event: &Event) -> Option<usize> {
        let (key, at) = self.open.remove(&process)?;
        let mut of = |value: Option<&Value>| value.map(|value| self.values.intern(value));
        let op = &mut self.keys[key].ops[at];
        op.error = of(event.error.as_ref()).unwrap_or(ValueId::NULL);
        op.ret_time = event.time;
        op.ret_line = u32::try_from(self.events).unwrap_or(u32::MAX);
        let (outcome, ret) = match event.kind {
            Kind::Ok => (Outcome::Ok, self.ranks),
            Kind::Fail => (Outcome::Fail, self.ranks),
            Kind::Info | Kind::Invoke => {
                // It may still happen at any time; whoever goes on under this name is somebody else.
                self.dense.remove(&process);
                return None;
            }
        };
        // A key that only the answer names may belong elsewhere.
        self.mixed |= event.key.is_some() && op.key == ValueId::NULL;
        (op.outcome, op.ret) = (outcome, ret);
        op.output = of(Some(&event.value)).unwrap_or(ValueId::NULL);
        op.observed = of(event.observed.as_ref());
        op.applied = match event.applied {
            None => Applied::Unsaid,
            Some(true) => Applied::Yes,
            Some(false) => Applied::No,
        };
        self.keys[key].returns += 1;
        Some(key)
    }

    fn judge(&mut self, number: usize) -> Option<Caught> {
        let key = &mut self.keys[number];
        key.judged = key.returns;
        if self.mixed || key.given_up {
            return None;
        }
        self.spent += key.ops.len() as u64;
        let mut part = History {
            ops: key.ops.clone(),
            values: std::mem::take(&mut self.values),
            processes: self.processes.clone(),
            ranks: self.ranks,
            ..History::default()
        };
        let caught = self.judge_part(&mut part, number);
        self.values = part.values;
        caught
    }

    fn judge_part(&mut self, part: &mut History, number: usize) -> Option<Caught> {
        let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
        let (done, over) = channel::<()>();
        let judged = std::thread::scope(|scope| {
            let (stop, outer) = (&stop, self.stop);
            scope.spawn(move || {
                let tick = Duration::from_millis(20);
                let mut left = PATIENCE;
                while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(tick) {
                    left = left.saturating_sub(tick);
                    if left.is_zero() || outer.load(Ordering::SeqCst) {
                        stop.store(true, Ordering::SeqCst);
                    }
                }
            });
            let limits = Limits { stop, bytes: self.memory, threads: 1, states: &states, progress: None };
            let judged = judge(part, &self.spec, Rung::Linearizable, &limits);
            drop(done);
            judged
        });
        // What the model refuses, the judge of the whole will refuse, with file and line.
        let judged = judged.ok()?;
        // What is violated stays so, and what takes too long will not take less.
        self.keys[number].given_up = judged.judgement.answer != Answer::Holds;
        let violation = judged.violations.first()?;
        let core = &violation.counterexample;
        let anomaly = checker::explain::explain(part, &self.spec, Rung::Linearizable, core, 1);
        Some(Caught {
            key: violation.keys.first().map(|&key| part.values.get(key).to_string()),
            kind: anomaly.kind,
            sentence: anomaly.sentence,
            time: anomaly.ops.iter().filter_map(|op| op.ret_time).max().unwrap_or(history::NO_TIME),
            events: self.events,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::{FailedCas, ModelName, NilRead};

    fn spec(model: ModelName) -> Spec {
        Spec { model, initial: None, failed_cas: FailedCas::Drop, nil_read: NilRead::Observe }
    }

    fn events(lines: &[(i64, &str, &str, i64, i64)]) -> Vec<Event> {
        let kinds = [Kind::Invoke, Kind::Ok, Kind::Fail, Kind::Info];
        let event = |&(process, kind, f, key, value): &(i64, &str, &str, i64, i64)| {
            let kind = kinds.into_iter().find(|k| k.name() == kind).expect("a kind");
            let value = if value < 0 { Value::Null } else { Value::Int(value) };
            Event::client(0, process, kind, f, Some(Value::Int(key)), value)
        };
        lines.iter().map(event).collect()
    }

    #[test]
    fn an_open_call_may_have_happened_until_its_answer_says_otherwise() {
        let stop = AtomicBool::new(false);
        let mut watcher = Watcher::new(spec(ModelName::Register), 1 << 20, &stop);
        let seen =
            events(&[(0, "invoke", "write", 7, 1), (1, "invoke", "read", 7, -1), (1, "ok", "read", 7, 1)]);
        assert!(seen.iter().all(|event| watcher.take(event).is_none()), "the open write explains the read");
        let then =
            events(&[(0, "ok", "write", 7, 1), (1, "invoke", "read", 7, -1), (1, "ok", "read", 7, -1)]);
        let caught = then.iter().find_map(|event| watcher.take(event)).or_else(|| watcher.quiet());
        let caught = caught.expect("the value is gone");
        assert_eq!((caught.key.as_deref(), caught.events), (Some("7"), 6));
    }

    /// Random small registers: whatever is caught in a prefix is a violation of the whole, and nothing that a prefix
    /// shows is missed in the end.
    #[test]
    fn a_violation_of_a_prefix_is_one_of_every_extension() {
        use checker::testing::Rng;
        let mut caught_early = 0;
        for seed in 0..400 {
            let mut rng = Rng(seed);
            let mut lines: Vec<(i64, &str, &str, i64, i64)> = Vec::new();
            let mut open: Vec<Option<(&str, i64, i64)>> = vec![None; 3];
            for _ in 0..24 {
                let worker = rng.below(3);
                match open[worker].take() {
                    None => {
                        let key = rng.below(2) as i64;
                        let (f, value) =
                            if rng.once_in(2) { ("write", rng.below(3) as i64) } else { ("read", -1) };
                        lines.push((worker as i64, "invoke", f, key, value));
                        open[worker] = Some((f, key, value));
                    }
                    Some((f, key, value)) => {
                        let value = if f == "read" { rng.below(4) as i64 - 1 } else { value };
                        let kind =
                            if rng.once_in(8) { if f == "read" { "fail" } else { "info" } } else { "ok" };
                        lines.push((worker as i64, kind, f, key, value));
                    }
                }
            }
            let events = events(&lines);
            let stop = AtomicBool::new(false);
            let mut watcher = Watcher::new(spec(ModelName::Register), 1 << 24, &stop);
            let early = events.iter().find_map(|event| watcher.take(event).or_else(|| watcher.quiet()));
            let mut whole = history::pair(events).expect("paired");
            let states = AtomicU64::new(0);
            let limits = Limits { stop: &stop, bytes: 1 << 24, threads: 1, states: &states, progress: None };
            let judged =
                judge(&mut whole, &spec(ModelName::Register), Rung::Linearizable, &limits).expect("judged");
            let violated = judged.judgement.answer == Answer::Violated;
            assert!(violated || early.is_none(), "seed {seed}: caught {early:?}, and the whole has an order");
            caught_early += u32::from(early.is_some_and(|caught| caught.events < 20));
        }
        assert!(caught_early > 20, "the prefixes are put to the test: {caught_early}");
    }

    #[test]
    fn judging_again_and_again_costs_a_few_times_what_judging_once_does() {
        let stop = AtomicBool::new(false);
        let mut watcher = Watcher::new(spec(ModelName::Register), 1 << 24, &stop);
        for value in 0..5000 {
            for event in events(&[(0, "invoke", "write", 1, value), (0, "ok", "write", 1, value)]) {
                assert!(watcher.take(&event).or_else(|| watcher.quiet()).is_none());
            }
        }
        assert!(watcher.spent <= QUIET * watcher.events + 6 * 5000, "{}", watcher.spent);
    }
}
