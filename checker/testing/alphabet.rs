//! The contents that histories for tests are made of, for each model.

use crate::spec::{FailedCas, ModelName, NilRead, Spec};
use history::{Applied, Outcome, Value};

/// What an operation asks and hears, whoever asks and whenever.
#[derive(Clone, Debug)]
pub struct Content {
    /// The function.
    pub f: &'static str,
    /// Value of the invocation.
    pub input: Value,
    /// Value of the completion.
    pub output: Value,
    /// What became of it.
    pub outcome: Outcome,
    /// Whether an `ok` had an effect.
    pub applied: Applied,
    /// What an operation without effect saw.
    pub observed: Option<Value>,
}

/// The specification that [`alphabet`] fits: everything as it is without options, and failed cas observed.
pub fn spec(model: ModelName) -> Spec {
    Spec { model, initial: None, failed_cas: FailedCas::Observe, nil_read: NilRead::Observe }
}

/// Every content of a model over the values initial, 1 and 2, and the outcomes ok, fail and info.
pub fn alphabet(model: ModelName) -> Vec<Content> {
    let (null, one, two) = (Value::Null, Value::Int(1), Value::Int(2));
    let all = [null.clone(), one.clone(), two.clone()];
    let new = [one.clone(), two.clone()];
    let list = |items: &[i64]| Value::list(items.iter().map(|&i| Value::Int(i)));
    let pair = |a: &Value, b: &Value| Value::list([a.clone(), b.clone()]);
    let mut contents = Contents::default();
    match model {
        ModelName::Register | ModelName::CasRegister => {
            contents.reads("read", &all);
            contents.writes("write", &all);
            if model == ModelName::CasRegister {
                for expected in &all {
                    for value in all.iter().filter(|v| *v != expected) {
                        contents.writes("cas", &[pair(expected, value)]);
                        contents.refused("cas", pair(expected, value), None);
                    }
                }
                contents.refused("cas", pair(&one, &two), Some(two.clone()));
                contents.refused("cas", pair(&two, &one), Some(null.clone()));
            }
        }
        ModelName::MultiRegister => {
            let micro = |f: &str, k: &str, v: &Value| Value::list([f.into(), k.into(), v.clone()]);
            let mut txn = |asked: &[Value], answered: &[Value]| {
                let (asked, answered) = (Value::list(asked.to_vec()), Value::list(answered.to_vec()));
                contents.add("txn", asked.clone(), answered, Outcome::Ok);
                contents.add("txn", asked, Value::Null, Outcome::Info);
            };
            for v in &all {
                txn(&[micro("read", "x", &null)], &[micro("read", "x", v)]);
                let both = [micro("read", "x", &null), micro("read", "y", &null)];
                txn(&both, &[micro("read", "x", v), micro("read", "y", &one)]);
            }
            for v in &new {
                txn(&[micro("write", "x", v)], &[micro("write", "x", v)]);
                let move_it = |y: &Value| [micro("read", "x", y), micro("write", "y", v)];
                txn(&move_it(&null), &move_it(&one));
                let both = [micro("write", "x", v), micro("write", "y", &one)];
                txn(&both, &both);
            }
        }
        ModelName::Kv => {
            // All but "x" can be told from the strings that they are part of.
            let texts = ["", "a;", "b;", "b;c;", "c;b;", "a;b;", "x"].map(Value::from);
            contents.reads("get", &texts);
            contents.writes("put", &["", "a;", "x"].map(Value::from));
            contents.writes("append", &["b;", "c;"].map(Value::from));
        }
        ModelName::Set => {
            contents.reads("read", &[null.clone(), list(&[1]), list(&[2]), list(&[2, 1]), list(&[1, 1])]);
            contents.writes("add", &new);
        }
        ModelName::Queue => {
            contents.reads("dequeue", &all);
            contents.writes("enqueue", &new);
        }
        ModelName::Counter => {
            contents.reads("read", &[0, 1, 2, 3].map(Value::Int));
            contents.writes("add", &[1, 2, -1].map(Value::Int));
        }
        ModelName::Mutex => {
            for f in ["acquire", "release"] {
                contents.writes(f, &[Value::Null]);
                contents.refused(f, Value::Null, None);
            }
        }
        ModelName::Lock => {
            contents.reads("acquire", &new);
            contents.refused("acquire", Value::Null, None);
            contents.writes("release", &new);
            contents.refused("release", one.clone(), None);
            for token in &new {
                for v in [&null, &one] {
                    contents.add("read", token.clone(), pair(token, v), Outcome::Ok);
                }
                contents.add("read", token.clone(), Value::Null, Outcome::Info);
                contents.writes("write", &[pair(token, &one)]);
                contents.refused("write", pair(token, &one), None);
            }
        }
        ModelName::VersionedRegister | ModelName::RevisionRegister => {
            let version = |n: i64, v: &Value| pair(&Value::Int(n), v);
            contents.reads("read", &[null.clone(), version(1, &one), version(2, &one), version(2, &two)]);
            contents.writes("write", &new);
            for (n, v) in [(1, &one), (2, &one), (2, &two), (3, &two)] {
                contents.add("write", v.clone(), version(n, v), Outcome::Ok);
            }
            contents.add("cas", version(0, &one), version(1, &one), Outcome::Ok);
            contents.add("cas", version(1, &two), version(2, &two), Outcome::Ok);
            contents.add("cas", version(1, &two), version(3, &two), Outcome::Ok);
            contents.writes("cas", &[version(1, &two), version(2, &one)]);
            contents.refused("cas", version(1, &two), None);
            contents.refused("cas", version(0, &two), Some(version(2, &one)));
        }
        ModelName::AppendLog | ModelName::ListAppend => {
            let lists: [&[i64]; 6] = [&[], &[1], &[2], &[1, 2], &[2, 1], &[1, 1]];
            contents.reads("read", &lists.map(list));
            contents.writes("append", &new);
            if model == ModelName::AppendLog {
                for at in 0..2 {
                    for v in &new {
                        contents.add("append", v.clone(), Value::Int(at), Outcome::Ok);
                        contents.add("read", Value::Int(at), v.clone(), Outcome::Ok);
                    }
                    contents.add("read", Value::Int(at), null.clone(), Outcome::Ok);
                }
                // An answer that is no offset is one of an append that was never told.
                contents.0.retain(|c| c.f != "append" || c.input != c.output || c.outcome != Outcome::Ok);
                contents.add("append", one.clone(), null.clone(), Outcome::Ok);
            }
        }
        ModelName::FetchAdd => {
            contents.reads("read", &[0, 1, 2, 3].map(Value::Int));
            contents.writes("add", &[1, 2].map(Value::Int));
            for (amount, before) in [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1)] {
                contents.add("fetch-add", Value::Int(amount), Value::Int(before), Outcome::Ok);
            }
            contents.add("add-fetch", Value::Int(-1), Value::Int(1), Outcome::Ok);
            contents.add("fetch-add", Value::Null, Value::Int(2), Outcome::Ok);
            contents.add("fetch-add", Value::Int(0), Value::Int(1), Outcome::Ok);
        }
        ModelName::UniqueIds | ModelName::MonotonicIds => {
            contents.reads("generate", &[1, 2, 3, 4, 5, 6, 7, 8].map(Value::Int));
        }
        ModelName::Bag => {
            contents.reads("dequeue", &all);
            contents.writes("enqueue", &new);
        }
        ModelName::Stack | ModelName::PriorityQueue => {
            let stack = model == ModelName::Stack;
            contents.reads(if stack { "pop" } else { "delete-min" }, &all);
            contents.reads("peek", &all);
            contents.writes(if stack { "push" } else { "insert" }, &new);
        }
        ModelName::Delivery => {
            contents.reads("dequeue", &all);
            contents.writes("enqueue", &new);
            contents.reads("drain", &[list(&[]), list(&[1]), list(&[2]), list(&[2, 1])]);
        }
        ModelName::ElementSet => {
            for f in ["add", "remove", "contains"] {
                for told in [true, false] {
                    contents.add(f, one.clone(), Value::Bool(told), Outcome::Ok);
                }
                if f != "contains" {
                    contents.writes(f, std::slice::from_ref(&one));
                }
            }
        }
        ModelName::Watch => {
            let change = |name: &str, value: &Value| pair(&Value::text(name), value);
            for (value, revision) in [(&one, 1), (&one, 2), (&two, 2)] {
                contents.add("put", change("a", value), Value::Int(revision), Outcome::Ok);
            }
            contents.add("put", change("a", &one), Value::Null, Outcome::Info);
            contents.add("put", change("a", &two), Value::Null, Outcome::Fail);
            contents.add("delete", "a".into(), Value::Int(3), Outcome::Ok);
            contents.add("delete", "a".into(), Value::Null, Outcome::Ok);
            contents.add("delete", "a".into(), Value::Null, Outcome::Info);
            let event =
                |revision, value: &Value| Value::list([Value::Int(revision), "a".into(), value.clone()]);
            for (from, upto, events) in [
                (1, 1, vec![event(1, &one)]),
                (1, 2, vec![event(2, &one)]),
                (1, 2, vec![event(1, &one), event(2, &two)]),
                (1, 3, vec![event(2, &two), event(3, &null)]),
                (2, 3, vec![event(3, &null)]),
                (2, 2, vec![event(1, &one)]),
                (1, 2, Vec::new()),
            ] {
                let answer = pair(&Value::Int(upto), &Value::list(events));
                if upto < 3 {
                    contents.add("catch-up", Value::Int(from), answer.clone(), Outcome::Ok);
                }
                contents.add("watch", Value::Int(from), answer, Outcome::Ok);
            }
            contents.add("watch", null.clone(), pair(&one, &list(&[])), Outcome::Ok);
            contents.add("watch", null, Value::Null, Outcome::Fail);
        }
        ModelName::Semaphore => {
            for f in ["acquire", "release"] {
                contents.writes(f, &[Value::Null]);
                contents.refused(f, Value::Null, None);
            }
        }
    }
    contents.0
}

#[derive(Default)]
struct Contents(Vec<Content>);

impl Contents {
    fn add(&mut self, f: &'static str, input: Value, output: Value, outcome: Outcome) {
        self.0.push(Content { f, input, output, outcome, applied: Applied::Unsaid, observed: None });
    }

    fn reads(&mut self, f: &'static str, results: &[Value]) {
        for result in results {
            self.add(f, Value::Null, result.clone(), Outcome::Ok);
        }
        self.add(f, Value::Null, Value::Null, Outcome::Info);
        self.add(f, Value::Null, Value::Null, Outcome::Fail);
    }

    fn writes(&mut self, f: &'static str, inputs: &[Value]) {
        for input in inputs {
            for outcome in [Outcome::Ok, Outcome::Info, Outcome::Fail] {
                self.add(f, input.clone(), input.clone(), outcome);
            }
        }
    }

    fn refused(&mut self, f: &'static str, input: Value, observed: Option<Value>) {
        self.add(f, input, Value::Null, Outcome::Ok);
        let last = self.0.last_mut().expect("one was just added");
        last.applied = Applied::No;
        last.observed = observed;
    }
}
