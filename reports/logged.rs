//! What the nodes wrote into their logs: around an anomaly, and whatever they warned of.
//!
//! ```text
//!   the core      A ├──┤      B ├────────┤            D ├─┤
//!   the excerpt  ├──────────────────────────────────────────┤     from 150 ms before the first call to 150 ms after the
//!                                                                 last answer; what is near to a call or an answer first
//! ```
//! Who reads the files gives the lines, with their times on the clock of the run. Nothing here orders anything: a log is
//! what a node says of itself.

use crate::anomaly::explained;
use crate::buckets::Axis;
use crate::clean::{clean, clean_to};
use crate::downloads::{FILE_MAX, link};
use crate::text::{count, cut, list, many, moment, plural, span};
use crate::timeline::px;
use history::results::{Anomaly, CoreOp, Results};
use maud::{Markup, html};
use std::collections::BTreeSet;

/// How long before the first call and after the last answer (150 ms).
const AROUND_NS: i64 = 150_000_000;
/// A time that is less certain than this (5 ms) is marked.
const EXACT_NS: i64 = 5_000_000;
/// Lines of an excerpt that stand in the page.
const SHOWN_MAX: usize = 40;
/// Characters of such a line.
const LINE_MAX: usize = 400;
/// Ticks in the timeline.
pub const TICKS_MAX: usize = 1000;

/// How serious the program says that a line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Neither.
    #[default]
    Usual,
    /// A warning.
    Warning,
    /// An error, or worse.
    Error,
}

/// A line of a node's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLine {
    /// Of which node.
    pub node: String,
    /// The name of the file.
    pub file: String,
    /// Nanoseconds since the run began.
    pub time: i64,
    /// By how many nanoseconds the time may be wrong.
    pub slack: i64,
    /// How serious it is.
    pub level: Level,
    /// The line, without its end.
    pub text: String,
}

/// What the logs hold of what a page shows.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// In the order of their times.
    pub lines: Vec<LogLine>,
    /// Lines of the [`windows`] that are left out, because they were too many.
    pub left_out: u64,
    /// Warnings and errors of the whole run that are left out.
    pub warnings_left_out: u64,
    /// Logs that could not be read or understood, and why.
    pub unread: Vec<String>,
}

/// The times, in nanoseconds since the run began, of which a page shows everything that was logged.
pub fn windows(results: &Results) -> Vec<(i64, i64)> {
    explained(results).into_iter().filter_map(window).collect()
}

/// From before the first call of a core to after its last answer; `None` in a history without times.
fn window(anomaly: &Anomaly) -> Option<(i64, i64)> {
    let moments = || moments(anomaly);
    Some((moments().min()?.saturating_sub(AROUND_NS), moments().max()?.saturating_add(AROUND_NS)))
}

/// Its calls and answers. When somebody gave up waiting is neither.
fn moments(anomaly: &Anomaly) -> impl Iterator<Item = i64> {
    let answered = |op: &CoreOp| op.ret_time.filter(|_| op.outcome != "info");
    anomaly.ops.iter().flat_map(move |op| [op.invoke_time, answered(op)]).flatten()
}

impl LogLine {
    /// Whether it was written between these times, as far as that is certain.
    pub fn within(&self, (from, to): (i64, i64)) -> bool {
        self.time.saturating_add(self.slack) >= from && self.time.saturating_sub(self.slack) <= to
    }

    /// How far it is from a call or an answer of a core.
    fn distance(&self, anomaly: &Anomaly) -> u64 {
        moments(anomaly).map(|at| at.abs_diff(self.time)).min().unwrap_or(u64::MAX)
    }
}

impl Logs {
    /// What was logged around an anomaly, in the order of time.
    fn around(&self, anomaly: &Anomaly) -> Vec<&LogLine> {
        let window = window(anomaly);
        self.lines.iter().filter(|line| window.is_some_and(|window| line.within(window))).collect()
    }

    /// Whether there is neither a warning nor an error.
    pub fn is_quiet(&self) -> bool {
        self.lines.iter().all(|line| line.level == Level::Usual)
    }

