//! Reads a history from a file or from anything that can be read.

use crate::by_time::ByTime;
use crate::compressed::Packing;
use crate::draft::Draft;
use crate::event::{Event, Kind};
use crate::format::{Format, detect};
use crate::history::{History, Malformed, Source};
use crate::input::Input;
use crate::interner::{Interner, ValueId};
use crate::pairing::Pairing;
use crate::quick::Words;
use crate::raw::{Raw, RawProcess, Wrong};
use crate::scan::{Fail, describe};
use crate::shard::Shard;
use crate::{edn_event, fastlin, json_event, text};
use std::fmt;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

/// How to read. The default fits a file that somebody hands us: look at the content, believe the order of its lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// The format; `None` looks at the content.
    pub format: Option<Format>,
    /// Whether each value is `[key value]`, as Jepsen's `independent` writes them.
    pub independent: bool,
    /// What orders events; `None` is what the format says, which is [`Order::Line`] for all there are so far.
    pub order: Option<Order>,
    /// Whether an unfinished last event is dropped with a warning rather than refused.
    pub allow_truncated: bool,
    /// Whether our own runner wrote it: then a process that goes on after `info` is an error.
    pub own: bool,
    /// Keep only the operations of the keys of this part. Everything else, ranks, lines, processes, faults and what is
    /// refused, is as in the whole history; memory is needed for the part, and for all keys.
    pub shard: Option<Shard>,
    /// So many bytes of memory the history may take, about; reading ends where it takes more. `None`: any number.
    pub memory: Option<u64>,
}

/// What orders the events of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Their lines.
    Line,
    /// Their times; at ties calls before returns, but never against the order of one process.
    Time,
}

/// Why there is no history.
#[derive(Debug)]
pub enum ReadError {
    /// It can be read, and is not a history.
    Malformed(Malformed),
    /// It cannot be read.
    Io {
        /// The file's path, or `-`.
        file: String,
        /// What the system says.
        error: io::Error,
    },
    /// It takes more memory than [`ReadOptions::memory`] allows.
    TooLarge {
        /// The file's path, or `-`.
        file: String,
        /// The line that was read last.
        line: u64,
        /// Bytes that were allowed.
        limit: u64,
    },
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Malformed(malformed) => malformed.fmt(f),
            ReadError::Io { file, error } => write!(f, "{file}: cannot be read: {error}"),
            ReadError::TooLarge { file, line, limit } => {
                write!(
                    f,
                    "{file}:{line}: up to here the history takes more than {} MiB of memory",
                    limit >> 20
                )
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// Reads the history at `path`; `-` is standard input.
///
/// # Errors
/// As [`read`]; a directory is [`Malformed`], too.
pub fn read_file(path: impl AsRef<Path>, options: &ReadOptions) -> Result<History, ReadError> {
    let (name, input) = open(path.as_ref())?;
    read(&name, input, options)
}

/// Reads a history. `name` is what errors call it.
///
/// Plain or packed by gzip or Zstandard, in any [`Format`]. Linear in time; needs memory for the result, and for a
/// window of a few MB or twice the longest single line or form.
///
/// # Errors
/// The first place where it is not a history, or the error of the reader.
pub fn read(name: &str, input: Box<dyn Read + Send>, options: &ReadOptions) -> Result<History, ReadError> {
    let mut pairing = Pairing::new(options.own, options.shard);
    let (values, mut warnings, format) = match options.order {
        None | Some(Order::Line) => stream(name, input, options, &mut pairing)?,
        Some(Order::Time) => {
            let mut sorted = ByTime::default();
            let mut read = stream(name, input, options, &mut sorted)?;
            let (events, warning) = sorted.finish();
            read.1.extend(warning);
            for raw in events {
                pairing.event(&raw, &read.0).map_err(|wrong| malformed(name, raw.line, raw.column, wrong))?;
            }
            read
        }
    };
    if options.shard.is_some() && !pairing.keyed() {
        return Err(whole(
            name,
            "operations with keys (a shard is made of whole keys)",
            "none that names a key",
        ));
    }
    let mut history = pairing.finish(values, Source { name: name.to_string(), format: format.name() });
    warnings.append(&mut history.warnings);
    history.warnings = warnings;
    Ok(history)
}

/// Reads the events of the file at `path` in the order of the file; `-` is standard input. Takes memory for all of
/// them: see [`visit_events`].
///
/// # Errors
/// As [`read_file`].
pub fn read_events(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Vec<Event>, ReadError> {
    let mut events = Vec::new();
    visit_events(path, options, &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    })?;
    Ok(events)
}

/// Hands over the events of the file at `path` one by one, in the order of the file, for as long as `visit` says so;
/// all of them, whatever the shard: that is a matter of what is judged. They are paired on the way, so that what is not a history is refused as [`read_file`] does.
///
/// What the format alone implies is said in the event, so that it is not lost by writing it in another: a failed `cas`
/// of a [`Format::PorcupineLog`] compared false, and comes as an `ok` without effect.
///
/// # Errors
/// As [`read_file`], after the events before the bad one were handed over.
pub fn visit_events(
    path: impl AsRef<Path>,
    options: &ReadOptions,
    visit_event: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Source, ReadError> {
    let (name, input) = open(path.as_ref())?;
    visit(&name, input, options, visit_event)
}

/// [`visit_events`] of anything that can be read. A reader that waits for more may say [`io::ErrorKind::WouldBlock`] once
/// before it does: then the events of all whole lines are handed over first.
///
/// # Errors
/// As [`visit_events`].
pub fn visit(
    name: &str,
    input: Box<dyn Read + Send>,
    options: &ReadOptions,
    visit: &mut dyn FnMut(Event) -> ControlFlow<()>,
) -> Result<Source, ReadError> {
    let mut sink = Visitor { pairing: Pairing::new(options.own, None), visit };
    let (_, _, format) = stream(name, input, options, &mut sink)?;
    Ok(Source { name: name.to_string(), format: format.name() })
}

/// Pairs, so that what is no history is refused, and hands the events over.
struct Visitor<'a> {
    pairing: Pairing,
    visit: &'a mut dyn FnMut(Event) -> ControlFlow<()>,
}

impl Sink for Visitor<'_> {
    fn event(&mut self, raw: &Raw, values: &Interner, format: Format) -> Result<ControlFlow<()>, Wrong> {
        self.pairing.event(raw, values)?;
        let mut event = raw.to_event(values);
        let compared_false = event.kind == Kind::Fail && event.f == "cas" && event.error.is_none();
        if format == Format::PorcupineLog && compared_false {
            event.kind = Kind::Ok;
            event.applied = Some(false);
        }
        Ok((self.visit)(event))
    }
}

pub(crate) fn open(path: &Path) -> Result<(String, Box<dyn Read + Send>), ReadError> {
    let name = path.display().to_string();
    if name == "-" {
        return Ok((name, Box::new(io::stdin())));
    }
    let opened = std::fs::metadata(path).and_then(|meta| match meta.is_dir() {
        true => Ok(None),
        false => std::fs::File::open(path).map(Some),
    });
    match opened {
        Ok(Some(file)) => Ok((name, Box::new(file))),
        Ok(None) => Err(whole(&name, "a history file", "a directory")),
        Err(error) => Err(ReadError::Io { file: name, error }),
    }
}

/// What takes the events of a stream.
pub(crate) trait Sink {
    /// Whether an event with this key (`NULL` if it names none) will be looked at. Of others, only the place, the
    /// process, the kind, the function and the key need be known.
    fn wants(&mut self, _process: i64, _kind: Kind, _key: ValueId, _values: &Interner) -> bool {
        true
    }

