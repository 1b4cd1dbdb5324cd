//! Reasons for sets, lists, queues, locks and numbers, where they are short. Counters have none: their proof is the table of
//! orders.

use super::edges::{base, saturate};
use super::facts::{Act, Due, Fact, Family, Happened, Made};
use super::graph::{Circle, Graph};
use super::scene::Scene;
use history::results::Why;
use history::{Outcome, Value, ValueId};

/// Cores up to this size are searched for a circle.
const NODES_MAX: usize = 40;

/// The reasons of a core, and a circle if they run in one.
pub(crate) fn reasons(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    if scene.core.len() > NODES_MAX {
        return (Graph::new(scene.core.len()), None);
    }
    match scene.reading.family {
        Family::Register => super::edges::register(scene),
        Family::Set | Family::Log => set(scene),
        Family::Queue => queue(scene),
        Family::Lock => lock(scene),
        Family::Watch => watch(scene),
        Family::Counter | Family::Permits | Family::Ids => {
            let mut graph = base(scene);
            numbered(scene, &mut graph);
            let circle = saturate(&mut graph, scene, |_| false);
            (graph, circle)
        }
    }
}

/// A growing set: who saw an element comes after its add, who did not see it comes before.
fn set(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    let mut graph = base(scene);
    numbered(scene, &mut graph);
    let adds: Vec<(usize, ValueId, ValueId)> = scene
        .core_facts()
        .filter_map(|(at, f)| match f.act {
            Act::Put(element) if f.happened != Happened::No => Some((at, f.key, element)),
            _ => None,
        })
        .collect();
    let mut happened: Vec<usize> =
        adds.iter().map(|a| a.0).filter(|&at| scene.op(at).outcome == Outcome::Ok).collect();
    let reads: Vec<(usize, Fact)> = scene
        .core_facts()
        .filter(|(_, f)| matches!(f.act, Act::Saw(_)) && f.happened == Happened::Yes)
        .collect();
    for &(read, fact) in &reads {
        for &(add, _, element) in adds.iter().filter(|a| a.1 == fact.key) {
            let once = scene.writers(fact.key, element).nth(1).is_none();
            if contains(scene, fact, element) && once && !starts_with(scene, fact.key, element) {
                let (r, a, v) = (scene.label(read), scene.label(add), scene.value(element));
                let mut text = format!("{r} saw {v}, and only {a} ever added it");
                if scene.op(add).outcome == Outcome::Info {
                    text.push_str(&format!(" (so {a} did happen)"));
                }
                graph.add(add, read, Why::Read, Vec::new(), text);
                happened.push(add);
            }
        }
    }
    for &(read, fact) in &reads {
        for &(add, _, element) in adds.iter().filter(|a| a.1 == fact.key && happened.contains(&a.0)) {
            if !contains(scene, fact, element) {
                let (r, a, v) = (scene.label(read), scene.label(add), scene.value(element));
                let text = format!("{r} did not see {v}, which {a} added and nobody removed");
                graph.add(read, add, Why::Initial, Vec::new(), text);
            }
        }
    }
    let circle = saturate(&mut graph, scene, |_| false);
    (graph, circle)
}

/// Whether a read of all members saw `element`.
fn contains(scene: &Scene<'_>, read: Fact, element: ValueId) -> bool {
    super::classify_elements::holds(scene, &read, element) == Some(true)
}

/// Watches: who was told of a change comes after whoever made it, and so does who had everything up to a later one; who
/// did not have it, though it was told everything there, comes before.
fn watch(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    let mut graph = base(scene);
    numbered(scene, &mut graph);
    let written = super::classify_watch::writes(scene);
    for answer in super::classify_watch::answers(scene) {
        for write in &written {
            let (Some(made), Some(revision)) = (write.at, write.revision) else { continue };
            let (a, w) = (scene.label(answer.at), scene.label(made));
            if answer.has(revision) {
                let text = format!("{a} was told of revision {revision}, which {w} made");
                graph.add(made, answer.at, Why::Read, Vec::new(), text);
            } else if answer.reaches(revision) {
                let text = format!(
                    "{a} was told that it has everything up to {}, and {w} made {revision}: revisions only grow",
                    answer.upto
                );
                graph.add(made, answer.at, Why::Version, Vec::new(), text);
            }
            if !answer.has(revision) && (answer.covers(revision) || answer.all && revision > answer.upto) {
                let all = if answer.all {
                    "everything".to_string()
                } else {
                    format!("everything up to {}", answer.upto)
                };
                let text = format!(
                    "{a} was told that it has {all}, and revision {revision}, which {w} made, is missing"
                );
                graph.add(answer.at, made, Why::Initial, Vec::new(), text);
            }
        }
    }
    let circle = saturate(&mut graph, scene, |_| false);
    (graph, circle)
}

