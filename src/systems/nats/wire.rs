//! One connection to one NATS server, by its text protocol: requests with an inbox of their own, and their answers.
//!
//! ```text
//!   server                                client
//!   INFO {…}                        ─▶
//!                                  ◀─     CONNECT {…} PING
//!   PONG                            ─▶
//!                                  ◀─     SUB inbox.7 7, PUB subject inbox.7 …
//!   MSG inbox.7 7 …  |  HMSG … 503  ─▶
//!                                  ◀─     UNSUB 7
//! ```
//! It never dials again and never asks twice. What arrives for an older request is not this one's answer.

use crate::systems::http::NoAnswer;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The longest message that is read.
const MESSAGE_MAX: usize = 64 << 20;
/// The longest line of the protocol that is read. A server's INFO lists its cluster.
const LINE_MAX: usize = 64 << 10;
/// How headers begin.
const HEADERS: &str = "NATS/1.0";

/// A connection with at most one request that is not answered.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
    /// Where answers go: `_INBOX.…`
    inbox: String,
    /// The subscription of the last request.
    last: u64,
}

/// A message that answers a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// 503, if the server says no more than that.
    pub status: Option<u16>,
    /// What it adds to its status.
    pub words: String,
    /// Headers, as they came.
    pub headers: Vec<(String, String)>,
    /// Where a message of a consumer is acknowledged.
    pub reply: Option<String>,
    /// The body.
    pub payload: Vec<u8>,
}

/// What a server sends.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    Info,
    Ping,
    Pong,
    Done,
    Refused(String),
    Message(u64, Message),
}

impl Wire {
    /// Introduces itself to a server and waits until it is welcome. `name` makes inboxes that nobody else has.
    pub fn open(stream: TcpStream, name: &str, deadline: Instant) -> Result<Wire, String> {
        let mut wire = Wire { stream, buffer: Vec::new(), inbox: format!("_INBOX.perjury.{name}"), last: 0 };
        let connect = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
                       \"protocol\":1,\"lang\":\"perjury\",\"version\":\"1\",\"name\":\"perjury\"}\r\nPING\r\n";
        match wire.frame(deadline) {
            Ok(Frame::Info) => {}
            Ok(other) => return Err(format!("it begins with {other:?} instead of INFO")),
            Err(why) => return Err(said(&why)),
        }
        wire.send(connect.as_bytes(), deadline).map_err(|e| format!("introducing ourselves: {e}"))?;
        loop {
            match wire.frame(deadline).map_err(|why| said(&why))? {
                Frame::Pong => return Ok(wire),
                Frame::Ping => wire.send(b"PONG\r\n", deadline).map_err(|e| e.to_string())?,
                Frame::Refused(words) => return Err(format!("it refuses us: {words}")),
                Frame::Info | Frame::Done | Frame::Message(..) => {}
            }
        }
    }

