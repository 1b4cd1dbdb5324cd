//! One run: clients, faults and the recorder, on one thread each, around one scheduler loop.
//!
//! ```text
//!   run(config)                          a casebook script
//!       │ scheduler ── generator             │
//!       │ nemesis ──── schedule              │
//!       └──────────────┬─────────────────────┘
//!                    Stage ── workers (one per session) ── Client ──▶ system
//!                      │  └── desk ── journal ── Cluster ──▶ system
//!                      └── Recorder ──▶ history.jsonl
//! ```

mod desk;
#[cfg(test)]
mod fake;
mod keys;
mod logs;
mod nemesis;
mod progress;
mod recorder;
mod scheduler;
mod stage;
#[cfg(test)]
mod tests;
mod vacuity;
mod worker;

pub use desk::FaultId;
pub use progress::{Progress, ProgressMode};
pub use stage::{Handle, RunRecord, Session, Stage, StageConfig, StageError};
pub use vacuity::{Thresholds, vacuous};

use crate::client::{Place, System};
use crate::follow::Watcher;
use ::nemesis::{Needs, Planned, Wanted, plan};
use checker::Spec;
use keys::{Keys, Wishes};
use recorder::Watch;
use scheduler::{Ended, Scheduler};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use workloads::{Options, Rng, Workload};

/// Everything that a run depends on. The names are those of the flags.
#[derive(Clone)]
pub struct RunConfig {
    /// The system under test.
    pub system: &'static dyn System,
    /// Its options.
    pub with: Vec<(String, String)>,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// How many nodes.
    pub nodes: usize,
    /// Where they are.
    pub place: Place,
    /// How many workers.
    pub concurrency: usize,
    /// Requests per second, all workers together; 0 means as fast as they go.
    pub rate: f64,
    /// Keys in use at the same time.
    pub keys: usize,
    /// Operations on each key.
    pub ops_per_key: u32,
    /// How long clients and faults go on.
    pub time_limit: Duration,
    /// How long a client waits for an answer.
    pub op_timeout: Duration,
    /// How long a call stays open after that.
    pub grace: Duration,
    /// Faults.
    pub nemesis: Vec<Wanted>,
    /// Mean time between two of them.
    pub nemesis_interval: Duration,
    /// The one seed.
    pub seed: u64,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// End at the first violation of linearizability under this specification.
    pub fail_fast: Option<Spec>,
    /// Tell violations of linearizability under this specification as they are proven, where somebody looks.
    pub watch: Option<Spec>,
}

impl RunConfig {
    /// What `perjury test SYSTEM WORKLOAD` does: all kinds of fault for 20 s, two workers a node.
    pub fn new(system: &'static dyn System, workload: &'static dyn Workload, seed: u64) -> RunConfig {
        let nodes = system.default_nodes();
        let kinds = ::nemesis::usual().iter().copied();
        RunConfig {
            system,
            with: Vec::new(),
            workload,
            nodes,
            place: Place::Here,
            concurrency: 2 * nodes,
            rate: 150.0,
            keys: workload.default_keys(),
            ops_per_key: workload.default_ops_per_key(),
            time_limit: Duration::from_secs(20),
            op_timeout: Duration::from_millis(500),
            grace: Duration::from_secs(2),
            nemesis: kinds
                .filter(|k| ::nemesis::nodes_min(k) <= nodes)
                .filter(|k| ::nemesis::needs(k) == Needs::Nothing || system.needs_nodes())
                .filter_map(Wanted::plain)
                .collect(),
            nemesis_interval: Duration::from_millis(2500),
            seed,
            progress: ProgressMode::Auto,
            fail_fast: None,
            watch: None,
        }
    }

    fn stage(&self) -> StageConfig {
        StageConfig {
            system: self.system,
            with: self.with.clone(),
            workload: self.workload,
            nodes: self.nodes,
            place: self.place.clone(),
            concurrency: self.concurrency,
            op_timeout: self.op_timeout,
            grace: self.grace,
            seed: Rng::stream(self.seed, "system").any(),
        }
    }

    fn schedule(&self) -> Vec<Planned> {
        let seed = Rng::stream(self.seed, "nemesis").any();
        plan(&self.nemesis, self.nodes, self.nemesis_interval, self.time_limit, seed)
    }
}

/// What watching may hold in memory for one search.
const LOOKOUT_BYTES: u64 = 256 << 20;

/// How long the last reads may take: a healed cluster answers at once.
const LAST_MAX: Duration = Duration::from_secs(15);

/// Starts the cluster, does everything that `config` says with its files in `dir`, heals, reads a last time, and ends
/// the cluster. `stop` ends it early, healed all the same, without the last reads.
///
/// # Errors
/// The cluster could not be started (69), or the history not be written (74). A cluster that could not be healed is no
/// error here, because its history is there to be judged: see [`RunRecord::unhealed`].
pub fn run(config: &RunConfig, dir: &Path, stop: &Arc<AtomicBool>) -> Result<RunRecord, StageError> {
    let path = dir.join("run.log");
    let log = File::create(&path)
        .map_err(|error| StageError::Write(format!("{}: creating: {error}", path.display())))?;
    let mut stage = Stage::start(&config.stage(), dir)?;
    let title = format!(
        "perjury test · {} {} ×{} · {} · {} clients · seed {}",
        config.system.name(),
        reports::clean_to(&stage.running().version(), 24),
        config.nodes,
        config.workload.name(),
        config.concurrency,
        config.seed
    );
    let wishes = Arc::new(Wishes::default());
    let progress = Progress::new(config.progress, title, config.time_limit, log, &wishes);
    let keys = if config.progress == ProgressMode::Quiet { None } else { Keys::listen(&wishes, stop) };
    if keys.is_some() {
        progress.with_keys();
    }
    let ended = play(config, &stage, &progress, stop);
    drop(keys);
    progress.clear();
    if ended == Ended::Stopped {
        stage.interrupt();
    }
    let recorder = stage.recorder().clone();
    let record = stage.finish();
    match recorder.error() {
        Some(error) => Err(StageError::Write(format!("{}: writing: {error}", record.history.display()))),
        None => Ok(record),
    }
}