    /// Bytes that it keeps in memory, about.
    fn bytes(&self) -> u64 {
        0
    }

    /// Takes an event.
    ///
    /// # Errors
    /// Why it cannot follow on the earlier ones.
    fn event(&mut self, raw: &Raw, values: &Interner, format: Format) -> Result<ControlFlow<()>, Wrong>;
}

/// Why a stream ended before the file did.
pub(crate) enum Stop {
    /// Something is wrong at an offset of the window.
    Fail(Fail),
    /// Something is wrong with the event at a line and column.
    Wrong(u64, u64, Wrong),
    /// The reader failed.
    Io(io::Error),
    /// The visitor has seen enough.
    Enough,
    /// At this line there is more than may be kept.
    Full(u64),
}

impl From<Fail> for Stop {
    fn from(fail: Fail) -> Stop {
        Stop::Fail(fail)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

/// Where the events of a stream go: what every format's reader hands them to.
pub(crate) struct Out<'a> {
    pub values: Interner,
    pub warnings: Vec<String>,
    pub options: &'a ReadOptions,
    pub format: Format,
    /// How many events were handed on.
    pub events: u64,
    /// Numbers of the functions and nodes.
    pub words: Words,
    /// At how many events it is looked next how much they take.
    weigh_at: u64,
    sink: &'a mut dyn Sink,
}

impl Out<'_> {
    /// Hands on an event. Its line and column must be set.
    pub(crate) fn event(&mut self, draft: &mut Draft<'_>) -> Result<(), Stop> {
        self.events += 1;
        let (line, column) = (draft.raw.line, draft.raw.column);
        if self.events >= self.weigh_at {
            self.weigh(line)?;
        }
        let stop = |wrong| Stop::Wrong(line, column, wrong);
        if self.options.independent {
            draft.unwrap_independent().map_err(stop)?;
        }
        let mut wanted = true;
        if self.options.shard.is_some() {
            if let RawProcess::Client(process) = draft.raw.process {
                draft.raw.key = draft.key.intern(&mut self.values);
                wanted = self.sink.wants(process, draft.raw.kind, draft.raw.key, &self.values);
            }
        }
        if wanted {
            draft.number(&mut self.values);
        } else {
            draft.weigh();
        }
        match self.sink.event(&draft.raw, &self.values, self.format).map_err(stop)? {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Enough),
        }
    }
}

