//! Plays a case: starts its cluster, does what its script says, judges what the clients saw, and keeps all of it.

use super::case::{Case, Got, Script};
use super::scene::{self, Scene};
use super::table::Outcome;
use crate::client::{LabPlace, Place, System};
use crate::conclude::{self, Purpose, stage_failure, unwritten};
use crate::exit::{self, Failure};
use crate::judging::{self, Background, Question};
use crate::run::{ProgressMode, RunConfig, RunRecord, Stage, StageConfig, Thresholds, run};
use crate::signals::Signals;
use crate::store::Run;
use crate::{environment, subject, systems};
use checker::Rung;
use history::results::{Answer, RunInfo, Verdict};
use history::{ReadOptions, read_file};
use std::path::Path;
use std::time::{Duration, Instant};
use workloads::{Rng, Workload};

/// Time for judging each property.
const JUDGING: Duration = Duration::from_secs(60);

/// How long a request may take, unless its script says otherwise.
const OP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a case is made of, looked up.
struct Parts {
    system: &'static dyn System,
    workload: &'static dyn Workload,
    with: Vec<(String, String)>,
    question: Question,
}

/// What playing a case came to, before it is judged for good.
struct Played {
    record: RunRecord,
    rounds: u32,
    seen: Vec<&'static str>,
    /// Why the script could not go on, if it could not.
    error: Option<String>,
}

/// Plays `case`, with all its choices drawn from `seed`, and keeps its runs under `store`.
///
/// # Errors
/// The cluster could not be started (69), or the store not be written (74). Whatever the case itself gives is in the
/// outcome, an interruption too.
pub fn play(case: &'static Case, seed: u64, store: &Path, signals: &Signals) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let parts = parts(case)?;
    let mut runs = 1;
    loop {
        // The same choices would test too little again.
        let chosen = if runs == 1 { seed } else { Rng::stream(seed, &format!("again {runs}")).any() >> 16 };
        let (mut outcome, again) = attempt(case, &parts, chosen, store, signals)?;
        if !again || runs == case.script.bound() || signals.stopped() {
            outcome.rounds = outcome.rounds.max(runs);
            outcome.took = started.elapsed();
            return Ok(outcome);
        }
        runs += 1;
    }
}

/// One run of a case, and whether it says too little about the system to be the last one.
fn attempt(
    case: &'static Case,
    parts: &Parts,
    seed: u64,
    store: &Path,
    signals: &Signals,
) -> Result<(Outcome, bool), Failure> {
    let kept = Run::create(store, "casebook", case.name).map_err(|error| unwritten(&error))?;
    let _held = kept.hold().map_err(|error| unwritten(&error))?;
    kept.write_config(&config_text(case, seed)).map_err(|error| unwritten(&error))?;
    let info = info(case, seed, parts)?;
    let (played, alone) = match case.script {
        Script::Rounds { bound, round } => (rounds(case, parts, seed, &kept, signals, bound, round)?, false),
        Script::Once(script) => (rounds(case, parts, seed, &kept, signals, 1, script)?, true),
        Script::Test { seconds } => {
            let config = test_config(case, parts, seed, seconds);
            let record = run(&config, kept.dir(), &signals.stop).map_err(stage_failure)?;
            (Played { record, rounds: 1, seen: Vec::new(), error: None }, true)
        }
    };
    let (unhealed, interrupted) = (played.record.unhealed.clone(), played.record.interrupted);
    let thresholds = Thresholds::default();
    let purpose = Purpose {
        workload: parts.workload,
        nemesis: case.faults,
        thresholds: (case.expected.linearizable == Answer::Holds).then_some(&thresholds),
        question: parts.question.clone(),
        info,
    };
    let concluded = conclude::conclude(&kept, played.record, purpose, &signals.skip, true)?;
    if let Some(failure) = concluded.unwritten {
        return Err(failure);
    }
    let results = concluded.results;
    let Got { text, mut wrong } = case.compare(&results, &played.seen);
    let again = alone && unhealed.is_none() && results.verdict == Verdict::Vacuous;
    if interrupted {
        wrong = vec!["interrupted".to_string()];
    }
    wrong.extend(played.error.filter(|_| !interrupted));
    wrong.extend(unhealed.map(|error| format!("not healed: {error}")));
    let outcome = Outcome {
        case: case.name,
        expected: case.expected.text(),
        got: text,
        wrong,
        rounds: played.rounds,
        bound: case.script.bound(),
        took: Duration::ZERO,
        version: results.run.as_ref().map_or(String::new(), |run| run.version.clone()),
        report: kept.report(),
    };
    Ok((outcome, again))
}

fn parts(case: &Case) -> Result<Parts, Failure> {
    let unknown = |what: &str, name: &str| {
        Failure::new(exit::BUG, format!("case {}: there is no {what} {name}", case.name))
    };
    let system = systems::find(case.system).ok_or_else(|| unknown("system", case.system))?;
    let workload = workloads::find(case.workload).ok_or_else(|| unknown("workload", case.workload))?;
    let mut question = conclude::question(workload, JUDGING)?;
    question.asked = vec![Rung::Linearizable];
    question.asked.extend(case.expected.sequential.map(|_| Rung::Sequential));
    Ok(Parts { system, workload, with: case.options(), question })
}

