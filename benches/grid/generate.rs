//! Makes histories of a simulated store of cas registers, from a seed: the grid's input.
//!
//! Clients call with exponential latencies; each operation takes effect at one instant inside its window, so the
//! history is linearizable, unless a stale read was asked for.
//!
//! ```text
//!   client 0  |--write 3----·------|          · the instant at which it takes effect
//!   client 1      |-·----read 3 ?                 which need not be the order of calls
//! ```

use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::{self, Write};

/// Mean latency in nanoseconds; thinking between two calls takes a tenth of it.
const LATENCY: f64 = 1_000_000.0;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Operations.
    pub ops: u32,
    /// Clients that call at the same time.
    pub clients: u32,
    /// Keys.
    pub keys: u32,
    /// How many values there are; 0 makes every written value unique.
    pub values: u32,
    /// Of the operations, those that are never answered.
    pub info: f64,
    /// Whether one read returns an overwritten value after 95 % of the operations.
    pub stale: bool,
}

impl Recipe {
    /// Valid, one key, everything answered.
    pub const fn new(ops: u32, clients: u32, values: u32) -> Recipe {
        Recipe { ops, clients, keys: 1, values, info: 0.0, stale: false }
    }

    /// The arguments in short: `n=1000 c=20 values=5 stale`.
    pub fn name(&self) -> String {
        let mut name = format!("n={} c={}", self.ops, self.clients);
        if self.keys > 1 {
            name += &format!(" k={}", self.keys);
        }
        name += &if self.values == 0 { " unique".to_string() } else { format!(" values={}", self.values) };
        if self.info > 0.0 {
            name += &format!(" info={}", self.info);
        }
        if self.stale {
            name += " stale";
        }
        name
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Call {
    Read,
    Write(i64),
    Cas(i64, i64),
}

#[derive(Clone, Copy, Debug)]
struct Op {
    call: Call,
    key: u32,
    client: u32,
    process: u32,
    number: u32,
    invoked: u64,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Invoke(u32),
    Effect(u32),
    /// Of an operation whose client is told nothing.
    LateEffect(u32),
    Answer(u32),
    GiveUp(u32),
}

struct Due {
    at: u64,
    number: u64,
    what: What,
}

/// The earliest first; of two at the same time, the one that was planned first.
impl Ord for Due {
    fn cmp(&self, other: &Due) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Due) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Due) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

/// A cell of the store, and what is needed to lie about it.
#[derive(Clone, Copy, Default)]
struct Cell {
    value: Option<i64>,
}

/// The one write whose value is read again later.
#[derive(Clone, Copy)]
struct Planted {
    key: u32,
    value: i64,
    returned: Option<u64>,
    /// Whether a write that was invoked after that has returned, and when.
    overwritten: Option<u64>,
}

struct Store<'a, W> {
    recipe: Recipe,
    random: Xoshiro256PlusPlus,
    due: BinaryHeap<Due>,
    planned: u64,
    /// Operations that are open, by slot.
    open: Vec<Op>,
    free: Vec<u32>,
    /// Operations whose clients are told nothing.
    unheard: Vec<Op>,
    results: Vec<Option<i64>>,
    applied: Vec<bool>,
    cells: Vec<Cell>,
    processes: Vec<u32>,
    issued: u32,
    next_value: i64,
    planted: Option<Planted>,
    lied: bool,
    last_time: u64,
    out: &'a mut W,
}

