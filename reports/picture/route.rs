//! Finds ways for the arrows of a core: right angles only, around the texts, away from each other.
//!
//! ```text
//!   [ A write 41 ]──╮                          time forward: out on the right, in on the left
//!                   ╰──▶[ B write 42 ▒▒▒▒▒▒▒
//!                                ▲
//!                                │             overlapping or backward: straight up or down where both are
//!                           [ D read 41 ]
//! ```
//! There are few arrows and a page is drawn once, so every candidate is tried and the cheapest one wins.

/// A point of the picture.
pub type Point = (f64, f64);

/// A part of the picture that is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    pub x0: f64,
    pub y0: f64,
    pub x1: f64,
    pub y1: f64,
}

impl Rect {
    /// Whether two parts overlap, touching not counted.
    pub fn hits(&self, other: &Rect) -> bool {
        self.x0 < other.x1 && other.x0 < self.x1 && self.y0 < other.y1 && other.y0 < self.y1
    }

    /// The same, `by` larger on every side.
    pub fn grown(&self, by: f64) -> Rect {
        Rect { x0: self.x0 - by, y0: self.y0 - by, x1: self.x1 + by, y1: self.y1 + by }
    }

    /// Whether it lies inside `outer` entirely.
    pub fn inside(&self, outer: &Rect) -> bool {
        self.x0 >= outer.x0 && self.y0 >= outer.y0 && self.x1 <= outer.x1 && self.y1 <= outer.y1
    }
}

/// An operation's box.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// Where it is.
    pub rect: Rect,
    /// Its row.
    pub row: usize,
    /// Whether its right edge is a return; a call that was never answered has none.
    pub ends: bool,
}

/// What is in the picture so far.
#[derive(Clone, Debug)]
pub struct Scene {
    /// How much room there is between the boxes of two rows.
    pub gap: f64,
    /// The part in which arrows and labels may be.
    pub bounds: Rect,
    /// The operations.
    pub nodes: Vec<Node>,
    /// Texts inside the boxes.
    pub texts: Vec<Rect>,
    /// Arrows.
    pub routes: Vec<Vec<Point>>,
    /// The numbers on the arrows.
    pub spots: Vec<Rect>,
    /// Labels beside them.
    pub labels: Vec<Rect>,
}

/// Half the distance that arrows side by side would rather keep, so that their numbers do not cover each other.
const APART: f64 = 12.0;

/// How far above its boxes an arrow between two operations of one row may run.
const ABOVE: [f64; 3] = [24.0, 30.0, 16.0];

