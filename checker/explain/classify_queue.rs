//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for what elements are put into and taken out of.

use super::classify::{Finding, acknowledged, never_put};
use super::facts::{Act, Due, Fact, Happened};
use super::scene::Scene;
use history::{Op, ValueId};

/// The first rule that applies.
pub(crate) fn queue(scene: &Scene<'_>) -> Option<Finding> {
    let all = sights(scene);
    let taken: Vec<Sight> = all.iter().copied().filter(|sight| sight.took).collect();
    never_put_in(scene, &all)
        .or_else(|| taken_twice(scene, &taken))
        .or_else(|| lost(scene, &all))
        .or_else(|| back_again(scene, &all))
        .or_else(|| out_of_turn(scene, &all))
        .or_else(|| falsely_empty(scene, &all))
}

/// An element that an operation of the core took, or saw.
#[derive(Clone, Copy)]
struct Sight {
    at: usize,
    key: ValueId,
    element: ValueId,
    took: bool,
}

/// What the core took and saw; not that it found nothing.
fn sights(scene: &Scene<'_>) -> Vec<Sight> {
    let sight = |(at, fact): (usize, Fact)| {
        let (element, took) = match fact.act {
            Act::Saw(element) => (element, true),
            Act::Looked(element) => (element, false),
            _ => return None,
        };
        let answered = fact.happened == Happened::Yes && element != ValueId::NULL;
        answered.then_some(Sight { at, key: fact.key, element, took })
    };
    scene.core_facts().filter_map(sight).collect()
}

fn op<'a>(scene: &Scene<'a>, fact: &Fact) -> &'a Op {
    &scene.history.ops[fact.op as usize]
}

/// How often the object held `element` before everything.
fn at_first(scene: &Scene<'_>, key: ValueId, element: ValueId) -> usize {
    let held = scene.initial_value(key).as_list();
    held.map_or(0, |held| held.iter().filter(|v| *v == scene.history.values.get(element)).count())
}

fn never_put_in(scene: &Scene<'_>, sights: &[Sight]) -> Option<Finding> {
    sights.iter().filter(|s| at_first(scene, s.key, s.element) == 0).find_map(|s| {
        let mut finding = never_put(scene, s.at, s.key, s.element)?;
        if matches!(finding.kind, "phantom-value" | "read-of-failed-write") {
            finding.kind = "phantom-message";
        }
        Some(finding)
    })
}

fn taken_twice(scene: &Scene<'_>, taken: &[Sight]) -> Option<Finding> {
    if scene.reading.again() {
        return None;
    }
    taken.iter().enumerate().find_map(|(i, first)| {
        let times =
            scene.writers(first.key, first.element).count() + at_first(scene, first.key, first.element);
        let second = taken[i + 1..].iter().find(|s| s.key == first.key && s.element == first.element)?;
        (times <= 1).then(|| Finding::new("duplicate-delivery", second.at, Some(first.at)))
    })
}

/// The one operation of the history that put the element there, if it was not there at first.
fn only_put<'a>(scene: &Scene<'a>, key: ValueId, element: ValueId) -> Option<&'a Op> {
    let mut writers = scene.writers(key, element);
    match (writers.next(), writers.next()) {
        (Some(only), None) if at_first(scene, key, element) == 0 => Some(op(scene, only)),
        _ => None,
    }
}

/// An acknowledged element of the core that was put in once.
#[derive(Clone, Copy)]
struct Single {
    put: usize,
    key: ValueId,
    element: ValueId,
}

fn singles(scene: &Scene<'_>) -> Vec<Single> {
    acknowledged(scene)
        .filter(|(_, fact, element)| only_put(scene, fact.key, *element).is_some())
        .map(|(put, fact, element)| Single { put, key: fact.key, element })
        .collect()
}

/// Everyone in the history who took the element.
fn takers<'a>(scene: &'a Scene<'_>, of: Single) -> impl Iterator<Item = &'a Op> + 'a {
    scene
        .facts
        .iter()
        .filter(move |f| f.key == of.key && f.act == Act::Saw(of.element) && f.happened == Happened::Yes)
        .map(|f| &scene.history.ops[f.op as usize])
}

/// Whether `of` was surely in before the operation at `at`, and nobody who took it did so before.
fn in_at(scene: &Scene<'_>, of: Single, at: usize) -> bool {
    scene.base.before(scene.op(of.put), scene.op(at))
        && takers(scene, of).all(|t| scene.base.before(scene.op(at), t))
}

/// Whether `of` is given out before `other`, wherever both are in.
fn due_before(scene: &Scene<'_>, of: Single, other: Sight) -> bool {
    let number = |id| scene.history.values.get(id).as_int();
    let put = only_put(scene, other.key, other.element);
    match scene.reading.due() {
        Due::First => put.is_some_and(|put| scene.base.before(scene.op(of.put), put)),
        Due::Last => put.is_some_and(|put| scene.base.before(put, scene.op(of.put))),
        Due::Smallest => number(of.element).zip(number(other.element)).is_some_and(|(a, b)| a < b),
        Due::Any => false,
    }
}