/// Writes the history that `recipe` and `seed` name, as JSON Lines, two lines an operation.
///
/// # Errors
/// Whatever `out` says; and if no stale read could be placed.
pub fn generate(recipe: Recipe, seed: u64, out: &mut impl Write) -> io::Result<()> {
    let mut store = Store {
        recipe,
        random: Xoshiro256PlusPlus::seed_from_u64(seed),
        due: BinaryHeap::new(),
        planned: 0,
        open: Vec::new(),
        free: Vec::new(),
        unheard: Vec::new(),
        results: Vec::new(),
        applied: Vec::new(),
        cells: vec![Cell::default(); recipe.keys as usize],
        processes: (0..recipe.clients).collect(),
        issued: 0,
        next_value: 1,
        planted: None,
        lied: !recipe.stale,
        last_time: 0,
        out,
    };
    for client in 0..recipe.clients {
        let at = store.exponential(LATENCY);
        store.plan(at, What::Invoke(client));
    }
    while let Some(Due { at, what, .. }) = store.due.pop() {
        match what {
            What::Invoke(client) => store.invoke(at, client)?,
            What::Effect(slot) => {
                let op = store.open[slot as usize];
                (store.results[slot as usize], store.applied[slot as usize]) = store.apply(op);
            }
            What::LateEffect(number) => {
                let op = store.unheard[number as usize];
                store.apply(op);
            }
            What::Answer(slot) => store.answer(at, slot)?,
            What::GiveUp(slot) => store.give_up(at, slot)?,
        }
    }
    if store.lied { Ok(()) } else { Err(io::Error::other("no stale read could be placed")) }
}

