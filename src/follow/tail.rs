//! A file that is still being written, as a stream: waits for more, and notices when it is no longer the same file.

use crate::store::Run;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a file that had nothing new is looked at again.
const POLL: Duration = Duration::from_millis(20);

/// Reads what is there, then says once that there is nothing more for now ([`ErrorKind::WouldBlock`]), then waits.
pub struct Tail {
    file: File,
    path: PathBuf,
    /// The run whose history it is; it has ended when its summary is there.
    run: Option<Run>,
    /// Ends after so long without news.
    idle: Option<Duration>,
    /// Ends when one of these is set, with whatever is there.
    stops: Vec<Arc<AtomicBool>>,
    read: u64,
    /// Whether there was something since it was last said that there was nothing.
    fresh: bool,
    /// Whether there was a whole line.
    line: bool,
}

impl Tail {
    /// The file at `path` from its beginning.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(
        path: &Path,
        run: Option<Run>,
        idle: Option<Duration>,
        stops: Vec<Arc<AtomicBool>>,
    ) -> io::Result<Tail> {
        Ok(Tail::of(File::open(path)?, path, run, idle, stops))
    }

    /// The same, of a file that was opened.
    pub fn of(
        file: File,
        path: &Path,
        run: Option<Run>,
        idle: Option<Duration>,
        stops: Vec<Arc<AtomicBool>>,
    ) -> Tail {
        Tail { file, path: path.to_path_buf(), run, idle, stops, read: 0, fresh: false, line: false }
    }

    fn stopped(&self) -> bool {
        self.stops.iter().any(|stop| stop.load(Ordering::SeqCst))
    }

    /// That the path still leads to this file, and that nothing was taken off its end.
    fn unchanged(&self) -> io::Result<()> {
        let (mine, there) = (self.file.metadata()?, fs::metadata(&self.path)?);
        if (mine.dev(), mine.ino()) != (there.dev(), there.ino()) {
            return Err(io::Error::other("another file took its place while it was followed"));
        }
        if mine.len() < self.read {
            return Err(io::Error::other("it was cut short while it was followed"));
        }
        Ok(())
    }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waited = Instant::now();
        loop {
            // Asked before reading: what was written before a run ended is read before its end is believed.
            let ended = self.stopped() || self.run.as_ref().is_some_and(Run::finished);
            let count = self.file.read(buffer)?;
            if count > 0 {
                let packed = [&[0x1f, 0x8b][..], &[0x28, 0xb5, 0x2f, 0xfd]];
                if self.read == 0 && packed.iter().any(|magic| buffer[..count].starts_with(magic)) {
                    return Err(io::Error::other("a packed file cannot be followed"));
                }
                self.read += count as u64;
                self.fresh = true;
                self.line |= buffer[..count].contains(&b'\n');
                return Ok(count);
            }
            self.unchanged()?;
            if ended || self.idle.is_some_and(|idle| waited.elapsed() >= idle) {
                return Ok(0);
            }
            // A first line of which only half is there says nothing about the format yet.
            if self.line && std::mem::take(&mut self.fresh) {
                return Err(ErrorKind::WouldBlock.into());
            }
            std::thread::sleep(POLL);
            if self.idle.is_none() {
                waited = Instant::now();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Everything until the end, or the error.
    fn all(tail: &mut Tail) -> io::Result<Vec<u8>> {
        let (mut got, mut buffer) = (Vec::new(), [0; 100]);
        loop {
            match tail.read(&mut buffer) {
                Ok(0) => return Ok(got),
                Ok(count) => got.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn tail(path: &Path, idle_ms: u64) -> Tail {
        Tail::open(path, None, Some(Duration::from_millis(idle_ms)), Vec::new()).expect("opened")
    }

    #[test]
    fn what_is_written_while_it_is_read_is_read_too() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        let mut file = File::create(&path).expect("created");
        file.write_all(b"one\n").expect("written");
        let mut tail = tail(&path, 400);
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            file.write_all(b"two\n").expect("written");
        });
        assert_eq!(all(&mut tail).expect("read"), b"one\ntwo\n");
        writer.join().expect("written");
    }

    #[test]
    fn a_file_that_is_cut_short_or_replaced_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        fs::write(&path, "one\ntwo\n").expect("written");
        let mut cut = tail(&path, 10_000);
        let mut buffer = [0; 100];
        assert_eq!(cut.read(&mut buffer).expect("read"), 8);
        File::options().write(true).open(&path).and_then(|file| file.set_len(4)).expect("cut");
        assert!(all(&mut cut).expect_err("noticed").to_string().contains("cut short"));

        let mut replaced = tail(&path, 10_000);
        assert_eq!(replaced.read(&mut buffer).expect("read"), 4);
        fs::rename(&path, dir.path().join("history.1")).expect("moved");
        fs::write(&path, "").expect("written");
        assert!(all(&mut replaced).expect_err("noticed").to_string().contains("took its place"));
    }

    #[test]
    fn a_packed_file_cannot_be_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history.gz");
        fs::write(&path, [0x1f, 0x8b, 8, 0]).expect("written");
        assert!(all(&mut tail(&path, 100)).expect_err("noticed").to_string().contains("packed"));
    }

    #[test]
    fn whoever_stops_it_gets_what_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("history");
        fs::write(&path, "one\n").expect("written");
        let stop = Arc::new(AtomicBool::new(true));
        let mut tail = Tail::open(&path, None, None, vec![stop]).expect("opened");
        assert_eq!(all(&mut tail).expect("read"), b"one\n");
    }
}
