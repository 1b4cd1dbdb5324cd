//! Reasons for registers: who wrote what was read, and what that says about the other writes.
//!
//! ```text
//!   read            W wrote v, nobody else ever did, R saw v                       W before R
//!   initial         R saw the initial value, nobody ever wrote it, X writes        R before X
//!   overwritten     R saw W's value, and W comes before X, which writes another    R before X
//!   overwritten     R saw W's value, and X comes before R                          X before W
//! ```
//! The last two are repeated until nothing new follows (saturation: Zennou, Bouajjani, Enea, Erradi 2019).

use super::facts::{Act, Fact, Happened};
use super::graph::{Circle, Graph};
use super::scene::Scene;
use super::world::Base;
use history::results::Why;
use history::{Outcome, ValueId};

/// Cores up to this size are searched for a circle.
const NODES_MAX: usize = 40;

/// What was read of a key by an operation of the core, with the operation of the core that alone wrote it (none: the
/// initial value).
pub(crate) struct Sight {
    pub(crate) reader: usize,
    pub(crate) key: ValueId,
    pub(crate) value: ValueId,
    pub(crate) writer: Option<usize>,
}

/// A put of the core.
#[derive(Clone, Copy)]
pub(crate) struct Write {
    pub(crate) writer: usize,
    pub(crate) key: ValueId,
    pub(crate) value: ValueId,
}

/// The reasons of a register core, and a circle if they run in one.
pub(crate) fn register(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    let mut graph = base(scene);
    if scene.core.len() > NODES_MAX || scene.facts.iter().any(|f| f.act == Act::Changed) {
        return (graph, None);
    }
    super::reasons::numbered(scene, &mut graph);
    let sights = sights(scene);
    let writes = writes(scene, &sights);
    for sight in &sights {
        let Some(writer) = sight.writer else { continue };
        let (r, w) = (scene.label(sight.reader), scene.label(writer));
        let v = scene.held(sight.key, sight.value);
        let mut text = format!("{r} {} {v}, and only {w} ever wrote {v}", scene.saw(sight.reader));
        if scene.op(writer).outcome == Outcome::Info {
            text.push_str(&format!(" (so {w} did happen)"));
        }
        graph.add(writer, sight.reader, Why::Read, Vec::new(), text);
    }
    for sight in sights.iter().filter(|s| s.writer.is_none()) {
        for write in writes.iter().filter(|w| w.key == sight.key && w.writer != sight.reader) {
            let (r, x) = (scene.label(sight.reader), scene.label(write.writer));
            let text = format!(
                "{r} {} {}, as it was before any write, and {x} replaces it",
                scene.saw(sight.reader),
                scene.held(sight.key, sight.value)
            );
            graph.add(sight.reader, write.writer, Why::Initial, Vec::new(), text);
        }
    }
    let circle = saturate(&mut graph, scene, |graph| overwritten(graph, scene, &sights, &writes));
    (graph, circle)
}

/// Applies `rule` until it finds nothing more or the reasons run in a circle.
pub(crate) fn saturate(
    graph: &mut Graph,
    scene: &Scene<'_>,
    rule: impl Fn(&mut Graph) -> bool,
) -> Option<Circle> {
    loop {
        if let Some(circle) = graph.circle(&scene.invoke) {
            return Some(circle);
        }
        if !rule(graph) {
            return None;
        }
    }
}

/// Real time or program order between the operations of the core.
pub(crate) fn base(scene: &Scene<'_>) -> Graph {
    let mut graph = Graph::new(scene.core.len());
    for a in 0..scene.core.len() {
        for b in 0..scene.core.len() {
            if a != b && scene.definite(a) && scene.definite(b) && scene.base.before(scene.op(a), scene.op(b))
            {
                graph.add(a, b, super::graph::why(scene.base), Vec::new(), base_text(scene, a, b));
            }
        }
    }
    graph
}

fn base_text(scene: &Scene<'_>, a: usize, b: usize) -> String {
    let (first, second) = (scene.label(a), scene.label(b));
    match scene.base {
        Base::Program => format!("{} sent {first} before {second}", scene.client(a)),
        Base::RealTime => match scene.gap(a, b) {
            Some(gap) => format!("{first} returned {} before {second} was sent", super::words::duration(gap)),
            None => format!(
                "{first} returned (line {}) before {second} was sent (line {})",
                scene.op(a).ret_line,
                scene.op(b).invoke_line
            ),
        },
    }
}

/// What the core saw and can name the writer of. Values that were written twice, or written although they are the
/// initial one, name nobody.
pub(crate) fn sights(scene: &Scene<'_>) -> Vec<Sight> {
    let mut sights = Vec::new();
    for (reader, fact) in scene.core_facts() {
        let Act::Saw(value) = fact.act else { continue };
        // What an unanswered cas compared with counts only if it happened.
        if !scene.definite(reader) {
            continue;
        }
        let mut writers = scene.writers(fact.key, value);
        let (first, second) = (writers.next(), writers.next());
        let initial = scene.initial(fact.key) == Some(value);
        match (first, second) {
            (None, _) if initial => sights.push(Sight { reader, key: fact.key, value, writer: None }),
            (Some(only), None) if !initial => {
                if let Some(writer) = scene.position(only.op) {
                    if writer != reader {
                        sights.push(Sight { reader, key: fact.key, value, writer: Some(writer) });
                    }
                }
            }
            _ => {}
        }
    }
    sights
}

/// The puts of the core that surely took place.
fn writes(scene: &Scene<'_>, sights: &[Sight]) -> Vec<Write> {
    let seen = |writer| sights.iter().any(|s| s.writer == Some(writer));
    scene
        .core_facts()
        .filter_map(|(writer, fact)| match fact {
            Fact { act: Act::Put(value), happened: Happened::Yes, key, .. } => {
                Some(Write { writer, key, value })
            }
            Fact { act: Act::Put(value), happened: Happened::Maybe, key, .. } if seen(writer) => {
                Some(Write { writer, key, value })
            }
            _ => None,
        })
        .collect()
}

/// One round of the two rules of overwriting. Says whether anything was new.
fn overwritten(graph: &mut Graph, scene: &Scene<'_>, sights: &[Sight], writes: &[Write]) -> bool {
    let mut found: Vec<(usize, usize, Vec<usize>, String)> = Vec::new();
    for sight in sights {
        let Some(w) = sight.writer else { continue };
        let (r, v) = (sight.reader, scene.held(sight.key, sight.value));
        for &Write { writer: x, key, value } in writes {
            if key != sight.key || x == w || x == r {
                continue;
            }
            let (rl, wl, xl) = (scene.label(r), scene.label(w), scene.label(x));
            let only = format!("{rl} {} {v}, only {wl} ever wrote {v}", scene.saw(r));
            if let Some(path) = graph.path(w, x) {
                found.push((r, x, path, format!("{only}, and {xl} comes after {wl} ({{}}) and replaces it")));
            }
            if let Some(path) = graph.path(x, r) {
                let text = format!(
                    "{only}, and {xl} comes before {rl} ({{}}): so {wl} must have replaced {}",
                    scene.held(key, value)
                );
                found.push((x, w, path, text));
            }
        }
    }
    // Short derivations first, so that the reason kept for a pair is the simplest.
    found.sort_by_key(|(_, _, path, _)| path.len());
    found
        .into_iter()
        .fold(false, |new, (from, to, uses, text)| graph.add(from, to, Why::Overwritten, uses, text) || new)
}
