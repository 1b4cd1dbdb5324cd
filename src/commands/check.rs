//! `perjury check`: histories in, verdicts out.

use crate::cli::parse::{Bytes, Span, quoted};
use crate::cli::{CheckArgs, OrderArg, Output};
use crate::commands::follow;
use crate::exit::{self, Failure};
use crate::judging::Background;
use crate::output::Sink;
use crate::passes::{self, Plan};
use crate::shards::{self, ShardFile};
use crate::signals::Signals;
use crate::subject::Subject;
use crate::{judging, show, subject};
use clap::ValueEnum;
use history::Shard;
use history::results::{Answer, Judgement, Results, Verdict};
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
    if let Some(shard) = args.shard {
        let [output] = &args.output[..] else {
            return Err(Failure::usage("--shard I/N takes one --output DIR|FILE"));
        };
        return one_shard(args, shard, Path::new(output), signals);
    }
    let outputs: Vec<Output> = args
        .output
        .iter()
        .map(|output| output.parse().map_err(|error| Failure::usage(format!("--output: {error}"))))
        .collect::<Result<_, _>>()?;
    let mut sink = Sink::new(&args.format, &outputs, &args.histories, args.quiet)?;
    if args.follow {
        let code = follow::run(args, &mut sink, signals)?;
        sink.finish()?;
        return Ok(code);
    }
    let mut codes = Vec::new();
    for path in &args.histories {
        codes.push(exit::code(one(args, path, &mut sink, signals)?));
        if signals.stopped() {
            break;
        }
    }
    sink.finish()?;
    Ok(if signals.stopped() { exit::INTERRUPTED } else { exit::worst(codes) })
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
    if args.report.is_some() || args.certificate.is_some() || args.key.is_some() {
        return Ok(Parts::TooLarge("--report, --certificate and --key need all of it at once".to_string()));
    }
    Ok(match passes::judge(path, args, passes, signals)? {
        Ok(results) => Parts::Judged(Box::new(results)),
        Err(why) => Parts::TooLarge(why),
    })
}

/// Judges one history, prints what was concluded, and writes what was asked for.
///
/// # Errors
/// As the reader, the judge and the disk say.
pub fn one(
    args: &CheckArgs,
    path: &Path,
    sink: &mut Sink<'_>,
    signals: &Signals,
) -> Result<Verdict, Failure> {
    let too_large = match in_parts(path, args, signals)? {
        Parts::Judged(results) => {
            let verdict = results.verdict;
            let paths = paths(&results, None);
            sink.take(*results, paths, None)?;
            return Ok(verdict);
        }
        Parts::None => None,
        Parts::TooLarge(why) => Some(why),
    };
    let memory = args.question.limits.memory.0;
    let mut subject = Subject::open(path, &args.read, Some(memory)).map_err(|failure| match &too_large {
        Some(why) if failure.code == exit::UNDECIDED => {
            Failure::new(failure.code, format!("{failure} ({why})"))
        }
        Some(_) | None => failure,
    })?;
    if let Some(why) = too_large {
        let said = format!("the history may take more memory than --memory allows: {why}");
        subject.history.warnings.push(said);
    }
    let mut question = subject.question(&args.question)?;
    if args.quiet && !question.always_inform {
        question.inform.clear();
    }
    let background = match &args.key {
        Some(key) => {
            shards::splits(&question, "--key")?;
            subject.narrow(key)?;
            question.inform.clear();
            // How much a run tested is a matter of all its keys.
            Background { vacuous: Vec::new(), ..subject.background() }
        }
        None => subject.background(),
    };
    let concluded = judging::judge(&mut subject.history, &question, background, &signals.stop, args.quiet)?;
    if let Some(file) = &args.certificate {
        let certificate = subject.certificate(&args.read, &question, &concluded);
        show::write_certificate(file, &certificate)?;
    }
    let results = concluded.results;
    let report = args
        .report
        .as_deref()
        .filter(|file| show::page_beside(file, &results, &subject.history, subject.run.as_ref()));
    let (verdict, further) = (results.verdict, to_go_on(args, path, &results));
    let paths = paths(&results, report);
    sink.take(results, paths, Some(&subject.history))?;
    if let Some(command) = further.filter(|_| sink.for_people() && !args.quiet) {
        eprintln!("to go on: {command}");
    }
    Ok(verdict)
}

/// The command that tries the first undecided object again with more of what ran out: alone, if it has a key.
fn to_go_on(args: &CheckArgs, path: &Path, results: &Results) -> Option<String> {
    let of = |judgement: &&Judgement| {
        judgement.answer == Answer::Undecided && results.asked.contains(&judgement.property)
    };
    let judgement = results.judgements.iter().find(of)?;
    let object = judgement.objects.iter().find(|object| object.answer == Answer::Undecided)?;
    let mut words = vec!["perjury check".to_string(), format!("--model {}", judgement.model)];
    if judgement.property != "linearizable" {
        words.push(format!("--property {}", judgement.property));
    }
    let limits = &args.question.limits;
    let memory = object.reason.starts_with("memory");
    let times = if memory { 1 } else { 10 };
    words.push(format!("--timeout {}", Span(limits.timeout.0 * times)));
    let times = if memory { 4 } else { 1 };
    words.push(format!("--memory {}", Bytes(limits.memory.0.saturating_mul(times))));
    if let ([key], "per key") = (&object.keys[..], judgement.scope.as_str()) {
        words.push(format!("--key {}", quoted(key)));
    }
    let given = &args.question;
    if let Some(initial) = &given.initial {
        words.push(format!("--initial {}", quoted(initial)));
    }
    for (flag, name) in [
        (given.failed_cas.to_possible_value(), "failed-cas"),
        (given.nil_read.to_possible_value(), "nil-read"),
    ] {
        let usual = if name == "failed-cas" { "auto" } else { "observe" };
        let value = flag.map(|value| value.get_name().to_string()).filter(|value| value != usual);
        words.extend(value.map(|value| format!("--{name} {value}")));
    }
    words.extend(args.read.independent.then(|| "--independent".to_string()));
    words.extend((args.read.order == Some(OrderArg::Time)).then(|| "--order time".to_string()));
    words.push(quoted(&path.display().to_string()));
    Some(words.join(" "))
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
    let (mut subject, bytes) =
        Subject::open_hashed(path, &args.read, Some(shard), Some(args.question.limits.memory.0))?;
    let mut question = subject.question(&args.question)?;
    shards::splits(&question, "--shard")?;
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

/// Where the files are that are spoken of.
pub fn paths(results: &Results, report: Option<&Path>) -> Paths {
    Paths {
        history: Some(results.checker.history.clone()),
        report: report.map(|file| file.display().to_string()),
        cores: Vec::new(),
    }
}
