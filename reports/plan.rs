//! Where the parts of a core stand: a column per instant, a row per client. The page and the terminal share it, so
//! that both show the same labels, the same times and the same order.
//!
//! ```text
//!   column     0    1    2     3  │ end
//!   row 0      [ A  ]    :     :  │       A: 0 to 1
//!   row 1      :    :    [ B ~~~~~│~      B: 2 to the end, never answered
//! ```
//! Columns are stretched: each is as far from the next as its labels need, and the exact times stand on top.

use history::results::{Anomaly, CoreOp, StateSpan};
use history::{History, Op};

/// Most operations that a picture shows.
pub const DRAWN_MAX: usize = 20;

/// A core laid out, before anyone has said how wide a character is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The operations that are drawn, as positions in [`shown`].
    pub drawn: Vec<usize>,
    /// How many are not.
    pub left_out: usize,
    /// The instants, in order.
    pub columns: Vec<Column>,
    /// What the labels on top are: `time, 37 s +`.
    pub heading: String,
    /// The unit of the labels: `ms`; empty if they are no times.
    pub unit: &'static str,
    /// The clients.
    pub rows: Vec<Row>,
    /// One for each of `drawn`.
    pub bars: Vec<Bar>,
    /// What the object could be, in columns.
    pub cells: Vec<Cell>,
    /// The keys of an object of several, in the order in which `cells` name their values: `x, y`. Empty if they name
    /// them themselves.
    pub parts: String,
}

/// An instant at which an operation of the core was sent or answered.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its rank in the history.
    pub rank: u32,
    /// What stands on top: `402`.
    pub label: String,
}

/// A line of the picture.
#[derive(Clone, Debug)]
pub struct Row {
    /// The process.
    pub process: i64,
    /// The nodes that it asked, in order of first appearance.
    pub nodes: Vec<String>,
}

/// An operation in the picture.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    /// Its row.
    pub row: usize,
    /// Column of its invocation.
    pub start: usize,
    /// Column of its return; `None` if it never returned, and then it reaches the end.
    pub end: Option<usize>,
}

/// What the object could be, between two columns.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Column where it begins; `None` is the left margin.
    pub from: Option<usize>,
    /// Column where it ends; `None` is the right margin.
    pub to: Option<usize>,
    /// `41 or 42`.
    pub text: String,
    /// Whether nothing fits here.
    pub conflict: bool,
}

/// Lays out a core. O(n² log n) in its operations.
pub fn plan(anomaly: &Anomaly) -> Plan {
    let (drawn, shown) = (choose(anomaly), shown(anomaly));
    let ops: Vec<&CoreOp> = drawn.iter().map(|&i| shown[i]).collect();
    let mut instants: Vec<Instant> = Vec::new();
    for op in &ops {
        instants.push(Instant { rank: op.invoke, time: op.invoke_time, line: op.invoke_line });
        if let Some(rank) = returned(op) {
            instants.push(Instant { rank, time: op.ret_time, line: op.ret_line.unwrap_or(0) });
        }
    }
    instants.sort_by_key(|i| i.rank);
    instants.dedup_by_key(|i| i.rank);
    let (heading, unit, labels) = label(&instants);
    let columns: Vec<Column> =
        instants.iter().zip(labels).map(|(i, label)| Column { rank: i.rank, label }).collect();
    let at = |rank: u32| columns.partition_point(|c| c.rank < rank);
    let (rows, bars) = rows(&ops, &at);
    let parts = parts(anomaly);
    let cells = cells(anomaly, &columns, !parts.is_empty());
    let left_out = shown.len() - drawn.len();
    Plan { left_out, drawn, columns, heading, unit, rows, bars, cells, parts: parts.join(", ") }
}

/// The operations of a core, and those that were refused although their effect was seen.
pub fn shown(anomaly: &Anomaly) -> Vec<&CoreOp> {
    anomaly.ops.iter().chain(&anomaly.refused).collect()
}

/// An operation as a person reads it, with its key where a core is about more than one: `x: write 1`.
pub fn op_text(anomaly: &Anomaly, op: &CoreOp) -> String {
    let several = anomaly.ops.iter().any(|other| other.key != op.key);
    match &op.key {
        Some(key) if several => format!("{key}: {}", op.text),
        Some(_) | None => op.text.clone(),
    }
}

/// The rank of the return, unless the data are odd and it lies before the invocation.
fn returned(op: &CoreOp) -> Option<u32> {
    op.ret.filter(|&ret| ret > op.invoke)
}

