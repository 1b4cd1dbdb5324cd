//! All runs of a store, from their summaries alone: no results and no history is read to list them.
//!
//! A summary is written last and never changed, so each is read once; after that, listing costs one look per run.
//! Both are mostly calls of the system, one run independent of the other, so all processors share them.

use super::files::{Dir, Entry, Stamp};
use history::summary::Summary;
use rayon::prelude::*;
use reports::web::{Group, RunRow, Sort, State};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

/// Bytes of a summary or configuration.
const SMALL: u64 = 64 << 10;
/// Runs that a trend shows.
const TREND: usize = 20;
/// Groups that are shown.
const GROUPS_MAX: usize = 12;

/// A run, with the words that it is found by.
#[derive(Debug)]
pub struct Listed {
    /// What is shown.
    pub row: RunRow,
    /// Everything that is shown, in lower case.
    words: String,
}

/// What listing took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Directories that were listed.
    pub dirs: u64,
    /// Files that were looked at without being opened.
    pub looked: u64,
    /// Files that were read.
    pub read: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What is known of the runs that were seen so far.
#[derive(Default)]
pub struct Index {
    seen: HashMap<String, (Stamp, Arc<Listed>)>,
    /// What the last listing took.
    pub work: Work,
}

impl Index {
    /// The runs of a store, the latest first. O(runs), and reads only what is new.
    ///
    /// # Errors
    /// The store cannot be listed. What cannot be read of a run is shown as such.
    pub fn list(&mut self, store: &Dir) -> io::Result<Vec<Arc<Listed>>> {
        self.work = Work { dirs: 1, ..Work::default() };
        let mut tests = Vec::new();
        for (test, _) in store.entries()?.into_iter().filter(|(_, kind)| *kind == Entry::Dir) {
            // It may have been removed in between.
            let Ok(dir) = store.dir(&test) else { continue };
            self.work.dirs += 1;
            let times = dir.entries()?.into_iter().filter(|(_, kind)| *kind == Entry::Dir);
            tests.push((test, dir, times.map(|(time, _)| time).collect::<Vec<_>>()));
        }
        let before = std::mem::take(&mut self.seen);
        let runs: Vec<(&Dir, &str, &str)> = tests
            .iter()
            .flat_map(|(test, dir, times)| times.iter().map(move |time| (dir, test.as_str(), time.as_str())))
            .collect();
        let looks: Vec<Look> =
            runs.par_iter().map(|(dir, test, time)| look(dir, test, time, &before)).collect();
        let mut all = Vec::with_capacity(looks.len());
        for Look { work, listed, stamp } in looks {
            self.work.looked += work.looked;
            self.work.read += work.read;
            self.work.bytes += work.bytes;
            let Some(listed) = listed else { continue };
            if let Some(stamp) = stamp {
                self.seen.insert(listed.row.id.clone(), (stamp, listed.clone()));
            }
            all.push(listed);
        }
        all.par_sort_by(|a, b| (&b.row.started, &b.row.id).cmp(&(&a.row.started, &a.row.id)));
        Ok(all)
    }
}

/// What looking at one directory came to.
struct Look {
    work: Work,
    /// Nothing if it is no run.
    listed: Option<Arc<Listed>>,
    /// Of its summary, if it has one.
    stamp: Option<Stamp>,
}

/// A run, from what was seen of it before if its summary is still the same.
fn look(test: &Dir, name: &str, time: &str, before: &HashMap<String, (Stamp, Arc<Listed>)>) -> Look {
    let id = format!("{name}/{time}");
    let mut work = Work { looked: 1, ..Work::default() };
    if let Some((stamp, listed)) = before.get(&id) {
        if test.stamp(&format!("{time}/summary.json")) == Some(*stamp) {
            return Look { work, listed: Some(listed.clone()), stamp: Some(*stamp) };
        }
    }
    let (row, stamp) = fresh(test, name, time, id, &mut work);
    Look { work, listed: row.map(|row| Arc::new(Listed::new(row))), stamp }
}

