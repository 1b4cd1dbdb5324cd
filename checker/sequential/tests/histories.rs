//! Random histories of every model. Most are made by running one order and then telling lies about it.

use crate::{FailedCas, ModelName, NilRead, Spec};
use history::{Applied, History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use std::collections::BTreeMap;

/// A small generator of numbers (xorshift64*, Vigna 2016), the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % n
    }

    pub fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }
}

/// What a random history is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub ops: u64,
    pub processes: u64,
    pub keys: u64,
    pub values: u64,
    /// Percent of operations that are never answered.
    pub crashed: u64,
    /// Percent of answers that are made up.
    pub lies: u64,
    /// Whether each value is written once.
    pub unique: bool,
}

impl Shape {
    pub fn random(dice: &mut Dice, ops_max: u64) -> Shape {
        Shape {
            ops: 1 + dice.below(ops_max),
            processes: 1 + dice.below(4),
            keys: 1 + dice.below(3),
            values: 1 + dice.below(3),
            crashed: [0, 0, 10, 30, 60][dice.below(5) as usize],
            lies: [0, 10, 25, 60][dice.below(4) as usize],
            unique: dice.percent(50),
        }
    }
}

/// One operation, before it is written down.
#[derive(Clone, Debug)]
pub struct Said {
    pub process: u32,
    pub f: &'static str,
    pub key: Value,
    pub input: Value,
    pub output: Value,
    pub outcome: Outcome,
    pub applied: Applied,
    pub observed: Option<Value>,
}

/// The history in which `said` were sent and answered one after the other.
pub fn history(said: &[Said]) -> History {
    let mut history = History::default();
    for (i, said) in (0..).zip(said) {
        let values = &mut history.values;
        let info = said.outcome == Outcome::Info;
        let op = Op {
            invoke: 2 * i,
            ret: if info { NEVER } else { 2 * i + 1 },
            process: said.process,
            f: values.intern(&Value::text(said.f)),
            key: values.intern(&said.key),
            input: values.intern(&said.input),
            output: values.intern(if info { &Value::Null } else { &said.output }),
            outcome: said.outcome,
            applied: said.applied,
            observed: said.observed.as_ref().map(|v| values.intern(v)),
            error: ValueId::NULL,
            node: ValueId::NULL,
            session: said.process,
            invoke_time: NO_TIME,
            ret_time: NO_TIME,
            invoke_line: 2 * i + 1,
            ret_line: if info { 0 } else { 2 * i + 2 },
        };
        history.ops.push(op);
    }
    let processes = said.iter().map(|s| s.process + 1).max().unwrap_or(0);
    history.processes = (0..i64::from(processes)).collect();
    history.ranks = 2 * said.len() as u32;
    history
}

/// The specification that random histories of `model` are made for.
pub fn spec(model: ModelName) -> Spec {
    Spec { model, initial: None, failed_cas: FailedCas::Drop, nil_read: NilRead::Observe }
}

/// The models that are drawn here.
pub const DRAWN: [ModelName; 9] = [
    ModelName::Register,
    ModelName::CasRegister,
    ModelName::MultiRegister,
    ModelName::Kv,
    ModelName::Set,
    ModelName::Queue,
    ModelName::Counter,
    ModelName::Mutex,
    ModelName::Lock,
];

/// A random history of `model`. A process that gets no answer goes on as another.
pub fn random(model: ModelName, shape: Shape, dice: &mut Dice) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut name: Vec<u32> = (0..shape.processes as u32).collect();
    let mut fresh = shape.processes as u32;
    for i in 0..shape.ops {
        let worker = dice.below(shape.processes) as usize;
        let value = Value::Int(1 + if shape.unique { i as i64 } else { dice.below(shape.values) as i64 });
        let (f, input) = request(model, value, shape, dice);
        let crashed = dice.percent(shape.crashed);
        let key = if model == ModelName::MultiRegister {
            Value::Null
        } else {
            Value::Int(dice.below(shape.keys) as i64)
        };
        let (output, outcome) = (Value::Null, if crashed { Outcome::Info } else { Outcome::Ok });
        let (applied, observed) = (Applied::Unsaid, None);
        said.push(Said { process: name[worker], f, key, input, output, outcome, applied, observed });
        if crashed {
            name[worker] = fresh;
            fresh += 1;
        }
    }
    answer(model, &mut said, dice);
    for one in said.iter_mut().filter(|s| s.outcome == Outcome::Ok) {
        if dice.percent(shape.lies) {
            lie(model, one, shape, dice);
        }
    }
    said
}

