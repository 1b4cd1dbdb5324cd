//! One session that writes, and is told of changes: two connections to one member, one for requests and one for a stream.
//!
//! ```text
//!   put, delete       a request and its answer, as every other client makes them (client.rs)
//!   watch 12 ─▶       opens the stream at revision 12 ─▶ created · events · progress …      first call
//!   watch 15 ─▶       takes what the stream has brought since: it stands at 15              every other call
//!   watch 9  ─▶       fails, and the session is over: another place needs another stream
//! ```
//! A watch that brings nothing for a while is answered with nothing: the stream may be slow, and that is no lie. A stream
//! that breaks ends the session; what it had brought by then is the answer.

use super::api::CURRENT;
use super::client::EtcdClient;
use super::stream::{self, Heard};
use crate::client::Client;
use crate::systems::http::{Connection, NoAnswer, Streamed};
use history::{Call, Completion, Value};
use std::time::{Duration, Instant};

/// How long a watch waits for its first event.
const IDLE: Duration = Duration::from_secs(1);
/// How long before its deadline a call is answered.
const MARGIN: Duration = Duration::from_millis(50);
/// After so many events a watch is answered, whatever else has arrived.
const EVENTS_MAX: usize = 1000;
/// How long a stream must be silent, with a member that answers before and after from a majority, to have brought
/// everything: a member sends what it has within a tenth of a second.
const SILENCE: Duration = Duration::from_secs(10);

/// A session. It never dials again: once one of its connections is broken, it is over.
#[derive(Debug)]
pub struct Watcher {
    writes: EtcdClient,
    stream: Stream,
    alive: bool,
}

#[derive(Debug)]
enum Stream {
    /// Nothing was asked on it yet.
    Unused(Connection),
    Open(Open),
    Over,
}

#[derive(Debug)]
struct Open {
    lines: Streamed,
    key: Option<Value>,
    /// The first revision that it has not told of.
    next: i64,
}

/// What a stream has brought.
#[derive(Debug, Default)]
struct Brought {
    events: Vec<Value>,
    upto: i64,
}

/// Why a stream brings nothing more.
enum Why {
    /// It is only silent.
    Silent,
    Compacted(i64),
    Broken(String),
}

impl Watcher {
    /// A session over two connections to one member.
    pub fn new(writes: Connection, stream: Connection) -> Watcher {
        let writes = EtcdClient::new(writes, "watch", false);
        Watcher { writes, stream: Stream::Unused(stream), alive: true }
    }

    fn end(&mut self) {
        if let Stream::Open(open) = &self.stream {
            open.lines.close();
        }
        (self.stream, self.alive) = (Stream::Over, false);
    }

    fn over(&mut self, why: impl Into<String>) -> Completion {
        self.end();
        Completion::Fail(why.into())
    }

    /// Opens the stream at the place that the call names.
    fn begin(&mut self, connection: Connection, call: &Call, deadline: Instant) -> Result<Open, Ended> {
        let mut connection = connection;
        let from = match &call.value {
            Value::Null => 0,
            Value::Int(from) if *from > 0 => *from,
            other => return Err(Ended::Broken(format!("a watch from {other}"))),
        };
        let body = stream::watch(call.key.as_ref(), from).map_err(Ended::Broken)?;
        connection.post("/v3/watch", &body, deadline).map_err(|e| Ended::Broken(format!("sending: {e}")))?;
        let mut lines = connection.streamed();
        let line = lines.line(deadline).map_err(|why| match why {
            NoAnswer::Late => Ended::Broken("no stream by the deadline".into()),
            NoAnswer::Broken(why) => Ended::Broken(why),
        })?;
        match stream::heard(&line, call.key.as_ref()).map_err(Ended::Broken)? {
            Heard::Created(counted) => {
                let next = if from == 0 { counted + 1 } else { from };
                Ok(Open { lines, key: call.key.clone(), next })
            }
            Heard::Compacted(left) => Err(Ended::Compacted(left)),
            Heard::Over(why) => Err(Ended::Broken(why)),
            other @ (Heard::Events(..) | Heard::Progress(_)) => {
                Err(Ended::Broken(format!("a stream that begins with {other:?}")))
            }
        }
    }

    /// The stream at the place that the call names.
    fn at(&mut self, call: &Call, deadline: Instant) -> Result<&mut Open, Completion> {
        if let Stream::Open(open) = &self.stream {
            let from = call.value.as_int();
            if open.key != call.key || from.is_some_and(|from| from != open.next) {
                let why =
                    format!("this stream goes on from {}: another place needs a new session", open.next);
                return Err(self.over(why));
            }
        }
        match std::mem::replace(&mut self.stream, Stream::Over) {
            Stream::Over => return Err(self.over("the session is over")),
            Stream::Open(open) => self.stream = Stream::Open(open),
            Stream::Unused(connection) => match self.begin(connection, call, deadline) {
                Ok(open) => self.stream = Stream::Open(open),
                Err(Ended::Broken(why)) => return Err(self.over(why)),
                Err(Ended::Compacted(left)) => return Err(self.compacted(call, left)),
            },
        }
        match &mut self.stream {
            Stream::Open(open) => Ok(open),
            Stream::Unused(_) | Stream::Over => unreachable!("it was just opened"),
        }
    }

