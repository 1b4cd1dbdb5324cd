//! `perjury merge`: the shards of one history put together.

use crate::cli::{MergeArgs, OrderArg, ReadArgs};
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::judging::Concluded;
use crate::output::Sink;
use crate::shards::{ShardFile, Whole};
use crate::show;
use crate::signals::Signals;
use crate::subject::Subject;
use std::fs;
use std::path::{Path, PathBuf};

/// Merges; the verdict is the exit code.
pub fn run(args: &MergeArgs, signals: &Signals) -> Result<u8, Failure> {
    let mut sink = Sink::new(&args.format, &[], &[], args.quiet)?;
    let mut shards = Vec::new();
    let mut history: Option<&PathBuf> = None;
    for path in &args.files {
        let files = shard_files(path)?;
        if files.is_empty() && history.replace(path).is_some() {
            let what = format!("{}: expected a shard; only one history can be named", path.display());
            return Err(Failure::new(exit::HISTORY, what));
        }
        for file in files {
            let name = file.display().to_string();
            let bytes = fs::read(&file).map_err(|error| unreadable(&file, &error))?;
            shards.push((name.clone(), ShardFile::read(&name, &bytes)?));
        }
    }
    if history.is_none() && args.report.is_some() {
        return Err(Failure::usage("--report draws the history, so it needs to be named beside the shards"));
    }
    let whole = Whole::of(shards)?;
    let mut question = whole.question()?;
    if args.quiet && !question.always_inform {
        question.inform.clear();
    }
    let mut found = whole.found();
    let mut report = None;
    let results = match history {
        Some(path) => {
            let read = ReadArgs {
                input: "auto".to_string(),
                independent: whole.read().independent,
                order: whole.read().by_time.then_some(OrderArg::Time),
                allow_truncated: whole.read().allow_truncated,
                no_cache: true,
            };
            let (mut subject, bytes) = Subject::open_hashed(path, &read, None, None)?;
            if bytes != whole.bytes() {
                return Err(Failure::new(
                    exit::HISTORY,
                    format!("{}: the shards are of another history ({})", path.display(), whole.history()),
                ));
            }
            found.inform(&mut subject.history, &question, &signals.stop, args.quiet)?;
            let Concluded { results, .. } = found.conclude(&subject.history, &question, whole.background());
            report = args
                .report
                .as_deref()
                .filter(|file| show::page_beside(file, &results, &subject.history, subject.run.as_ref()));
            results
        }
        None => whole.conclude_alone(
            &question,
            "the shards were merged without the history: no latencies, and no other properties".to_string(),
        ),
    };
    if let Some(file) = &args.output {
        show::write_results(file, &results)?;
    }
    let verdict = results.verdict;
    let paths = check::paths(&results, report);
    sink.take(results, paths, None)?;
    sink.finish()?;
    Ok(if signals.stopped() { exit::INTERRUPTED } else { exit::code(verdict) })
}

/// The shards at a path: itself, or those of a directory; none if it is something else, which may be the history.
fn shard_files(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| unreadable(path, &error))?;
        let is_shard = |path: &PathBuf| {
            let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
            name.starts_with("shard-") && name.ends_with(".json")
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_shard).collect();
        files.sort();
        return Ok(files);
    }
    let mut start = Vec::new();
    let opened = fs::File::open(path);
    std::io::Read::read_to_end(
        &mut std::io::Read::take(opened.map_err(|error| unreadable(path, &error))?, 64),
        &mut start,
    )
    .map_err(|error| unreadable(path, &error))?;
    let mine = String::from_utf8_lossy(&start)
        .replace(char::is_whitespace, "")
        .starts_with("{\"schema\":\"perjury.");
    Ok(if mine { vec![path.to_path_buf()] } else { Vec::new() })
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(exit::HISTORY, format!("{}: cannot be read: {error}", path.display()))
}
