//! Delivery at least once: what was confirmed must come, as often as it likes.

use crate::combine::mix;
use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Told, each, sooner};
use crate::keys::{KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// `enqueue`, `dequeue` with an acknowledgement, and at the end `drain`, until every queue was found empty twice.
pub struct Delivery;

impl Workload for Delivery {
    fn name(&self) -> &'static str {
        "delivery"
    }

    fn about(&self) -> &'static str {
        "messages sent with confirmation and taken with acknowledgement, which may come again but must come: at the end every queue is drained until it is empty twice"
    }

    fn model(&self) -> &'static str {
        "delivery"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["enqueue", "dequeue", "drain"]
    }

    fn reads(&self) -> &'static [&'static str] {
        // A taking without an answer may have taken a message with it, unless its client knows better.
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

    fn default_keys(&self) -> usize {
        2
    }

    fn default_ops_per_key(&self) -> u32 {
        2000
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("delivery {key} {purpose}"));
            let messages = Arc::new(AtomicI64::new(0));
            let enqueue = move |_: &mut Rng, _| {
                call("enqueue", None, Value::Int(messages.fetch_add(1, Ordering::Relaxed)))
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
        let rng = Rng::stream(seed, "delivery keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(Drain { used, ops: options.ops_per_key, left: None }),
        }
    }
}

fn call(f: &str, key: Option<Value>, value: Value) -> Call {
    Call { f: f.to_string(), key, value }
}

/// How many drains in a row must return nothing until a queue counts as empty.
const EMPTY: u32 = 2;
/// How many dequeues in a row must bring nothing before the first drain, and how long each rests: ten seconds together. A
/// broker that was just healed may answer that it has nothing until it has elected; a drain would take it at its word.
const DRY: u32 = 20;
const DRY_NS: i64 = 500_000_000;
/// How long a drain may take: longer than a broker keeps a message back for a consumer that is gone.
const DRAIN: Duration = Duration::from_secs(30);
/// How often a queue that refuses is asked again, and after how long: a cluster that was just healed may need to elect.
const REFUSALS: u32 = 100;
const AGAIN_NS: i64 = 200_000_000;

/// Empties each queue, one worker at a time: dequeues until nothing came for a while, since an answer that is lost then is worth
/// one message at most, and drains until they returned nothing twice.
struct Drain {
    used: KeysUsed,
    ops: u32,
    left: Option<HashMap<Value, Draining>>,
}

/// A queue that is being emptied.
struct Draining {
    /// Dequeues in a row that found nothing.
    dry: u32,
    /// Drains in a row that found nothing.
    empty: u32,
    /// Calls that may still be answered: a queue that never ends must not hold the run.
    tries: u32,
    /// Calls that may still go without an answer.
    refusals: u32,
    /// Not asked again before this time.
    rests: i64,
    open: bool,
}

impl Draining {
    fn done(&self) -> bool {
        self.empty >= EMPTY || self.tries == 0 || self.refusals == 0
    }

    fn told(&mut self, f: &str, completion: &Completion, time: i64) {
        self.open = false;
        match (f, completion) {
            ("drain", Completion::Ok { value, .. }) => {
                self.tries -= 1;
                let nothing = value.as_list().is_none_or(<[Value]>::is_empty);
                self.empty = if nothing { self.empty + 1 } else { 0 };
            }
            (_, Completion::Ok { value, .. }) => {
                self.tries -= 1;
                if *value == Value::Null {
                    (self.dry, self.rests) = (self.dry + 1, time + DRY_NS);
                } else {
                    self.dry = 0;
                }
            }
            (_, Completion::Fail(_) | Completion::Info { .. }) => {
                self.refusals -= 1;
                self.rests = time + AGAIN_NS;
            }
        }
    }
}

impl Generator for Drain {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let (used, ops) = (&self.used, self.ops);
        let fresh = || Draining {
            dry: 0,
            empty: 0,
            tries: ops * 2 + 10 + 2 * DRY,
            refusals: REFUSALS,
            rests: 0,
            open: false,
        };
        let left = self.left.get_or_insert_with(|| used.names().map(|k| (k, fresh())).collect());
        let (mut busy, mut wake) = (false, None);
        // In the order of the keys: the map's own order would change from run to run.
        for key in self.used.names() {
            let Some(queue) = left.get_mut(&key).filter(|queue| !queue.done()) else { continue };
            busy = true;
            if queue.open {
                continue;
            }
            if queue.rests > ctx.time {
                wake = sooner(wake, Some(queue.rests));
                continue;
            }
            let Some(slot) = ctx.free.first() else { return Next::Wait(None) };
            queue.open = true;
            let (f, timeout) = if queue.dry < DRY { ("dequeue", None) } else { ("drain", Some(DRAIN)) };
            let call = call(f, Some(key), Value::Null);
            return Next::Call(Ask { worker: slot.worker, call, timeout, due: None });
        }
        if busy { Next::Wait(wake) } else { Next::Done }
    }

    fn told(&mut self, told: &Told<'_>) {
        let queue = self.left.as_mut().zip(told.call.key.as_ref()).and_then(|(left, key)| left.get_mut(key));
        if let Some(queue) = queue {
            queue.told(&told.call.f, told.completion, told.time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, Done, simulate};

    fn options() -> Options {
        Options { keys: 2, ops_per_key: 20, read_share: 0.5, workers: 3 }
    }

    fn calls(answers: Answers) -> (Vec<Done>, Vec<Done>) {
        let plan = Delivery.plan(&options(), 7);
        let main = simulate(crate::limit(40, plan.main), 3, 3, answers);
        (main, simulate(plan.last, 3, 3, answers))
    }

    fn of(done: &[Done], key: &str) -> Vec<String> {
        let mine = done.iter().filter(|d| d.call.key == Some(Value::text(key)));
        mine.map(|d| d.call.f.clone()).collect()
    }

    #[test]
    fn every_message_is_sent_once_and_at_the_end_all_queues_are_emptied() {
        let (main, last) = calls(Answers::Queues);
        let mut sent: Vec<_> = main.iter().filter(|d| d.call.f == "enqueue").map(|d| &d.call).collect();
        let all = sent.len();
        sent.sort_by_key(|call| format!("{call:?}"));
        sent.dedup();
        assert_eq!(sent.len(), all);
        for key in ["k0", "k1"] {
            let asked = of(&last, key);
            let (dequeues, drains) = asked.split_at(asked.iter().position(|f| f == "drain").unwrap());
            assert!(dequeues.len() >= DRY as usize && dequeues.iter().all(|f| f == "dequeue"), "{asked:?}");
            assert_eq!(drains, ["drain", "drain"]);
        }
    }

    #[test]
    fn a_queue_that_never_ends_or_never_answers_does_not_hold_the_run() {
        // Every dequeue brings its argument, null, and every drain too.
        assert!(!calls(Answers::AllOk).1.is_empty());
        let lost = calls(Answers::AllInfo).1;
        assert_eq!(of(&lost, "k0").len(), REFUSALS as usize);
        let times: Vec<i64> = lost.iter().map(|d| d.at).collect();
        assert!(times.last().unwrap() - times[0] >= 15_000, "{times:?}: asked again after a rest");
    }
}
