//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for sets, and for lists that are appended to.

use super::classify::{Finding, acknowledged, never_put};
use super::facts::{Act, Fact, Happened, Made};
use super::scene::Scene;
use crate::spec::ModelName;
use history::{NEVER, Op, Value, ValueId};

fn op<'a>(scene: &Scene<'a>, fact: &Fact) -> &'a Op {
    &scene.history.ops[fact.op as usize]
}

/// Answers of the core that tell what is in, or that something is not.
fn sights<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, Fact)> + 'a {
    scene.core_facts().filter(|(_, f)| tells(f))
}

fn tells(fact: &Fact) -> bool {
    matches!(fact.act, Act::Saw(_) | Act::Told(..) | Act::At(..)) && fact.happened == Happened::Yes
}

/// Whether `element` was there for who saw this; `None` if that says nothing about it.
pub(crate) fn holds(scene: &Scene<'_>, sight: &Fact, element: ValueId) -> Option<bool> {
    match sight.act {
        Act::Saw(members) => {
            let element = scene.history.values.get(element);
            Some(scene.history.values.get(members).as_list().is_some_and(|m| m.contains(element)))
        }
        Act::Told(told, is_in) => (told == element).then_some(is_in),
        Act::At(_, seen) if seen == element => Some(true),
        Act::At(at, seen) => {
            let given = offset(scene, sight.key, element)?;
            let absent = given == at || (seen == ValueId::NULL && given > at);
            absent.then_some(false)
        }
        _ => None,
    }
}

/// Where an append was told to have put `element`, if one was.
fn offset(scene: &Scene<'_>, key: ValueId, element: ValueId) -> Option<i64> {
    let put = scene.facts.iter().find(|f| f.key == key && f.act == Act::Put(element))?;
    scene.facts.iter().find_map(|f| match f.act {
        Act::Number(length, Made::Here) if f.op == put.op => Some(length - 1),
        _ => None,
    })
}

pub(crate) fn set(scene: &Scene<'_>) -> Option<Finding> {
    let gone = |kind| move |found: &Finding| found.kind == kind;
    unadded(scene)
        .or_else(|| changed_twice(scene))
        .or_else(|| lost_or_stale(scene).filter(gone("set-lost")))
        .or_else(|| resurrected(scene))
        .or_else(|| lost_or_stale(scene))
        .or_else(|| opposite_snapshots(scene))
        .or_else(|| shrinking(scene))
}

/// Lists: what is true of sets, in words that fit, and what places and lengths say.
pub(crate) fn log(scene: &Scene<'_>) -> Option<Finding> {
    let named = |mut found: Finding| {
        found.kind = match found.kind {
            "set-lost" => "lost-write",
            "set-stale" => "stale-read",
            kind => kind,
        };
        found
    };
    let lost = |found: &Finding| found.kind == "set-lost";
    unadded(scene)
        .or_else(|| there_twice(scene))
        .or_else(|| super::classify_numbers::twice(scene))
        .or_else(|| lost_or_stale(scene).filter(lost).map(named))
        .or_else(|| other_order(scene))
        .or_else(|| lost_or_stale(scene).map(named))
        .or_else(|| shrinking(scene))
        .or_else(|| super::classify_numbers::backwards(scene))
        .or_else(|| super::classify_numbers::skipped(scene))
}

/// An element that cannot have been there.
fn unadded(scene: &Scene<'_>) -> Option<Finding> {
    sights(scene).find_map(|(at, fact)| {
        let members: Vec<&Value> = match fact.act {
            Act::Saw(members) => scene.history.values.get(members).as_list()?.iter().collect(),
            Act::Told(element, true) => vec![scene.history.values.get(element)],
            Act::At(_, element) if element != ValueId::NULL => vec![scene.history.values.get(element)],
            _ => return None,
        };
        members.into_iter().find_map(|member| {
            if scene.initial_value(fact.key).as_list().is_some_and(|held| held.contains(member)) {
                return None;
            }
            match scene.history.values.find(member) {
                Some(id) => never_put(scene, at, fact.key, id),
                None => Some(Finding::new("phantom-value", at, None)),
            }
        })
    })
}

/// More adds were told that the element was not there, or more removes that it was, than there can have been.
fn changed_twice(scene: &Scene<'_>) -> Option<Finding> {
    let acts = |at: usize, act| scene.core_facts().any(|(a, f)| a == at && f.act == act);
    let changes = |found: bool| {
        sights(scene).filter_map(move |(at, fact)| match fact.act {
            Act::Told(e, told) if told == found => Some((at, fact.key, e)),
            _ => None,
        })
    };
    for found in [false, true] {
        let does = |e| if found { Act::Removed(e) } else { Act::Put(e) };
        let undoes = |e| if found { Act::Put(e) } else { Act::Removed(e) };
        for (first, key, e) in changes(found).filter(|(at, _, e)| acts(*at, does(*e))) {
            let second = changes(found)
                .find(|(at, k, other)| *at > first && (*k, *other) == (key, e) && acts(*at, does(e)));
            let at_first = scene.initial_value(key).as_list();
            let at_first = at_first.is_some_and(|held| held.contains(scene.history.values.get(e)));
            let undone = scene
                .facts
                .iter()
                .filter(|f| f.key == key && f.act == undoes(e) && f.happened != Happened::No)
                .count();
            if let (Some((second, ..)), true) = (second, undone + usize::from(at_first == found) < 2) {
                return Some(Finding::new("double-cas", second, Some(first)));
            }
        }
    }
    None
}