impl Out<'_> {
    /// Whether what is kept has become too much. It is looked at ever more rarely, because that takes a look at every
    /// long value: a thirty-second part more is the most that is missed.
    #[cold]
    fn weigh(&mut self, line: u64) -> Result<(), Stop> {
        self.weigh_at = self.events + self.events / 32 + 1024;
        match self.options.memory {
            Some(limit) if self.values.bytes() + self.sink.bytes() > limit => Err(Stop::Full(line)),
            Some(_) | None => Ok(()),
        }
    }
}

pub(crate) fn stream(
    name: &str,
    reader: Box<dyn Read + Send>,
    options: &ReadOptions,
    sink: &mut dyn Sink,
) -> Result<(Interner, Vec<String>, Format), ReadError> {
    let mut input = Input::new(reader);
    let format = options.format.unwrap_or(Format::Jsonl);
    let mut out = Out {
        values: Interner::default(),
        warnings: Vec::new(),
        options,
        format,
        events: 0,
        words: Words::new(),
        weigh_at: if options.memory.is_some() { 0 } else { u64::MAX },
        sink,
    };
    let mut packing = None;
    let stop = prepare(&mut input, &mut packing).and_then(|()| {
        if options.format.is_none() {
            out.format = detect(input.window()).map_err(|found| not_a_history(&input, found))?;
        }
        match out.format {
            Format::Jsonl => json_event::read_lines(&mut input, &mut out),
            Format::Json => json_event::read_document(&mut input, &mut out),
            Format::JepsenEdn => edn_event::read(&mut input, &mut out),
            Format::Fastlin => fastlin::read(&mut input, &mut out),
            Format::JepsenText | Format::JepsenLog | Format::PorcupineLog => text::read(&mut input, &mut out),
        }
    });
    match stop {
        Ok(()) => {}
        Err(Stop::Enough) => return Ok((out.values, out.warnings, out.format)),
        Err(Stop::Full(line)) => {
            let limit = options.memory.unwrap_or_default();
            return Err(ReadError::TooLarge { file: name.to_string(), line, limit });
        }
        Err(Stop::Wrong(line, column, wrong)) => return Err(malformed(name, line, column, wrong)),
        Err(Stop::Fail(fail)) => {
            let (line, column) = input.position(fail.at);
            if !fail.ran_out {
                let found = fail.found.unwrap_or_else(|| describe(input.window(), fail.at));
                return Err(malformed(name, line, column, Wrong::new(fail.expected, found)));
            }
            if !options.allow_truncated {
                let found = "the end of the file (cut short? --allow-truncated drops an unfinished event)";
                return Err(malformed(name, line, column, Wrong::new(fail.expected, found)));
            }
            out.warnings.push(format!("the file ends within an event, on line {line}: dropped"));
        }
        Err(Stop::Io(error)) => {
            let Some(packing) = packing else { return Err(ReadError::Io { file: name.to_string(), error }) };
            let (line, column) = input.position(usize::MAX);
            let expected = format!("{} data", packing.name());
            return Err(match error.kind() {
                io::ErrorKind::UnexpectedEof => malformed(
                    name,
                    line,
                    column,
                    Wrong::new(format!("more {expected}"), "the end of the file"),
                ),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                    malformed(name, line, column, Wrong::new(expected, format!("damage ({error})")))
                }
                io::ErrorKind::Unsupported => {
                    whole(name, "an unpacked file (this build unpacks none)", &expected)
                }
                _ => ReadError::Io { file: name.to_string(), error },
            });
        }
    }
    if out.events == 0 {
        let found = if out.warnings.is_empty() { "none" } else { "only an unfinished one" };
        return Err(whole(name, "at least one event", found));
    }
    Ok((out.values, out.warnings, out.format))
}

/// Fills the window, unpacks, and goes past a byte order mark.
fn prepare(input: &mut Input, packing: &mut Option<Packing>) -> Result<(), Stop> {
    input.more()?;
    *packing = Packing::of(input.window());
    if let Some(packing) = packing {
        let packed = std::mem::replace(input, Input::new(Box::new(io::empty())));
        *input = Input::new(packing.unpack(packed.into_reader())?);
        input.more()?;
    }
    if input.window().starts_with("\u{feff}".as_bytes()) {
        input.advance_lines("\u{feff}".len(), 0);
    }
    Ok(())
}

fn not_a_history(input: &Input, found: String) -> Stop {
    let blank = input.window().iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if found == crate::format::EMPTY && input.done {
        return Stop::Wrong(0, 0, Wrong::new("at least one event", found));
    }
    let (line, column) = input.position(blank);
    Stop::Wrong(line, column, Wrong::new("a history (JSON Lines, EDN, JSON, or a Jepsen log)", found))
}

fn malformed(name: &str, line: u64, column: u64, wrong: Wrong) -> ReadError {
    ReadError::Malformed(Malformed {
        file: name.to_string(),
        line,
        column,
        expected: wrong.expected,
        found: wrong.found,
    })
}

/// About the whole file.
fn whole(name: &str, expected: &str, found: &str) -> ReadError {
    malformed(name, 0, 0, Wrong::new(expected, found))
}