impl Scene {
    /// The cheapest way for an arrow from one operation to another, which becomes part of the scene.
    /// O(candidates · things in the scene); at most a few hundred candidates.
    pub fn route(&mut self, from: usize, to: usize) -> Vec<Point> {
        let mut best: Option<(f64, Vec<Point>)> = None;
        for (extra, points) in self.candidates(from, to) {
            let cost = extra + self.cost(&points, from, to);
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, points));
            }
        }
        let points = best.map(|(_, points)| points).unwrap_or_default();
        self.routes.push(points.clone());
        points
    }

    fn candidates(&self, from: usize, to: usize) -> Vec<(f64, Vec<Point>)> {
        let (f, t) = (&self.nodes[from], &self.nodes[to]);
        let mut out = Vec::new();
        let middle = |n: &Node| (n.rect.y0 + n.rect.y1) / 2.0;
        if f.ends && f.rect.x1 + 18.0 <= t.rect.x0 {
            for shift in [0.0, -7.0, 7.0] {
                let (yf, yt) = (middle(f) + shift, middle(t) + shift);
                if f.row == t.row {
                    out.push((shift.abs(), vec![(f.rect.x1, yf), (t.rect.x0, yt)]));
                    continue;
                }
                let (least, most) = (f.rect.x1 + 5.0, t.rect.x0 - 11.0);
                for x in steps(least, most.max(least), 6.0) {
                    let off = (x - (least + most) / 2.0).abs() * 0.05;
                    out.push((off + shift.abs(), vec![(f.rect.x1, yf), (x, yf), (x, yt), (t.rect.x0, yt)]));
                }
            }
        }
        let across = if out.is_empty() { 0.0 } else { 15.0 };
        for (extra, points) in upright(f, t, self.gap) {
            out.push((extra + across, points));
        }
        out
    }

    fn cost(&self, points: &[Point], from: usize, to: usize) -> f64 {
        let mut cost = 3.0 * points.len() as f64;
        for pair in points.windows(2) {
            let segment = segment(pair[0], pair[1]);
            cost += 0.02 * ((segment.x1 - segment.x0) + (segment.y1 - segment.y0));
            let thick = segment.grown(3.0);
            if !segment.inside(&self.bounds) {
                cost += 1000.0;
            }
            cost += 200.0 * self.texts.iter().filter(|t| thick.hits(t)).count() as f64;
            for (i, node) in self.nodes.iter().enumerate() {
                if i != from && i != to && thick.hits(&node.rect) {
                    cost += if node.ends { 60.0 } else { 25.0 };
                }
            }
            for other in self.routes.iter().flat_map(|r| r.windows(2)) {
                let other = self::segment(other[0], other[1]);
                let same_way = (segment.x1 - segment.x0 < 0.5) == (other.x1 - other.x0 < 0.5);
                if same_way && segment.grown(4.0).hits(&other.grown(3.5)) {
                    cost += 80.0;
                } else if same_way && segment.grown(APART).hits(&other.grown(APART)) {
                    cost += 6.0;
                } else if !same_way && segment.grown(0.5).hits(&other) {
                    cost += 12.0;
                }
            }
        }
        cost
    }

    /// Where on a way its number stands: near the middle, off boxes, texts and other arrows.
    pub fn spot(&mut self, route: usize) -> Point {
        const RADIUS: f64 = 10.0;
        let points = self.routes[route].clone();
        let mut best: Option<(f64, Point)> = None;
        for fraction in [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74, 0.18, 0.8] {
            let (x, y) = along(&points, fraction);
            let disc = Rect { x0: x - RADIUS, y0: y - RADIUS, x1: x + RADIUS, y1: y + RADIUS };
            let mut cost = (fraction - 0.5_f64).abs() * 10.0;
            cost += 50.0 * self.nodes.iter().filter(|n| n.rect.hits(&disc)).count() as f64;
            cost += 200.0 * self.texts.iter().filter(|t| t.hits(&disc)).count() as f64;
            cost += 300.0 * self.spots.iter().filter(|s| s.hits(&disc)).count() as f64;
            for (i, other) in self.routes.iter().enumerate() {
                if i != route {
                    let touched = other.windows(2).filter(|p| segment(p[0], p[1]).grown(1.0).hits(&disc));
                    cost += 30.0 * touched.count() as f64;
                }
            }
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, (x, y)));
            }
        }
        let (x, y) = best.map_or((0.0, 0.0), |(_, p)| p);
        self.spots.push(Rect { x0: x - RADIUS, y0: y - RADIUS, x1: x + RADIUS, y1: y + RADIUS });
        (x, y)
    }

    /// The first of `places` where nothing else is, which is then taken.
    pub fn settle(&mut self, places: impl IntoIterator<Item = Rect>) -> Option<Rect> {
        let free = |place: &Rect| {
            place.inside(&self.bounds)
                && !self.nodes.iter().any(|n| n.rect.grown(1.0).hits(place))
                && !self.spots.iter().any(|s| s.hits(place))
                && !self.labels.iter().any(|l| l.grown(3.0).hits(place))
                && !self
                    .routes
                    .iter()
                    .flat_map(|r| r.windows(2))
                    .any(|p| segment(p[0], p[1]).grown(3.0).hits(place))
        };
        let found = places.into_iter().find(free)?;
        self.labels.push(found);
        Some(found)
    }
}