fn request(model: ModelName, value: Value, shape: Shape, dice: &mut Dice) -> (&'static str, Value) {
    let some = |dice: &mut Dice| Value::Int(dice.below(shape.values.max(3) + 1) as i64);
    match (model, dice.below(4)) {
        (ModelName::Register, 0 | 1) => ("write", value),
        (ModelName::CasRegister, 0) => ("write", value),
        (ModelName::CasRegister, 1) => {
            let expected = some(dice);
            ("cas", Value::list([if expected == Value::Int(0) { Value::Null } else { expected }, value]))
        }
        (ModelName::Register | ModelName::CasRegister, _) => ("read", Value::Null),
        (ModelName::MultiRegister, n) => {
            let micros = (0..1 + n % 2).map(|i| {
                let key = Value::Int(dice.below(shape.keys) as i64);
                match dice.below(2) {
                    0 => Value::list([Value::text("read"), key, Value::Null]),
                    _ if i == 0 => Value::list([Value::text("write"), key, value.clone()]),
                    _ => Value::list([Value::text("write"), key, some(dice)]),
                }
            });
            ("txn", Value::list(micros))
        }
        (ModelName::Kv, 0) => ("put", value),
        (ModelName::Kv, 1) => ("append", value),
        (ModelName::Kv, _) => ("get", Value::Null),
        (ModelName::Set, 0 | 1) => ("add", value),
        (ModelName::Set, _) => ("read", Value::Null),
        (ModelName::Queue, 0 | 1) => ("enqueue", value),
        (ModelName::Queue, _) => ("dequeue", Value::Null),
        (ModelName::Counter, 0 | 1) => ("add", value),
        (ModelName::Counter, _) => ("read", Value::Null),
        (ModelName::Mutex, 0 | 1) => ("acquire", Value::Null),
        (ModelName::Mutex, _) => ("release", Value::Null),
        (ModelName::Lock, 0) => ("acquire", Value::Null),
        (ModelName::Lock, 1) => ("release", Value::Int(1 + dice.below(3) as i64)),
        (ModelName::Lock, 2) => ("read", Value::list([Value::Int(1 + dice.below(3) as i64), Value::Null])),
        (ModelName::Lock, _) => ("write", Value::list([Value::Int(1 + dice.below(3) as i64), value])),
        (other, _) => panic!("not drawn here: {other:?}"),
    }
}

/// One object of any model, as a child would write it.
#[derive(Clone, Debug, Default)]
struct Thing {
    cells: BTreeMap<Value, Value>,
    text: String,
    list: Vec<Value>,
    count: i64,
    holder: Option<u32>,
    token: i64,
}

/// Answers all requests by running them in one random order that keeps each process in its own.
fn answer(model: ModelName, said: &mut [Said], dice: &mut Dice) {
    let mut things: BTreeMap<Value, Thing> = BTreeMap::new();
    let mut left: Vec<usize> = (0..said.len()).collect();
    while !left.is_empty() {
        let first = |k: &usize| !left[..*k].iter().any(|&j| said[j].process == said[left[*k]].process);
        let ready: Vec<usize> = (0..left.len()).filter(first).collect();
        // Mostly in the order they were sent: histories of real systems are nearly right.
        let pick = if dice.percent(60) { 0 } else { ready[dice.below(ready.len() as u64) as usize] };
        let one = &mut said[left.remove(pick)];
        if one.outcome == Outcome::Info && dice.percent(40) {
            continue;
        }
        run(model, one, things.entry(one.key.clone()).or_default());
    }
}

