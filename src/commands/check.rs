//! `perjury check`: histories in, verdicts out.

use crate::cli::{CheckArgs, FormatArg};
use crate::exit::{self, Failure};
use crate::signals::Signals;
use crate::subject::Subject;
use crate::{judging, show};
use history::results::Results;
use reports::terminal::Paths;

/// Judges every history that was named; the worst verdict is the exit code.
pub fn run(args: &CheckArgs, signals: &Signals) -> Result<u8, Failure> {
    if args.report.is_some() && args.histories.len() != 1 {
        return Err(Failure::usage("--report FILE takes one history at a time"));
    }
    if args.certificate.is_some() && args.histories.len() != 1 {
        return Err(Failure::usage("--certificate FILE takes one history at a time"));
    }
    let mut codes = Vec::new();
    for path in &args.histories {
        let mut subject = Subject::open(path, &args.read)?;
        let mut question = subject.question(&args.question)?;
        if args.quiet && !question.always_inform {
            question.inform.clear();
        }
        let background = subject.background();
        let concluded =
            judging::judge(&mut subject.history, &question, background, &signals.stop, args.quiet)?;
        if let Some(file) = &args.certificate {
            let certificate = subject.certificate(&args.read, &question, &concluded);
            show::write_certificate(file, &certificate)?;
        }
        let results = concluded.results;
        if let Some(file) = &args.report {
            show::write_page(file, &results, &subject.history)?;
        }
        print(&results, args);
        codes.push(exit::code(results.verdict));
        if signals.stopped() {
            return Ok(exit::INTERRUPTED);
        }
    }
    Ok(exit::worst(codes))
}

fn print(results: &Results, args: &CheckArgs) {
    let several = args.histories.len() > 1;
    let paths = Paths {
        history: Some(results.checker.history.clone()),
        report: args.report.as_ref().map(|file| file.display().to_string()),
        cores: Vec::new(),
    };
    match args.format {
        FormatArg::Json => show::json(results),
        FormatArg::Human | FormatArg::Narrated => {
            if !args.quiet {
                show::warnings(results);
                if !several {
                    show::anomalies(results, args.format == FormatArg::Narrated, &paths);
                    show::beside(results);
                }
            }
            if several {
                show::out(&format!("{}: ", results.checker.history));
            }
            show::verdict(results, &paths);
        }
    }
}
