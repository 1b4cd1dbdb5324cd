//! Every history of the corpus whose verdict is known from elsewhere gets that verdict.

use checker::{FailedCas, Judged, Limits, ModelName, NilRead, Property, Spec, judge};
use history::results::Answer;
use history::{History, ReadOptions, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A line of a `verdicts.tsv`.
struct Known {
    path: PathBuf,
    model: ModelName,
    flags: Vec<String>,
    valid: bool,
}

fn corpus() -> Vec<Known> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut tables = Vec::new();
    find_tables(&root, &mut tables);
    assert!(!tables.is_empty(), "{}: no verdicts.tsv", root.display());
    let mut known = Vec::new();
    for table in tables {
        let text = std::fs::read_to_string(&table).unwrap_or_else(|e| panic!("{}: {e}", table.display()));
        for line in text.lines().skip(1) {
            let [file, model, flags, verdict] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{}: expected four columns, found {line}", table.display());
            };
            known.push(Known {
                path: table.with_file_name(file),
                model: ModelName::find(model)
                    .unwrap_or_else(|| panic!("{}: no model {model}", table.display())),
                flags: words(flags),
                valid: match verdict {
                    "valid" => true,
                    "invalid" => false,
                    other => panic!("{}: expected valid or invalid, found {other}", table.display()),
                },
            });
        }
    }
    known
}

fn find_tables(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("a directory can be listed").path();
        if path.is_dir() {
            find_tables(&path, found);
        } else if path.file_name().is_some_and(|name| name == "verdicts.tsv") {
            found.push(path);
        }
    }
}

/// Words as a shell takes them, with single quotes.
fn words(flags: &str) -> Vec<String> {
    let quoted = flags.split('\'').enumerate();
    let mut words: Vec<String> = Vec::new();
    for (i, part) in quoted {
        if i % 2 == 1 {
            words.push(part.to_string());
        } else {
            words.extend(part.split_whitespace().map(str::to_string));
        }
    }
    words
}

impl Known {
    fn read(&self) -> (History, Spec) {
        let history = history::read_file(&self.path, &ReadOptions::default())
            .unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        let mut spec = Spec::new(self.model, history.source.format);
        let mut flags = self.flags.iter().map(String::as_str);
        while let Some(flag) = flags.next() {
            let value = flags.next().unwrap_or_else(|| panic!("{flag} has no value"));
            match (flag, value) {
                ("--initial", json) => spec.initial = Some(Value::from_json(json).expect("JSON")),
                ("--failed-cas", "drop") => spec.failed_cas = FailedCas::Drop,
                ("--failed-cas", "observe") => spec.failed_cas = FailedCas::Observe,
                ("--nil-read", "unknown") => spec.nil_read = NilRead::Unknown,
                other => panic!("{}: unknown flag {other:?}", self.path.display()),
            }
        }
        (history, spec)
    }

    fn judge(&self, property: Property) -> (History, Judged) {
        let (mut history, spec) = self.read();
        let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
        let limits = Limits { stop: &stop, bytes: 2 << 30, threads: 2, states: &states, progress: None };
        let judged = judge(&mut history, &spec, property, &limits)
            .unwrap_or_else(|e| panic!("{}: {e}", self.path.display()));
        (history, judged)
    }
}

#[test]
fn every_history_of_the_corpus_has_its_known_verdict() {
    let known = corpus();
    assert!(known.len() > 100, "the corpus has {} histories", known.len());
    for file in known {
        let (_, judged) = file.judge(Property::Linearizable);
        let expected = if file.valid { Answer::Holds } else { Answer::Violated };
        assert_eq!(judged.judgement.answer, expected, "{}: {:?}", file.path.display(), judged.judgement);
        assert_eq!(judged.disagreements, Vec::<String>::new(), "{}", file.path.display());
    }
}

#[test]
fn recorded_histories_are_decided_without_a_search_where_a_method_applies() {
    let mut taken: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for file in corpus() {
        let (_, judged) = file.judge(Property::Linearizable);
        for object in judged.judgement.objects {
            *taken.entry((file.model.name(), object.method)).or_default() += 1;
        }
    }
    println!("{taken:?}");
    let by = |model, method: &str| taken.get(&(model, method.to_string())).copied().unwrap_or(0);
    // On some keys of these files the same piece was put and appended, and that is for the search.
    assert!(by("kv", "chains of appends") > by("kv", "search"), "{taken:?}");
    assert!(by("mutex", "disjoint intervals") > 0, "{taken:?}");
    assert!(by("cas-register", "zones") > 0, "{taken:?}");
    assert!(by("cas-register", "zones, single candidates") > 0, "{taken:?}");
}

#[test]
fn what_is_linearizable_is_sequential() {
    for file in corpus().into_iter().filter(|file| file.valid) {
        let (_, judged) = file.judge(Property::Sequential);
        assert_eq!(judged.judgement.answer, Answer::Holds, "{}: {:?}", file.path.display(), judged.judgement);
    }
}

#[test]
fn a_violation_is_shown_by_a_handful_of_operations() {
    for file in corpus().into_iter().filter(|file| !file.valid && file.model == ModelName::CasRegister) {
        let (_, judged) = file.judge(Property::Linearizable);
        for violation in &judged.violations {
            let core = &violation.counterexample;
            assert!(core.minimal, "{}: {core:?} is not minimal", file.path.display());
            assert!(core.core.len() <= 12, "{}: {} operations", file.path.display(), core.core.len());
            assert!(core.fatal.is_some_and(|fatal| core.core.contains(&fatal)), "{core:?}");
        }
    }
}

#[test]
fn the_verdict_and_the_core_do_not_depend_on_the_number_of_threads() {
    for file in corpus().into_iter().filter(|file| !file.valid) {
        let of = |threads| {
            let (mut history, spec) = file.read();
            let (stop, states) = (AtomicBool::new(false), AtomicU64::new(0));
            let limits = Limits { stop: &stop, bytes: 2 << 30, threads, states: &states, progress: None };
            judge(&mut history, &spec, Property::Linearizable, &limits).expect("well-formed").violations
        };
        assert_eq!(of(1), of(4), "{}", file.path.display());
    }
}
