//! Turns a counterexample into what a person can follow: a kind, a sentence, a story, numbered reasons that run in a
//! circle, every order with the place where it breaks, and what the object could be in between.
//!
//! ```text
//!  Counterexample (indices) ─▶ support added ─▶ projected by the model ─┬▶ Scene: facts ─▶ reasons ─▶ circle ─▶ kind
//!                                                                       └▶ World: orders, states
//! ```
//! Nothing here decides a verdict. What is told about a core is derived again from the history, by rules of its own.

mod acts;
mod classify;
mod classify_elements;
mod classify_numbers;
mod classify_other;
mod classify_queue;
mod classify_transactions;
mod classify_watch;
mod edges;
mod facts;
mod fingerprint;
mod graph;
mod orders;
mod pairs;
mod reasons;
mod scene;
mod states;
mod story;
mod words;
mod world;

use crate::keyed::Keyed;
use crate::ladder::Rung;
use crate::model::Model;
use crate::objects::{Built, build};
use crate::problem::Problem;
use crate::search::until;
use crate::spec::{ModelName, Spec, Specified};
use crate::verdict::{Counterexample, Property};
use facts::{Family, Happened, Reading};
use history::results::{Anomaly, CoreOp, OrderRow, Role, StateSpan};
use history::{History, NEVER, NO_TIME, Op, Outcome, Value, ValueId};
use scene::{Scene, plain_text};
use world::{Base, World};

pub use fingerprint::coincide;

/// The explanation of `counterexample`, which was found in `history` under `spec`, as number `id` of the list.
///
/// Writes that the core's reads name are added to it as support, so that nobody has to look for them. Faults are not
/// looked at: see [`coincide`]. O(size of the history) and exponential in the size of the core within fixed bounds.
pub fn explain(
    history: &History,
    spec: &Spec,
    property: impl Into<Rung>,
    counterexample: &Counterexample,
    id: u32,
) -> Anomaly {
    explain_rung(history, spec, property.into(), counterexample, id)
}

/// Not generic, so that the models are compiled here, and not again in every crate that explains.
fn explain_rung(
    history: &History,
    spec: &Spec,
    rung: Rung,
    counterexample: &Counterexample,
    id: u32,
) -> Anomaly {
    let property = match rung {
        Rung::Linearizable | Rung::Regular => Property::Linearizable,
        // Whoever violates a weaker one violates this one with the same operations: what happened is told by it.
        Rung::Sequential
        | Rung::Coherence
        | Rung::CausalConvergence
        | Rung::CausalMemory
        | Rung::Causal
        | Rung::Pram
        | Rung::WritesFollowReads
        | Rung::MonotonicWrites
        | Rung::MonotonicReads
        | Rung::ReadYourWrites => Property::Sequential,
    };
    let (mut part, core, fatal) = part_of(history, counterexample);
    let told = crate::with_model!(spec.model, M => told::<M>(&mut part, spec, property, &core, fatal));
    let family = Family::of(spec.model);
    let initial = spec.initial.clone().unwrap_or(Value::Null);
    let scene = Scene::new(&part, &told.core, Base::from(property), Reading::of(spec), &initial);
    let (graph, circle) = reasons::reasons(&scene);
    let finding = classify::classify(&scene, &graph, circle.as_ref());
    let (edges, around) = match &circle {
        Some(circle) => graph.number(circle, &scene.labels, &scene.invoke, |a, b| scene.gap(a, b)),
        None => (Vec::new(), Vec::new()),
    };
    let blamed = fatal.and_then(|f| scene.position(f)).or_else(|| {
        let circle = circle.as_ref()?;
        Some(graph.reasons[*circle.around.last()?].from)
    });
    let ops = (0..told.core.len())
        .map(|at| core_op(&scene, at, told.texts[at].clone(), told.pure[at], blamed == Some(at)))
        .collect();
    let refused = finding.refused.into_iter().map(|op| refused_op(&scene, op)).collect();
    let mut anomaly = Anomaly {
        id,
        kind: finding.kind.to_string(),
        property: rung.name().to_string(),
        model: spec.model.name().to_string(),
        sentence: sentence(finding.kind, told.core.len(), spec.model),
        story: story::story(&scene, &finding, &told.texts, counterexample.minimal, blamed),
        key: key(&scene, family),
        minimal: counterexample.minimal,
        fingerprint: String::new(),
        ops,
        refused,
        edges,
        circle: around,
        without: told.without,
        orders: told.orders,
        orders_total: told.orders_total,
        states: told.states,
        coincides: Vec::new(),
    };
    if !rung.is_searched() {
        crate::ladder::retell(&mut anomaly, &mut part, spec, rung, &core);
    }
    anomaly.fingerprint = fingerprint::fingerprint(&anomaly);
    anomaly
}

