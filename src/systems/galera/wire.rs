//! MySQL's protocol as MariaDB speaks it, as far as a session without a password needs it: the handshake, and queries in
//! text.
//!
//! ```text
//!   packet   length (3 bytes)   number (1 byte, from 0 in each request)   body
//!   server greets ─▶ who we are ─▶ OK
//!   3 text        ─▶ (OK | ERR | columns (n definitions) EOF (rows) EOF)   again, as long as more are announced
//! ```
//! Source: the chapter "Client/Server Protocol" of MariaDB's documentation.

use crate::systems::dialogue::Wire;
use crate::systems::http::NoAnswer;
use crate::systems::sql::{Refusal, Reply, Rows, Socket};
use std::net::TcpStream;
use std::time::Instant;

/// Who we are; there is no password.
pub const USER: &str = "perjury";
/// The database that we have to ourselves.
pub const DATABASE: &str = "perjury";

/// Long passwords, a database to begin with, protocol 4.1, transactions, its way of hashing, several statements in a
/// request, several results, and ways of hashing with names.
const ABILITIES: u32 = 1 | 1 << 3 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19;
/// utf8mb4, compared byte by byte.
const CHARSET: u8 = 46;
const OK: u8 = 0;
const ERR: u8 = 0xff;
const EOF: u8 = 0xfe;
const LOCAL_FILE: u8 = 0xfb;
/// Of an OK or EOF: another result follows.
const MORE: u16 = 8;
/// A body of this length goes on in the next packet.
const BODY_MAX: usize = 0xff_ffff;

/// A connection on which the server has greeted.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// The number of the next packet.
    next: u8,
    /// What it has said so far to the request that is open.
    so_far: Reply,
    rows: Rows,
    at: At,
}

/// Where an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// At the beginning of a result.
    Begin,
    /// So many definitions of columns are to come, and an EOF.
    Columns(u64, u64),
    /// Rows of so many columns, and an EOF.
    Rows(u64),
}

/// Bytes of a packet, from front to back.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<u64> {
        Some(self.bytes(bytes)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// A number of 1, 3, 4 or 9 bytes.
    fn length(&mut self) -> Option<u64> {
        match self.number(1)? {
            0xfc => self.number(2),
            0xfd => self.number(3),
            0xfe => self.number(8),
            small => Some(small),
        }
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.length()?).ok()?;
        Some(String::from_utf8_lossy(self.bytes(length)?).into_owned())
    }
}

impl Connection {
    /// Answers the server's greeting. `Err` means that no request was sent.
    pub fn greet(stream: TcpStream, deadline: Instant) -> Result<Connection, String> {
        let mut connection = Connection {
            socket: Socket::new(stream),
            next: 0,
            so_far: Reply::default(),
            rows: Rows::default(),
            at: At::Begin,
        };
        connection.shake_hands(deadline).map_err(|why| match why {
            NoAnswer::Late => "greeting: no answer in time".to_string(),
            NoAnswer::Broken(why) => format!("greeting: {why}"),
        })?;
        Ok(connection)
    }

    fn shake_hands(&mut self, deadline: Instant) -> Result<(), NoAnswer> {
        let greeting = self.packet(deadline)?;
        match greeting.first() {
            Some(&10) => {}
            Some(&ERR) => return Err(NoAnswer::Broken(refusal(&greeting).text())),
            _ => return Err(NoAnswer::Broken("this is no greeting of MariaDB or MySQL".into())),
        }
        let mut hello = ABILITIES.to_le_bytes().to_vec();
        hello.extend_from_slice(&(1u32 << 24).to_le_bytes());
        hello.push(CHARSET);
        hello.extend_from_slice(&[0; 23]);
        hello.extend_from_slice(USER.as_bytes());
        // An empty password is an empty hash.
        hello.extend_from_slice(&[0, 0]);
        hello.extend_from_slice(DATABASE.as_bytes());
        hello.extend_from_slice(b"\0mysql_native_password\0");
        self.say(&hello, deadline)?;
        // It may want the empty hash in another way.
        for _ in 0..2 {
            let answer = self.packet(deadline)?;
            match answer.first() {
                Some(&OK) => return Ok(()),
                Some(&ERR) => return Err(NoAnswer::Broken(refusal(&answer).text())),
                Some(&EOF) => self.say(&[], deadline)?,
                _ => break,
            }
        }
        Err(NoAnswer::Broken("it asks for a password, and only empty ones are spoken here".into()))
    }

