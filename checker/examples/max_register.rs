//! A model of your own: a register that only grows. `raise n` lifts it to at least n, `read` tells where it stands.
//!
//! `cargo run -p perjury-checker --example max_register`

use checker::model::kept;
use checker::testing::keeps_its_promises;
use checker::{IllFormed, Limits, Model, ObjOp, Problem, Property, build_model, judge_model};
use history::results::Answer;
use history::{Interner, Op, Outcome, Value, ValueId};
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64};

#[derive(Clone, Copy, Debug)]
struct MaxRegister;

/// An operation with its result: small, so that `step` only compares numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum MaxOp {
    Raise(i64),
    Read(i64),
}

fn number(values: &Interner, id: ValueId, in_completion: bool) -> Result<i64, IllFormed> {
    match values.get(id) {
        Value::Int(n) => Ok(*n),
        other => {
            Err(IllFormed { expected: "a whole number".to_string(), found: other.to_string(), in_completion })
        }
    }
}

impl Model for MaxRegister {
    type State = i64;
    type Op = MaxOp;

    fn decode(&mut self, values: &mut Interner, op: &Op) -> Result<Option<MaxOp>, IllFormed> {
        match (values.get(op.f).as_text(), op.outcome) {
            // What failed did not happen, and a read that was never answered had no effect: neither constrains anything.
            (Some("raise"), Outcome::Fail) | (Some("read"), Outcome::Fail | Outcome::Info) => Ok(None),
            (Some("raise"), Outcome::Ok | Outcome::Info) => {
                Ok(Some(MaxOp::Raise(number(values, op.input, false)?)))
            }
            (Some("read"), Outcome::Ok) => Ok(Some(MaxOp::Read(number(values, op.output, true)?))),
            (_, _) => Err(IllFormed {
                expected: "raise or read".to_string(),
                found: values.get(op.f).to_string(),
                in_completion: false,
            }),
        }
    }

    fn init(&self) -> i64 {
        0
    }

    fn step(&self, &state: &i64, op: MaxOp, out: &mut impl FnMut(i64)) {
        match op {
            MaxOp::Raise(n) => out(state.max(n)),
            MaxOp::Read(n) if n == state => out(state),
            MaxOp::Read(_) => {}
        }
    }

    // From here on: promises. Each makes the search faster, and none is needed.

    fn is_pure(&self, op: MaxOp) -> bool {
        matches!(op, MaxOp::Read(_))
    }

    fn only_in(&self, op: MaxOp) -> Option<i64> {
        match op {
            MaxOp::Read(n) => Some(n),
            MaxOp::Raise(_) => None,
        }
    }

    fn may_reach(&self, &state: &i64, op: MaxOp) -> bool {
        match op {
            MaxOp::Read(n) => state <= n,
            MaxOp::Raise(_) => true,
        }
    }

    /// A raise that no kept read returned can be left out: whoever read less came before it, and whoever read more read
    /// the same without it.
    fn project(&self, ops: &[ObjOp<MaxOp>], keep: &mut [bool], _: Property) -> Problem<MaxRegister> {
        let read: Vec<i64> = ops
            .iter()
            .zip(keep.iter())
            .filter_map(|(op, kept)| match op.op {
                MaxOp::Read(n) if *kept => Some(n),
                MaxOp::Read(_) | MaxOp::Raise(_) => None,
            })
            .collect();
        for (op, kept) in ops.iter().zip(keep.iter_mut()) {
            if let MaxOp::Raise(n) = op.op {
                *kept |= read.contains(&n);
            }
        }
        Problem { model: *self, ops: kept(ops, keep) }
    }

    // In words.

    fn describe_op(&self, _: &Interner, op: MaxOp) -> String {
        match op {
            MaxOp::Raise(n) => format!("raise {n}"),
            MaxOp::Read(n) => format!("read → {n}"),
        }
    }

    fn describe_state(&self, _: &Interner, state: &i64) -> String {
        state.to_string()
    }

    fn describe_conflict(&self, _: &Interner, state: &i64, op: MaxOp, object: &str) -> String {
        match op {
            MaxOp::Read(n) => format!("it read {n}, but {object} stands at {state}"),
            MaxOp::Raise(n) => format!("nothing speaks against raising {state} to {n}"),
        }
    }
}

/// Somebody reads 3, and somebody else, later, only 1.
const LINES: &str = r#"
    {"process":0,"type":"invoke","f":"raise","value":1}
    {"process":0,"type":"ok","f":"raise","value":1}
    {"process":0,"type":"invoke","f":"raise","value":2}
    {"process":1,"type":"invoke","f":"raise","value":3}
    {"process":2,"type":"invoke","f":"read","value":null}
    {"process":2,"type":"ok","f":"read","value":3}
    {"process":2,"type":"invoke","f":"read","value":null}
    {"process":2,"type":"ok","f":"read","value":1}
    {"process":0,"type":"ok","f":"raise","value":2}"#;

/// What is printed.
pub fn story() -> Result<String, Box<dyn Error>> {
    // First of all: is the model what it says about itself?
    let raises = [1, 2, 3].map(MaxOp::Raise);
    let reads = [0, 1, 2, 3].map(MaxOp::Read);
    let promised = keeps_its_promises(&MaxRegister, &[&raises[..], &reads].concat(), &raises, 1, 500)?;
    let mut text = format!("{} states and {} histories looked at\n", promised.states, promised.histories);

    let mut history = history::read("example", Box::new(LINES.as_bytes()), &Default::default())?;
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let limits = Limits { stop: &stop, bytes: 1 << 30, threads: 1, states: &states, progress: None };
    let judged = judge_model(&mut history, MaxRegister, "max-register", Property::Linearizable, &limits)?;
    text += match judged.judgement.answer {
        Answer::Holds => "linearizable\n",
        Answer::Violated => "not linearizable:\n",
        Answer::Undecided => "undecided\n",
    };
    let problem = &build_model(&mut history, MaxRegister)?.objects[0].problem;
    for violation in &judged.violations {
        for op in problem.ops.iter().filter(|op| violation.counterexample.core.contains(&op.source)) {
            let process = history.processes[op.process as usize];
            text += &format!("  process {process}: {}\n", MaxRegister.describe_op(&history.values, op.op));
        }
    }
    Ok(text)
}

/// Prints it.
pub fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", story()?);
    Ok(())
}
