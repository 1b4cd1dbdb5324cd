//! A worker: one thread that is one process after the other, each for one session with one node.

use super::recorder::{Recorder, Unwritten};
use crate::client::{Client, Running};
use history::{Call, Completion, Event, Kind, Value};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What all workers of a stage share.
pub(super) struct Common {
    pub(super) running: Arc<dyn Running>,
    pub(super) recorder: Arc<Recorder>,
    pub(super) nodes: Vec<String>,
    pub(super) processes: Mutex<Processes>,
    /// Functions without effect: one that was not answered did not happen.
    pub(super) reads: Vec<String>,
    /// How long a call stays open after its deadline.
    pub(super) grace: Duration,
    /// Calls that are waited for beyond their deadline.
    pub(super) late: AtomicUsize,
    pub(super) late_threads: Mutex<Vec<JoinHandle<()>>>,
    pub(super) notes: Mutex<Vec<String>>,
}

/// How many calls may be waited for beyond their deadlines at a time. Each costs a thread.
const LATE_MAX: usize = 256;

/// Numbers of processes; none is used twice.
pub(super) struct Processes {
    taken: HashSet<i64>,
    stride: i64,
}

impl Processes {
    /// Processes whose successors are one stride further on, so that a worker can be told from its processes: a power of
    /// ten with room for sessions beside those `workers`. With six workers, 203 is the third process of worker 3.
    pub(super) fn new(workers: usize) -> Processes {
        let room = 2 * workers as i64 + 20;
        let powers = std::iter::successors(Some(100_i64), |stride| stride.checked_mul(10));
        Processes {
            taken: HashSet::new(),
            stride: powers.into_iter().find(|stride| *stride >= room).unwrap_or(room),
        }
    }

    /// How far on the next process of a worker is.
    pub(super) fn stride(&self) -> i64 {
        self.stride
    }

    /// The first number from `from` on that is free, in steps of one.
    pub(super) fn first(&mut self, from: i64) -> i64 {
        let mut process = from;
        while !self.taken.insert(process) {
            process += 1;
        }
        process
    }

    /// The number of the process after `process`.
    pub(super) fn after(&mut self, process: i64) -> i64 {
        let mut next = process + self.stride;
        while !self.taken.insert(next) {
            next += self.stride;
        }
        next
    }
}

/// What a worker is told to do.
pub(super) enum Job {
    /// To open a session now.
    Open(Duration, Sender<Result<i64, String>>),
    /// To make a call that was due then.
    Call(Call, Duration, Option<i64>, Sender<Answer>),
}

/// What became of a call, as its worker knows it when the deadline is over.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Number of the worker.
    pub worker: usize,
    /// The process that made the call.
    pub process: i64,
    /// The process that the worker is now.
    pub next: i64,
    /// What was asked.
    pub call: Call,
    /// What came of it. An answer that comes later is in the history only.
    pub completion: Completion,
    /// Nanoseconds since the run began.
    pub completed: i64,
    /// Whether the worker's session is open.
    pub session: bool,
}

pub(super) struct Worker {
    pub(super) number: usize,
    pub(super) node: usize,
    pub(super) process: i64,
    pub(super) common: Arc<Common>,
    client: Option<Box<dyn Client>>,
}

impl Worker {
    pub(super) fn new(number: usize, node: usize, process: i64, common: Arc<Common>) -> Worker {
        Worker { number, node, process, common, client: None }
    }

    /// Works until the stage drops its end of the channel; then the session is closed.
    pub(super) fn work(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            // Whoever asked may not be interested any more; that is his right.
            match job {
                Job::Open(timeout, reply) => {
                    let opened = self.open(Instant::now() + timeout).map(|()| self.process);
                    let _ = reply.send(opened);
                }
                Job::Call(call, timeout, due, reply) => {
                    let answer = self.call(call, timeout, due);
                    let _ = reply.send(answer);
                }
            }
        }
    }

    fn open(&mut self, deadline: Instant) -> Result<(), String> {
        if self.client.as_ref().is_some_and(|c| !c.alive()) {
            self.end();
        }
        if self.client.is_none() {
            self.client = Some(self.common.running.open(self.process, self.node, deadline)?);
        }
        Ok(())
    }

    /// The process is over, and its session with it.
    fn end(&mut self) {
        self.client = None;
        let mut processes = self.common.processes.lock().unwrap_or_else(PoisonError::into_inner);
        self.process = processes.after(self.process);
    }

    fn call(&mut self, call: Call, timeout: Duration, due: Option<i64>) -> Answer {
        if self.client.as_ref().is_some_and(|c| !c.alive()) {
            self.end();
        }
        let process = self.process;
        let open = OpenOp { process, node: self.node, call, common: self.common.clone() };
        let (completion, completed) = match open.invoke(due) {
            Ok(_) => self.send(&open, timeout),
            Err(Unwritten) => {
                let error = "the history cannot be written".to_string();
                (Completion::Fail(error), self.common.recorder.now())
            }
        };
        Answer {
            worker: self.number,
            process,
            next: self.process,
            call: open.call,
            completion,
            completed,
            session: self.client.is_some(),
        }
    }

    /// Makes the call, records its completion (or leaves that to a late answer), and ends the process if need be.
    fn send(&mut self, op: &OpenOp, timeout: Duration) -> (Completion, i64) {
        let start = Instant::now();
        let deadline = start + timeout;
        if let Err(error) = self.open(deadline) {
            let completion = Completion::Fail(error);
            let at = op.complete(&completion, Some(start.elapsed()));
            return (completion, at);
        }
        let Some(client) = self.client.as_mut() else {
            unreachable!("open() leaves a client or an error");
        };
        let completion = match catch_unwind(AssertUnwindSafe(|| client.invoke(&op.call, deadline))) {
            Ok(completion) => op.conclude(completion),
            Err(_) => {
                self.common.note(format!("the client of {} panicked", self.common.nodes[self.node]));
                Completion::lost("the client panicked")
            }
        };
        let latency = start.elapsed();
        let alive = client.alive();
        if let Completion::Info { late: true, .. } = completion {
            // The worker goes on; the call stays open, and its own client waits for the answer.
            if let Some(client) = self.client.take() {
                self.end();
                let now = self.common.recorder.now();
                op.clone().linger(client, completion.clone(), start, deadline + self.common.grace);
                return (completion, now);
            }
        }
        let at = op.complete(&completion, Some(latency));
        let over = matches!(completion, Completion::Info { .. }) || !alive;
        if over {
            self.end();
        }
        (completion, at)
    }
}

