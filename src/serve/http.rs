//! As much of HTTP/1.1 as a page on this machine needs: one GET or HEAD per connection, everything bounded.
//!
//! Over sockets of our own, because the small servers that there are bound neither how long a request may take to
//! arrive nor how large its head may be. The head is parsed by `httparse`; what it may contain is decided here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Bytes of a request's head.
const HEAD_MAX: usize = 16 << 10;
/// Lines of it.
const HEADERS_MAX: usize = 64;
/// How long it may take to arrive.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long each piece of an answer may take to leave.
const PIECE_TIME: Duration = Duration::from_secs(20);
/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Whether only the head of the answer is wanted.
    pub head_only: bool,
    /// The parts of the path, decoded: none is empty, hidden, `.` or `..`, and none holds a slash or a control character.
    pub path: Vec<String>,
    /// Whether the path ended with a slash.
    pub slash: bool,
    /// The query, decoded, in its order.
    pub query: Vec<(String, String)>,
    /// `Last-Event-ID`.
    pub last_event: Option<String>,
}

/// Why there is no request: a status, and a line for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub u16, pub &'static str);

/// What is answered.
pub struct Response {
    /// 200, 302, 404 …
    pub status: u16,
    /// Beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The rest.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Bytes(Vec<u8>),
    /// So many bytes of an open file.
    File(std::fs::File, u64),
}

/// What a page of ours may do: nothing but show itself, with our style and our script.
pub const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

impl Response {
    /// A page.
    pub fn html(text: String) -> Response {
        Response::new(200, "text/html; charset=utf-8", text.into_bytes())
            .with("Content-Security-Policy", POLICY)
    }

    /// Bytes of a kind.
    pub fn new(status: u16, kind: &str, bytes: Vec<u8>) -> Response {
        Response { status, headers: vec![("Content-Type", kind.to_string())], body: Body::Bytes(bytes) }
    }

    /// A line of text, for what went wrong.
    pub fn plain(status: u16, text: &str) -> Response {
        Response::new(status, "text/plain; charset=utf-8", format!("{text}\n").into_bytes())
    }

    /// To another place of this server.
    pub fn redirect(to: String) -> Response {
        Response::plain(302, "over there").with("Location", &to)
    }

    /// With one more header.
    pub fn with(mut self, name: &'static str, value: &str) -> Response {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Reads a request.
///
/// # Errors
/// The inner: it is refused, and the sender should be told why. The outer: nobody is there to be told.
pub fn read(stream: &TcpStream) -> io::Result<Result<Request, Refused>> {
    let deadline = Instant::now() + HEAD_TIME;
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    let mut stream = stream;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Err(Refused(408, "the request took too long to arrive")));
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut piece) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Err(Refused(408, "the request took too long to arrive")));
            }
            Err(error) => return Err(error),
        };
        head.extend_from_slice(&piece[..count]);
        match parse(&head) {
            Ok(Some(request)) => return Ok(Ok(request)),
            Ok(None) if head.len() > HEAD_MAX => {
                return Ok(Err(Refused(431, "the head of the request is too large")));
            }
            Ok(None) => {}
            Err(refused) => return Ok(Err(refused)),
        }
    }
}

/// The request, if all of its head is there.
fn parse(bytes: &[u8]) -> Result<Option<Request>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused(431, "the request has too many headers")),
        Err(_) => return Err(Refused(400, "this is no HTTP request")),
    }
    if bytes.len() > HEAD_MAX {
        return Err(Refused(431, "the head of the request is too large"));
    }
    let head_only = match head.method {
        Some("GET") => false,
        Some("HEAD") => true,
        Some(_) | None => {
            return Err(Refused(405, "this server only shows: GET and HEAD are all that it knows"));
        }
    };
    let all = |name: &str| -> Vec<&[u8]> {
        let named = head.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value).collect()
    };
    // A page that pretends to be on this machine comes with the name that its author gave it.
    let [host] = all("host")[..] else { return Err(Refused(400, "the request needs one Host")) };
    if !std::str::from_utf8(host).is_ok_and(is_loopback) {
        return Err(Refused(
            421,
            "this server is for this machine alone: ask for it as localhost or 127.0.0.1",
        ));
    }
    let length = all("content-length");
    if !all("transfer-encoding").is_empty() || length.iter().any(|length| *length != b"0") {
        return Err(Refused(413, "a request here has no body"));
    }
    let target = head.path.unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, slash) = segments(path)?;
    let last = all("last-event-id").first().and_then(|id| std::str::from_utf8(id).ok()).map(str::to_string);
    Ok(Some(Request { head_only, path, slash, query: pairs(query)?, last_event: last }))
}

/// Whether a `Host` names this machine, by a name that no other can have, with any port: it may have come by a tunnel.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix("[::1]") {
        Some(rest) => return rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port),
        None => match host.split_once(':') {
            Some((name, port)) if is_port(port) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name == "127.0.0.1" || name.eq_ignore_ascii_case("localhost")
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The parts of a path, and whether it ended with a slash.
fn segments(path: &str) -> Result<(Vec<String>, bool), Refused> {
    let no = Refused(400, "this is no path of this server");
    let Some(inner) = path.strip_prefix('/') else { return Err(no) };
    if inner.is_empty() {
        return Ok((Vec::new(), true));
    }
    let (inner, slash) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
    let mut parts = Vec::new();
    for part in inner.split('/') {
        let part = decoded(part, false).ok_or(no.clone())?;
        let hidden = part.is_empty() || part.starts_with('.');
        if hidden || part.chars().any(|c| c.is_control() || c == '/' || c == '\\') {
            return Err(no);
        }
        parts.push(part);
    }
    Ok((parts, slash))
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Refused> {
    let no = Refused(400, "the query cannot be read");
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name, true)?, decoded(value, true)?))
    });
    pairs.collect::<Option<Vec<_>>>().ok_or(no)
}

