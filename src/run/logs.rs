//! Reads the nodes' logs while they run, and writes into the history that a line came which somebody waits for.

use super::desk::Desk;
use crate::client::Running;
use nemesis::Logs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(40);
/// Of a line, what is kept.
const LINE_MAX: usize = 300;

/// One thread for each log of each node, from the first line that somebody waits for to the end of the stage.
pub struct LogWatch {
    running: Arc<dyn Running>,
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    desk: Arc<Desk>,
    wanted: Mutex<Vec<Awaited>>,
    stop: AtomicBool,
}

/// A line that is waited for.
struct Awaited {
    /// What it holds.
    text: String,
    /// How many bytes each log of each node had when the waiting began.
    since: Vec<Vec<u64>>,
}

/// A log: of which node, and which of its logs.
#[derive(Clone, Copy)]
struct Source {
    node: usize,
    which: usize,
}

impl Shared {
    fn wanted(&self) -> MutexGuard<'_, Vec<Awaited>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down a line if it is waited for, which it then no longer is.
    fn line(&self, Source { node, which }: Source, at: u64, line: &str) {
        let mut wanted = self.wanted();
        let before = wanted.len();
        wanted.retain(|awaited| awaited.since[node][which] > at || !line.contains(&awaited.text));
        let came = wanted.len() < before;
        drop(wanted);
        if came {
            let line: String = line.chars().take(LINE_MAX).collect();
            self.desk.event_of("log", node, &line);
        }
    }
}

impl LogWatch {
    /// Reads nothing yet.
    pub fn new(running: Arc<dyn Running>, desk: Arc<Desk>) -> LogWatch {
        let shared = Shared { desk, wanted: Mutex::default(), stop: AtomicBool::new(false) };
        LogWatch { running, shared: Arc::new(shared), threads: Mutex::default() }
    }

    /// From now on the next line of any node that holds `text` becomes an event `log` of the history, once.
    pub fn want(&self, text: &str) -> Result<(), String> {
        let cluster = self.running.cluster();
        let logs = cluster.logs()?;
        let since: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let asked: Vec<_> =
                (0..cluster.nodes().len()).map(|node| scope.spawn(move || lengths(logs, node))).collect();
            asked
                .into_iter()
                .map(|asked| asked.join().unwrap_or_else(|_| Err("reading a log has panicked".into())))
                .collect::<Result<_, _>>()
        })?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.is_empty() {
            for (node, of_node) in since.iter().enumerate() {
                for (which, from) in of_node.iter().copied().enumerate() {
                    let (running, shared) = (self.running.clone(), self.shared.clone());
                    let thread = std::thread::Builder::new().name(format!("log {node} {which}"));
                    let thread = thread.spawn(move || read(&*running, &shared, Source { node, which }, from));
                    threads.push(thread.map_err(|error| format!("reading a log: {error}"))?);
                }
            }
        }
        drop(threads);
        self.shared.wanted().push(Awaited { text: text.to_string(), since });
        Ok(())
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = thread.join();
        }
    }
}

/// How many bytes each of a node's logs has: none, as long as it is not there. One of them must be.
fn lengths(logs: &dyn Logs, node: usize) -> Result<Vec<u64>, String> {
    let asked: Vec<Result<u64, String>> =
        (0..logs.count(node)).map(|which| logs.log(node, which, None).map(|(at, _)| at)).collect();
    match asked.iter().find_map(|asked| asked.as_ref().err()) {
        Some(why) if asked.iter().all(Result::is_err) => Err(why.clone()),
        Some(_) | None => Ok(asked.into_iter().map(|asked| asked.unwrap_or(0)).collect()),
    }
}

/// Reads a log line by line until the end of the stage.
fn read(running: &dyn Running, shared: &Shared, source: Source, mut at: u64) {
    let Source { node, which } = source;
    let mut rest: Vec<u8> = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let read = running.cluster().logs().and_then(|logs| logs.log(node, which, Some(at)));
        let more = match read {
            Ok((to, bytes)) => {
                let grown = to.checked_sub(at) == Some(bytes.len() as u64);
                if !grown {
                    // It was begun anew.
                    rest.clear();
                }
                let first = to - bytes.len() as u64 - rest.len() as u64;
                rest.extend_from_slice(&bytes);
                at = to;
                let mut begin = 0;
                while let Some(length) = rest[begin..].iter().position(|byte| *byte == b'\n') {
                    let line = String::from_utf8_lossy(&rest[begin..begin + length]);
                    shared.line(source, first + begin as u64, line.trim_end());
                    begin += length + 1;
                }
                rest.drain(..begin);
                !bytes.is_empty()
            }
            // A node that cannot be asked now is asked again.
            Err(_) => false,
        };
        if !more {
            std::thread::sleep(LOOK);
        }
    }
}