/// Whether an `act` of the history may have happened between two operations of the core.
fn between(scene: &Scene<'_>, key: ValueId, act: Act, first: usize, second: usize) -> bool {
    let (first, second) = (scene.op(first), scene.op(second));
    scene
        .facts
        .iter()
        .filter(|f| f.key == key && f.act == act && f.happened != Happened::No)
        .map(|f| op(scene, f))
        .filter(|o| !std::ptr::eq(*o, first) && !std::ptr::eq(*o, second))
        .any(|o| !scene.base.before(o, first) && !scene.base.before(second, o))
}

/// An acknowledged element that a later answer misses: for good, in its own session, or for a while.
fn lost_or_stale(scene: &Scene<'_>) -> Option<Finding> {
    let mut found: Option<(u8, Finding)> = None;
    for (add, fact, element) in acknowledged(scene) {
        let added = scene.op(add);
        let missing = sights(scene).find(|(r, f)| {
            f.key == fact.key
                && scene.base.before(added, scene.op(*r))
                && holds(scene, f, element) == Some(false)
                && !between(scene, fact.key, Act::Removed(element), add, *r)
        });
        let Some((read, _)) = missing else { continue };
        let all: Vec<&Fact> = scene
            .facts
            .iter()
            .filter(|f| f.key == fact.key && tells(f) && holds(scene, f, element).is_some())
            .collect();
        let removable = scene.facts.iter().any(|f| f.key == fact.key && f.act == Act::Removed(element));
        let last_add = scene
            .facts
            .iter()
            .filter(|f| f.key == fact.key && matches!(f.act, Act::Put(_)) && f.happened == Happened::Yes)
            .map(|f| op(scene, f).ret)
            .max();
        let mut last: Vec<&&Fact> =
            all.iter().filter(|f| last_add.is_some_and(|ret| ret < op(scene, f).invoke)).collect();
        if last.is_empty() {
            last.extend(all.last());
        }
        let after = |f: &&&Fact| added.ret != NEVER && added.ret < op(scene, f).invoke;
        let missed = |f: &&&Fact| after(f) && holds(scene, f, element) == Some(false);
        let lost = !removable && !last.is_empty() && last.iter().all(missed);
        let (rank, finding) = if lost {
            let places = match last.len() {
                1 => "not in the final read".to_string(),
                2 => "in neither of the two final reads".to_string(),
                n => format!("in none of the {} final reads", super::words::number(n, false)),
            };
            let detail = format!("{} was acknowledged and is {places}.", scene.value(element));
            (0, Finding::new("set-lost", add, Some(read)).with(detail))
        } else if added.session == scene.op(read).session {
            (1, Finding::new("not-read-your-writes", read, Some(add)))
        } else {
            let seen = all.iter().find(|f| {
                op(scene, f).invoke > scene.op(read).invoke && holds(scene, f, element) == Some(true)
            });
            let detail = seen.map_or(String::new(), |f| {
                let when = super::story::when(op(scene, f), false);
                format!("A read {when} did see {}.", scene.value(element))
            });
            (2, Finding::new("set-stale", read, Some(add)).with(detail))
        };
        if found.as_ref().is_none_or(|(known, _)| rank < *known) {
            found = Some((rank, finding));
        }
    }
    found.map(|(_, finding)| finding)
}

/// An element that was seen after an acknowledged removal, and that nobody can have added again.
fn resurrected(scene: &Scene<'_>) -> Option<Finding> {
    let removals = scene.core_facts().filter_map(|(at, f)| match f.act {
        Act::Removed(element) if f.happened == Happened::Yes => Some((at, f.key, element)),
        _ => None,
    });
    removals.into_iter().find_map(|(removal, key, element)| {
        let (seen, _) = sights(scene).find(|(r, f)| {
            f.key == key
                && scene.base.before(scene.op(removal), scene.op(*r))
                && holds(scene, f, element) == Some(true)
                && !between(scene, key, Act::Put(element), removal, *r)
        })?;
        Some(Finding::new("set-resurrected", seen, Some(removal)))
    })
}

/// Pairs of answers about one object, the first with an element that the second lacks.
fn lacking<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, usize, ValueId)> + 'a {
    let elements: Vec<(ValueId, ValueId)> = scene
        .core_facts()
        .filter_map(|(_, f)| match f.act {
            Act::Put(element) if f.happened != Happened::No => Some((f.key, element)),
            _ => None,
        })
        .collect();
    sights(scene).flat_map(move |(a, fa)| {
        let elements = elements.clone();
        sights(scene).filter(move |(b, fb)| a != *b && fa.key == fb.key).flat_map(move |(b, fb)| {
            let lacks = |(key, element): &(ValueId, ValueId)| {
                *key == fa.key
                    && holds(scene, &fa, *element) == Some(true)
                    && holds(scene, &fb, *element) == Some(false)
                    && !between(scene, fa.key, Act::Removed(*element), a, b)
            };
            elements.clone().into_iter().filter(lacks).map(|(_, e)| (a, b, e)).collect::<Vec<_>>()
        })
    })
}

