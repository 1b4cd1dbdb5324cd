//! The protocol of Redis: a request is an array of texts, an answer begins with a sign that says what it is.

use crate::systems::http::NoAnswer;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The longest answer that is read.
const ANSWER_MAX: usize = 64 << 20;
/// How deep an answer may be nested: the deepest that anybody here asks for is a list of lists of lists.
const DEPTH_MAX: usize = 8;

/// An answer, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`
    Word(String),
    /// `-READONLY You can't write against a read only replica.`
    Error(String),
    /// `:42`
    Int(i64),
    /// `$3 abc`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1`: nothing.
    Nil,
    /// `*2 …`
    List(Vec<Reply>),
}

impl Reply {
    /// What it is, in few words.
    pub fn shown(&self) -> String {
        let shown = format!("{self:?}");
        shown.chars().take(200).collect()
    }

    /// The text of a word or of bytes.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Reply::Word(text) => Ok(text),
            Reply::Bulk(bytes) => std::str::from_utf8(bytes).map_err(|e| format!("{}: {e}", self.shown())),
            _ => Err(format!("expected a text, found {}", self.shown())),
        }
    }

    /// The number.
    pub fn int(&self) -> Result<i64, String> {
        match self {
            Reply::Int(number) => Ok(*number),
            _ => Err(format!("expected a number, found {}", self.shown())),
        }
    }

    /// The parts of a list.
    pub fn list(&self) -> Result<&[Reply], String> {
        match self {
            Reply::List(parts) => Ok(parts),
            _ => Err(format!("expected a list, found {}", self.shown())),
        }
    }

    /// The part of that number.
    pub fn part(&self, at: usize) -> Result<&Reply, String> {
        self.list()?.get(at).ok_or_else(|| format!("a list without a part {at}: {}", self.shown()))
    }
}

/// A request as it travels.
pub fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The line at the beginning of `bytes`, and what it takes with its end. `None` if it has not ended.
fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")?;
    Some((&bytes[..end], end + 2))
}

fn number(digits: &[u8]) -> Result<i64, String> {
    let text = String::from_utf8_lossy(digits);
    text.parse().map_err(|_| format!("a number {text:?}"))
}

/// A length: −1 is nothing.
fn length(digits: &[u8]) -> Result<Option<usize>, String> {
    match number(digits)? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= ANSWER_MAX => Ok(Some(length)),
            _ => Err(format!("a length of {length}")),
        },
    }
}

/// The answer at the beginning of `bytes` and its length, if it is whole. O(bytes).
pub fn parse(bytes: &[u8]) -> Result<Option<(Reply, usize)>, String> {
    part(bytes, DEPTH_MAX)
}

fn part(bytes: &[u8], depth: usize) -> Result<Option<(Reply, usize)>, String> {
    let Some(&sign) = bytes.first() else { return Ok(None) };
    if !b"+-:$*".contains(&sign) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        return Err(format!("not an answer of Redis: {shown:?}"));
    }
    let Some((head, mut taken)) = line(&bytes[1..]) else { return Ok(None) };
    taken += 1;
    let words = || String::from_utf8_lossy(head).into_owned();
    let reply = match sign {
        b'+' => Reply::Word(words()),
        b'-' => Reply::Error(words()),
        b':' => Reply::Int(number(head)?),
        b'$' => match length(head)? {
            None => Reply::Nil,
            Some(length) => {
                let Some(body) = bytes.get(taken..taken + length + 2) else { return Ok(None) };
                if &body[length..] != b"\r\n" {
                    return Err(format!("{length} bytes that do not end where they should"));
                }
                taken += length + 2;
                Reply::Bulk(body[..length].to_vec())
            }
        },
        _ => match length(head)? {
            None => Reply::Nil,
            Some(_) if depth == 0 => return Err(format!("lists nested more than {DEPTH_MAX} times")),
            Some(count) => {
                // Not as many places as it says: it may lie.
                let mut parts = Vec::new();
                for _ in 0..count {
                    let Some((reply, length)) = part(&bytes[taken..], depth - 1)? else { return Ok(None) };
                    parts.push(reply);
                    taken += length;
                }
                Reply::List(parts)
            }
        },
    };
    Ok(Some((reply, taken)))
}

/// A connection with at most one request that is not answered.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
}

impl Connection {
    /// Over a connected socket.
    pub fn new(stream: TcpStream) -> Connection {
        Connection { stream, buffer: Vec::new() }
    }

    /// Asks, and waits for the answer: for questions whose answer nobody waits for beyond the deadline.
    pub fn ask(&mut self, words: &[&str], deadline: Instant) -> Result<Reply, String> {
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let failed = |why: String| format!("{}: {why}", words.first().unwrap_or(&""));
        self.send(&request(&bytes), deadline).map_err(failed)?;
        match self.answer(deadline) {
            Ok(Reply::Error(why)) | Err(NoAnswer::Broken(why)) => Err(failed(why)),
            Ok(reply) => Ok(reply),
            Err(NoAnswer::Late) => Err(failed("no answer by the deadline".into())),
        }
    }
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

impl Connection {
    /// Sends a request. An error does not say how much of it went out.
    pub fn send(&mut self, request: &[u8], deadline: Instant) -> Result<(), String> {
        let sent = self.stream.set_write_timeout(Some(left(deadline)));
        sent.and_then(|()| self.stream.write_all(request)).map_err(|e| e.to_string())
    }

    /// The answer to the request that was sent last. After [`NoAnswer::Late`] it may be asked for again.
    pub fn answer(&mut self, deadline: Instant) -> Result<Reply, NoAnswer> {
        let mut piece = [0; 16 << 10];
        loop {
            match parse(&self.buffer).map_err(NoAnswer::Broken)? {
                Some((reply, length)) => {
                    self.buffer.drain(..length);
                    if !self.buffer.is_empty() {
                        return Err(NoAnswer::Broken("more than one answer to one request".into()));
                    }
                    return Ok(reply);
                }
                None if self.buffer.len() > ANSWER_MAX => {
                    return Err(NoAnswer::Broken(format!("an answer of more than {ANSWER_MAX} bytes")));
                }
                None => {}
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
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_an_array_of_texts() {
        assert_eq!(request(&[b"GET", b"a\r\nb"]), b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n");
    }

    #[test]
    fn every_kind_of_answer_is_read_and_no_piece_of_one_is_taken_for_the_whole() {
        let bytes = b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*2\r\n*-1\r\n$0\r\n\r\n";
        let whole = Reply::List(vec![
            Reply::Word("OK".into()),
            Reply::Error("ERR no".into()),
            Reply::Int(-7),
            Reply::Bulk(b"a\r\nb".to_vec()),
            Reply::Nil,
            Reply::List(vec![Reply::Nil, Reply::Bulk(Vec::new())]),
        ]);
        assert_eq!(parse(bytes), Ok(Some((whole, bytes.len()))));
        for end in 0..bytes.len() {
            assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [
            &b"HTTP/1.1 400\r\n"[..],
            b":seven\r\n",
            b"$-2\r\n",
            b"$99999999999\r\n",
            b"$2\r\nabcd\r\n",
            b"*99999999999\r\n",
            &b"*1\r\n".repeat(DEPTH_MAX + 1),
        ] {
            assert!(parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
        }
        // A list that says it is long takes no place before it has come.
        assert_eq!(parse(b"*60000000\r\n:1\r\n"), Ok(None));
    }
}