/// Rounds until the history shows what is expected, or the bound is reached.
fn rounds(
    case: &'static Case,
    parts: &Parts,
    seed: u64,
    kept: &Run,
    signals: &Signals,
    bound: u32,
    round: fn(&mut Scene) -> Result<(), String>,
) -> Result<Played, Failure> {
    let config = StageConfig {
        place: place(case, parts.system),
        system: parts.system,
        with: parts.with.clone(),
        workload: parts.workload,
        nodes: case.nodes,
        concurrency: 0,
        op_timeout: OP_TIMEOUT,
        grace: scene::GRACE,
        seed: Rng::stream(seed, "system").any(),
    };
    let mut stage = Stage::start(&config, kept.dir()).map_err(stage_failure)?;
    let mut scene = Scene::new(case, &stage, &signals.stop);
    let mut error = None;
    for number in 1..=bound {
        scene.begin();
        let played = round(&mut scene);
        error = played.and(scene.end()).err();
        // A round that went wrong has caught nothing; the next one may.
        let over = number == bound || signals.stopped();
        if over || (error.is_none() && caught(case, parts, kept, &scene, signals)?) {
            break;
        }
    }
    let (rounds, seen) = (scene.round(), scene.seen().to_vec());
    if signals.stopped() {
        stage.interrupt();
    }
    Ok(Played { record: stage.finish(), rounds, seen, error })
}

/// Whether the history so far shows what the case expects.
fn caught(case: &Case, parts: &Parts, kept: &Run, scene: &Scene, signals: &Signals) -> Result<bool, Failure> {
    let options = ReadOptions { own: true, allow_truncated: true, ..ReadOptions::default() };
    let mut history = read_file(kept.history(), &options).map_err(subject::read_failure)?;
    let background = Background { faults: scene.faults(), ..Background::default() };
    let results = judging::judge(&mut history, &parts.question, background, &signals.stop, true)?.results;
    Ok(case.compare(&results, scene.seen()).wrong.is_empty())
}

/// Why a case cannot be played on this machine, and what would help; nothing if it can.
pub fn lack(case: &Case) -> Option<String> {
    if !case.real() {
        return None;
    }
    crate::control::lab::able().err().or_else(|| systems::lack(systems::find(case.system)?, &case.options()))
}

/// Where the nodes of a case are: a real system has a lab of its own, with disks if one is to lose power.
fn place(case: &Case, system: &dyn System) -> Place {
    let disk = case.faults.contains(&"power");
    if system.needs_nodes() { Place::Lab(LabPlace { disk, ..LabPlace::default() }) } else { Place::Here }
}

fn test_config(case: &Case, parts: &Parts, seed: u64, seconds: u64) -> RunConfig {
    RunConfig {
        with: parts.with.clone(),
        nodes: case.nodes,
        concurrency: 5 * case.nodes,
        rate: 300.0,
        // What people run takes longer to answer, to elect and to recover than a specimen.
        op_timeout: Duration::from_millis(if case.real() { 1000 } else { 200 }),
        time_limit: Duration::from_secs(seconds),
        nemesis: case.faults.iter().filter_map(|kind| nemesis::Wanted::plain(kind)).collect(),
        nemesis_interval: Duration::from_millis(if case.real() { 4000 } else { 1500 }),
        place: place(case, parts.system),
        progress: ProgressMode::Quiet,
        ..RunConfig::new(parts.system, parts.workload, seed)
    }
}

/// The command that plays it again: the first repetition of a casebook has the casebook's own seed.
fn command(case: &Case, seed: u64) -> String {
    format!("perjury casebook {} --seed {seed}", case.name)
}

fn config_text(case: &Case, seed: u64) -> String {
    let mut table = toml::Table::new();
    for (key, value) in [("case", case.name), ("system", case.system), ("workload", case.workload)] {
        table.insert(key.to_string(), value.into());
    }
    table.insert("nodes".to_string(), toml::Value::Integer(case.nodes as i64));
    // TOML has no unsigned numbers; a seed beyond theirs is written as text.
    let number =
        i64::try_from(seed).map_or_else(|_| toml::Value::String(seed.to_string()), toml::Value::Integer);
    table.insert("seed".to_string(), number);
    let with: toml::Table = case.options().into_iter().map(|(key, value)| (key, value.into())).collect();
    table.insert("with".to_string(), with.into());
    format!("# Run it again: {}\n{table}", command(case, seed))
}

fn info(case: &Case, seed: u64, parts: &Parts) -> Result<RunInfo, Failure> {
    let bug = |error| Failure::new(exit::BUG, format!("case {}: {error}", case.name));
    let mut config =
        vec![("case".to_string(), case.name.to_string()), ("nodes".to_string(), case.nodes.to_string())];
    config.extend(case.options());
    Ok(RunInfo {
        system: case.system.to_string(),
        version: String::new(),
        claims: parts.system.claim(&parts.with).map_err(bug)?.text,
        workload: case.workload.to_string(),
        nodes: Vec::new(),
        seed,
        started: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        zero: None,
        ahead: Vec::new(),
        stride: None,
        interrupted: false,
        config,
        command: command(case, seed),
        environment: environment::facts(),
        notes: vec![format!("{}.", case.about)],
    })
}
