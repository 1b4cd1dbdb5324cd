//! `perjury gallery`: a page for every kind of anomaly, made again from the small histories that stand beside them.
//!
//! ```text
//!   kinds.tsv  stale-read  register  linearizable      stale-read.jsonl ──▶ judge ──▶ stale-read.html
//! ```
//! A page is written where it says or shows something else than before. Each holds all that it needs, so that a change
//! of the script or the style sheet alone would write all of them: they keep those that they were made with.
//! A kind without a history is an error, and so is a history that shows another kind: the gallery is complete or not made.

use crate::exit::{self, Failure};
use crate::judging::{self, Background, Question};
use crate::signals::Signals;
use crate::{show, subject};
use checker::Spec;
use checker::kinds::{Kind, kinds};
use history::ReadOptions;
use history::results::Results;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Writes `<kind>.html` for every kind that shows something new (every one, with `all`), and `README.md` that lists them.
///
/// # Errors
/// A kind without a line in `kinds.tsv` or with a history of another kind (65), and what [`show::write_page`] meets.
pub fn run(dir: &Path, all: bool, signals: &Signals) -> Result<u8, Failure> {
    let table = dir.join("kinds.tsv");
    let text = fs::read_to_string(&table).map_err(|error| wrong(format!("{}: {error}", table.display())))?;
    let mut list = String::from(
        "# Every kind of anomaly\n\nOne small history for each, and the report that it leads to. `cargo run -- gallery` makes them again.\n\n| kind | what happened | history | model, property |\n|---|---|---|---|\n",
    );
    for kind in kinds() {
        let line = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
        let Some(&[_, model, property]) = line.clone().find(|l| l.first() == Some(&kind.name)).as_deref()
        else {
            return Err(wrong(format!("{}: no line says how {} is judged", table.display(), kind.name)));
        };
        page(dir, kind, model, property, all, signals)?;
        let name = kind.name;
        list.push_str(&format!(
            "| [{name}]({name}.html) | {} | [{name}.jsonl]({name}.jsonl) | {model}, {property} |\n",
            kind.sentence
        ));
    }
    let readme = dir.join("README.md");
    fs::write(&readme, list)
        .map_err(|error| Failure::new(exit::RESULTS, format!("{}: writing: {error}", readme.display())))?;
    Ok(exit::HOLDS)
}

fn page(
    dir: &Path,
    kind: &Kind,
    model: &str,
    property: &str,
    all: bool,
    signals: &Signals,
) -> Result<(), Failure> {
    let file = dir.join(format!("{}.jsonl", kind.name));
    let mut history = history::read_file(&file, &ReadOptions::default()).map_err(subject::read_failure)?;
    // The page must be the same wherever it is made.
    history.source.name = format!("{}.jsonl", kind.name);
    let spec = Spec::new(subject::model(model)?, history.source.format);
    let question = Question {
        assumptions: spec.assumptions(),
        spec,
        asked: vec![subject::property(property)?],
        inform: judging::informing(false),
        always_inform: false,
        timeout: Duration::from_secs(60),
        memory: 4 << 30,
        threads: 1,
        every: false,
    };
    let mut results =
        judging::judge(&mut history, &question, Background::default(), &signals.stop, true)?.results;
    same_everywhere(&mut results);
    let found = results.anomalies.first().map_or("nothing", |anomaly| anomaly.kind.as_str());
    if found != kind.name {
        return Err(wrong(format!("{}: shows {found}, not {}", file.display(), kind.name)));
    }
    let path = dir.join(format!("{}.html", kind.name));
    let page = show::page(&path, &results, &history)?;
    let before = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    if !all && reports::shown(&before) == reports::shown(&page) {
        return Ok(());
    }
    fs::write(&path, page)
        .map_err(|error| Failure::new(exit::RESULTS, format!("{}: writing: {error}", path.display())))
}

/// Takes out what depends on the machine and the day, and on which method decides what.
fn same_everywhere(results: &mut Results) {
    results.checker.version = "gallery".to_string();
    for judgement in &mut results.judgements {
        judgement.seconds = 0.001;
        judgement.states = 0;
        for object in &mut judgement.objects {
            (object.method, object.states) = ("gallery".to_string(), 0);
        }
    }
}

fn wrong(text: String) -> Failure {
    Failure::new(exit::HISTORY, text)
}