    /// The warnings and errors from one time to another: all, or evenly spaced so many, of which errors go first. And how
    /// many more there are.
    pub fn serious(&self, (from, to): (i64, i64), most: usize) -> (Vec<&LogLine>, u64) {
        let lines = || self.lines.iter().filter(move |line| line.time >= from && line.time <= to);
        let of = |level| lines().filter(move |line| line.level == level);
        let mut ticks: Vec<&LogLine> = Vec::new();
        let mut all = 0;
        for level in [Level::Error, Level::Warning] {
            let (n, room) = (of(level).count(), most - ticks.len());
            all += n;
            // One is taken whenever its share of the room passes a whole number.
            let share = |i: usize| if n <= room { i } else { i * room / n };
            ticks.extend(
                of(level).enumerate().filter(|(i, _)| share(i + 1) > share(*i)).map(|(_, line)| line),
            );
        }
        ticks.sort_by_key(|line| line.time);
        let more = (all - ticks.len()) as u64 + self.warnings_left_out;
        (ticks, more)
    }
}

/// How many of which: `2 errors and a warning`; nothing where there are none.
fn serious(lines: &[&LogLine]) -> Option<String> {
    let of = |level| lines.iter().filter(|line| line.level == level).count() as u64;
    let counts = [(of(Level::Error), "error"), (of(Level::Warning), "warning")];
    if let Some((n, noun)) = counts.iter().find(|(n, _)| *n > 1 && *n == lines.len() as u64) {
        return Some(if *n == 2 {
            format!("both {}", plural(noun))
        } else {
            format!("all {}", plural(noun))
        });
    }
    let said: Vec<String> =
        counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| many(n, noun)).collect();
    match (said.is_empty(), lines.len()) {
        (true, _) => None,
        (false, 1) => Some(if counts[0].0 == 1 { "an error" } else { "a warning" }.to_string()),
        (false, _) => Some(format!("{} among them", list(&said))),
    }
}

/// What was logged meanwhile, in a sentence.
pub fn beside(logs: &Logs, anomaly: &Anomaly) -> Option<String> {
    let lines = logs.around(anomaly);
    let first = lines.first()?;
    let alone = lines.iter().all(|line| line.node == first.node);
    let who = if alone { clean_to(&first.node, 60) } else { "the nodes".to_string() };
    let serious = serious(&lines).map_or_else(String::new, |words| format!(", {words}"));
    Some(format!("Meanwhile {who} logged {}{serious}: see below.", many(lines.len() as u64, "line")))
}

/// The excerpt of a card: the lines nearest to the calls and answers of the core.
pub fn excerpt(logs: &Logs, anomaly: &Anomaly) -> Markup {
    let lines = logs.around(anomaly);
    if lines.is_empty() {
        return html! {};
    }
    let mut near: Vec<(usize, &LogLine)> = lines.iter().copied().enumerate().collect();
    near.sort_by_key(|(at, line)| (line.distance(anomaly), *at));
    near.truncate(SHOWN_MAX);
    near.sort_by_key(|(at, _)| *at);
    // A node with several logs has each line say of which it is.
    let logs_of: BTreeSet<(&str, &str)> = lines.iter().map(|line| (&*line.node, &*line.file)).collect();
    let nodes: BTreeSet<&str> = logs_of.iter().map(|(node, _)| *node).collect();
    let files = nodes.len() < logs_of.len();
    let unsure = lines.iter().map(|line| line.slack).max().filter(|slack| *slack > EXACT_NS);
    html! {
        details.logs { summary { "What the nodes logged then: " (many(lines.len() as u64, "line")) @if let Some(words) = serious(&lines) { ", " (words) } }
            div.scroll tabindex="0" { table {
                thead { tr { th { "time" } th { "node" } @if files { th { "log" } } th { "line" } } }
                tbody { @for (_, line) in &near { tr {
                    td.when { @if line.slack > EXACT_NS { "≈ " } (moment(line.time)) }
                    td { (clean_to(&line.node, 60)) }
                    @if files { td { (clean_to(&line.file, 60)) } }
                    td.mono { @match line.level { Level::Error => { b { "error " } }, Level::Warning => { b { "warning " } }, Level::Usual => {} }
                        (cut(&clean_to(&line.text, LINE_MAX), LINE_MAX)) }
                } } }
            } }
            @if near.len() < lines.len() { p.note { "The " (near.len()) " lines nearest to a call or an answer of the core; the file under Data has more." } }
            @if logs.left_out > 0 { p.note { (many(logs.left_out, "line")) " of such times are left out: they are in the logs, beside this page." } }
            p.note { "By the nodes' own clocks, put beside the run's: they order nothing in the proof."
                @if let Some(slack) = unsure { " ≈: off by up to " (span(slack)) ", because the log's stamps are no finer, or the node's clock was bent." } }
        }
    }
}

