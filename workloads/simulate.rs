//! A simulated clock and simulated answers, for tests of generators: every call takes one millisecond.

use crate::generator::{Context, Generator, Next, Slot, Told};
use history::{Call, Completion, Value};
use std::collections::HashMap;

/// A call with its times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Done {
    pub(crate) worker: usize,
    pub(crate) at: i64,
    pub(crate) call: Call,
    pub(crate) applied: Option<bool>,
}

/// How the simulated system answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answers {
    /// Everything is `ok` with its own argument.
    AllOk,
    /// Registers that know read, write and cas.
    Registers,
    /// Registers that know read, write and cas, and count their versions.
    Versions,
    /// Everything is `info`, so that processes end.
    AllInfo,
    /// A lock that is always free, with tokens that count up, and the resource behind it.
    Lock,
    /// Queues: first in, first out.
    Queues,
    /// A store that tells its watchers of every change.
    Watched,
    /// The same, whose watchers are never told of anything.
    Deaf,
}

const MS: i64 = 1_000_000;

/// Runs `generator` to its end (or through 100 000 questions) and returns its calls in order.
pub(crate) fn simulate(
    mut generator: impl Generator,
    workers: usize,
    nodes: usize,
    answers: Answers,
) -> Vec<Done> {
    let mut slots: Vec<Slot> =
        (0..workers).map(|w| Slot { worker: w, process: w as i64, node: w % nodes }).collect();
    let mut open: Vec<(i64, Slot, Call)> = Vec::new();
    let mut registers: HashMap<Option<Value>, Value> = HashMap::new();
    let mut done: Vec<Done> = Vec::new();
    let mut time = 0;
    for _ in 0..100_000 {
        let (ready, still): (Vec<_>, Vec<_>) = open.into_iter().partition(|(end, _, _)| *end <= time);
        open = still;
        for (end, slot, call) in ready {
            let completion = answer(answers, &mut registers, &call);
            if let Completion::Ok { applied, .. } = &completion {
                if let Some(d) = done.iter_mut().rev().find(|d| d.worker == slot.worker) {
                    d.applied = *applied;
                }
            }
            if let Completion::Info { .. } = completion {
                slots[slot.worker].process += workers as i64;
            }
            generator.told(&Told { time: end, slot, call: &call, completion: &completion });
        }
        let free: Vec<Slot> =
            slots.iter().copied().filter(|s| open.iter().all(|(_, o, _)| o.worker != s.worker)).collect();
        match generator.next(&Context { time, free: &free, workers }) {
            Next::Call(ask) => {
                let slot = free.iter().find(|s| s.worker == ask.worker).copied();
                let slot = slot.expect("a call goes to a free worker");
                done.push(Done { worker: ask.worker, at: time / MS, call: ask.call.clone(), applied: None });
                open.push((time + MS, slot, ask.call));
            }
            Next::Wait(until) => {
                let next = open.iter().map(|(end, _, _)| *end).chain(until).min();
                time = next.expect("nobody would ever wake this generator").max(time);
            }
            Next::Done => break,
        }
    }
    done
}

fn answer(answers: Answers, registers: &mut HashMap<Option<Value>, Value>, call: &Call) -> Completion {
    match answers {
        Answers::AllOk => Completion::ok(call.value.clone()),
        Answers::AllInfo => Completion::lost("simulated"),
        Answers::Queues => {
            let queue = registers.entry(call.key.clone()).or_insert(Value::Null);
            let mut waiting: Vec<Value> = queue.as_list().unwrap_or_default().to_vec();
            let value = match call.f.as_str() {
                "enqueue" => {
                    waiting.push(call.value.clone());
                    call.value.clone()
                }
                "dequeue" if waiting.is_empty() => Value::Null,
                "dequeue" => waiting.remove(0),
                _ => Value::list(std::mem::take(&mut waiting)),
            };
            *queue = Value::list(waiting);
            Completion::ok(value)
        }
        Answers::Watched | Answers::Deaf => {
            let log = registers.entry(None).or_insert(Value::Null);
            let mut events: Vec<Value> = log.as_list().unwrap_or_default().to_vec();
            let revision = events.len() as i64 + 1;
            let value = match (call.f.as_str(), call.value.as_list()) {
                ("put", Some([name, value])) => {
                    events.push(Value::list([Value::Int(revision), name.clone(), value.clone()]));
                    Value::Int(revision)
                }
                ("delete", _) => {
                    events.push(Value::list([Value::Int(revision), call.value.clone(), Value::Null]));
                    Value::Int(revision)
                }
                _ => {
                    let hears = matches!(answers, Answers::Watched);
                    let from = call.value.as_int().unwrap_or(if hears { revision } else { 1 });
                    let told = events.iter().skip(from as usize - 1).filter(|_| hears).cloned();
                    let upto = if hears { revision - 1 } else { from - 1 };
                    Value::list([Value::Int(upto), Value::list(told)])
                }
            };
            *log = Value::list(events);
            Completion::ok(value)
        }
        Answers::Lock => {
            let (tokens, resource) = (Some(Value::text("tokens")), Some(Value::text("resource")));
            let value = match (call.f.as_str(), call.value.as_list()) {
                ("acquire", _) => {
                    let last = registers.get(&tokens).and_then(Value::as_int).unwrap_or(0);
                    registers.insert(tokens, Value::Int(last + 1));
                    Value::Int(last + 1)
                }
                ("write", Some([_, value])) => {
                    registers.insert(resource, value.clone());
                    call.value.clone()
                }
                ("read", _) => {
                    let holds = registers.get(&resource).cloned().unwrap_or(Value::Null);
                    Value::list([call.value.clone(), holds])
                }
                _ => call.value.clone(),
            };
            Completion::ok(value)
        }
        Answers::Versions => {
            let holds = registers.entry(call.key.clone()).or_insert(Value::Null);
            let version = holds.as_list().and_then(|pair| pair.first()).and_then(Value::as_int).unwrap_or(0);
            let next = |value: &Value| Value::list([Value::Int(version + 1), value.clone()]);
            match (call.f.as_str(), call.value.as_list()) {
                ("cas", Some([expected, new])) if *expected == Value::Int(version) => {
                    *holds = next(new);
                    Completion::Ok { value: holds.clone(), applied: Some(true), observed: None }
                }
                ("cas", _) => Completion::Ok {
                    value: call.value.clone(),
                    applied: Some(false),
                    observed: Some(holds.clone()),
                },
                ("write", _) => {
                    *holds = next(&call.value);
                    Completion::ok(holds.clone())
                }
                _ => Completion::ok(holds.clone()),
            }
        }
        Answers::Registers => {
            let holds = registers.entry(call.key.clone()).or_insert(Value::Null);
            match (call.f.as_str(), call.value.as_list()) {
                ("cas", Some([expected, new])) => {
                    let applied = holds == expected;
                    let observed = (!applied).then(|| holds.clone());
                    if applied {
                        *holds = new.clone();
                    }
                    Completion::Ok { value: call.value.clone(), applied: Some(applied), observed }
                }
                ("write", _) => {
                    *holds = call.value.clone();
                    Completion::ok(call.value.clone())
                }
                _ => Completion::ok(holds.clone()),
            }
        }
    }
}
