//! Which kind of anomaly a core of transactions over several registers is: what one sees of another, all of it or a part.
//!
//! ```text
//!   read-skew       T ──saw──▶ R ──missed──▶ T       one write of T, but not its other     (G-single)
//!   write-skew      R ──missed──▶ S ──missed──▶ R    each replaces what the other read     (G2-item)
//!   circular-flow   R ──saw──▶ S ──saw──▶ R          each saw what the other wrote         (G1c)
//! ```
//! Names in brackets are those of Adya, Liskov, O'Neil 2000. Circles in which real time or the order of a client takes part
//! are none of these: they are told like those of single operations.

use super::classify::{Finding, missed};
use super::edges::sights;
use super::facts::{Act, Happened};
use super::graph::{Circle, Graph};
use super::scene::Scene;
use crate::spec::ModelName;
use history::ValueId;
use history::results::Why;

/// intermediate-read: a value that everyone who wrote it replaced in the same transaction.
pub(super) fn passed(scene: &Scene<'_>) -> Option<Finding> {
    scene.core_facts().find_map(|(at, fact)| {
        let Act::Saw(value) = fact.act else { return None };
        if fact.happened != Happened::Yes || scene.initial(fact.key) == Some(value) {
            return None;
        }
        let mut writers = scene.writers(fact.key, value).peekable();
        let first = scene.position(writers.peek()?.op);
        let passed = writers.all(|writer| matches!(writer.act, Act::Passed(_)));
        passed.then(|| Finding::new("intermediate-read", at, first))
    })
}

/// interleaved-writes: one read has one key from one transaction and another key from another, and both wrote both.
pub(super) fn interleaved(scene: &Scene<'_>) -> Option<Finding> {
    if scene.reading.model != ModelName::MultiRegister {
        return None;
    }
    let sights = sights(scene);
    let wrote = |at: usize, key: ValueId| {
        scene.core_facts().any(|(put, f)| put == at && f.key == key && matches!(f.act, Act::Put(_)))
    };
    for one in &sights {
        for other in sights.iter().filter(|s| s.reader == one.reader && s.key != one.key) {
            let (Some(a), Some(b)) = (one.writer, other.writer) else { continue };
            let both = |key| wrote(a, key) && wrote(b, key);
            let unordered =
                !scene.base.before(scene.op(a), scene.op(b)) && !scene.base.before(scene.op(b), scene.op(a));
            if a != b && unordered && both(one.key) && both(other.key) {
                let detail = format!(
                    "{} comes from {} ({}) and {} from {} ({}), and each of these wrote both.",
                    scene.held(one.key, one.value),
                    scene.client(a),
                    scene.label(a),
                    scene.held(other.key, other.value),
                    scene.client(b),
                    scene.label(b)
                );
                return Some(Finding::new("interleaved-writes", one.reader, Some(a)).with(detail));
            }
        }
    }
    None
}

/// read-skew, write-skew, circular-flow: by what was seen and what was missed around the circle.
pub(super) fn around(scene: &Scene<'_>, graph: &Graph, circle: Option<&Circle>) -> Option<Finding> {
    if scene.reading.model != ModelName::MultiRegister {
        return None;
    }
    let reasons: Vec<_> = circle?.around.iter().map(|&at| &graph.reasons[at]).collect();
    if reasons.iter().any(|reason| matches!(reason.why, Why::RealTime | Why::SameClient)) {
        return None;
    }
    let all = missed(scene, graph);
    let missing: Vec<_> = reasons
        .iter()
        .filter(|reason| all.iter().any(|(reader, writer, _)| (*reader, *writer) == (reason.from, reason.to)))
        .collect();
    match missing[..] {
        [] if reasons.iter().all(|reason| reason.why == Why::Read) => {
            let last = reasons.last()?;
            Some(Finding::new("circular-flow", last.to, Some(last.from)))
        }
        [one] if reasons.iter().all(|reason| reason.why == Why::Read || std::ptr::eq(*reason, *one)) => {
            Some(Finding::new("read-skew", one.from, Some(one.to)))
        }
        [one, other] if reasons.len() == 2 => {
            let puts =
                |at: usize| scene.core_facts().any(|(put, f)| put == at && matches!(f.act, Act::Put(_)));
            let (first, second) = (one.from.min(other.from), one.from.max(other.from));
            (puts(first) && puts(second)).then(|| Finding::new("write-skew", second, Some(first)))
        }
        _ => None,
    }
}
