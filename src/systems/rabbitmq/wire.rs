//! One connection with one channel to one broker, by AMQP 0-9-1: methods, and what follows them.
//!
//! ```text
//!   client                                             server
//!   "AMQP" 0 0 9 1                               ─▶
//!                                               ◀─     connection.start
//!   start-ok (PLAIN)                             ─▶
//!                                               ◀─     tune
//!   tune-ok, open                                ─▶
//!                                               ◀─     open-ok
//!   channel.open, confirm.select                 ─▶
//!                                               ◀─     open-ok, select-ok
//! ```
//! It never dials again and never sends anything twice. Heartbeats are agreed to be none: sessions may be idle for
//! longer than a client that sends none could; those that come are answered.

use super::frame::{self, Body, Frame, Method};
use crate::systems::http::NoAnswer;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The only channel.
const CHANNEL: u16 = 1;
/// The longest frame that we send and, so the server is told, take.
const FRAME_MAX: u32 = 128 << 10;
/// The longest message that is read.
const MESSAGE_MAX: u64 = 64 << 20;

/// A connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
    /// What was heard beside what was waited for.
    heard: VecDeque<Heard>,
    /// A method whose message is still arriving.
    partial: Option<Partial>,
    /// How many messages were published.
    published: u64,
}

/// What a server says on the channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The queue exists.
    Declared,
    /// It has taken the message of this number, and with `multiple` all before it.
    Confirmed { tag: u64, multiple: bool },
    /// It has not taken the message of this number, or says so.
    Refused { tag: u64, multiple: bool },
    /// A message came back: it could not be routed anywhere.
    Returned { code: u16, text: String },
    /// A message, which counts as taken when its tag is acknowledged.
    Got { tag: u64, redelivered: bool, body: Vec<u8> },
    /// The queue has no message now.
    Empty,
    /// The channel or the connection is closed: the code and what the server says.
    Closed { code: u16, text: String },
    /// Something else: what is waited for while the connection is opened, or what does not matter.
    Other(u16, u16),
}

/// A method that a message belongs to, as far as the message is here.
#[derive(Debug)]
struct Partial {
    method: Method,
    /// `None` until its header has come.
    size: Option<u64>,
    body: Vec<u8>,
}

impl Wire {
    /// Introduces itself, opens a channel, and asks for confirmations.
    pub fn open(stream: TcpStream, user: &str, password: &str, deadline: Instant) -> Result<Wire, String> {
        let mut wire =
            Wire { stream, buffer: Vec::new(), heard: VecDeque::new(), partial: None, published: 0 };
        let failed = |act: &str, e: io::Error| format!("{act}: {e}");
        wire.send(b"AMQP\x00\x00\x09\x01", deadline).map_err(|e| failed("greeting", e))?;
        wire.expect((10, 10), "connection.start", deadline)?;
        let start_ok = Body::new(10, 11)
            .empty_table()
            .short("PLAIN")
            .long(format!("\0{user}\0{password}").as_bytes())
            .short("en_US");
        wire.method(0, start_ok, deadline).map_err(|e| failed("introducing ourselves", e))?;
        wire.expect((10, 30), "connection.tune", deadline)?;
        let tune_ok = Body::new(10, 31).u16(CHANNEL).u32(FRAME_MAX).u16(0);
        wire.method(0, tune_ok, deadline).map_err(|e| failed("tuning", e))?;
        let open = Body::new(10, 40).short("/").short("").bits(0);
        wire.method(0, open, deadline).map_err(|e| failed("opening", e))?;
        wire.expect((10, 41), "connection.open-ok", deadline)?;
        wire.method(CHANNEL, Body::new(20, 10).short(""), deadline)
            .map_err(|e| failed("opening a channel", e))?;
        wire.expect((20, 11), "channel.open-ok", deadline)?;
        wire.method(CHANNEL, Body::new(85, 10).bits(0), deadline)
            .map_err(|e| failed("asking for confirmations", e))?;
        wire.expect((85, 11), "confirm.select-ok", deadline)?;
        Ok(wire)
    }

    fn expect(&mut self, method: (u16, u16), name: &str, deadline: Instant) -> Result<(), String> {
        match self.hear(deadline) {
            Ok(Heard::Other(class, number)) if (class, number) == method => Ok(()),
            Ok(Heard::Closed { code, text }) => Err(format!("it refuses us: {code} {text}")),
            Ok(other) => Err(format!("it says {other:?} instead of {name}")),
            Err(NoAnswer::Late) => Err(format!("no {name} by the deadline")),
            Err(NoAnswer::Broken(why)) => Err(format!("waiting for {name}: {why}")),
        }
    }

    /// Asks for a durable queue of that kind to be there.
    pub fn declare(&mut self, queue: &str, kind: &str, deadline: Instant) -> io::Result<()> {
        // durable
        let body = Body::new(50, 10).u16(0).short(queue).bits(0b10).text_table(&[("x-queue-type", kind)]);
        self.method(CHANNEL, body, deadline)
    }