    fn say(&mut self, body: &[u8], deadline: Instant) -> Result<(), NoAnswer> {
        let packet = framed(self.next, body);
        self.next = self.next.wrapping_add(1);
        self.socket.send(&packet, deadline).map_err(|e| NoAnswer::Broken(format!("sending: {e}")))
    }

    /// The body of the next packet.
    fn packet(&mut self, deadline: Instant) -> Result<Vec<u8>, NoAnswer> {
        loop {
            if let &[a, b, c, number, ..] = self.socket.arrived() {
                let length = u32::from_le_bytes([a, b, c, 0]) as usize;
                if number != self.next || length == BODY_MAX {
                    let wanted = self.next;
                    let why = format!("packet {number} of {length} bytes, where {wanted} was to come");
                    return Err(NoAnswer::Broken(why));
                }
                if self.socket.arrived().len() >= 4 + length {
                    self.next = self.next.wrapping_add(1);
                    return Ok(self.socket.take(4 + length).split_off(4));
                }
            }
            self.socket.more(deadline)?;
        }
    }

    /// Takes a packet of an answer; whether it was the last one.
    fn step(&mut self, body: &[u8]) -> Option<bool> {
        let first = *body.first()?;
        let mut fields = Fields(body.get(1..)?);
        if first == ERR {
            self.so_far.error = Some(refusal(body));
            return Some(true);
        }
        match self.at {
            At::Begin if first == OK => {
                let affected = fields.length()?;
                fields.length()?;
                let status = fields.number(2)? as u16;
                self.so_far.results.push(Rows { rows: Vec::new(), affected });
                return Some(status & MORE == 0);
            }
            At::Begin if first == LOCAL_FILE => return None,
            At::Begin => {
                let columns = Fields(body).length()?;
                self.at = At::Columns(columns, columns);
            }
            At::Columns(columns, 0) if is_eof(body) => self.at = At::Rows(columns),
            At::Columns(columns, left) => self.at = At::Columns(columns, left.checked_sub(1)?),
            At::Rows(_) if is_eof(body) => {
                fields.number(2)?;
                let status = fields.number(2)? as u16;
                let mut rows = std::mem::take(&mut self.rows);
                rows.affected = rows.rows.len() as u64;
                self.so_far.results.push(rows);
                self.at = At::Begin;
                return Some(status & MORE == 0);
            }
            At::Rows(columns) => {
                let mut fields = Fields(body);
                let mut row = Vec::new();
                for _ in 0..columns {
                    if fields.0.first() == Some(&LOCAL_FILE) {
                        fields.bytes(1)?;
                        row.push(None);
                    } else {
                        row.push(Some(fields.text()?));
                    }
                }
                self.rows.rows.push(row);
            }
        }
        Some(false)
    }
}

impl Wire for Connection {
    type Request = String;
    type Answer = Reply;

    fn send(&mut self, text: &String, deadline: Instant) -> Result<(), String> {
        let body = [&[3], text.as_bytes()].concat();
        self.next = 1;
        self.socket.send(&framed(0, &body), deadline).map_err(|e| e.to_string())
    }

    fn answer(&mut self, deadline: Instant) -> Result<Reply, NoAnswer> {
        loop {
            let body = self.packet(deadline)?;
            let nonsense = || NoAnswer::Broken("a packet that is no part of an answer".into());
            if self.step(&body).ok_or_else(nonsense)? {
                self.at = At::Begin;
                self.rows = Rows::default();
                if !self.socket.arrived().is_empty() {
                    return Err(NoAnswer::Broken("more than one answer to one request".into()));
                }
                return Ok(std::mem::take(&mut self.so_far));
            }
        }
    }

    fn close(&mut self) {
        self.socket.close();
    }
}

/// A packet with this number and body.
fn framed(number: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a packet of our own is short").to_le_bytes();
    [&length[..3], &[number], body].concat()
}

/// A row may begin with the same byte, but is longer then.
fn is_eof(body: &[u8]) -> bool {
    body.first() == Some(&EOF) && body.len() < 9
}

