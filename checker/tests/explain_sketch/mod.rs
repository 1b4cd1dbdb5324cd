//! Histories as lines that can be read, for the tests of explanations.
//!
//! ```text
//!   [*] process node invoke return f key input [-> output]      `*`: in the core; `-`: no node, no key
//!                                                               return: `409` ok, `!409` fail, `?1409` info, `?` no reply
//! ```
//! Times are milliseconds, and order the events as well; at one time, invocations come before returns.

#![allow(dead_code)] // Each test file uses a part.

pub mod plan;

use checker::{Counterexample, ModelName, Spec};
use history::results::Anomaly;
use history::{Applied, History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};

/// The history of a sketch.
pub fn history(sketch: &str) -> History {
    let mut history = History::default();
    let mut processes: Vec<i64> = Vec::new();
    let mut events: Vec<(i64, u8, usize)> = Vec::new();
    let mut times: Vec<(i64, Option<i64>, Outcome)> = Vec::new();
    for (index, line) in lines(sketch).enumerate() {
        let line = line.trim_start_matches('*').trim();
        let (asked, answer) = line.split_once("->").map_or((line, None), |(a, b)| (a, Some(b.trim())));
        let mut words = asked.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("a word is missing in {line:?}"));
        let process: i64 = word().parse().expect("a process");
        let node = word();
        let invoke: i64 = word().parse().expect("a time");
        let ret = word();
        let (f, key) = (word(), word());
        let input = value(&words.collect::<Vec<_>>().join(" "));
        let (outcome, ret) = match (ret.strip_prefix('!'), ret.strip_prefix('?')) {
            (Some(t), _) => (Outcome::Fail, Some(t.parse().expect("a time"))),
            (_, Some("")) => (Outcome::Info, None),
            (_, Some(t)) => (Outcome::Info, Some(t.parse().expect("a time"))),
            (None, None) => (Outcome::Ok, Some(ret.parse().expect("a time"))),
        };
        events.push((invoke, 0, index));
        if let (Some(t), true) = (ret, outcome != Outcome::Info) {
            events.push((t, 1, index));
        }
        times.push((invoke, ret, outcome));
        let dense = processes.iter().position(|&p| p == process).unwrap_or_else(|| {
            processes.push(process);
            processes.len() - 1
        }) as u32;
        let refused = answer == Some("refused");
        let output = match (answer, outcome) {
            (Some(answer), Outcome::Ok) if !refused => value(answer),
            (_, Outcome::Ok) => input.clone(),
            (_, Outcome::Fail | Outcome::Info) => Value::Null,
        };
        let name = |text: &str| if text == "-" { Value::Null } else { Value::text(text) };
        let op = Op {
            invoke: 0,
            ret: NEVER,
            process: dense,
            f: history.values.intern(&name(f)),
            key: history.values.intern(&name(key)),
            input: history.values.intern(&input),
            output: history.values.intern(&output),
            outcome,
            applied: if refused { Applied::No } else { Applied::Unsaid },
            observed: None,
            error: ValueId::NULL,
            node: history.values.intern(&name(node)),
            session: dense,
            invoke_time: invoke * 1_000_000,
            ret_time: ret.map_or(NO_TIME, |t| t * 1_000_000),
            invoke_line: 0,
            ret_line: 0,
        };
        history.ops.push(op);
    }
    events.sort_unstable();
    for (rank, &(_, returns, index)) in events.iter().enumerate() {
        let op = &mut history.ops[index];
        if returns == 1 {
            (op.ret, op.ret_line) = (rank as u32, rank as u32 + 1);
        } else {
            (op.invoke, op.invoke_line) = (rank as u32, rank as u32 + 1);
        }
    }
    history.ops.sort_by_key(|op| op.invoke);
    history.ranks = events.len() as u32;
    history.processes = processes;
    history
}

/// The marked operations of a sketch, which must stand in the order of their invocations.
pub fn core_of(sketch: &str) -> Counterexample {
    let marked = lines(sketch).enumerate().filter(|(_, line)| line.starts_with('*'));
    Counterexample { core: marked.map(|(i, _)| i as u32).collect(), minimal: true, fatal: None }
}

/// The specification without options.
pub fn spec(model: ModelName, history: &History) -> Spec {
    Spec::new(model, history.source.format)
}

fn lines(sketch: &str) -> impl Iterator<Item = &str> {
    sketch.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// `null`, `true`, a number, a word, or a list `[a b [c]]`.
fn value(text: &str) -> Value {
    let spaced = text.replace('[', " [ ").replace(']', " ] ");
    let mut stack: Vec<Vec<Value>> = vec![Vec::new()];
    for word in spaced.split_whitespace() {
        match word {
            "[" => stack.push(Vec::new()),
            "]" => {
                let items = stack.pop().expect("a list was opened");
                stack.last_mut().expect("a list was opened").push(Value::list(items));
            }
            "null" => stack.last_mut().expect("not closed").push(Value::Null),
            "true" | "false" => stack.last_mut().expect("not closed").push(Value::Bool(word == "true")),
            word => {
                let value = word.parse::<i64>().map_or_else(|_| Value::text(word), Value::Int);
                stack.last_mut().expect("not closed").push(value);
            }
        }
    }
    stack.pop().and_then(|mut items| items.pop()).unwrap_or(Value::Null)
}

/// What a person is told about an anomaly.
pub fn show(anomaly: &Anomaly) -> String {
    let mut text = format!("{}: {}\n{}\n", anomaly.kind, anomaly.sentence, anomaly.story);
    for edge in &anomaly.edges {
        text.push_str(&format!("{} {} before {}: {}\n", edge.n, edge.from, edge.to, edge.text));
    }
    if !anomaly.circle.is_empty() {
        text.push_str(&format!("circle {}\n", anomaly.circle.join(" < ")));
    }
    for row in &anomaly.orders {
        let prefix = row.prefix.join(" ");
        text.push_str(&format!("{prefix} | {}: {} ({})\n", row.breaks_at, row.because, row.count));
    }
    if !anomaly.states.is_empty() {
        let spans = anomaly
            .states
            .iter()
            .map(|s| format!("{}{}", s.possible.join(" or "), if s.conflict { " !" } else { "" }));
        text.push_str(&format!("states {}\n", spans.collect::<Vec<_>>().join(" / ")));
    }
    text
}

/// A small generator of numbers from a seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    /// The same numbers for the same seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }
}
