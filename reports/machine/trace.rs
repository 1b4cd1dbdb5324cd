//! A history in Chrome's trace format, which Perfetto opens: a row per client, per fault, and per node that was primary.

use crate::clean;
use crate::workers::{Workers, workers};
use history::results::{CoreOp, FaultRecord, Results};
use history::{History, NO_TIME, Op, Outcome, Reign, ValueId, reigns};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{self, Write};

/// Clients are one process of the trace, faults another, roles a third.
const CLIENTS: u32 = 1;
const FAULTS: u32 = 2;
const ROLES: u32 = 3;

/// Writes the trace: every operation, the faults, and of `results` the reasons of each violation as arrows.
///
/// Times are microseconds since the run began. A history without times is drawn by position, one microsecond per event.
/// O(operations), written as it goes.
///
/// # Errors
/// Those of `out`.
pub fn chrome_trace(
    history: &History,
    faults: &[FaultRecord],
    results: Option<&Results>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut trace = Trace {
        out,
        first: true,
        timed: timed(history),
        workers: workers(history, results.and_then(|results| results.run.as_ref()?.stride)),
    };
    let unit = if trace.timed {
        "microseconds since the run began"
    } else {
        "position in the history: no times were recorded"
    };
    write!(
        trace.out,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\"traceEvents\":[",
        json!({ "history": clean::clean(&history.source.name), "ts": unit })
    )?;
    trace.names(faults)?;
    let end = history.ops.iter().map(|op| trace.end(op)).fold(0.0, f64::max);
    let room = trace.room(history);
    for ((number, op), room) in history.ops.iter().enumerate().zip(room) {
        trace.operation(history, number, op, end.min(room))?;
    }
    for fault in faults {
        trace.fault(fault, end)?;
    }
    if trace.timed {
        trace.roles(&reigns(history), end)?;
    }
    if let Some(results) = results {
        trace.violations(history, &clean::results(results))?;
    }
    trace.out.write_all(b"\n]}\n")
}

fn timed(history: &History) -> bool {
    history.ops.iter().any(|op| op.invoke_time != NO_TIME)
}

struct Trace<'a> {
    out: &'a mut dyn Write,
    first: bool,
    timed: bool,
    /// A client that went on as a new process stays in its row.
    workers: Workers,
}