impl<W: Write> Store<'_, W> {
    fn unit(&mut self) -> f64 {
        (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.unit() * f64::from(n)) as u32
    }

    fn exponential(&mut self, mean: f64) -> u64 {
        (-(1.0 - self.unit()).ln() * mean) as u64 + 1
    }

    fn plan(&mut self, at: u64, what: What) {
        self.planned += 1;
        self.due.push(Due { at, number: self.planned, what });
    }

    fn invoke(&mut self, at: u64, client: u32) -> io::Result<()> {
        if self.issued == self.recipe.ops {
            return Ok(());
        }
        self.issued += 1;
        let number = self.issued;
        let target = (f64::from(self.recipe.ops) * 0.95) as u32;
        let plants = self.recipe.stale && number == (target / 2).max(1);
        let lies_now = !self.lied && number >= target;
        let mut key = self.below(self.recipe.keys);
        if let (true, Some(planted)) = (lies_now, self.planted) {
            key = planted.key;
        }
        let call = self.call(key, plants);
        if plants {
            let value = match call {
                Call::Write(value) => value,
                Call::Read | Call::Cas(..) => unreachable!("the planted operation is a write"),
            };
            self.planted = Some(Planted { key, value, returned: None, overwritten: None });
        }
        let process = self.processes[client as usize];
        let op = Op { call, key, client, process, number, invoked: at };
        let slot = self.free.pop().unwrap_or(self.open.len() as u32);
        if slot as usize == self.open.len() {
            self.open.push(op);
            self.results.push(None);
            self.applied.push(false);
        }
        self.open[slot as usize] = op;
        let value = match call {
            Call::Read => "null".to_string(),
            Call::Write(value) => value.to_string(),
            Call::Cas(from, to) => format!("[{from},{to}]"),
        };
        self.event(at, op, "invoke", &value)?;
        let unanswered = self.unit() < self.recipe.info && !plants;
        let latency = self.exponential(LATENCY);
        if unanswered {
            if call != Call::Read && self.unit() < 0.5 {
                let far = if self.unit() < 0.5 { 1 } else { 20 };
                let late = self.exponential(LATENCY) * far;
                self.unheard.push(op);
                self.plan(at + late, What::LateEffect(self.unheard.len() as u32 - 1));
            }
            self.plan(at + 5 * LATENCY as u64, What::GiveUp(slot));
        } else {
            let effect = (latency as f64 * (0.02 + 0.96 * self.unit())) as u64;
            self.plan(at + effect, What::Effect(slot));
            self.plan(at + latency, What::Answer(slot));
        }
        Ok(())
    }

    /// Half reads, three tenths writes, two tenths cas.
    fn call(&mut self, key: u32, plants: bool) -> Call {
        let values = self.recipe.values;
        if plants {
            // Nobody else writes this value, so that it is certainly stale later.
            return Call::Write(self.fresh(values));
        }
        let dice = self.unit();
        if dice < 0.5 {
            return Call::Read;
        }
        let (a, b) = (self.below(values.max(1)), self.below(values.max(1)));
        if dice < 0.8 {
            return Call::Write(self.fresh(a));
        }
        let expected = match values {
            // As a client that has just read.
            0 => self.cells[key as usize].value.unwrap_or(0),
            _ => i64::from(a),
        };
        Call::Cas(expected, self.fresh(b))
    }

    /// The value to write: `drawn`, or the next one where all are unique.
    fn fresh(&mut self, drawn: u32) -> i64 {
        if self.recipe.values > 0 {
            return i64::from(drawn);
        }
        self.next_value += 1;
        self.next_value - 1
    }

    /// Lets an operation take effect now: what it read, and whether it was applied.
    fn apply(&mut self, op: Op) -> (Option<i64>, bool) {
        let cell = &mut self.cells[op.key as usize].value;
        let (mut result, mut applied) = (None, true);
        match op.call {
            Call::Read => result = *cell,
            Call::Write(value) => *cell = Some(value),
            Call::Cas(from, to) if *cell == Some(from) => *cell = Some(to),
            Call::Cas(..) => applied = false,
        }
        if let (Call::Read, false, Some(planted)) = (op.call, self.lied, self.planted) {
            let target = (f64::from(self.recipe.ops) * 0.95) as u32;
            let over = planted.overwritten.is_some_and(|at| at < op.invoked);
            if op.number >= target && op.key == planted.key && over && result != Some(planted.value) {
                result = Some(planted.value);
                self.lied = true;
            }
        }
        (result, applied)
    }

    fn answer(&mut self, at: u64, slot: u32) -> io::Result<()> {
        let op = self.open[slot as usize];
        let (result, applied) = (self.results[slot as usize], self.applied[slot as usize]);
        if let Some(planted) = &mut self.planted {
            if op.key == planted.key && applied {
                match op.call {
                    Call::Write(value) if value == planted.value => planted.returned = Some(at),
                    Call::Write(_) if planted.returned.is_some_and(|returned| returned < op.invoked) => {
                        planted.overwritten.get_or_insert(at);
                    }
                    Call::Read | Call::Write(_) | Call::Cas(..) => {}
                }
            }
        }
        let value = match (op.call, result) {
            (Call::Read, None) => "null".to_string(),
            (Call::Read, Some(value)) | (Call::Write(value), _) => value.to_string(),
            (Call::Cas(from, to), _) => format!("[{from},{to}]"),
        };
        self.event(at, op, if applied { "ok" } else { "fail" }, &value)?;
        self.again(at, slot, op.client);
        Ok(())
    }

    fn give_up(&mut self, at: u64, slot: u32) -> io::Result<()> {
        let op = self.open[slot as usize];
        let (kind, value) = match op.call {
            Call::Read => ("fail", "null".to_string()),
            Call::Write(value) => ("info", value.to_string()),
            Call::Cas(from, to) => ("info", format!("[{from},{to}]")),
        };
        self.event(at, op, kind, &value)?;
        if kind == "info" {
            // A process that does not know what became of its call ends.
            self.processes[op.client as usize] += self.recipe.clients;
        }
        self.again(at, slot, op.client);
        Ok(())
    }

    fn again(&mut self, at: u64, slot: u32, client: u32) {
        self.free.push(slot);
        let think = self.exponential(LATENCY / 10.0);
        self.plan(at + think, What::Invoke(client));
    }

    fn event(&mut self, at: u64, op: Op, kind: &str, value: &str) -> io::Result<()> {
        self.last_time = at.max(self.last_time + 1);
        let f = match op.call {
            Call::Read => "read",
            Call::Write(_) => "write",
            Call::Cas(..) => "cas",
        };
        writeln!(
            self.out,
            r#"{{"process":{},"type":"{kind}","f":"{f}","key":{},"value":{value},"time":{}}}"#,
            op.process, op.key, self.last_time
        )
    }
}
