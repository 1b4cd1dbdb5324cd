//! A lock, and a resource that must only be changed by whoever holds it.

use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Slot, Told, sooner};
use crate::keys::{KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};
use std::collections::HashMap;

/// `acquire`, `read`, `write`, `release`: each holder replaces what it has read by one more, and shows its token.
pub struct Lock;

impl Workload for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn about(&self) -> &'static str {
        "acquire, read the guarded resource, write one more with the token, release: two holders at once lose an update"
    }

    fn model(&self) -> &'static str {
        "lock"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["acquire", "read", "write", "release"]
    }

    fn reads(&self) -> &'static [&'static str] {
        // A guarded read shows its token to the resource, which remembers the largest: nothing is without effect.
        &[]
    }

    fn fresh(&self, key: Option<&Value>) -> Call {
        Call { f: "acquire".to_string(), key: key.cloned(), value: Value::Null }
    }

    fn writes(&self) -> &'static [&'static str] {
        &["acquire", "write", "release"]
    }

    fn observes(&self) -> &'static [&'static str] {
        &["read"]
    }

    fn shows(&self, output: &Value, f: &str, input: &Value) -> bool {
        let resource = |pair: &Value| pair.as_list().and_then(|pair| pair.get(1)).cloned();
        f == "write" && resource(output).is_some() && resource(output) == resource(input)
    }

    fn default_keys(&self) -> usize {
        1
    }

    fn default_ops_per_key(&self) -> u32 {
        160
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let make = move |key: usize| -> Box<dyn Generator> {
            Box::new(Holders::new(Rng::stream(seed, &format!("lock {key}"))))
        };
        let rng = Rng::stream(seed, "lock keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(LastRounds { seed, used, left: None }),
        }
    }
}

/// A fencing token as the system gave it.
type Token = i64;

/// What a process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It asks for the lock, not before this time.
    Acquire { not_before: i64 },
    /// It holds the lock and looks at the resource.
    Read(Token),
    /// It replaces what it has seen.
    Write(Token, i64),
    /// It gives the lock back.
    Release(Token),
}

/// How long a refused process waits before it asks again.
const REFUSED_NS: i64 = 20_000_000;

/// A process at the lock.
struct Holder {
    step: Step,
    open: bool,
}

/// The processes around one lock.
struct Holders {
    rng: Rng,
    at: HashMap<i64, Holder>,
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}

impl Step {
    fn call(self) -> Call {
        match self {
            Step::Acquire { .. } => call("acquire", Value::Null),
            Step::Read(token) => call("read", Value::Int(token)),
            Step::Write(token, seen) => call("write", Value::list([Value::Int(token), Value::Int(seen + 1)])),
            Step::Release(token) => call("release", Value::Int(token)),
        }
    }

    /// What comes after an `ok` of this step with that value at that time.
    fn after(self, time: i64, value: &Value, applied: Option<bool>) -> Step {
        let again = Step::Acquire { not_before: time + REFUSED_NS };
        match (self, applied) {
            (Step::Acquire { .. }, Some(false)) => again,
            (Step::Acquire { .. }, _) => value.as_int().map_or(again, Step::Read),
            // The resource has seen a larger token: somebody else holds the lock.
            (Step::Read(token) | Step::Write(token, _), Some(false)) => Step::Release(token),
            (Step::Read(token), _) => {
                // A resource that nobody has written yet counts from 0.
                let seen = value.as_list().and_then(|pair| pair.get(1)).and_then(Value::as_int);
                Step::Write(token, seen.unwrap_or(0))
            }
            (Step::Write(token, _), _) => Step::Release(token),
            (Step::Release(_), _) => again,
        }
    }

    /// What comes after a `fail` of this step: whoever holds the lock gives it back.
    fn after_fail(self, time: i64) -> Step {
        match self {
            Step::Read(token) | Step::Write(token, _) => Step::Release(token),
            Step::Acquire { .. } | Step::Release(_) => Step::Acquire { not_before: time + REFUSED_NS },
        }
    }
}

