//! The stage: a running cluster with a recorder, sessions and faults, to be played on by a scheduler or a script.

use super::desk::{Desk, FaultId, HEAL_MAX, Hit};
use super::logs::LogWatch;
use super::recorder::{Recorder, Watch};
use super::worker::{Answer, Common, Job, Processes, Worker};
use crate::client::{Place, Running, Start, System};
use history::Call;
use history::results::FaultRecord;
use nemesis::{Fault, NodeState};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use workloads::Workload;

/// What a stage is set up with.
#[derive(Clone)]
pub struct StageConfig {
    /// The system under test.
    pub system: &'static dyn System,
    /// Its options.
    pub with: Vec<(String, String)>,
    /// What its clients will do.
    pub workload: &'static dyn Workload,
    /// How many nodes.
    pub nodes: usize,
    /// How many workers there are from the beginning; worker `w` talks to node `w` modulo nodes.
    pub concurrency: usize,
    /// How long a call may take unless it says otherwise.
    pub op_timeout: Duration,
    /// How long a call stays open after its deadline.
    pub grace: Duration,
    /// Where its nodes are.
    pub place: Place,
    /// The seed of the cluster.
    pub seed: u64,
}

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StageError {
    /// The cluster could not be set up, reached or healed: exit code 69.
    Cluster(String),
    /// The history or a log could not be written: exit code 74.
    Write(String),
}

impl std::fmt::Display for StageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StageError::Cluster(error) | StageError::Write(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for StageError {}

/// A session with a node: a worker, which is one process after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub usize);

/// What a run leaves behind.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The history file.
    pub history: PathBuf,
    /// What was done to the cluster.
    pub faults: Vec<FaultRecord>,
    /// What it was aimed at.
    pub hits: Vec<Hit>,
    /// What a reader of the report should know, one sentence each: triggers that fired, calls that were given up …
    pub notes: Vec<String>,
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// Version of the system.
    pub version: String,
    /// What the wall clock said at time zero: nanoseconds since 1970.
    pub zero: i64,
    /// By how many nanoseconds the clocks of nodes with clocks of their own were ahead of ours.
    pub ahead: Vec<(String, i64)>,
    /// How far on the next process of a worker is.
    pub stride: i64,
    /// Whether somebody ended the run early.
    pub interrupted: bool,
    /// Why the cluster could not be healed, if it could not.
    pub unhealed: Option<String>,
}

/// A running cluster, its sessions and its faults. However it ends, everything is healed first.
///
/// ```text
/// let stage = Stage::start(&config, &dir)?;
/// let (writer, reader) = (stage.open(0)?, stage.open(1)?);
/// stage.call(writer, write("x", 1), second).wait();
/// let cut = stage.inject(Box::new(Partition::new(Grudge::components(&[vec![0], vec![1, 2]]), 3)))?;
/// let watch = stage.watch();                                   // before whatever is to be seen
/// let late = stage.call(writer, write("x", 2), second);        // goes on by itself
/// while let Some(event) = watch.next(second) { … }             // an observed event, not a timer
/// stage.call(reader, read("x"), second).wait();
/// stage.heal(cut)?;
/// late.wait();
/// let record = stage.finish();
/// ```
pub struct Stage {
    running: Arc<dyn Running>,
    recorder: Arc<Recorder>,
    desk: Arc<Desk>,
    logs: LogWatch,
    common: Arc<Common>,
    workers: Mutex<Vec<Hand>>,
    history: PathBuf,
    op_timeout: Duration,
    workload: &'static dyn Workload,
    interrupted: bool,
    unhealed: Option<String>,
}

/// The stage's end of a worker. Dropping `jobs` ends it.
struct Hand {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    node: usize,
    process: i64,
}

/// A call that is under way.
pub struct Handle {
    answer: Receiver<Answer>,
}

impl Handle {
    /// What becomes of it, at its deadline at the latest. `None` only if its worker is gone.
    pub fn wait(self) -> Option<Answer> {
        self.answer.recv().ok()
    }

    /// What became of it, if it is over by then.
    pub fn wait_for(&self, timeout: Duration) -> Option<Answer> {
        self.answer.recv_timeout(timeout).ok()
    }
}

