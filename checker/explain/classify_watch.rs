//! Which kind of anomaly a core is: the rules of [`crate::kinds`] for watches.

use super::classify::Finding;
use super::classify_numbers;
use super::facts::Happened;
use super::scene::Scene;
use history::{Applied, Op, Outcome, Value, ValueId};

/// A write of the history.
pub(crate) struct Written<'a> {
    pub(crate) op: &'a Op,
    /// Where it is in the core.
    pub(crate) at: Option<usize>,
    name: &'a Value,
    /// Null if it deletes.
    value: &'a Value,
    /// What it was told.
    pub(crate) revision: Option<i64>,
    happened: Happened,
}

/// An answer of the core: the changes from a revision on.
pub(crate) struct Told<'a> {
    pub(crate) at: usize,
    pub(crate) from: i64,
    pub(crate) upto: i64,
    events: Vec<Event<'a>>,
    /// Whether it was told that this is all there is.
    pub(crate) all: bool,
}

#[derive(Clone, Copy)]
struct Event<'a> {
    revision: i64,
    name: &'a Value,
    value: &'a Value,
}

impl<'a> Event<'a> {
    /// `12: a = 7`
    fn show(&self) -> String {
        match self.value {
            Value::Null => format!("{}: {} deleted", self.revision, self.name),
            value => format!("{}: {} = {value}", self.revision, self.name),
        }
    }

    fn made_by(&self, write: &Written<'a>) -> bool {
        (self.name, self.value) == (write.name, write.value)
    }
}

impl Told<'_> {
    /// Whether it is told of this revision.
    pub(crate) fn has(&self, revision: i64) -> bool {
        self.events.iter().any(|event| event.revision == revision)
    }

    /// Whether it says that the store has counted to this revision.
    pub(crate) fn reaches(&self, revision: i64) -> bool {
        self.from <= self.upto && revision <= self.upto
    }

    /// Whether it says that it has everything at this revision.
    pub(crate) fn covers(&self, revision: i64) -> bool {
        (self.from..=self.upto).contains(&revision)
    }
}

/// The first rule that applies.
pub(crate) fn watch(scene: &Scene<'_>) -> Option<Finding> {
    let (told, written) = (answers(scene), writes(scene));
    told.iter()
        .find_map(|answer| in_itself(answer))
        .or_else(|| told.iter().find_map(|answer| not_so(scene, answer, &told, &written)))
        .or_else(|| classify_numbers::twice(scene))
        .or_else(|| lost(scene, &told, &written))
        .or_else(|| counted_past(scene, &told, &written))
        .or_else(|| classify_numbers::backwards(scene))
}

/// The answers of the core.
pub(crate) fn answers<'a>(scene: &Scene<'a>) -> Vec<Told<'a>> {
    let answer = |at: usize| {
        let op = scene.op(at);
        let value = |id: ValueId| scene.history.values.get(id);
        let f = value(op.f).as_text()?;
        if op.outcome != Outcome::Ok || op.applied == Applied::No || !matches!(f, "watch" | "catch-up") {
            return None;
        }
        let [Value::Int(upto), Value::List(listed)] = value(op.output).as_list()? else { return None };
        let event = |event: &'a Value| match event.as_list() {
            Some([Value::Int(revision), name, value]) => Some(Event { revision: *revision, name, value }),
            _ => None,
        };
        let events: Vec<Event<'a>> = listed.iter().filter_map(event).collect();
        let first = events.first().map_or(upto.saturating_add(1), |event| event.revision);
        let from = value(op.input).as_int().unwrap_or(first);
        Some(Told { at, from, upto: *upto, events, all: f == "catch-up" })
    };
    (0..scene.core.len()).filter_map(answer).collect()
}

/// Every write of the history.
pub(crate) fn writes<'a>(scene: &Scene<'a>) -> Vec<Written<'a>> {
    let mut all: Vec<u32> = scene.facts.iter().map(|fact| fact.op).collect();
    all.dedup();
    let write = |index: u32| {
        let op = &scene.history.ops[index as usize];
        let value = |id: ValueId| scene.history.values.get(id);
        let (name, value_of) = match value(op.f).as_text()? {
            "put" => match value(op.input).as_list()? {
                [name, value] => (name, value),
                _ => return None,
            },
            "delete" => (value(op.input), &Value::Null),
            _ => return None,
        };
        let revision = value(op.output).as_int().filter(|_| op.outcome == Outcome::Ok);
        let happened = match op.outcome {
            Outcome::Ok if revision.is_some() => Happened::Yes,
            Outcome::Info => Happened::Maybe,
            Outcome::Ok | Outcome::Fail => Happened::No,
        };
        Some(Written { op, at: scene.position(index), name, value: value_of, revision, happened })
    };
    all.into_iter().filter_map(write).collect()
}

/// What is wrong with an answer whatever happened: rewound-watch, repeated-event, reordered-event.
fn in_itself(answer: &Told<'_>) -> Option<Finding> {
    let early: Vec<String> =
        answer.events.iter().filter(|event| event.revision < answer.from).map(Event::show).collect();
    if !early.is_empty() {
        let early = early.join(" and ");
        let detail = format!("It had asked from revision {} on: {early} came too.", answer.from);
        return Some(Finding::new("rewound-watch", answer.at, None).with(detail));
    }
    let two = answer.events.windows(2).find(|two| two[0].revision >= two[1].revision)?;
    let (before, after) = (two[0], two[1]);
    let again = answer.events.iter().filter(|event| event.revision == after.revision).count() > 1;
    let detail = format!("It got {} after {}.", after.show(), before.show());
    Some(Finding::new(if again { "repeated-event" } else { "reordered-event" }, answer.at, None).with(detail))
}

