//! Reads and blind writes of registers, every value written once.

use crate::combine::{mix, reserve};
use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Slot, Told, each};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// `read`, `write`: half of the workers read, write and read each key in turn, the others mix at random.
pub struct Register;

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn about(&self) -> &'static str {
        "reads and blind writes of registers, every value written once; half of the sessions read, write and read again"
    }

    fn model(&self) -> &'static str {
        "register"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["read", "write"]
    }

    fn reads(&self) -> &'static [&'static str] {
        &["read"]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["write"]
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let values = Arc::new(AtomicI64::new(0));
        let (share, sessions) = (options.read_share, options.workers / 2);
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("register {key} {purpose}"));
            let turns = Box::new(ReadWriteRead::new(rng("turns"), values.clone()));
            let values = values.clone();
            let random = mix(
                rng("mix"),
                vec![
                    (share, Box::new(each(rng("read"), |_, _| read())) as Box<dyn Generator>),
                    (1.0 - share, Box::new(each(rng("write"), move |_, _| write(fresh(&values))))),
                ],
            );
            Box::new(reserve(rng("reserve"), vec![(sessions, turns)], Box::new(random)))
        };
        let rng = Rng::stream(seed, "register keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("read", used)),
        }
    }
}

fn fresh(values: &AtomicI64) -> i64 {
    values.fetch_add(1, Ordering::Relaxed) + 1
}

fn read() -> Call {
    Call { f: "read".to_string(), key: None, value: Value::Null }
}

fn write(value: i64) -> Call {
    Call { f: "write".to_string(), key: None, value: Value::Int(value) }
}

/// Each process reads, writes and reads again: whoever loses a write, or shows a session something older than it has
/// seen, is seen doing it by that session.
struct ReadWriteRead {
    rng: Rng,
    values: Arc<AtomicI64>,
    /// How many calls each process has made.
    turns: HashMap<i64, u32>,
}

impl ReadWriteRead {
    fn new(rng: Rng, values: Arc<AtomicI64>) -> ReadWriteRead {
        ReadWriteRead { rng, values, turns: HashMap::new() }
    }
}

impl Generator for ReadWriteRead {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() {
            return Next::Wait(None);
        }
        let Slot { worker, process, .. } = ctx.free[self.rng.below(ctx.free.len())];
        let turn = self.turns.entry(process).or_default();
        let call = if *turn % 3 == 1 { write(fresh(&self.values)) } else { read() };
        *turn += 1;
        Next::Call(Ask { worker, call, timeout: None, due: None })
    }

    fn told(&mut self, _: &Told<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, simulate};

    #[test]
    fn no_value_is_written_twice_and_sessions_read_what_they_wrote() {
        let options = Options { keys: 2, ops_per_key: 30, read_share: 0.5, workers: 4 };
        let plan = Register.plan(&options, 7);
        let ops = simulate(crate::limit(400, plan.main), 4, 2, Answers::AllOk);
        let written: Vec<&Value> =
            ops.iter().filter(|o| o.call.f == "write").map(|o| &o.call.value).collect();
        let distinct: std::collections::HashSet<&Value> = written.iter().copied().collect();
        assert_eq!(written.len(), distinct.len());
        // Workers 0 and 1 take turns, on every key by itself.
        for worker in [0, 1] {
            for key in ["k0", "k1"] {
                let fs: String = ops
                    .iter()
                    .filter(|o| o.worker == worker && o.call.key == Some(key.into()))
                    .map(|o| &o.call.f[..1])
                    .collect();
                assert!("rwrrwrrwrrwrrwrrwrrwrrwrrwrrwr".starts_with(&fs), "worker {worker}, {key}: {fs}");
            }
        }
    }

    #[test]
    fn a_seed_gives_the_same_calls_again() {
        let options = Options { keys: 3, ops_per_key: 20, read_share: 0.5, workers: 6 };
        let run =
            |seed| simulate(crate::limit(200, Register.plan(&options, seed).main), 6, 3, Answers::AllOk);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }
}
