//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for sets, queues, counters and locks.

use super::classify::{Finding, acknowledged, never_put};
use super::facts::{Act, Fact, Happened};
use super::reasons::contains;
use super::scene::Scene;
use history::{NEVER, Op, Value, ValueId};

fn op<'a>(scene: &Scene<'a>, fact: &Fact) -> &'a Op {
    &scene.history.ops[fact.op as usize]
}

/// Completed reads of the core.
fn reads<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, Fact)> + 'a {
    scene.core_facts().filter(|(_, f)| matches!(f.act, Act::Saw(_)) && f.happened == Happened::Yes)
}

pub(crate) fn set(scene: &Scene<'_>) -> Option<Finding> {
    if scene.facts.iter().any(|f| f.act == Act::Changed) {
        return None;
    }
    unadded(scene)
        .or_else(|| lost_or_stale(scene))
        .or_else(|| opposite_snapshots(scene))
        .or_else(|| shrinking(scene))
}

/// An element that cannot have been there.
fn unadded(scene: &Scene<'_>) -> Option<Finding> {
    reads(scene).find_map(|(at, fact)| {
        let Act::Saw(members) = fact.act else { return None };
        let members = scene.history.values.get(members).as_list()?;
        let initial = scene.initial(fact.key).map(|id| scene.history.values.get(id));
        members.iter().find_map(|member| {
            if initial.and_then(Value::as_list).is_some_and(|held| held.contains(member)) {
                return None;
            }
            match scene.history.values.find(member) {
                Some(id) => never_put(scene, at, fact.key, id),
                None => Some(Finding::new("phantom-value", at, None)),
            }
        })
    })
}

