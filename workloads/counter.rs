//! Numbers that are added to.

use crate::combine::mix;
use crate::draw::Rng;
use crate::generator::{Generator, each};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Value};

/// `add`, `read`: every acknowledged increment counts once.
pub struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn about(&self) -> &'static str {
        "increments and reads of counters: an increment that was acknowledged counts once, no more and no less"
    }

    fn model(&self) -> &'static str {
        "counter"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn reads(&self) -> &'static [&'static str] {
        &["read"]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["add"]
    }

    fn shows(&self, output: &Value, _: &str, _: &Value) -> bool {
        // Which increments are in a sum cannot be told; that some are, can.
        output.as_int().is_some_and(|sum| sum != 0)
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let share = options.read_share;
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("counter {key} {purpose}"));
            // Different amounts, so that a sum says more about which of them are in it.
            let add = |rng: &mut Rng, _| call("add", Value::Int(1 + rng.below(5) as i64));
            Box::new(mix(
                rng("mix"),
                vec![
                    (
                        share,
                        Box::new(each(rng("read"), |_, _| call("read", Value::Null))) as Box<dyn Generator>,
                    ),
                    (1.0 - share, Box::new(each(rng("add"), add))),
                ],
            ))
        };
        let rng = Rng::stream(seed, "counter keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("read", used)),
        }
    }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}