fn opposite_snapshots(scene: &Scene<'_>) -> Option<Finding> {
    let lacking: Vec<_> = lacking(scene).collect();
    let opposite =
        lacking.iter().find(|(a, b, e)| lacking.iter().any(|(c, d, f)| (c, d) == (b, a) && f != e));
    opposite.map(|&(a, b, _)| Finding::new("opposite-orders", a.max(b), Some(a.min(b))))
}

fn shrinking(scene: &Scene<'_>) -> Option<Finding> {
    let (early, late, _) = lacking(scene).find(|(a, b, _)| scene.base.before(scene.op(*a), scene.op(*b)))?;
    let one_session = scene.op(early).session == scene.op(late).session;
    Some(Finding::new(if one_session { "non-monotonic" } else { "inversion" }, late, Some(early)))
}

/// What the core says about the places of a list: who, where, what, and whether he read it.
fn places(scene: &Scene<'_>) -> Vec<(usize, ValueId, i64, ValueId, bool)> {
    let mut places = Vec::new();
    for (at, fact) in scene.core_facts().filter(|(_, f)| f.happened == Happened::Yes) {
        match fact.act {
            Act::Saw(list) => {
                let list = scene.history.values.get(list).as_list().unwrap_or_default();
                let known =
                    |(n, v): (i64, &Value)| Some((at, fact.key, n, scene.history.values.find(v)?, true));
                places.extend((0..).zip(list).filter_map(known));
            }
            Act::At(n, value) if value != ValueId::NULL => places.push((at, fact.key, n, value, true)),
            Act::Put(value) => {
                let n = offset(scene, fact.key, value).filter(|_| written_once(scene, fact.key, value));
                places.extend(n.map(|n| (at, fact.key, n, value, false)));
            }
            _ => {}
        }
    }
    places
}

/// A place of a list in words: people count elements from one, and logs count offsets from zero.
fn place(scene: &Scene<'_>, n: i64) -> String {
    match scene.reading.model {
        ModelName::AppendLog => format!("offset {n}"),
        _ => format!("place {}", n + 1),
    }
}

fn written_once(scene: &Scene<'_>, key: ValueId, value: ValueId) -> bool {
    let held = scene.initial_value(key).as_list().unwrap_or_default();
    let at_first = held.iter().filter(|v| *v == scene.history.values.get(value)).count();
    scene.writers(key, value).count() + at_first == 1
}

/// One read has something at two places that was appended once.
fn there_twice(scene: &Scene<'_>) -> Option<Finding> {
    let places = places(scene);
    places.iter().find_map(|a| {
        let again = |b: &&(usize, ValueId, i64, ValueId, bool)| {
            a.0 == b.0 && (a.1, a.3) == (b.1, b.3) && a.2 < b.2 && a.4 && b.4
        };
        let b = places.iter().find(again).filter(|_| written_once(scene, a.1, a.3))?;
        let put = scene.writers(a.1, a.3).next().and_then(|w| scene.position(w.op));
        let detail = format!("It stands at {} and at {}.", place(scene, a.2), place(scene, b.2));
        Some(Finding::new("duplicate-append", b.0, put.filter(|&put| put != b.0)).with(detail))
    })
}

/// Two answers that disagree about what stands where; or about where something stands that was appended once.
fn other_order(scene: &Scene<'_>) -> Option<Finding> {
    let places = places(scene);
    for a in &places {
        for b in places.iter().filter(|b| b.1 == a.1 && b.0 != a.0) {
            if a.2 == b.2 && a.3 != b.3 {
                let (first, second) = if a.0 < b.0 { (a, b) } else { (b, a) };
                let detail = format!(
                    "At {} the first has {} and the second {}.",
                    place(scene, a.2),
                    scene.value(first.3),
                    scene.value(second.3)
                );
                let (early, late) = (first.0, second.0);
                return Some(Finding::new("incompatible-order", late, Some(early)).with(detail));
            }
        }
    }
    for a in &places {
        for b in places.iter().filter(|b| (b.1, b.3) == (a.1, a.3) && b.2 > a.2) {
            if written_once(scene, a.1, a.3) {
                let (first, second) = if a.0 < b.0 { (a, b) } else { (b, a) };
                let detail = format!(
                    "{} stands at {} for the first and at {} for the second.",
                    scene.value(a.3),
                    place(scene, first.2),
                    place(scene, second.2)
                );
                let kind = if a.4 && b.4 { "duplicate-append" } else { "incompatible-order" };
                return Some(Finding::new(kind, second.0, Some(first.0)).with(detail));
            }
        }
    }
    None
}
