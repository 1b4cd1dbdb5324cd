//! What the tests of this crate share.
#![allow(dead_code)]

use history::{Event, History, Kind, Phase, Process, ReadError, ReadOptions, Value};
use std::io::Cursor;

/// Reads `bytes` as the file `h`.
pub fn read_with(bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> Result<History, ReadError> {
    history::read("h", Box::new(Cursor::new(bytes.into())), options)
}

/// Reads `bytes`, which must be a history.
pub fn read(bytes: impl Into<Vec<u8>>) -> History {
    read_with(bytes, &ReadOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The one line that says why `bytes` are no history.
pub fn refused(bytes: impl Into<Vec<u8>>, options: &ReadOptions) -> String {
    match read_with(bytes, options) {
        Ok(history) => panic!("was read: {} ops", history.ops.len()),
        Err(ReadError::Malformed(malformed)) => malformed.to_string(),
        Err(other) => panic!("{other}"),
    }
}

/// Every operation on a line of its own, with all that a checker sees of it.
pub fn ops(history: &History) -> Vec<String> {
    let text = |id| history.values.get(id).to_json();
    let row = |op: &history::Op| {
        format!(
            "{} {} P{}/{} {} {} {}→{} {:?} {:?} {} {} {} {} {}",
            op.invoke,
            op.ret,
            history.processes[op.process as usize],
            op.session,
            text(op.f),
            text(op.key),
            text(op.input),
            text(op.output),
            op.outcome,
            op.applied,
            op.observed.map_or("-".to_string(), text),
            text(op.error),
            text(op.node),
            op.invoke_time,
            op.ret_time,
        )
    };
    history.ops.iter().map(row).collect()
}

/// Every act of the nemesis on a line of its own.
pub fn faults(history: &History) -> Vec<String> {
    let row = |fault: &history::FaultEvent| {
        format!(
            "{} {} {} {:?} {:?} {}",
            fault.rank,
            fault.time,
            fault.f,
            fault.fault,
            fault.phase,
            fault.value.to_json()
        )
    };
    history.faults.iter().map(row).collect()
}

/// Numbers that look random: SplitMix64.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    /// True once in `n` times.
    pub fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A text with whatever makes texts difficult.
    pub fn text(&mut self) -> String {
        const PARTS: [&str; 16] = [
            "x", "nil", "12", "\"", "\\", "\n", "\u{1}", "é", "😀", " ", ":a/b", "#", "[}", "-7", "~^@",
            "\u{2028}",
        ];
        (0..self.below(4)).map(|_| PARTS[self.below(16) as usize]).collect()
    }

    /// A value of at most `depth` levels.
    pub fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => Value::Bool(self.once_in(2)),
            2 => Value::Int(self.below(100) as i64 - 50),
            3 => Value::Int(self.below(u64::MAX) as i64),
            4 => Value::text(&self.text()),
            5 => {
                let numbers =
                    ["1.5", "-0.25e-7", "1/3", "##NaN", "##-Inf", "123456789012345678901", "1e400", "7."];
                Value::Number(numbers[self.below(8) as usize].into())
            }
            6 => Value::list([Value::Int(self.below(9) as i64), Value::Int(self.below(9) as i64)]),
            7 => Value::list((0..self.below(4)).map(|_| self.value(depth - 1)).collect::<Vec<_>>()),
            _ => {
                let entries =
                    (0..self.below(4)).map(|_| (self.value(depth - 1), self.value(depth - 1))).collect();
                Value::map(entries).unwrap_or(Value::Null)
            }
        }
    }

    /// The events of a history with everything that a line can carry. Processes are never used again after an info.
    pub fn events(&mut self, count: usize) -> Vec<Event> {
        let mut free: Vec<i64> = (0..5).collect();
        let mut open: Vec<Event> = Vec::new();
        let mut events: Vec<Event> = Vec::new();
        let mut fresh = 5;
        for i in 0..count {
            let mut event = if self.once_in(20) {
                let mut event = Event::client(0, 0, Kind::Info, "partition", None, self.value(2));
                event.process = Process::Other(["nemesis", "a nemesis"][self.below(2) as usize].to_string());
                event.fault = if self.once_in(2) { Some(self.below(9) as u32) } else { None };
                event.phase = [None, Some(Phase::Inject), Some(Phase::Bit), Some(Phase::Healed)]
                    [self.below(4) as usize];
                event
            } else if open.is_empty() || (!free.is_empty() && self.once_in(2)) {
                let process = free.swap_remove(self.below(free.len() as u64) as usize);
                let key = if self.once_in(2) {
                    Some(self.value(1)).filter(|key| *key != Value::Null)
                } else {
                    None
                };
                let f = ["read", "write", "cas", "txn", "a b"][self.below(5) as usize];
                let mut event = Event::client(0, process, Kind::Invoke, f, key, self.value(3));
                event.node = if self.once_in(3) { Some(self.text()) } else { None };
                event.session = if self.once_in(9) { Some(self.below(3) as i64) } else { None };
                open.push(event.clone());
                event.due = if self.once_in(4) { Some(self.below(1 << 40) as i64) } else { None };
                event
            } else {
                let call = open.swap_remove(self.below(open.len() as u64) as usize);
                let kind = [Kind::Ok, Kind::Ok, Kind::Fail, Kind::Info][self.below(4) as usize];
                let Process::Client(process) = call.process else { unreachable!("clients alone are open") };
                free.push(if kind == Kind::Info { fresh } else { process });
                fresh += i64::from(kind == Kind::Info);
                let mut event = Event { kind, value: self.value(2), ..call };
                event.latency_ns = if self.once_in(2) { Some(self.below(1 << 40)) } else { None };
                if kind == Kind::Ok && self.once_in(3) {
                    event.applied = Some(self.once_in(2));
                    event.observed = if self.once_in(2) { Some(self.value(1)) } else { None };
                } else if kind != Kind::Ok {
                    event.error = Some(self.value(1)).filter(|error| *error != Value::Null);
                }
                event
            };
            event.time = i as i64 * 1000 + self.below(1000) as i64;
            event.index = if self.once_in(2) { Some(i as u64) } else { None };
            events.push(event);
        }
        events
    }
}
