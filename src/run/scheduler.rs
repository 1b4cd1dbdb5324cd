//! One loop that asks a generator, hands out calls, and tells the generator what came of them.

use super::progress::Progress;
use super::stage::{Session, Stage, left};
use super::worker::Answer;
use history::Completion;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use workloads::{Context, Generator, Next, Slot, Told};

/// How long a worker rests whose session could not be opened: a dead node must not swallow all the calls.
const REST: Duration = Duration::from_millis(100);
/// The loop wakes up at least so often, to look whether it shall end.
const WAKE: Duration = Duration::from_millis(50);

/// A turn of the loop that takes so much longer than it may wait was one in which the controller stood still: nothing
/// was sent although it was due, and latencies across it are too long.
const STALL: Duration = Duration::from_millis(100);

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The generator has nothing more to do.
    Done,
    /// The time was over.
    TimeUp,
    /// Somebody asked for it.
    Stopped,
    /// A violation was proven, and that was enough.
    Caught,
    /// The history cannot be written any more.
    Broken,
}

/// A worker as the scheduler sees it.
struct Seat {
    session: Session,
    slot: Slot,
    busy: bool,
    rests_until: Instant,
}

/// Hands out calls to the first workers of a stage.
pub(super) struct Scheduler<'a> {
    stage: &'a Stage,
    progress: &'a Progress,
    seats: Vec<Seat>,
    reply: Sender<Answer>,
    answers: Receiver<Answer>,
}

impl<'a> Scheduler<'a> {
    /// A scheduler of the sessions that the stage has now.
    pub(super) fn new(stage: &'a Stage, progress: &'a Progress) -> Scheduler<'a> {
        let now = Instant::now();
        let seat = |(session, node, process): (Session, usize, i64)| Seat {
            session,
            slot: Slot { worker: session.0, process, node },
            busy: false,
            rests_until: now,
        };
        let (reply, answers) = channel();
        Scheduler { stage, progress, seats: stage.sessions().into_iter().map(seat).collect(), reply, answers }
    }

    /// Makes the calls of `generator` until it is done, the time is over, or `stop`. Waits for no open call at the end.
    pub(super) fn run(
        &mut self,
        generator: &mut dyn Generator,
        limit: Duration,
        stop: &dyn Fn() -> bool,
    ) -> Ended {
        let end = Instant::now() + limit;
        let mut turned = Instant::now();
        loop {
            let turn = turned.elapsed();
            turned = Instant::now();
            if turn > WAKE + STALL {
                self.stage.desk().stall(turn);
            }
            // Completions first: a call that is handed out before they are told would overlap them for no reason.
            while let Ok(answer) = self.answers.try_recv() {
                self.take(&answer, generator);
            }
            if stop() {
                return Ended::Stopped;
            }
            if self.stage.recorder().broken() {
                return Ended::Broken;
            }
            if Instant::now() >= end {
                return Ended::TimeUp;
            }
            self.progress.show(self.stage.recorder(), &self.stage.desk().in_force());
            let time = self.stage.recorder().now();
            let now = Instant::now();
            let free: Vec<Slot> =
                self.seats.iter().filter(|s| !s.busy && s.rests_until <= now).map(|s| s.slot).collect();
            match generator.next(&Context { time, free: &free, workers: self.seats.len() }) {
                Next::Call(ask) => {
                    let seat = &mut self.seats[ask.worker];
                    seat.busy = true;
                    let timeout = ask.timeout.unwrap_or(self.stage.op_timeout());
                    self.stage.call_to(seat.session, ask.call, timeout, ask.due, &self.reply);
                }
                Next::Wait(until) => {
                    let wait = until.map_or(WAKE, |at| {
                        Duration::from_nanos(u64::try_from(at - time).unwrap_or(0)).min(WAKE)
                    });
                    if let Ok(answer) = self.answers.recv_timeout(wait.min(left(end))) {
                        self.take(&answer, generator);
                    }
                }
                Next::Done => return Ended::Done,
            }
        }
    }

    /// Waits until no call is open, at most so long.
    pub(super) fn drain(&mut self, generator: &mut dyn Generator, timeout: Duration) -> bool {
        let end = Instant::now() + timeout;
        while self.seats.iter().any(|s| s.busy) && Instant::now() < end {
            if let Ok(answer) = self.answers.recv_timeout(left(end).min(WAKE)) {
                self.take(&answer, generator);
            }
            self.progress.show(self.stage.recorder(), &self.stage.desk().in_force());
        }
        self.seats.iter().all(|s| !s.busy)
    }

    fn take(&mut self, answer: &Answer, generator: &mut dyn Generator) {
        let seat = &mut self.seats[answer.worker];
        let slot = Slot { process: answer.process, ..seat.slot };
        seat.busy = false;
        seat.slot.process = answer.next;
        if !answer.session && matches!(answer.completion, Completion::Fail(_)) {
            seat.rests_until = Instant::now() + REST;
        }
        let (call, completion) = (&answer.call, &answer.completion);
        generator.told(&Told { time: answer.completed, slot, call, completion });
    }
}
