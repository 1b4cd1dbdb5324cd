//! What is shown on stderr while a run goes on: redrawn in place on a terminal, a line now and then elsewhere; and
//! `run.log`, with every event.

use super::desk::InForce;
use super::keys::Wishes;
use super::recorder::{Recorder, Tally};
use crate::follow::Caught;
use crate::judging::grouped;
use crate::screen::{Block, drawable, sparkline};
use serde_json::{Value as Json, json};
use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ProgressMode {
    /// In place on a terminal, lines elsewhere or where `CI` is set.
    #[default]
    Auto,
    /// In place.
    Bar,
    /// A line now and then, and one for each event.
    Lines,
    /// The same as JSON, every second.
    Json,
    /// Nothing.
    Quiet,
}

impl ProgressMode {
    /// Whether it is drawn in place.
    pub fn in_place(self) -> bool {
        match self {
            ProgressMode::Auto => drawable(),
            ProgressMode::Bar => true,
            ProgressMode::Lines | ProgressMode::Json | ProgressMode::Quiet => false,
        }
    }
}

/// The display of one run. Nothing that goes wrong with it matters to the run.
pub struct Progress {
    inner: Mutex<Inner>,
    bar: bool,
    json: bool,
    quiet: bool,
    wishes: Arc<Wishes>,
}

struct Inner {
    block: Block,
    log: File,
    title: String,
    limit: Duration,
    started: Instant,
    drawn: Option<Instant>,
    before: (Instant, u64),
    rates: Vec<f64>,
    next: Option<(&'static str, Duration)>,
    phase: &'static str,
    /// Whether somebody can press keys.
    keys: bool,
    paused: bool,
    /// Up to what time everything was judged, if it is judged meanwhile.
    checked: Option<i64>,
    /// Who says that it is primary.
    primaries: Vec<String>,
    found: u64,
    last_found: Option<String>,
}

const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);
const RATE: Duration = Duration::from_millis(500);
/// A node that has not answered for so long is silent.
const SILENT: i64 = 1_000_000_000;
/// Nodes that are named.
const NODES_MAX: usize = 9;

