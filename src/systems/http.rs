//! One connection to one server, for HTTP/1.1: a request, its answer, the next request. It never dials again, never asks
//! twice, and follows nobody elsewhere: a client must know what became of every request.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The longest answer that is read.
const ANSWER_MAX: usize = 64 << 20;
/// The most header lines of an answer.
const HEADERS_MAX: usize = 64;

/// A connection with at most one request that is not answered.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: String,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
}

/// An answer, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `200`
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// What the server says the date is.
    pub date: Option<String>,
    /// Whether the server closes the connection after it.
    pub last: bool,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The deadline came first; the rest may still come.
    Late,
    /// The connection is of no more use.
    Broken(String),
}

impl Connection {
    /// Over a connected socket; `host` is the server's name.
    pub fn new(stream: TcpStream, host: &str) -> Connection {
        Connection { stream, host: host.to_string(), buffer: Vec::new() }
    }

    /// Sends a request with a body of JSON. An error does not say how much of it went out.
    pub fn post(&mut self, path: &str, body: &str, deadline: Instant) -> io::Result<()> {
        self.request("POST", path, &[], Some(body), deadline)
    }

    /// Sends a request without a body.
    pub fn get(&mut self, path: &str, deadline: Instant) -> io::Result<()> {
        self.request("GET", path, &[], None, deadline)
    }

