//! A run that goes on, as its history shows it: read while it is written, judged while it is read, told to whoever looks.
//!
//! ```text
//!   history.jsonl ──Tail──▶ reader ──events──▶ Telling ──Watcher──▶ violations
//!                                                 │ one slice a second
//!                                                 ▼
//!                              what is known now + the last events ──▶ each stream, from where it left off
//! ```

use super::files::Dir;
use super::telling::Telling;
use crate::conclude;
use crate::follow::{Tail, Watcher};
use crate::store::Run;
use history::{Event, ReadOptions};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Runs that are followed at once.
const FOLLOWED_MAX: usize = 8;
/// Events that are kept for whoever comes back; about ten minutes.
const KEPT: usize = 2000;
/// What judging may hold in memory.
const JUDGE_BYTES: u64 = 256 << 20;
/// How often the state of affairs is told.
const TELL: Duration = Duration::from_secs(1);
/// How often it is asked whether the run still goes on.
const ASK: Duration = Duration::from_secs(1);

/// An event for a stream: its number, its name, its data as JSON.
#[derive(Clone, Debug)]
pub struct Told {
    /// From 1.
    pub number: u64,
    /// `tick`, `fault`, `anomaly` …
    pub name: &'static str,
    /// One line.
    pub data: String,
}

/// A run that is followed.
pub struct Live {
    inner: Mutex<Inner>,
    news: Condvar,
    /// Nobody needs it any more.
    stop: Arc<AtomicBool>,
    /// What tells its numbers from those of another server, or of another time.
    name: String,
}

struct Inner {
    next: u64,
    kept: VecDeque<Told>,
    /// Everything that is known now, as the data of `hello`.
    hello: String,
    ended: bool,
    watchers: usize,
}

/// The runs that are followed.
#[derive(Default)]
pub struct Hub {
    lives: Mutex<HashMap<String, Arc<Live>>>,
}

impl Hub {
    /// Follows the run `id` in `dir`, or joins those who already do.
    ///
    /// # Errors
    /// It has no history, or too many runs are followed.
    pub fn join(&self, id: &str, dir: &Dir, path: &Path) -> io::Result<Watching> {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.retain(|_, live| live.inner().watchers > 0 && !live.inner().ended);
        if let Some(live) = lives.get(id) {
            live.inner().watchers += 1;
            return Ok(Watching(live.clone()));
        }
        if lives.len() >= FOLLOWED_MAX {
            return Err(io::Error::other(format!("{FOLLOWED_MAX} runs are followed already")));
        }
        let (file, _) = dir.file("history.jsonl")?;
        let run = Run::at(path).ok_or(io::ErrorKind::NotFound)?;
        let live = Arc::new(Live {
            inner: Mutex::new(Inner {
                next: 1,
                kept: VecDeque::new(),
                hello: Telling::default().hello(),
                ended: false,
                watchers: 1,
            }),
            news: Condvar::new(),
            stop: Arc::default(),
            name: format!("{:016x}", RandomState::new().hash_one(id)),
        });
        let mine = live.clone();
        std::thread::Builder::new().name("follower".into()).spawn(move || follow(&mine, run, file))?;
        lives.insert(id.to_string(), live.clone());
        Ok(Watching(live))
    }
}

/// Somebody who looks; when the last one leaves, the run is not followed any more.
pub struct Watching(Arc<Live>);

impl Drop for Watching {
    fn drop(&mut self) {
        let mut inner = self.0.inner();
        inner.watchers -= 1;
        if inner.watchers == 0 {
            self.0.stop.store(true, Ordering::SeqCst);
        }
    }
}