/// Ways that leave and enter a box through its top or bottom.
fn upright(f: &Node, t: &Node, gap: f64) -> Vec<(f64, Vec<Point>)> {
    let mut out = Vec::new();
    let inner = |n: &Node| (n.rect.x0 + 8.0, (n.rect.x1 - 8.0).max(n.rect.x0 + 8.0));
    let (f0, f1) = inner(f);
    let (t0, t1) = inner(t);
    if f.row == t.row {
        // Over the top of both.
        let y = f.rect.y0;
        for above in ABOVE {
            for xf in steps(f0, f1, ((f1 - f0) / 5.0).max(6.0)) {
                for xt in steps(t0, t1, ((t1 - t0) / 5.0).max(6.0)) {
                    out.push((above, vec![(xf, y), (xf, y - above), (xt, y - above), (xt, y)]));
                }
            }
        }
        return out;
    }
    let down = t.row > f.row;
    let (yf, yt) = if down { (f.rect.y1, t.rect.y0) } else { (f.rect.y0, t.rect.y1) };
    let (least, most) = (f0.max(t0), f1.min(t1));
    if least <= most {
        let middle = (least + most) / 2.0;
        for x in steps(least, most, 6.0) {
            out.push(((x - middle).abs() * 0.05, vec![(x, yf), (x, yt)]));
        }
    }
    // Three lanes between rows; the same three, whichever side they are counted from.
    for gap in [0.5 * gap, 0.27 * gap, 0.73 * gap] {
        let (near_t, near_f) = if down { (yt - gap, yf + gap) } else { (yt + gap, yf - gap) };
        for y in [near_t, near_f] {
            for xf in steps(f0, f1, ((f1 - f0) / 5.0).max(6.0)) {
                for xt in steps(t0, t1, ((t1 - t0) / 5.0).max(6.0)) {
                    out.push((5.0, vec![(xf, yf), (xf, y), (xt, y), (xt, yt)]));
                }
            }
        }
    }
    out
}

fn steps(least: f64, most: f64, step: f64) -> impl Iterator<Item = f64> {
    let n = ((most - least) / step).floor().clamp(0.0, 200.0) as usize;
    (0..=n).map(move |i| least + i as f64 * step).chain(std::iter::once((least + most) / 2.0))
}

/// The thin rectangle between two points.
pub fn segment(a: Point, b: Point) -> Rect {
    Rect { x0: a.0.min(b.0), y0: a.1.min(b.1), x1: a.0.max(b.0), y1: a.1.max(b.1) }
}

fn along(points: &[Point], fraction: f64) -> Point {
    let length = |p: &[Point]| (p[1].0 - p[0].0).abs() + (p[1].1 - p[0].1).abs();
    let mut left = fraction * points.windows(2).map(length).sum::<f64>();
    for pair in points.windows(2) {
        let here = length(pair);
        if left <= here && here > 0.0 {
            let share = left / here;
            return (
                pair[0].0 + share * (pair[1].0 - pair[0].0),
                pair[0].1 + share * (pair[1].1 - pair[0].1),
            );
        }
        left -= here;
    }
    points.last().copied().unwrap_or((0.0, 0.0))
}

/// The way as an SVG path with rounded corners.
pub fn path(points: &[Point]) -> String {
    let Some(first) = points.first() else { return String::new() };
    let mut out = format!("M{:.1} {:.1}", first.0, first.1);
    for i in 1..points.len() {
        let (x, y) = points[i];
        let Some(&next) = points.get(i + 1) else {
            out.push_str(&format!("L{x:.1} {y:.1}"));
            break;
        };
        let before = points[i - 1];
        let room = |p: Point| ((p.0 - x).abs() + (p.1 - y).abs()) / 2.0;
        let radius = 8.0_f64.min(room(before)).min(room(next));
        let toward = |p: Point| {
            let length = ((p.0 - x).abs() + (p.1 - y).abs()).max(1e-9);
            (x + (p.0 - x) / length * radius, y + (p.1 - y) / length * radius)
        };
        let (a, b) = (toward(before), toward(next));
        out.push_str(&format!("L{:.1} {:.1}Q{x:.1} {y:.1} {:.1} {:.1}", a.0, a.1, b.0, b.1));
    }
    out
}
