//! A set that only grows: every element is added once, and must stay.

use crate::combine::mix;
use crate::draw::Rng;
use crate::generator::{Generator, each};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// `add`, `read`: what was acknowledged once must be in every later read.
pub struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn about(&self) -> &'static str {
        "adds of elements that are never removed, and reads of the whole set: no lost write is masked by a later one"
    }

    fn model(&self) -> &'static str {
        "set"
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

    fn shows(&self, output: &Value, _: &str, input: &Value) -> bool {
        output.as_list().is_some_and(|elements| elements.contains(input))
    }

    fn default_keys(&self) -> usize {
        2
    }

    fn default_ops_per_key(&self) -> u32 {
        200
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let share = options.read_share;
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("set {key} {purpose}"));
            let elements = Arc::new(AtomicI64::new(0));
            let add = move |_: &mut Rng, _| call("add", Value::Int(elements.fetch_add(1, Ordering::Relaxed)));
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
        let rng = Rng::stream(seed, "set keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("read", used)),
        }
    }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}
