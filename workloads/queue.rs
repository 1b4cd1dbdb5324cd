//! First in, first out: every element goes in once and must come out once.

use crate::combine::mix;
use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Told, each};
use crate::keys::{KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// `enqueue`, `dequeue`; at the end, every queue is drained until it says twice that it is empty.
pub struct Queue;

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn about(&self) -> &'static str {
        "enqueues of unique elements and dequeues; at the end every queue is drained until it is empty twice"
    }

    fn model(&self) -> &'static str {
        "queue"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["enqueue", "dequeue"]
    }

    fn reads(&self) -> &'static [&'static str] {
        // A dequeue without an answer may have taken an element with it: nothing here is without effect.
        &[]
    }

    fn fresh(&self, key: Option<&Value>) -> Call {
        call("dequeue", key.cloned(), Value::Null)
    }

    fn writes(&self) -> &'static [&'static str] {
        &["enqueue"]
    }

    fn observes(&self) -> &'static [&'static str] {
        &["dequeue"]
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("queue {key} {purpose}"));
            let elements = Arc::new(AtomicI64::new(0));
            let enqueue = move |_: &mut Rng, _| {
                call("enqueue", None, Value::Int(elements.fetch_add(1, Ordering::Relaxed)))
            };
            let dequeue = each(rng("dequeue"), |_, _| call("dequeue", None, Value::Null));
            Box::new(mix(
                rng("mix"),
                vec![
                    (0.5, Box::new(each(rng("enqueue"), enqueue)) as Box<dyn Generator>),
                    (0.5, Box::new(dequeue)),
                ],
            ))
        };
        let rng = Rng::stream(seed, "queue keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(Drain { used, ops: options.ops_per_key, left: None }),
        }
    }
}

fn call(f: &str, key: Option<Value>, value: Value) -> Call {
    Call { f: f.to_string(), key, value }
}

/// Dequeues from each queue, one worker at a time, until it was empty twice in a row.
struct Drain {
    used: KeysUsed,
    ops: u32,
    left: Option<HashMap<Value, Draining>>,
}

/// A queue that is being emptied.
struct Draining {
    /// How often in a row it was empty.
    empty: u32,
    /// Calls that may still be made: a queue that never ends must not hold the run.
    tries: u32,
    open: bool,
}

impl Generator for Drain {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let (used, ops) = (&self.used, self.ops);
        let fresh = || Draining { empty: 0, tries: ops * 2 + 10, open: false };
        let left = self.left.get_or_insert_with(|| used.names().map(|k| (k, fresh())).collect());
        // In the order of the keys: the map's own order would change from run to run.
        let mut busy = false;
        for key in self.used.names() {
            let Some(queue) = left.get_mut(&key) else { continue };
            if queue.open {
                busy = true;
            } else if queue.empty < 2 && queue.tries > 0 {
                let Some(slot) = ctx.free.first() else { return Next::Wait(None) };
                queue.open = true;
                queue.tries -= 1;
                let call = call("dequeue", Some(key), Value::Null);
                return Next::Call(Ask { worker: slot.worker, call, timeout: None, due: None });
            }
        }
        if busy { Next::Wait(None) } else { Next::Done }
    }

    fn told(&mut self, told: &Told<'_>) {
        let queue = self.left.as_mut().zip(told.call.key.as_ref()).and_then(|(left, key)| left.get_mut(key));
        let Some(queue) = queue else { return };
        queue.open = false;
        match told.completion {
            Completion::Ok { value: Value::Null, .. } => queue.empty += 1,
            Completion::Ok { .. } | Completion::Fail(_) | Completion::Info { .. } => queue.empty = 0,
        }
    }
}