/// ERR, code (2 bytes), after the handshake `#` and five bytes of SQLSTATE, words.
fn refusal(body: &[u8]) -> Refusal {
    let code = match body {
        [_, low, high, ..] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    };
    let words = body.get(3..).unwrap_or_default();
    let words = if words.first() == Some(&b'#') { words.get(6..).unwrap_or_default() } else { words };
    Refusal { code: code.to_string(), words: String::from_utf8_lossy(words).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use crate::systems::sql::{Access, Dialect, session};
    use std::io::{Read, Write};

    /// That one row was changed.
    fn done() -> Vec<u8> {
        framed(1, &[OK, 1, 0, 2, 0, 0, 0])
    }

    fn refuses(code: u16) -> Vec<u8> {
        framed(1, &[&[ERR][..], &code.to_le_bytes(), b"#HY000no"].concat())
    }

    fn hello(stream: &mut TcpStream) {
        let version = b"5.5.5-10.11.19-MariaDB\0";
        let greeting = [&[10][..], version, &[0; 44], b"mysql_native_password\0"].concat();
        stream.write_all(&framed(0, &greeting)).unwrap();
        let mut head = [0; 4];
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head[3], 1);
        let mut body = vec![0; head[0] as usize];
        stream.read_exact(&mut body).unwrap();
        assert!(body[32..].starts_with(b"perjury\0\0perjury\0"), "{body:?}");
        // It is asked again in another way, as servers do.
        stream.write_all(&framed(2, b"\xfemysql_native_password\0scramble\0")).unwrap();
        stream.read_exact(&mut head).unwrap();
        assert_eq!(head, [0, 0, 0, 3]);
        stream.write_all(&framed(4, &[OK, 0, 0, 2, 0, 0, 0])).unwrap();
    }

    /// Whole packets that begin a request.
    fn requests(mut bytes: &[u8]) -> usize {
        let mut count = 0;
        while let &[a, b, c, number, ..] = bytes {
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            let Some(rest) = bytes.get(4 + length..) else { break };
            count += usize::from(number == 0);
            bytes = rest;
        }
        count
    }

    #[test]
    fn a_client_asks_once_and_says_failed_only_where_nothing_happened() {
        conforms(&Protocol {
            open: |stream, deadline| {
                let connection = Connection::greet(stream, deadline)?;
                Ok(Box::new(session(connection, Dialect::Maria, "register", Access::All)))
            },
            hello,
            requests,
            written: done(),
            unclear: refuses(1317),
            nonsense: b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        });
    }

    /// An answer of packets with these bodies, to a question that was asked.
    fn answer(bodies: &[&[u8]]) -> Result<Reply, NoAnswer> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let served = std::thread::spawn(move || {
            hello(&mut server);
            server
        });
        let soon = Instant::now() + std::time::Duration::from_secs(5);
        let mut connection = Connection::greet(stream, soon).unwrap();
        let mut server = served.join().unwrap();
        Wire::send(&mut connection, &"SELECT 1".to_string(), soon).unwrap();
        let packets = bodies.iter().zip(1..).map(|(body, number)| framed(number, body));
        server.write_all(&packets.collect::<Vec<_>>().concat()).unwrap();
        connection.answer(soon)
    }

    #[test]
    fn several_results_and_nulls_are_read() {
        let (eof, last) = ([EOF, 0, 0, 10, 0], [EOF, 0, 0, 2, 0]);
        let ok = [OK, 1, 0, 10, 0, 0, 0];
        let reply = answer(&[&ok, &[2], b"column", b"column", &eof, b"\x017\xfb", &last]).unwrap();
        let rows = Rows { rows: vec![vec![Some("7".into()), None]], affected: 1 };
        assert_eq!(reply.results, [Rows { rows: Vec::new(), affected: 1 }, rows]);
        let refused = answer(&[&ok, &[&[ERR, 0xbd, 4][..], b"#40001Deadlock"].concat()]).unwrap();
        assert_eq!(refused.error.map(|e| e.text()), Some("Deadlock (1213)".into()));
        let short = answer(&[&[1], b"column", &eof, b"\x05abc", &last]);
        assert!(matches!(short, Err(NoAnswer::Broken(_))), "{short:?}");
    }

    #[test]
    fn numbers_have_four_lengths() {
        for (bytes, number) in [
            (&[7][..], 7),
            (&[0xfc, 1, 2], 0x201),
            (&[0xfd, 1, 2, 3], 0x03_0201),
            (&[0xfe, 1, 0, 0, 0, 0, 0, 0, 1], 0x0100_0000_0000_0001),
        ] {
            assert_eq!(Fields(bytes).length(), Some(number));
            assert_eq!(Fields(&bytes[..bytes.len() - 1]).length(), None);
        }
    }
}
