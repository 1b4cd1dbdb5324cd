//! Measures one history in a process of its own, so that memory and processor time are its alone.

use checker::{Limits, ModelName, Property, Spec};
use history::results::Answer;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// So often is a history judged again.
const AGAIN: usize = 3;

/// Set for a child whose instructions are counted.
const COUNTING: &str = "PERJURY_BENCH_COUNTING";

/// What is asked of a history.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The model.
    pub model: ModelName,
    /// The property.
    pub property: Property,
    /// Threads; the machine's, if 0.
    pub threads: usize,
}

/// What it took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// The answer.
    pub answer: Answer,
    /// The distinct methods that gave it.
    pub methods: Vec<String>,
    /// Operations.
    pub ops: u64,
    /// Configurations visited.
    pub states: u64,
    /// Operations of the largest core.
    pub core: usize,
    /// Processor seconds of reading, pairing and interning.
    pub read: f64,
    /// Processor seconds of judging, the certificate included.
    pub check: f64,
    /// The same when it is judged again, at best: memory that the kernel had to give and clear is there then.
    pub again: f64,
    /// Wall seconds of judging.
    pub wall: f64,
    /// The most memory that was resident, in KiB.
    pub peak: u64,
}

/// 0 under valgrind, which lends the process no clock of that kind.
fn seconds(clock: ClockId) -> f64 {
    if std::env::var_os(COUNTING).is_some() {
        return 0.0;
    }
    let now = clock_gettime(clock);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// Reads and judges `file` in this process, and prints [`Taken`] as JSON.
///
/// # Errors
/// If it cannot be read or judged.
pub fn here(file: &Path, asked: Asked) -> io::Result<()> {
    println!("{}", serde_json::to_string(&taken(file, asked)?)?);
    Ok(())
}

/// Reads and judges `file` in this process.
///
/// # Errors
/// If it cannot be read or judged.
pub fn taken(file: &Path, asked: Asked) -> io::Result<Taken> {
    let cpu = || seconds(ClockId::ProcessCPUTime);
    let started = cpu();
    let mut history = history::read_file(file, &Default::default()).map_err(io::Error::other)?;
    let read = cpu() - started;
    let spec = Spec::new(asked.model, history.source.format);
    let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if asked.threads == 0 { processors } else { asked.threads };
    let limits = Limits { stop: &stop, bytes: 8 << 30, threads, states: &states, progress: None };
    let (started, clock) = (cpu(), seconds(ClockId::Monotonic));
    let judged = checker::judge(&mut history, &spec, asked.property, &limits).map_err(io::Error::other)?;
    let (check, wall) = (cpu() - started, seconds(ClockId::Monotonic) - clock);
    let mut again = check;
    for _ in 0..if std::env::var_os(COUNTING).is_some() { 0 } else { AGAIN } {
        let started = cpu();
        checker::judge(&mut history, &spec, asked.property, &limits).map_err(io::Error::other)?;
        again = again.min(cpu() - started);
    }
    let mut methods: Vec<String> =
        judged.judgement.objects.iter().map(|object| object.method.clone()).collect();
    methods.sort_unstable();
    methods.dedup();
    Ok(Taken {
        answer: judged.judgement.answer,
        methods,
        ops: history.ops.len() as u64,
        states: judged.judgement.states,
        core: judged.violations.iter().map(|v| v.counterexample.core.len()).max().unwrap_or(0),
        read,
        check,
        again,
        wall,
        peak: peak()?,
    })
}

/// The most memory that this process had resident, in KiB.
fn peak() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmHWM"))
}

fn child(mut command: Command, file: &Path, asked: Asked) -> Command {
    command.arg("--one").arg(file).arg(asked.model.name()).arg(asked.property.name());
    command.arg(asked.threads.to_string());
    command
}

/// The same in a child.
///
/// # Errors
/// If it ends otherwise than with [`Taken`].
pub fn apart(file: &Path, asked: Asked) -> io::Result<Taken> {
    let output = child(Command::new(std::env::current_exe()?), file, asked).output()?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The instructions that reading and judging `file` takes, counted by valgrind; `None` where it is not installed.
///
/// Unlike seconds they are the same on a busy machine.
///
/// # Errors
/// If the child fails under valgrind.
pub fn instructions(file: &Path, asked: Asked) -> io::Result<Option<u64>> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(std::env::current_exe()?);
    valgrind.env(COUNTING, "1");
    let output = match child(valgrind, file, asked).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        output => output?,
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(io::Error::other(format!("under valgrind: {said}")));
    }
    let collected = said.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok());
    collected.map(Some).ok_or_else(|| io::Error::other(format!("valgrind counted nothing: {said}")))
}
