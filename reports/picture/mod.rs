//! The core as a picture: static SVG, complete without a script, one row per client, time stretched to be readable.

mod route;

use crate::plan::{Bar, Cell, Plan, op_text, place, plan, shown, subject};
use crate::text::{cut, many, number_word, span};
use history::results::{Anomaly, CoreOp, Edge, Why};
use maud::{Markup, html};
use route::{Node, Rect, Scene};

/// Width of a picture that shares its line with the reasons.
const BESIDE: u32 = 812;
/// Widest picture that is still readable there, made a little smaller.
const BESIDE_MAX: u32 = 930;
/// Width of a picture that has the line for itself.
const ALONE: u32 = 1312;
const TOP: f64 = 42.0;
const BOX: f64 = 32.0;
const STRIP: f64 = 26.0;

/// A drawn core.
pub struct Picture {
    /// The SVG.
    pub svg: Markup,
    /// Whether it needs the whole width of the page.
    pub wide: bool,
    /// How many operations it leaves out.
    pub left_out: usize,
    /// Whether the object can be more than one thing somewhere.
    pub several: bool,
    /// Whether it had a past that is not drawn.
    pub past: bool,
}

/// Draws a core. `id` makes the ids of the drawing unique on its page.
pub fn picture(anomaly: &Anomaly, id: &str) -> Picture {
    let plan = plan(anomaly);
    let shown = shown(anomaly);
    let ops: Vec<&CoreOp> = plan.drawn.iter().map(|&i| shown[i]).collect();
    let left = gutter(&plan);
    let needs = needs(&plan, &ops, anomaly);
    let narrow = place(plan.columns.len() + 1, &needs, 0).last().copied().unwrap_or(0) + left + 14;
    let wide = narrow > BESIDE_MAX;
    let width = narrow.max(if wide { ALONE } else { BESIDE });
    let x: Vec<f64> = place(plan.columns.len() + 1, &needs, width - left - 14)
        .into_iter()
        .map(|x| f64::from(x + left + 8))
        .collect();
    // An arrow back within the first row goes over it.
    let top = if loops_over_first_row(&plan, &ops, anomaly) { TOP + 24.0 } else { TOP };
    let pitch = if wide { usual_pitch(&plan) } else { pitch(&plan, anomaly) };
    let drawing = Drawing { anomaly, plan: &plan, ops: &ops, x: &x, width: f64::from(width), top, pitch, id };
    let past =
        plan.cells.iter().any(|cell| cell.from.is_some() && cell.text.split(" or ").any(|text| text == "…"));
    let several = plan.cells.iter().any(|cell| !cell.conflict && cell.text.contains(" or "));
    Picture { svg: drawing.svg(), wide, left_out: plan.left_out, several, past }
}

/// From row to row: few rows can afford more room for the arrows between them.
fn usual_pitch(plan: &Plan) -> f64 {
    match plan.rows.len() {
        0..=2 => 108.0,
        3 => 84.0,
        _ => 66.0,
    }
}

/// The same beside reasons that are taller: rows move apart, as far as that still reads as one picture, so that no part
/// of the card is empty.
fn pitch(plan: &Plan, anomaly: &Anomaly) -> f64 {
    const LINE: f64 = 18.2;
    let lines = |text: &str, room: f64| (wide(text, 12.8) * 0.9 / room).ceil().max(1.0);
    let steps: f64 = anomaly.edges.iter().map(|e| 35.0 + LINE * lines(&e.text, 400.0)).sum();
    let reasons = steps + 40.0 + 75.0;
    let strip = if plan.cells.is_empty() { 0.0 } else { STRIP + 10.0 };
    let others = TOP + BOX + strip + 20.0 + 40.0;
    let usual = usual_pitch(plan);
    let filling = (reasons - others) / plan.rows.len().saturating_sub(1).max(1) as f64;
    filling.clamp(usual, usual * 1.35)
}

/// How wide a text will be, in pixels; a little too wide rather than too narrow, whatever the font.
pub fn wide(text: &str, size: f64) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            'i' | 'l' | 'j' | '.' | ',' | ':' | ';' | '|' | '!' | '\'' => 0.31,
            'f' | 'r' | 't' | '(' | ')' | '[' | ']' | ' ' | '\u{a0}' | 'I' | '/' => 0.38,
            'm' | 'w' | 'M' | 'W' | '@' | '→' | '…' => 0.95,
            'A'..='Z' => 0.70,
            '\u{1100}'..='\u{ffff}' => 1.05,
            '\u{10000}'.. => 1.3,
            _ => 0.61,
        })
        .sum();
    em * size
}

