//! The port of a workload, and the list of all of them.

use crate::generator::Generator;
use history::{Call, Value};

/// What can be chosen about a workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Keys in use at the same time.
    pub keys: usize,
    /// Calls for each key before the next one takes its place.
    pub ops_per_key: u32,
    /// Share of reads, 0 to 1, among the calls of workers that mix.
    pub read_share: f64,
    /// Workers.
    pub workers: usize,
}

/// What clients do in a run.
pub struct Plan {
    /// While faults come and go; ended by the time limit of the run.
    pub main: Box<dyn Generator>,
    /// After everything is healed: the last reads.
    pub last: Box<dyn Generator>,
}

/// A kind of thing that clients do to a system, with the promise that the system makes about it.
pub trait Workload: Send + Sync {
    /// `cas-register`
    fn name(&self) -> &'static str;
    /// One sentence.
    fn about(&self) -> &'static str;
    /// The model that judges its histories.
    fn model(&self) -> &'static str;
    /// The properties that decide, unless others are asked for.
    fn asked(&self) -> &'static [&'static str] {
        &["linearizable"]
    }
    /// The properties that are judged beside, to say what still holds.
    fn informs(&self) -> &'static [&'static str] {
        &["sequential"]
    }
    /// The functions that a client must offer.
    fn functions(&self) -> &'static [&'static str];
    /// Those of them that have no effect at all, so that one without an answer did not happen.
    fn reads(&self) -> &'static [&'static str];
    /// Those of them whose acknowledgement says that something changed.
    fn writes(&self) -> &'static [&'static str];
    /// Those of them whose answers show what others did.
    fn observes(&self) -> &'static [&'static str] {
        self.reads()
    }
    /// Whether the answer `output` of such a function shows the effect of the call of `f` with `input`.
    fn shows(&self, output: &Value, f: &str, input: &Value) -> bool {
        let _ = f;
        output == input
    }
    /// Keys side by side, unless told otherwise.
    fn default_keys(&self) -> usize {
        4
    }
    /// Calls for each key, unless told otherwise.
    fn default_ops_per_key(&self) -> u32 {
        80
    }
    /// Share of reads, unless told otherwise.
    fn default_read_share(&self) -> f64 {
        0.5
    }
    /// The calls of a run.
    fn plan(&self, options: &Options, seed: u64) -> Plan;
    /// The call that shows whether a node knows of the write to `key` that was just acknowledged elsewhere: a read,
    /// unless the workload has none.
    fn fresh(&self, key: Option<&Value>) -> Call {
        Call { f: self.reads().first().unwrap_or(&"read").to_string(), key: key.cloned(), value: Value::Null }
    }
}

/// Every workload, in the order of `perjury list workloads`. A new one is one file and one line here.
pub fn all() -> &'static [&'static dyn Workload] {
    &[
        &crate::register::Register,
        &crate::cas_register::CasRegister,
        &crate::versioned_register::BY_ONE,
        &crate::versioned_register::GROWING,
        &crate::kv::Kv,
        &crate::set::Set,
        &crate::lock::Lock,
        &crate::queue::Queue,
        &crate::delivery::Delivery,
        &crate::counter::Counter,
        &crate::watch::Watch,
    ]
}

/// The workload of that name.
pub fn find(name: &str) -> Option<&'static dyn Workload> {
    all().iter().copied().find(|w| w.name() == name)
}