    /// Publishes a request with the inbox of a fresh subscription, whose number is returned.
    /// An error does not say how much of it went out.
    pub fn request(
        &mut self,
        subject: &str,
        headers: &[(&str, String)],
        payload: &[u8],
        deadline: Instant,
    ) -> io::Result<u64> {
        self.last += 1;
        let (sid, inbox) = (self.last, format!("{}.{}", self.inbox, self.last));
        let mut bytes = format!("SUB {inbox} {sid}\r\n").into_bytes();
        if headers.is_empty() {
            bytes.extend_from_slice(format!("PUB {subject} {inbox} {}\r\n", payload.len()).as_bytes());
        } else {
            let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("{HEADERS}\r\n{lines}\r\n");
            let (own, all) = (head.len(), head.len() + payload.len());
            bytes.extend_from_slice(format!("HPUB {subject} {inbox} {own} {all}\r\n{head}").as_bytes());
        }
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"\r\n");
        self.send(&bytes, deadline)?;
        Ok(sid)
    }

    /// The first message for the request of this number. After [`NoAnswer::Late`] it may be asked for again.
    pub fn answer(&mut self, sid: u64, deadline: Instant) -> Result<Message, NoAnswer> {
        loop {
            match self.frame(deadline)? {
                Frame::Message(to, message) if to == sid => {
                    self.is_alone(sid)?;
                    // The answer is there; if the connection is not, the next request will find out.
                    let _ = self.send(format!("UNSUB {sid}\r\n").as_bytes(), deadline);
                    return Ok(message);
                }
                Frame::Ping => {
                    self.send(b"PONG\r\n", deadline).map_err(|e| NoAnswer::Broken(e.to_string()))?;
                }
                Frame::Refused(words) => return Err(NoAnswer::Broken(format!("the server says {words}"))),
                Frame::Message(..) | Frame::Info | Frame::Pong | Frame::Done => {}
            }
        }
    }

    /// That nothing else has arrived for this request: two answers, of two that lead, say nothing together.
    fn is_alone(&self, sid: u64) -> Result<(), NoAnswer> {
        let mut rest = &self.buffer[..];
        while let Some((frame, length)) = parse(rest).map_err(NoAnswer::Broken)? {
            if matches!(frame, Frame::Message(to, _) if to == sid) {
                return Err(NoAnswer::Broken("more than one answer to one request".into()));
            }
            rest = &rest[length..];
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(deadline)))?;
        self.stream.write_all(bytes)
    }

    /// What the server sends next.
    fn frame(&mut self, deadline: Instant) -> Result<Frame, NoAnswer> {
        let mut piece = [0; 16 << 10];
        loop {
            if let Some((frame, length)) = parse(&self.buffer).map_err(NoAnswer::Broken)? {
                self.buffer.drain(..length);
                return Ok(frame);
            }
            if Instant::now() >= deadline {
                return Err(NoAnswer::Late);
            }
            let broken = |e: io::Error| NoAnswer::Broken(e.to_string());
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

    /// Ends the connection: nothing that is still under way will be heard of.
    pub fn close(&self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

impl Message {
    /// A header, by its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer, in words.
pub fn said(why: &NoAnswer) -> String {
    match why {
        NoAnswer::Late => "no answer by the deadline".to_string(),
        NoAnswer::Broken(why) => why.clone(),
    }
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// What stands at the beginning of `bytes` and its length, if it is whole. O(its length).
fn parse(bytes: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() > LINE_MAX {
            Err(format!("a line of more than {LINE_MAX} bytes"))
        } else {
            Ok(None)
        };
    };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| "a line that is not UTF-8".to_string())?;
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let begin = end + 2;
    let frame = match word.to_ascii_uppercase().as_str() {
        "INFO" => Frame::Info,
        "PING" => Frame::Ping,
        "PONG" => Frame::Pong,
        "+OK" => Frame::Done,
        "-ERR" => Frame::Refused(rest.trim().to_string()),
        kind @ ("MSG" | "HMSG") => {
            return message(kind == "HMSG", line, &bytes[begin..])
                .map(|found| found.map(|(frame, length)| (frame, begin + length)));
        }
        _ => return Err(format!("not a line of NATS: {:?}", line.chars().take(80).collect::<String>())),
    };
    Ok(Some((frame, begin)))
}

/// `MSG subject sid [reply] bytes`, `HMSG subject sid [reply] header-bytes bytes`, and what follows the line.
fn message(with_headers: bool, line: &str, rest: &[u8]) -> Result<Option<(Frame, usize)>, String> {
    let bad = || format!("not a message of NATS: {line:?}");
    let mut words = line.split_ascii_whitespace().skip(1).collect::<Vec<&str>>();
    let number = |word: Option<&str>| word.and_then(|w| w.parse::<usize>().ok()).ok_or_else(bad);
    let all = number(words.pop())?;
    let own = if with_headers { number(words.pop())? } else { 0 };
    let (sid, reply) = match words[..] {
        [_, sid] => (sid, None),
        [_, sid, reply] => (sid, Some(reply.to_string())),
        _ => return Err(bad()),
    };
    let sid = sid.parse().map_err(|_| bad())?;
    if own > all || all > MESSAGE_MAX {
        return Err(bad());
    }
    let Some(body) = rest.get(..all + 2) else { return Ok(None) };
    if &body[all..] != b"\r\n" {
        return Err(format!("a message longer than it says: {line:?}"));
    }
    let mut message = Message { reply, payload: body[own..all].to_vec(), ..Message::default() };
    if with_headers {
        read_headers(&mut message, &body[..own]).ok_or_else(bad)?;
    }
    Ok(Some((Frame::Message(sid, message), all + 2)))
}

/// `NATS/1.0 [status [words]]`, and a line for each header.
fn read_headers(message: &mut Message, bytes: &[u8]) -> Option<()> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.split("\r\n");
    let first = lines.next()?.strip_prefix(HEADERS)?.trim();
    if !first.is_empty() {
        let (status, words) = first.split_once(' ').unwrap_or((first, ""));
        message.status = Some(status.parse().ok()?);
        message.words = words.trim().to_string();
    }
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        message.headers.push((name.to_string(), value.trim().to_string()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_whole_or_not_at_all() {
        let of = |sid, message| Frame::Message(sid, message);
        let plain = Message { payload: b"hello".to_vec(), ..Message::default() };
        let pulled = Message {
            reply: Some("$JS.ACK.Q.k1.1.1.1.9.2".into()),
            payload: b"0".to_vec(),
            ..Message::default()
        };
        let none = Message { status: Some(503), ..Message::default() };
        let found = Message {
            headers: vec![("Nats-Sequence".into(), "2".into()), ("Nats-Subject".into(), "$KV.b.k1".into())],
            payload: b"6".to_vec(),
            ..Message::default()
        };
        let missing = Message { status: Some(404), words: "Message Not Found".into(), ..Message::default() };
        for (text, expected) in [
            ("INFO {\"version\":\"2.9.10\"} \r\n", Frame::Info),
            ("PING\r\n", Frame::Ping),
            ("+OK\r\n", Frame::Done),
            ("-ERR 'Stale Connection'\r\n", Frame::Refused("'Stale Connection'".into())),
            ("MSG _INBOX.a.1 1 5\r\nhello\r\n", of(1, plain)),
            ("MSG queue.k1 12 $JS.ACK.Q.k1.1.1.1.9.2 1\r\n0\r\n", of(12, pulled)),
            ("HMSG _INBOX.a.3 3 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", of(3, none)),
            (
                "HMSG _INBOX.a.4 4 54 55\r\nNATS/1.0\r\nNats-Sequence: 2\r\nNats-Subject: $KV.b.k1\r\n\r\n6\r\n",
                of(4, found),
            ),
            ("HMSG i 5  34 34\r\nNATS/1.0 404 Message Not Found\r\n\r\n\r\n", of(5, missing)),
        ] {
            let expected = Some((expected, text.len()));
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
            for length in 0..text.len() {
                assert_eq!(parse(&text.as_bytes()[..length]), Ok(None), "{}", &text[..length]);
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_an_error() {
        let endless = "INFO ".repeat(LINE_MAX);
        for text in [
            "HTTP/1.1 400 Bad Request\r\n",
            "MSG a\r\n",
            "MSG a b 3\r\nabc\r\n",
            "MSG a 1 2\r\nabc\r\n",
            "MSG a 1 99999999999\r\n",
            "HMSG a 1 5 3\r\n",
            "HMSG a 1 6 6\r\nHTTP/1\r\n",
            &endless,
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
        }
    }
}
