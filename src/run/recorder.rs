//! The one writer of a history: it stamps every event, and appends it, under one lock.

use history::{Event, Kind, Process};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Stamps events with CLOCK_MONOTONIC, strictly increasing, and appends each with one `write`.
///
/// ```text
///   worker      record(invoke) ─ hand to client ─ … ─ receive answer ─ record(ok)
///   history         |invoke                                                |ok        never narrower than the truth
/// ```
pub struct Recorder {
    started: Instant,
    zero: SystemTime,
    inner: Mutex<Inner>,
    broken: AtomicBool,
}

struct Inner {
    out: Box<dyn Write + Send>,
    index: u64,
    last: i64,
    line: Vec<u8>,
    tally: Tally,
    watchers: Vec<Sender<Arc<Event>>>,
    error: Option<std::io::Error>,
}

/// What was recorded so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Invocations.
    pub invoked: u64,
    /// Completions.
    pub ok: u64,
    /// Completions.
    pub fail: u64,
    /// Completions.
    pub info: u64,
    /// Latencies of the last answered operations, in nanoseconds; a ring.
    pub recent: Vec<u64>,
    /// The last error, when, and of whom.
    pub error: Option<(i64, String)>,
    /// When each node answered last: `ok` or `fail`. For one that never did, when it was first asked.
    pub nodes: BTreeMap<String, i64>,
}

/// How many latencies are kept for the progress display.
const RECENT: usize = 512;

/// The history cannot be written any more; [`Recorder::error`] says why. Nothing that is not recorded may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

impl Recorder {
    /// A recorder whose time begins now.
    pub fn new(out: impl Write + Send + 'static) -> Recorder {
        Recorder {
            started: Instant::now(),
            zero: SystemTime::now(),
            inner: Mutex::new(Inner {
                out: Box::new(out),
                index: 0,
                last: -1,
                line: Vec::with_capacity(512),
                tally: Tally::default(),
                watchers: Vec::new(),
                error: None,
            }),
            broken: AtomicBool::new(false),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the wall clock said when the run began: by it the logs of nodes are put beside the history, and nothing else.
    pub fn zero(&self) -> SystemTime {
        self.zero
    }

    /// Nanoseconds since the run began.
    pub fn now(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }

    /// Stamps and appends `event`, and returns its time. After the first failure nothing is written any more.
    pub fn record(&self, mut event: Event) -> Result<i64, Unwritten> {
        let mut guard = self.inner();
        let inner = &mut *guard;
        if inner.error.is_some() {
            return Err(Unwritten);
        }
        // Two events within the clock's resolution still have an order: the one in which they came here.
        let time = self.now().max(inner.last + 1);
        event.time = time;
        event.index = Some(inner.index);
        inner.line.clear();
        history::write_json_line(&event, &mut inner.line);
        if let Err(error) = inner.out.write_all(&inner.line) {
            inner.error = Some(error);
            self.broken.store(true, Ordering::SeqCst);
            return Err(Unwritten);
        }
        inner.last = time;
        inner.index += 1;
        inner.tally.count(&event);
        if !inner.watchers.is_empty() {
            let event = Arc::new(event);
            inner.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
        }
        Ok(time)
    }

    /// Hears every event from now on.
    pub fn watch(&self) -> Watch {
        let (sender, events) = channel();
        self.inner().watchers.push(sender);
        Watch { events }
    }

    /// What was recorded so far.
    pub fn tally(&self) -> Tally {
        self.inner().tally.clone()
    }

    /// Whether writing has failed.
    pub fn broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    /// Why writing has failed, if it has.
    pub fn error(&self) -> Option<String> {
        self.inner().error.as_ref().map(std::io::Error::to_string)
    }
}

impl Tally {
    fn count(&mut self, event: &Event) {
        let Process::Client(_) = event.process else { return };
        match event.kind {
            Kind::Invoke => self.invoked += 1,
            Kind::Ok => self.ok += 1,
            Kind::Fail => self.fail += 1,
            Kind::Info => self.info += 1,
        }
        if let Some(node) = &event.node {
            match (event.kind, self.nodes.get_mut(node)) {
                (Kind::Ok | Kind::Fail, Some(last)) => *last = event.time,
                (Kind::Info | Kind::Invoke, Some(_)) => {}
                (_, None) => {
                    self.nodes.insert(node.clone(), event.time);
                }
            }
        }
        if let (Kind::Ok, Some(latency)) = (event.kind, event.latency_ns) {
            let at = self.ok as usize % RECENT;
            if self.recent.len() < RECENT { self.recent.push(latency) } else { self.recent[at] = latency }
        }
        if let Some(error) = &event.error {
            let node = event.node.as_deref().unwrap_or("?");
            let error = error.as_text().unwrap_or("?");
            // Most errors name their node themselves.
            let named = error.starts_with(node);
            let error = if named { error.to_string() } else { format!("{node}: {error}") };
            self.error = Some((event.time, error));
        }
    }
}

/// A subscription to the events of a run.
pub struct Watch {
    events: Receiver<Arc<Event>>,
}

impl Watch {
    /// The next event, if one comes in time.
    pub fn next(&self, timeout: Duration) -> Option<Arc<Event>> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                // The recorder is gone; whoever polls must not spin.
                std::thread::sleep(timeout);
                None
            }
        }
    }

    /// An event that has already come.
    pub fn ready(&self) -> Option<Arc<Event>> {
        self.events.try_recv().ok()
    }

    /// The first event that `is` what is waited for, among those since the last one that was taken.
    #[cfg(test)]
    pub fn until(&self, timeout: Duration, mut is: impl FnMut(&Event) -> bool) -> Option<Arc<Event>> {
        let end = Instant::now() + timeout;
        loop {
            let event = self.next(end.saturating_duration_since(Instant::now()));
            match event {
                Some(event) if is(&event) => return Some(event),
                Some(_) => {}
                None if Instant::now() >= end => return None,
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Value;

    fn read(process: i64) -> Event {
        Event::client(0, process, Kind::Invoke, "read", Some("x".into()), Value::Null)
    }

    #[test]
    fn times_and_indices_increase_strictly_whoever_records() {
        let recorder = Recorder::new(std::io::sink());
        let watch = recorder.watch();
        std::thread::scope(|scope| {
            for process in 0..4 {
                let recorder = &recorder;
                scope.spawn(move || (0..500).for_each(|_| assert!(recorder.record(read(process)).is_ok())));
            }
        });
        let events: Vec<Arc<Event>> = std::iter::from_fn(|| watch.ready()).collect();
        assert_eq!(events.len(), 2000);
        assert!(events.windows(2).all(|w| w[0].time < w[1].time));
        assert!(events.iter().enumerate().all(|(i, e)| e.index == Some(i as u64)));
    }

    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
            }
            self.0 -= 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_ends_the_recording_and_says_so() {
        let recorder = Recorder::new(Full(1));
        assert!(recorder.record(read(0)).is_ok());
        assert_eq!(recorder.record(read(1)), Err(Unwritten));
        assert_eq!(recorder.record(read(2)), Err(Unwritten));
        assert!(recorder.broken() && recorder.error().is_some());
        assert_eq!(recorder.tally().invoked, 1);
    }
}