impl Watching {
    /// A number as the identifier of an event.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.0.name)
    }

    /// The number in an identifier of ours.
    pub fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&*self.0.name)?.strip_prefix('-')?.parse().ok()
    }

    /// What was told after number `after`, waiting at most `patience` for it; and whether nothing more will come.
    /// Where that is not known any more, or was told by another, a `hello` with everything.
    pub fn since(&self, after: Option<u64>, patience: Duration) -> (Vec<Told>, bool) {
        let live = &self.0;
        let mut inner = live.inner();
        let oldest = inner.kept.front().map_or(inner.next, |told| told.number);
        let after = match after {
            Some(after) if after < inner.next && after + 1 >= oldest => after,
            Some(_) | None => {
                let hello = Told { number: inner.next - 1, name: "hello", data: inner.hello.clone() };
                return (vec![hello], inner.ended);
            }
        };
        if inner.next == after + 1 && !inner.ended {
            inner = live.news.wait_timeout(inner, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
        let news = inner.kept.iter().filter(|told| told.number > after).cloned().collect();
        (news, inner.ended)
    }
}

impl Live {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, news: Vec<(&'static str, String)>, hello: String, ended: bool) {
        let mut inner = self.inner();
        for (name, data) in news {
            let number = inner.next;
            inner.next += 1;
            inner.kept.push_back(Told { number, name, data });
        }
        while inner.kept.len() > KEPT {
            inner.kept.pop_front();
        }
        inner.hello = hello;
        inner.ended = ended;
        drop(inner);
        self.news.notify_all();
    }
}

/// The thread of a run: until it has ended, or nobody looks.
fn follow(live: &Arc<Live>, run: Run, file: std::fs::File) {
    let (sender, events) = channel();
    let path = run.history();
    let name = path.display().to_string();
    let ended = Arc::new(AtomicBool::new(false));
    let tail = Tail::of(file, &path, Some(run.clone()), None, vec![live.stop.clone(), ended.clone()]);
    let options = ReadOptions { own: true, allow_truncated: true, ..ReadOptions::default() };
    let dir = Dir::open(run.dir());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // What is no history is said when the run is judged; here there is nothing more to show.
            let _ = history::visit(&name, Box::new(tail), &options, &mut |event| match sender.send(event) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            });
        });
        let goes_on = || !run.finished() && dir.as_ref().is_ok_and(Dir::held);
        watch(live, &run, &events, &goes_on);
        // The reader waits for more unless it is told.
        ended.store(true, Ordering::SeqCst);
        drop(events);
    });
}

fn watch(live: &Live, run: &Run, events: &Receiver<Event>, goes_on: &dyn Fn() -> bool) {
    let mut telling = Telling::default();
    let workload = run.info().and_then(|info| workloads::find(&info.workload));
    let question = workload.and_then(|workload| conclude::question(workload, Duration::ZERO).ok());
    let mut watcher = question
        .filter(|question| question.asked.contains(&checker::Rung::Linearizable))
        .map(|question| Watcher::new(question.spec, JUDGE_BYTES, &live.stop));
    telling.judged = Some(watcher.is_some());
    let (mut told, mut asked) = (Instant::now() - TELL, Instant::now());
    let mut over = false;
    while !over && !live.stop.load(Ordering::SeqCst) {
        let caught = match events.recv_timeout(Duration::from_millis(100)) {
            Ok(event) => {
                telling.take(&event);
                watcher.as_mut().and_then(|watcher| watcher.take(&event))
            }
            Err(RecvTimeoutError::Timeout) => watcher.as_mut().and_then(Watcher::quiet),
            Err(RecvTimeoutError::Disconnected) => {
                // Nothing more is written: it is judged, or was cut off.
                std::thread::sleep(Duration::from_millis(100));
                None
            }
        };
        if let Some(caught) = caught {
            telling.caught(caught);
        }
        if asked.elapsed() >= ASK {
            asked = Instant::now();
            over = !goes_on();
        }
        if told.elapsed() >= TELL || over {
            told = Instant::now();
            let mut news = telling.news();
            if over {
                news.push(("done", "{}".to_string()));
            }
            live.tell(news, telling.hello(), over);
        }
    }
}
