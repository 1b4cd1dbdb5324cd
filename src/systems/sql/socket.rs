//! Bytes to and from a server, by a deadline.

use crate::systems::http::NoAnswer;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest answer that is kept.
pub const ANSWER_MAX: usize = 64 << 20;

/// A connection, and what has arrived on it and was not taken yet.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Socket {
    /// Over a connected stream.
    pub fn new(stream: TcpStream) -> Socket {
        Socket { stream, buffer: Vec::new() }
    }

    /// Sends all of `bytes`. An error does not say how much of it went out.
    pub fn send(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(deadline)))?;
        self.stream.write_all(bytes)
    }

    /// What has arrived and was not taken.
    pub fn arrived(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes the first `count` bytes of what has arrived.
    ///
    /// # Panics
    /// If so many have not arrived.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        self.buffer.drain(..count).collect()
    }

    /// Waits until more arrives.
    pub fn more(&mut self, deadline: Instant) -> Result<(), NoAnswer> {
        let broken = |e: io::Error| NoAnswer::Broken(e.to_string());
        let mut piece = [0; 16 << 10];
        loop {
            if self.buffer.len() > ANSWER_MAX {
                return Err(NoAnswer::Broken(format!("an answer of more than {ANSWER_MAX} bytes")));
            }
            if Instant::now() >= deadline {
                return Err(NoAnswer::Late);
            }
            self.stream.set_read_timeout(Some(left(deadline))).map_err(broken)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(NoAnswer::Broken("the connection was closed before the answer".into())),
                Ok(n) => {
                    self.buffer.extend_from_slice(&piece[..n]);
                    return Ok(());
                }
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(NoAnswer::Late),
                    ErrorKind::Interrupted => {}
                    _ => return Err(broken(e)),
                },
            }
        }
    }

    /// Ends the connection: nothing that is still under way will be heard of.
    pub fn close(&self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
