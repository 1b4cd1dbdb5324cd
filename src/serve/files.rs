//! Opens files below one directory and nowhere else: no part of a path may be a symlink, and only regular files are read.
//!
//! Each part is opened from the one before it, so that nothing can be exchanged between looking and opening.

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// A directory that was opened.
pub struct Dir(OwnedFd);

/// How large a file is and when it was written, to notice that it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    seconds: i64,
    nanos: u64,
    inode: u64,
}

/// What stands in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    /// A directory.
    Dir,
    /// A file with contents.
    File,
    /// Anything else: symlinks, pipes, sockets, devices.
    Other,
}

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Dir {
    /// The directory at `path`, wherever that leads: this is the one that a person named.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(path: &Path) -> io::Result<Dir> {
        Ok(Dir(openat(CWD, path, DIR, Mode::empty())?))
    }

    /// A directory in it.
    ///
    /// # Errors
    /// There is none, or it is a symlink.
    pub fn dir(&self, name: &str) -> io::Result<Dir> {
        Ok(Dir(openat(self.0.as_fd(), one(name)?, DIR | OFlags::NOFOLLOW, Mode::empty())?))
    }

    /// A file in it, for reading, with what is known of it.
    ///
    /// # Errors
    /// There is none, or it is a symlink, a directory, a pipe …
    pub fn file(&self, name: &str) -> io::Result<(File, Stamp)> {
        // A pipe would block until somebody writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(self.0.as_fd(), one(name)?, flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(ErrorKind::NotFound, "not a file"));
        }
        Ok((File::from(file), stamp(&stat)))
    }

    /// All of a file that may have at most `max` bytes.
    ///
    /// # Errors
    /// As [`Dir::file`]; it is larger.
    pub fn read(&self, name: &str, max: u64) -> io::Result<(Vec<u8>, Stamp)> {
        let (file, stamp) = self.file(name)?;
        // Room for all of it, and for the question whether there is more.
        let mut bytes = Vec::with_capacity(stamp.size.min(max) as usize + 1);
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::other(format!("larger than {max} bytes")));
        }
        Ok((bytes, stamp))
    }

    /// What is known of the file at `path` below, without opening it. Only for comparing: the path may lead elsewhere.
    pub fn stamp(&self, path: &str) -> Option<Stamp> {
        statat(self.0.as_fd(), path, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stamp(&stat))
    }

    /// Where a symlink in it leads, as it stands there.
    pub fn link(&self, name: &str) -> Option<String> {
        let target = readlinkat(self.0.as_fd(), one(name).ok()?, Vec::new()).ok()?;
        target.into_string().ok()
    }

    /// What is in it, hidden entries and names that are no text left out, in no order.
    ///
    /// # Errors
    /// The file system's.
    pub fn entries(&self) -> io::Result<Vec<(String, Entry)>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.0.as_fd())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name.starts_with('.') {
                continue;
            }
            let mut kind = entry.file_type();
            if kind == FileType::Unknown {
                // Some file systems do not say.
                let stat = statat(self.0.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW);
                kind = stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode));
            }
            let kind = match kind {
                FileType::Directory => Entry::Dir,
                FileType::RegularFile => Entry::File,
                _ => Entry::Other,
            };
            entries.push((name.to_string(), kind));
        }
        Ok(entries)
    }

    /// Whether a process holds the run in this directory (`Run::hold`).
    pub fn held(&self) -> bool {
        use rustix::fs::{FlockOperation, flock};
        match flock(&self.0, FlockOperation::NonBlockingLockShared) {
            Ok(()) => {
                // The end of this process would let go of it, too.
                let _ = flock(&self.0, FlockOperation::Unlock);
                false
            }
            Err(error) => error == Errno::WOULDBLOCK,
        }
    }
}

fn stamp(stat: &rustix::fs::Stat) -> Stamp {
    Stamp {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        seconds: stat.st_mtime,
        nanos: stat.st_mtime_nsec,
        inode: stat.st_ino,
    }
}

/// A name that is one part of a path.
fn one(name: &str) -> io::Result<&str> {
    let fine = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    if fine { Ok(name) } else { Err(ErrorKind::NotFound.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_of_the_directory() {
        let outer = tempfile::tempdir().expect("a directory");
        fs::write(outer.path().join("secret"), "no").expect("written");
        let inner = outer.path().join("inner");
        fs::create_dir_all(inner.join("sub")).expect("made");
        fs::write(inner.join("sub/file"), "yes").expect("written");
        symlink("../secret", inner.join("link")).expect("linked");
        symlink("..", inner.join("up")).expect("linked");
        rustix::fs::mknodat(CWD, inner.join("pipe"), FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
        let dir = Dir::open(&inner).expect("opened");
        assert_eq!(dir.dir("sub").and_then(|sub| sub.read("file", 10)).expect("read").0, b"yes");
        for name in ["link", "up", "../secret", "..", ".", "", "sub", "sub/file", "pipe", "a\0b"] {
            assert!(dir.file(name).is_err(), "{name}");
        }
        for name in ["up", "..", "sub/..", "link"] {
            assert!(dir.dir(name).is_err(), "{name}");
        }
        assert!(dir.dir("sub").and_then(|sub| sub.read("file", 2)).is_err(), "it is larger");
        let kinds: Vec<Entry> = {
            let mut entries = dir.entries().expect("listed");
            entries.sort();
            entries.into_iter().map(|(_, kind)| kind).collect()
        };
        assert_eq!(kinds, [Entry::Other, Entry::Other, Entry::Dir, Entry::Other]);
        assert_eq!(dir.link("link").as_deref(), Some("../secret"));
    }

    #[test]
    fn a_run_that_somebody_works_on_is_held() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("history.jsonl"), "").expect("written");
        let run = crate::store::Run::at(dir.path()).expect("a run");
        let seen = Dir::open(dir.path()).expect("opened");
        assert!(!seen.held());
        let held = run.hold().expect("held");
        assert!(seen.held());
        drop(held);
        assert!(!seen.held());
    }
}
