//! `perjury check`: histories in, verdicts out.

use crate::cli::{CheckArgs, FormatArg};
use crate::exit::{self, Failure};
use crate::passes::{self, Plan};
use crate::shards::{self, ShardFile};
use crate::signals::Signals;
use crate::subject::Subject;
use crate::{judging, show, subject};
use history::Shard;
use history::results::{Answer, Results};
use reports::terminal::Paths;
use std::path::Path;

/// Judges every history that was named; the worst verdict is the exit code.
pub fn run(args: &CheckArgs, signals: &Signals) -> Result<u8, Failure> {
    if args.report.is_some() && args.histories.len() != 1 {
        return Err(Failure::usage("--report FILE takes one history at a time"));
    }
    if args.certificate.is_some() && args.histories.len() != 1 {
        return Err(Failure::usage("--certificate FILE takes one history at a time"));
    }
    if let (Some(shard), Some(output)) = (args.shard, &args.output) {
        return one_shard(args, shard, output, signals);
    }
    let mut codes = Vec::new();
    for path in &args.histories {
        let too_large = match in_parts(path, args, signals)? {
            Parts::Judged(results) => {
                print(&results, args.format, args.quiet, args.histories.len() > 1, None);
                codes.push(exit::code(results.verdict));
                continue;
            }
            Parts::None => None,
            Parts::TooLarge(why) => Some(why),
        };
        let mut subject = Subject::open(path, &args.read)?;
        if let Some(why) = too_large {
            let said = format!("the history may take more memory than --memory allows: {why}");
            subject.history.warnings.push(said);
        }
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
        let report = args.report.as_deref();
        print(&results, args.format, args.quiet, args.histories.len() > 1, report);
        codes.push(exit::code(results.verdict));
        if signals.stopped() {
            return Ok(exit::INTERRUPTED);
        }
    }
    Ok(exit::worst(codes))
}

/// What became of reading a history in parts.
enum Parts {
    /// It was larger than memory, and judged so.
    Judged(Box<Results>),
    /// It is not larger than memory.
    None,
    /// It is larger, and must be read at once: why.
    TooLarge(String),
}

/// Judges a history that is larger than memory part by part, if it can be.
fn in_parts(path: &Path, args: &CheckArgs, signals: &Signals) -> Result<Parts, Failure> {
    let (file, _, options) = subject::place(path, &args.read)?;
    let passes = match passes::plan(&file, &options, args.question.limits.memory.0)? {
        Plan::AtOnce => return Ok(Parts::None),
        Plan::TooLarge(why) => return Ok(Parts::TooLarge(why)),
        Plan::InParts(passes) => passes,
    };
    if args.report.is_some() || args.certificate.is_some() {
        return Ok(Parts::TooLarge("--report and --certificate need all of it at once".to_string()));
    }
    Ok(match passes::judge(path, args, passes, signals)? {
        Ok(results) => Parts::Judged(Box::new(results)),
        Err(why) => Parts::TooLarge(why),
    })
}

/// Judges the keys of one shard and writes what was found. Whether there is a violation is for `merge` to say: an engine
/// that runs many of these would take any other code for a failed job.
fn one_shard(args: &CheckArgs, shard: Shard, output: &Path, signals: &Signals) -> Result<u8, Failure> {
    let [path] = &args.histories[..] else {
        return Err(Failure::usage("--shard I/N takes one history at a time"));
    };
    if args.report.is_some() || args.certificate.is_some() {
        return Err(Failure::usage("--shard writes no report and no certificate; `perjury merge` can"));
    }
    let (mut subject, bytes) = Subject::open_hashed(path, &args.read, Some(shard))?;
    let mut question = subject.question(&args.question)?;
    shards::splits(&question)?;
    // The others are for whoever has the whole history.
    let inform = std::mem::take(&mut question.inform);
    let background = subject.background();
    let concluded = judging::judge(&mut subject.history, &question, background, &signals.stop, args.quiet)?;
    if signals.stopped() {
        // A shard that is not there is found to be missing, and judged again; half of one would not be.
        return Ok(exit::INTERRUPTED);
    }
    question.inform = inform;
    let found =
        ShardFile::new(&subject.history, shard, bytes, subject::read_as(&args.read), &question, concluded);
    let file = if output.extension().is_none_or(|extension| extension != "json") || output.is_dir() {
        std::fs::create_dir_all(output).map_err(|error| {
            Failure::new(exit::RESULTS, format!("{}: creating: {error}", output.display()))
        })?;
        output.join(format!("shard-{}-of-{}.json", shard.index(), shard.of()))
    } else {
        output.to_path_buf()
    };
    show::write_whole(&file, &serde_json::to_vec(&found).unwrap_or_default())?;
    if !args.quiet {
        let judged = &found.results.judgements;
        let keys = judged.iter().map(|judgement| judgement.objects.len()).max().unwrap_or(0);
        let answers: Vec<String> =
            judged.iter().map(|j| format!("{} {}", j.property, word(j.answer))).collect();
        show::out(&format!(
            "shard {shard}: {}, {}: {} · {}\n",
            judging::count(keys as u64, "key"),
            judging::count(found.results.stats.ops, "operation"),
            answers.join(", "),
            file.display()
        ));
    }
    Ok(exit::HOLDS)
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Holds => "holds",
        Answer::Violated => "violated",
        Answer::Undecided => "undecided",
    }
}

/// Prints what was concluded about one history, in full unless it is one of several.
pub fn print(results: &Results, format: FormatArg, quiet: bool, several: bool, report: Option<&Path>) {
    let paths = Paths {
        history: Some(results.checker.history.clone()),
        report: report.map(|file| file.display().to_string()),
        cores: Vec::new(),
    };
    match format {
        FormatArg::Json => show::json(results),
        FormatArg::Human | FormatArg::Narrated => {
            if !quiet {
                show::warnings(results);
                if !several {
                    show::anomalies(results, format == FormatArg::Narrated, &paths);
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