/// Percent-decoded once; nothing if that gives no text.
fn decoded(text: &str, plus: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let [high, low, tail @ ..] = tail else { return None };
                let digit = |b: &u8| char::from(*b).to_digit(16);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                rest = tail;
            }
            b'+' if plus => bytes.push(b' '),
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// Sends an answer and ends the connection.
///
/// # Errors
/// Nobody is there any more, or takes too long.
pub fn write(stream: &TcpStream, response: Response, head_only: bool) -> io::Result<()> {
    let length = match &response.body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::File(_, length) => *length,
    };
    let mut head = status_line(response.status);
    for (name, value) in &response.headers {
        header(&mut head, name, value);
    }
    header(&mut head, "Content-Length", &length.to_string());
    head.push_str("\r\n");
    send(stream, head.as_bytes())?;
    if !head_only {
        match response.body {
            Body::Bytes(bytes) => send(stream, &bytes)?,
            Body::File(file, length) => {
                let mut file = file.take(length);
                let mut piece = vec![0; PIECE];
                let mut left = length;
                while left > 0 {
                    let count = file.read(&mut piece)?;
                    if count == 0 {
                        // It was cut short meanwhile: an answer that is too short is seen to be broken.
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    send(stream, &piece[..count])?;
                    left -= count as u64;
                }
            }
        }
    }
    stream.shutdown(std::net::Shutdown::Write)
}

/// The head of an answer that goes on until one side ends it.
///
/// # Errors
/// Nobody is there any more.
pub fn begin_events(stream: &TcpStream) -> io::Result<()> {
    let mut head = status_line(200);
    header(&mut head, "Content-Type", "text/event-stream; charset=utf-8");
    head.push_str("\r\n");
    send(stream, head.as_bytes())
}

fn status_line(status: u16) -> String {
    let reason = match status {
        200 => "OK",
        302 => "Found",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    };
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in [
        ("Connection", "close"),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ] {
        header(&mut head, name, value);
    }
    if status == 405 {
        header(&mut head, "Allow", "GET, HEAD");
    }
    head
}

/// Values are ours or were encoded; a line break in one would be our bug, and is left out.
fn header(head: &mut String, name: &str, value: &str) {
    let value: String = value.chars().filter(|c| !c.is_control()).collect();
    head.push_str(&format!("{name}: {value}\r\n"));
}

/// Sends all bytes, each piece within its time.
///
/// # Errors
/// Nobody is there any more, or takes too long.
pub fn send(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    for piece in bytes.chunks(PIECE) {
        let deadline = Instant::now() + PIECE_TIME;
        let mut rest = piece;
        while !rest.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            stream.set_write_timeout(Some(left))?;
            match stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &str) -> Result<Option<Request>, Refused> {
        parse(format!("GET {target} HTTP/1.1\r\nHost: localhost:8090\r\n\r\n").as_bytes())
    }

    #[test]
    fn paths_are_decoded_once_and_lead_nowhere_else() {
        let request = asked("/run/a%20b/2026/?q=x+y%26&sort=").expect("fine").expect("whole");
        assert_eq!(request.path, ["run", "a b", "2026"]);
        assert!(request.slash);
        assert_eq!(request.query, [("q".into(), "x y&".into()), ("sort".into(), String::new())]);
        for wrong in [
            "/../etc",
            "/a/../b",
            "/%2e%2e/etc",
            "/%2E%2e",
            "/a//b",
            "/a/%2f",
            "/a/%5cb",
            "/a%00b",
            "/./a",
            "/.git",
            "/%",
            "/%4",
            "/%zz",
            "/%ff",
            "a",
            "http://elsewhere/",
            "*",
            "/a%0d%0ab",
        ] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
        // Decoded once: this is a name with a percent sign, and no such file exists.
        assert_eq!(asked("/%252e%252e").expect("fine").expect("whole").path, ["%2e%2e"]);
    }

    #[test]
    fn only_this_machine_is_answered() {
        for host in ["localhost", "LOCALHOST:1", "127.0.0.1:8090", "[::1]:80", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "127.0.0.2",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "user@localhost",
            "[::1].evil",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
        let parse = |head: &str| parse(head.as_bytes());
        assert_eq!(parse("GET / HTTP/1.1\r\n\r\n").expect_err("no host").0, 400);
        assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect_err("foreign").0, 421);
        assert_eq!(parse("GET / HTTP/1.1\r\nHost: localhost\r\nHost: a\r\n\r\n").expect_err("two").0, 400);
    }

    #[test]
    fn only_looking_is_allowed() {
        let parse = |head: &str| parse(head.as_bytes());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"] {
            let refused = parse(&format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
            assert_eq!(refused.expect_err(method).0, 405);
        }
        let body = "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
        assert_eq!(parse(body).expect_err("a body").0, 413);
        let many = "a: b\r\n".repeat(HEADERS_MAX);
        let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n");
        assert_eq!(parse(&many).expect_err("too many").0, 431);
        assert!(parse("GET / HTTP/1.1\r\nHost: localh").expect("not yet").is_none());
    }
}