/// All operations of a small core; of a large one those that the proof speaks of.
fn choose(anomaly: &Anomaly) -> Vec<usize> {
    let (shown, refused) = (shown(anomaly), anomaly.ops.len()..anomaly.ops.len() + anomaly.refused.len());
    let all = 0..shown.len();
    if shown.len() <= DRAWN_MAX {
        return all.collect();
    }
    let spoken = |label: &String| {
        anomaly.circle.contains(label) || anomaly.edges.iter().any(|e| e.from == *label || e.to == *label)
    };
    let mut chosen: Vec<usize> =
        all.clone().filter(|&i| shown[i].fatal || refused.contains(&i) || spoken(&shown[i].label)).collect();
    for i in all {
        if chosen.len() < DRAWN_MAX && !chosen.contains(&i) {
            chosen.push(i);
        }
    }
    chosen.truncate(DRAWN_MAX);
    chosen.sort_unstable();
    chosen
}

struct Instant {
    rank: u32,
    time: Option<i64>,
    line: u32,
}

/// Times where they were recorded and agree with the order; else lines of the file; else numbers of events.
fn label(instants: &[Instant]) -> (String, &'static str, Vec<String>) {
    let times: Vec<i64> = instants.iter().filter_map(|i| i.time).collect();
    if times.len() == instants.len() && !times.is_empty() && times.windows(2).all(|w| w[0] <= w[1]) {
        return time_labels(&times);
    }
    if instants.iter().all(|i| i.line > 0) && instants.windows(2).all(|w| w[0].line < w[1].line) {
        return ("line".to_string(), "", instants.iter().map(|i| i.line.to_string()).collect());
    }
    ("event".to_string(), "", instants.iter().map(|i| i.rank.to_string()).collect())
}

/// Labels with as few decimals as tell different instants apart, after a common start that is said once.
fn time_labels(times: &[i64]) -> (String, &'static str, Vec<String>) {
    const SECOND: i64 = 1_000_000_000;
    let (first, last) = (times[0], times[times.len() - 1]);
    let long = last.saturating_sub(first) > SECOND;
    let base = if long || first < 0 { 0 } else { first / SECOND };
    let (unit, scale) = if long { ("s", 1e9) } else { ("ms", 1e6) };
    let heading = if base == 0 { "time".to_string() } else { format!("time, {base} s +") };
    let render = |decimals: usize| -> Vec<String> {
        times
            .iter()
            .map(|t| format!("{:.*}", decimals, t.saturating_sub(base * SECOND) as f64 / scale))
            .collect()
    };
    let told_apart = |labels: &[String]| {
        times.windows(2).zip(labels.windows(2)).all(|(t, l)| (t[0] == t[1]) == (l[0] == l[1]))
    };
    let decimals = (if long { 1 } else { 0 }..=6).find(|&d| told_apart(&render(d))).unwrap_or(6);
    (heading, unit, render(decimals))
}

/// A row per client. A client whose operations overlap (one that went on after an unanswered call) gets another.
fn rows(ops: &[&CoreOp], at: &impl Fn(u32) -> usize) -> (Vec<Row>, Vec<Bar>) {
    let mut order: Vec<usize> = (0..ops.len()).collect();
    order.sort_by_key(|&i| ops[i].invoke);
    let mut rows: Vec<Row> = Vec::new();
    let mut busy_until: Vec<Option<u32>> = Vec::new();
    let mut bars = vec![Bar { row: 0, start: 0, end: None }; ops.len()];
    for i in order {
        let op = ops[i];
        let free = (0..rows.len())
            .find(|&r| rows[r].process == op.process && busy_until[r].is_some_and(|ret| ret < op.invoke));
        let row = free.unwrap_or_else(|| {
            rows.push(Row { process: op.process, nodes: Vec::new() });
            busy_until.push(None);
            rows.len() - 1
        });
        busy_until[row] = returned(op);
        if let Some(node) = &op.node {
            if !rows[row].nodes.contains(node) {
                rows[row].nodes.push(node.clone());
            }
        }
        bars[i] = Bar { row, start: at(op.invoke), end: returned(op).map(at) };
    }
    (rows, bars)
}