impl Stage {
    /// Starts the cluster, with its files and the history in `dir`, and the workers, whose sessions are opened at
    /// their first call.
    pub fn start(config: &StageConfig, dir: &Path) -> Result<Stage, StageError> {
        let history = dir.join("history.jsonl");
        let file = File::create(&history)
            .map_err(|error| StageError::Write(format!("{}: creating: {error}", history.display())))?;
        let start = Start {
            nodes: config.nodes,
            with: &config.with,
            workload: config.workload.name(),
            dir,
            seed: config.seed,
            place: &config.place,
        };
        let running = config.system.start(&start).map_err(StageError::Cluster)?;
        let running: Arc<dyn Running> = Arc::from(running);
        let recorder = Arc::new(Recorder::new(file));
        let common = Arc::new(Common {
            nodes: running.cluster().nodes().to_vec(),
            running: running.clone(),
            recorder: recorder.clone(),
            processes: Mutex::new(Processes::new(config.concurrency)),
            reads: config.workload.reads().iter().map(|f| f.to_string()).collect(),
            grace: config.grace,
            late: AtomicUsize::new(0),
            late_threads: Mutex::default(),
            notes: Mutex::default(),
        });
        let desk = Arc::new(Desk::new(running.shared(), recorder.clone()));
        let logs = LogWatch::new(running.clone(), desk.clone());
        let stage = Stage {
            running,
            recorder,
            desk,
            logs,
            common,
            workers: Mutex::default(),
            history,
            op_timeout: config.op_timeout,
            workload: config.workload,
            interrupted: false,
            unhealed: None,
        };
        for worker in 0..config.concurrency {
            stage.add_worker(worker % config.nodes)?;
        }
        Ok(stage)
    }

