//! Reads a history file, or the columns of it that an earlier reading left beside it.
//!
//! ```text
//!   history.jsonl                  ──fingerprint of all of it──┐
//!   history.jsonl.perjury-cache    ◀──is it of this content?───┘  yes: several times as fast; no: read, and write it again
//! ```
//! A cache is a courtesy: where it cannot be written or read, the history is read as if there were none.

use history::{CacheError, Fingerprint, History, ReadError, ReadOptions, read_cache, write_cache};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Smaller files are read before anybody notices.
const SIZE_MIN: u64 = 16 << 20;

/// Bytes that are read at once: small enough to stay in a cache of the processor.
const CHUNK: usize = 1 << 17;

/// Reads the history at `path`, from its cache if there is a good one, and leaves one if `keep` and there was none.
/// A shard is always read from the file.
///
/// # Errors
/// As [`history::read_file`].
pub fn read_file(path: &Path, options: &ReadOptions, keep: bool) -> Result<History, ReadError> {
    if keep { read_above(SIZE_MIN, path, options) } else { history::read_file(path, options) }
}

/// The same for files of at least so many bytes.
fn read_above(size_min: u64, path: &Path, options: &ReadOptions) -> Result<History, ReadError> {
    let before = match State::of(path) {
        Some(state) if state.size >= size_min && options.shard.is_none() => state,
        Some(_) | None => return history::read_file(path, options),
    };
    let content = match File::open(path).and_then(|mut file| Fingerprint::of(&mut file)) {
        Ok(content) => content,
        // Whoever reads it for good says what is wrong with it.
        Err(_) => return history::read_file(path, options),
    };
    let cache = cache_of(path);
    let mut damage = None;
    if let Ok(file) = File::open(&cache) {
        let mut input = BufReader::with_capacity(CHUNK, file);
        match read_cache(&path.display().to_string(), content, options, &mut input) {
            Ok(history) => return Ok(history),
            Err(CacheError::Stale) => {}
            Err(error @ (CacheError::Damaged | CacheError::Io(_))) => damage = Some(error),
        }
    }
    let mut history = history::read_file(path, options)?;
    // A file that changed meanwhile may not be what was looked at first.
    if State::of(path) == Some(before) {
        // A folder that cannot be written to, or a disk that is full, is no reason to stop.
        let _ = write(&cache, &history, content, options);
    }
    if let Some(error) = damage {
        history.warnings.push(format!("{}: not used, and written again: {error}", cache.display()));
    }
    Ok(history)
}

/// What changes with nearly every change of a file.
#[derive(PartialEq, Eq)]
struct State {
    size: u64,
    modified: Option<SystemTime>,
}

impl State {
    /// Nothing if it is no file that can be read twice.
    fn of(path: &Path) -> Option<State> {
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        Some(State { size: meta.len(), modified: meta.modified().ok() })
    }
}

fn cache_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".perjury-cache");
    PathBuf::from(name)
}

/// Under another name first, so that nobody finds half a cache.
fn write(cache: &Path, history: &History, content: Fingerprint, options: &ReadOptions) -> io::Result<()> {
    let mut name = cache.as_os_str().to_os_string();
    name.push(format!(".{}", std::process::id()));
    let half = PathBuf::from(name);
    let written = (|| {
        let mut out = BufWriter::with_capacity(CHUNK, File::create(&half)?);
        write_cache(history, content, options, &mut out)?;
        out.flush()?;
        fs::rename(&half, cache)
    })();
    if written.is_err() {
        fs::remove_file(&half)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(process: u32, value: u32) -> String {
        let call = format!("\"process\":{process},\"f\":\"write\",\"value\":{value}");
        format!("{{\"type\":\"invoke\",{call}}}\n{{\"type\":\"ok\",{call}}}\n")
    }

    fn values(history: &History) -> Vec<Option<i64>> {
        history.ops.iter().map(|op| history.values.int(op.input)).collect()
    }

    #[test]
    fn a_second_reading_finds_what_the_first_left_until_the_content_changes() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("h.jsonl");
        let cache = dir.path().join("h.jsonl.perjury-cache");
        let options = ReadOptions::default();
        fs::write(&path, line(0, 1)).expect("written");
        assert_eq!(values(&read_above(0, &path, &options).expect("a history")), [Some(1)]);
        let first = fs::read(&cache).expect("it was left");

        // A cache that says something else about this very content shows that it is what is read.
        let other = history::read("h", Box::new(io::Cursor::new(line(0, 5).into_bytes())), &options);
        let content = Fingerprint::of_bytes(line(0, 1).as_bytes());
        write(&cache, &other.expect("a history"), content, &options).expect("written");
        assert_eq!(values(&read_above(0, &path, &options).expect("a history")), [Some(5)]);

        // The same size and time, and another content.
        let time = fs::metadata(&path).expect("it is there").modified().expect("a time");
        fs::write(&path, line(0, 2)).expect("written");
        File::options().write(true).open(&path).expect("a file").set_modified(time).expect("set");
        let history = read_above(0, &path, &options).expect("a history");
        assert_eq!((values(&history), &history.warnings[..]), (vec![Some(2)], &[][..]));
        assert_ne!(fs::read(&cache).expect("written again"), first);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2, "nothing else is left");
    }

    #[test]
    fn a_damaged_cache_is_said_to_be_and_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("h.jsonl");
        let cache = dir.path().join("h.jsonl.perjury-cache");
        let options = ReadOptions::default();
        fs::write(&path, line(0, 1)).expect("written");
        read_above(0, &path, &options).expect("a history");
        let good = fs::read(&cache).expect("it was left");
        fs::write(&cache, &good[..good.len() - 20]).expect("written");
        let history = read_above(0, &path, &options).expect("a history");
        assert_eq!(values(&history), [Some(1)]);
        assert!(history.warnings[0].contains("h.jsonl.perjury-cache: not used"), "{:?}", history.warnings);
        assert_eq!(fs::read(&cache).expect("written again"), good);
        assert!(read_above(0, &path, &options).expect("a history").warnings.is_empty());
    }

    #[test]
    fn small_files_shards_and_folders_that_cannot_be_written_to_have_none() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("h.jsonl");
        fs::write(&path, line(0, 1).replace("\"f\"", "\"key\":1,\"f\"")).expect("written");
        read_file(&path, &ReadOptions::default(), true).expect("a history");
        let shard = ReadOptions { shard: history::Shard::new(1, 1), ..ReadOptions::default() };
        read_above(0, &path, &shard).expect("a history");
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 1);
        // In the place of the cache stands something that no file can replace.
        fs::create_dir_all(dir.path().join("h.jsonl.perjury-cache/x")).expect("created");
        assert_eq!(read_above(0, &path, &ReadOptions::default()).expect("a history").ops.len(), 1);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 2, "nothing is left half done");
    }
}
