//! Strings under keys: get, put, append.

use crate::combine::mix;
use crate::draw::Rng;
use crate::generator::{Generator, each};
use crate::keys::{FinalReads, KeysUsed, PerKey};
use crate::workload::{Options, Plan, Workload};
use history::{Call, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// `get`, `put`, `append`: a get shows which appends came, and in which order.
pub struct Kv;

impl Workload for Kv {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn about(&self) -> &'static str {
        "get, put and append of strings; what a get returns shows which appends came before it, and in which order"
    }

    fn model(&self) -> &'static str {
        "kv"
    }

    fn functions(&self) -> &'static [&'static str] {
        &["get", "put", "append"]
    }

    fn reads(&self) -> &'static [&'static str] {
        &["get"]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["put", "append"]
    }

    fn shows(&self, output: &Value, _: &str, input: &Value) -> bool {
        let tokens = output.as_text().unwrap_or("").split_inclusive('.');
        input.as_text().is_some_and(|wrote| tokens.into_iter().any(|token| token == wrote))
    }

    fn plan(&self, options: &Options, seed: u64) -> Plan {
        let used = KeysUsed::default();
        let share = options.read_share;
        let make = move |key: usize| -> Box<dyn Generator> {
            let rng = |purpose: &str| Rng::stream(seed, &format!("kv {key} {purpose}"));
            // Every token is unique within its key, so that a string tells its history.
            let tokens = Arc::new(AtomicI64::new(0));
            let token = move || Value::text(&format!("{}.", tokens.fetch_add(1, Ordering::Relaxed)));
            let (put, append) = (token.clone(), token);
            Box::new(mix(
                rng("mix"),
                vec![
                    (
                        share,
                        Box::new(each(rng("get"), |_, _| call("get", Value::Null))) as Box<dyn Generator>,
                    ),
                    ((1.0 - share) * 0.2, Box::new(each(rng("put"), move |_, _| call("put", put())))),
                    (
                        (1.0 - share) * 0.8,
                        Box::new(each(rng("append"), move |_, _| call("append", append()))),
                    ),
                ],
            ))
        };
        let rng = Rng::stream(seed, "kv keys");
        Plan {
            main: Box::new(PerKey::new(rng, options.keys, options.ops_per_key, used.clone(), make)),
            last: Box::new(FinalReads::new("get", used)),
        }
    }
}

fn call(f: &str, value: Value) -> Call {
    Call { f: f.to_string(), key: None, value }
}