    fn workers(&self) -> MutexGuard<'_, Vec<Hand>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add_worker(&self, node: usize) -> Result<Session, StageError> {
        let mut workers = self.workers();
        let number = workers.len();
        let process = {
            let mut processes = self.common.processes.lock().unwrap_or_else(PoisonError::into_inner);
            processes.first(number as i64)
        };
        let worker = Worker::new(number, node, process, self.common.clone());
        let (jobs, inbox) = channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker {number}"))
            .spawn(move || worker.work(&inbox))
            .map_err(|error| StageError::Cluster(format!("starting a worker: {error}")))?;
        workers.push(Hand { jobs: Some(jobs), thread: Some(thread), node, process });
        Ok(Session(number))
    }

    /// A new worker for sessions with `node`, the first of which is opened at its first call.
    pub fn session(&self, node: usize) -> Result<Session, StageError> {
        self.add_worker(node)
    }

    /// A new session with `node`, opened now, for a worker of its own.
    pub fn open(&self, node: usize) -> Result<Session, StageError> {
        let session = self.add_worker(node)?;
        let (reply, opened) = channel();
        self.send(session, Job::Open(self.op_timeout, reply));
        let name = self.common.nodes.get(node).map_or("?", String::as_str);
        match opened.recv() {
            Ok(Ok(_)) => Ok(session),
            Ok(Err(error)) => {
                self.close(session);
                Err(StageError::Cluster(format!("{name}: opening a session: {error}")))
            }
            Err(_) => Err(StageError::Cluster(format!("{name}: opening a session: its worker is gone"))),
        }
    }

    /// From now on the next line of a node's log that holds `text` becomes an event `log` of the history, once: what
    /// `Trigger::Logged` hears.
    pub fn want_log(&self, text: &str) -> Result<(), StageError> {
        self.logs.want(text).map_err(|why| StageError::Cluster(format!("reading the logs: {why}")))
    }

    /// Closes a session after its calls. Its worker does nothing more.
    pub fn close(&self, session: Session) {
        if let Some(hand) = self.workers().get_mut(session.0) {
            hand.jobs = None;
        }
    }

    fn send(&self, session: Session, job: Job) {
        // A job for a closed session is dropped, and whoever waits for its answer is told so by the channel.
        if let Some(jobs) = self.workers().get(session.0).and_then(|h| h.jobs.as_ref()) {
            let _ = jobs.send(job);
        }
    }

    /// Makes a call on a session, after the calls that it was given before; `timeout` counts from when it is sent.
    /// Does not wait.
    pub fn call(&self, session: Session, call: Call, timeout: Duration) -> Handle {
        let (reply, answer) = channel();
        self.send(session, Job::Call(call, timeout, None, reply));
        Handle { answer }
    }

    /// The same, with the answer sent to `reply`, and when it was meant to be made written into the history.
    pub fn call_to(
        &self,
        session: Session,
        call: Call,
        timeout: Duration,
        due: Option<i64>,
        reply: &Sender<Answer>,
    ) {
        self.send(session, Job::Call(call, timeout, due, reply.clone()));
    }

    /// Hears every event from now on.
    pub fn watch(&self) -> Watch {
        self.recorder.watch()
    }

    /// Injects a fault. Whether it bites is asked by [`Stage::prove`].
    pub fn inject(&self, fault: Box<dyn Fault>) -> Result<FaultId, StageError> {
        self.desk.inject(fault).map_err(StageError::Cluster)
    }

    /// Whether a fault is seen to bite within `timeout`. The evidence is in the history and the records.
    pub fn prove(&self, fault: FaultId, timeout: Duration) -> Result<bool, StageError> {
        self.desk.prove_within(fault, timeout).map_err(StageError::Cluster)
    }

    /// Heals a fault and waits until that is seen.
    pub fn heal(&self, fault: FaultId) -> Result<(), StageError> {
        self.desk.heal(fault).map_err(StageError::Cluster)
    }

    /// Heals everything and waits until that is seen.
    pub fn heal_all(&self) -> Result<(), StageError> {
        self.desk.heal_all(HEAL_MAX).map_err(StageError::Cluster)
    }

    /// Writes a trigger that fired into the history, and into the notes.
    pub fn trigger(&self, fault: Option<FaultId>, words: &str) {
        self.desk.event("trigger", fault, words);
        let seconds = self.recorder.now() as f64 / 1e9;
        self.common.note(format!("At {seconds:.3} s a trigger fired: {words}."));
    }

    /// Something that a reader of the report should know.
    pub fn note(&self, note: impl Into<String>) {
        self.common.note(note.into());
    }

    /// Who takes himself for primary now, with his term. Paused, dead and unreachable nodes are left out.
    pub fn primaries(&self) -> Vec<(usize, u64)> {
        let cluster = self.running.cluster();
        let running = |n: &usize| matches!(cluster.state(*n), Ok(NodeState::Running));
        let role = |n: usize| Some((n, cluster.role(n).ok()??));
        let roles = (0..cluster.nodes().len()).filter(running).filter_map(role);
        roles.filter(|(_, r)| r.primary).map(|(n, r)| (n, r.term)).collect()
    }

    /// The faults.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// The recorder, for its clock and its counts.
    pub fn recorder(&self) -> &Arc<Recorder> {
        &self.recorder
    }

    /// The cluster.
    pub fn running(&self) -> &dyn Running {
        &*self.running
    }

    /// What clients do here.
    pub fn workload(&self) -> &'static dyn Workload {
        self.workload
    }

    /// How long a call may take.
    pub fn op_timeout(&self) -> Duration {
        self.op_timeout
    }

    /// The workers: session, node, first process.
    pub fn sessions(&self) -> Vec<(Session, usize, i64)> {
        self.workers().iter().enumerate().map(|(w, h)| (Session(w), h.node, h.process)).collect()
    }

    /// Says in the record that somebody ended the run early.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Heals everything, closes all sessions after their open calls, ends the cluster, and says what was done.
    pub fn finish(mut self) -> RunRecord {
        self.shut();
        self.running.end().into_iter().for_each(|note| self.common.note(note));
        let notes = self.common.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        RunRecord {
            history: self.history.clone(),
            faults: self.desk.records(),
            hits: self.desk.hits(),
            notes,
            nodes: self.common.nodes.clone(),
            version: self.running.version(),
            zero: crate::control::clock::unix_ns(self.recorder.zero()),
            ahead: self.running.ahead(),
            stride: self.common.processes.lock().unwrap_or_else(PoisonError::into_inner).stride(),
            interrupted: self.interrupted,
            unhealed: self.unhealed.clone(),
        }
    }

    /// May be called again.
    fn shut(&mut self) {
        if let Err(StageError::Cluster(error) | StageError::Write(error)) = self.heal_all() {
            self.unhealed = Some(error);
        }
        let mut threads: Vec<JoinHandle<()>> = Vec::new();
        for hand in self.workers().iter_mut() {
            hand.jobs = None;
            threads.extend(hand.thread.take());
        }
        // Every call has a deadline, and every open one ends with its grace time: these joins are bounded.
        for thread in threads {
            let _ = thread.join();
        }
        let late =
            std::mem::take(&mut *self.common.late_threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in late {
            let _ = thread.join();
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shut();
    }
}

/// How long until `end`; zero after it.
pub(super) fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}