/// A call that was invoked and not completed.
#[derive(Clone)]
struct OpenOp {
    process: i64,
    node: usize,
    call: Call,
    common: Arc<Common>,
}

impl OpenOp {
    fn event(&self, kind: Kind, value: Value) -> Event {
        let mut event = Event::client(0, self.process, kind, &self.call.f, self.call.key.clone(), value);
        event.node = Some(self.common.nodes[self.node].clone());
        event
    }

    fn invoke(&self, due: Option<i64>) -> Result<i64, Unwritten> {
        let event = Event { due, ..self.event(Kind::Invoke, self.call.value.clone()) };
        self.common.recorder.record(event)
    }

    /// A read has no effect: without an answer it did not happen. (Its process ends all the same: the session may
    /// have seen what we have not.)
    fn conclude(&self, completion: Completion) -> Completion {
        match completion {
            Completion::Info { error, late: false } if self.common.reads.contains(&self.call.f) => {
                Completion::Fail(error)
            }
            Completion::Ok { .. } | Completion::Fail(_) | Completion::Info { .. } => completion,
        }
    }

    /// Records the completion, and returns its time.
    fn complete(&self, completion: &Completion, latency: Option<Duration>) -> i64 {
        let mut event = match completion {
            Completion::Ok { value, applied, observed } => {
                let mut event = self.event(Kind::Ok, value.clone());
                (event.applied, event.observed) = (*applied, observed.clone());
                event
            }
            Completion::Fail(error) => {
                let mut event = self.event(Kind::Fail, self.call.value.clone());
                event.error = Some(Value::text(error));
                event
            }
            Completion::Info { error, .. } => {
                let mut event = self.event(Kind::Info, self.call.value.clone());
                event.error = Some(Value::text(error));
                event
            }
        };
        event.latency_ns = latency.and_then(|l| u64::try_from(l.as_nanos()).ok());
        // A completion that cannot be written leaves an open invocation, which is as true.
        self.common.recorder.record(event).unwrap_or_else(|Unwritten| self.common.recorder.now())
    }

    /// Waits for an answer beyond the deadline, on a thread of its own, with the client that nobody else uses now.
    fn linger(self, mut client: Box<dyn Client>, lost: Completion, start: Instant, until: Instant) {
        let common = self.common.clone();
        let lost = match lost {
            Completion::Info { error, .. } => Completion::lost(error),
            Completion::Ok { .. } | Completion::Fail(_) => lost,
        };
        if common.late.fetch_add(1, Ordering::SeqCst) >= LATE_MAX {
            common.late.fetch_sub(1, Ordering::SeqCst);
            common.note(format!(
                "more than {LATE_MAX} calls were open beyond their deadline: some were given up at once"
            ));
            self.complete(&self.conclude(lost), None);
            return;
        }
        let op = self.clone();
        let first = lost.clone();
        let thread = std::thread::Builder::new().name("late".to_string()).spawn(move || {
            let late = catch_unwind(AssertUnwindSafe(|| client.late(until)));
            let completion = match late {
                // What the client saw first says more than that nothing followed.
                Ok(Completion::Info { .. }) | Err(_) => first,
                Ok(completion) => completion,
            };
            op.complete(&op.conclude(completion), Some(start.elapsed()));
            op.common.late.fetch_sub(1, Ordering::SeqCst);
        });
        match thread {
            Ok(handle) => {
                let mut threads = common.late_threads.lock().unwrap_or_else(PoisonError::into_inner);
                threads.retain(|t| !t.is_finished());
                threads.push(handle);
            }
            Err(error) => {
                common.late.fetch_sub(1, Ordering::SeqCst);
                common.note(format!("a call could not be waited for beyond its deadline: {error}"));
                self.complete(&self.conclude(lost), None);
            }
        }
    }
}

impl Common {
    /// Something that a reader of the report should know; said once.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_process_number_is_used_twice() {
        let mut processes = Processes::new(3);
        let first: Vec<i64> = (0..3).map(|w| processes.first(w)).collect();
        assert_eq!(first, [0, 1, 2]);
        assert_eq!((processes.after(1), processes.after(101), processes.after(0)), (101, 201, 100));
        // A session beside the workers is a worker, too; one beside a hundred of them takes what is free.
        assert_eq!((processes.first(3), processes.after(3)), (3, 103));
        assert_eq!((processes.first(100), processes.after(2)), (102, 202));
        assert_eq!(
            [1, 40, 41, 490, 10_000].map(|n| Processes::new(n).stride()),
            [100, 100, 1000, 1000, 100_000]
        );
    }
}
