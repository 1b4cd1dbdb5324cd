//! `perjury check --follow`: judges a history while it is being written.

use crate::cli::CheckArgs;
use crate::commands::check;
use crate::exit::{self, Failure};
use crate::follow::{Caught, Tail, Watcher};
use crate::judging::Question;
use crate::output::Sink;
use crate::signals::Signals;
use crate::store::Run;
use crate::subject::{Subject, read_failure, read_options};
use checker::{FailedCas, Rung};
use history::results::Verdict;
use history::{Event, History, NO_TIME, ReadError, Source};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// Nothing new for so long is a time to look at what has grown a little.
const QUIET: Duration = Duration::from_millis(100);

/// Watches until the history ends, then judges it as `perjury check` does. A first Ctrl-C is such an end.
pub fn run(args: &CheckArgs, sink: &mut Sink<'_>, signals: &Signals) -> Result<u8, Failure> {
    let [path] = &args.histories[..] else {
        return Err(Failure::usage("--follow takes one history at a time"));
    };
    if path == Path::new("-") {
        return Err(Failure::usage("--follow takes a file: standard input is read to its end as it is"));
    }
    let question = question(args, path)?;
    let caught = watch(args, path, &question, signals)?;
    // The history as it stands, with everything that only the whole can show. A second Ctrl-C skips it.
    let mut whole = args.clone();
    whole.read.allow_truncated = true;
    let second = Signals { stop: signals.skip.clone(), skip: signals.skip.clone() };
    let verdict = check::one(&whole, path, sink, &second)?;
    match (verdict, caught) {
        (Verdict::Valid | Verdict::Vacuous, Some(caught)) => Err(Failure::new(
            exit::BUG,
            format!("{}: {}; but the whole history has a legal order", path.display(), told(&caught)),
        )),
        (Verdict::Undecided, Some(_)) => Ok(exit::VIOLATED),
        (verdict, _) => Ok(exit::code(verdict)),
    }
}

/// What is asked, before anything is known of the history.
fn question(args: &CheckArgs, path: &Path) -> Result<Question, Failure> {
    let run = Run::at(path);
    if args.question.model == "auto" && run.as_ref().and_then(Run::model).is_none() {
        return Err(Failure::usage("--follow needs --model NAME: which one fits is only known at the end"));
    }
    let source = Source { name: path.display().to_string(), format: "jsonl" };
    let subject = Subject { history: History { source, ..History::default() }, run };
    let mut question = subject.question(&args.question)?;
    if !question.asked.contains(&Rung::Linearizable) && args.fail_fast {
        return Err(Failure::usage(format!(
            "--fail-fast: a part of a history cannot show that the whole is not {}; only linearizable can be watched",
            question.asked.iter().map(|property| property.name()).collect::<Vec<_>>().join(", ")
        )));
    }
    if args.question.failed_cas == crate::cli::FailedCasArg::Auto {
        // By the format, which is not known yet: what says least is sound for all.
        question.spec.failed_cas = FailedCas::Drop;
    }
    Ok(question)
}

/// Reads until the end, and judges on the way.
fn watch(
    args: &CheckArgs,
    path: &Path,
    question: &Question,
    signals: &Signals,
) -> Result<Option<Caught>, Failure> {
    let run = Run::at(path);
    let file = run.as_ref().map_or_else(|| path.to_path_buf(), Run::history);
    let name = file.display().to_string();
    let mut options = read_options(&args.read)?;
    options.allow_truncated = true;
    options.own = run.is_some();
    let enough = Arc::new(AtomicBool::new(false));
    let idle = args.idle.map(|span| span.0);
    let tail = Tail::open(&file, run, idle, vec![signals.stop.clone(), enough.clone()])
        .map_err(|error| read_failure(ReadError::Io { file: name.clone(), error }))?;
    let (sender, events) = channel();
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            history::visit(&name, Box::new(tail), &options, &mut |event| match sender.send(event) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            })
        });
        let caught = if question.asked.contains(&Rung::Linearizable) {
            first_violation(&events, question, &signals.stop, args.fail_fast)
        } else {
            // Nothing can be said early: wait for the end.
            events.iter().for_each(drop);
            None
        };
        if args.fail_fast && caught.is_some() {
            enough.store(true, Ordering::SeqCst);
        }
        drop(events);
        let read = reading.join().map_err(|_| Failure::new(exit::BUG, "following the history failed"))?;
        match (read, &caught) {
            (Ok(_), _) => Ok(caught),
            // Nobody asked for more of it.
            (Err(_), Some(_)) if args.fail_fast => Ok(caught),
            (Err(error), _) => Err(read_failure(error)),
        }
    })
}

/// The first violation; once there is one, and unless that is enough, goes on until the history ends.
fn first_violation(
    events: &Receiver<Event>,
    question: &Question,
    stop: &AtomicBool,
    fail_fast: bool,
) -> Option<Caught> {
    let mut watcher = Watcher::new(question.spec.clone(), question.memory, stop);
    loop {
        let caught = match events.recv_timeout(QUIET) {
            Ok(event) => watcher.take(&event),
            Err(RecvTimeoutError::Timeout) => watcher.quiet(),
            // Whatever is left is judged with the whole.
            Err(RecvTimeoutError::Disconnected) => return None,
        };
        if let Some(caught) = caught {
            eprintln!("{}", told(&caught));
            if !fail_fast {
                events.iter().for_each(drop);
            }
            return Some(caught);
        }
    }
}

/// One line.
pub fn told(caught: &Caught) -> String {
    let of = caught.key.as_ref().map_or(String::new(), |key| format!(" (key {key})"));
    let at =
        if caught.time == NO_TIME { String::new() } else { format!(" at {:.3} s", caught.time as f64 / 1e9) };
    let Caught { kind, sentence, events, .. } = caught;
    format!("not linearizable after {events} events{at}: {kind}: {sentence}{of}")
}
