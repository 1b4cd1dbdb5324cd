//! Bytes on their way in one direction of a connection, in order, each with the time before which it must not arrive.

use nemesis::Pass;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// A connection that has to be reset.
#[derive(Debug)]
pub struct Broken;

/// Bytes on their way in one direction.
#[derive(Default)]
pub struct Queue {
    chunks: VecDeque<Chunk>,
    /// How many bytes.
    pub held: usize,
    last_due: Option<Instant>,
    /// The sender has said its last byte.
    pub ended: bool,
    /// And the receiver has been told.
    pub finished: bool,
    /// The receiver's socket is full.
    pub full: bool,
    /// The instant that a timer is set for.
    armed: Option<Instant>,
}

struct Chunk {
    due: Instant,
    /// Empty at the end of the stream.
    bytes: Vec<u8>,
    sent: usize,
}

impl Queue {
    /// Takes bytes that may not be delivered before `due`; none are the end of the stream.
    pub fn push(&mut self, bytes: Vec<u8>, due: Instant) {
        self.ended = bytes.is_empty();
        self.held += bytes.len();
        // Never before the chunk in front of it: a connection keeps its order.
        let due = self.last_due.map_or(due, |last| due.max(last));
        self.last_due = Some(due);
        self.chunks.push_back(Chunk { due, bytes, sent: 0 });
    }

    /// Writes what is due, if it may pass. When to look again, if that is a matter of time and nobody knows yet.
    pub fn flush(&mut self, mut receiver: &TcpStream, pass: Pass) -> Result<Option<Instant>, Broken> {
        while let Some(chunk) = self.chunks.front_mut() {
            if pass != Pass::Flow || self.full {
                return Ok(None);
            }
            if chunk.due > Instant::now() {
                // One timer for each chunk at the front, however often we look at it.
                let due = Some(chunk.due).filter(|due| self.armed != Some(*due));
                self.armed = Some(chunk.due);
                return Ok(due);
            }
            if chunk.bytes.is_empty() {
                // The receiver may be gone already; then there is nobody to tell.
                let _ = receiver.shutdown(Shutdown::Write);
                self.finished = true;
            } else {
                match receiver.write(&chunk.bytes[chunk.sent..]) {
                    Ok(n) => {
                        chunk.sent += n;
                        self.held -= n;
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.full = true,
                    Err(_) => return Err(Broken),
                }
            }
            if chunk.sent == chunk.bytes.len() {
                self.chunks.pop_front();
            }
        }
        Ok(None)
    }
}
