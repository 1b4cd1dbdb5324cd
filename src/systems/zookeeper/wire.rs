//! A session with one server, as ZooKeeper knows it: opened by a handshake, kept alive by pings, ended by saying so.

use super::jute::{Reader, Writer};
use crate::systems::dialogue::Wire;
use crate::systems::http::NoAnswer;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The longest answer that is read: a list of children has no other bound.
const ANSWER_MAX: usize = 64 << 20;
/// How long the farewell of a session may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// How long a ping may stand in front of a socket that takes no more.
const PING: Duration = Duration::from_secs(1);

/// Numbers of pings and of events, which answer no request.
const PING_ID: i32 = -2;
const EVENT_ID: i32 = -1;

/// Everybody may do everything.
const OPEN_ACCESS: i32 = 31;

/// How a node is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// It stays.
    Persistent,
    /// It goes with its session, and its name gets a number that grows.
    EphemeralSequential,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Makes a node and tells its name and its numbers.
    Create { path: String, data: Vec<u8>, making: Making },
    /// Removes a node, whatever its version is.
    Delete { path: String },
    /// The data of a node, and its numbers.
    GetData { path: String },
    /// Replaces the data of a node that has this version; −1 is any.
    SetData { path: String, data: Vec<u8>, version: i32 },
    /// The names below a node.
    Children { path: String },
    /// The server catches up with the leader's word for what was committed.
    Sync { path: String },
}

impl Request {
    fn code(&self) -> i32 {
        match self {
            Request::Create { .. } => 15,
            Request::Delete { .. } => 2,
            Request::GetData { .. } => 4,
            Request::SetData { .. } => 5,
            Request::Children { .. } => 8,
            Request::Sync { .. } => 9,
        }
    }

    /// The request as it travels.
    fn frame(&self, id: i32) -> Vec<u8> {
        let head = Writer::default().int(id).int(self.code());
        let whole = match self {
            Request::Create { path, data, making } => {
                let flags = match making {
                    Making::Persistent => 0,
                    Making::EphemeralSequential => 3,
                };
                head.text(path).buffer(data).int(1).int(OPEN_ACCESS).text("world").text("anyone").int(flags)
            }
            Request::Delete { path } => head.text(path).int(-1),
            Request::GetData { path } | Request::Children { path } => head.text(path).bool(false),
            Request::SetData { path, data, version } => head.text(path).buffer(data).int(*version),
            Request::Sync { path } => head.text(path),
        };
        whole.frame()
    }
}

/// An answer: what the server says of the request, and a record if it was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// 0, or what went wrong.
    pub error: i32,
    /// The record behind the header.
    pub body: Vec<u8>,
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    /// Held while something is written, by us or by the pings.
    writer: Arc<Mutex<TcpStream>>,
    /// Says farewell when it is dropped.
    _farewell: Sender<()>,
    /// The number of the request that was sent last.
    id: i32,
    /// What has arrived and was not taken yet.
    buffer: Vec<u8>,
}

impl Session {
    /// Opens a session over a connection. It is asked to end `timeout` after the server has last heard of it.
    pub fn open(mut stream: TcpStream, timeout: Duration, deadline: Instant) -> Result<Session, String> {
        let wanted = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let hello = Writer::default().int(0).long(0).int(wanted).long(0).buffer(&[0; 16]).bool(false).frame();
        let failed = |e: io::Error| format!("opening a session: {e}");
        stream.set_write_timeout(Some(left(deadline))).map_err(failed)?;
        stream.write_all(&hello).map_err(failed)?;
        let mut buffer = Vec::new();
        let welcome = frame(&mut stream, &mut buffer, deadline).map_err(|why| match why {
            NoAnswer::Late => "opening a session: no answer by the deadline".to_string(),
            NoAnswer::Broken(why) => format!("opening a session: {why}"),
        })?;
        let given = given_timeout(&welcome).map_err(|why| format!("opening a session: {why}"))?;
        let writer = Arc::new(Mutex::new(stream.try_clone().map_err(failed)?));
        let (farewell, end) = channel();
        let pings = writer.clone();
        std::thread::Builder::new()
            .name("pings".to_string())
            .spawn(move || ping(&pings, given / 3, &end))
            .map_err(|e| format!("opening a session: {e}"))?;
        Ok(Session { stream, writer, _farewell: farewell, id: 0, buffer })
    }
}

impl Session {
    /// Whoever says two things to one request cannot be understood. Answers to pings may be there, or the first bytes of one.
    fn nothing_more(&self) -> Result<(), NoAnswer> {
        let mut rest = &self.buffer[..];
        while let Some((id, more)) = rest.get(4..8).zip(rest.get(20..)) {
            if id != PING_ID.to_be_bytes() {
                return Err(NoAnswer::Broken("more than one answer to one request".into()));
            }
            rest = more;
        }
        Ok(())
    }
}

/// How long the server will wait for us, from its welcome.
fn given_timeout(welcome: &[u8]) -> Result<Duration, String> {
    let mut reader = Reader::new(welcome);
    let (_version, given, _id) = (reader.int()?, reader.int()?, reader.long()?);
    match u64::try_from(given) {
        Ok(given) if given > 0 => Ok(Duration::from_millis(given)),
        _ => Err("the server gave none".to_string()),
    }
}