impl Holders {
    fn new(rng: Rng) -> Holders {
        Holders { rng, at: HashMap::new() }
    }
}

impl Generator for Holders {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() {
            return Next::Wait(None);
        }
        let start = self.rng.below(ctx.free.len());
        let mut wait = None;
        for i in 0..ctx.free.len() {
            let Slot { worker, process, .. } = ctx.free[(start + i) % ctx.free.len()];
            let first = Holder { step: Step::Acquire { not_before: 0 }, open: false };
            let holder = self.at.entry(process).or_insert(first);
            match holder.step {
                // Its call is open at this moment in another key's eyes only: a free worker has none.
                _ if holder.open => {}
                Step::Acquire { not_before } if ctx.time < not_before => {
                    wait = sooner(wait, Some(not_before))
                }
                step => {
                    holder.open = true;
                    return Next::Call(Ask { worker, call: step.call(), timeout: None, due: None });
                }
            }
        }
        Next::Wait(wait)
    }

    fn told(&mut self, told: &Told<'_>) {
        let Some(holder) = self.at.get_mut(&told.slot.process) else { return };
        holder.open = false;
        match told.completion {
            Completion::Ok { value, applied, .. } => {
                holder.step = holder.step.after(told.time, value, *applied)
            }
            Completion::Fail(_) => holder.step = holder.step.after_fail(told.time),
            // The process has ended.
            Completion::Info { .. } => {
                self.at.remove(&told.slot.process);
            }
        }
    }
}

/// Whoever looks at the resource needs the lock: at the end one worker goes twice through the whole round of each key.
struct LastRounds {
    seed: u64,
    used: KeysUsed,
    /// The keys that are left, the current one last.
    left: Option<Vec<LastRound>>,
}

/// The last rounds of one key.
struct LastRound {
    key: Value,
    holders: Holders,
    rounds: u32,
    /// Calls that may still be made. The lock may be held by somebody who is gone, until it expires.
    tries: u32,
}

impl Generator for LastRounds {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        let seed = self.seed;
        let fresh = |key: Value| LastRound {
            holders: Holders::new(Rng::stream(seed, &format!("lock {key} last"))),
            key,
            rounds: 2,
            tries: 500,
        };
        let names = self.used.names();
        let left = self.left.get_or_insert_with(|| names.map(fresh).collect());
        if ctx.free.len() < ctx.workers {
            return Next::Wait(None);
        }
        while left.last().is_some_and(|l| l.rounds == 0 || l.tries == 0) {
            left.pop();
        }
        let Some(last) = left.last_mut() else { return Next::Done };
        match last.holders.next(&Context { free: &ctx.free[..1], ..*ctx }) {
            Next::Call(mut ask) => {
                last.tries -= 1;
                ask.call.key = Some(last.key.clone());
                Next::Call(ask)
            }
            next => next,
        }
    }

    fn told(&mut self, told: &Told<'_>) {
        let Some(last) = self.left.as_mut().and_then(|left| left.last_mut()) else { return };
        last.holders.told(told);
        if told.call.f == "release" && matches!(told.completion, Completion::Ok { .. }) {
            last.rounds = last.rounds.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, simulate};

    #[test]
    fn a_holder_reads_writes_one_more_and_releases() {
        let options = Options { keys: 1, ops_per_key: 100, read_share: 0.5, workers: 1 };
        let ops = simulate(crate::limit(9, Lock.plan(&options, 1).main), 1, 1, Answers::Lock);
        let shown: Vec<String> =
            ops.iter().map(|o| format!("{} {} {}", o.at, o.call.f, o.call.value)).collect();
        assert_eq!(
            shown,
            [
                "0 acquire null",
                "1 read 1",
                "2 write [1 1]",
                "3 release 1",
                "24 acquire null",
                "25 read 2",
                "26 write [2 2]",
                "27 release 2",
                "48 acquire null",
            ]
        );
    }
}
