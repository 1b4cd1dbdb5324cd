//! The whole run at a glance: what was asked and answered, every fault by name, every anomaly, every node.

use crate::buckets::{Axis, Bucket, buckets};
use crate::clean::clean_to;
use crate::logged::{self, Logs};
use crate::picture::wide;
use crate::roles::{ROW, Roles};
use crate::text::{count, cut, moment, percent, short};
use history::results::{Anomaly, FaultRecord, Results};
use history::{History, Op, ValueId};
use maud::{Markup, html};
use std::collections::BTreeMap;

const WIDTH: f64 = 1100.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 76.0;
/// Names of faults are 11 pixels high and bold, which is wider than the rest.
const BOLD: f64 = 12.4;
const LANE: f64 = 19.0;
const LANES_MAX: usize = 12;
const GRAPH: f64 = 74.0;
const NODE: f64 = 24.0;
const NODES_MAX: usize = 40;

/// The overview, or a sentence about why there is none.
pub fn timeline(
    results: &Results,
    history: &History,
    logs: &Logs,
    axis: Option<Axis>,
    buckets: &[Bucket],
) -> Markup {
    let Some(axis) = axis else {
        return html! {
            section.card #timeline aria-labelledby="h-timeline" {
                h2 #h-timeline { "Timeline" }
                p.pad.mut { "The history holds no operation, so there is nothing to draw." }
            }
        };
    };
    let drawing = Drawing { results, history, axis, buckets };
    let (svg, notes) = drawing.draw(logs);
    html! {
        section.card #timeline aria-labelledby="h-timeline" {
            h2 #h-timeline { "Timeline"
                small { @if axis.timed { "the whole run, " (crate::text::span(axis.length())) } @else { "the whole history; it records no times, so this is the sequence of its events" } }
                span.legend { span.aok { "ok" } span.afail { "failed" } span.ainfo { "never answered" }
                    @if !results.anomalies.is_empty() { span.lbad { "anomaly" } } } }
            div.static { div.scroll tabindex="0" { (svg) }
                @for note in notes { p.note { (note) } }
                noscript { p.note { "Without JavaScript this picture stands still. With it, this is a timeline of every operation: zoom, filter, details." } } }
        }
    }
}

/// What each node answered, over time; nothing where the history names no nodes.
pub fn availability(results: &Results, history: &History, axis: Axis) -> Markup {
    let drawing = Drawing { results, history, axis, buckets: &[] };
    let nodes = drawing.nodes();
    if nodes.is_empty() {
        return html! {};
    }
    let shown = &nodes[..nodes.len().min(NODES_MAX)];
    let bottom = 4.0 + shown.len() as f64 * NODE;
    let height = bottom + 24.0;
    html! {
        section.card #availability aria-labelledby="h-availability" {
            h2 #h-availability { "Availability of each node" small { "what became of the requests to it, as shares" }
                span.legend { span.aok { "ok" } span.afail { "failed" } span.ainfo { "never answered" } } }
            div.scroll tabindex="0" {
                svg.run viewBox=(format!("0 0 {WIDTH} {height:.0}")) width=(WIDTH) height=(format!("{height:.0}")) role="img" aria-labelledby="av-t" {
                    title #av-t { "What each node answered over time; the table of nodes has the numbers" }
                    (drawing.shades(0.0, bottom))
                    @for (i, (name, ops)) in shown.iter().enumerate() { (drawing.node(name, ops, 4.0 + i as f64 * NODE)) }
                    (drawing.ticks(bottom))
                    (drawing.lines(bottom))
                }
            }
            p.note { "A bar under a row marks a fault of that node. Empty: nobody asked it. Red: an anomaly."
                @if nodes.len() > shown.len() { " The first " (NODES_MAX) " of " (count(nodes.len() as u64)) " nodes; the table of nodes has all." } }
        }
    }
}

struct Drawing<'a> {
    results: &'a Results,
    history: &'a History,
    axis: Axis,
    buckets: &'a [Bucket],
}

struct Lane<'a> {
    fault: &'a FaultRecord,
    lane: usize,
    label: String,
}