/// The kind's sentence, with its slots filled.
fn sentence(kind: &str, ops: usize, model: ModelName) -> String {
    match crate::kinds::find(kind) {
        Some(kind) if kind.name != "generic" => kind.sentence.to_string(),
        _ => format!(
            "{} operations cannot be put in any order that the model {} allows",
            words::number(ops, false),
            model.name()
        ),
    }
}

/// The operations on the keys of the core alone, with the core and its fatal operation as indices into them. Ranks,
/// lines and times stay those of the whole history.
fn part_of(history: &History, counterexample: &Counterexample) -> (History, Vec<u32>, Option<u32>) {
    let core: Vec<u32> =
        counterexample.core.iter().copied().filter(|&i| (i as usize) < history.ops.len()).collect();
    let mut keys: Vec<ValueId> = core.iter().map(|&i| history.ops[i as usize].key).collect();
    keys.sort_unstable();
    keys.dedup();
    let kept: Vec<u32> = (0..history.ops.len() as u32)
        .filter(|&i| keys.binary_search(&history.ops[i as usize].key).is_ok())
        .collect();
    let part = History {
        ops: kept.iter().map(|&i| history.ops[i as usize]).collect(),
        values: history.values.clone(),
        processes: history.processes.clone(),
        ranks: history.ranks,
        source: history.source.clone(),
        ..History::default()
    };
    let moved = |i: u32| kept.binary_search(&i).ok().map(|at| at as u32);
    let mut core: Vec<u32> = core.iter().filter_map(|&i| moved(i)).collect();
    core.sort_unstable();
    (part, core, counterexample.fatal.and_then(moved))
}

/// What the model says about a core.
#[derive(Default)]
struct Told {
    /// The core with its support, as far as it constrains anything.
    core: Vec<u32>,
    /// Each operation as a person reads it.
    texts: Vec<String>,
    /// Whether each operation only observes.
    pure: Vec<bool>,
    orders: Vec<OrderRow>,
    orders_total: u64,
    /// Labels of those without each of which the rest has an order.
    without: Vec<String>,
    states: Vec<StateSpan>,
}

fn told<M: Specified>(
    part: &mut History,
    spec: &Spec,
    property: Property,
    core: &[u32],
    fatal: Option<u32>,
) -> Told {
    let initial = spec.initial.clone().unwrap_or(Value::Null);
    let noun = facts::noun(spec.model);
    // Whoever found the counterexample built the same problems; without one, the operations speak for themselves.
    let Ok(built) = build::<M>(part, spec) else {
        let texts = core.iter().map(|&i| plain(part, &part.ops[i as usize])).collect();
        let pure = vec![false; core.len()];
        return Told { core: core.to_vec(), texts, pure, ..Told::default() };
    };
    let supported = {
        let scene = Scene::new(part, core, Base::from(property), Reading::of(spec), &initial);
        let mut supported = core.to_vec();
        supported.extend(scene.support());
        supported.sort_unstable();
        supported.dedup();
        supported
    };
    match one_object(built, core) {
        Ok((problem, keys)) => {
            let name = name(part, &keys, noun);
            tell(part, &problem, property, core, fatal, &supported, &name, Reading::of(spec))
        }
        Err(built) => {
            let problem: Problem<Keyed<M>> = built.joined(|keys| name(part, keys, noun));
            tell(part, &problem, property, core, fatal, &supported, noun, Reading::of(spec))
        }
    }
}

