//! Lines over a socket, each read by a deadline: what every conversation in the demo cluster is made of.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// The longest line that is read. Nothing here sends more; whoever does is not one of us.
const LINE_MAX: usize = 16 << 20;

/// Why there is no line.
#[derive(Debug)]
pub enum NoLine {
    /// The deadline came first. What arrived so far is kept, and the next call goes on from there.
    Late,
    /// The other side closed, or the connection broke.
    Closed(String),
}

/// A socket that can be told how long to wait.
pub trait Socket: Read + Write {
    /// How long the next read may block; `None` is for ever.
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()>;
}

impl Socket for TcpStream {
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

impl Socket for UnixStream {
    fn wait_at_most(&self, limit: Option<Duration>) -> io::Result<()> {
        self.set_read_timeout(limit)
    }
}

/// A socket, read line by line and written line by line.
#[derive(Debug)]
pub struct Lines<S> {
    socket: S,
    buffer: Vec<u8>,
    /// Bytes at the front of `buffer` that are known to hold no newline.
    searched: usize,
    /// Whether a read timeout is set on the socket, so that it is not set again for every line.
    endless: bool,
}

impl<S: Socket> Lines<S> {
    /// Wraps a connected socket that has no read timeout yet.
    pub fn new(socket: S) -> Lines<S> {
        Lines { socket, buffer: Vec::new(), searched: 0, endless: true }
    }

    /// The socket.
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// Whether more has arrived than was taken.
    pub fn more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line without its newline, by `deadline` if there is one.
    pub fn next(&mut self, deadline: Option<Instant>) -> Result<String, NoLine> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&b| b == b'\n') {
                let end = self.searched + at;
                let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
                line.pop();
                self.searched = 0;
                return String::from_utf8(line)
                    .map_err(|_| NoLine::Closed("a line that is not UTF-8".into()));
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > LINE_MAX {
                return Err(NoLine::Closed("a line without end".into()));
            }
            self.read_some(deadline)?;
        }
    }

    fn read_some(&mut self, deadline: Option<Instant>) -> Result<(), NoLine> {
        match deadline {
            None if self.endless => {}
            None => {
                self.socket.wait_at_most(None).map_err(closed)?;
                self.endless = true;
            }
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(NoLine::Late);
                }
                self.socket.wait_at_most(Some(left)).map_err(closed)?;
                self.endless = false;
            }
        }
        let mut chunk = [0; 16 << 10];
        match self.socket.read(&mut chunk) {
            Ok(0) => Err(NoLine::Closed("connection closed".into())),
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                Ok(())
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted) => Ok(()),
            // The kernel may wake a little early: the caller looks at the clock again.
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Ok(()),
            Err(e) => Err(closed(e)),
        }
    }

    /// Sends one line; `line` has no newline in it.
    pub fn send(&mut self, line: &str) -> io::Result<()> {
        send(&mut self.socket, line)
    }
}

/// Sends one line with a single write, so that a small line is a single packet.
pub fn send(socket: &mut impl Write, line: &str) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(line.len() + 1);
    bytes.extend_from_slice(line.as_bytes());
    bytes.push(b'\n');
    socket.write_all(&bytes)
}

fn closed(e: io::Error) -> NoLine {
    NoLine::Closed(e.to_string())
}
