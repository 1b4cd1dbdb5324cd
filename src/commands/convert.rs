//! `perjury convert`: between history formats, event by event.

use crate::cli::{ConvertArgs, ConvertTo};
use crate::exit::{self, Failure};
use crate::subject;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Reads, pairs (so that nothing ill-formed passes) and writes.
pub fn run(args: &ConvertArgs) -> Result<u8, Failure> {
    let options = subject::read_options(&args.read)?;
    let events = history::read_events(&args.history, &options).map_err(subject::read_failure)?;
    let written = |error: std::io::Error, to: &str| Failure::new(exit::RESULTS, format!("{to}: writing: {error}"));
    let (mut out, to): (Box<dyn Write>, String) = match &args.output {
        Some(path) => {
            let file = File::create(path).map_err(|error| written(error, &path.display().to_string()))?;
            (Box::new(BufWriter::new(file)), path.display().to_string())
        }
        None => (Box::new(BufWriter::new(std::io::stdout().lock())), "standard output".to_string()),
    };
    let mut line = Vec::new();
    for event in &events {
        line.clear();
        match args.to {
            ConvertTo::Jsonl => history::write_json_line(event, &mut line),
            ConvertTo::Edn => history::write_edn_line(event, &mut line),
        }
        if let Err(error) = out.write_all(&line) {
            return closed_or(error, |error| written(error, &to));
        }
    }
    match out.flush() {
        Ok(()) => Ok(exit::HOLDS),
        Err(error) => closed_or(error, |error| written(error, &to)),
    }
}

/// A reader that has seen enough (`| head`) is not an error.
fn closed_or(error: std::io::Error, fail: impl FnOnce(std::io::Error) -> Failure) -> Result<u8, Failure> {
    if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(exit::HOLDS) } else { Err(fail(error)) }
}