/// The one object that holds the whole core, or all of them back.
fn one_object<M: Model>(mut built: Built<M>, core: &[u32]) -> Result<(Problem<M>, Vec<ValueId>), Built<M>> {
    let holds = |problem: &Problem<M>| {
        let sources: Vec<u32> = problem.ops.iter().map(|op| op.source).collect();
        core.iter().all(|source| sources.binary_search(source).is_ok())
    };
    match built.objects.iter().position(|object| holds(&object.problem)) {
        Some(at) => {
            let object = built.objects.swap_remove(at);
            Ok((object.problem, object.keys))
        }
        None => Err(built),
    }
}

fn name(part: &History, keys: &[ValueId], noun: &str) -> String {
    match keys {
        [key] => scene::object_name(part.values.get(*key)),
        _ => noun.to_string(),
    }
}

/// Projects the problem to the core with its support (to the core alone, should the support allow an order after all)
/// and tells its orders and states.
fn tell<M: Model>(
    part: &History,
    problem: &Problem<M>,
    property: Property,
    core: &[u32],
    fatal: Option<u32>,
    supported: &[u32],
    object: &str,
    reading: Reading,
) -> Told {
    // What was found was found in what was known at the fatal return. With everything that happened later, the model may
    // know more (an answer that still came), or have to keep more (what it has no rule to leave out).
    let cut = fatal.map(|fatal| until(problem, part.ops[fatal as usize].ret));
    let problems = || std::iter::once(problem).chain(&cut);
    let told = |core| {
        let proofs = problems().map(|problem| projected(part, problem, property, core, object, reading));
        let proofs: Vec<Told> = proofs.filter(|(_, legal)| !legal).map(|(told, _)| told).collect();
        // Whatever is least, but rather two than one: a read of what was written only later is told with that write. Of two
        // alike what was known in the end.
        proofs.into_iter().min_by_key(|told| told.core.len().max(2))
    };
    told(supported).or_else(|| told(core)).unwrap_or_else(|| {
        let (untold, _) = projected(part, problem, property, core, object, reading);
        untold
    })
}

/// What the projection to `core` tells, and whether it has a legal order after all: then it has no tables.
fn projected<M: Model>(
    part: &History,
    problem: &Problem<M>,
    property: Property,
    core: &[u32],
    object: &str,
    reading: Reading,
) -> (Told, bool) {
    let mut keep: Vec<bool> = problem.ops.iter().map(|op| core.contains(&op.source)).collect();
    let small = problem.model.project(&problem.ops, &mut keep, property);
    let core: Vec<u32> = small.ops.iter().map(|op| op.source).collect();
    let texts = small.ops.iter().map(|op| small.model.describe_op(&part.values, op.op)).collect();
    let pure = small.ops.iter().map(|op| small.model.is_pure(op.op)).collect();
    let mut told = Told { core, texts, pure, ..Told::default() };
    let base = Base::from(property);
    if let Some(world) = World::new(&small, &part.values, &told.core, base, object.to_string()) {
        let labels: Vec<String> = (0..told.core.len()).map(scene::label).collect();
        let earlier = has_a_past(part, &told.core, reading);
        let orders = orders::orders(&world, &labels, earlier);
        if orders.legal {
            return (told, true);
        }
        (told.orders, told.orders_total) = (orders.rows, orders.total);
        if told.core.len() <= orders::COMPLETE_OPS {
            let legal = |left_out: &usize| {
                let rest = small.ops.iter().enumerate().filter(|(at, _)| at != left_out).map(|(_, op)| *op);
                let rest = Problem { model: small.model.clone(), ops: rest.collect() };
                World::new(&rest, &part.values, &told.core, base, object.to_string())
                    .is_some_and(|world| orders::orders(&world, &labels, earlier).legal)
            };
            told.without = (0..told.core.len()).filter(legal).map(scene::label).collect();
        }
        told.states = match base {
            Base::RealTime => states::states(&world, earlier),
            // Without real time there is no "between".
            Base::Program => Vec::new(),
        };
    }
    (told, false)
}