/// The keys that every state of a core names in the same order, `x = 1, y = 2`, if it is about a few: then they are said
/// once, beside the strip. None where a value may hold what looks like another part.
fn parts(anomaly: &Anomaly) -> Vec<String> {
    let keys = |state: &String| -> Option<Vec<String>> {
        state.split(", ").map(|part| part.split_once(" = ").map(|(key, _)| key.to_string())).collect()
    };
    let mut states = anomaly.states.iter().flat_map(|s| &s.possible).filter(|s| *s != "…").map(keys);
    match states.next() {
        Some(Some(first)) if (2..=4).contains(&first.len()) => {
            if states.all(|other| other.as_ref() == Some(&first)) { first } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

/// The operation of the history that was invoked at this rank, if there is one.
pub fn op_at(history: &History, invoke: u32) -> Option<&Op> {
    let at = history.ops.partition_point(|op| op.invoke < invoke);
    history.ops.get(at).filter(|op| op.invoke == invoke)
}

/// What the strip of states is about: the key, the keys, or `nameless`.
pub fn subject(anomaly: &Anomaly, plan: &Plan, nameless: &str) -> String {
    match (&anomaly.key, plan.parts.as_str()) {
        (None, "") => nameless.to_string(),
        (None, parts) => format!("({parts})"),
        // A number alone would be taken for a value.
        (Some(key), _) if key.parse::<i64>().is_ok() => format!("key {key}"),
        (Some(key), _) => key.clone(),
    }
}

/// `x = 1, y = 2` as `(1, 2)`.
fn tuple(state: &str) -> String {
    let values: Vec<&str> =
        state.split(", ").map(|part| part.split_once(" = ").map_or(part, |(_, v)| v)).collect();
    if values.len() < 2 { state.to_string() } else { format!("({})", values.join(", ")) }
}

fn cells(anomaly: &Anomaly, columns: &[Column], tuples: bool) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::new();
    let mut spans: Vec<&StateSpan> = anomaly.states.iter().filter(|s| s.from < s.to).collect();
    spans.sort_by_key(|s| s.from);
    for span in spans {
        // To the instant at or before the beginning, from the instant at or after the end.
        let from = columns.partition_point(|c| c.rank <= span.from).checked_sub(1);
        let to = Some(columns.partition_point(|c| c.rank < span.to)).filter(|&c| c < columns.len());
        let overlaps = cells.last().is_some_and(|last| last.to.is_none() || last.to > from);
        let empty = to == Some(0) && from.is_none() && columns.is_empty();
        if !overlaps && !empty {
            let possible = match tuples {
                true => span.possible.iter().map(|state| tuple(state)).collect(),
                false => span.possible.clone(),
            };
            let text = state_text(anomaly, span, &possible);
            cells.push(Cell { from, to, text, conflict: span.conflict });
        }
    }
    cells
}

/// `41 or 42`; where nothing fits, what the object holds and what was seen instead: `42, not 41`.
fn state_text(anomaly: &Anomaly, span: &StateSpan, states: &[String]) -> String {
    let possible = states.join(" or ");
    if !span.conflict {
        return if possible.is_empty() { "?".to_string() } else { possible };
    }
    let there =
        anomaly.ops.iter().find(|op| op.fatal && op.invoke < span.to && op.ret.is_none_or(|r| r > span.from));
    let seen = there.and_then(|op| op.text.split_once("→ ").map(|(asked, seen)| (op, asked, seen.trim())));
    // What a compare-and-set found is what it compared with, not what it left.
    let seen = seen
        .map(|(op, asked, seen)| if op.f == "cas" { asked.trim_start_matches("cas ").trim() } else { seen });
    // Where what was seen is a state, the two stand against each other; where it is an answer about one, they do not.
    let answer = |seen: &str| matches!(seen, "true" | "false") || seen.contains(", ");
    let within = |seen: &str| states.iter().any(|p| p.split(' ').any(|word| word == seen) || p == seen);
    match (possible.is_empty(), seen) {
        (false, Some(_)) if possible == "…" => "nothing that fits".to_string(),
        (false, Some(seen)) if !answer(seen) && !within(seen) => format!("{possible}, not {seen}"),
        (false, _) => format!("{possible}: conflict"),
        (true, Some(seen)) => format!("not {seen}"),
        (true, None) => "nothing fits".to_string(),
    }
}

/// Puts `count` columns as close together as `needs` (from, to, distance) allow, then spreads what is left of `total`
/// over the gaps. Distances only ever grow. O(count · needs).
pub fn place(count: usize, needs: &[(usize, usize, u32)], total: u32) -> Vec<u32> {
    let mut x = vec![0u32; count];
    for j in 1..count {
        x[j] = x[j - 1];
        for &(from, to, distance) in needs {
            if to == j && from < to {
                x[j] = x[j].max(x[from].saturating_add(distance));
            }
        }
    }
    let used = x.last().copied().unwrap_or(0);
    if used < total && count > 1 {
        let slack = u64::from(total - used);
        for (j, x) in x.iter_mut().enumerate() {
            *x += (slack * j as u64 / (count as u64 - 1)) as u32;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_differ_have_labels_that_differ() {
        let (heading, unit, labels) = time_labels(&[37_402_100_000, 37_402_150_000, 37_431_000_000]);
        assert_eq!((heading.as_str(), unit), ("time, 37 s +", "ms"));
        assert_eq!(labels, ["402.10", "402.15", "431.00"]);
        let (heading, unit, labels) = time_labels(&[0, 59_000_000_000]);
        assert_eq!((heading.as_str(), unit), ("time", "s"));
        assert_eq!(labels, ["0.0", "59.0"]);
    }

    #[test]
    fn columns_keep_their_distances_when_they_are_spread() {
        let x = place(4, &[(0, 1, 10), (1, 2, 5), (0, 3, 40)], 100);
        assert_eq!(x[3], 100);
        assert!(x[1] - x[0] >= 10 && x[2] - x[1] >= 5);
        assert_eq!(place(0, &[], 10), Vec::<u32>::new());
    }
}
