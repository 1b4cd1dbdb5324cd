//! Every operation of a history, packed into the page for the script that draws the timeline.
//!
//! ```text
//!   base64( deflate( length, header as JSON,  start… dur… row… process… flags… f… node… key… input… output… error…, lines… ) )
//! ```
//! Each column holds one LEB128 number per operation: differences where neighbours are alike, numbers of entries of a
//! table where they repeat. The lines of the file are one number per event, in the order of the times, and so nearly all
//! of them say "the next line". Nothing here is trusted text that a browser could take for markup: base64 has none.

use crate::base64::base64;
use crate::buckets::Axis;
use crate::chosen::{Chosen, choose};
use crate::clean::{clean, clean_to};
use crate::logged::{Level, Logs, TICKS_MAX};
use crate::plan::shown;
use crate::text::cut;
use crate::timeline::band_class;
use crate::workers::workers;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use history::results::Results;
use history::{Applied, History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use serde_json::{Value as Json, json};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Write as _;

/// Characters of a value that are kept, from the most to the fewest, until all of them fit.
const LIMITS: [usize; 5] = [256, 96, 40, 20, 10];
/// Bytes of text that are always allowed, and per operation.
const TEXT_BYTES: (usize, usize) = (300_000, 12);
/// Characters of a line of a log.
const TICK_MAX: usize = 240;
/// Slices of the overview of a reduced page.
const SLICES: usize = 480;
/// The last column, which has a number for each event.
const LINES: usize = 11;
/// Integers beyond this are kept as text: the script counts in 53 bits.
const INT_MAX: i64 = 1 << 40;

/// Packs at most `most` operations of a history, as base64. O(n) and the time of a DEFLATE.
pub fn pack(results: &Results, history: &History, logs: &Logs, axis: Axis, most: usize) -> String {
    let Chosen { ops: chosen, held } = choose(results, history, axis, most);
    let unit = if axis.timed && axis.length() >= 1_000_000_000 { 1000 } else { 1 };
    let length = axis.length() / unit;
    let workers = workers(history, results.run.as_ref().and_then(|run| run.stride));
    let mut texts = Texts::new(history, &chosen);
    let mut columns: [Vec<u8>; 12] = Default::default();
    let mut events: Vec<(i64, bool, u32, u32)> = Vec::new();
    let mut state = State::new(&workers.first);
    for (number, op) in chosen.iter().map(|&i| &history.ops[i as usize]).enumerate() {
        let row = workers.row[op.process as usize];
        let process = history.processes[op.process as usize];
        let (start, dur) = ticks(axis, unit, op);
        let numbers = [
            zigzag(start.wrapping_sub(state.start)),
            dur,
            u64::from(row),
            zigzag(process.wrapping_sub(state.processes[row as usize])),
            flags(op),
            texts.f(op.f),
            texts.node(op.node),
            texts.key(op.key),
            texts.value(op.key, op.input),
            texts.value(op.key, op.output),
            texts.string(op.error),
        ];
        for (column, number) in columns.iter_mut().zip(numbers) {
            varint(number, column);
        }
        state.start = start;
        let end = if dur == 0 { start.max(length) } else { start.saturating_add((dur - 1) as i64) };
        events.push((start, false, number as u32, op.invoke_line));
        if op.ret_line > 0 {
            events.push((end, true, number as u32, op.ret_line));
        }
        state.processes[row as usize] = process;
    }
    events.sort_unstable();
    let mut last = 0;
    for (_, _, _, line) in events {
        varint(zigzag(i64::from(line) - last - 1), &mut columns[LINES]);
        last = i64::from(line);
    }
    let mut header = header(results, history, axis, unit, &chosen, held, &workers.first, texts);
    if axis.timed && !logs.is_quiet() {
        header["logs"] = logged(logs, axis, unit);
    }
    let header = header.to_string();
    let mut raw = Vec::new();
    varint(header.len() as u64, &mut raw);
    raw.extend_from_slice(header.as_bytes());
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::new(7));
    let written = deflate
        .write_all(&raw)
        .and_then(|()| columns.iter().try_for_each(|column| deflate.write_all(column)))
        .and_then(|()| deflate.finish());
    // Memory has no disk to be full.
    base64(&written.unwrap_or_default())
}