/// The operation of the core that shows that `of` is not there though it was in and not taken: it found nothing, or all
/// but that, or it took what comes later.
fn passed_over(scene: &Scene<'_>, of: Single, sights: &[Sight]) -> Option<usize> {
    let later = sights.iter().find(|s| {
        // Where the first comes first, whoever put the later one in did so when this one was there.
        let there = scene.reading.due() == Due::First || scene.base.before(scene.op(of.put), scene.op(s.at));
        s.key == of.key && s.element != of.element && there && due_before(scene, of, **s)
    });
    later
        .map(|s| s.at)
        .or_else(|| nothing(scene, of).find(|&at| scene.base.before(scene.op(of.put), scene.op(at))))
}

/// The operations of the core that say that `of` is not there.
fn nothing<'a>(scene: &'a Scene<'_>, of: Single) -> impl Iterator<Item = usize> + 'a {
    let says = move |(at, f): (usize, Fact)| {
        let without = match f.act {
            Act::Saw(ValueId::NULL) | Act::Looked(ValueId::NULL) => true,
            Act::Drained(list) => {
                let list = scene.history.values.get(list).as_list().unwrap_or_default();
                !list.contains(scene.history.values.get(of.element))
            }
            _ => false,
        };
        (f.key == of.key && f.happened == Happened::Yes && without).then_some(at)
    };
    scene.core_facts().filter_map(says)
}

/// An acknowledged element that nobody took and nobody who was never answered can have taken, and that was passed over.
fn lost(scene: &Scene<'_>, sights: &[Sight]) -> Option<Finding> {
    singles(scene).into_iter().find_map(|of| {
        let unheard = |f: &&Fact| f.key == of.key && f.act == Act::Changed && f.happened == Happened::Maybe;
        if takers(scene, of).next().is_some() || scene.facts.iter().any(|f| unheard(&f)) {
            return None;
        }
        Some(Finding::new("lost-message", of.put, Some(passed_over(scene, of, sights)?)))
    })
}

/// An element that was seen after it had been taken.
fn back_again(scene: &Scene<'_>, sights: &[Sight]) -> Option<Finding> {
    sights.iter().filter(|s| !s.took).find_map(|seen| {
        only_put(scene, seen.key, seen.element)?;
        let before = sights.iter().find(|s| {
            s.took
                && s.key == seen.key
                && s.element == seen.element
                && scene.base.before(scene.op(s.at), scene.op(seen.at))
        })?;
        Some(Finding::new("set-resurrected", seen.at, Some(before.at)))
    })
}

/// An element was given out although another was due.
fn out_of_turn(scene: &Scene<'_>, sights: &[Sight]) -> Option<Finding> {
    let singles = singles(scene);
    sights.iter().find_map(|s| {
        let before = |of: &&Single| {
            let due = of.key == s.key && of.element != s.element && due_before(scene, **of, *s);
            let mut takers = takers(scene, **of);
            match scene.reading.due() {
                Due::First => due && takers.all(|t| scene.base.before(scene.op(s.at), t)),
                Due::Last | Due::Smallest | Due::Any => due && in_at(scene, **of, s.at),
            }
        };
        let of = singles.iter().find(before)?;
        let (due, came) = (scene.value(of.element), scene.value(s.element));
        let later = takers(scene, *of).next().map_or(String::new(), |taker| {
            let who = super::scene::client(scene.history, taker);
            format!(" {} took {due} only {}.", super::story::capital(&who), super::story::when(taker, false))
        });
        let (kind, rule) = match scene.reading.due() {
            Due::First => {
                ("reordered-message", format!("{due} had been put in before {came} and was still there."))
            }
            Due::Last => (
                "out-of-turn",
                format!("{due} had been put in after {came}, and what was put in last comes out first."),
            ),
            Due::Smallest | Due::Any => {
                ("out-of-turn", format!("{due} is smaller than {came}, and the smallest comes out first."))
            }
        };
        Some(Finding::new(kind, s.at, Some(of.put)).with(format!("{rule}{later}")))
    })
}

/// Nothing was found although an element was in that somebody took later.
fn falsely_empty(scene: &Scene<'_>, _: &[Sight]) -> Option<Finding> {
    singles(scene).into_iter().find_map(|of| {
        let at = nothing(scene, of).find(|&at| in_at(scene, of, at))?;
        let detail = takers(scene, of).next().map_or(String::new(), |taker| {
            let who = super::scene::client(scene.history, taker);
            format!("It was there: {who} took it {}.", super::story::when(taker, false))
        });
        Some(Finding::new("false-empty", at, Some(of.put)).with(detail))
    })
}
