//! Many small objects instead of a big one: keys that are used for a while and then left alone, and their last reads.

use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Slot, Told, sooner};
use history::{Call, Completion, Value};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many keys were used so far; shared by the phases of a plan.
#[derive(Clone, Debug, Default)]
pub struct KeysUsed(Arc<AtomicUsize>);

impl KeysUsed {
    /// The number of keys.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// The names of the keys, in order of first use.
    pub fn names(&self) -> impl Iterator<Item = Value> + use<> {
        (0..self.count()).map(name)
    }
}

fn name(key: usize) -> Value {
    Value::text(&format!("k{key}"))
}

/// A key that is in use.
struct Open {
    name: Value,
    left: u32,
    generator: Box<dyn Generator>,
}

/// A fixed number of keys side by side, each with its own generator; after its number of calls, a key makes room for
/// the next. Short objects keep the judging cheap: its cost grows steeply with the ops of one object.
pub struct PerKey {
    rng: Rng,
    make: Box<dyn FnMut(usize) -> Box<dyn Generator> + Send>,
    side_by_side: usize,
    ops: u32,
    open: Vec<Open>,
    used: KeysUsed,
}

impl PerKey {
    /// `side_by_side` keys at any time, `ops` calls for each; `make` gives the generator of the key with that number.
    pub fn new(
        rng: Rng,
        side_by_side: usize,
        ops: u32,
        used: KeysUsed,
        make: impl FnMut(usize) -> Box<dyn Generator> + Send + 'static,
    ) -> PerKey {
        PerKey { rng, make: Box::new(make), side_by_side, ops, open: Vec::new(), used }
    }

    fn fill(&mut self) {
        self.open.retain(|o| o.left > 0);
        while self.open.len() < self.side_by_side {
            let key = self.used.0.fetch_add(1, Ordering::Relaxed);
            self.open.push(Open { name: name(key), left: self.ops, generator: (self.make)(key) });
        }
    }
}

impl Generator for PerKey {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() || self.ops == 0 || self.side_by_side == 0 {
            return Next::Wait(None);
        }
        self.fill();
        let mut wait = None;
        let start = self.rng.below(self.open.len());
        for step in 0..self.open.len() {
            let at = (start + step) % self.open.len();
            let open = &mut self.open[at];
            match open.generator.next(ctx) {
                Next::Call(mut ask) => {
                    open.left -= 1;
                    ask.call.key = Some(open.name.clone());
                    return Next::Call(ask);
                }
                Next::Wait(until) => wait = sooner(wait, until),
                Next::Done => open.left = 0,
            }
        }
        // Nobody could: all wait, or a key ended early and its successor is asked at once.
        if self.open.iter().any(|o| o.left == 0) {
            wait = Some(ctx.time);
        }
        Next::Wait(wait)
    }

    fn told(&mut self, told: &Told<'_>) {
        let open = self.open.iter_mut().find(|o| Some(&o.name) == told.call.key.as_ref());
        if let Some(open) = open {
            open.generator.told(told);
        }
    }
}

/// Every worker reads every key that was used, and then every key once more. Reads that fail are tried again,
/// a bounded number of times.
///
/// Last reads turn "nobody has seen it" into "it is gone"; two of them show whether the cluster has settled.
pub struct FinalReads {
    f: &'static str,
    used: KeysUsed,
    /// What is left to do, for each worker.
    left: HashMap<usize, VecDeque<(Value, u32)>>,
    /// Workers whose call is open.
    open: HashMap<usize, (Value, u32)>,
    begun: bool,
}

/// How often one final read is tried. A healed cluster answers at once, or after an election or two.
const TRIES: u32 = 5;

impl FinalReads {
    /// Reads by function `f` of whatever keys are used when it is first asked.
    pub fn new(f: &'static str, used: KeysUsed) -> FinalReads {
        FinalReads { f, used, left: HashMap::new(), open: HashMap::new(), begun: false }
    }

    fn begin(&mut self, workers: usize) {
        self.begun = true;
        let keys: Vec<Value> = self.used.names().collect();
        for worker in 0..workers {
            let twice = keys.iter().chain(&keys).map(|k| (k.clone(), TRIES));
            self.left.insert(worker, twice.collect());
        }
    }
}

impl Generator for FinalReads {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if !self.begun {
            self.begin(ctx.workers);
        }
        for &Slot { worker, .. } in ctx.free {
            let Some(next) = self.left.get_mut(&worker).and_then(VecDeque::pop_front) else { continue };
            let call = Call { f: self.f.to_string(), key: Some(next.0.clone()), value: Value::Null };
            self.open.insert(worker, next);
            return Next::Call(Ask { worker, call, timeout: None, due: None });
        }
        let done = self.open.is_empty() && self.left.values().all(VecDeque::is_empty);
        if done { Next::Done } else { Next::Wait(None) }
    }

    fn told(&mut self, told: &Told<'_>) {
        let Some((key, tries)) = self.open.remove(&told.slot.worker) else { return };
        let again = match told.completion {
            Completion::Ok { .. } => false,
            Completion::Fail(_) | Completion::Info { .. } => tries > 1,
        };
        if again {
            self.left.entry(told.slot.worker).or_default().push_front((key, tries - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::each;
    use crate::simulate::{Answers, simulate};
    use std::collections::BTreeMap;

    fn reads() -> Box<dyn Generator> {
        Box::new(each(Rng::stream(1, "reads"), |_, _| Call {
            f: "read".to_string(),
            key: None,
            value: Value::Null,
        }))
    }

    #[test]
    fn every_key_gets_its_calls_and_at_most_so_many_are_in_use() {
        let keys = PerKey::new(Rng::stream(1, "keys"), 3, 10, KeysUsed::default(), |_| reads());
        let ops = simulate(crate::limit(100, keys), 2, 1, Answers::AllOk);
        let mut of_key: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, op) in ops.iter().enumerate() {
            of_key.entry(op.call.key.as_ref().expect("keyed").to_string()).or_default().push(i);
        }
        assert!(of_key.values().all(|calls| calls.len() <= 10));
        assert!(of_key.values().filter(|calls| calls.len() == 10).count() >= 7);
        for i in 0..ops.len() {
            let in_use = of_key.values().filter(|c| c[0] <= i && i <= c[c.len() - 1]).count();
            assert!(in_use <= 3, "{in_use} keys at call {i}");
        }
    }

    #[test]
    fn at_the_end_every_worker_reads_every_key_twice() {
        let used = KeysUsed::default();
        let keys = PerKey::new(Rng::stream(1, "keys"), 2, 5, used.clone(), |_| reads());
        simulate(crate::limit(12, keys), 2, 1, Answers::AllOk);
        assert_eq!(used.count(), 4);
        let ops = simulate(FinalReads::new("read", used), 2, 1, Answers::AllOk);
        for worker in [0, 1] {
            let mine = ops.iter().filter(|o| o.worker == worker);
            let keys: Vec<String> = mine.map(|o| o.call.key.clone().expect("keyed").to_string()).collect();
            assert_eq!(keys.join(" "), "k0 k1 k2 k3 k0 k1 k2 k3");
        }
    }

    #[test]
    fn a_final_read_that_fails_is_tried_again_but_not_for_ever() {
        let used = KeysUsed::default();
        let keys = PerKey::new(Rng::stream(1, "keys"), 1, 5, used.clone(), |_| reads());
        simulate(crate::limit(1, keys), 1, 1, Answers::AllOk);
        let ops = simulate(FinalReads::new("read", used), 1, 1, Answers::AllInfo);
        assert_eq!(ops.len(), 2 * TRIES as usize);
    }
}