/// Where an operation begins, and one more than its length (0 if it has no end), in units.
fn ticks(axis: Axis, unit: i64, op: &Op) -> (i64, u64) {
    if !axis.timed {
        let dur = if op.ret == NEVER { 0 } else { u64::from(op.ret.saturating_sub(op.invoke)) + 1 };
        return (i64::from(op.invoke), dur);
    }
    let start = op.invoke_time.saturating_sub(axis.from) / unit;
    if op.ret_time == NO_TIME {
        return (start, 0);
    }
    let end = op.ret_time.saturating_sub(axis.from) / unit;
    (start, end.saturating_sub(start).max(0) as u64 + 1)
}

fn flags(op: &Op) -> u64 {
    let outcome = match op.outcome {
        Outcome::Ok => 0,
        Outcome::Fail => 1,
        Outcome::Info => 2,
    };
    outcome | u64::from(op.applied == Applied::No) << 2 | u64::from(op.ret_line > 0) << 3
}

struct State {
    start: i64,
    processes: Vec<i64>,
}

impl State {
    fn new(first: &[i64]) -> State {
        State { start: 0, processes: first.to_vec() }
    }
}

/// The tables of texts that columns point into.
struct Texts<'a> {
    history: &'a History,
    limit: usize,
    fs: Table,
    nodes: Table,
    keys: Table,
    strings: Table,
    /// The last integer that was read or written under each key.
    last: HashMap<ValueId, i64>,
}

#[derive(Default)]
struct Table {
    ids: HashMap<ValueId, u64>,
    texts: Vec<String>,
}

impl Table {
    /// From 1; 0 is nothing.
    fn id(&mut self, history: &History, value: ValueId, limit: usize) -> u64 {
        if value == ValueId::NULL {
            return 0;
        }
        *self.ids.entry(value).or_insert_with(|| {
            self.texts.push(text(history.values.get(value), limit));
            self.texts.len() as u64
        })
    }
}