/// Pings until the session is dropped, and ends it then: what belongs to it goes at once, and not when it times out.
fn ping(writer: &Mutex<TcpStream>, every: Duration, end: &Receiver<()>) {
    let ping = Writer::default().int(PING_ID).int(11).frame();
    while end.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
        if write(writer, &ping, PING).is_err() {
            return;
        }
    }
    let _ = write(writer, &Writer::default().int(i32::MAX).int(-11).frame(), FAREWELL);
    let stream = writer.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.set_read_timeout(Some(FAREWELL));
    // Whoever closes a connection with unread answers in it resets it, and the farewell may not be read any more.
    let (until, mut rest) = (Instant::now() + FAREWELL, [0; 4096]);
    while Instant::now() < until && matches!((&*stream).read(&mut rest), Ok(n) if n > 0) {}
}

fn write(writer: &Mutex<TcpStream>, bytes: &[u8], patience: Duration) -> io::Result<()> {
    let mut stream = writer.lock().unwrap_or_else(PoisonError::into_inner);
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(bytes)
}

/// Never zero, which would be no timeout at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// The next record that arrives.
fn frame(stream: &mut TcpStream, buffer: &mut Vec<u8>, deadline: Instant) -> Result<Vec<u8>, NoAnswer> {
    let mut piece = [0; 16 << 10];
    loop {
        if let Some((length, rest)) = buffer.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            if length > ANSWER_MAX {
                return Err(NoAnswer::Broken(format!("an answer of {length} bytes")));
            }
            if let Some(record) = rest.get(..length) {
                let record = record.to_vec();
                buffer.drain(..4 + length);
                return Ok(record);
            }
        }
        if Instant::now() >= deadline {
            return Err(NoAnswer::Late);
        }
        let broken = |e: io::Error| NoAnswer::Broken(e.to_string());
        stream.set_read_timeout(Some(left(deadline))).map_err(broken)?;
        match stream.read(&mut piece) {
            Ok(0) => return Err(NoAnswer::Broken("the connection was closed before the answer".into())),
            Ok(n) => buffer.extend_from_slice(&piece[..n]),
            Err(e) => match e.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(NoAnswer::Late),
                ErrorKind::Interrupted => {}
                _ => return Err(broken(e)),
            },
        }
    }
}

impl Wire for Session {
    type Request = Request;
    type Answer = Answer;

    fn send(&mut self, request: &Request, deadline: Instant) -> Result<(), String> {
        self.id = self.id.checked_add(1).ok_or("a session of two thousand million requests")?;
        write(&self.writer, &request.frame(self.id), left(deadline)).map_err(|e| e.to_string())
    }

    fn answer(&mut self, deadline: Instant) -> Result<Answer, NoAnswer> {
        loop {
            let record = frame(&mut self.stream, &mut self.buffer, deadline)?;
            let mut reader = Reader::new(&record);
            let mut head = || Ok::<_, String>((reader.int()?, reader.long()?, reader.int()?));
            let (id, _zxid, error) = head().map_err(NoAnswer::Broken)?;
            match id {
                PING_ID | EVENT_ID => {}
                id if id == self.id => {
                    let body = reader.rest().to_vec();
                    self.nothing_more()?;
                    return Ok(Answer { error, body });
                }
                id => {
                    let why = format!("an answer to request {id}, where {} was asked", self.id);
                    return Err(NoAnswer::Broken(why));
                }
            }
        }
    }

    fn close(&mut self) {
        // One that is broken is as good as closed.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use crate::systems::dialogue::Dialogue;
    use crate::systems::zookeeper::api::{self, Dialect, Held, Reads};

    /// Records with their ids and kinds.
    fn records(mut seen: &[u8]) -> Vec<(i32, i32)> {
        let mut records = Vec::new();
        while let Some((length, rest)) = seen.split_first_chunk() {
            let Some((record, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else {
                break;
            };
            let mut reader = Reader::new(record);
            records.push((reader.int().unwrap(), reader.int().unwrap()));
            seen = rest;
        }
        records
    }

    fn answer(id: i32, error: i32) -> Writer {
        Writer::default().int(id).long(7).int(error)
    }

    #[test]
    fn a_client_asks_once_and_in_doubt_says_that_it_does_not_know() {
        let stat = |answer: Writer| {
            let numbers = (0..4).fold(answer, |answer, _| answer.long(7));
            numbers.int(1).int(0).int(0).long(0).int(1).int(0).long(7)
        };
        conforms(&Protocol {
            open: |stream, deadline| {
                let session = Session::open(stream, Duration::from_millis(300), deadline)?;
                let dialect = Dialect { reads: Reads::Local, fencing: false };
                let held = Held::default();
                let begin = move |call: &_| api::begin("register", call, dialect, &held);
                Ok(Box::new(Dialogue::new(session, Box::new(begin))))
            },
            hello: |stream| {
                let mut hello = [0; 4 + 45];
                stream.read_exact(&mut hello).unwrap();
                let welcome = Writer::default().int(0).int(300).long(9).buffer(&[0; 16]).bool(false).frame();
                stream.write_all(&welcome).unwrap();
            },
            // Pings, and the farewell, are no requests.
            requests: |seen| {
                records(seen).into_iter().filter(|(id, kind)| *id != PING_ID && *kind != -11).count()
            },
            written: stat(answer(1, 0)).frame(),
            unclear: answer(1, -4).frame(),
            nonsense: Writer::default().text("no").frame(),
        });
    }
}
