//! What the nodes wrote into their logs around an anomaly, and whatever they warned of: read from the directory of a run.
//!
//! ```text
//!   <run>/n1/etcd.log ── stamp ──▶ what the node's clock said ── placing ──▶ the time of the run ──▶ reports::Logs
//! ```
//! Logs are read line by line, twice; none is held whole.

mod placing;
mod stamp;

use crate::store::{Run, node_dir};
use history::results::{Results, RunInfo};
use placing::{Clock, Place};
use reports::{Level, LogLine, Logs, windows};
use stamp::{level, stamp};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes of lines around anomalies that are kept of a file (1 MiB).
const KEPT_MAX: usize = 1 << 20;
/// Warnings and errors that are kept of a file.
const SERIOUS_MAX: usize = 10_000;
/// Bytes of a line that are kept.
const LINE_MAX: usize = 2000;
/// A quarter of an hour, by which zones differ, in nanoseconds.
const QUARTER: i64 = 900 * 1_000_000_000;
/// What the last digit of a coarse stamp is worth at least (1 ms), in nanoseconds.
const COARSE: i64 = 1_000_000;
/// How far from the beginning of a run a log may begin, once its zone is known (5 min).
const NEAR: i64 = 300 * 1_000_000_000;

/// What the logs of a run say of what its page shows. What cannot be read is said in the answer. Nothing of a run that
/// does not say what time it was.
pub fn read(run: Option<&Run>, results: &Results) -> Logs {
    let mut logs = Logs::default();
    let zero = results.run.as_ref().and_then(|info| Some((info, info.zero?)));
    let (Some(run), Some((info, zero))) = (run, zero) else { return logs };
    let windows = windows(results);
    for node in &info.nodes {
        let wanted = Wanted {
            node,
            zero: zero.saturating_add(ahead(info, node)),
            clock: Clock::of(node, &results.faults),
            windows: &windows,
        };
        for path in files(&run.dir().join(node_dir(node))) {
            let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
            if let Err(why) = wanted.read(&path, &name, &mut logs) {
                logs.unread.push(format!("{node}/{name}: {why}"));
            }
        }
    }
    logs.lines.sort_by_key(|line| line.time);
    logs
}

fn ahead(info: &RunInfo, node: &str) -> i64 {
    info.ahead.iter().find(|(name, _)| name == node).map_or(0, |(_, ahead)| *ahead)
}

/// The files of a node, by their names. None where there is no directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// What is looked for in the logs of a node.
struct Wanted<'a> {
    node: &'a str,
    /// What its clock said when the run began: nanoseconds since 1970.
    zero: i64,
    clock: Clock,
    windows: &'a [(i64, i64)],
}

