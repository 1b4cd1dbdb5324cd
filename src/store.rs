//! Where runs live on disk: `store/<system>-<workload>/<UTC time>/`, with a `latest` symlink beside them.

use checker::ModelName;
use history::results::{Anomaly, Results, RunInfo, Verdict};
use history::summary::Summary;
use reports::terminal::Paths;
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// The directory of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    dir: PathBuf,
}

/// Runs of one second get a number; nobody starts more than these.
const SAME_SECOND_MAX: u32 = 1000;

impl Run {
    /// Makes a directory that no other run has, under `store`, and points `latest` at it.
    ///
    /// # Errors
    /// Whatever the file system says, with the path.
    pub fn create(store: &Path, system: &str, workload: &str) -> io::Result<Run> {
        Run::create_at(store, system, workload, &chrono::Utc::now().format("%Y%m%dT%H%M%SZ").to_string())
    }

    fn create_at(store: &Path, system: &str, workload: &str, time: &str) -> io::Result<Run> {
        let test = store.join(format!("{system}-{workload}"));
        fs::create_dir_all(&test).map_err(|e| at(&test, "creating", &e))?;
        for number in 0..SAME_SECOND_MAX {
            let name = if number == 0 { time.to_string() } else { format!("{time}-{number}") };
            let dir = test.join(&name);
            match fs::create_dir(&dir) {
                Ok(()) => {
                    point_latest(&test, &name)?;
                    return Ok(Run { dir });
                }
                // Another run began in the same second.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&dir, "creating", &error)),
            }
        }
        Err(io::Error::other(format!("{}: {SAME_SECOND_MAX} runs in one second", test.join(time).display())))
    }

    /// The run in that directory, if there is a history in it.
    pub fn at(path: &Path) -> Option<Run> {
        path.join("history.jsonl").is_file().then(|| Run { dir: path.to_path_buf() })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `history.jsonl`
    pub fn history(&self) -> PathBuf {
        self.dir.join("history.jsonl")
    }

    /// `certificate.json`
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("certificate.json")
    }

    /// `report.html`
    pub fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// Where everything stands, for whoever prints results: only what is really there.
    pub fn paths(&self, results: &Results) -> Paths {
        let there = |path: PathBuf| path.is_file().then(|| path.display().to_string());
        let core = |anomaly: &Anomaly| there(self.dir.join(format!("anomaly-{}.jsonl", anomaly.id)));
        Paths {
            history: Some(self.history().display().to_string()),
            report: there(self.report()),
            cores: results.anomalies.iter().filter_map(core).collect(),
        }
    }

    /// Says to others that somebody works on this run, until what is returned is dropped or the process ends in
    /// whatever way. Children do not inherit it.
    ///
    /// # Errors
    /// The directory cannot be opened or locked.
    pub fn hold(&self) -> io::Result<File> {
        let dir = File::open(&self.dir).map_err(|e| at(&self.dir, "opening", &e))?;
        // Whoever asks whether it is held lets go at once, so this waits for a moment at most.
        rustix::fs::flock(&dir, FlockOperation::LockExclusive)
            .map_err(|e| at(&self.dir, "locking", &e.into()))?;
        Ok(dir)
    }

    /// Whether the run was brought to its end: the summary is written last.
    pub fn finished(&self) -> bool {
        self.dir.join("summary.json").is_file()
    }

