//! `perjury report`: the page of a run or history, made again.

use crate::cli::ReportArgs;
use crate::exit::{self, Failure};
use crate::signals::Signals;
use crate::store::Run;
use crate::subject::Subject;
use crate::{excerpts, judging, show};
use std::path::PathBuf;

/// Writes the page and prints its path. A run that was judged is drawn from its results; anything else is judged first.
pub fn run(args: &ReportArgs, signals: &Signals) -> Result<u8, Failure> {
    let mut subject = Subject::open(&args.what, &args.read, None)?;
    let results = match subject.run.as_ref().and_then(Run::results) {
        Some(results) => results,
        None => {
            let question = subject.question(&args.question)?;
            let background = subject.background();
            judging::judge(&mut subject.history, &question, background, &signals.stop, false)?.results
        }
    };
    let file = match (&args.output, &subject.run) {
        (Some(file), _) => file.clone(),
        (None, Some(run)) => run.report(),
        (None, None) => {
            let stem =
                args.what.file_name().map_or("history".into(), |name| name.to_string_lossy().into_owned());
            PathBuf::from(format!("{}.html", if stem == "-" { "history" } else { &stem }))
        }
    };
    let history = &subject.history;
    show::write_drawn(&file, || {
        let most = if args.all { usize::MAX } else { reports::OPS_MAX };
        let run = subject.run.as_ref().filter(|_| !args.no_logs);
        reports::html_of(&results, history, &excerpts::read(run, &results), most)
    })?;
    show::out(&format!("{}\n", file.display()));
    Ok(exit::HOLDS)
}
