//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for sums, locks and permits.

use super::classify::Finding;
use super::facts::{Act, Fact, Happened};
use super::scene::Scene;
use super::world::Base;
use history::{NEVER, Op};

fn op<'a>(scene: &Scene<'a>, fact: &Fact) -> &'a Op {
    &scene.history.ops[fact.op as usize]
}

/// The first rule that applies to sums.
pub(crate) fn counter(scene: &Scene<'_>) -> Option<Finding> {
    let sums: Vec<(usize, Fact, i64)> = scene
        .core_facts()
        .filter_map(|(at, f)| match f.act {
            Act::Sum(sum) => Some((at, f, sum)),
            _ => None,
        })
        .collect();
    let grows = scene.facts.iter().all(|f| !matches!(f.act, Act::Added(n) if n < 0));
    found_twice(scene, &sums).filter(|_| grows).or_else(|| out_of_range(scene, &sums)).or_else(|| {
        let pairs = sums.iter().flat_map(|early| sums.iter().map(move |late| (early, late)));
        let back = pairs
            .filter(|(e, l)| e.1.key == l.1.key && scene.base.before(scene.op(e.0), scene.op(l.0)))
            .find(|(e, l)| e.2 > l.2);
        let (early, late) = back.filter(|_| grows).map(|(early, late)| (early.0, late.0))?;
        let one_session = scene.op(early).session == scene.op(late).session;
        Some(Finding::new(if one_session { "non-monotonic" } else { "inversion" }, late, Some(early)))
    })
}

/// Two additions that both found the same sum.
fn found_twice(scene: &Scene<'_>, sums: &[(usize, Fact, i64)]) -> Option<Finding> {
    let adds =
        |at: usize| scene.core_facts().any(|(a, f)| a == at && matches!(f.act, Act::Added(n) if n != 0));
    sums.iter().enumerate().filter(|(_, first)| adds(first.0)).find_map(|(i, first)| {
        let same = |second: &&(usize, Fact, i64)| {
            second.1.key == first.1.key && second.2 == first.2 && adds(second.0)
        };
        let second = sums[i + 1..].iter().find(same)?;
        Some(Finding::new("lost-update", second.0, Some(first.0)))
    })
}

/// A sum that what was added before, and what may have been, cannot make.
fn out_of_range(scene: &Scene<'_>, sums: &[(usize, Fact, i64)]) -> Option<Finding> {
    sums.iter().find_map(|&(at, fact, sum)| {
        let (sum, read) = (i128::from(sum), scene.op(at));
        let start = scene.initial_value(fact.key).as_int().map_or(0, i128::from);
        let (mut low, mut high) = (start, start);
        for add in scene.facts.iter().filter(|f| f.key == fact.key && f.happened != Happened::No) {
            let Act::Added(amount) = add.act else { continue };
            let (amount, added) = (i128::from(amount), op(scene, add));
            if std::ptr::eq(added, read) || scene.base.before(read, added) {
                continue;
            }
            let surely = add.happened == Happened::Yes && scene.base.before(added, read);
            low += if surely { amount } else { amount.min(0) };
            high += if surely { amount } else { amount.max(0) };
        }
        let detail = format!(
            "What had been added by then allows {}.",
            if low == high { format!("only {low}") } else { format!("nothing below {low} or above {high}") }
        );
        (sum < low || sum > high).then(|| Finding::new("counter-out-of-range", at, None).with(detail))
    })
}

/// More permits are out than there are: those that were surely got before the last of them was answered, less those that
/// may have been given back by then.
pub(crate) fn permits(scene: &Scene<'_>) -> Option<Finding> {
    let got: Vec<(usize, Fact)> = scene
        .core_facts()
        .filter(|(_, f)| matches!(f.act, Act::Acquired(_)) && f.happened == Happened::Yes)
        .collect();
    got.iter().find_map(|&(last, fact)| {
        let permits = scene.initial_value(fact.key).as_int().unwrap_or(1);
        let until = match scene.base {
            Base::RealTime => scene.op(last).ret,
            Base::Program => NEVER,
        };
        let mut out = 0i64;
        for f in scene.facts.iter().filter(|f| f.key == fact.key) {
            match f.act {
                Act::Acquired(_) if f.happened == Happened::Yes && op(scene, f).ret <= until => out += 1,
                Act::Released(_) if f.happened != Happened::No && op(scene, f).invoke <= until => out -= 1,
                _ => {}
            }
        }
        let witness = got.iter().map(|(at, _)| *at).find(|&at| at != last && scene.op(at).ret <= until);
        let there = if permits == 1 { "is only 1" } else { &format!("are only {permits}") };
        let detail = format!("At least {out} were out then, and there {there}.");
        (out > permits).then(|| Finding::new("permits-exceeded", last, witness).with(detail))
    })
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
    if scene.reading.lease() {
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
                        format!(
                            "Both held it for {}, until the release was sent, {}.",
                            super::words::duration(op.invoke_time - from),
                            super::story::moment_of(op.invoke_time, op.invoke_line)
                        )
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