fn box_text(anomaly: &Anomaly, op: &CoreOp) -> String {
    // Few boxes may be long.
    let most = match shown(anomaly).len() {
        0..=2 => 64,
        3 => 48,
        _ => 36,
    };
    cut(&op_text(anomaly, op), most)
}

fn box_width(anomaly: &Anomaly, op: &CoreOp) -> f64 {
    wide(&op.label, 13.0) + wide(&box_text(anomaly, op), 12.5) + 32.0
}

fn axis_label(plan: &Plan, column: usize) -> String {
    let unit = if column == 0 && !plan.unit.is_empty() { format!(" {}", plan.unit) } else { String::new() };
    format!("{}{unit}", plan.columns[column].label)
}

fn row_names(plan: &Plan, row: usize) -> (String, String) {
    let row = &plan.rows[row];
    let nodes = if row.nodes.is_empty() { String::new() } else { format!("via {}", row.nodes.join(", ")) };
    (cut(&format!("client {}", row.process), 18), cut(&nodes, 20))
}

/// The width of the names on the left.
fn gutter(plan: &Plan) -> u32 {
    let rows = (0..plan.rows.len()).map(|r| row_names(plan, r));
    let widest = rows.map(|(name, nodes)| wide(&name, 12.5).max(wide(&nodes, 11.5))).fold(88.0, f64::max);
    widest.max(wide(&plan.heading, 11.5)).ceil() as u32 + 14
}

/// How far apart columns must be for their texts and arrows.
fn needs(plan: &Plan, ops: &[&CoreOp], anomaly: &Anomaly) -> Vec<(usize, usize, u32)> {
    let end = plan.columns.len();
    let mut needs = Vec::new();
    let mut need = |from: usize, to: usize, width: f64| needs.push((from, to, width.ceil() as u32));
    for i in 0..end {
        let here = wide(&axis_label(plan, i), 10.5);
        let next = if i + 1 < end { wide(&axis_label(plan, i + 1), 10.5) } else { 0.0 };
        need(i, i + 1, (here + next) / 2.0 + 12.0);
    }
    for (op, bar) in ops.iter().zip(&plan.bars) {
        need(bar.start, bar.end.unwrap_or(end), box_width(anomaly, op));
    }
    for edge in &anomaly.edges {
        if let (Some(from), Some(to)) = (find(ops, &edge.from), find(ops, &edge.to)) {
            if let Some(ret) = plan.bars[from].end {
                if ret < plan.bars[to].start {
                    need(ret, plan.bars[to].start, 44.0);
                }
            }
        }
    }
    for cell in &plan.cells {
        // What nothing fits into is said in full, as far as there is room.
        let length = if cell.conflict { 44 } else { 26 };
        let width = wide(&cut(&cell.text, length), cell_size(cell)) + 14.0;
        // What was before the first instant is not drawn.
        if let Some(from) = cell.from {
            need(from, cell.to.unwrap_or(end), width);
        }
    }
    needs
}

/// The size of a text in the strip of states, bold ones as wide as they come out.
fn cell_size(cell: &Cell) -> f64 {
    if cell.conflict { 13.0 } else { 12.0 }
}

fn loops_over_first_row(plan: &Plan, ops: &[&CoreOp], anomaly: &Anomaly) -> bool {
    anomaly.edges.iter().any(|edge| match (find(ops, &edge.from), find(ops, &edge.to)) {
        (Some(from), Some(to)) => {
            let (from, to) = (plan.bars[from], plan.bars[to]);
            from.row == 0 && to.row == 0 && from.end.is_none_or(|end| end >= to.start)
        }
        (_, _) => false,
    })
}

fn find(ops: &[&CoreOp], label: &str) -> Option<usize> {
    ops.iter().position(|op| op.label == label)
}

/// The class of an operation: what its box and its badge look like.
pub fn op_class(op: &CoreOp) -> &'static str {
    match (op.fatal, op.outcome.as_str()) {
        (true, _) => "x",
        (false, "ok") => "k",
        (false, "fail") => "f",
        (false, _) => "u",
    }
}

/// The class of a reason: real time is grey, values are blue, the one that closes the circle is red.
pub fn edge_class(anomaly: &Anomaly, edge: &Edge) -> &'static str {
    let closes = !anomaly.circle.is_empty() && anomaly.edges.last().is_some_and(|last| last.n == edge.n);
    match (closes, edge.why) {
        (true, _) => "x",
        (false, Why::RealTime | Why::SameClient) => "t",
        (false, Why::Read | Why::Overwritten | Why::Version | Why::Initial) => "v",
    }
}

