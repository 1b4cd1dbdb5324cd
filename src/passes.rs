//! A history that is larger than memory: read once for each shard of its keys, each judged before the next is read.
//!
//! ```text
//!   file ──rough size──▶ fits ──────────────────────────────▶ read at once
//!             └────────▶ may not fit ──count──▶ n shards ──▶ read and judge 1/n, 2/n, …, put together
//! ```

use crate::cli::CheckArgs;
use crate::exit::{self, Failure};
use crate::judging;
use crate::shards::{self, ShardFile, Whole};
use crate::signals::Signals;
use crate::subject::{self, Subject};
use history::results::Results;
use history::{Order, Passes, ReadOptions, Shard, Survey};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes that judging takes for each operation beside the history: its decoded form, and what the method keeps.
const PER_OP: u64 = 160;

/// Bytes of memory for each operation in all, of a history with plain values.
const OP: u64 = 260;

/// How much larger a packed file may become.
const UNPACKED: u64 = 20;

/// Bytes from which the rest of a file is guessed.
const SAMPLE: u64 = 1 << 20;

/// What reading a history will take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// It fits, or nothing is known of it beforehand.
    AtOnce,
    /// It does not fit, and is read shard by shard.
    InParts(Passes),
    /// It does not fit, and cannot be split so that it does: why.
    TooLarge(String),
}

/// How the history at `file` is to be read within `memory` bytes. A large one is read to its end for that.
///
/// # Errors
/// What is no history (65).
pub fn plan(file: &Path, options: &ReadOptions, memory: u64) -> Result<Plan, Failure> {
    // A quarter is for what a search keeps, at least.
    let limit = memory / 4 * 3;
    if rough(file).is_none_or(|bytes| bytes <= limit) {
        return Ok(Plan::AtOnce);
    }
    if options.order == Some(Order::Time) {
        return Ok(Plan::TooLarge("--order time needs all events at once".to_string()));
    }
    let survey = Survey::of(file, options).map_err(subject::read_failure)?;
    let passes = survey.passes(limit, PER_OP);
    Ok(match (passes.of, passes.fits) {
        (1, true) => Plan::AtOnce,
        (1, false) => Plan::TooLarge(format!(
            "it needs about {}, and {}",
            mebibytes(passes.largest),
            match survey.keyed {
                true => "only one key is large",
                false => "names no keys to split it by",
            }
        )),
        // Where the largest key alone is too large, the others need not be in memory beside it.
        (_, true | false) => Plan::InParts(passes),
    })
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

/// Bytes of memory that a file may need at most, from its size and its first lines; nothing if it is no file.
fn rough(file: &Path) -> Option<u64> {
    let meta = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    let mut sample = Vec::new();
    File::open(file).ok()?.take(SAMPLE).read_to_end(&mut sample).ok()?;
    if sample.starts_with(&[0x1f, 0x8b]) || sample.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Some(meta.len().saturating_mul(UNPACKED * 2));
    }
    // An operation is two events, and few events stand on several lines.
    let lines = sample.iter().filter(|byte| **byte == b'\n').count().max(1) as u64;
    let ops = (meta.len() / sample.len().max(1) as u64 + 1).saturating_mul(lines) / 2;
    Some(ops.saturating_mul(OP).saturating_add(meta.len() / 4))
}

/// Judges the history at `path` shard by shard. Nothing if the question cannot be asked so: then why not.
///
/// # Errors
/// As those of reading and judging; an interruption (130), because a part of a verdict is none.
pub fn judge(
    path: &Path,
    args: &CheckArgs,
    passes: Passes,
    signals: &Signals,
) -> Result<Result<Results, String>, Failure> {
    let mut judged = Vec::new();
    for shard in Shard::all(passes.of) {
        if !args.quiet {
            eprintln!("pass {} of {}", shard.index(), shard.of());
        }
        let mut subject = Subject::open_shard(path, &args.read, shard, args.question.limits.memory.0)?;
        let mut question = subject.question(&args.question)?;
        if let Err(failure) = shards::splits(&question, "--shard") {
            return Ok(Err(failure.message));
        }
        // The others are judged where all of the history is at hand.
        let inform = std::mem::take(&mut question.inform);
        let background = subject.background();
        let concluded =
            judging::judge(&mut subject.history, &question, background, &signals.stop, args.quiet)?;
        if signals.stopped() {
            return Err(Failure::new(exit::INTERRUPTED, format!("{}: interrupted", path.display())));
        }
        question.inform = inform;
        let read = subject::read_as(&args.read);
        let found = ShardFile::new(&subject.history, shard, String::new(), read, &question, concluded);
        judged.push((format!("pass {shard}"), found));
    }
    let whole = Whole::of(judged)?;
    let mut note = format!(
        "the history is larger than --memory allows, and was read in {} parts: no latencies, and no other properties",
        passes.of
    );
    if !passes.fits {
        note += &format!("; its largest part still needs about {}", mebibytes(passes.largest));
    }
    Ok(Ok(whole.conclude_alone(&whole.question()?, note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(lines: u32, key: impl Fn(u32) -> String) -> tempfile::NamedTempFile {
        let mut text = String::new();
        for i in 0..lines {
            for kind in ["invoke", "ok"] {
                let key = key(i);
                text +=
                    &format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"write\"{key},\"value\":{i}}}\n");
            }
        }
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn what_fits_is_read_at_once_and_what_does_not_in_parts() {
        let file = history(20_000, |i| format!(",\"key\":{}", i % 100));
        let options = ReadOptions::default();
        let plan = |memory| plan(file.path(), &options, memory).expect("a history");
        assert_eq!(plan(1 << 30), Plan::AtOnce);
        let Plan::InParts(passes) = plan(4 << 20) else { panic!("it does not fit") };
        assert!((2..6).contains(&passes.of) && passes.largest <= 3 << 20, "{passes:?}");
        let Plan::InParts(passes) = plan(10 << 10) else { panic!("a key does not fit, and the others less") };
        assert!(passes.of > 50 && !passes.fits, "{passes:?}");
    }

    #[test]
    fn what_names_no_keys_or_is_sorted_first_cannot_be_split() {
        let file = history(20_000, |_| String::new());
        let options = ReadOptions::default();
        let Plan::TooLarge(why) = plan(file.path(), &options, 1 << 20).expect("a history") else { panic!() };
        assert!(why.contains("no keys"), "{why}");
        let by_time = ReadOptions { order: Some(Order::Time), ..options };
        let Plan::TooLarge(why) = plan(file.path(), &by_time, 1 << 20).expect("a history") else { panic!() };
        assert!(why.contains("--order time"), "{why}");
        assert_eq!(plan(Path::new("-"), &options, 1).expect("nobody knows"), Plan::AtOnce);
    }
}