/// Numbers that only grow say who came first: whoever was told the smaller one, and of one number who made it.
pub(crate) fn numbered(scene: &Scene<'_>, graph: &mut Graph) {
    if !scene.reading.grows() {
        return;
    }
    let told: Vec<(usize, ValueId, i64, Made)> = scene
        .core_facts()
        .filter_map(|(at, f)| match f.act {
            Act::Number(n, made) if f.happened == Happened::Yes => Some((at, f.key, n, made)),
            _ => None,
        })
        .collect();
    for &(a, key, small, made) in &told {
        for &(b, _, large, found) in told.iter().filter(|b| b.1 == key && b.0 != a) {
            let (la, lb) = (scene.label(a), scene.label(b));
            let text = match (made, found) {
                _ if small < large => {
                    format!("{la} was told {small} and {lb} {large}: such numbers only grow")
                }
                (Made::Here, Made::Before) if small == large => {
                    format!("{lb} found {small}, which {la} made")
                }
                _ => continue,
            };
            graph.add(a, b, Why::Version, Vec::new(), text);
        }
    }
}

/// Whether the object held `element` before everything.
fn starts_with(scene: &Scene<'_>, key: ValueId, element: ValueId) -> bool {
    let initial = scene.initial(key).map(|id| scene.history.values.get(id));
    initial.and_then(Value::as_list).is_some_and(|items| items.contains(scene.history.values.get(element)))
}

/// A message of the core: who put it in and, if it is known, who took it out.
struct Message {
    key: ValueId,
    value: ValueId,
    put: usize,
    taken: Option<usize>,
}

/// What elements that differ are put into and taken out of.
fn queue(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    let mut graph = base(scene);
    let messages = messages(scene);
    for message in &messages {
        let Some(taken) = message.taken else { continue };
        let (e, d, v) = (scene.label(message.put), scene.label(taken), scene.value(message.value));
        let mut text = format!("{d} took {v}, and only {e} ever put it in");
        if scene.op(message.put).outcome == Outcome::Info {
            text.push_str(&format!(" (so {e} did happen)"));
        }
        graph.add(message.put, taken, Why::Read, Vec::new(), text);
    }
    let empty: Vec<(usize, ValueId)> = scene
        .core_facts()
        .filter(|(_, f)| f.act == Act::Saw(ValueId::NULL) && f.happened == Happened::Yes)
        .map(|(at, f)| (at, f.key))
        .collect();
    let circle = saturate(&mut graph, scene, |graph| first_in_first_out(graph, scene, &messages, &empty));
    (graph, circle)
}

/// The messages of the core that were put in once in the whole history and taken out at most once, none by anyone who
/// was never answered.
fn messages(scene: &Scene<'_>) -> Vec<Message> {
    scene
        .core_facts()
        .filter_map(|(put, fact)| {
            let Act::Put(value) = fact.act else { return None };
            if fact.happened == Happened::No || scene.writers(fact.key, value).nth(1).is_some() {
                return None;
            }
            let mut takers = scene.facts.iter().filter(|f| f.key == fact.key && f.act == Act::Saw(value));
            match (takers.next(), takers.next()) {
                (Some(taker), None) => {
                    Some(Message { key: fact.key, value, put, taken: Some(scene.position(taker.op)?) })
                }
                _ => None,
            }
        })
        .filter(|message| scene.definite(message.put))
        .collect()
}

/// One round of: what was put in first comes out first, where it is so; who found the queue empty came before a message was put in or
/// after it was taken.
fn first_in_first_out(
    graph: &mut Graph,
    scene: &Scene<'_>,
    messages: &[Message],
    empty: &[(usize, ValueId)],
) -> bool {
    let mut found: Vec<(usize, usize, Why, Vec<usize>, String)> = Vec::new();
    for a in messages {
        let Some(taken_a) = a.taken else { continue };
        let (put_label, taken_label, value) =
            (scene.label(a.put), scene.label(taken_a), scene.value(a.value));
        for b in messages.iter().filter(|b| b.put != a.put && b.key == a.key) {
            let Some(taken_b) = b.taken else { continue };
            if scene.reading.due() != Due::First {
                continue;
            }
            if let Some(path) = graph.path(a.put, b.put) {
                let text = format!(
                    "{value} was put in before {} ({{}}), and a queue gives them out in that order",
                    scene.value(b.value)
                );
                found.push((taken_a, taken_b, Why::Version, path, text));
            }
        }
        for &(none, _) in empty.iter().filter(|(_, key)| *key == a.key) {
            let n = scene.label(none);
            if let Some(path) = graph.path(a.put, none) {
                let text = format!(
                    "{n} found the queue empty after {put_label} had put {value} in ({{}}): so {taken_label} must have taken it before"
                );
                found.push((taken_a, none, Why::Overwritten, path, text));
            }
        }
    }
    found.sort_by_key(|(_, _, _, path, _)| path.len());
    found
        .into_iter()
        .fold(false, |new, (from, to, why, uses, text)| graph.add(from, to, why, uses, text) || new)
}

