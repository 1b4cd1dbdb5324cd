//! What a reader may take along: the core of each anomaly, all operations on its key, the results and the tables. They
//! are links that hold their file, so they work without a script and without a server.

use crate::base64::base64;
use crate::logged::{self, Logs};
use crate::origin::shell;
use crate::plan::{op_at, shown};
use crate::text::{bytes, count, many};
use flate2::Compression;
use flate2::write::GzEncoder;
use history::results::{Anomaly, FunctionStats, Results};
use history::{Applied, Event, History, Kind, NEVER, Op, Outcome, ValueId};
use maud::{Markup, html};
use std::collections::BTreeMap;
use std::io::Write as _;

/// Anomalies whose cores are in the page.
const CORES_MAX: usize = 20;
/// What a packed history is announced as.
pub const GZIP: &str = "application/gzip";
/// The longest file of a link.
pub const FILE_MAX: usize = 150_000;

/// The section. `raw` is what the file of results holds, `results` the same as it may be shown. The script adds the charts, which it takes from the page.
pub fn downloads(raw: &Results, results: &Results, history: &History, logs: &Logs) -> Markup {
    let cores: Vec<(&Anomaly, Vec<u8>)> = results
        .anomalies
        .iter()
        .take(CORES_MAX)
        .filter_map(|a| Some((a, core(history, a)?)))
        .filter(|(_, text)| text.len() <= FILE_MAX)
        .collect();
    let key =
        results.anomalies.first().and_then(|a| excerpt(history, a)).filter(|text| text.len() <= FILE_MAX);
    let json = serde_json::to_vec_pretty(raw).unwrap_or_default();
    let whole = whole(history);
    let stats = &results.stats;
    html! {
        section.card #data aria-labelledby="h-data" {
            h2 #h-data { "Data" small { "files to check this again, or to draw it otherwise" } }
            @if let Some((first, _)) = cores.first() {
                div.pad {
                    p.mut { "The core alone gives the same verdict:" }
                    pre tabindex="0" { (command(&format!("anomaly-{}.jsonl", first.id), first)) }
                }
            }
            ul.files {
                @for (anomaly, text) in &cores {
                    li { (link(&format!("anomaly-{}.jsonl", anomaly.id), "application/x-ndjson", text)) " " small { (count(anomaly.ops.len() as u64)) " operations" } }
                }
                (logged::files(logs, results))
                @if let Some(text) = &key { li { (link("key.jsonl", "application/x-ndjson", text)) " " small { "every operation on the key of anomaly 1" } } }
                @if let Some((name, media, file)) = &whole {
                    li { (link(name, media, file)) " " small { "every operation; perjury check reads it" } }
                }
                @if json.len() <= FILE_MAX { li { (link("results.json", "application/json", &json)) } }
                @if !stats.functions.is_empty() { li { (link("functions.csv", "text/csv", table("function", &stats.functions).as_bytes())) } }
                @if !stats.nodes.is_empty() { li { (link("nodes.csv", "text/csv", table("node", &stats.nodes).as_bytes())) } }
                @if !results.faults.is_empty() { li { (link("faults.csv", "text/csv", faults(results).as_bytes())) } }
            }
            (logged::unread(logs))
            @if whole.is_none() && !history.ops.is_empty() { p.note {
                "The whole history, " (many(history.ops.len() as u64, "operation")) ", is too much for a link; it is in " code { (results.checker.history) } "." } }
            @if json.len() > FILE_MAX { p.note { "results.json has " (bytes(json.len() as u64)) ", too much for a link; it is beside this page." } }
            @if results.anomalies.len() > cores.len() { p.note { "The cores of the other anomalies are beside this page, as anomaly-N.jsonl." } }
        }
    }
}

fn command(file: &str, anomaly: &Anomaly) -> String {
    format!("perjury check {file} --model {} --property {}", shell(&anomaly.model), shell(&anomaly.property))
}

/// A file in a link.
pub fn link(name: &str, media: &str, file: &[u8]) -> Markup {
    html! { a.button download=(name) href=(format!("data:{media};base64,{}", base64(file))) { (name) } " " small { (bytes(file.len() as u64)) } }
}