/// Whether something that the core leaves out may have changed the object before the core's first return.
fn has_a_past(part: &History, core: &[u32], reading: Reading) -> bool {
    let first = core.iter().map(|&i| part.ops[i as usize].ret).min().unwrap_or(0);
    facts::facts(part, core, reading).iter().any(|f| {
        f.happened != Happened::No
            && f.act.changes()
            && !core.contains(&f.op)
            && part.ops[f.op as usize].invoke < first
    })
}

/// An operation without a model: its function and its values.
fn plain(part: &History, op: &Op) -> String {
    let value =
        |id: ValueId| if id == ValueId::NULL { String::new() } else { format!(" {}", part.values.get(id)) };
    let answer = if op.outcome == Outcome::Ok && op.output != op.input && op.output != ValueId::NULL {
        format!(" →{}", value(op.output))
    } else {
        String::new()
    };
    format!("{}{}{answer}", part.values.get(op.f), value(op.input))
}

/// The key that the whole core is about, as text.
fn key(scene: &Scene<'_>, family: Family) -> Option<String> {
    let mut keys: Vec<ValueId> = (0..scene.core.len()).map(|at| scene.op(at).key).collect();
    if family == Family::Register && keys.iter().all(|&k| k == ValueId::NULL) {
        keys = scene.core_facts().map(|(_, f)| f.key).collect();
    }
    keys.sort_unstable();
    keys.dedup();
    match keys[..] {
        [key] if key != ValueId::NULL => Some(plain_text(scene.history.values.get(key))),
        _ => None,
    }
}

fn core_op(scene: &Scene<'_>, at: usize, text: String, pure: bool, fatal: bool) -> CoreOp {
    let op = scene.op(at);
    let observes = scene
        .core_facts()
        .any(|(position, f)| position == at && f.happened == Happened::Yes && f.act.observes());
    let role =
        if (observes || pure) && op.outcome != Outcome::Info { Role::Observation } else { Role::Support };
    CoreOp { fatal, role, ..shown_op(scene, op, scene.labels[at].clone(), text) }
}

/// An operation outside the core that was refused.
fn refused_op(scene: &Scene<'_>, op: u32) -> CoreOp {
    let op = &scene.history.ops[op as usize];
    shown_op(scene, op, scene::label(scene.core.len()), plain(scene.history, op))
}

fn shown_op(scene: &Scene<'_>, op: &Op, label: String, text: String) -> CoreOp {
    let some =
        |id: ValueId| if id == ValueId::NULL { None } else { Some(plain_text(scene.history.values.get(id))) };
    let time = |t: i64| if t == NO_TIME { None } else { Some(t) };
    CoreOp {
        label,
        role: Role::Support,
        process: scene.history.processes.get(op.process as usize).copied().unwrap_or(i64::from(op.process)),
        node: some(op.node),
        f: some(op.f).unwrap_or_default(),
        key: some(op.key),
        text,
        outcome: match op.outcome {
            Outcome::Ok => "ok",
            Outcome::Fail => "fail",
            Outcome::Info => "info",
        }
        .to_string(),
        error: some(op.error),
        invoke: op.invoke,
        ret: if op.ret == NEVER { None } else { Some(op.ret) },
        invoke_time: time(op.invoke_time),
        ret_time: time(op.ret_time),
        invoke_line: op.invoke_line,
        ret_line: if op.ret_line == 0 { None } else { Some(op.ret_line) },
        fatal: false,
    }
}
