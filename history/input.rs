//! A window onto the bytes of a file that moves from its beginning to its end, and knows its line and column.

use std::io::{self, Read};

/// How much is read at once. The window grows beyond it only for a single form or line that is longer.
const WINDOW: usize = 1 << 20;

pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether everything was read.
    pub done: bool,
    /// Line of the window's first byte, from 1.
    pub line: u64,
    /// Its column in bytes, from 1.
    pub column: u64,
}

impl Input {
    pub(crate) fn new(reader: Box<dyn Read + Send>) -> Input {
        Input { reader, buffer: Vec::new(), start: 0, end: 0, done: false, line: 1, column: 1 }
    }

    /// Everything that was not consumed, to be read in another way.
    pub(crate) fn into_reader(mut self) -> Box<dyn Read + Send> {
        self.buffer.truncate(self.end);
        let mut read = io::Cursor::new(self.buffer);
        read.set_position(self.start as u64);
        Box::new(read.chain(self.reader))
    }

    /// What was read and not yet consumed.
    pub(crate) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Reads on: at least doubles the window, so that whoever scans it again from its start stays linear; or less where the
    /// reader says that there is no more for now ([`io::ErrorKind::WouldBlock`]): then what is there can be looked at.
    pub(crate) fn more(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let before = self.end;
        let wanted = WINDOW.max(self.end * 2);
        self.buffer.resize(wanted, 0);
        while self.end < wanted && !self.done {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.done = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.end > before {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Goes past `count` bytes of the window.
    pub(crate) fn advance(&mut self, count: usize) {
        let (line, column) = self.position(count);
        self.line = line;
        self.column = column;
        self.start += count;
    }

    /// Goes past `count` bytes that end with the last of `lines` line breaks.
    pub(crate) fn advance_lines(&mut self, count: usize, lines: u64) {
        self.line += lines;
        self.column = 1;
        self.start += count;
    }

    /// Line and column of the byte at `offset` of the window. O(offset).
    pub(crate) fn position(&self, offset: usize) -> (u64, u64) {
        let offset = offset.min(self.end - self.start);
        let before = &self.window()[..offset];
        let breaks = before.iter().filter(|byte| **byte == b'\n').count() as u64;
        match breaks {
            0 => (self.line, self.column + offset as u64),
            _ => {
                let since = before.iter().rev().take_while(|byte| **byte != b'\n').count() as u64;
                (self.line + breaks, since + 1)
            }
        }
    }
}