/// An event that is not what happened: changed-event, repeated-event, read-of-future, read-of-failed-write,
/// phantom-value.
fn not_so(
    scene: &Scene<'_>,
    answer: &Told<'_>,
    told: &[Told<'_>],
    written: &[Written<'_>],
) -> Option<Finding> {
    answer.events.iter().find_map(|event| {
        let found = |kind, witness| Some(Finding::new(kind, answer.at, witness));
        let by_number = written.iter().find(|write| write.revision == Some(event.revision));
        if let Some(write) = by_number {
            if !event.made_by(write) {
                let detail = format!("It got {}, which is not what was written.", event.show());
                return Some(found("changed-event", write.at)?.with(detail));
            }
            return if scene.base.before(scene.op(answer.at), write.op) {
                found("read-of-future", write.at)
            } else {
                None
            };
        }
        // Who else was told of this revision?
        let other = told.iter().filter(|other| other.at < answer.at).find_map(|other| {
            let differs = |e: &&Event<'_>| {
                e.revision == event.revision && (e.name, e.value) != (event.name, event.value)
            };
            other.events.iter().find(differs).map(|_| other.at)
        });
        if let Some(other) = other {
            let detail = format!("It got {}.", event.show());
            return Some(found("changed-event", Some(other))?.with(detail));
        }
        let all: Vec<&Written<'_>> = written.iter().filter(|write| event.made_by(write)).collect();
        let unheard: Vec<&&Written<'_>> = all.iter().filter(|w| w.happened == Happened::Maybe).collect();
        if unheard.is_empty() {
            let refused = all.iter().find(|write| write.op.outcome == Outcome::Fail);
            let elsewhere = all.iter().find(|write| write.revision.is_some());
            return match (elsewhere, refused) {
                (Some(write), _) => {
                    let detail = format!("It got {}, which was told another revision.", event.show());
                    Some(found("changed-event", write.at)?.with(detail))
                }
                (None, Some(write)) => {
                    let detail = super::classify::refusal(scene, write.op);
                    Some(found("read-of-failed-write", None)?.with(detail))
                }
                (None, None) => {
                    let detail = format!("Nobody ever wrote {}.", event.show());
                    Some(found("phantom-value", None)?.with(detail))
                }
            };
        }
        if unheard.iter().all(|write| scene.base.before(scene.op(answer.at), write.op)) {
            return found("read-of-future", unheard.iter().find_map(|write| write.at));
        }
        // More revisions than writes that may have made them.
        let mut revisions: Vec<(i64, usize)> = Vec::new();
        for other in told {
            let same = other.events.iter().filter(|e| (e.name, e.value) == (event.name, event.value));
            revisions.extend(same.map(|e| (e.revision, other.at)));
        }
        revisions.retain(|(revision, _)| !written.iter().any(|write| write.revision == Some(*revision)));
        revisions.sort_unstable();
        revisions.dedup_by_key(|(revision, _)| *revision);
        if revisions.len() > unheard.len() {
            let witness = revisions.iter().map(|(_, at)| *at).find(|&at| at != answer.at);
            let times =
                if unheard.len() == 1 { "only once".to_string() } else { format!("{} times", unheard.len()) };
            let detail = format!("It got {}, which was written {times}.", event.show());
            return Some(found("repeated-event", witness)?.with(detail));
        }
        None
    })
}

/// lost-event: a change that surely happened, and an answer that says that it has everything there, or everything.
fn lost(scene: &Scene<'_>, told: &[Told<'_>], written: &[Written<'_>]) -> Option<Finding> {
    told.iter().find_map(|answer| {
        let misses = |revision: i64| answer.covers(revision) && !answer.has(revision);
        let later = |write: &Written<'_>| scene.base.before(scene.op(answer.at), write.op);
        let behind = |write: &Written<'_>, revision: i64| {
            answer.all && revision > answer.upto && scene.base.before(write.op, scene.op(answer.at))
        };
        let acknowledged = written.iter().find_map(|write| {
            let (at, revision) = (write.at?, write.revision?);
            let lost = misses(revision) && !later(write) || behind(write, revision);
            lost.then_some((at, revision))
        });
        // Somebody else was told of it.
        let seen = told.iter().filter(|other| other.at != answer.at).find_map(|other| {
            let early = scene.base.before(scene.op(other.at), scene.op(answer.at));
            let lost = |e: &&Event<'_>| misses(e.revision) || answer.all && early && e.revision > answer.upto;
            other.events.iter().find(lost).map(|event| (other.at, event.revision))
        });
        let (witness, revision) = acknowledged.or(seen)?;
        let detail = if revision > answer.upto {
            format!("It had caught up, it was told, at revision {}: {revision} is missing.", answer.upto)
        } else {
            format!(
                "It was told that this is everything from {} up to {}, and {revision} is missing.",
                answer.from, answer.upto
            )
        };
        Some(Finding::new("lost-event", answer.at, Some(witness)).with(detail))
    })
}

/// id-went-back: a write made a revision that an answer had already gone past.
fn counted_past(scene: &Scene<'_>, told: &[Told<'_>], written: &[Written<'_>]) -> Option<Finding> {
    written.iter().find_map(|write| {
        let (at, revision) = (write.at?, write.revision?);
        let past =
            |answer: &&Told<'_>| answer.reaches(revision) && scene.base.before(scene.op(answer.at), write.op);
        let answer = told.iter().find(past)?;
        Some(Finding::new("id-went-back", at, Some(answer.at)))
    })
}
