//! PostgreSQL's protocol, version 3, as far as a session without a password needs it: the greeting, and simple queries.
//!
//! ```text
//!   message   kind (1 byte)   length (4 bytes, itself included)   body
//!   greeting  length  196608  name\0value\0 … \0                  ─▶  R (asked for nothing)  S …  K  Z
//!   query     Q  text\0                                           ─▶  (T D … C | C | E)  Z      N, S at any time
//! ```
//! Source: the chapter "Frontend/Backend Protocol" of its manual.

use crate::systems::dialogue::Wire;
use crate::systems::http::NoAnswer;
use crate::systems::sql::{ANSWER_MAX, Refusal, Reply, Rows, Socket};
use std::net::TcpStream;
use std::time::Instant;

/// Version 3.0.
const VERSION: u32 = 196_608;

/// A connection on which the server has greeted.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// What it has said so far to the request that is open.
    so_far: Reply,
    /// The rows of the statement that it answers now.
    rows: Vec<Vec<Option<String>>>,
}

/// What a message means to the request that is open.
enum Step {
    /// There is more to come.
    On,
    /// It was the last one.
    Done,
}

impl Connection {
    /// Greets the server: who asks for which database, and settings of the session. `Err` means that no request was sent.
    pub fn greet(
        stream: TcpStream,
        settings: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Connection, String> {
        let mut body = VERSION.to_be_bytes().to_vec();
        for (name, value) in settings {
            for text in [name, value] {
                body.extend_from_slice(text.as_bytes());
                body.push(0);
            }
        }
        body.push(0);
        let mut connection =
            Connection { socket: Socket::new(stream), so_far: Reply::default(), rows: Vec::new() };
        let greeting = [&length(&body).to_be_bytes()[..], &body].concat();
        connection.socket.send(&greeting, deadline).map_err(|e| format!("greeting: {e}"))?;
        let reply = connection.answer(deadline).map_err(|why| match why {
            NoAnswer::Late => "greeting: no answer in time".to_string(),
            NoAnswer::Broken(why) => format!("greeting: {why}"),
        })?;
        match reply.error {
            Some(refusal) => Err(format!("greeting: {}", refusal.text())),
            None => Ok(connection),
        }
    }

    /// The next message, if it has arrived whole.
    fn message(&mut self) -> Result<Option<(u8, Vec<u8>)>, NoAnswer> {
        let &[kind, a, b, c, d, ..] = self.socket.arrived() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(4..=ANSWER_MAX).contains(&length) || !kind.is_ascii_alphabetic() {
            return Err(NoAnswer::Broken(format!("a message of kind {kind} and length {length}")));
        }
        if self.socket.arrived().len() < 1 + length {
            return Ok(None);
        }
        Ok(Some((kind, self.socket.take(1 + length).split_off(5))))
    }

    fn step(&mut self, kind: u8, body: &[u8]) -> Result<Step, String> {
        match kind {
            // Rows are taken as text, whatever their types are.
            b'T' | b'I' | b'S' | b'K' | b'A' => {}
            b'D' => self.rows.push(row(body).ok_or("a row that ends too soon")?),
            b'C' => {
                let tag = String::from_utf8_lossy(body);
                let count = tag.trim_end_matches('\0').rsplit(' ').next().and_then(|n| n.parse().ok());
                let rows = std::mem::take(&mut self.rows);
                self.so_far.results.push(Rows { rows, affected: count.unwrap_or(0) });
            }
            b'E' => {
                let (severity, refusal) = refusal(body);
                self.so_far.error = Some(refusal);
                // After these it closes, and says nothing more.
                if severity != "ERROR" {
                    self.so_far.last = true;
                    return Ok(Step::Done);
                }
            }
            b'N' => {
                let (severity, refusal) = refusal(body);
                if severity == "WARNING" {
                    self.so_far.warnings.push(refusal);
                }
            }
            b'R' if body.starts_with(&[0; 4]) => {}
            b'R' => return Err("it asks for a password, and only trust is spoken here".into()),
            b'Z' => return Ok(Step::Done),
            kind => return Err(format!("an unexpected message {:?}", char::from(kind))),
        }
        Ok(Step::On)
    }
}

impl Wire for Connection {
    type Request = String;
    type Answer = Reply;

    fn send(&mut self, text: &String, deadline: Instant) -> Result<(), String> {
        let body = [text.as_bytes(), &[0]].concat();
        let message = [&b"Q"[..], &length(&body).to_be_bytes(), &body].concat();
        self.socket.send(&message, deadline).map_err(|e| e.to_string())
    }

    fn answer(&mut self, deadline: Instant) -> Result<Reply, NoAnswer> {
        loop {
            while let Some((kind, body)) = self.message()? {
                if let Step::Done = self.step(kind, &body).map_err(NoAnswer::Broken)? {
                    self.rows.clear();
                    let mut reply = std::mem::take(&mut self.so_far);
                    match self.socket.arrived().first() {
                        // Told to everybody, at any time.
                        None | Some(b'N' | b'S' | b'A') => {}
                        // It ends the session.
                        Some(b'E') => reply.last = true,
                        Some(_) => {
                            return Err(NoAnswer::Broken("more than one answer to one request".into()));
                        }
                    }
                    return Ok(reply);
                }
            }
            self.socket.more(deadline)?;
        }
    }