/// The excerpts and the warnings as files.
pub fn files(logs: &Logs, results: &Results) -> Markup {
    let excerpts: Vec<(String, String, u64)> = explained(results)
        .into_iter()
        .map(|anomaly| (anomaly, logs.around(anomaly)))
        .filter(|(_, lines)| !lines.is_empty())
        .map(|(anomaly, lines)| {
            let (text, n) = written(&lines, |line| line.distance(anomaly));
            (format!("anomaly-{}.log", anomaly.id), text, n)
        })
        .collect();
    let (serious, _) = logs.serious((i64::MIN, i64::MAX), usize::MAX);
    let warnings =
        (!serious.is_empty()).then(|| written(&serious, |line| u64::from(line.level != Level::Error)));
    html! {
        @for (name, text, n) in &excerpts {
            li { (link(name, "text/plain", text.as_bytes())) " " small { "what the nodes logged then, " (many(*n, "line")) } }
        }
        @if let Some((text, n)) = &warnings {
            li { (link("warnings.log", "text/plain", text.as_bytes())) " " small { (many(*n, "warning")) @if *n > 1 { " or errors" } @else { " or error" } " of the nodes" } }
        }
    }
}

/// Which logs are not in the page, and why.
pub fn unread(logs: &Logs) -> Markup {
    html! { @if !logs.unread.is_empty() { p.note { "Logs that are not excerpted: " (clean(&logs.unread.join("; "))) "." } } }
}

/// Lines as a text: those that come first by `rank`, as many as there is room for, in the order of time. And how many.
fn written(lines: &[&LogLine], rank: impl Fn(&LogLine) -> u64) -> (String, u64) {
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            let about = if line.slack > EXACT_NS { "≈" } else { " " };
            format!("{about}{:.6} s  {}  {}  {}\n", line.time as f64 / 1e9, line.node, line.file, line.text)
        })
        .collect();
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|&at| (rank(lines[at]), at));
    let mut room = FILE_MAX;
    let fits = |at: &usize| {
        let rest = room.checked_sub(texts[*at].len());
        room = rest.unwrap_or(0);
        rest.is_some()
    };
    let mut kept: Vec<usize> = order.into_iter().take_while(fits).collect();
    kept.sort_unstable();
    let n = kept.len();
    let mut text: String = kept.into_iter().map(|at| texts[at].as_str()).collect();
    if n < lines.len() {
        text.push_str(&format!(
            "{} more are in the logs of the nodes, beside the report\n",
            count((lines.len() - n) as u64)
        ));
    }
    (text, n as u64)
}

/// The ticks of the still timeline, which are at `x` of their times.
pub fn ticks(logs: &Logs, axis: Axis, left: f64, y: f64, x: impl Fn(i64) -> f64) -> Markup {
    if !axis.timed {
        return html! {};
    }
    let (ticks, _) = logs.serious((axis.from, axis.to), TICKS_MAX);
    let path = |level: Level, from: f64, high: f64| -> String {
        let mut places: Vec<String> = ticks
            .iter()
            .filter(|line| line.level == level)
            .map(|line| format!("M{:.1} {:.1}v{high:.1}", x(line.time), y + from))
            .collect();
        places.dedup();
        places.concat()
    };
    html! {
        @if !ticks.is_empty() {
            g.logticks {
                title { "Warnings (short) and errors (long) in the logs of the nodes" }
                text class="axis" x=(left) y=(px(y + 9.5)) text-anchor="end" { "logs" }
                path d=(path(Level::Warning, 5.0, 6.0)) {}
                path.error d=(path(Level::Error, 0.0, 11.0)) {}
            }
        }
    }
}
