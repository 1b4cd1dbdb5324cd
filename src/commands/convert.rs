//! `perjury convert`: between history formats, event by event.

use crate::cli::{ConvertArgs, ConvertTo};
use crate::exit::{self, Failure};
use crate::subject;
use history::{Event, ReadOptions};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::ops::ControlFlow;
use std::path::Path;

/// Reads, pairs (so that nothing ill-formed passes) and writes.
pub fn run(args: &ConvertArgs) -> Result<u8, Failure> {
    let options = subject::read_options(&args.read)?;
    // Pairing first: nothing ill-formed is passed on. Standard input can be read only once, so there the events
    // themselves are kept.
    let events = events(&args.history, &options)?;
    let failed = |error: std::io::Error, to: &str| Failure::new(exit::RESULTS, format!("{to}: writing: {error}"));
    let (mut out, to): (Box<dyn Write>, String) = match &args.output {
        Some(path) => {
            let to = path.display().to_string();
            let file = File::create(path).map_err(|error| failed(error, &to))?;
            (Box::new(BufWriter::new(file)), to)
        }
        None => (Box::new(BufWriter::new(std::io::stdout().lock())), "standard output".to_string()),
    };
    let mut line = Vec::new();
    let mut write = || -> std::io::Result<()> {
        for event in &events {
            line.clear();
            match args.to {
                ConvertTo::Jsonl => history::write_json_line(event, &mut line),
                ConvertTo::Edn => history::write_edn_line(event, &mut line),
            }
            out.write_all(&line)?;
        }
        out.flush()
    };
    match write() {
        Ok(()) => Ok(exit::HOLDS),
        // A reader that has seen enough (`| head`) is not an error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(exit::HOLDS),
        Err(error) => Err(failed(error, &to)),
    }
}

/// The events of a file, which are known to be a history.
fn events(path: &Path, options: &ReadOptions) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    let mut keep = |event| {
        events.push(event);
        ControlFlow::Continue(())
    };
    history::read_events_file(path, options, &mut keep).map_err(subject::read_failure)?;
    if path != Path::new("-") {
        history::read_file(path, options).map_err(subject::read_failure)?;
    }
    Ok(events)
}
