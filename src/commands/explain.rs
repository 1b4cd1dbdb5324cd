//! `perjury explain`: every counterexample of a run or file, or the meaning of a kind.

use crate::cli::ExplainArgs;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::output::Sink;
use crate::signals::Signals;
use crate::subject::Subject;
use crate::{config, judging, show};
use std::path::Path;

/// Prints what was asked for. Exit code 0 for a kind, else that of the verdict.
pub fn run(args: &ExplainArgs, signals: &Signals) -> Result<u8, Failure> {
    if let Some(kind) = checker::kinds::find(&args.what) {
        show::out(&format!(
            "{}: {}\n\n{}\n\n{}\n",
            kind.name,
            kind.sentence,
            kind.meaning,
            kind.example.trim_end()
        ));
        return Ok(exit::HOLDS);
    }
    let path = Path::new(&args.what);
    if args.what != "-" && !path.exists() {
        let names = checker::kinds::kinds().iter().map(|kind| kind.name);
        let mut failure = config::no_such("run, file or kind", &args.what, names);
        failure.code = exit::USAGE;
        return Err(failure);
    }
    let mut subject = Subject::open(path, &args.read, Some(args.question.limits.memory.0))?;
    let mut question = subject.question(&args.question)?;
    question.every = true;
    let background = subject.background();
    let results = judging::judge(&mut subject.history, &question, background, &signals.stop, false)?.results;
    let paths = match &subject.run {
        Some(run) => run.paths(&results),
        None => check::paths(&results, None),
    };
    let verdict = results.verdict;
    let mut sink = Sink::new(&args.format, &[], &[], false)?;
    sink.take(results, paths, Some(&subject.history))?;
    sink.finish()?;
    Ok(exit::code(verdict))
}