    fn close(&mut self) {
        self.socket.close();
    }
}

/// The length of a message with this body.
fn length(body: &[u8]) -> u32 {
    u32::try_from(body.len() + 4).expect("a message of our own is short")
}

/// Count (2 bytes); of each value its length (4 bytes, -1 for null) and its text.
fn row(body: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Ok(length) => {
                values.push(Some(String::from_utf8_lossy(after.get(..length)?).into_owned()));
                rest = &after[length..];
            }
            Err(_) => {
                values.push(None);
                rest = after;
            }
        }
    }
    Some(values)
}

/// Fields: kind (1 byte), text, 0; a last 0. Severity (not translated), and code and words.
fn refusal(body: &[u8]) -> (String, Refusal) {
    let mut refusal = Refusal::default();
    let (mut severity, mut detail) = (String::new(), String::new());
    for field in body.split(|&byte| byte == 0) {
        let Some((kind, text)) = field.split_first() else { continue };
        let text = String::from_utf8_lossy(text).into_owned();
        match kind {
            b'V' => severity = text,
            b'C' => refusal.code = text,
            b'M' => refusal.words = text,
            b'D' => detail = text,
            _ => {}
        }
    }
    if !detail.is_empty() {
        refusal.words = format!("{}: {detail}", refusal.words);
    }
    (severity, refusal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use crate::systems::sql::{Access, Dialect, session};
    use std::io::{Read, Write};

    /// A message of a server.
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &length(body).to_be_bytes(), body].concat()
    }

    fn ready() -> Vec<u8> {
        message(b'Z', b"I")
    }

    fn greeting() -> Vec<u8> {
        [message(b'R', &[0; 4]), message(b'S', b"server_version\x0015.18\0"), message(b'K', &[0; 8]), ready()]
            .concat()
    }

    fn done() -> Vec<u8> {
        [message(b'C', b"INSERT 0 1\0"), ready()].concat()
    }

    fn refuses(severity: &str, code: &str) -> Vec<u8> {
        let fields = format!("S{severity}\0V{severity}\0C{code}\0Mno\0\0");
        message(b'E', fields.as_bytes())
    }

    #[test]
    fn a_row_is_read_with_its_nulls_and_never_beyond_its_end() {
        let body = [0, 2, 0, 0, 0, 1, b'7', 255, 255, 255, 255];
        assert_eq!(row(&body), Some(vec![Some("7".into()), None]));
        for end in 0..body.len() {
            assert_eq!(row(&body[..end]), None, "{end}");
        }
    }

    #[test]
    fn a_refusal_is_read_by_its_code() {
        let (severity, refusal) = refusal(b"SFEHLER\0VERROR\0C40001\0Mkonnte nicht\0Dweil\0\0");
        assert_eq!((severity.as_str(), refusal.text().as_str()), ("ERROR", "konnte nicht: weil (40001)"));
    }

    fn hello(stream: &mut TcpStream) {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        stream.read_exact(&mut rest).unwrap();
        assert!(rest.starts_with(&VERSION.to_be_bytes()) && rest.ends_with(b"\0\0"), "{rest:?}");
        stream.write_all(&greeting()).unwrap();
    }

    /// Whole messages of the kind `Q`.
    fn requests(mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let &[kind, a, b, c, d, ..] = bytes {
            let length = u32::from_be_bytes([a, b, c, d]) as usize;
            let Some(rest) = bytes.get(1 + length..) else { break };
            count += usize::from(kind == b'Q');
            bytes = rest;
        }
        count
    }

    #[test]
    fn a_client_asks_once_and_says_failed_only_where_nothing_happened() {
        let unclear = [refuses("ERROR", "57014"), ready()].concat();
        conforms(&Protocol {
            open: |stream, deadline| {
                let connection = Connection::greet(stream, &[("user", "postgres")], deadline)?;
                Ok(Box::new(session(connection, Dialect::Postgres, "register", Access::All)))
            },
            hello,
            requests,
            written: done(),
            unclear,
            nonsense: b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        });
    }

    /// What comes of a write, if the server answers it like this.
    fn told(answer: &[u8]) -> (history::Completion, bool) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(&greeting()).unwrap();
        let soon = Instant::now() + std::time::Duration::from_secs(5);
        let connection = Connection::greet(stream, &[("user", "postgres")], soon).unwrap();
        let mut client = session(connection, Dialect::Postgres, "register", Access::All);
        server.write_all(answer).unwrap();
        let call = history::Call { f: "write".into(), key: None, value: history::Value::Int(1) };
        let completion = crate::client::Client::invoke(&mut client, &call, soon);
        (completion, crate::client::Client::alive(&client))
    }

    #[test]
    fn a_server_that_ends_the_session_leaves_a_write_in_doubt_and_one_that_refuses_it_does_not() {
        use history::Completion;
        let (ended, alive) = told(&refuses("FATAL", "57P01"));
        assert!(matches!(ended, Completion::Info { late: false, .. }) && !alive, "{ended:?}");
        let (refused, alive) = told(&[refuses("ERROR", "25006"), ready()].concat());
        assert!(matches!(refused, Completion::Fail(_)) && alive, "{refused:?}");
        let warning = message(b'N', b"SWARNING\0VWARNING\0C01000\0Mcanceling wait\0\0");
        let (doubtful, _) = told(&[warning, done()].concat());
        assert!(matches!(doubtful, Completion::Info { late: false, .. }), "{doubtful:?}");
        let notice = message(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mby the way\0\0");
        let setting = message(b'S', b"TimeZone\0UTC\0");
        let (done, alive) = told(&[notice, done(), setting].concat());
        assert!(matches!(done, Completion::Ok { .. }) && alive, "{done:?}");
    }
}