impl Drawing<'_> {
    fn x(&self, at: i64) -> f64 {
        let share = at.saturating_sub(self.axis.from) as f64 / self.axis.length() as f64;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn draw(&self, logs: &Logs) -> (Markup, Vec<String>) {
        let mut notes = Vec::new();
        let (lanes, unnamed) = self.lanes();
        let n_lanes = lanes.iter().map(|l| l.lane + 1).max().unwrap_or(0);
        if unnamed > 0 {
            notes.push(format!(
                "{} of the bands have no room for their name here; the table of faults names all.",
                count(unnamed)
            ));
        }
        if !self.axis.timed && !self.results.faults.is_empty() {
            notes.push("Faults are not drawn: the history records no times for its operations.".to_string());
        }
        let roles = Roles::new(self.history, self.axis);
        if roles.more > 0 {
            notes.push(format!("{} more changes of the primary are not drawn.", count(roles.more as u64)));
        }
        let primaries = 8.0 + n_lanes as f64 * LANE + if n_lanes > 0 { 2.0 } else { 0.0 };
        let logged = primaries + roles.rows as f64 * ROW;
        let log_row = if logs.is_quiet() || !self.axis.timed { 0.0 } else { ROW };
        let graph = logged + log_row + 14.0;
        let axis_y = graph + GRAPH;
        let height = axis_y + 24.0;
        let svg = html! {
            svg.run viewBox=(format!("0 0 {WIDTH} {height:.0}")) width=(WIDTH) height=(format!("{height:.0}")) role="img" aria-labelledby="tl-t tl-d" {
                title #tl-t { "The whole run: operations, faults and anomalies over time" }
                desc #tl-d { (self.description()) }
                (self.shades(graph, height - 2.0))
                (self.bands(&lanes))
                (roles.draw(primaries, LEFT - 10.0, self.axis.to, |at| self.x(at)))
                (logged::ticks(logs, self.axis, LEFT - 10.0, logged, |at| self.x(at)))
                (self.graph(graph))
                (self.ticks(axis_y))
                (self.flags(graph, axis_y))
            }
        };
        (svg, notes)
    }

    fn description(&self) -> String {
        let stats = &self.results.stats;
        let faults = self
            .results
            .faults
            .iter()
            .take(20)
            .map(|f| format!("{} {} at {}.", f.kind, f.what, moment(f.injected)));
        format!(
            "{} operations: {} ok, {} failed, {} never answered. {}",
            count(stats.ops),
            count(stats.ok),
            count(stats.fail),
            count(stats.info),
            faults.collect::<Vec<_>>().join(" ")
        )
    }

    fn faults(&self) -> &[FaultRecord] {
        if self.axis.timed { &self.results.faults } else { &[] }
    }

    fn end(&self, fault: &FaultRecord) -> i64 {
        fault.healed.unwrap_or(self.axis.to).max(fault.injected)
    }

    /// Gives each fault the first lane in which neither its band nor its name meets another.
    fn lanes(&self) -> (Vec<Lane<'_>>, u64) {
        let mut taken: Vec<f64> = Vec::new();
        let mut lanes = Vec::new();
        let mut unnamed = 0;
        for fault in self.faults() {
            let bit = if fault.bit.is_some() { "" } else { " · not seen to bite" };
            let mut label = cut(&format!("{} {}{bit}", fault.kind, fault.what), 56);
            let (from, to) = (self.x(fault.injected), self.x(self.end(fault)));
            let start = label_start(from, wide(&label, BOLD));
            let mut until = to.max(start + wide(&label, BOLD)) + 8.0;
            let begin = from.min(start);
            let mut lane = taken.iter().position(|t| *t <= begin).unwrap_or(taken.len());
            if lane >= LANES_MAX {
                label.clear();
                unnamed += 1;
                until = to;
                lane = LANES_MAX - 1;
            }
            if lane == taken.len() {
                taken.push(0.0);
            }
            taken[lane] = taken[lane].max(until);
            lanes.push(Lane { fault, lane, label });
        }
        (lanes, unnamed)
    }

    fn shades(&self, y: f64, bottom: f64) -> Markup {
        html! {
            @for fault in self.faults() {
                @let (from, to) = (self.x(fault.injected), self.x(self.end(fault)));
                rect class={ "shade " (band_class(&fault.kind)) } x=(px(from)) y=(px(y)) width=(px((to - from).max(1.0))) height=(px(bottom - y)) {}
            }
        }
    }

    fn bands(&self, lanes: &[Lane]) -> Markup {
        html! {
            @if !lanes.is_empty() { text class="axis" x=(LEFT - 10.0) y="21" text-anchor="end" { "faults" } }
            @for lane in lanes {
                @let fault = lane.fault;
                @let (from, to) = (self.x(fault.injected), self.x(self.end(fault)));
                @let y = 8.0 + lane.lane as f64 * LANE;
                g class={ "band " (band_class(&fault.kind)) @if fault.bit.is_none() { " toothless" } } {
                    title { "fault " (fault.id) ": " (fault.kind) " " (fault.what) ", " (moment(fault.injected)) " to "
                        @match fault.healed { Some(t) => (moment(t)), None => "the end: not healed" } }
                    rect x=(px(from)) y=(px(y)) width=(px((to - from).max(2.0))) height=(px(LANE - 3.0)) rx="3" {}
                    @if let Some(bit) = fault.bit { path d=(format!("M{:.1} {:.1}v{:.1}", self.x(bit), y, LANE - 3.0)) {} }
                    @if !lane.label.is_empty() {
                        text x=(px(label_start(from, wide(&lane.label, BOLD)) + 5.0)) y=(px(y + 12.0)) { (lane.label) }
                    }
                }
            }
        }
    }

    fn graph(&self, y: f64) -> Markup {
        let unit = if self.axis.timed { 1e9 } else { 1.0 };
        let rate = |b: &Bucket, n: u64| n as f64 * unit / b.to.saturating_sub(b.from).max(1) as f64;
        let most = self.buckets.iter().map(|b| rate(b, b.all())).fold(1e-9, f64::max);
        let mut paths = [String::new(), String::new(), String::new()];
        for b in self.buckets {
            let (x0, x1) = (self.x(b.from), self.x(b.to));
            let mut base = y + GRAPH;
            for (path, n) in paths.iter_mut().zip([b.ok, b.fail, b.info]) {
                // What happened at all is seen: never thinner than a pixel.
                let h = if n == 0 { 0.0 } else { (rate(b, n) / most * (GRAPH - 4.0)).max(1.0) };
                if h > 0.0 {
                    path.push_str(&bar(x0, x1, base, h));
                    base -= h;
                }
            }
        }
        let label = if self.axis.timed { format!("{}/s", short(most)) } else { "ops".to_string() };
        html! {
            text class="axis" x=(LEFT - 10.0) y=(px(y + 11.0)) text-anchor="end" { (label) }
            text class="axis" x=(LEFT - 10.0) y=(px(y + GRAPH)) text-anchor="end" { "0" }
            @for (path, class) in paths.iter().zip(["ok", "fail", "info"]) { path class={ "fill-" (class) } d=(path) {} }
            path class="ground" d=(format!("M{LEFT} {0:.1}H{1:.1}", y + GRAPH, WIDTH - RIGHT)) {}
        }
    }

    fn ticks(&self, y: f64) -> Markup {
        let unit = if self.axis.timed { 1e9 } else { 1.0 };
        let length = self.axis.length() as f64 / unit;
        let step = nice_step(length, 11.0).max(if self.axis.timed { 1e-9 } else { 1.0 });
        let n = (length / step).floor() as usize;
        html! {
            @for i in 0..=n {
                @let at = i as f64 * step;
                @let x = LEFT + at / length * (WIDTH - LEFT - RIGHT);
                path class="ground" d=(format!("M{x:.1} {y:.1}v4")) {}
                text class="time" x=(px(x)) y=(px(y + 16.0)) { @if self.axis.timed { (short(at)) " s" } @else { (count(at as u64)) } }
            }
        }
    }

    /// The nodes in order of their names, each with its operations.
    fn nodes(&self) -> Vec<(String, Vec<&Op>)> {
        let mut by_id: BTreeMap<ValueId, Vec<&Op>> = BTreeMap::new();
        for op in self.history.ops.iter().filter(|op| op.node != ValueId::NULL) {
            by_id.entry(op.node).or_default().push(op);
        }
        let mut nodes: Vec<(String, Vec<&Op>)> = by_id
            .into_iter()
            .map(|(id, ops)| {
                let value = self.history.values.get(id);
                (value.as_text().map_or_else(|| value.to_string(), str::to_string), ops)
            })
            .collect();
        nodes.sort_by(|a, b| (a.0.len(), &a.0).cmp(&(b.0.len(), &b.0)));
        nodes
    }

    fn node(&self, name: &str, ops: &[&Op], y: f64) -> Markup {
        let slices = buckets(self.axis, self.faults(), ops.iter().copied());
        let h = NODE - 10.0;
        let mut paths = [String::new(), String::new(), String::new()];
        for slice in slices.iter().filter(|b| b.all() > 0) {
            let (counts, all) = ([slice.ok, slice.fail, slice.info], slice.all());
            let mut base = y + h;
            for (path, n) in paths.iter_mut().zip(counts) {
                let part = n as f64 / all as f64 * h;
                if n > 0 {
                    path.push_str(&bar(self.x(slice.from), self.x(slice.to), base, part));
                    base -= part;
                }
            }
        }
        let answered: u64 = slices.iter().map(|b| b.ok).sum();
        let own: Vec<&FaultRecord> =
            self.faults().iter().filter(|f| f.nodes.iter().any(|n| n == name)).collect();
        html! {
            g.node {
                title { (clean_to(name, 60)) ": " (percent(answered, ops.len() as u64)) " of " (count(ops.len() as u64)) " requests answered ok" }
                rect class="unasked" x=(LEFT) y=(px(y)) width=(WIDTH - LEFT - RIGHT) height=(px(h)) rx="2" {}
                text class="nodename" x=(LEFT - 10.0) y=(px(y + 11.0)) text-anchor="end" { (cut(&clean_to(name, 60), 11)) }
                @for (path, class) in paths.iter().zip(["ok", "fail", "info"]) { path class={ "fill-" (class) } d=(path) {} }
                @for fault in own {
                    @let (from, to) = (self.x(fault.injected), self.x(self.end(fault)));
                    rect class={ "mark " (band_class(&fault.kind)) } x=(px(from)) y=(px(y + h + 1.0)) width=(px((to - from).max(2.0))) height="4" {}
                }
                text class="axis" x=(WIDTH - RIGHT + 8.0) y=(px(y + 11.0)) { (percent(answered, ops.len() as u64)) " ok" }
            }
        }
    }

    fn flags(&self, y: f64, bottom: f64) -> Markup {
        let mut flags: Vec<(f64, u32)> =
            self.results.anomalies.iter().filter_map(|a| Some((self.x(self.when(a)?), a.id))).collect();
        flags.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Flags that would cover each other are one flag.
        let mut groups: Vec<(f64, Vec<u32>)> = Vec::new();
        for (x, id) in flags {
            match groups.last_mut() {
                Some((first, ids)) if x - *first < 30.0 => ids.push(id),
                Some(_) | None => groups.push((x, vec![id])),
            }
        }
        html! {
            @for (x, ids) in groups {
                @let label = if ids.len() == 1 { ids[0].to_string() } else { format!("{}×", ids.len()) };
                @let w = wide(&label, BOLD).max(8.0) + 10.0;
                g.flag {
                    title { @if ids.len() == 1 { "Anomaly " } @else { "Anomalies " } (crate::text::list(&ids.iter().map(u32::to_string).collect::<Vec<_>>())) }
                    path d=(format!("M{x:.1} {:.1}V{bottom:.1}", y)) {}
                    rect x=(px(x - w / 2.0)) y=(px(y - 9.0)) width=(px(w)) height="18" rx="9" {}
                    text x=(px(x)) y=(px(y + 4.0)) { (label) }
                }
            }
        }
    }

    /// Where the anomalies are, without their numbers.
    fn lines(&self, bottom: f64) -> Markup {
        let mut at: Vec<i64> = self.results.anomalies.iter().filter_map(|a| self.when(a)).collect();
        at.sort_unstable();
        html! { g.flag { @for at in at { path d=(format!("M{:.1} 0V{bottom:.1}", self.x(at))) {} } } }
    }

    fn when(&self, anomaly: &Anomaly) -> Option<i64> {
        let op = anomaly.ops.iter().find(|op| op.fatal).or(anomaly.ops.last())?;
        if self.axis.timed { op.invoke_time } else { Some(i64::from(op.invoke)) }
    }
}

fn bar(x0: f64, x1: f64, base: f64, height: f64) -> String {
    // Slices touch; a hair of overlap keeps the background from shining through between them.
    format!("M{:.1} {:.1}h{:.1}v-{:.1}h-{:.1}z", x0, base, x1 - x0 + 0.2, height, x1 - x0 + 0.2)
}

/// Where a name begins so that it ends inside the picture.
fn label_start(from: f64, width: f64) -> f64 {
    from.min(WIDTH - width - 10.0)
}

/// The colour of a kind of fault.
pub fn band_class(kind: &str) -> &'static str {
    match kind {
        "partition" | "bridge" | "one-way" | "isolate" => "b1",
        "kill" | "pause" | "zombie" => "b2",
        "clock" | "slow" | "packet" => "b3",
        _ => "b0",
    }
}

/// 1, 2 or 5 times a power of ten, so that at most `ticks` of them fit.
fn nice_step(length: f64, ticks: f64) -> f64 {
    let rough = (length / ticks).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough).unwrap_or(power * 10.0)
}

pub fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
}