/// Every operation as a history, as it is or packed, if that is not too much for a link. What is far too much is not tried.
fn whole(history: &History) -> Option<(&'static str, &'static str, Vec<u8>)> {
    if history.ops.is_empty() || history.ops.len() > 20 * FILE_MAX / 100 {
        return None;
    }
    let text = lines(history, &history.ops.iter().collect::<Vec<_>>());
    if text.len() <= FILE_MAX {
        return Some(("history.jsonl", "application/x-ndjson", text));
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let packed = gzip.write_all(&text).and_then(|()| gzip.finish());
    packed.ok().filter(|file| file.len() <= FILE_MAX).map(|file| ("history.jsonl.gz", GZIP, file))
}

/// The operations of a core as a history, if they are in this one.
fn core(history: &History, anomaly: &Anomaly) -> Option<Vec<u8>> {
    let ops: Option<Vec<&Op>> = shown(anomaly).iter().map(|op| op_at(history, op.invoke)).collect();
    Some(lines(history, &ops.filter(|ops| !ops.is_empty())?))
}

/// Every operation on the keys of an anomaly, if it has keys that are not all keys.
fn excerpt(history: &History, anomaly: &Anomaly) -> Option<Vec<u8>> {
    let keys: Vec<ValueId> =
        anomaly.ops.iter().filter_map(|op| Some(op_at(history, op.invoke)?.key)).collect();
    if keys.is_empty() || keys.contains(&ValueId::NULL) {
        return None;
    }
    let ops: Vec<&Op> = history.ops.iter().filter(|op| keys.contains(&op.key)).collect();
    // A page holds this for keys of some size, not for a run on a single one.
    (ops.len() < history.ops.len() && ops.len() * 100 < FILE_MAX).then(|| lines(history, &ops))
}

/// Operations as JSON Lines, in the order of their events. What was given up says so at the end: nothing came after it.
fn lines(history: &History, ops: &[&Op]) -> Vec<u8> {
    let sessions = ops.iter().any(|op| op.session != op.process);
    let mut events: Vec<(u64, Event)> = Vec::with_capacity(2 * ops.len());
    for op in ops {
        let value = |id: ValueId| history.values.get(id).clone();
        let name = |id: ValueId| value(id).as_text().map_or_else(|| value(id).to_string(), str::to_string);
        let process = history.processes[op.process as usize];
        let key = (op.key != ValueId::NULL).then(|| value(op.key));
        let event = |time: i64, kind: Kind, of: ValueId| {
            let mut event = Event::client(time, process, kind, &name(op.f), key.clone(), value(of));
            event.node = (op.node != ValueId::NULL).then(|| name(op.node));
            event.session = sessions.then_some(i64::from(op.session));
            event
        };
        events.push((u64::from(op.invoke), event(op.invoke_time, Kind::Invoke, op.input)));
        if op.ret == NEVER && op.ret_line == 0 {
            continue;
        }
        let (kind, of) = match op.outcome {
            Outcome::Ok => (Kind::Ok, op.output),
            Outcome::Fail => (Kind::Fail, op.input),
            Outcome::Info => (Kind::Info, op.input),
        };
        let mut end = event(op.ret_time, kind, of);
        end.error = (op.error != ValueId::NULL).then(|| value(op.error));
        end.observed = op.observed.map(value);
        end.applied = match op.applied {
            Applied::Unsaid => None,
            Applied::Yes => Some(true),
            Applied::No => Some(false),
        };
        let at = if op.ret == NEVER { u64::from(NEVER) + u64::from(op.ret_line) } else { u64::from(op.ret) };
        events.push((at, end));
    }
    events.sort_by_key(|(at, _)| *at);
    let mut out = Vec::new();
    for (_, event) in &events {
        history::write_json_line(event, &mut out);
    }
    out
}

fn table(noun: &str, rows: &BTreeMap<String, FunctionStats>) -> String {
    let mut out = format!("{noun},ok,failed,never answered,p50 ns,p95 ns,p99 ns,longest ns\n");
    for (name, r) in rows {
        let name = cell(name);
        out.push_str(&format!(
            "{name},{},{},{},{},{},{},{}\n",
            r.ok, r.fail, r.info, r.p50, r.p95, r.p99, r.max
        ));
    }
    out
}

fn faults(results: &Results) -> String {
    let mut out = "no.,fault,what,injected ns,bit ns,healed ns,evidence\n".to_string();
    let or_nothing = |time: Option<i64>| time.map_or(String::new(), |t| t.to_string());
    for f in &results.faults {
        out.push_str(&format!(
            "{},{},{},{},{},{},{}\n",
            f.id,
            cell(&f.kind),
            cell(&f.what),
            f.injected,
            or_nothing(f.bit),
            or_nothing(f.healed),
            cell(f.evidence.as_deref().unwrap_or(""))
        ));
    }
    out
}

/// A cell of a table that a spreadsheet takes for text: quoted, and never a formula.
fn cell(text: &str) -> String {
    let text = crate::clean::clean(text).replace('"', "\"\"");
    let guard = if text.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{text}\"")
}