/// What stands beside an arrow. Where a few words would not be the whole truth, it says no more than the arrow: the list of
/// reasons has them all.
fn edge_label(edge: &Edge) -> String {
    let says = |words: &str| edge.text.contains(words);
    let (from, to) = (&edge.from, &edge.to);
    match (edge.why, edge.gap_ns) {
        (Why::RealTime, Some(gap)) => format!("returned {} before", span(gap)),
        (Why::RealTime, None) => "returned before".to_string(),
        (Why::SameClient, _) => "same client".to_string(),
        (Why::Read, _) if says("ever wrote") => format!("{to} saw {from}'s value"),
        (Why::Overwritten, _) if says("replaces it") => format!("{from} saw what {to} replaced"),
        (Why::Version, _) if says("version") => "older version".to_string(),
        (Why::Initial, _) if says("did not see") || says("and not of") => {
            format!("{from} missed what {to} did")
        }
        (Why::Initial, _) if says("before any write") => format!("{from} saw what was before {to}"),
        (Why::Read | Why::Overwritten | Why::Version | Why::Initial, _) => format!("{from} before {to}"),
    }
}

struct Drawing<'a> {
    anomaly: &'a Anomaly,
    plan: &'a Plan,
    ops: &'a [&'a CoreOp],
    x: &'a [f64],
    width: f64,
    /// Where the first row begins.
    top: f64,
    /// From row to row.
    pitch: f64,
    id: &'a str,
}

