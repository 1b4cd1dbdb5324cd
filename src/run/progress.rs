//! What is shown on stderr while a run goes on: redrawn in place on a terminal, a line now and then elsewhere; and
//! `run.log`, with every event.

use super::recorder::{Recorder, Tally};
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ProgressMode {
    /// In place on a terminal, lines elsewhere or where `CI` is set.
    #[default]
    Auto,
    /// Nothing.
    Quiet,
}

/// The display of one run. Nothing that goes wrong with it matters to the run.
pub struct Progress {
    inner: Mutex<Inner>,
    bar: bool,
    quiet: bool,
}

struct Inner {
    out: Box<dyn Write + Send>,
    log: File,
    title: String,
    limit: Duration,
    started: Instant,
    drawn: Option<Instant>,
    /// Lines of the block that is on the screen.
    height: usize,
    before: (Instant, u64),
    rates: Vec<f64>,
    next: Option<(&'static str, Duration)>,
    phase: &'static str,
}

const REDRAW: Duration = Duration::from_millis(100);
const LINE: Duration = Duration::from_secs(10);
const RATE: Duration = Duration::from_millis(500);

impl Progress {
    /// A display on stderr; `title` says what runs, `limit` how long. Events go to `log`, too, whatever is shown.
    pub fn new(mode: ProgressMode, title: String, limit: Duration, log: File) -> Progress {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let quiet = mode == ProgressMode::Quiet;
        let now = Instant::now();
        let inner = Inner {
            out: Box::new(std::io::stderr()),
            log,
            title,
            limit,
            started: now,
            drawn: None,
            height: 0,
            before: (now, 0),
            rates: Vec::new(),
            next: None,
            phase: "",
        };
        Progress { inner: Mutex::new(inner), bar: terminal && !quiet, quiet }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that comes next, and when, after the start.
    pub fn next_fault(&self, next: Option<(&'static str, Duration)>) {
        self.inner().next = next;
    }

    /// What is being done now, where it is not the run itself: `healing`, `final reads`.
    pub fn phase(&self, phase: &'static str) {
        self.inner().phase = phase;
        self.event(phase);
    }

    /// Something that happened. On a terminal it would tear the block apart, which shows what counts anyway.
    pub fn event(&self, text: &str) {
        let mut inner = self.inner();
        let line = format!("{:8.3} s  {text}\n", inner.started.elapsed().as_secs_f64());
        // What cannot be logged is in the history, too; if that cannot be written either, the run ends.
        let _ = inner.log.write_all(line.as_bytes());
        if !self.quiet && !self.bar {
            let _ = inner.out.write_all(line.as_bytes());
        }
    }

    /// Shows the state of affairs, if it is time to.
    pub fn show(&self, recorder: &Recorder, in_force: &[(String, Duration)]) {
        if self.quiet {
            return;
        }
        let mut inner = self.inner();
        let every = if self.bar { REDRAW } else { LINE };
        let last = inner.drawn.unwrap_or(inner.started);
        if last.elapsed() < every {
            return;
        }
        inner.drawn = Some(Instant::now());
        let tally = recorder.tally();
        inner.measure(&tally);
        let now = recorder.now();
        let _ = if self.bar { inner.draw(&tally, now, in_force) } else { inner.line(&tally, in_force) };
    }

    /// Takes the block off the screen.
    pub fn clear(&self) {
        let mut inner = self.inner();
        if inner.height > 0 {
            let height = std::mem::take(&mut inner.height);
            let _ = write!(inner.out, "\x1b[{height}A\x1b[J");
            let _ = inner.out.flush();
        }
    }
}

/// Median, 99th of 100, and largest, of recent latencies, as text.
fn latencies(tally: &Tally) -> String {
    let mut recent = tally.recent.clone();
    recent.sort_unstable();
    let Some(max) = recent.last() else { return "no answers yet".to_string() };
    let ms = |ns: u64| {
        if ns < 10_000_000 { format!("{:.1} ms", ns as f64 / 1e6) } else { format!("{} ms", ns / 1_000_000) }
    };
    let at = |share: f64| ms(recent[((recent.len() - 1) as f64 * share) as usize]);
    format!("p50 {}   p99 {}   max {}", at(0.5), at(0.99), ms(*max))
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

    fn sparkline(&self) -> String {
        let max = self.rates.iter().copied().fold(1.0, f64::max);
        let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        self.rates.iter().map(|r| bars[((r / max) * 7.0) as usize % 8]).collect()
    }

    fn draw(&mut self, tally: &Tally, now: i64, in_force: &[(String, Duration)]) -> std::io::Result<()> {
        let rate = self.rates.last().copied().unwrap_or(0.0);
        let elapsed = self.started.elapsed();
        let mut lines = vec![format!("{}   {} / {}", self.title, clock(elapsed), clock(self.limit))];
        lines.push(format!(
            "  ops      {}   {rate:.0}/s   {}   {}",
            tally.invoked,
            self.sparkline(),
            latencies(tally)
        ));
        let error = tally.error.as_ref().map_or(String::new(), |(at, error)| {
            format!("        last error {:.1} s ago: {error}", (now - at) as f64 / 1e9)
        });
        lines.push(format!("  outcome  {}{error}", outcomes(tally)));
        let next = self
            .next
            .map_or(String::new(), |(kind, at)| format!("      next: {kind} at {:.1} s", at.as_secs_f64()));
        let mut faults: Vec<String> =
            in_force.iter().map(|(what, age)| format!("{what} for {:.1} s", age.as_secs_f64())).collect();
        if faults.is_empty() {
            faults.push(if self.phase.is_empty() { "none" } else { self.phase }.to_string());
        }
        lines.push(format!("  faults   {}{next}", faults.join("; ")));
        // Longer lines would wrap, and the block would climb up the screen.
        let width =
            rustix::termios::tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let width = if width == 0 { 100 } else { width - 1 };
        let mut text = if self.height > 0 { format!("\x1b[{}A", self.height) } else { String::new() };
        for line in &lines {
            text.extend(line.chars().take(width));
            text.push_str("\x1b[K\n");
        }
        self.height = lines.len();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn line(&mut self, tally: &Tally, in_force: &[(String, Duration)]) -> std::io::Result<()> {
        let at = self.started.elapsed().as_secs_f64();
        let faults: Vec<&str> = in_force.iter().map(|(what, _)| what.as_str()).collect();
        let faults = if faults.is_empty() { "none".to_string() } else { faults.join("; ") };
        let (invoked, outcomes, latencies) = (tally.invoked, outcomes(tally), latencies(tally));
        writeln!(self.out, "{at:8.3} s  {invoked} ops   {outcomes}   {latencies}   faults: {faults}")
    }
}
