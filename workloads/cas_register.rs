//! Reads, writes and compare-and-set of registers.

use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Told};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};

/// `read`, `write`, `cas`: a cas mostly expects the value that was last seen, so that many succeed.
pub struct CasRegister;

impl Workload for CasRegister {
    fn name(&self) -> &'static str {
        "cas-register"
    }

    fn about(&self) -> &'static str {
        "reads, writes and compare-and-set of registers; most compare with the value that was seen last"
    }

    fn model(&self) -> &'static str {
        "cas-register"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["read", "write", "cas"]
    }

    fn reads(&self) -> &'static [&'static str] {
        &["read"]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["write", "cas"]
    }

    fn shows(&self, output: &Value, f: &str, input: &Value) -> bool {
        let wrote = if f == "cas" { input.as_list().and_then(|pair| pair.get(1)) } else { Some(input) };
        wrote == Some(output)
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let share = options.read_share;
        let make = move |key: usize| -> Box<dyn Generator> {
            Box::new(CasKey {
                rng: Rng::stream(seed, &format!("cas-register {key}")),
                read_share: share,
                last: None,
                next: 1,
            })
        };
        let rng = Rng::stream(seed, "cas-register keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("read", used)),
        }
    }
}

/// Share of cas among the calls that are no reads.
const CAS_SHARE: f64 = 0.6;
/// Share of cas that expect what was last seen; the others expect any earlier value.
const HIT_SHARE: f64 = 0.8;

/// The calls of one key.
struct CasKey {
    rng: Rng,
    read_share: f64,
    /// What the key was last seen to hold.
    last: Option<i64>,
    /// The next value that was never written.
    next: i64,
}

impl CasKey {
    fn fresh(&mut self) -> i64 {
        self.next += 1;
        self.next - 1
    }

    fn call(&mut self) -> Call {
        if self.rng.chance(self.read_share) {
            return call("read", Value::Null);
        }
        let last = self.last;
        match last {
            Some(last) if self.rng.chance(CAS_SHARE) => {
                let hit = self.rng.chance(HIT_SHARE);
                let expected = if hit { last } else { 1 + self.rng.below(self.next as usize) as i64 };
                let new = self.fresh();
                call("cas", Value::list([Value::Int(expected), Value::Int(new)]))
            }
            Some(_) | None => {
                let value = self.fresh();
                call("write", Value::Int(value))
            }
        }
    }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}

impl Generator for CasKey {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() {
            return Next::Wait(None);
        }
        let worker = ctx.free[self.rng.below(ctx.free.len())].worker;
        Next::Call(Ask { worker, call: self.call(), timeout: None, due: None })
    }

    fn told(&mut self, told: &Told<'_>) {
        let Completion::Ok { value, applied, observed } = told.completion else { return };
        let holds = match (told.call.f.as_str(), applied) {
            ("cas", Some(false)) => observed.clone(),
            ("cas", _) => told.call.value.as_list().and_then(|pair| pair.get(1)).cloned(),
            _ => Some(value.clone()),
        };
        if let Some(Value::Int(v)) = holds {
            self.last = Some(v);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, simulate};

    #[test]
    fn all_three_functions_come_and_most_cas_hit() {
        let options = Options { keys: 2, ops_per_key: 50, read_share: 0.5, workers: 4 };
        let ops = simulate(crate::limit(1000, CasRegister.plan(&options, 3).main), 4, 2, Answers::Registers);
        let count = |f: &str| ops.iter().filter(|o| o.call.f == f).count();
        assert!((450..550).contains(&count("read")), "{}", count("read"));
        assert!(count("cas") > 200 && count("write") > 150, "{} {}", count("cas"), count("write"));
        let hits = ops.iter().filter(|o| o.call.f == "cas" && o.applied == Some(true)).count();
        assert!(hits * 2 > count("cas"), "{hits} of {}", count("cas"));
    }
}