impl Trace<'_> {
    fn event(&mut self, event: &Value) -> io::Result<()> {
        let comma: &[u8] = if std::mem::take(&mut self.first) { b"\n" } else { b",\n" };
        self.out.write_all(comma)?;
        serde_json::to_writer(&mut *self.out, event).map_err(io::Error::from)
    }

    fn at(&self, time: i64, rank: u32) -> f64 {
        if !self.timed {
            return f64::from(rank);
        }
        if time == NO_TIME { 0.0 } else { micros(time) }
    }

    fn start(&self, op: &Op) -> f64 {
        self.at(op.invoke_time, op.invoke)
    }

    /// When the client was told, or gave up.
    fn end(&self, op: &Op) -> f64 {
        let start = self.start(op);
        if self.timed {
            return if op.ret_time == NO_TIME { start } else { micros(op.ret_time).max(start) };
        }
        if op.ret == history::NEVER { start } else { f64::from(op.ret) }
    }

    fn name(&mut self, what: &str, pid: u32, tid: i64, name: &str) -> io::Result<()> {
        self.event(&json!({ "ph": "M", "name": what, "pid": pid, "tid": tid, "args": { "name": name } }))
    }

    fn names(&mut self, faults: &[FaultRecord]) -> io::Result<()> {
        self.name("process_name", CLIENTS, 0, "clients")?;
        for (row, first) in (0..).zip(self.workers.first.clone()) {
            self.name("thread_name", CLIENTS, row, &format!("client {first}"))?;
            // Else the rows are in the order of their names, as letters.
            self.event(&json!({ "ph": "M", "name": "thread_sort_index", "pid": CLIENTS, "tid": row, "args": { "sort_index": row } }))?;
        }
        if !faults.is_empty() {
            self.name("process_name", FAULTS, 0, "faults")?;
        }
        for fault in faults {
            let name = format!("{} {}", fault.id, clean::clean(&fault.kind));
            self.name("thread_name", FAULTS, i64::from(fault.id), &name)?;
        }
        Ok(())
    }

    /// Who was primary when: a row for each node.
    fn roles(&mut self, reigns: &[Reign], end: f64) -> io::Result<()> {
        let mut nodes: Vec<&str> = reigns.iter().map(|reign| reign.node.as_str()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if !nodes.is_empty() {
            self.name("process_name", ROLES, 0, "primary")?;
        }
        for (row, node) in (1..).zip(&nodes) {
            self.name("thread_name", ROLES, row, &clean::clean(node))?;
            for reign in reigns.iter().filter(|reign| reign.node == *node) {
                let (from, to) = (micros(reign.from), reign.to.map_or(end, micros));
                self.event(&json!({
                    "ph": "X", "name": format!("term {}", reign.term), "cat": "role", "pid": ROLES, "tid": row,
                    "ts": from, "dur": round((to - from).max(0.0)), "args": { "term": reign.term },
                }))?;
            }
        }
        Ok(())
    }

    /// Where the next operation of each one's row begins: slices of a row must not cross, and a call that was given up may
    /// stay open while its client is at work on the next.
    fn room(&self, history: &History) -> Vec<f64> {
        let mut next = vec![f64::INFINITY; self.workers.first.len()];
        let mut room = vec![f64::INFINITY; history.ops.len()];
        let mut order: Vec<usize> = (0..history.ops.len()).collect();
        order.sort_by(|&a, &b| {
            self.start(&history.ops[b]).total_cmp(&self.start(&history.ops[a])).then(b.cmp(&a))
        });
        for at in order {
            let op = &history.ops[at];
            let next = &mut next[self.workers.row[op.process as usize] as usize];
            room[at] = std::mem::replace(next, self.start(op));
        }
        room
    }

    /// `room` is where its slice ends at the latest.
    fn operation(&mut self, history: &History, number: usize, op: &Op, room: f64) -> io::Result<()> {
        let text = |id: ValueId| clean::clean(&history.values.get(id).to_string());
        let (start, mut stop) = (self.start(op), self.end(op));
        let (outcome, mark) = match op.outcome {
            Outcome::Ok => ("ok", ""),
            Outcome::Fail => ("fail", " (failed)"),
            Outcome::Info => ("info", " (no reply)"),
        };
        if op.ret_line == 0 || stop > room {
            // Nobody said when the client gave up, or it went on before.
            stop = room;
        }
        let answer = if op.output == ValueId::NULL || op.output == op.input {
            String::new()
        } else {
            format!(" -> {}", text(op.output))
        };
        let asked = if op.input == ValueId::NULL { String::new() } else { format!(" {}", text(op.input)) };
        let key = if op.key == ValueId::NULL { String::new() } else { format!(" {}", text(op.key)) };
        let process = history.processes[op.process as usize];
        let mut args =
            json!({ "op": number, "process": process, "outcome": outcome, "line": op.invoke_line });
        for (name, id) in [("key", op.key), ("node", op.node), ("error", op.error)] {
            if id != ValueId::NULL {
                args[name] = json!(text(id));
            }
        }
        self.event(&json!({
            "ph": "X",
            "name": format!("{}{key}{asked}{answer}{mark}", text(op.f)),
            "cat": outcome,
            "pid": CLIENTS,
            "tid": self.workers.row[op.process as usize],
            "ts": start,
            "dur": round(stop - start),
            "args": args,
        }))
    }

    fn fault(&mut self, fault: &FaultRecord, end: f64) -> io::Result<()> {
        if !self.timed {
            return Ok(());
        }
        let start = micros(fault.injected);
        let stop = fault.healed.map_or(end.max(start), micros);
        let mut args = json!({ "fault": fault.id, "nodes": fault.nodes.iter().map(|n| clean::clean(n)).collect::<Vec<_>>() });
        for (name, text) in [("evidence", &fault.evidence), ("error", &fault.error)] {
            if let Some(text) = text {
                args[name] = json!(clean::clean(text));
            }
        }
        args["bit"] = json!(fault.bit.is_some());
        self.event(&json!({
            "ph": "X",
            "name": clean::clean(&format!("{} {}", fault.kind, fault.what)),
            "cat": "fault",
            "pid": FAULTS,
            "tid": fault.id,
            "ts": start,
            "dur": round(stop - start),
            "args": args,
        }))
    }

    /// An instant at each operation that fits nowhere, with the reasons in words, and an arrow for each reason that does
    /// not go back in time: the format has no arrows for the others, of which there is one at least.
    fn violations(&mut self, history: &History, results: &Results) -> io::Result<()> {
        let by_name: HashMap<i64, u32> =
            history.processes.iter().copied().zip(self.workers.row.iter().copied()).collect();
        let row = |op: &CoreOp| by_name.get(&op.process).copied().unwrap_or(0);
        for anomaly in &results.anomalies {
            let at = |op: &CoreOp| match (self.timed, op.invoke_time) {
                (true, Some(time)) => micros(time),
                (true, None) => 0.0,
                (false, _) => f64::from(op.invoke),
            };
            let mut events = Vec::new();
            for op in anomaly.ops.iter().filter(|op| op.fatal) {
                events.push(json!({
                    "ph": "i", "s": "t",
                    "name": format!("{}: {}", anomaly.kind, anomaly.sentence),
                    "cat": "violation", "pid": CLIENTS, "tid": row(op), "ts": at(op),
                    "args": {
                        "anomaly": anomaly.id, "property": anomaly.property, "story": anomaly.story,
                        "reasons": anomaly.edges.iter()
                            .map(|edge| format!("{} before {}: {}", edge.from, edge.to, edge.text))
                            .collect::<Vec<_>>(),
                    },
                }));
            }
            for edge in &anomaly.edges {
                let find = |label: &str| anomaly.ops.iter().find(|op| op.label == label);
                let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) else { continue };
                if to.invoke < from.invoke {
                    continue;
                }
                let id = u64::from(anomaly.id) * 1000 + u64::from(edge.n);
                for (phase, op) in [("s", from), ("f", to)] {
                    let mut event = json!({
                        "ph": phase, "id": id,
                        "name": format!("{} before {}", edge.from, edge.to),
                        "cat": "reason", "pid": CLIENTS, "tid": row(op), "ts": at(op),
                        "args": { "why": edge.text },
                    });
                    if phase == "f" {
                        event["bp"] = json!("e");
                    }
                    events.push(event);
                }
            }
            for event in events {
                self.event(&event)?;
            }
        }
        Ok(())
    }
}

/// Nanoseconds as microseconds, to the nanosecond.
fn micros(ns: i64) -> f64 {
    ns as f64 / 1000.0
}

fn round(micros: f64) -> f64 {
    (micros * 1000.0).round() / 1000.0
}
