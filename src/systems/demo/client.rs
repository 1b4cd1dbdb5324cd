//! One session of a client process with one node.
//!
//! ```text
//!   dial ─▶ proxy ─▶ node greets ─▶ session is open       no greeting: nothing was sent, so the call fails
//!   request ─▶ … ─▶ answer                                answered: ok, fail, or the node's own info
//!   request ─▶ … ─▶ deadline                              info; the answer may still come, by its number
//!   request ─▶ … ─▶ connection lost                       info; a read had no effect, so it fails
//! ```

use super::wire::{Act, ClientCall, Done, Greeting, Request, Response, Said};
use crate::client::Client;
use crate::control::lines::{Lines, NoLine};
use crate::systems::json;
use history::{Call, Completion};
use serde_json::Value as Json;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// A session. It never dials again: once it is broken, it stays so.
#[derive(Debug)]
pub struct DemoClient {
    lines: Lines<TcpStream>,
    alive: bool,
    pure: &'static [&'static str],
    last: u64,
    /// The call that is open, if its deadline has passed without an answer.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    id: u64,
    /// Whether it changes nothing, so that without an answer it did not happen.
    pure: bool,
}

impl DemoClient {
    /// Dials and waits for the greeting. `pure` are the functions that have no effect. `Err`: nothing was asked.
    pub fn open(
        address: SocketAddr,
        pure: &'static [&'static str],
        deadline: Instant,
    ) -> Result<DemoClient, String> {
        let left = deadline.saturating_duration_since(Instant::now());
        let stream = TcpStream::connect_timeout(&address, left).map_err(|e| format!("dialling: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("dialling: {e}"))?;
        let mut lines = Lines::new(stream);
        let greeting = lines.next(Some(deadline)).map_err(|e| match e {
            NoLine::Late => "no greeting by the deadline".to_string(),
            NoLine::Closed(why) => format!("no greeting: {why}"),
        })?;
        serde_json::from_str::<Greeting>(&greeting)
            .map_err(|e| format!("no greeting but {greeting:?}: {e}"))?;
        Ok(DemoClient { lines, alive: true, pure, last: 0, open: None })
    }

    fn answer(&mut self, open: Open, deadline: Instant) -> Completion {
        let line = match self.lines.next(Some(deadline)) {
            Ok(line) => line,
            Err(NoLine::Late) => {
                self.open = Some(open);
                return Completion::Info { error: "no answer by the deadline".into(), late: true };
            }
            Err(NoLine::Closed(why)) => return self.broken(open, why),
        };
        let response: Response<Json> = match serde_json::from_str(&line) {
            Ok(response) => response,
            Err(e) => return self.broken(open, format!("not an answer: {line:?}: {e}")),
        };
        if response.id != open.id {
            return self.broken(open, format!("an answer to request {}, which is not open", response.id));
        }
        self.open = None;
        match response.said {
            Said::Ok(done) => completed(&done).unwrap_or_else(|why| self.broken(open, why)),
            Said::Fail(why) => Completion::Fail(why),
            // The node has given up on it, and will not speak of it again.
            Said::Info(why) if open.pure => Completion::Fail(why),
            Said::Info(why) => Completion::lost(why),
            Said::Reply(_) | Said::Pong(()) => self.broken(open, "an answer to a peer".into()),
        }
    }

    /// The session is over, and nobody will ever hear what became of the call.
    fn broken(&mut self, open: Open, why: String) -> Completion {
        self.alive = false;
        self.open = None;
        let _ = self.lines.socket().shutdown(std::net::Shutdown::Both);
        if open.pure { Completion::Fail(why) } else { Completion::lost(why) }
    }
}

impl Client for DemoClient {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        let key = call.key.as_ref().map_or(Ok(Json::Null), json::to_json);
        let (key, value) = match (key, json::to_json(&call.value)) {
            (Ok(key), Ok(value)) => (key, value),
            (Err(why), _) | (_, Err(why)) => return Completion::Fail(why),
        };
        self.last += 1;
        let open = Open { id: self.last, pure: self.pure.contains(&call.f.as_str()) };
        let act = Act::<()>::Call(ClientCall { f: call.f.clone(), key, value });
        let line = serde_json::to_string(&Request { id: open.id, act }).expect("a call is plain data");
        // An error of the write does not say how much of it went out.
        match self.lines.send(&line) {
            Ok(()) => self.answer(open, deadline),
            Err(e) => self.broken(open, format!("sending: {e}")),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        match self.open {
            Some(open) => self.answer(open, until),
            None => Completion::lost("no call is open"),
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

fn completed(done: &Done) -> Result<Completion, String> {
    let observed = done.observed.as_ref().map(json::from_json).transpose()?;
    Ok(Completion::Ok { value: json::from_json(&done.value)?, applied: done.applied, observed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Value;
    use std::io::Write;
    use std::net::TcpListener;
    use std::time::Duration;

    /// What the stub server does with the one request that it accepts.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Stub {
        ClosesBeforeGreeting,
        ClosesBeforeReading,
        ClosesAfterReading,
        ClosesAfterHalfAnAnswer,
        AnswersSomeoneElse,
        SaysNonsense,
        AnswersLate,
    }

    /// Serves one connection; the number of connections and of requests that it ever saw.
    fn serve(stub: Stub, listener: TcpListener, asked: std::sync::mpsc::Receiver<()>) -> (usize, usize) {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = Lines::new(stream);
        let mut requests = 0;
        if stub != Stub::ClosesBeforeGreeting {
            lines.send(r#"{"hello":"n1"}"#).unwrap();
        }
        if stub != Stub::ClosesBeforeGreeting && stub != Stub::ClosesBeforeReading {
            requests += usize::from(lines.next(None).is_ok());
            let answer = match stub {
                Stub::ClosesBeforeGreeting | Stub::ClosesBeforeReading | Stub::ClosesAfterReading => "",
                Stub::ClosesAfterHalfAnAnswer => r#"{"id":1,"ok":{"val"#,
                Stub::AnswersSomeoneElse => "{\"id\":7,\"ok\":{\"value\":3}}\n",
                Stub::SaysNonsense => "{\"id\":1,\"perhaps\":3}\n",
                Stub::AnswersLate => {
                    asked.recv().unwrap();
                    "{\"id\":1,\"ok\":{\"value\":3}}\n"
                }
            };
            let mut socket = lines.socket();
            socket.write_all(answer.as_bytes()).unwrap();
            if stub == Stub::AnswersSomeoneElse || stub == Stub::SaysNonsense || stub == Stub::AnswersLate {
                // The connection stays open: whatever the client does next, it must not ask again.
                requests += usize::from(lines.next(Some(Instant::now() + Duration::from_secs(5))).is_ok());
            }
        }
        drop(lines);
        listener.set_nonblocking(true).unwrap();
        (1 + usize::from(listener.accept().is_ok()), requests)
    }

    fn check(stub: Stub, f: &str) -> Completion {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ask, asked) = std::sync::mpsc::channel();
        let server = std::thread::spawn(move || serve(stub, listener, asked));
        let soon = Instant::now() + Duration::from_secs(5);
        let call = Call { f: f.into(), key: None, value: Value::Int(3) };
        let completion = match DemoClient::open(address, &["read"], soon) {
            Err(why) => Completion::Fail(why),
            Ok(mut client) if stub == Stub::AnswersLate => {
                let first = client.invoke(&call, Instant::now() + Duration::from_millis(20));
                assert!(matches!(first, Completion::Info { late: true, .. }), "{first:?}");
                assert!(!client.alive(), "no other call may be made on this session");
                assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
                ask.send(()).unwrap();
                client.late(soon)
            }
            Ok(mut client) => {
                let completion = client.invoke(&call, soon);
                assert!(!client.alive(), "{stub:?}");
                assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
                completion
            }
        };
        let (connections, requests) = server.join().unwrap();
        assert_eq!(connections, 1, "{stub:?}: a client never dials again");
        assert!(requests <= 1, "{stub:?}: a client never asks again");
        completion
    }

    #[test]
    fn a_lost_write_is_unknown_and_a_lost_read_did_not_happen() {
        use Stub::{
            AnswersSomeoneElse, ClosesAfterHalfAnAnswer, ClosesAfterReading, ClosesBeforeReading,
            SaysNonsense,
        };
        for stub in [
            ClosesBeforeReading,
            ClosesAfterReading,
            ClosesAfterHalfAnAnswer,
            AnswersSomeoneElse,
            SaysNonsense,
        ] {
            let write = check(stub, "write");
            assert!(matches!(write, Completion::Info { late: false, .. }), "{stub:?}: {write:?}");
            let read = check(stub, "read");
            assert!(matches!(read, Completion::Fail(_)), "{stub:?}: {read:?}");
        }
    }

    #[test]
    fn nothing_is_sent_to_a_node_that_does_not_greet() {
        assert!(matches!(check(Stub::ClosesBeforeGreeting, "write"), Completion::Fail(_)));
    }

    #[test]
    fn an_answer_after_the_deadline_still_completes_its_call() {
        assert_eq!(check(Stub::AnswersLate, "write"), Completion::ok(Value::Int(3)));
    }
}
