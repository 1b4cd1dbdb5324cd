//! A history in Chrome's trace format, which Perfetto opens: a row per client, per fault, and per node that was primary.

use crate::clean;
use history::results::{FaultRecord, Results};
use history::{History, NO_TIME, Op, Outcome, Reign, ValueId, reigns};
use serde_json::{Value, json};
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
    let mut trace = Trace { out, first: true, timed: timed(history) };
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
    trace.names(history, faults)?;
    let end = history.ops.iter().map(|op| trace.end(op)).fold(0.0, f64::max);
    for (number, op) in history.ops.iter().enumerate() {
        trace.operation(history, number, op, end)?;
    }
    for fault in faults {
        trace.fault(fault, end)?;
    }
    if trace.timed {
        trace.roles(&reigns(history), end)?;
    }
    if let Some(results) = results {
        trace.violations(&clean::results(results))?;
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

    fn names(&mut self, history: &History, faults: &[FaultRecord]) -> io::Result<()> {
        self.name("process_name", CLIENTS, 0, "clients")?;
        for process in &history.processes {
            self.name("thread_name", CLIENTS, *process, &format!("client {process}"))?;
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

    fn operation(&mut self, history: &History, number: usize, op: &Op, end: f64) -> io::Result<()> {
        let text = |id: ValueId| clean::clean(&history.values.get(id).to_string());
        let (start, mut stop) = (self.start(op), self.end(op));
        let (outcome, mark) = match op.outcome {
            Outcome::Ok => ("ok", ""),
            Outcome::Fail => ("fail", " (failed)"),
            Outcome::Info => ("info", " (no reply)"),
        };
        if op.ret_line == 0 {
            // Nobody said when the client gave up.
            stop = end;
        }
        let answer = if op.output == ValueId::NULL || op.output == op.input {
            String::new()
        } else {
            format!(" -> {}", text(op.output))
        };
        let asked = if op.input == ValueId::NULL { String::new() } else { format!(" {}", text(op.input)) };
        let key = if op.key == ValueId::NULL { String::new() } else { format!(" {}", text(op.key)) };
        let mut args = json!({ "op": number, "outcome": outcome, "line": op.invoke_line });
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
            "tid": history.processes[op.process as usize],
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
    fn violations(&mut self, results: &Results) -> io::Result<()> {
        for anomaly in &results.anomalies {
            let at = |op: &history::results::CoreOp| match (self.timed, op.invoke_time) {
                (true, Some(time)) => micros(time),
                (true, None) => 0.0,
                (false, _) => f64::from(op.invoke),
            };
            let mut events = Vec::new();
            for op in anomaly.ops.iter().filter(|op| op.fatal) {
                events.push(json!({
                    "ph": "i", "s": "t",
                    "name": format!("{}: {}", anomaly.kind, anomaly.sentence),
                    "cat": "violation", "pid": CLIENTS, "tid": op.process, "ts": at(op),
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
                        "cat": "reason", "pid": CLIENTS, "tid": op.process, "ts": at(op),
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
