//! `perjury convert`: between history formats, event by event.

use crate::cli::{ConvertArgs, ConvertTo};
use crate::exit::{self, Failure};
use crate::store::Run;
use crate::subject;
use history::Event;
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Reads, pairs (so that nothing ill-formed passes) and writes.
pub fn run(args: &ConvertArgs) -> Result<u8, Failure> {
    if args.history == Path::new("-") {
        return Err(Failure::usage("convert reads its input twice, so it takes a file, not standard input"));
    }
    let options = subject::read_options(&args.read)?;
    // Whatever is no history is refused before a byte is written.
    let history = history::read_file(&args.history, &options).map_err(subject::read_failure)?;
    let (mut out, to): (Box<dyn Write>, String) = match &args.output {
        Some(path) => {
            let to = path.display().to_string();
            let file = File::create(path).map_err(|error| failed(error, &to))?;
            (Box::new(BufWriter::new(file)), to)
        }
        None => (Box::new(BufWriter::new(std::io::stdout().lock())), "standard output".to_string()),
    };
    if args.to == ConvertTo::ChromeTrace {
        let faults = crate::faults::from_events(&history);
        // What was concluded about a run stands beside its history: its violations are in the trace, too.
        let results = args.history.parent().and_then(Run::at).filter(|run| run.history() == args.history);
        let results = results.and_then(|run| run.results());
        let done = reports::machine::chrome_trace(&history, &faults, results.as_ref(), &mut *out);
        return written(done, &mut *out, &to);
    }
    let mut line = Vec::new();
    let mut done = Ok(());
    let mut write = |event: Event| {
        line.clear();
        match args.to {
            ConvertTo::Jsonl => history::write_json_line(&event, &mut line),
            ConvertTo::Edn => history::write_edn_line(&event, &mut line),
            // Written above: it is made of operations, not of events.
            ConvertTo::ChromeTrace => {}
        }
        done = out.write_all(&line);
        if done.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    history::visit_events(&args.history, &options, &mut write).map_err(subject::read_failure)?;
    written(done, &mut *out, &to)
}

fn written(done: std::io::Result<()>, out: &mut dyn Write, to: &str) -> Result<u8, Failure> {
    match done.and_then(|()| out.flush()) {
        Ok(()) => Ok(exit::HOLDS),
        // A reader that has seen enough (`| head`) is not an error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(exit::HOLDS),
        Err(error) => Err(failed(error, to)),
    }
}

fn failed(error: std::io::Error, to: &str) -> Failure {
    Failure::new(exit::RESULTS, format!("{to}: writing: {error}"))
}
