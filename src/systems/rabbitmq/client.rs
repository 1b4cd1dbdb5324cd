//! One session of a client process with one broker: one connection, one channel, one request at a time, nothing asked
//! twice.
//!
//! ```text
//!   declare, once a session and queue ─▶ ok                nothing has happened without it, so the call fails
//!   publish ─▶ ack                                         ok
//!           ─▶ return, ack                                 failed: the message went nowhere
//!           ─▶ nack, closed, … deadline                    unknown
//!   get     ─▶ a message, ack ─▶                           ok: it was delivered, whether it comes again or not
//!           ─▶ empty                                       ok, null
//!           ─▶ closed, … deadline                          failed: nothing was acknowledged, so nothing was taken
//! ```

use super::wire::{Heard, Wire};
use crate::client::Client;
use crate::systems::http::NoAnswer;
use crate::systems::json;
use history::{Call, Completion, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long nothing may come until a drain calls a queue empty: what was delivered to a session that is gone comes back
/// when the broker has noticed that.
const QUIET: Duration = Duration::from_millis(1500);
/// How long a drain waits before it asks again.
const LOOK: Duration = Duration::from_millis(100);

/// A session. It never dials again: once it is broken, it stays so.
#[derive(Debug)]
pub struct RabbitClient {
    wire: Wire,
    /// The kind of queue: `quorum`.
    kind: &'static str,
    alive: bool,
    /// Queues that were seen to exist.
    declared: BTreeSet<String>,
    /// The request that is open, if its deadline has passed without an answer.
    open: Option<Waiting>,
}

/// What is waited for.
#[derive(Clone, Debug)]
enum Waiting {
    /// That a queue exists; then this is done.
    Declared { queue: String, then: Act },
    /// That the message of this number was taken.
    Confirmed { tag: u64, value: Value },
    /// A message, or that there is none.
    Got { queue: String, drain: Option<Drain> },
}

/// What is done with a queue.
#[derive(Clone, Debug)]
enum Act {
    Publish(Value, Vec<u8>),
    Get,
    Drain,
}

/// What a drain has so far.
#[derive(Clone, Debug)]
struct Drain {
    got: Vec<Value>,
    /// When the last message came, or the drain began.
    since: Instant,
}

impl Waiting {
    /// What the call came to if nothing more is heard.
    fn unheard(&self, why: String) -> Completion {
        let taken = match self {
            Waiting::Confirmed { .. } => true,
            Waiting::Got { drain: Some(drain), .. } => !drain.got.is_empty(),
            Waiting::Declared { .. } | Waiting::Got { drain: None, .. } => false,
        };
        if taken { Completion::lost(why) } else { Completion::Fail(why) }
    }
}

/// The queue of a key: plain text as it is, everything else as JSON behind another sign.
pub fn queue(key: Option<&Value>) -> Result<String, String> {
    let name = match key.and_then(Value::as_text) {
        Some(text) => format!("perjury.{text}"),
        None => format!("perjury={}", key.map_or(Ok(Json::Null), json::to_json)?),
    };
    if name.len() > 255 {
        Err(format!("the name of a queue takes 255 bytes, not {}", name.len()))
    } else {
        Ok(name)
    }
}

fn act(call: &Call) -> Result<Act, String> {
    match call.f.as_str() {
        "enqueue" => {
            let message = json::to_json(&call.value)?.to_string().into_bytes();
            Ok(Act::Publish(call.value.clone(), message))
        }
        "dequeue" => Ok(Act::Get),
        "drain" => Ok(Act::Drain),
        f => Err(format!("there is no function {f} here")),
    }
}

fn message(body: &[u8]) -> Result<Value, String> {
    let json: Json = serde_json::from_slice(body)
        .map_err(|e| format!("the message {:?}: {e}", String::from_utf8_lossy(body)))?;
    json::from_json(&json)
}

impl RabbitClient {
    /// A session over a connection; queues are declared to be of this kind.
    pub fn new(wire: Wire, kind: &'static str) -> RabbitClient {
        RabbitClient { wire, kind, alive: true, declared: BTreeSet::new(), open: None }
    }

    fn begin(&mut self, queue: String, act: Act, deadline: Instant) -> Completion {
        // An error of a write does not say how much of it went out.
        let (sent, waiting) = match act {
            Act::Publish(value, message) => match self.wire.publish(&queue, &message, deadline) {
                Ok(tag) => (Ok(()), Waiting::Confirmed { tag, value }),
                Err(e) => (Err(e), Waiting::Confirmed { tag: 0, value }),
            },
            Act::Get => (self.wire.get(&queue, deadline), Waiting::Got { queue, drain: None }),
            Act::Drain => {
                let drain = Some(Drain { got: Vec::new(), since: Instant::now() });
                (self.wire.get(&queue, deadline), Waiting::Got { queue, drain })
            }
        };
        match sent {
            Ok(()) => self.wait(waiting, deadline),
            Err(e) => self.broken(&waiting, format!("sending: {e}")),
        }
    }

    /// Waits until the call is complete, or its deadline.
    fn wait(&mut self, mut waiting: Waiting, deadline: Instant) -> Completion {
        // What was said of the open message before it was confirmed.
        let mut returned: Option<String> = None;
        loop {
            let heard = match self.wire.hear(deadline) {
                Ok(Heard::Closed { code, text }) => {
                    return self.broken(&waiting, format!("closed: {code} {text}"));
                }
                Ok(heard) => heard,
                Err(NoAnswer::Late) => {
                    self.open = Some(waiting);
                    return Completion::Info { error: "no answer by the deadline".into(), late: true };
                }
                Err(NoAnswer::Broken(why)) => return self.broken(&waiting, why),
            };
            let covers =
                |tag: u64, multiple: bool, own: u64| tag == own || (multiple && (tag > own || tag == 0));
            waiting = match (waiting, heard) {
                (Waiting::Declared { queue, then }, Heard::Declared) => {
                    self.declared.insert(queue.clone());
                    return self.begin(queue, then, deadline);
                }
                (Waiting::Confirmed { tag, value }, Heard::Confirmed { tag: of, multiple })
                    if covers(of, multiple, tag) =>
                {
                    let completion = match returned {
                        None => Completion::ok(value.clone()),
                        Some(words) => Completion::Fail(words),
                    };
                    return self.done(&Waiting::Confirmed { tag, value }, completion);
                }
                // It may have been taken by some replicas all the same.
                (waiting @ Waiting::Confirmed { tag, .. }, Heard::Refused { tag: of, multiple })
                    if covers(of, multiple, tag) =>
                {
                    return self.done(&waiting, Completion::lost("refused (nack)"));
                }
                (waiting @ Waiting::Confirmed { .. }, Heard::Returned { code, text }) => {
                    returned = Some(format!("returned: {code} {text}"));
                    waiting
                }
                (Waiting::Got { queue, drain }, Heard::Got { tag, body, .. }) => {
                    match self.got(queue, drain, tag, &body, deadline) {
                        Ok(waiting) => waiting,
                        Err(completion) => return completion,
                    }
                }
                (waiting @ Waiting::Got { drain: None, .. }, Heard::Empty) => {
                    return self.done(&waiting, Completion::ok(Value::Null));
                }
                (Waiting::Got { queue, drain: Some(drain) }, Heard::Empty) => {
                    let over = (drain.since.elapsed() >= QUIET).then(|| Value::list(drain.got.clone()));
                    let waiting = Waiting::Got { queue: queue.clone(), drain: Some(drain) };
                    if let Some(got) = over {
                        return self.done(&waiting, Completion::ok(got));
                    }
                    std::thread::sleep(LOOK);
                    if let Err(e) = self.wire.get(&queue, deadline) {
                        return self.broken(&waiting, format!("sending: {e}"));
                    }
                    waiting
                }
                (waiting, Heard::Other(..)) => waiting,
                (waiting, heard) => return self.broken(&waiting, format!("it says {heard:?}")),
            };
        }
    }

    /// A message has come and is acknowledged. A drain goes on; otherwise the call is complete.
    fn got(
        &mut self,
        queue: String,
        drain: Option<Drain>,
        tag: u64,
        body: &[u8],
        deadline: Instant,
    ) -> Result<Waiting, Completion> {
        let value = match message(body) {
            Ok(value) => value,
            Err(why) => return Err(self.broken(&Waiting::Got { queue, drain }, why)),
        };
        let acked = self.wire.ack(tag, deadline);
        let Some(mut drain) = drain else {
            // It was delivered, whatever else is said. If the acknowledgement is lost, it comes again.
            self.open = None;
            if acked.is_err() {
                self.end();
            }
            return Err(Completion::ok(value));
        };
        drain.got.push(value);
        drain.since = Instant::now();
        let sent = acked.and_then(|()| self.wire.get(&queue, deadline));
        let waiting = Waiting::Got { queue, drain: Some(drain) };
        match sent {
            Ok(()) => Ok(waiting),
            Err(e) => Err(self.broken(&waiting, format!("sending: {e}"))),
        }
    }

    /// The call is complete, unless the broker has said more than one thing about it: then it is not understood.
    fn done(&mut self, waiting: &Waiting, completion: Completion) -> Completion {
        self.open = None;
        loop {
            // Only what has arrived already.
            match self.wire.hear(Instant::now()) {
                Ok(Heard::Other(..)) => {}
                Ok(Heard::Closed { .. }) | Err(NoAnswer::Broken(_)) => {
                    self.end();
                    return completion;
                }
                Ok(heard) => return self.broken(waiting, format!("it says {heard:?} after its answer")),
                Err(NoAnswer::Late) => return completion,
            }
        }
    }

    fn end(&mut self) {
        self.alive = false;
        self.wire.close();
    }

    /// The session is over, and nobody will ever hear what became of the call.
    fn broken(&mut self, waiting: &Waiting, why: String) -> Completion {
        self.open = None;
        self.end();
        waiting.unheard(why)
    }
}

impl Client for RabbitClient {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        let (queue, act) = match queue(call.key.as_ref()).and_then(|queue| Ok((queue, act(call)?))) {
            Ok(asked) => asked,
            Err(why) => return Completion::Fail(why),
        };
        if self.declared.contains(&queue) {
            return self.begin(queue, act, deadline);
        }
        let waiting = Waiting::Declared { queue: queue.clone(), then: act };
        match self.wire.declare(&queue, self.kind, deadline) {
            Ok(()) => self.wait(waiting, deadline),
            Err(e) => self.broken(&waiting, format!("sending: {e}")),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        let Some(waiting) = self.open.take() else { return Completion::lost("no call is open") };
        let completion = self.wait(waiting, until);
        match self.open.take() {
            Some(waiting) => self.broken(&waiting, "no answer by the deadline".into()),
            None => completion,
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::{self, Body, Frame};
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// The next frame that the client sends.
    fn frame(stream: &mut TcpStream) -> Frame {
        let (mut seen, mut byte) = (Vec::new(), [0]);
        loop {
            stream.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
            if let Some((frame, _)) = Frame::parse(&seen).unwrap() {
                return frame;
            }
        }
    }

    /// As a broker greets.
    fn hello(stream: &mut TcpStream) {
        let mut greeting = [0; 8];
        stream.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"AMQP\x00\x00\x09\x01");
        for (said, heard) in [
            (Body::new(10, 10).bits(0).bits(9).empty_table().long(b"PLAIN").long(b"en_US"), 1),
            (Body::new(10, 30).u16(2047).u32(131_072).u16(60), 2),
            (Body::new(10, 41).short(""), 1),
            (Body::new(20, 11).long(b""), 1),
            (Body::new(85, 11), 0),
        ] {
            stream.write_all(&frame::method(1, said)).unwrap();
            (0..heard).for_each(|_| assert!(matches!(frame(stream), Frame::Method(_))));
        }
    }

    /// A client that knows the queue of the key x already, and calls its functions by the names of a register's.
    struct Renamed(RabbitClient);

    impl Client for Renamed {
        fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
            let f = if call.f == "write" { "enqueue" } else { "dequeue" };
            self.0.invoke(&Call { f: f.to_string(), ..call.clone() }, deadline)
        }

        fn late(&mut self, until: Instant) -> Completion {
            self.0.late(until)
        }

        fn alive(&self) -> bool {
            self.0.alive()
        }
    }

    fn open(stream: TcpStream, deadline: Instant) -> Result<RabbitClient, String> {
        let mut client = RabbitClient::new(Wire::open(stream, "guest", "guest", deadline)?, "quorum");
        client.declared.insert("perjury.x".to_string());
        Ok(client)
    }

    /// Whole messages that were published, and gets.
    fn requests(mut seen: &[u8]) -> usize {
        let (mut count, mut publishing) = (0, false);
        while let Some((frame, length)) = Frame::parse(seen).unwrap() {
            seen = &seen[length..];
            match frame {
                Frame::Method(method) => {
                    publishing = (method.class, method.number) == (60, 40);
                    count += usize::from((method.class, method.number) == (60, 70));
                }
                Frame::Body(_) => count += usize::from(publishing),
                Frame::Header(_) | Frame::Heartbeat => {}
            }
        }
        count
    }

    #[test]
    fn a_lost_message_is_unknown_a_lost_get_did_not_happen_and_nothing_is_asked_twice() {
        conforms(&Protocol {
            open: |stream, deadline| Ok(Box::new(Renamed(open(stream, deadline)?))),
            hello,
            requests,
            written: frame::method(1, Body::new(60, 80).u64(1).bits(0)),
            unclear: frame::method(1, Body::new(60, 120).u64(1).bits(0)),
            nonsense: b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        });
    }

    /// What becomes of a call to which a broker says this.
    fn told(f: &str, said: Vec<u8>) -> (Completion, Vec<(u16, u16)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let broker = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            hello(&mut stream);
            let mut seen = Vec::new();
            let mut piece = [0; 512];
            while requests(&seen) == 0 {
                let n = stream.read(&mut piece).unwrap();
                seen.extend_from_slice(&piece[..n]);
            }
            stream.write_all(&said).unwrap();
            while let Ok(n @ 1..) = stream.read(&mut piece) {
                seen.extend_from_slice(&piece[..n]);
            }
            let (mut rest, mut methods) = (&seen[..], Vec::new());
            while let Some((frame, length)) = Frame::parse(rest).unwrap() {
                rest = &rest[length..];
                if let Frame::Method(method) = frame {
                    methods.push((method.class, method.number));
                }
            }
            methods
        });
        let soon = Instant::now() + Duration::from_secs(5);
        let mut client = open(TcpStream::connect(address).unwrap(), soon).unwrap();
        let completion =
            client.invoke(&Call { f: f.into(), key: Some("x".into()), value: Value::Int(3) }, soon);
        drop(client);
        (completion, broker.join().unwrap())
    }

    #[test]
    fn a_message_that_could_not_be_routed_was_not_sent_and_one_that_was_refused_may_have_been() {
        let content = [frame::header(1, 60, 1, &[0, 0]), frame::body(1, b"3")].concat();
        let back = Body::new(60, 50).u16(312).short("NO_ROUTE").short("").short("perjury.x");
        let ack = frame::method(1, Body::new(60, 80).u64(1).bits(0));
        let returned = [frame::method(1, back), content, ack].concat();
        assert_eq!(told("enqueue", returned).0, Completion::Fail("returned: 312 NO_ROUTE".into()));
        let nack = frame::method(1, Body::new(60, 120).u64(1).bits(0));
        assert!(matches!(told("enqueue", nack).0, Completion::Info { late: false, .. }));
        let closed = frame::method(0, Body::new(10, 50).u16(320).short("CONNECTION_FORCED").u16(0).u16(0));
        assert!(matches!(told("enqueue", closed.clone()).0, Completion::Info { late: false, .. }));
        assert!(matches!(told("dequeue", closed).0, Completion::Fail(_)));
    }

    #[test]
    fn a_message_that_came_is_acknowledged_once() {
        let got = Body::new(60, 71).u64(1).bits(0).short("").short("perjury.x").u32(0);
        let content =
            [frame::header(1, 60, 2, &[0x10, 0, 2]), frame::body(1, b"4"), frame::body(1, b"2")].concat();
        let (completion, methods) = told("dequeue", [frame::method(1, got), content].concat());
        assert_eq!(completion, Completion::ok(Value::Int(42)));
        assert_eq!(methods, [(60, 70), (60, 80)]);
        let empty = frame::method(1, Body::new(60, 72).short(""));
        assert_eq!(told("dequeue", empty).0, Completion::ok(Value::Null));
    }
}