    /// Sends a request with these headers, and a body of JSON if it has one. An error does not say how much of it went
    /// out.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
        body: Option<&str>,
        deadline: Instant,
    ) -> io::Result<()> {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{headers}", self.host);
        let text = match body {
            Some(body) => format!(
                "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            ),
            None => format!("{head}\r\n"),
        };
        self.send(text.as_bytes(), deadline)
    }

    fn send(&mut self, bytes: &[u8], deadline: Instant) -> io::Result<()> {
        self.stream.set_write_timeout(Some(left(deadline)))?;
        self.stream.write_all(bytes)
    }

    /// The answer to the request that was sent last. After [`NoAnswer::Late`] it may be asked for again.
    pub fn answer(&mut self, deadline: Instant) -> Result<Answer, NoAnswer> {
        let mut piece = [0; 16 << 10];
        loop {
            match parse(&self.buffer).map_err(NoAnswer::Broken)? {
                Some((answer, length)) => {
                    self.buffer.drain(..length);
                    if !self.buffer.is_empty() {
                        return Err(NoAnswer::Broken("more than one answer to one request".into()));
                    }
                    return Ok(answer);
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

    /// The connection for an answer that does not end, to the request that was sent last.
    pub fn streamed(self) -> Streamed {
        Streamed { stream: self.stream, buffer: self.buffer, body: Vec::new(), begun: false, ended: false }
    }

    /// Ends the connection: nothing that is still under way will be heard of.
    pub fn close(&self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// An answer that does not end: what it says comes in lines.
#[derive(Debug)]
pub struct Streamed {
    stream: TcpStream,
    /// What has arrived and was not taken out of its chunks yet.
    buffer: Vec<u8>,
    /// What was said and not taken yet.
    body: Vec<u8>,
    /// Whether its head was read.
    begun: bool,
    ended: bool,
}

impl Streamed {
    /// The next line without its end. After [`NoAnswer::Late`] it may be asked for again; a deadline that is over still
    /// gives what has arrived.
    pub fn line(&mut self, deadline: Instant) -> Result<Vec<u8>, NoAnswer> {
        let mut piece = [0; 16 << 10];
        loop {
            while self.unpack().map_err(NoAnswer::Broken)? {}
            if let Some(end) = self.body.iter().position(|&byte| byte == b'\n') {
                let rest = self.body.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.body, rest);
                line.truncate(end);
                return Ok(line);
            }
            if self.ended {
                return Err(NoAnswer::Broken("the server has ended the stream".into()));
            }
            if self.buffer.len() + self.body.len() > ANSWER_MAX {
                return Err(NoAnswer::Broken(format!("a line of more than {ANSWER_MAX} bytes")));
            }
            let broken = |e: io::Error| NoAnswer::Broken(e.to_string());
            self.stream.set_read_timeout(Some(left(deadline))).map_err(broken)?;
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(NoAnswer::Broken("the connection was closed".into())),
                Ok(n) => self.buffer.extend_from_slice(&piece[..n]),
                Err(e) => match e.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(NoAnswer::Late),
                    ErrorKind::Interrupted => {}
                    _ => return Err(broken(e)),
                },
            }
        }
    }

    /// Takes the head, or one chunk, out of what has arrived; whether there was one.
    fn unpack(&mut self) -> Result<bool, String> {
        if self.ended {
            return Ok(false);
        }
        if !self.begun {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
            let mut response = httparse::Response::new(&mut headers);
            let begin = match response.parse(&self.buffer) {
                Ok(httparse::Status::Complete(begin)) => begin,
                Ok(httparse::Status::Partial) => return Ok(false),
                Err(e) => return Err(format!("not an answer of HTTP: {e}")),
            };
            let chunked = response.headers.iter().any(|h| {
                h.name.eq_ignore_ascii_case("transfer-encoding") && h.value.eq_ignore_ascii_case(b"chunked")
            });
            match response.code {
                Some(200) if chunked => {}
                Some(200) => return Err("an answer that is no stream".into()),
                code => {
                    let said = String::from_utf8_lossy(&self.buffer[begin..]);
                    return Err(format!("status {}: {}", code.unwrap_or(0), said.trim()));
                }
            }
            self.buffer.drain(..begin);
            self.begun = true;
        }
        let (head, size) = match httparse::parse_chunk_size(&self.buffer) {
            Ok(httparse::Status::Complete((head, size))) => (head, size as usize),
            Ok(httparse::Status::Partial) => return Ok(false),
            Err(_) => return Err("a chunk without a size".into()),
        };
        if size == 0 {
            self.ended = true;
            return Ok(false);
        }
        let Some(end) = head.checked_add(size).filter(|end| end.saturating_add(2) <= self.buffer.len())
        else {
            return Ok(false);
        };
        if &self.buffer[end..end + 2] != b"\r\n" {
            return Err("a chunk longer than its size".into());
        }
        self.body.extend_from_slice(&self.buffer[head..end]);
        self.buffer.drain(..end + 2);
        Ok(true)
    }

    /// Ends the connection.
    pub fn close(&self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// A date in whole seconds was true for a second, and was written at some time between `before` and `after`: the least
/// offset of the clock that explains it, in nanoseconds.
pub fn least_offset(date: i64, before: i64, after: i64) -> i64 {
    let (low, high) = (date * 1_000_000_000 - after, (date + 1) * 1_000_000_000 - before);
    if low > 0 { low } else { high.min(0) }
}

/// An answer at the beginning of `bytes` and its length, if it is whole. O(bytes).
fn parse(bytes: &[u8]) -> Result<Option<(Answer, usize)>, String> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let begin = match response.parse(bytes) {
        Ok(httparse::Status::Complete(begin)) => begin,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(e) => return Err(format!("not an answer of HTTP: {e}")),
    };
    let status = response.code.ok_or("an answer without a status")?;
    let header = |name: &str| {
        let found = response.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok()).map(str::trim)
    };
    let whole = match (header("transfer-encoding"), header("content-length")) {
        // These have no body, whatever their headers say (RFC 9112, 6.3).
        _ if matches!(status, 100..=199 | 204 | 304) => Some((Vec::new(), 0)),
        (Some(coding), _) if coding.eq_ignore_ascii_case("chunked") => chunks(&bytes[begin..])?,
        (Some(coding), _) => return Err(format!("an answer with the transfer coding {coding:?}")),
        (None, Some(length)) => {
            let length: usize = length.parse().map_err(|_| format!("an answer of length {length:?}"))?;
            bytes[begin..].get(..length).map(|body| (body.to_vec(), length))
        }
        (None, None) => return Err("an answer without a length".into()),
    };
    let last = header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
    let date = header("date").map(str::to_string);
    Ok(whole.map(|(body, length)| (Answer { status, body, date, last }, begin + length)))
}

/// A body in chunks, and how many bytes it takes with them, if it is whole.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let (head, size) = match httparse::parse_chunk_size(&bytes[at..]) {
            Ok(httparse::Status::Complete((head, size))) => (head, size as usize),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("a chunk without a size".into()),
        };
        let begin = at + head;
        let Some(end) = begin.checked_add(size).filter(|end| end.saturating_add(2) <= bytes.len()) else {
            return Ok(None);
        };
        if size == 0 {
            // Headers may follow the last chunk (errors of etcd come so); an empty line ends them.
            let trailers = &bytes[end - 2..];
            let over = trailers.windows(4).position(|four| four == b"\r\n\r\n");
            return Ok(over.map(|over| (body, end - 2 + over + 4)));
        }
        if &bytes[end..end + 2] != b"\r\n" {
            return Err("a chunk longer than its size".into());
        }
        body.extend_from_slice(&bytes[begin..end]);
        at = end + 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> Result<Option<String>, String> {
        let parsed = parse(text.as_bytes())?;
        Ok(parsed.map(|(answer, length)| {
            assert_eq!(length, text.len());
            String::from_utf8(answer.body).unwrap()
        }))
    }

    #[test]
    fn a_date_proves_no_more_than_it_says() {
        let at = |seconds: f64| (seconds * 1e9) as i64;
        // An honest clock: 100.7 s is written as 100.
        assert_eq!(least_offset(100, at(100.7), at(100.71)), 0);
        // Written within the second before, received after it.
        assert_eq!(least_offset(100, at(100.99), at(101.02)), 0);
        assert_eq!(least_offset(130, at(100.5), at(100.5)), at(29.5));
        assert_eq!(least_offset(70, at(100.5), at(100.5)), at(-29.5));
    }

    #[test]
    fn an_answer_is_read_whole_or_not_at_all() {
        for (text, expected) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\nhello",
                "hello",
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
                "hello",
            ),
            (
                "HTTP/1.1 404 Not Found\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX: y\r\nZ: 0\r\n\r\n",
                "no",
            ),
            ("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", ""),
            ("HTTP/1.1 204 No Content\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\r\n", ""),
        ] {
            assert_eq!(body(text), Ok(Some(expected.to_string())), "{text}");
            for length in 0..text.len() {
                assert_eq!(body(&text[..length]), Ok(None), "{}", &text[..length]);
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        ] {
            assert!(body(text).is_err(), "{text}");
        }
    }
}