impl Wanted<'_> {
    fn read(&self, path: &Path, name: &str, logs: &mut Logs) -> Result<(), String> {
        let failed = |error: io::Error| format!("reading: {error}");
        let open = || File::open(path).map(BufReader::new).map_err(failed);
        let places = self.places(open()?).map_err(failed)?;
        if places.iter().all(Option::is_none) {
            // What is not called a log may be anything that a node leaves behind.
            let is_log = path.extension().is_some_and(|end| end == "log");
            return match is_log && !places.is_empty() {
                true => Err("no line has a time that is understood".to_string()),
                false => Ok(()),
            };
        }
        let (mut kept, mut serious) = (0, 0);
        let mut place = None;
        let mut places = places.into_iter();
        each_line(open()?, |line, whole| {
            let stamped = places.next().flatten();
            // A line without a time goes on with the one before it.
            place = stamped.map(|(place, _)| place).or(place);
            let Some(Place { time, slack }) = place else { return };
            let level = stamped.map_or(Level::Usual, |(_, end)| level(line, end));
            let mut found = LogLine { time, slack, level, ..LogLine::default() };
            let near = self.windows.iter().any(|window| found.within(*window));
            if !near && level == Level::Usual {
                return;
            }
            let full = if near { kept + line.len() > KEPT_MAX } else { serious == SERIOUS_MAX };
            if full {
                logs.left_out += u64::from(near);
                logs.warnings_left_out += u64::from(level != Level::Usual);
                return;
            }
            if near {
                kept += line.len()
            } else {
                serious += 1
            }
            found.node = self.node.to_string();
            found.file = name.to_string();
            found.text = String::from_utf8_lossy(line).trim_end().to_string();
            if !whole {
                found.text.push('…');
            }
            logs.lines.push(found);
        })
        .map_err(failed)
    }

    /// When each line was written, and where in it that stands, if it says so.
    fn places(&self, file: impl BufRead) -> io::Result<Vec<Option<(Place, usize)>>> {
        let mut stamps = Vec::new();
        each_line(file, |line, _| stamps.push(stamp(line, self.zero)))?;
        let first = stamps.iter().flatten().find(|stamp| !stamp.zoned).map(|stamp| stamp.ns);
        let zone = first.map_or(0, |first| zone(first.saturating_sub(self.zero)));
        let said: Vec<i64> = stamps
            .iter()
            .flatten()
            .map(|stamp| {
                let ns = if stamp.zoned { stamp.ns } else { stamp.ns.saturating_sub(zone) };
                // The middle of what a coarse stamp may mean.
                let middle = if stamp.unit > COARSE { stamp.unit / 2 } else { 0 };
                ns.saturating_sub(self.zero).saturating_add(middle)
            })
            .collect();
        let mut placed = self.clock.places(&said).into_iter();
        let of = |stamp: Option<stamp::Stamp>| {
            let stamp::Stamp { unit, end, .. } = stamp?;
            placed.next().map(|place| (Place { slack: place.slack.saturating_add(unit / 2), ..place }, end))
        };
        Ok(stamps.into_iter().map(of).collect())
    }
}

/// How far a log that names no zone is ahead of UTC, if its first line is so far from the beginning of the run: logs
/// begin with the run.
fn zone(first: i64) -> i64 {
    let quarters = (first as f64 / QUARTER as f64).round() as i64;
    let zone = quarters.saturating_mul(QUARTER);
    let likely = quarters.abs() <= 14 * 4 && first.saturating_sub(zone).abs() <= NEAR;
    if likely { zone } else { 0 }
}

/// Hands out the lines, without their ends: of each at most so many bytes, and whether those are all.
fn each_line(mut file: impl BufRead, mut act: impl FnMut(&[u8], bool)) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = file.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let ended = line.last() == Some(&b'\n');
        if ended {
            line.pop();
        }
        let whole = ended || line.len() <= LINE_MAX;
        line.truncate(LINE_MAX);
        act(&without_colours(&line), whole);
        if !whole {
            skip_line(&mut file)?;
        }
    }
}

/// A line without what colours it in a terminal: `ESC [ … m`.
fn without_colours(line: &[u8]) -> Cow<'_, [u8]> {
    if !line.contains(&0x1b) {
        return Cow::Borrowed(line);
    }
    let mut plain = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.iter().position(|byte| *byte == 0x1b) {
        plain.extend_from_slice(&rest[..at]);
        let within = |byte: &u8| byte.is_ascii_digit() || *byte == b';';
        let length = rest.get(at + 2..).map_or(0, |rest| rest.iter().take_while(|byte| within(byte)).count());
        let is_colour = rest.get(at + 1) == Some(&b'[') && rest.get(at + 2 + length) == Some(&b'm');
        let end = if is_colour { at + 3 + length } else { at + 1 };
        if !is_colour {
            plain.push(0x1b);
        }
        rest = &rest[end..];
    }
    plain.extend_from_slice(rest);
    Cow::Owned(plain)
}

/// Goes to behind the next end of a line.
fn skip_line(file: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = file.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let (length, done) = (end.map_or(buffer.len(), |at| at + 1), end.is_some() || buffer.is_empty());
        file.consume(length);
        if done {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
