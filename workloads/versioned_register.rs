//! Reads, writes and compare-and-set of registers that count their versions, and tell which one they hold.

use crate::draw::Rng;
use crate::generator::{Ask, Context, Generator, Next, Told};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Completion, Value};

/// `read`, `write`, `cas`: as a `cas-register`, but a cas compares with a version. Every answer tells a version, which
/// makes the history cheap to judge, and a version that was made twice plain to see.
pub struct VersionedRegister {
    /// The model, which the workload is named after: it says how versions grow.
    model: &'static str,
    about: &'static str,
}

/// Versions of a register that are counted one by one.
pub const BY_ONE: VersionedRegister = VersionedRegister {
    model: "versioned-register",
    about: "reads, writes and compare-and-set by version of registers whose every write makes the next version",
};

/// Versions that other registers raise, too: sequence numbers, indexes.
pub const GROWING: VersionedRegister = VersionedRegister {
    model: "revision-register",
    about: "the same of registers whose every write makes a larger version, which writes of others raise, too",
};

impl Workload for VersionedRegister {
    fn name(&self) -> &'static str {
        self.model
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn model(&self) -> &'static str {
        self.model
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
        let second = |pair: &Value| pair.as_list().and_then(|pair| pair.get(1)).cloned();
        let wrote = if f == "cas" { second(input) } else { Some(input.clone()) };
        wrote.is_some() && second(output) == wrote
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let share = options.read_share;
        let make = move |key: usize| -> Box<dyn Generator> {
            Box::new(VersionedKey {
                rng: Rng::stream(seed, &format!("versioned-register {key}")),
                read_share: share,
                seen: 0,
                next: 1,
            })
        };
        let rng = Rng::stream(seed, "versioned-register keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("read", used)),
        }
    }
}

/// Share of cas among the calls that are no reads.
const CAS_SHARE: f64 = 0.6;
/// Share of cas that expect the latest version that was seen; the others expect any earlier one.
const HIT_SHARE: f64 = 0.8;

/// The calls of one key.
struct VersionedKey {
    rng: Rng,
    read_share: f64,
    /// The largest version that was seen; 0 before any was.
    seen: i64,
    /// The next value that was never written.
    next: i64,
}

impl VersionedKey {
    fn call(&mut self) -> Call {
        if self.rng.chance(self.read_share) {
            return call("read", Value::Null);
        }
        let value = Value::Int(self.next);
        self.next += 1;
        if !self.rng.chance(CAS_SHARE) {
            return call("write", value);
        }
        // Version 0 is a key that is not there: a cas that expects it creates the key.
        let hit = self.seen == 0 || self.rng.chance(HIT_SHARE);
        let expected = if hit { self.seen } else { self.rng.below(self.seen as usize) as i64 };
        call("cas", Value::list([Value::Int(expected), value]))
    }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}

impl Generator for VersionedKey {
    fn next(&mut self, ctx: &Context<'_>) -> Next {
        if ctx.free.is_empty() {
            return Next::Wait(None);
        }
        let worker = ctx.free[self.rng.below(ctx.free.len())].worker;
        Next::Call(Ask { worker, call: self.call(), timeout: None, due: None })
    }

    fn told(&mut self, told: &Told<'_>) {
        let Completion::Ok { value, applied, observed } = told.completion else { return };
        let holds = if *applied == Some(false) { observed.as_ref() } else { Some(value) };
        let version = holds.and_then(Value::as_list).and_then(|pair| pair.first()).and_then(Value::as_int);
        self.seen = self.seen.max(version.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Answers, simulate};

    #[test]
    fn all_three_functions_come_and_most_cas_hit() {
        let options = Options { keys: 2, ops_per_key: 50, read_share: 0.5, workers: 4 };
        let plan = BY_ONE.plan(&options, 3);
        let ops = simulate(crate::limit(1000, plan.main), 4, 2, Answers::Versions);
        let count = |f: &str| ops.iter().filter(|o| o.call.f == f).count();
        assert!((450..550).contains(&count("read")), "{}", count("read"));
        assert!(count("cas") > 200 && count("write") > 150, "{} {}", count("cas"), count("write"));
        let hits = ops.iter().filter(|o| o.call.f == "cas" && o.applied == Some(true)).count();
        assert!(hits * 2 > count("cas"), "{hits} of {}", count("cas"));
    }

    #[test]
    fn a_read_shows_the_write_of_its_value() {
        let read = Value::list([Value::Int(3), Value::Int(8)]);
        assert!(GROWING.shows(&read, "write", &Value::Int(8)));
        assert!(GROWING.shows(&read, "cas", &Value::list([Value::Int(2), Value::Int(8)])));
        assert!(!GROWING.shows(&read, "write", &Value::Int(3)));
        assert!(!GROWING.shows(&Value::Null, "cas", &Value::Int(3)));
    }
}