impl Drawing<'_> {
    fn svg(&self) -> Markup {
        let rows_end = self.top + self.pitch * self.plan.rows.len() as f64 - (self.pitch - BOX) + 12.0;
        let strip = rows_end + 14.0;
        let height = if self.plan.cells.is_empty() { rows_end + 4.0 } else { strip + STRIP + 4.0 };
        let mut scene = self.scene(rows_end);
        let arrows = self.arrows(&mut scene);
        let notes = self.notes(&mut scene);
        let id = self.id;
        html! {
            svg viewBox=(format!("0 0 {} {height:.0}", self.width)) width=(self.width) height=(format!("{height:.0}"))
                role="img" aria-labelledby={ (id) "-t " (id) "-d" } {
                title id={ (id) "-t" } { (self.title()) }
                desc id={ (id) "-d" } { (self.description()) }
                defs {
                    @for kind in ["t", "v", "x"] {
                        marker id={ (id) "-" (kind) } viewBox="0 0 8 8" refX="7.4" refY="4" markerWidth="9" markerHeight="9"
                            markerUnits="userSpaceOnUse" orient="auto" { path class={ "head " (kind) } d="M0 .4L8 4L0 7.6z" {} }
                    }
                    pattern id={ (id) "-hatch" } width="6" height="6" patternTransform="rotate(45)" patternUnits="userSpaceOnUse" {
                        rect class="hatch" width="1.6" height="6" {}
                    }
                    linearGradient id={ (id) "-fade" } { stop offset=".8" stop-color="#fff" {} stop offset="1" stop-color="#fff" stop-opacity="0" {} }
                    mask id={ (id) "-m" } maskContentUnits="objectBoundingBox" {
                        rect width="1" height="1" fill={ "url(#" (id) "-fade)" } {}
                    }
                }
                (self.axis(rows_end))
                (self.names())
                @for (i, op) in self.ops.iter().enumerate() { (self.bar(op, &self.plan.bars[i], scene.nodes[i].rect)) }
                (arrows)
                (notes)
                @if !self.plan.cells.is_empty() { (self.strip(strip)) }
            }
        }
    }

    fn title(&self) -> String {
        let key = self.anomaly.key.as_ref().map_or(String::new(), |k| format!(" on {k}"));
        format!("{}{key}, and why they have no order", many(self.ops.len() as u64, "operation"))
    }

    fn description(&self) -> String {
        let ops = self.ops.iter().map(|op| {
            format!(
                "{}: client {}, {}, {}.",
                op.label,
                op.process,
                op_text(self.anomaly, op),
                outcome(self.anomaly, op)
            )
        });
        let edges = self.anomaly.edges.iter().map(|e| format!("{} before {}: {}.", e.from, e.to, e.text));
        ops.chain(edges).collect::<Vec<_>>().join(" ")
    }

    fn end(&self) -> f64 {
        self.x.last().copied().unwrap_or(self.width)
    }

    fn scene(&self, rows_end: f64) -> Scene {
        let mut nodes = Vec::new();
        let mut texts = Vec::new();
        for (op, bar) in self.ops.iter().zip(&self.plan.bars) {
            let y0 = self.top + self.pitch * bar.row as f64;
            let x0 = self.x[bar.start];
            let x1 = bar.end.map_or(self.end(), |end| self.x[end]);
            nodes.push(Node {
                rect: Rect { x0, y0, x1, y1: y0 + BOX },
                row: bar.row,
                ends: bar.end.is_some(),
            });
            texts.push(Rect {
                x0: x0 + 8.0,
                y0: y0 + 4.0,
                x1: x0 + box_width(self.anomaly, op) - 8.0,
                y1: y0 + BOX - 4.0,
            });
        }
        let left = self.x.first().copied().unwrap_or(0.0) - 8.0;
        let bounds = Rect { x0: left, y0: 23.0, x1: self.width, y1: rows_end + 12.0 };
        Scene {
            gap: self.pitch - BOX,
            bounds,
            nodes,
            texts,
            routes: Vec::new(),
            spots: Vec::new(),
            labels: Vec::new(),
        }
    }

    fn axis(&self, rows_end: f64) -> Markup {
        html! {
            text class="axis" x="0" y="17" { (self.plan.heading) }
            @for (i, _) in self.plan.columns.iter().enumerate() {
                text class="time" x=(px(self.x[i])) y="17" { (axis_label(self.plan, i)) }
                path class="guide" d=(format!("M{0:.1} 24V{1:.1}", self.x[i], rows_end)) {}
            }
        }
    }

    fn names(&self) -> Markup {
        let from = self.x.first().copied().unwrap_or(0.0) - 8.0;
        html! {
            @for r in 0..self.plan.rows.len() {
                @let y = self.top + self.pitch * r as f64 + BOX / 2.0;
                @let (name, nodes) = row_names(self.plan, r);
                path class="row" d=(format!("M{from:.1} {y:.1}H{:.1}", self.end())) {}
                text class="name" x="0" y=(px(if nodes.is_empty() { y + 4.0 } else { y - 2.0 })) { (name) }
                @if !nodes.is_empty() { text class="axis" x="0" y=(px(y + 13.0)) { (nodes) } }
            }
        }
    }

    fn bar(&self, op: &CoreOp, bar: &Bar, at: Rect) -> Markup {
        let reasons = self.anomaly.edges.iter().filter(|e| e.from == op.label || e.to == op.label);
        let class = reasons.fold(format!("bar {}", op_class(op)), |class, e| format!("{class} e{}", e.n));
        let (w, h) = (px(at.x1 - at.x0), px(at.y1 - at.y0));
        html! {
            g class=(class) {
                title { (op.label) ": " (op_text(self.anomaly, op)) ", client " (op.process)
                    @if let Some(node) = &op.node { " via " (node) } ", " (outcome(self.anomaly, op))
                    ", history line " (op.invoke_line) @if let Some(line) = op.ret_line { " and " (line) } }
                @if bar.end.is_some() {
                    rect class="box" x=(px(at.x0)) y=(px(at.y0)) width=(w) height=(h) rx="7" {}
                } @else {
                    // Open on the right: nobody knows when it ended.
                    g mask={ "url(#" (self.id) "-m)" } {
                        @let open = format!("M{1:.1} {2:.1}H{0:.1}a7 7 0 0 0 -7 7v{3:.1}a7 7 0 0 0 7 7H{1:.1}",
                            at.x0 + 7.0, at.x1, at.y0, BOX - 14.0);
                        path class="box" d=(open) {}
                        path d=(open) fill={ "url(#" (self.id) "-hatch)" } {}
                    }
                }
                text class="op" x=(px(at.x0 + 11.0)) y=(px(at.y0 + BOX / 2.0 + 4.5)) {
                    tspan class="label" { (op.label) } tspan dx="7" { (box_text(self.anomaly, op)) }
                }
            }
        }
    }

    fn arrows(&self, scene: &mut Scene) -> Markup {
        let drawn: Vec<(&Edge, usize, usize)> = self
            .anomaly
            .edges
            .iter()
            .filter_map(|e| Some((e, find(self.ops, &e.from)?, find(self.ops, &e.to)?)))
            .filter(|(_, from, to)| from != to)
            .collect();
        let routes: Vec<Vec<route::Point>> = drawn.iter().map(|&(_, f, t)| scene.route(f, t)).collect();
        let spots: Vec<route::Point> = (0..routes.len()).map(|i| scene.spot(i)).collect();
        let labels: Vec<Vec<(f64, f64, String)>> = drawn
            .iter()
            .enumerate()
            .map(|(i, (edge, _, _))| say(scene, &anchors(spots[i], &routes[i]), &edge_label(edge)))
            .collect();
        html! {
            @for (i, (edge, _, _)) in drawn.iter().enumerate() {
                @let kind = edge_class(self.anomaly, edge);
                g class={ "edge " (kind) " e" (edge.n) } {
                    title { (edge.n) ": " (edge.from) " before " (edge.to) ": " (edge.text) }
                    path class="line" d=(route::path(&routes[i])) marker-end={ "url(#" (self.id) "-" (kind) ")" } {}
                    circle cx=(px(spots[i].0)) cy=(px(spots[i].1)) r="9.5" {}
                    text class="num" x=(px(spots[i].0)) y=(px(spots[i].1 + 4.0)) { (edge.n) }
                    @for (x, y, line) in &labels[i] { text class="say" x=(px(*x)) y=(px(*y)) { (line) } }
                }
            }
        }
    }

    /// What the open ends mean.
    fn notes(&self, scene: &mut Scene) -> Markup {
        let mut notes = Vec::new();
        for (i, op) in self.ops.iter().enumerate() {
            let bar = self.plan.bars[i];
            if bar.end.is_some() {
                continue;
            }
            let text = unanswered(op, seen_to_happen(self.anomaly, op));
            let (at, w) = (scene.nodes[i].rect, wide(&text, 11.5));
            let above = |x: f64| Rect { x0: x, y0: at.y0 - 17.0, x1: x + w, y1: at.y0 - 2.0 };
            let below = |x: f64| Rect { x0: x, y0: at.y1 + 2.0, x1: x + w, y1: at.y1 + 17.0 };
            let starts: Vec<f64> =
                (0..12).map(|k| at.x1 - w - 4.0 - 50.0 * f64::from(k)).filter(|x| *x >= at.x0).collect();
            let places = starts.iter().map(|&x| above(x)).chain(starts.iter().map(|&x| below(x)));
            if let Some(free) = scene.settle(places.collect::<Vec<_>>()) {
                notes.push((free.x0, free.y1 - 3.5, text));
            }
        }
        html! { @for (x, y, text) in notes { text class="say u" x=(px(x)) y=(px(y)) { (text) } } }
    }

    fn strip(&self, y: f64) -> Markup {
        let subject = subject(self.anomaly, self.plan, noun(&self.anomaly.model));
        html! {
            text class="name" x="0" y=(px(y + 11.0)) { (cut(&subject, 14)) }
            text class="axis" x="0" y=(px(y + 25.0)) { "can be" }
            // What was before the first instant is said only where there is room to say it.
            @for cell in self.plan.cells.iter().filter(|c| c.from.is_some()) {
                @let from = self.x[cell.from.unwrap_or(0)];
                @let to = cell.to.map_or(self.end(), |c| self.x[c]);
                @let class = if cell.conflict { "x" } else if cell.text.contains(" or ") { "u" } else if cell.text == "?" { "f" } else { "k" };
                g class={ "state " (class) } {
                    title { (cell.text) }
                    rect x=(px(from + 0.75)) y=(px(y)) width=(px((to - from - 1.5).max(0.5))) height=(px(STRIP)) {}
                    text x=(px((from + to) / 2.0)) y=(px(y + 17.0)) { (fit(&cell.text, cell_size(cell), to - from - 8.0)) }
                }
            }
        }
    }
}