impl Progress {
    /// A display on stderr; `title` says what runs, `limit` how long. Events go to `log`, too, whatever is shown.
    pub fn new(
        mode: ProgressMode,
        title: String,
        limit: Duration,
        log: File,
        wishes: &Arc<Wishes>,
    ) -> Progress {
        let now = Instant::now();
        let inner = Inner {
            block: Block::on_stderr(),
            log,
            title,
            limit,
            started: now,
            drawn: None,
            before: (now, 0),
            rates: Vec::new(),
            next: None,
            phase: "",
            keys: false,
            paused: false,
            checked: None,
            primaries: Vec::new(),
            found: 0,
            last_found: None,
        };
        Progress {
            inner: Mutex::new(inner),
            bar: mode.in_place(),
            json: mode == ProgressMode::Json,
            quiet: mode == ProgressMode::Quiet,
            wishes: wishes.clone(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What somebody at the keyboard has asked for.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// That there are keys, which is said.
    pub fn with_keys(&self) {
        self.inner().keys = true;
    }

    /// The fault that comes next, and when, after the start.
    pub fn next_fault(&self, next: Option<(&'static str, Duration)>) {
        self.inner().next = next;
    }

    /// Whether faults wait.
    pub fn paused(&self, paused: bool) {
        self.inner().paused = paused;
    }

    /// Who says that it is primary.
    pub fn primaries(&self, nodes: Vec<String>) {
        self.inner().primaries = nodes;
    }

    /// Everything up to that time was judged.
    pub fn checked(&self, time: i64) {
        self.inner().checked = Some(time);
    }

    /// A violation was proven.
    pub fn found(&self, caught: &Caught) {
        let of = caught.key.as_ref().map_or(String::new(), |key| format!(" of {key}"));
        let at = if caught.time == history::NO_TIME {
            String::new()
        } else {
            format!(" at {:.3} s", caught.time as f64 / 1e9)
        };
        let text = reports::clean_to(&format!("{}{of}{at}", caught.kind), 120);
        self.event(&format!("violation proven: {text}"));
        let mut inner = self.inner();
        inner.found += 1;
        inner.last_found = Some(text);
    }

    /// What is being done now, where it is not the run itself: `healing`, `final reads`.
    pub fn phase(&self, phase: &'static str) {
        self.inner().phase = phase;
        self.event(phase);
    }

    /// Something that happened. On a terminal it would tear the block apart, which shows what counts anyway.
    pub fn event(&self, text: &str) {
        let mut inner = self.inner();
        let line = format!("{:8.3} s  {text}", inner.started.elapsed().as_secs_f64());
        // What cannot be logged is in the history, too; if that cannot be written either, the run ends.
        let _ = writeln!(inner.log, "{line}");
        if self.json {
            let at = inner.started.elapsed().as_secs_f64();
            let _ = inner.block.line(&json!({"event": "happened", "at": at, "what": text}).to_string());
        } else if !self.quiet && !self.bar {
            let _ = inner.block.line(&line);
        }
    }

    /// Shows the state of affairs, if it is time to.
    pub fn show(&self, recorder: &Recorder, in_force: &[InForce]) {
        if self.quiet {
            return;
        }
        let mut inner = self.inner();
        let every = match (self.bar, self.json) {
            (true, _) => REDRAW,
            (false, true) => SECOND,
            (false, false) => LINE,
        };
        let last = inner.drawn.unwrap_or(inner.started);
        if last.elapsed() < every && !self.wishes.status.swap(false, Ordering::SeqCst) {
            return;
        }
        inner.drawn = Some(Instant::now());
        let tally = recorder.tally();
        inner.measure(&tally);
        let now = recorder.now();
        let _ = if self.bar {
            let lines = inner.lines(&tally, now, in_force);
            inner.block.draw(&lines)
        } else if self.json {
            let line = inner.json(&tally, now, in_force);
            inner.block.line(&line)
        } else {
            inner.line(&tally, in_force)
        };
    }

    /// Takes the block off the screen.
    pub fn clear(&self) {
        self.inner().block.clear();
    }
}

/// Median, 99th of 100, and largest, of recent latencies, in nanoseconds; none before the first answer.
fn quantiles(tally: &Tally) -> Option<[u64; 3]> {
    let mut recent = tally.recent.clone();
    recent.sort_unstable();
    let at = |share: f64| recent.get((recent.len().saturating_sub(1) as f64 * share) as usize).copied();
    Some([at(0.5)?, at(0.99)?, at(1.0)?])
}

/// The same as text.
fn latencies(tally: &Tally) -> String {
    let Some(quantiles) = quantiles(tally) else { return "no answers yet".to_string() };
    let ms = |ns: u64| match ns {
        0..10_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        10_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{:.1} s", ns as f64 / 1e9),
    };
    let [p50, p99, max] = quantiles.map(ms);
    format!("p50 {p50}   p99 {p99}   max {max}")
}

fn clock(d: Duration) -> String {
    format!("{:02}:{:02}", d.as_secs() / 60, d.as_secs() % 60)
}

/// `ok 96.1 %   failed 3.7 %   unknown 0.2 %`
fn outcomes(tally: &Tally) -> String {
    let all = (tally.ok + tally.fail + tally.info).max(1) as f64;
    let share = |n: u64| n as f64 / all * 100.0;
    format!(
        "ok {:.1} %   failed {:.1} %   unknown {:.1} %",
        share(tally.ok),
        share(tally.fail),
        share(tally.info)
    )
}

/// `n1 ok (primary)   n2 silent for 3.2 s`
fn nodes(tally: &Tally, now: i64, primaries: &[String]) -> String {
    let told = |(node, last): (&String, &i64)| {
        let role = if primaries.contains(node) { " (primary)" } else { "" };
        match now - last {
            ago if ago < SILENT => format!("{} ok{role}", reports::clean_to(node, 20)),
            ago => format!("{} silent for {:.1} s{role}", reports::clean_to(node, 20), ago as f64 / 1e9),
        }
    };
    let mut parts: Vec<String> = tally.nodes.iter().take(NODES_MAX).map(told).collect();
    if tally.nodes.len() > NODES_MAX {
        let rest = || tally.nodes.values().skip(NODES_MAX);
        let silent = rest().filter(|last| now - **last >= SILENT).count();
        parts.push(format!("and {} more, {silent} of them silent", rest().count()));
    }
    parts.join("   ")
}

/// `clock n3 +30 s for 1.2 s, ends in 2.8 s`
fn told(fault: &InForce) -> String {
    let left = fault.left.filter(|left| !left.is_zero());
    let ends = left.map_or(String::new(), |left| format!(", ends in {:.1} s", left.as_secs_f64()));
    format!("{} for {:.1} s{ends}", fault.what, fault.age.as_secs_f64())
}

impl Inner {
    fn measure(&mut self, tally: &Tally) {
        let (at, count) = self.before;
        if at.elapsed() >= RATE {
            self.rates.push((tally.invoked - count) as f64 / at.elapsed().as_secs_f64());
            self.before = (Instant::now(), tally.invoked);
            if self.rates.len() > 16 {
                self.rates.remove(0);
            }
        }
    }

    fn lines(&self, tally: &Tally, now: i64, in_force: &[InForce]) -> Vec<String> {
        let rate = self.rates.last().copied().unwrap_or(0.0);
        let elapsed = self.started.elapsed();
        let left = self.limit.saturating_sub(elapsed);
        let ends =
            if self.phase.is_empty() { format!("ends in {}", clock(left)) } else { self.phase.to_string() };
        let mut lines = vec![format!("{}   {} / {}   {ends}", self.title, clock(elapsed), clock(self.limit))];
        lines.push(format!(
            "  ops      {}   {}/s   {}   {}",
            grouped(tally.invoked),
            grouped(rate.round() as u64),
            sparkline(&self.rates),
            latencies(tally)
        ));
        let error = tally.error.as_ref().map_or(String::new(), |(at, error)| {
            let error = reports::clean_to(error, 120);
            format!("        last error {:.1} s ago: {error}", (now - at) as f64 / 1e9)
        });
        lines.push(format!("  outcome  {}{error}", outcomes(tally)));
        let next = match self.next {
            _ if self.paused => "      paused: no more faults until p".to_string(),
            Some((kind, at)) => format!("      next: {kind} at {:.1} s", at.as_secs_f64()),
            None => String::new(),
        };
        let mut faults: Vec<String> = in_force.iter().map(told).collect();
        if faults.is_empty() {
            faults.push("none".to_string());
        }
        lines.push(format!("  faults   {}{next}", faults.join("; ")));
        if !tally.nodes.is_empty() {
            lines.push(format!("  nodes    {}", nodes(tally, now, &self.primaries)));
        }
        if let Some(time) = self.checked {
            let found = match (&self.last_found, self.found) {
                (Some(last), 1) => format!("✗ 1 violation: {last}"),
                (Some(last), n) => format!("✗ {n} violations, the last: {last}"),
                (None, _) => "no violation so far".to_string(),
            };
            lines.push(format!("  checked  up to {:.1} s   {found}", time as f64 / 1e9));
        }
        if self.keys && self.phase.is_empty() {
            let pause = if self.paused { "p go on with faults" } else { "p pause faults" };
            lines.push(format!("  keys     s stop and explain now   h heal now   {pause}   q quit"));
        }
        lines
    }

    /// The state of affairs as one line of JSON.
    fn json(&self, tally: &Tally, now: i64, in_force: &[InForce]) -> String {
        let seconds = |ns: i64| ns as f64 / 1e9;
        let latency = quantiles(tally).map(|[p50, p99, max]| json!({"p50": p50, "p99": p99, "max": max}));
        let fault = |f: &InForce| json!({"what": f.what, "for": f.age.as_secs_f64(), "left": f.left.map(|left| left.as_secs_f64())});
        let nodes: Vec<Json> = tally
            .nodes
            .iter()
            .map(|(node, last)| {
                json!({"node": node, "silent": seconds(now - last), "primary": self.primaries.contains(node)})
            })
            .collect();
        json!({
            "event": "progress", "at": seconds(now), "of": self.limit.as_secs_f64(), "phase": self.phase,
            "invoked": tally.invoked, "ok": tally.ok, "fail": tally.fail, "info": tally.info,
            "rate": self.rates.last(), "latency_ns": latency,
            "faults": in_force.iter().map(fault).collect::<Vec<Json>>(), "nodes": nodes,
            "checked": self.checked.map(seconds), "violations": self.found,
        })
        .to_string()
    }

    fn line(&mut self, tally: &Tally, in_force: &[InForce]) -> std::io::Result<()> {
        let at = self.started.elapsed().as_secs_f64();
        let faults: Vec<&str> = in_force.iter().map(|fault| fault.what.as_str()).collect();
        let faults = if faults.is_empty() { "none".to_string() } else { faults.join("; ") };
        let (invoked, outcomes, latencies) = (tally.invoked, outcomes(tally), latencies(tally));
        self.block.line(&format!("{at:8.3} s  {invoked} ops   {outcomes}   {latencies}   faults: {faults}"))
    }
}