    /// Publishes a persistent message to a queue, to come back if it cannot be routed. The number of its confirmation.
    /// An error does not say how much of it went out.
    pub fn publish(&mut self, queue: &str, message: &[u8], deadline: Instant) -> io::Result<u64> {
        self.published += 1;
        // mandatory
        let mut bytes = frame::method(CHANNEL, Body::new(60, 40).u16(0).short("").short(queue).bits(0b1));
        // delivery-mode: persistent
        bytes.extend(frame::header(CHANNEL, 60, message.len() as u64, &[0x10, 0x00, 2]));
        for piece in message.chunks(FRAME_MAX as usize - 8) {
            bytes.extend(frame::body(CHANNEL, piece));
        }
        self.send(&bytes, deadline)?;
        Ok(self.published)
    }

    /// Asks for one message of a queue, to be acknowledged.
    pub fn get(&mut self, queue: &str, deadline: Instant) -> io::Result<()> {
        self.method(CHANNEL, Body::new(60, 70).u16(0).short(queue).bits(0), deadline)
    }

    /// Acknowledges a message. Nothing answers to that.
    pub fn ack(&mut self, tag: u64, deadline: Instant) -> io::Result<()> {
        self.method(CHANNEL, Body::new(60, 80).u64(tag).bits(0), deadline)
    }

    fn method(&mut self, channel: u16, body: Body, deadline: Instant) -> io::Result<()> {
        self.send(&frame::method(channel, body), deadline)
    }

    fn send(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(deadline)))?;
        self.stream.write_all(bytes)
    }

    /// What the server says next. After [`NoAnswer::Late`] it may be asked again.
    pub fn hear(&mut self, deadline: Instant) -> Result<Heard, NoAnswer> {
        let broken = |e: io::Error| NoAnswer::Broken(e.to_string());
        let mut piece = [0; 16 << 10];
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(heard);
            }
            if let Some((frame, length)) = Frame::parse(&self.buffer).map_err(NoAnswer::Broken)? {
                self.buffer.drain(..length);
                self.take(frame, deadline)?;
                continue;
            }
            if Instant::now() >= deadline {
                return Err(NoAnswer::Late);
            }
            self.stream.set_read_timeout(Some(left(deadline))).map_err(broken)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(NoAnswer::Broken("the connection was closed before the answer".into())),
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(NoAnswer::Late),
                    ErrorKind::Interrupted => {}
                    _ => return Err(broken(e)),
                },
            }
        }
    }

    fn take(&mut self, frame: Frame, deadline: Instant) -> Result<(), NoAnswer> {
        match frame {
            Frame::Heartbeat => {
                self.send(&frame::heartbeat(), deadline).map_err(|e| NoAnswer::Broken(e.to_string()))
            }
            Frame::Method(method) => {
                if self.partial.is_some() {
                    return Err(NoAnswer::Broken("a method in the middle of a message".into()));
                }
                if method.carries_content() {
                    self.partial = Some(Partial { method, size: None, body: Vec::new() });
                    return Ok(());
                }
                self.say(method, Vec::new())
            }
            Frame::Header(size) => match &mut self.partial {
                Some(partial) if partial.size.is_none() && size <= MESSAGE_MAX => {
                    partial.size = Some(size);
                    self.whole()
                }
                _ => Err(NoAnswer::Broken("a header of no message".into())),
            },
            Frame::Body(bytes) => match &mut self.partial {
                Some(partial) if partial.size.is_some() => {
                    partial.body.extend_from_slice(&bytes);
                    self.whole()
                }
                _ => Err(NoAnswer::Broken("a body of no message".into())),
            },
        }
    }

    /// Hears a method when all of its message is here.
    fn whole(&mut self) -> Result<(), NoAnswer> {
        let Some(partial) = self.partial.take() else { return Ok(()) };
        let (size, length) = (partial.size.unwrap_or(0), partial.body.len() as u64);
        if length > size {
            return Err(NoAnswer::Broken("a message longer than it says".into()));
        }
        if length < size {
            self.partial = Some(partial);
            return Ok(());
        }
        self.say(partial.method, partial.body)
    }

    fn say(&mut self, mut method: Method, body: Vec<u8>) -> Result<(), NoAnswer> {
        let heard = heard(&mut method, body).ok_or_else(|| {
            NoAnswer::Broken(format!("a method {}.{} that is cut off", method.class, method.number))
        })?;
        self.heard.push_back(heard);
        Ok(())
    }

    /// Ends the connection: nothing that is still under way will be heard of.
    pub fn close(&self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// What a method means; nothing, if its arguments are not all there.
fn heard(method: &mut Method, body: Vec<u8>) -> Option<Heard> {
    Some(match (method.class, method.number) {
        (50, 11) => Heard::Declared,
        (60, 80) => Heard::Confirmed { tag: method.u64()?, multiple: method.u8()? & 1 == 1 },
        (60, 120) => Heard::Refused { tag: method.u64()?, multiple: method.u8()? & 1 == 1 },
        (60, 50) => Heard::Returned { code: method.u16()?, text: method.short()? },
        (60, 71) => Heard::Got { tag: method.u64()?, redelivered: method.u8()? & 1 == 1, body },
        (60, 72) => Heard::Empty,
        (10, 50) | (20, 40) => Heard::Closed { code: method.u16()?, text: method.short()? },
        (class, number) => Heard::Other(class, number),
    })
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}