impl<'a> Texts<'a> {
    fn new(history: &'a History, chosen: &[u32]) -> Texts<'a> {
        let mut seen = std::collections::HashSet::new();
        let mut lengths: Vec<usize> = Vec::new();
        for op in chosen.iter().map(|&i| &history.ops[i as usize]) {
            for id in [op.key, op.input, op.output, op.error] {
                if id != ValueId::NULL && seen.insert(id) && small(history.values.get(id)).is_none() {
                    lengths.push(text(history.values.get(id), LIMITS[0]).len());
                }
            }
        }
        let allowed = TEXT_BYTES.0 + TEXT_BYTES.1 * chosen.len();
        let total = |limit: usize| -> usize { lengths.iter().map(|n| n.min(&(limit + 3)) + 3).sum() };
        let limit = LIMITS.into_iter().find(|&l| total(l) <= allowed).unwrap_or(LIMITS[LIMITS.len() - 1]);
        Texts {
            history,
            limit,
            fs: Table::default(),
            nodes: Table::default(),
            keys: Table::default(),
            strings: Table::default(),
            last: HashMap::new(),
        }
    }

    fn f(&mut self, id: ValueId) -> u64 {
        self.fs.id(self.history, id, 60)
    }

    fn node(&mut self, id: ValueId) -> u64 {
        self.nodes.id(self.history, id, 60)
    }

    fn key(&mut self, id: ValueId) -> u64 {
        self.keys.id(self.history, id, self.limit)
    }

    fn string(&mut self, id: ValueId) -> u64 {
        self.strings.id(self.history, id, self.limit)
    }

    /// 0 for nothing, odd for an integer as its distance from the last one of the key, else even.
    fn value(&mut self, key: ValueId, id: ValueId) -> u64 {
        if id == ValueId::NULL {
            return 0;
        }
        match small(self.history.values.get(id)) {
            Some(int) => {
                let last = self.last.entry(key).or_insert(0);
                let distance = zigzag(int - *last);
                *last = int;
                2 * distance + 1
            }
            None => 2 * self.string(id),
        }
    }
}

fn small(value: &Value) -> Option<i64> {
    value.as_int().filter(|int| int.unsigned_abs() < INT_MAX as u64)
}

/// A value in at most `limit` characters and a `…`, whatever its size.
pub fn text(value: &Value, limit: usize) -> String {
    struct Short {
        text: String,
        left: usize,
    }
    impl std::fmt::Write for Short {
        fn write_str(&mut self, s: &str) -> std::fmt::Result {
            for c in s.chars() {
                if self.left == 0 {
                    self.text.push('…');
                    return Err(std::fmt::Error);
                }
                self.text.push(c);
                self.left -= 1;
            }
            Ok(())
        }
    }
    let mut short = Short { text: String::new(), left: limit };
    // An error means that enough was written.
    let _ = match value.as_text() {
        Some(text) => short.write_str(text),
        None => write!(short, "{value}"),
    };
    clean(&short.text)
}

fn header(
    results: &Results,
    history: &History,
    axis: Axis,
    unit: i64,
    chosen: &[u32],
    held: String,
    rows: &[i64],
    texts: Texts,
) -> Json {
    let tick = |time: i64| time.saturating_sub(axis.from) / unit;
    let faults: Vec<Json> = results
        .faults
        .iter()
        .filter(|_| axis.timed)
        .map(|f| {
            json!({"id": f.id, "kind": f.kind, "look": band_class(&f.kind), "what": f.what, "nodes": f.nodes,
                   "from": tick(f.injected), "to": f.healed.map(tick)})
        })
        .collect();
    let anomalies: Vec<Json> = results
        .anomalies
        .iter()
        .map(|a| {
            let ops: Vec<Json> = shown(a)
                .into_iter()
                .filter_map(|op| {
                    let at = chosen.partition_point(|&i| history.ops[i as usize].invoke < op.invoke);
                    let found = chosen.get(at).map(|&i| &history.ops[i as usize])?;
                    (found.invoke == op.invoke).then(|| json!([op.label, at, op.fatal]))
                })
                .collect();
            json!({"id": a.id, "kind": a.kind, "key": a.key, "ops": ops})
        })
        .collect();
    let roles: Vec<Json> = history::reigns(history)
        .iter()
        .filter(|_| axis.timed)
        .map(|r| {
            json!({"node": text(&Value::text(&r.node), 60), "term": r.term, "from": tick(r.from), "to": r.to.map(tick)})
        })
        .collect();
    let stalls: Vec<[i64; 2]> = history::stalls(history)
        .iter()
        .filter(|_| axis.timed)
        .map(|(from, length)| [tick(*from), tick(from.saturating_add(*length))])
        .collect();
    let reduced = !held.is_empty();
    let mut header = json!({
        "n": chosen.len(),
        "total": history.ops.len(),
        "timed": axis.timed,
        "unit": if axis.timed { unit } else { 1 },
        "from": if axis.timed { axis.from } else { 0 },
        "length": axis.length() / unit,
        "cut": texts.limit,
        "rows": rows,
        "fs": texts.fs.texts,
        "nodes": texts.nodes.texts,
        "keys": texts.keys.texts,
        "strings": texts.strings.texts,
        "faults": faults,
        "roles": roles,
        "stalls": stalls,
        "anomalies": anomalies,
        "overview": if reduced { overview(history, axis) } else { Json::Null },
    });
    if reduced {
        header["held"] = Json::from(held);
    }
    header
}

/// The warnings and errors of the nodes' logs: when, whether it is an error, of whom, what; and how many more.
fn logged(logs: &Logs, axis: Axis, unit: i64) -> Json {
    let (ticks, more) = logs.serious((axis.from, axis.to), TICKS_MAX);
    let lines: Vec<Json> = ticks
        .iter()
        .map(|line| {
            let text = cut(&clean_to(&line.text, TICK_MAX), TICK_MAX);
            json!([
                line.time.saturating_sub(axis.from) / unit,
                line.level == Level::Error,
                clean_to(&line.node, 60),
                text
            ])
        })
        .collect();
    json!({"lines": lines, "more": more})
}

/// Counts of all operations of a page that does not hold all: ok, failed, unknown by slice.
fn overview(history: &History, axis: Axis) -> Json {
    let mut counts = vec![[0u64; 3]; SLICES];
    for op in &history.ops {
        let share =
            i128::from(axis.sent(op).saturating_sub(axis.from)) * SLICES as i128 / i128::from(axis.length());
        let slice = share.clamp(0, SLICES as i128 - 1) as usize;
        counts[slice][(flags(op) & 3) as usize] += 1;
    }
    json!(counts)
}

fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)) as u64
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 128 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}
