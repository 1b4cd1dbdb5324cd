//! The file formats of histories, and how one is told from another by looking at it.

use crate::scan::describe;

/// A file format that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object per line: our own.
    Jsonl,
    /// Jepsen's `history.edn` and its relatives.
    JepsenEdn,
    /// Jepsen's `history.txt`.
    JepsenText,
    /// A log of Jepsen's.
    JepsenLog,
    /// The bare log lines of Porcupine's etcd files, where a failed `cas` is an observation.
    PorcupineLog,
    /// One JSON document.
    Json,
    /// The histories of the fastlin monitor: one object's operations with their times.
    Fastlin,
}

impl Format {
    /// All of them, in the order of documentation.
    pub fn all() -> &'static [Format] {
        const ALL: [Format; 7] = [
            Format::Jsonl,
            Format::JepsenEdn,
            Format::JepsenText,
            Format::JepsenLog,
            Format::PorcupineLog,
            Format::Json,
            Format::Fastlin,
        ];
        &ALL
    }

    /// The name that `--input` takes.
    pub fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::JepsenEdn => "jepsen-edn",
            Format::JepsenText => "jepsen-text",
            Format::JepsenLog => "jepsen-log",
            Format::PorcupineLog => "porcupine-log",
            Format::Json => "json",
            Format::Fastlin => "fastlin",
        }
    }

    /// What it is, in one sentence.
    pub fn about(self) -> &'static str {
        match self {
            Format::Jsonl => "JSON Lines, one event per line: what perjury writes",
            Format::JepsenEdn => {
                "Jepsen's history.edn, Knossos' and Porcupine's kv files: maps one per line or over several, \
                 in a vector, in a list, or tagged"
            }
            Format::JepsenText => {
                "Jepsen's history.txt: process, type, function, value and error between tabs"
            }
            Format::JepsenLog => "jepsen.log: those of its lines that end as history.txt's do",
            Format::PorcupineLog => {
                "Porcupine's etcd logs: such lines alone, after `INFO  jepsen.util - `; a failed cas compared false"
            }
            Format::Json => "one JSON document, an array of events, as elle-cli takes it",
            Format::Fastlin => {
                "fastlin's: `# stack`, `# queue` or `# priorityqueue`, then method, value, start and end of \
                 each operation"
            }
        }
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Format> {
        Format::all().iter().copied().find(|format| format.name() == name)
    }
}

/// What [`detect`] finds in a file of white space.
pub(crate) const EMPTY: &str = "an empty file";

/// The format of a file that begins with `bytes`, or what was found instead of one.
pub(crate) fn detect(bytes: &[u8]) -> Result<Format, String> {
    let space = |byte: &u8| byte.is_ascii_whitespace();
    let Some(at) = bytes.iter().position(|byte| !space(byte)) else {
        return Err(EMPTY.to_string());
    };
    let after = |open: usize| bytes[open + 1..].iter().position(|byte| !space(byte)).map(|n| open + 1 + n);
    let first_line = bytes[at..].split(|byte| *byte == b'\n').next().unwrap_or_default();
    match bytes[at] {
        b'{' => match after(at).map(|next| bytes[next]) {
            Some(b'"') | None => Ok(Format::Jsonl),
            // Neither has fields without quotes or colon; JSON is what most people write, so its reader complains.
            Some(byte) if byte != b':' && byte != b'#' && byte != b';' && byte != b'}' => Ok(Format::Jsonl),
            Some(_) => Ok(Format::JepsenEdn),
        },
        b'[' => match after(at) {
            Some(next) if bytes[next] == b'{' => match after(next).map(|next| bytes[next]) {
                Some(b'"') | None => Ok(Format::Json),
                Some(_) => Ok(Format::JepsenEdn),
            },
            Some(next) if matches!(bytes[next], b'#' | b';' | b'^' | b',' | b'(') => Ok(Format::JepsenEdn),
            Some(_) | None => Ok(Format::Json),
        },
        b'#' if crate::fastlin::is_head(first_line) => Ok(Format::Fastlin),
        _ if is_text_event(first_line) => Ok(Format::JepsenText),
        b'(' | b';' | b'#' | b'^' | b',' => Ok(Format::JepsenEdn),
        // Jepsen itself says the time and the thread first.
        _ if first_line.starts_with(b"INFO  jepsen.util - ") => Ok(Format::PorcupineLog),
        _ if bytes[at..].split(|byte| *byte == b'\n').any(is_log_event) => Ok(Format::JepsenLog),
        0xff | 0xfe if matches!(&bytes[at..], [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) => {
            Err("UTF-16 text".to_string())
        }
        _ if bytes.iter().take(512).any(|byte| *byte == 0) => Err("binary data".to_string()),
        _ => Err(describe(bytes, at)),
    }
}

/// Whether the line is `process :type :f …`.
fn is_text_event(line: &[u8]) -> bool {
    matches!(crate::text::find_event(line), Some(0))
}

/// Whether the line ends in `process :type :f …`.
fn is_log_event(line: &[u8]) -> bool {
    crate::text::find_event(line).is_some()
}