    /// What was asked for is gone, which is no promise broken: it goes on with what is left.
    fn compacted(&mut self, call: &Call, left: i64) -> Completion {
        self.end();
        Completion::Ok { value: call.value.clone(), applied: Some(false), observed: Some(Value::Int(left)) }
    }

    fn watch(&mut self, call: &Call, deadline: Instant) -> Completion {
        let deadline = deadline.checked_sub(MARGIN).unwrap_or(deadline);
        let open = match self.at(call, deadline) {
            Ok(open) => open,
            Err(completion) => return completion,
        };
        let mut brought = Brought { events: Vec::new(), upto: open.next - 1 };
        // From now on: it begins here, whatever comes.
        let wait = if call.value == Value::Null { Duration::ZERO } else { IDLE };
        let first = deadline.min(Instant::now() + wait);
        let why = open.take(&mut brought, first);
        self.answer(call, brought, why)
    }

    /// Everything that the stream has, once it has brought nothing for long, with a member that is in touch with the
    /// others before and after.
    fn catch_up(&mut self, call: &Call, deadline: Instant) -> Completion {
        if let Err(completion) = self.at(call, deadline) {
            return completion;
        }
        if let Err(why) = self.in_touch(call, deadline) {
            return self.over(why);
        }
        let Stream::Open(open) = &mut self.stream else { return self.over("the session is over") };
        let mut brought = Brought { events: Vec::new(), upto: open.next - 1 };
        let silent = loop {
            let until = Instant::now() + SILENCE;
            if until >= deadline {
                break Err("the stream was not silent for long enough".to_string());
            }
            let before = brought.events.len();
            match open.take(&mut brought, until) {
                Why::Silent if brought.events.len() == before => break Ok(()),
                Why::Silent => {}
                Why::Compacted(_) => break Err("it was compacted".to_string()),
                Why::Broken(why) => break Err(why),
            }
        };
        // What was brought is lost with the session, and will be asked for again.
        match silent.and_then(|()| self.in_touch(call, deadline)) {
            Ok(()) => self.answer(call, brought, Why::Silent),
            Err(why) => self.over(why),
        }
    }

    /// Whether the member can ask a majority.
    fn in_touch(&mut self, call: &Call, deadline: Instant) -> Result<(), String> {
        let current = Call { f: CURRENT.to_string(), key: call.key.clone(), value: Value::Null };
        match self.writes.invoke(&current, deadline) {
            Completion::Ok { .. } => Ok(()),
            Completion::Fail(why) | Completion::Info { error: why, .. } => Err(why),
        }
    }

    fn answer(&mut self, call: &Call, brought: Brought, why: Why) -> Completion {
        let nothing = brought.events.is_empty();
        match why {
            Why::Silent => {
                if let Stream::Open(open) = &mut self.stream {
                    open.next = brought.upto + 1;
                }
            }
            Why::Compacted(left) if nothing => return self.compacted(call, left),
            Why::Broken(why) if nothing => return self.over(why),
            Why::Compacted(_) | Why::Broken(_) => self.end(),
        }
        Completion::ok(Value::list([Value::Int(brought.upto), Value::list(brought.events)]))
    }
}

/// Why there is no stream.
enum Ended {
    Compacted(i64),
    Broken(String),
}

impl Open {
    /// Takes what the stream brings until it is silent: waits for the first line until then, and for no other.
    fn take(&mut self, brought: &mut Brought, until: Instant) -> Why {
        let mut until = until;
        while brought.events.len() < EVENTS_MAX {
            let line = match self.lines.line(until) {
                Ok(line) => line,
                Err(NoAnswer::Late) => return Why::Silent,
                Err(NoAnswer::Broken(why)) => return Why::Broken(why),
            };
            match stream::heard(&line, self.key.as_ref()) {
                Ok(Heard::Events(events, last)) => {
                    brought.events.extend(events);
                    brought.upto = brought.upto.max(last);
                }
                Ok(Heard::Progress(counted)) => brought.upto = brought.upto.max(counted),
                Ok(Heard::Compacted(left)) => return Why::Compacted(left),
                Ok(Heard::Over(why)) | Err(why) => return Why::Broken(why),
                Ok(Heard::Created(_)) => return Why::Broken("a stream that begins twice".into()),
            }
            until = Instant::now();
        }
        Why::Silent
    }
}

impl Client for Watcher {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive() {
            return Completion::Fail("the session is over".into());
        }
        match call.f.as_str() {
            "watch" => self.watch(call, deadline),
            "catch-up" => self.catch_up(call, deadline),
            _ => self.writes.invoke(call, deadline),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        self.writes.late(until)
    }

    fn alive(&self) -> bool {
        self.alive && self.writes.alive()
    }
}

#[cfg(test)]
#[path = "watcher_tests.rs"]
mod tests;