    /// What was concluded about it, if anything was, and if this version can read it.
    pub fn results(&self) -> Option<Results> {
        let bytes = fs::read(self.dir.join("results.json")).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn config(&self) -> Option<toml::Table> {
        fs::read_to_string(self.dir.join("config.toml")).ok()?.parse().ok()
    }

    /// What is known about the run: from its results, or, if it was cut off before there were any, from its
    /// configuration.
    pub fn info(&self) -> Option<RunInfo> {
        if let Some(run) = self.results().and_then(|r| r.run) {
            return Some(run);
        }
        let config = self.config()?;
        let text = |key: &str| config.get(key).and_then(toml::Value::as_str).unwrap_or("").to_string();
        let number = |key: &str| config.get(key).and_then(toml::Value::as_integer);
        let nodes = number("nodes").unwrap_or(0);
        let plain = |value: &toml::Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        Some(RunInfo {
            system: text("system"),
            version: String::new(),
            claims: String::new(),
            workload: text("workload"),
            nodes: (1..=nodes).map(|n| format!("n{n}")).collect(),
            // TOML has no unsigned numbers; a seed beyond theirs is written as text.
            seed: number("seed").map_or_else(|| text("seed").parse().unwrap_or(0), |seed| seed as u64),
            started: self.dir.file_name().map_or(String::new(), |n| n.to_string_lossy().into_owned()),
            zero: None,
            ahead: Vec::new(),
            stride: None,
            interrupted: true,
            config: config.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
            command: format!("perjury test --config {}", self.dir.join("config.toml").display()),
            environment: Vec::new(),
            notes: vec!["The run was cut off: its controller did not come to the end.".to_string()],
        })
    }

    /// The model of its workload.
    pub fn model(&self) -> Option<ModelName> {
        let workload = workloads::find(&self.info()?.workload)?;
        ModelName::all().iter().copied().find(|model| model.name() == workload.model())
    }

    /// Writes the resolved configuration.
    ///
    /// # Errors
    /// Whatever the file system says, with the path; so for all that follow.
    pub fn write_config(&self, toml: &str) -> io::Result<()> {
        self.write("config.toml", toml.as_bytes())
    }

    /// Writes `results.json`.
    pub fn write_results(&self, results: &Results) -> io::Result<()> {
        self.write("results.json", &json(results)?)
    }

    /// Writes `summary.json`, a few lines that an overview of many runs can be made of, under a name that nobody looks
    /// at: whoever finds it takes the run for finished, so [`Prepared::publish`] it last.
    pub fn prepare_summary(&self, results: &Results) -> io::Result<Prepared> {
        let reason = match results.verdict {
            Verdict::Undecided | Verdict::Vacuous => reports::machine::headline(results),
            Verdict::Valid | Verdict::Invalid => String::new(),
        };
        let summary = Summary::of(results, reason);
        self.prepare("summary.json", &json(&summary)?)
    }

    /// Writes `anomaly-N.jsonl` for each anomaly: the lines of its operations from the history, as they stand there,
    /// so that they can be judged by themselves. One pass over the history.
    pub fn write_anomalies(&self, anomalies: &[Anomaly]) -> io::Result<()> {
        let mut files: Vec<(Vec<u32>, String)> = Vec::new();
        for anomaly in anomalies {
            let shown = anomaly.ops.iter().chain(&anomaly.refused);
            let lines = shown.flat_map(|op| [Some(op.invoke_line), op.ret_line]);
            let mut lines: Vec<u32> = lines.flatten().filter(|line| *line > 0).collect();
            lines.sort_unstable();
            files.push((lines, String::new()));
        }
        if files.is_empty() {
            return Ok(());
        }
        let path = self.history();
        let history = BufReader::new(File::open(&path).map_err(|e| at(&path, "opening", &e))?);
        for (line, number) in history.lines().zip(1..) {
            let line = line.map_err(|e| at(&path, "reading", &e))?;
            for (_, text) in files.iter_mut().filter(|(lines, _)| lines.binary_search(&number).is_ok()) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        for (anomaly, (_, text)) in anomalies.iter().zip(&files) {
            self.write(&format!("anomaly-{}.jsonl", anomaly.id), text.as_bytes())?;
        }
        Ok(())
    }

    /// Whole or not at all: a file that is half written would be taken for results.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.prepare(name, bytes)?.publish()
    }

    fn prepare(&self, name: &str, bytes: &[u8]) -> io::Result<Prepared> {
        let prepared = Prepared { path: self.dir.join(name), half: self.dir.join(format!(".{name}.half")) };
        match fs::write(&prepared.half, bytes) {
            Ok(()) => Ok(prepared),
            Err(error) => Err(prepared.failed(&error)),
        }
    }
}

/// A file that is on the disk, but does not have its name yet.
#[must_use]
pub struct Prepared {
    path: PathBuf,
    half: PathBuf,
}

impl Prepared {
    /// Gives it its name.
    ///
    /// # Errors
    /// Whatever the file system says, with the path.
    pub fn publish(self) -> io::Result<()> {
        fs::rename(&self.half, &self.path).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> io::Error {
        // The error that counts is that of writing.
        let _ = fs::remove_file(&self.half);
        at(&self.path, "writing", error)
    }
}

fn json(value: &impl serde::Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(io::Error::other)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn at(path: &Path, doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {doing}: {error}", path.display()))
}

/// What the directory of a node's files is called in that of its run: a node's name may be anything that can be typed.
pub fn node_dir(node: &str) -> String {
    node.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' }).collect()
}

/// Moves the symlink in one step, so that whoever looks at it in between finds one run or the other.
fn point_latest(test: &Path, name: &str) -> io::Result<()> {
    let link = test.join("latest");
    let new = test.join(format!(".latest-{name}"));
    let moved = std::os::unix::fs::symlink(name, &new).and_then(|()| fs::rename(&new, &link));
    moved.map_err(|error| at(&link, "linking", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_of_one_second_have_two_directories_and_latest_is_the_second() {
        let store = tempfile::tempdir().expect("a directory");
        let create = || Run::create_at(store.path(), "demo-quorum", "register", "20261120T091407Z");
        let (first, second) = (create().expect("first"), create().expect("second"));
        assert_ne!(first, second);
        let latest = store.path().join("demo-quorum-register/latest");
        assert_eq!(fs::canonicalize(latest).ok(), fs::canonicalize(second.dir()).ok());
    }

    #[test]
    fn a_store_that_cannot_be_written_is_an_error_with_its_path() {
        let store = tempfile::tempdir().expect("a directory");
        let file = store.path().join("file");
        fs::write(&file, "").expect("written");
        let error = Run::create(&file, "a", "b").expect_err("a file is no directory");
        assert!(error.to_string().contains("file/a-b: creating"), "{error}");
    }

    #[test]
    fn a_run_that_was_cut_off_is_known_by_its_configuration() {
        let store = tempfile::tempdir().expect("a directory");
        let run = Run::create(store.path(), "demo-quorum", "register").expect("created");
        fs::write(run.history(), "").expect("written");
        run.write_config("system = \"demo-quorum\"\nworkload = \"register\"\nnodes = 3\nseed = 7\n")
            .expect("written");
        let run = Run::at(run.dir()).expect("there is a history");
        assert!(!run.finished());
        let info = run.info().expect("there is a configuration");
        assert_eq!(
            (info.system.as_str(), info.seed, info.nodes.len(), info.interrupted),
            ("demo-quorum", 7, 3, true)
        );
        assert_eq!(run.model().map(|m| m.name()), Some("register"));
    }
}