/// A run that was not seen before, or has no summary yet; nothing if it is no run.
fn fresh(test: &Dir, name: &str, time: &str, id: String, work: &mut Work) -> (Option<RunRow>, Option<Stamp>) {
    let Ok(dir) = test.dir(time) else { return (None, None) };
    match dir.read("summary.json", SMALL) {
        Ok((bytes, stamp)) => {
            work.read += 1;
            work.bytes += bytes.len() as u64;
            (Some(finished(&bytes, name, time, &id)), Some(stamp))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            work.looked += 1;
            if dir.stamp("history.jsonl").is_none() {
                return (None, None);
            }
            let config = dir.read("config.toml", SMALL).ok().map(|(bytes, _)| bytes);
            work.read += u64::from(config.is_some());
            work.bytes += config.as_ref().map_or(0, |bytes| bytes.len() as u64);
            let state = if dir.held() { State::Live } else { State::CutOff };
            (Some(unfinished(config, state, name, time, id)), None)
        }
        Err(error) => {
            let reason = format!("summary.json cannot be read: {error}");
            (Some(RunRow { state: State::Unreadable, reason, ..bare(name, time, &id) }), None)
        }
    }
}

/// What the names alone say.
fn bare(test: &str, time: &str, id: &str) -> RunRow {
    RunRow {
        id: id.to_string(),
        state: State::Unreadable,
        system: test.to_string(),
        version: String::new(),
        workload: String::new(),
        started: began(time),
        seed: None,
        ops: 0,
        duration_ns: 0,
        shapes: Vec::new(),
        anomalies: 0,
        faults: Vec::new(),
        reason: String::new(),
        setup: String::new(),
    }
}

/// `20261120T091407Z` as RFC 3339; another name as it is.
fn began(time: &str) -> String {
    let shape: String = time.chars().take(16).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    if shape != "00000000T000000Z" || !time.is_ascii() {
        return time.to_string();
    }
    let part = |from: usize, to: usize| &time[from..to];
    format!("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 6), part(6, 8), part(9, 11), part(11, 13), part(13, 15))
}

fn finished(bytes: &[u8], test: &str, time: &str, id: &str) -> RunRow {
    let row = bare(test, time, id);
    let summary: Summary = match serde_json::from_slice(bytes) {
        Ok(summary) => summary,
        Err(error) => return RunRow { reason: format!("summary.json is not one of ours: {error}"), ..row },
    };
    let mut faults = summary.faults;
    faults.sort();
    faults.dedup();
    RunRow {
        state: State::Done(summary.verdict),
        system: summary.system.unwrap_or(row.system),
        version: summary.version.unwrap_or_default(),
        workload: summary.workload.unwrap_or_default(),
        started: summary.started.filter(|started| !started.is_empty()).unwrap_or(row.started),
        seed: summary.seed,
        ops: summary.ops,
        duration_ns: summary.duration_ns,
        anomalies: summary.anomalies.len() as u32,
        shapes: summary.shapes,
        faults,
        reason: summary.reason,
        setup: summary.setup.unwrap_or_default(),
        id: row.id,
    }
}

fn unfinished(config: Option<Vec<u8>>, state: State, test: &str, time: &str, id: String) -> RunRow {
    let row = RunRow { state, ..bare(test, time, &id) };
    let text = config.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(config) = text.and_then(|text| text.parse::<toml::Table>().ok()) else { return row };
    let of = |key: &str| config.get(key).and_then(toml::Value::as_str).map(str::to_string);
    let seed = config.get("seed").and_then(|seed| match seed {
        toml::Value::Integer(seed) => u64::try_from(*seed).ok(),
        toml::Value::String(seed) => seed.parse().ok(),
        _ => None,
    });
    RunRow {
        system: of("system").unwrap_or(row.system),
        workload: of("workload").unwrap_or_default(),
        seed,
        ..row
    }
}

impl Listed {
    fn new(row: RunRow) -> Listed {
        let mut words = [&row.id, &row.system, &row.version, &row.workload, &row.started, &row.reason]
            .map(|t| t.as_str())
            .join(" ");
        words.push_str(&format!(
            " {} {}",
            row.state.word(),
            row.seed.map_or(String::new(), |seed| seed.to_string())
        ));
        for word in row.faults.iter().chain(row.shapes.iter().flat_map(|s| [&s.kind, &s.fingerprint])) {
            words.push(' ');
            words.push_str(word);
        }
        Listed { words: words.to_lowercase(), row }
    }

    /// Whether it was judged.
    pub fn judged(&self) -> bool {
        matches!(self.row.state, State::Done(_))
    }
}

/// What is searched for: every term must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<Term>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    not: bool,
    field: Option<String>,
    value: String,
}