/// Where a label may be: at its number, else at the middle of a part of its line.
fn anchors(number: route::Point, line: &[route::Point]) -> Vec<route::Point> {
    let middle = |pair: &[route::Point]| ((pair[0].0 + pair[1].0) / 2.0, (pair[0].1 + pair[1].1) / 2.0);
    std::iter::once(number).chain(line.windows(2).map(middle)).collect()
}

/// Puts a label beside one of the anchors, in one line or in two. Where neither fits there is none: the list of reasons
/// says it.
fn say(scene: &mut Scene, anchors: &[route::Point], text: &str) -> Vec<(f64, f64, String)> {
    const LINE: f64 = 14.0;
    if text.is_empty() {
        return Vec::new();
    }
    let words: Vec<&str> = text.split(' ').collect();
    let halves = (1..words.len()).map(|i| vec![words[..i].join(" "), words[i..].join(" ")]);
    let length = |lines: &Vec<String>| lines.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    let best = halves.min_by_key(length);
    for lines in std::iter::once(vec![text.to_string()]).chain(best) {
        let w = lines.iter().map(|l| wide(l, 11.5)).fold(0.0, f64::max);
        let places = anchors.iter().flat_map(|&at| beside(at, w, LINE * lines.len() as f64));
        if let Some(place) = scene.settle(places.collect::<Vec<_>>()) {
            let y = |i: usize| place.y0 + LINE * i as f64 + 11.0;
            return lines.into_iter().enumerate().map(|(i, line)| (place.x0 + 1.0, y(i), line)).collect();
        }
    }
    Vec::new()
}