fn play(config: &RunConfig, stage: &Stage, progress: &Progress, stop: &AtomicBool) -> Ended {
    let options = Options {
        keys: config.keys,
        ops_per_key: config.ops_per_key,
        read_share: config.workload.default_read_share(),
        workers: config.concurrency,
    };
    let mut plan = config.workload.plan(&options, Rng::stream(config.seed, "workload").any());
    if config.rate > 0.0 {
        plan.main = Box::new(workloads::stagger(Rng::stream(config.seed, "rate"), config.rate, plan.main));
    }
    let mut scheduler = Scheduler::new(stage, progress);
    let quiet = AtomicBool::new(false);
    let caught = AtomicBool::new(false);
    let enough = || progress.wishes().enough.load(Ordering::SeqCst);
    let halt = || stop.load(Ordering::SeqCst) || caught.load(Ordering::SeqCst) || enough();
    // Judging takes processor time from the run, so where nobody waits for it, nothing is judged before the end.
    let told = config.watch.as_ref().filter(|_| config.progress.in_place());
    let watched = config.fail_fast.as_ref().or(told).map(|spec| (spec, stage.watch()));
    let ended = std::thread::scope(|scope| {
        if let Some((spec, events)) = watched {
            let (quiet, caught) = (&quiet, config.fail_fast.is_some().then_some(&caught));
            scope.spawn(move || lookout(stage, &events, spec, quiet, caught, progress));
        }
        let haunting = scope.spawn(|| nemesis::haunt(stage, config.schedule(), &quiet, progress));
        // However the loop ends, a panic included, the nemesis is told to leave.
        let _leave = SetOnDrop(&quiet);
        let ended = scheduler.run(&mut plan.main, config.time_limit, &halt);
        quiet.store(true, Ordering::SeqCst);
        progress.phase("healing");
        if haunting.join().is_err() {
            stage.note("The nemesis panicked; everything that it had done was healed.");
        }
        ended
    });
    let ended = match ended {
        Ended::Stopped if !stop.load(Ordering::SeqCst) && caught.load(Ordering::SeqCst) => Ended::Caught,
        Ended::Stopped if !stop.load(Ordering::SeqCst) => {
            let seconds = stage.recorder().now() as f64 / 1e9;
            stage.note(format!("Somebody ended the run at {seconds:.1} s, to have it judged."));
            Ended::TimeUp
        }
        ended => ended,
    };
    // An error is in the records, and found again when the stage is left.
    let healed = stage.heal_all();
    let idle = scheduler.drain(&mut plan.main, config.op_timeout + Duration::from_secs(2));
    match (ended, healed, idle) {
        (Ended::Done | Ended::TimeUp, Ok(()), true) => {
            progress.phase("final reads");
            let last = scheduler.run(&mut plan.last, LAST_MAX, &|| stop.load(Ordering::SeqCst));
            scheduler.drain(&mut plan.last, config.op_timeout + Duration::from_secs(2));
            match last {
                Ended::Done => ended,
                Ended::TimeUp => {
                    stage.note(format!("The last reads were cut off after {} s.", LAST_MAX.as_secs()));
                    ended
                }
                Ended::Stopped | Ended::Caught | Ended::Broken => last,
            }
        }
        (Ended::Done | Ended::TimeUp, Err(_), _) => ended,
        (Ended::Done | Ended::TimeUp, Ok(()), false) => {
            stage.note("A call did not end by its deadline, so there were no last reads.");
            ended
        }
        (Ended::Stopped | Ended::Caught | Ended::Broken, _, _) => ended,
    }
}

/// Judges what is recorded while it is recorded, and tells violations; with `caught`, ends the run at the first.
fn lookout(
    stage: &Stage,
    events: &Watch,
    spec: &Spec,
    quiet: &AtomicBool,
    caught: Option<&AtomicBool>,
    progress: &Progress,
) {
    let mut watcher = Watcher::new(spec.clone(), LOOKOUT_BYTES, quiet);
    while !quiet.load(Ordering::SeqCst) {
        let found = match events.next(Duration::from_millis(100)) {
            Some(event) => {
                progress.checked(event.time);
                watcher.take(&event)
            }
            None => watcher.quiet(),
        };
        if let Some(found) = found {
            progress.found(&found);
            let Some(caught) = caught else { continue };
            let seconds = stage.recorder().now() as f64 / 1e9;
            let of = found.key.map_or(String::new(), |key| format!(" (key {key})"));
            stage.note(format!(
                "Stopped at {seconds:.1} s, because a violation was proven: {}{of}.",
                found.sentence
            ));
            caught.store(true, Ordering::SeqCst);
            return;
        }
    }
}

/// Sets a flag when it goes out of scope.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