fn run(model: ModelName, one: &mut Said, thing: &mut Thing) {
    let cell = thing.cells.get(&Value::Null).cloned().unwrap_or(Value::Null);
    let number = |v: &Value| v.as_int().unwrap_or(0);
    one.output = one.input.clone();
    match one.f {
        "put" => thing.text = one.input.to_string(),
        "append" => thing.text += &one.input.to_string(),
        "get" => one.output = Value::text(&thing.text),
        "enqueue" => thing.list.push(one.input.clone()),
        "dequeue" => one.output = if thing.list.is_empty() { Value::Null } else { thing.list.remove(0) },
        // Every thing is all things: the sum, the elements, and the cell.
        "add" => {
            thing.count += number(&one.input);
            thing.list.push(one.input.clone());
        }
        "cas" => {
            let [expected, new] = one.input.as_list().expect("a pair") else { panic!("a pair") };
            if *expected == cell {
                thing.cells.insert(Value::Null, new.clone());
            } else {
                one.applied = Applied::No;
                one.observed = (number(new) % 2 == 0).then_some(cell);
            }
        }
        "txn" => {
            let micros = one.input.as_list().expect("a list").iter().map(|m| {
                let [f, key, value] = m.as_list().expect("a micro") else { panic!("a micro") };
                let held = thing.cells.entry(key.clone()).or_insert(Value::Null);
                if f.as_text() == Some("write") {
                    held.clone_from(value);
                }
                Value::list([f.clone(), key.clone(), held.clone()])
            });
            one.output = Value::list(micros);
        }
        "acquire" if thing.holder.is_some() => one.applied = Applied::No,
        "acquire" => {
            thing.holder = Some(one.process);
            thing.token += 1;
            one.output = Value::Int(thing.token);
        }
        "release" if thing.holder != Some(one.process) => one.applied = Applied::No,
        "release" => thing.holder = None,
        "read" if one.input != Value::Null => {
            let token = one.input.as_list().expect("a pair")[0].clone();
            one.output = Value::list([token, cell]);
        }
        "read" if model == ModelName::Set => one.output = Value::List(thing.list.clone().into()),
        "read" if model == ModelName::Counter => one.output = Value::Int(thing.count),
        "read" => one.output = cell,
        "write" => {
            let value = one.input.as_list().map_or(&one.input, |pair| &pair[1]);
            thing.cells.insert(Value::Null, value.clone());
        }
        f => panic!("a request of no model: {f}"),
    }
    if one.outcome == Outcome::Info {
        (one.applied, one.observed) = (Applied::Unsaid, None);
    }
}

/// Replaces the answer by a random one.
fn lie(model: ModelName, one: &mut Said, shape: Shape, dice: &mut Dice) {
    let range = if shape.unique { shape.ops } else { shape.values } + 1;
    let made_up = match dice.below(range) {
        0 => Value::Null,
        n => Value::Int(n as i64),
    };
    match one.f {
        "read" if one.input != Value::Null => {
            one.output = Value::list([one.input.as_list().expect("a pair")[0].clone(), made_up]);
        }
        "read" if model == ModelName::Set => {
            let mut seen = one.output.as_list().expect("a set").to_vec();
            if seen.is_empty() || dice.percent(50) {
                seen.extend((made_up != Value::Null).then_some(made_up));
            } else {
                seen.remove(dice.below(seen.len() as u64) as usize);
            }
            one.output = Value::List(seen.into());
        }
        "read" | "dequeue" | "get" => one.output = made_up,
        "cas" | "release" | "acquire" => {
            one.applied = if one.applied == Applied::No { Applied::Unsaid } else { Applied::No };
            one.observed = None;
            if one.f == "acquire" {
                one.output = Value::Int(1 + dice.below(3) as i64);
            }
        }
        "txn" => {
            let micros = one.output.as_list().expect("a list").iter().map(|m| {
                let [f, key, value] = m.as_list().expect("a micro") else { panic!("a micro") };
                let read = f.as_text() == Some("read");
                Value::list([f.clone(), key.clone(), if read { made_up.clone() } else { value.clone() }])
            });
            one.output = Value::list(micros);
        }
        _ => {}
    }
}
