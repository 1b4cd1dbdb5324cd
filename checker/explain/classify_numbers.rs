//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for numbers that are handed out: ids, versions, lengths.

use super::classify::Finding;
use super::facts::{Act, Fact, Happened, Made};
use super::scene::Scene;
use crate::spec::ModelName;
use history::Value;

/// The numbers that the core was told.
fn numbers<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, Fact, i64, Made)> + 'a {
    scene.core_facts().filter_map(|(at, fact)| match fact.act {
        Act::Number(n, made) if fact.happened == Happened::Yes => Some((at, fact, n, made)),
        _ => None,
    })
}

/// Two operations were told that they had made the same number.
pub(crate) fn twice(scene: &Scene<'_>) -> Option<Finding> {
    let made: Vec<_> = numbers(scene).filter(|number| number.3 == Made::Here).collect();
    made.iter().enumerate().find_map(|(i, first)| {
        let second = made[i + 1..].iter().find(|b| (b.1.key, b.2) == (first.1.key, first.2))?;
        Some(Finding::new("duplicate-id", second.0, Some(first.0)))
    })
}

/// A later operation was told a number that it should have been past.
pub(crate) fn backwards(scene: &Scene<'_>) -> Option<Finding> {
    if !scene.reading.grows() {
        return None;
    }
    let all: Vec<_> = numbers(scene).collect();
    let pairs = all.iter().flat_map(|early| all.iter().map(move |late| (early, late)));
    let mut back = pairs.filter(|(e, l)| {
        let past = if l.3 == Made::Here { e.2 >= l.2 } else { e.2 > l.2 };
        e.0 != l.0 && e.1.key == l.1.key && past && scene.base.before(scene.op(e.0), scene.op(l.0))
    });
    let (early, late) = back.next()?;
    let same = scene.op(early.0).session == scene.op(late.0).session;
    let kind = match (late.3, early.3) {
        (Made::Here, _) => "id-went-back",
        (Made::Before, Made::Here) if same => "not-read-your-writes",
        (Made::Before, Made::Here) => "stale-read",
        (Made::Before, Made::Before) if same => "non-monotonic",
        (Made::Before, Made::Before) => "inversion",
    };
    Some(Finding::new(kind, late.0, Some(early.0)))
}

/// A number was made that leaves a gap: fewer others can have been made before it than it counts.
pub(crate) fn skipped(scene: &Scene<'_>) -> Option<Finding> {
    let first = match scene.reading.model {
        ModelName::VersionedRegister => {
            |initial: &Value| initial.as_list().and_then(|pair| pair.first()?.as_int()).unwrap_or(0)
        }
        ModelName::AppendLog => |initial: &Value| initial.as_list().map_or(0, <[Value]>::len) as i64,
        _ => return None,
    };
    numbers(scene).filter(|number| number.3 == Made::Here).find_map(|(at, fact, n, _)| {
        let mut others: Vec<u32> = scene
            .facts
            .iter()
            .filter(|f| f.key == fact.key && matches!(f.act, Act::Put(_)) && f.happened != Happened::No)
            .filter(|f| {
                let other = &scene.history.ops[f.op as usize];
                f.op != fact.op && !scene.base.before(scene.op(at), other)
            })
            .map(|f| f.op)
            .collect();
        others.dedup();
        let most = others.len() as i64 + first(scene.initial_value(fact.key)) + 1;
        let detail = match scene.reading.model {
            ModelName::AppendLog => {
                format!("With all that can have come before it, its offset could be {} at most, and offsets leave no gaps.", most - 1)
            }
            _ => format!(
                "With all that can have come before it, it could be the {} of its key at most.",
                ordinal(most)
            ),
        };
        (n > most).then(|| Finding::new("skipped-id", at, None).with(detail))
    })
}

/// `1st`, `22nd`.
fn ordinal(n: i64) -> String {
    let ending = match (n % 10, n % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}

/// Ids.
pub(crate) fn ids(scene: &Scene<'_>) -> Option<Finding> {
    twice(scene).or_else(|| backwards(scene)).or_else(|| {
        // One alone: it is not larger than what was there at first.
        let last = scene.initial_value(history::ValueId::NULL).as_int()?;
        let (at, ..) = numbers(scene).find(|number| scene.reading.grows() && number.2 <= last)?;
        Some(Finding::new("id-went-back", at, None).with(format!("{last} had been given before everything.")))
    })
}