/// An acknowledged element that a later read misses: for good, in its own session, or for a while.
fn lost_or_stale(scene: &Scene<'_>) -> Option<Finding> {
    let mut found: Option<(u8, Finding)> = None;
    for (add, fact, element) in acknowledged(scene) {
        let added = scene.op(add);
        let missing = reads(scene).find(|(r, f)| {
            f.key == fact.key && scene.base.before(added, scene.op(*r)) && !contains(scene, *f, element)
        });
        let Some((read, _)) = missing else { continue };
        let all: Vec<&Fact> = scene
            .facts
            .iter()
            .filter(|f| f.key == fact.key && matches!(f.act, Act::Saw(_)) && f.happened == Happened::Yes)
            .collect();
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
        let lost = !last.is_empty() && last.iter().all(|f| after(f) && !contains(scene, ***f, element));
        let (rank, finding) = if lost {
            let detail = format!(
                "{} was acknowledged and is in none of the {} final reads.",
                scene.value(element),
                super::words::number(last.len(), false)
            );
            (0, Finding::new("set-lost", add, Some(read)).with(detail))
        } else if added.session == scene.op(read).session {
            (1, Finding::new("not-read-your-writes", read, Some(add)))
        } else {
            let seen = all
                .iter()
                .find(|f| op(scene, f).invoke > scene.op(read).invoke && contains(scene, ***f, element));
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

/// Pairs of reads of one set, the first with an element that the second lacks.
fn lacking<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (usize, usize, ValueId)> + 'a {
    let elements: Vec<(ValueId, ValueId)> = scene
        .core_facts()
        .filter_map(|(_, f)| match f.act {
            Act::Put(element) if f.happened != Happened::No => Some((f.key, element)),
            _ => None,
        })
        .collect();
    reads(scene).flat_map(move |(a, fa)| {
        let elements = elements.clone();
        reads(scene).filter(move |(b, fb)| a != *b && fa.key == fb.key).flat_map(move |(b, fb)| {
            let lacks = |(key, element): &(ValueId, ValueId)| {
                *key == fa.key && contains(scene, fa, *element) && !contains(scene, fb, *element)
            };
            elements.clone().into_iter().filter(lacks).map(|(_, e)| (a, b, e)).collect::<Vec<_>>()
        })
    })
}

fn opposite_snapshots(scene: &Scene<'_>) -> Option<Finding> {
    let lacking: Vec<_> = lacking(scene).collect();
    let opposite = lacking.iter().find(|(a, b, _)| lacking.iter().any(|(c, d, _)| (c, d) == (b, a)));
    opposite.map(|&(a, b, _)| Finding::new("opposite-orders", a.max(b), Some(a.min(b))))
}

fn shrinking(scene: &Scene<'_>) -> Option<Finding> {
    let (early, late, _) = lacking(scene).find(|(a, b, _)| scene.base.before(scene.op(*a), scene.op(*b)))?;
    let one_session = scene.op(early).session == scene.op(late).session;
    Some(Finding::new(if one_session { "non-monotonic" } else { "inversion" }, late, Some(early)))
}

pub(crate) fn queue(scene: &Scene<'_>) -> Option<Finding> {
    let taken: Vec<(usize, Fact, ValueId)> = reads(scene)
        .filter_map(|(at, f)| match f.act {
            Act::Saw(value) if value != ValueId::NULL => Some((at, f, value)),
            _ => None,
        })
        .collect();
    let initial = |key, value| {
        let held = scene.initial(key).map(|id| scene.history.values.get(id));
        held.and_then(Value::as_list)
            .map_or(0, |held| held.iter().filter(|v| *v == scene.history.values.get(value)).count())
    };
    for &(at, fact, value) in &taken {
        if initial(fact.key, value) == 0 {
            if let Some(mut finding) = never_put(scene, at, fact.key, value) {
                if matches!(finding.kind, "phantom-value" | "read-of-failed-write") {
                    finding.kind = "phantom-message";
                }
                return Some(finding);
            }
        }
    }
    for (i, &(first, fact, value)) in taken.iter().enumerate() {
        let times = scene.writers(fact.key, value).count() + initial(fact.key, value);
        let second = taken[i + 1..].iter().find(|(_, f, v)| f.key == fact.key && *v == value);
        if let (Some(&(second, _, _)), true) = (second, times <= 1) {
            return Some(Finding::new("duplicate-delivery", second, Some(first)));
        }
    }
    lost_message(scene).or_else(|| reordered(scene, &taken))
}

/// An acknowledged message that nobody took and no unanswered dequeue can have taken, although a later one found the
/// queue empty or took what was put in afterwards.
fn lost_message(scene: &Scene<'_>) -> Option<Finding> {
    acknowledged(scene).find_map(|(put, fact, value)| {
        let of_key = |f: &&Fact| f.key == fact.key && f.happened != Happened::No;
        let gone =
            scene.facts.iter().filter(of_key).any(|f| {
                f.act == Act::Saw(value) || (f.act == Act::Changed && f.happened == Happened::Maybe)
            });
        if gone || scene.writers(fact.key, value).nth(1).is_some() {
            return None;
        }
        let proof = reads(scene).find(|(at, f)| {
            let passed_over = match f.act {
                Act::Saw(ValueId::NULL) => scene.base.before(scene.op(put), scene.op(*at)),
                Act::Saw(other) => {
                    scene.writers(f.key, other).all(|w| scene.base.before(scene.op(put), op(scene, w)))
                }
                _ => false,
            };
            f.key == fact.key && passed_over
        });
        proof.map(|(at, _)| Finding::new("lost-message", put, Some(at)))
    })
}

/// Two messages that came out in the other order than they were put in.
fn reordered(scene: &Scene<'_>, taken: &[(usize, Fact, ValueId)]) -> Option<Finding> {
    let put = |key, value| {
        let mut writers = scene.writers(key, value);
        match (writers.next(), writers.next()) {
            (Some(only), None) => Some(op(scene, only)),
            _ => None,
        }
    };
    for &(late, f, a) in taken {
        for &(early, g, b) in taken.iter().filter(|t| t.1.key == f.key && t.2 != a) {
            let (Some(a), Some(b)) = (put(f.key, a), put(g.key, b)) else { continue };
            if scene.base.before(a, b) && scene.base.before(scene.op(early), scene.op(late)) {
                return Some(Finding::new("reordered-message", late, Some(early)));
            }
        }
    }
    None
}

pub(crate) fn counter(scene: &Scene<'_>) -> Option<Finding> {
    let number = |id: ValueId| scene.history.values.get(id).as_int().map(i128::from);
    for (at, fact) in reads(scene) {
        let Act::Saw(value) = fact.act else { continue };
        let sum = if value == ValueId::NULL { Some(0) } else { number(value) };
        let (Some(sum), read) = (sum, scene.op(at)) else { continue };
        let start = scene.initial(fact.key).and_then(number).unwrap_or(0);
        let (mut low, mut high) = (start, start);
        for add in scene.facts.iter().filter(|f| f.key == fact.key && f.happened != Happened::No) {
            let Act::Put(amount) = add.act else { continue };
            let Some(amount) = number(amount) else { continue };
            let added = op(scene, add);
            if scene.base.before(read, added) {
                continue;
            }
            let surely = add.happened == Happened::Yes && scene.base.before(added, read);
            low += if surely { amount } else { amount.min(0) };
            high += if surely { amount } else { amount.max(0) };
        }
        if sum < low || sum > high {
            let detail = format!("It read {sum}; the increments allow {low} to {high}.");
            return Some(Finding::new("counter-out-of-range", at, None).with(detail));
        }
    }
    let grows = scene.facts.iter().all(|f| match f.act {
        Act::Put(amount) => number(amount).is_some_and(|n| n >= 0),
        _ => true,
    });
    let all: Vec<(usize, i128)> = reads(scene)
        .filter_map(|(at, f)| match f.act {
            Act::Saw(value) => Some((at, number(value)?)),
            _ => None,
        })
        .collect();
    let pairs = all.iter().flat_map(|early| all.iter().map(move |late| (early, late)));
    let back = pairs
        .filter(|((e, _), (l, _))| scene.base.before(scene.op(*e), scene.op(*l)))
        .find(|(e, l)| e.1 > l.1);
    let (&(early, _), &(late, _)) = back.filter(|_| grows)?;
    let one_session = scene.op(early).session == scene.op(late).session;
    Some(Finding::new(if one_session { "non-monotonic" } else { "inversion" }, late, Some(early)))
}

pub(crate) fn lock(scene: &Scene<'_>) -> Option<Finding> {
    stale_write(scene).or_else(|| shared(scene))
}

/// The resource let a token in after it had seen a larger one.
fn stale_write(scene: &Scene<'_>) -> Option<Finding> {
    let token = |f: &Fact| match f.act {
        Act::Guarded(pair) if f.happened == Happened::Yes => {
            scene.history.values.get(pair).as_list()?.first()?.as_int()
        }
        _ => None,
    };
    let let_in: Vec<(usize, Fact, i64)> =
        scene.core_facts().filter_map(|(at, f)| Some((at, f, token(&f)?))).collect();
    for &(late, f, small) in &let_in {
        let newer = let_in.iter().find(|(early, g, large)| {
            g.key == f.key && *large > small && scene.base.before(scene.op(*early), scene.op(late))
        });
        if let Some(&(early, _, large)) = newer {
            let detail = format!("The resource had seen token {large} and let token {small} in.");
            return Some(Finding::new("stale-write-accepted", late, Some(early)).with(detail));
        }
    }
    None
}

/// Two clients that both believed to hold the lock: each had been told that it got it before the other gave it back.
fn shared(scene: &Scene<'_>) -> Option<Finding> {
    let got: Vec<(usize, Fact)> = scene
        .core_facts()
        .filter(|(_, f)| matches!(f.act, Act::Acquired(_)) && f.happened == Happened::Yes)
        .collect();
    // A lease may expire while its holder believes: the model of fenced locks does not forbid it.
    if scene.reading.lease {
        return None;
    }
    for (i, &(a, fa)) in got.iter().enumerate() {
        for &(b, fb) in &got[i + 1..] {
            if fa.key != fb.key || scene.op(a).process == scene.op(b).process {
                continue;
            }
            let (given_a, given_b) = (given_back(scene, a, fa), given_back(scene, b, fb));
            let starts = scene.op(a).ret.max(scene.op(b).ret);
            let ends = given_a.map_or(NEVER, |op| op.invoke).min(given_b.map_or(NEVER, |op| op.invoke));
            if starts < ends {
                let from = scene.op(a).ret_time.max(scene.op(b).ret_time);
                let first = [given_a, given_b].into_iter().flatten().min_by_key(|op| op.invoke);
                let detail = match first {
                    Some(op) if from != history::NO_TIME && op.invoke_time != history::NO_TIME => {
                        format!("Both held it for {}.", super::words::duration(op.invoke_time - from))
                    }
                    Some(_) => "Both held it until one of them gave it back.".to_string(),
                    None => "Neither gave it back.".to_string(),
                };
                return Some(Finding::new("lock-shared", b, Some(a)).with(detail));
            }
        }
    }
    None
}

/// The next release that the holder sent after this acquire.
fn given_back<'a>(scene: &Scene<'a>, acquire: usize, fact: Fact) -> Option<&'a Op> {
    let holder = scene.op(acquire);
    scene
        .facts
        .iter()
        .filter(|f| f.key == fact.key && matches!(f.act, Act::Released(_)) && f.happened != Happened::No)
        .map(|f| op(scene, f))
        .find(|op| op.process == holder.process && op.invoke > holder.invoke)
}