/// Places beside a number: right and left of it, level with it first.
fn beside((x, y): route::Point, w: f64, h: f64) -> Vec<Rect> {
    let mut places = Vec::new();
    for dy in [0.0, -9.0, 9.0, -16.0, 16.0, -24.0, 24.0] {
        for x0 in [x + 14.0, x - 14.0 - w] {
            places.push(Rect { x0, y0: y - h / 2.0 + dy, x1: x0 + w, y1: y + h / 2.0 + dy });
        }
    }
    // Else above or below it, and a little to the sides.
    for dx in [0.0, 24.0, -24.0, 48.0, -48.0] {
        for y0 in [y - 13.0 - h, y + 13.0] {
            places.push(Rect { x0: x + dx - w / 2.0, y0, x1: x + dx + w / 2.0, y1: y0 + h });
        }
    }
    places
}

/// As much of `text` as is sure to fit into `room` pixels.
fn fit(text: &str, size: f64, room: f64) -> String {
    let mut max = text.chars().count();
    while max > 1 && wide(&cut(text, max), size) > room {
        max -= 1;
    }
    if wide(&cut(text, max), size) > room { String::new() } else { cut(text, max) }
}

/// `answered ok`, `failed: did not happen`, `no reply within 1 s: may or may not have happened`.
pub fn outcome(anomaly: &Anomaly, op: &CoreOp) -> String {
    match op.outcome.as_str() {
        "ok" => "answered ok".to_string(),
        "fail" => "failed: did not happen".to_string(),
        _ => unanswered(op, seen_to_happen(anomaly, op)),
    }
}

/// Whether another operation of the core saw what only this one can have done.
pub fn seen_to_happen(anomaly: &Anomaly, op: &CoreOp) -> bool {
    anomaly.edges.iter().any(|edge| edge.why == Why::Read && edge.from == op.label)
}

fn unanswered(op: &CoreOp, happened: bool) -> String {
    let fate = if happened { "but it did happen" } else { "may or may not have happened" };
    let link = if happened { "," } else { ":" };
    let waited =
        op.ret_time.zip(op.invoke_time).map(|(ret, invoke)| ret.saturating_sub(invoke)).filter(|w| *w > 0);
    match waited {
        Some(waited) => format!("no reply within {}{link} {fate}", span(waited)),
        None => format!("no reply{link} {fate}"),
    }
}

/// How to call the object of a model that has no key.
fn noun(model: &str) -> &'static str {
    match model {
        "set" | "element-set" => "the set",
        "list-append" | "append-log" => "the list",
        "queue" | "delivery" | "priority-queue" => "the queue",
        "bag" => "the bag",
        "stack" => "the stack",
        "counter" | "fetch-add" => "the counter",
        "mutex" | "lock" => "the lock",
        "semaphore" => "the permits",
        "unique-ids" | "monotonic-ids" => "the generator",
        "watch" => "the store",
        _ => "the object",
    }
}

/// What stands under the picture.
pub fn caption(picture: &Picture) -> String {
    let mut stretched =
        "Time is stretched so that every operation can be read; the numbers are exact.".to_string();
    if picture.past {
        stretched.push_str(" “…”: whatever came before.");
    }
    if picture.several {
        stretched.push_str(" Yellow: it can be more than one.");
    }
    if picture.left_out == 0 {
        return stretched;
    }
    let verb = if picture.left_out == 1 { "is" } else { "are" };
    format!(
        "{stretched} {} more of the set {verb} not drawn, only listed.",
        crate::text::title(&number_word(picture.left_out))
    )
}

fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_string).unwrap_or(text)
}
