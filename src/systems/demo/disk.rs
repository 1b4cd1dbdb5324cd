//! A node's memory beyond its own life: a log of records, each with a checksum, only ever appended to.
//!
//! ```text
//!   fsync=always   append ─▶ write ─▶ fdatasync ─▶ acknowledged        a kill loses nothing that was acknowledged
//!   fsync=lost     append ─▶ acknowledged … up to a second … ─▶ write ─▶ fdatasync
//!                                            └─ a kill here loses it, as a power failure does to a lazy database
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// How often a lazy log is written.
const LAZY: Duration = Duration::from_secs(1);

/// When a record counts as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// When the disk has it.
    Always,
    /// At once, in memory; the disk gets it within a second, or never.
    Lost,
}

/// An append-only log.
#[derive(Debug)]
pub struct Disk {
    fsync: Fsync,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// What a kill would lose. Empty with `Fsync::Always`.
    unwritten: Vec<u8>,
}

impl Disk {
    /// Opens the log at `path`, new or old, and returns its records. A torn last record (the process died while it
    /// was written, so it was never acknowledged) is cut off.
    pub fn open<T: DeserializeOwned>(path: &Path, fsync: Fsync) -> io::Result<(Disk, Vec<T>)> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut records = Vec::new();
        let mut good = 0;
        for line in bytes.split_inclusive(|&b| b == b'\n') {
            let Some(record) = decode(line) else { break };
            records.push(record);
            good += line.len() as u64;
        }
        file.set_len(good)?;
        file.seek(SeekFrom::End(0))?;
        let inner = Arc::new(Mutex::new(Inner { file, unwritten: Vec::new() }));
        if fsync == Fsync::Lost {
            let inner = Arc::downgrade(&inner);
            std::thread::spawn(move || write_lazily(&inner));
        }
        Ok((Disk { fsync, inner }, records))
    }

    /// Stores a record; with `Fsync::Always` it is on disk when this returns.
    ///
    /// # Panics
    /// If the disk fails: a node that cannot keep its promises must not go on.
    pub fn append<T: Serialize>(&self, record: &T) {
        let line = encode(record);
        let mut inner = self.inner.lock().expect("nobody panics while holding the log");
        match self.fsync {
            Fsync::Always => {
                inner.file.write_all(&line).expect("writing the log");
                inner.file.sync_data().expect("flushing the log");
            }
            Fsync::Lost => inner.unwritten.extend_from_slice(&line),
        }
    }
}

fn write_lazily(inner: &Weak<Mutex<Inner>>) {
    loop {
        std::thread::sleep(LAZY);
        let Some(inner) = inner.upgrade() else { return };
        let mut inner = inner.lock().expect("nobody panics while holding the log");
        let bytes = std::mem::take(&mut inner.unwritten);
        inner.file.write_all(&bytes).and_then(|()| inner.file.sync_data()).expect("writing the log");
    }
}

/// `checksum json\n`
fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    let json = serde_json::to_string(record).expect("a record is plain data");
    format!("{:016x} {json}\n", checksum(json.as_bytes())).into_bytes()
}

fn decode<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
    let (sum, json) = line.split_once(' ')?;
    if u64::from_str_radix(sum, 16).ok()? != checksum(json.as_bytes()) {
        return None;
    }
    serde_json::from_str(json).ok()
}

/// FNV-1a, 64 bits: enough to tell a torn line from a whole one.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &b| (sum ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_record_is_cut_off_and_the_ones_before_it_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (disk, old) = Disk::open::<u64>(&path, Fsync::Always).unwrap();
        assert!(old.is_empty());
        disk.append(&7u64);
        disk.append(&8u64);
        drop(disk);
        let whole = std::fs::read(&path).unwrap();
        for cut in 1..whole.len() / 2 {
            std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
            let (disk, old) = Disk::open::<u64>(&path, Fsync::Always).unwrap();
            assert_eq!(old, [7], "{cut} bytes short");
            disk.append(&9u64);
            drop(disk);
            assert_eq!(Disk::open::<u64>(&path, Fsync::Always).unwrap().1, [7, 9]);
        }
    }

    #[test]
    fn a_lazy_log_is_not_on_disk_when_it_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (disk, _) = Disk::open::<u64>(&path, Fsync::Lost).unwrap();
        disk.append(&7u64);
        assert!(std::fs::read(&path).unwrap().is_empty());
    }
}