/// The time from one process's acquire to its release.
struct Holding {
    key: ValueId,
    acquire: usize,
    /// None: it was never given back.
    release: Option<usize>,
}

fn lock(scene: &Scene<'_>) -> (Graph, Option<Circle>) {
    let mut graph = base(scene);
    let guarded = tokens(scene, |act| match act {
        Act::Guarded(pair) => scene.history.values.get(pair).as_list()?.first()?.as_int(),
        _ => None,
    });
    let granted = tokens(scene, |act| match act {
        Act::Acquired(token) => scene.history.values.get(token).as_int(),
        _ => None,
    });
    for (ordered, what) in [
        (&guarded, "the resource lets in no token smaller than one it has seen"),
        (&granted, "each token is larger than all before"),
    ] {
        for &(a, key, small) in ordered {
            for &(b, _, large) in ordered.iter().filter(|&&(_, k, large)| k == key && small < large) {
                let (la, lb) = (scene.label(a), scene.label(b));
                let text = format!("{la} has token {small} and {lb} token {large}: {what}");
                graph.add(a, b, Why::Version, Vec::new(), text);
            }
        }
    }
    let holdings = if granted.is_empty() { holdings(scene) } else { Vec::new() };
    let circle = saturate(&mut graph, scene, |graph| one_holder(graph, scene, &holdings));
    (graph, circle)
}

/// The operations of the core that happened and carry a token.
fn tokens(scene: &Scene<'_>, token: impl Fn(Act) -> Option<i64>) -> Vec<(usize, ValueId, i64)> {
    scene
        .core_facts()
        .filter(|(_, f)| f.happened == Happened::Yes)
        .filter_map(|(at, f)| Some((at, f.key, token(f.act)?)))
        .collect()
}

/// The acquires of the core with the next release of the same process, where both are sure.
fn holdings(scene: &Scene<'_>) -> Vec<Holding> {
    let facts: Vec<(usize, Fact)> = scene.core_facts().collect();
    let mut holdings = Vec::new();
    for (i, &(acquire, fact)) in facts.iter().enumerate() {
        if !matches!(fact.act, Act::Acquired(_)) || fact.happened != Happened::Yes {
            continue;
        }
        let process = scene.op(acquire).process;
        let mut later = facts[i + 1..].iter().filter(|(at, f)| {
            f.key == fact.key && f.happened != Happened::No && scene.op(*at).process == process
        });
        match later.next() {
            None => holdings.push(Holding { key: fact.key, acquire, release: None }),
            Some(&(at, next)) => {
                if matches!(next.act, Act::Released(_)) && next.happened == Happened::Yes {
                    holdings.push(Holding { key: fact.key, acquire, release: Some(at) });
                }
            }
        }
    }
    holdings
}

/// One round of: who held the lock before another gave it back had given it back before the other got it.
fn one_holder(graph: &mut Graph, scene: &Scene<'_>, holdings: &[Holding]) -> bool {
    let mut found: Vec<(usize, usize, Why, Vec<usize>, String)> = Vec::new();
    for x in holdings {
        for y in holdings
            .iter()
            .filter(|y| y.key == x.key && scene.op(y.acquire).process != scene.op(x.acquire).process)
        {
            let (a, c) = (scene.label(x.acquire), scene.label(y.acquire));
            match (x.release, y.release) {
                (Some(b), Some(d)) => {
                    let Some(path) = graph.path(x.acquire, d) else { continue };
                    let text = format!(
                        "{} got the lock at {a}, before {} ({{}}), and gave it back at {}: only then could {c} get it",
                        scene.client(x.acquire),
                        scene.label(d),
                        scene.label(b)
                    );
                    found.push((b, y.acquire, Why::Read, path, text));
                }
                (Some(b), None) => {
                    let text = format!(
                        "{} got the lock at {c} and never gave it back, so {} came before",
                        scene.client(y.acquire),
                        scene.label(b)
                    );
                    found.push((b, y.acquire, Why::Initial, Vec::new(), text));
                }
                (None, _) => {}
            }
        }
    }
    found.sort_by_key(|(_, _, _, path, _)| path.len());
    found
        .into_iter()
        .fold(false, |new, (from, to, why, uses, text)| graph.add(from, to, why, uses, text) || new)
}
