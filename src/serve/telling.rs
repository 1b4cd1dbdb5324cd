//! What a history that is being written shows so far: answers a second, latencies, faults, violations.

use crate::follow::Caught;
use history::{Event, Kind, NO_TIME, Phase, Process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Slices that are told; where there would be more, each becomes twice as long.
const SLICES_MAX: usize = 600;
/// Nanoseconds of the first ones.
const SLICE: i64 = 1_000_000_000;
/// Violations and nodes that are told; more are counted.
const TOLD_MAX: usize = 100;
/// Text of the system under test, in characters.
const TEXT_MAX: usize = 200;

/// What is known so far.
#[derive(Default)]
pub struct Telling {
    /// Whether violations are looked for, once that is known.
    pub judged: Option<bool>,
    width: i64,
    slices: Vec<Slice>,
    /// Slices that were told.
    told: usize,
    /// All of them have to be told again.
    anew: bool,
    faults: BTreeMap<u32, Fault>,
    found: Vec<Value>,
    found_more: u64,
    found_told: usize,
    invoked: u64,
    nodes: BTreeMap<String, [u64; 3]>,
    totals: [u64; 3],
    /// When the open call of a process was sent.
    open: HashMap<i64, i64>,
    /// Time of the last event, and when it was seen.
    last: Option<(i64, Instant)>,
}

/// What happened within a stretch of time.
#[derive(Clone, Default)]
struct Slice {
    /// ok, fail, info.
    outcomes: [u64; 3],
    /// Latencies of `ok`, by logarithm.
    spread: BTreeMap<u16, u32>,
    max: i64,
}

struct Fault {
    value: Value,
    changed: bool,
}

/// Latencies within 5 % of each other are one.
fn bucket(ns: i64) -> u16 {
    ((ns.max(1) as f64).ln() / 0.05) as u16
}

fn milliseconds(bucket: u16) -> f64 {
    round((f64::from(bucket) * 0.05 + 0.025).exp() / 1e6)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

impl Slice {
    fn add(&mut self, other: &Slice) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (bucket, n) in &other.spread {
            *self.spread.entry(*bucket).or_default() += n;
        }
        self.max = self.max.max(other.max);
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        let all: u32 = self.spread.values().sum();
        let rank = (f64::from(all.checked_sub(1)?) * share) as u32;
        let mut before = 0;
        let found = self.spread.iter().find(|(_, n)| {
            before += **n;
            before > rank
        });
        found.map(|(bucket, _)| milliseconds(*bucket))
    }

    fn value(&self, number: usize, width: i64) -> Value {
        let [ok, fail, info] = self.outcomes;
        let seconds = width as f64 / 1e9;
        let max = (!self.spread.is_empty()).then(|| round(self.max as f64 / 1e6));
        json!({
            "t": number as f64 * seconds, "w": seconds, "ok": ok, "fail": fail, "info": info,
            "p50": self.quantile(0.5), "p99": self.quantile(0.99), "max": max,
        })
    }
}

/// `text` as it may be told: the page sets it as text, and shows it whole.
fn shown(text: &str) -> String {
    reports::clean_to(text, TEXT_MAX)
}

impl Telling {
    /// One more event.
    pub fn take(&mut self, event: &Event) {
        if self.width == 0 {
            self.width = SLICE;
        }
        if event.time != NO_TIME {
            self.last = Some((event.time, Instant::now()));
        }
        match event.process {
            Process::Client(process) => self.client(process, event),
            Process::Other(_) => self.fault(event),
        }
    }

    fn client(&mut self, process: i64, event: &Event) {
        let outcome = match event.kind {
            Kind::Invoke => {
                self.invoked += 1;
                self.open.insert(process, event.time);
                return;
            }
            Kind::Ok => 0,
            Kind::Fail => 1,
            Kind::Info => 2,
        };
        self.totals[outcome] += 1;
        if let Some(node) = &event.node {
            if self.nodes.len() < TOLD_MAX || self.nodes.contains_key(node) {
                self.nodes.entry(node.to_string()).or_default()[outcome] += 1;
            }
        }
        let sent = self.open.remove(&process);
        if event.time == NO_TIME || event.time < 0 {
            return;
        }
        let slice = self.slice(event.time);
        slice.outcomes[outcome] += 1;
        if let (0, Some(sent)) = (outcome, sent.filter(|sent| *sent != NO_TIME)) {
            let took = event.time - sent;
            *slice.spread.entry(bucket(took)).or_default() += 1;
            slice.max = slice.max.max(took);
        }
    }

    fn slice(&mut self, time: i64) -> &mut Slice {
        while time / self.width >= SLICES_MAX as i64 {
            self.width *= 2;
            let halved = self.slices.chunks(2).map(|pair| {
                let mut slice = pair[0].clone();
                pair.iter().skip(1).for_each(|other| slice.add(other));
                slice
            });
            self.slices = halved.collect();
            self.anew = true;
        }
        let at = (time / self.width) as usize;
        if at >= self.slices.len() {
            self.slices.resize_with(at + 1, Slice::default);
        }
        if at < self.told {
            // An answer of a stretch that was told: the recorder stamps in order, so only after it was told anew.
            self.anew = true;
        }
        &mut self.slices[at]
    }

    fn fault(&mut self, event: &Event) {
        let (Some(number), Some(phase)) = (event.fault, event.phase) else { return };
        let at = round(event.time as f64 / 1e9);
        let fault = self.faults.entry(number).or_insert_with(|| Fault {
            value: json!({ "id": number, "kind": shown(&event.f), "what": "", "from": at, "to": null, "bit": false }),
            changed: true,
        });
        fault.changed = true;
        match phase {
            Phase::Inject => fault.value["what"] = json!(shown(&told(&event.value))),
            Phase::Bit => fault.value["bit"] = json!(true),
            Phase::Heal => {}
            Phase::Healed => fault.value["to"] = json!(at),
        }
    }

    /// A violation that was proven.
    pub fn caught(&mut self, caught: Caught) {
        if self.found.len() >= TOLD_MAX {
            self.found_more += 1;
            return;
        }
        let at = (caught.time != NO_TIME).then(|| round(caught.time as f64 / 1e9));
        self.found.push(json!({
            "id": self.found.len() + 1, "kind": caught.kind, "sentence": caught.sentence,
            "key": caught.key.map(|key| shown(&key)), "at": at,
        }));
    }

    /// What time it is in the run.
    fn now(&self) -> i64 {
        self.last.map_or(0, |(time, seen)| {
            time.saturating_add(i64::try_from(seen.elapsed().as_nanos()).unwrap_or(i64::MAX))
        })
    }

    /// Slices that are over: nothing can be added to them.
    fn over(&self) -> usize {
        if self.width == 0 {
            return 0;
        }
        let now = (self.now() / self.width) as usize;
        // A silence is told, too, but none that comes after the last event: the run may have ended.
        now.min(self.slices.len().saturating_sub(usize::from(now < self.slices.len())))
    }

    fn state(&self) -> Value {
        let [ok, fail, info] = self.totals;
        let nodes: Vec<Value> =
            self.nodes.iter().map(|(node, [ok, fail, info])| json!([shown(node), ok, fail, info])).collect();
        let quiet = self.last.is_none_or(|(_, seen)| seen.elapsed().as_secs() >= 2);
        let checked = match (self.judged, self.found_more) {
            (None, _) => String::new(),
            (Some(false), _) => "Nothing is judged before the end: this workload does not ask for linearizability, or is not known here.".to_string(),
            (Some(true), 0) => "Every key is judged again when it has grown. A violation is certain as soon as it is told; that there is none is certain at the end.".to_string(),
            (Some(true), more) => format!("{more} more violations were proven."),
        };
        json!({
            "time": round(self.last.map_or(0, |(time, _)| time) as f64 / 1e9), "invoked": self.invoked,
            "ok": ok, "fail": fail, "info": info, "nodes": nodes, "checked": checked,
            "phase": if quiet { "no events: starting, healing, or being judged" } else { "running" },
        })
    }

    /// What is new since it was last asked, as events.
    pub fn news(&mut self) -> Vec<(&'static str, String)> {
        let mut news = Vec::new();
        let over = self.over();
        let value = |number: usize| self.slices[number].value(number, self.width);
        if std::mem::take(&mut self.anew) {
            news.push(("ticks", Value::from((0..over).map(value).collect::<Vec<_>>()).to_string()));
        } else {
            news.extend((self.told.min(over)..over).map(|number| ("tick", value(number).to_string())));
        }
        self.told = over;
        for fault in self.faults.values_mut().filter(|fault| fault.changed) {
            fault.changed = false;
            news.push(("fault", fault.value.to_string()));
        }
        news.extend(self.found[self.found_told..].iter().map(|found| ("anomaly", found.to_string())));
        self.found_told = self.found.len();
        news.push(("state", self.state().to_string()));
        news
    }

    /// Everything, for whoever comes late.
    pub fn hello(&self) -> String {
        let ticks: Vec<Value> = (0..self.told).map(|n| self.slices[n].value(n, self.width)).collect();
        let faults: Vec<&Value> = self.faults.values().map(|fault| &fault.value).collect();
        json!({ "ticks": ticks, "faults": faults, "found": self.found, "state": self.state() }).to_string()
    }
}

/// What a fault did, in its words.
fn told(value: &history::Value) -> String {
    value.as_text().map_or_else(|| value.to_string(), str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(line: &str) -> Event {
        let mut found = None;
        let text = format!("{line}\n").into_bytes();
        history::visit(
            "line",
            Box::new(std::io::Cursor::new(text)),
            &history::ReadOptions::default(),
            &mut |event| {
                found = Some(event);
                std::ops::ControlFlow::Continue(())
            },
        )
        .expect("an event");
        found.expect("an event")
    }

    fn answers(telling: &mut Telling, second: i64, count: i64) {
        let read = event(r#"{"process":0,"type":"invoke","f":"read","value":null,"time":0,"node":"n1"}"#);
        for n in 0..count {
            let time = second * SLICE + n * 1000;
            let process = Process::Client(n);
            telling.take(&Event { process: process.clone(), time, ..read.clone() });
            telling.take(&Event { process, time: time + 5_000_000, kind: Kind::Ok, ..read.clone() });
        }
    }

    fn named<'a>(news: &'a [(&str, String)], name: &str) -> Vec<&'a String> {
        news.iter().filter(|(other, _)| *other == name).map(|(_, data)| data).collect()
    }

    #[test]
    fn a_second_is_told_once_it_is_over() {
        let mut telling = Telling::default();
        answers(&mut telling, 0, 10);
        assert!(named(&telling.news(), "tick").is_empty(), "it is not over");
        answers(&mut telling, 1, 20);
        let news = telling.news();
        let ticks = named(&news, "tick");
        assert_eq!(ticks.len(), 1);
        let tick: Value = serde_json::from_str(ticks[0]).expect("JSON");
        assert_eq!((tick["ok"].as_u64(), tick["t"].as_f64()), (Some(10), Some(0.0)));
        let p50 = tick["p50"].as_f64().expect("a latency");
        assert!((4.7..5.3).contains(&p50), "{p50}");
        assert!(named(&telling.news(), "tick").is_empty(), "it is told once");
        let hello: Value = serde_json::from_str(&telling.hello()).expect("JSON");
        assert_eq!(hello["ticks"].as_array().map(Vec::len), Some(1));
        assert_eq!(hello["state"]["nodes"], json!([["n1", 30, 0, 0]]));
    }

    #[test]
    fn a_long_run_has_longer_slices_and_loses_nothing() {
        let mut telling = Telling::default();
        let read = event(r#"{"process":0,"type":"invoke","f":"read","value":null,"time":0}"#);
        for second in 0..2000 {
            telling.take(&Event { time: second * SLICE, ..read.clone() });
            telling.take(&Event { time: second * SLICE + 1, kind: Kind::Ok, ..read.clone() });
        }
        let news = telling.news();
        let ticks: Value = serde_json::from_str(named(&news, "ticks")[0]).expect("JSON");
        let ticks = ticks.as_array().expect("a list");
        assert!(ticks.len() <= SLICES_MAX, "{}", ticks.len());
        let sum: u64 = ticks.iter().filter_map(|tick| tick["ok"].as_u64()).sum();
        assert!((1990..=2000).contains(&sum), "{sum}");
    }
}