impl Search {
    /// `system:etcd fault:clock -verdict:valid "two words"`
    pub fn new(text: &str) -> Search {
        let mut terms = Vec::new();
        let mut word = String::new();
        let mut quoted = false;
        for c in text.chars().chain([' ']) {
            match c {
                '"' => quoted = !quoted,
                c if c.is_whitespace() && !quoted => terms.extend(Term::new(&std::mem::take(&mut word))),
                c => word.push(c),
            }
        }
        terms.extend(Term::new(&word));
        Search(terms)
    }

    /// Whether a run fits.
    pub fn fits(&self, listed: &Listed) -> bool {
        self.0.iter().all(|term| term.fits(listed) != term.not)
    }
}

impl Term {
    fn new(word: &str) -> Option<Term> {
        let word = word.to_lowercase();
        let (not, word) = word.strip_prefix('-').map_or((false, word.as_str()), |word| (true, word));
        let fields =
            ["system", "workload", "version", "verdict", "fault", "kind", "shape", "seed", "setup", "run"];
        let (field, value) = match word.split_once(':') {
            Some((field, value)) if fields.contains(&field) => (Some(field.to_string()), value),
            Some(_) | None => (None, word),
        };
        (!value.is_empty()).then(|| Term { not, field, value: value.to_string() })
    }

    fn fits(&self, listed: &Listed) -> bool {
        let row = &listed.row;
        let is = |text: &str| text.to_lowercase() == self.value;
        match self.field.as_deref() {
            None => listed.words.contains(&self.value),
            Some("system") => is(&row.system),
            Some("workload") => is(&row.workload),
            Some("version") => is(&row.version),
            Some("verdict") => is(row.state.word()),
            Some("fault") => row.faults.iter().any(|fault| is(fault)),
            Some("kind") => row.shapes.iter().any(|shape| is(&shape.kind)),
            Some("shape") => row.shapes.iter().any(|shape| is(&shape.fingerprint)),
            Some("seed") => row.seed.is_some_and(|seed| is(&seed.to_string())),
            Some("setup") => is(&row.setup),
            Some(_) => row.id.to_lowercase().contains(&self.value),
        }
    }
}

/// Puts runs in order. They come the latest first, and stay so where they are alike.
pub fn sort(runs: &mut [Arc<Listed>], by: Sort) {
    let rank = |state: State| match state.word() {
        "invalid" => 0,
        "undecided" => 1,
        "vacuous" => 2,
        "valid" => 3,
        _ => 4,
    };
    match by {
        Sort::Time => {}
        Sort::Verdict => runs.sort_by_key(|listed| rank(listed.row.state)),
        Sort::System => runs.sort_by(|a, b| {
            (&a.row.system, &a.row.workload, &a.row.version).cmp(&(
                &b.row.system,
                &b.row.workload,
                &b.row.version,
            ))
        }),
        Sort::Ops => runs.sort_by_key(|listed| std::cmp::Reverse(listed.row.ops)),
        Sort::Anomalies => runs.sort_by_key(|listed| std::cmp::Reverse(listed.row.anomalies)),
    }
}

/// Runs by system, workload and version, the group with the latest run first; and how many groups were left out.
pub fn groups(latest_first: &[Arc<Listed>]) -> (Vec<Group>, usize) {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for Listed { row, .. } in latest_first.iter().map(|listed| &**listed) {
        let place = *places.entry((&row.system, &row.workload, &row.version)).or_insert_with(|| {
            let name = (row.system.clone(), row.workload.clone(), row.version.clone());
            groups.push(Group { name, runs: 0, invalid: 0, last: Vec::new() });
            groups.len() - 1
        });
        let group = &mut groups[place];
        group.runs += 1;
        group.invalid += usize::from(row.state.word() == "invalid");
        if group.last.len() < TREND {
            group.last.push((row.id.clone(), row.state));
        }
    }
    let more = groups.len().saturating_sub(GROUPS_MAX);
    groups.truncate(GROUPS_MAX);
    groups.iter_mut().for_each(|group| group.last.reverse());
    (groups, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    /// A store of so many finished runs, with histories that nobody could read without waiting for ever.
    fn store(dir: &Path, runs: usize) {
        for n in 0..runs {
            let test = dir.join(format!("demo-{}", n % 7));
            let run = test.join(
                format!(
                    "2026{:02}{:02}T{:02}{:02}{:02}Z",
                    1 + n / 5000 % 12,
                    1 + n / 1000 % 28,
                    n / 100 % 24,
                    n / 60 % 60,
                    n % 60
                ) + &format!("-{n}"),
            );
            fs::create_dir_all(&run).expect("made");
            let verdict = if n % 10 == 3 { "invalid" } else { "valid" };
            let shapes = if n % 10 == 3 {
                r#"[{"kind":"stale-read","fingerprint":"9f2c","count":3,"key":"k7","during":"clock"}]"#
            } else {
                "[]"
            };
            let summary = format!(
                r#"{{"schema":"perjury.summary/1","verdict":"{verdict}","asked":["linearizable"],"system":"demo-{}","version":"1.{}","workload":"register","seed":{n},"started":"2026-11-20T09:14:07Z","interrupted":false,"ops":3462,"duration_ns":20000000000,"anomalies":[],"shapes":{shapes},"faults":["clock","clock"],"setup":"s","reason":""}}"#,
                n % 7,
                n % 3
            );
            fs::write(run.join("summary.json"), summary).expect("written");
            // Whoever opened one of these would wait until somebody writes to it.
            rustix::fs::mknodat(
                rustix::fs::CWD,
                run.join("history.jsonl"),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .expect("a pipe");
            rustix::fs::mknodat(
                rustix::fs::CWD,
                run.join("results.json"),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .expect("a pipe");
        }
    }

    #[test]
    fn listing_reads_each_summary_once_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        store(dir.path(), 700);
        let opened = Dir::open(dir.path()).expect("opened");
        let mut index = Index::default();
        assert_eq!(index.list(&opened).expect("listed").len(), 700);
        assert_eq!((index.work.dirs, index.work.looked, index.work.read), (8, 700, 700));
        assert!(index.work.bytes < 700 * 1000);
        assert_eq!(index.list(&opened).expect("listed").len(), 700);
        assert_eq!((index.work.dirs, index.work.looked, index.work.read, index.work.bytes), (8, 700, 0, 0));

        let run = dir.path().join("demo-0/new");
        fs::create_dir(&run).expect("made");
        assert_eq!(index.list(&opened).expect("listed").len(), 700, "an empty directory is no run");
        fs::write(run.join("history.jsonl"), "").expect("written");
        let all = index.list(&opened).expect("listed");
        assert_eq!(all.iter().filter(|listed| listed.row.state == State::CutOff).count(), 1);
        fs::write(run.join("summary.json"), "{").expect("written");
        let all = index.list(&opened).expect("listed");
        assert_eq!(all.iter().filter(|listed| listed.row.state == State::Unreadable).count(), 1);
        fs::remove_dir_all(dir.path().join("demo-3")).expect("removed");
        assert_eq!(index.list(&opened).expect("listed").len(), 601);
    }

    /// The figure of `docs/serve.md`: `cargo test --release -p perjury ten_thousand -- --ignored --nocapture`.
    #[test]
    #[ignore = "measures; the work is counted above"]
    fn ten_thousand_runs() {
        let dir = tempfile::tempdir().expect("a directory");
        store(dir.path(), 10_000);
        let opened = Dir::open(dir.path()).expect("opened");
        let mut index = Index::default();
        for what in ["first", "again"] {
            let started = Instant::now();
            let all = index.list(&opened).expect("listed");
            let (shown, _) = groups(&all);
            println!(
                "{what}: {} runs, {} groups in {:?}: {:?}",
                all.len(),
                shown.len(),
                started.elapsed(),
                index.work
            );
        }
    }

    fn fits(search: &str, row: &RunRow) -> bool {
        Search::new(search).fits(&Listed::new(row.clone()))
    }

    #[test]
    fn runs_are_found_by_words_and_by_fields() {
        let mut row =
            bare("demo-quorum-register", "20261120T091407Z", "demo-quorum-register/20261120T091407Z");
        assert_eq!(row.started, "2026-11-20T09:14:07Z");
        row.system = "demo-quorum".into();
        row.workload = "register".into();
        row.seed = Some(7);
        row.faults = vec!["clock".into()];
        for search in [
            "",
            "quorum",
            "QUORUM register",
            "system:demo-quorum",
            "fault:clock seed:7",
            "-fault:kill",
            "2026-11-20",
            "run:0914",
            "\"demo-quorum\"",
            "-valid",
        ] {
            assert!(fits(search, &row), "{search}");
        }
        for search in ["system:demo", "fault:kill", "seed:70", "-clock", "nothing", "verdict:invalid"] {
            assert!(!fits(search, &row), "{search}");
        }
    }
}
