//! One session of a client process with one member: one connection, one request at a time, nothing asked twice.
//!
//! ```text
//!   no connection                              nothing was sent, so the call fails
//!   request ─▶ answer                          ok, fail, or info: what the server says (api.rs)
//!   request ─▶ … ─▶ deadline                   info; the answer may still come on this connection
//!   request ─▶ … ─▶ connection lost, nonsense  info; a read had no effect, so it fails. The session is over
//! ```

use super::api::{self, Asked};
use crate::client::Client;
use crate::systems::http::{Connection, NoAnswer};
use history::{Call, Completion};
use std::time::Instant;

/// A session. It never dials again: once it is broken, it stays so.
#[derive(Debug)]
pub struct EtcdClient {
    connection: Connection,
    workload: String,
    serializable: bool,
    alive: bool,
    /// The call that is open, if its deadline has passed without an answer.
    open: Option<Asked>,
}

impl EtcdClient {
    /// A session over a connection.
    pub fn new(connection: Connection, workload: &str, serializable: bool) -> EtcdClient {
        EtcdClient { connection, workload: workload.to_string(), serializable, alive: true, open: None }
    }

    fn answer(&mut self, asked: Asked, deadline: Instant) -> Completion {
        match self.connection.answer(deadline) {
            Ok(answer) => {
                self.open = None;
                if answer.last {
                    self.end();
                }
                match api::read(&asked, answer.status, &answer.body) {
                    Ok(completion) => completion,
                    Err(why) => self.broken(&asked, why),
                }
            }
            Err(NoAnswer::Late) => {
                self.open = Some(asked);
                Completion::Info { error: "no answer by the deadline".into(), late: true }
            }
            Err(NoAnswer::Broken(why)) => self.broken(&asked, why),
        }
    }

    fn end(&mut self) {
        self.alive = false;
        self.connection.close();
    }

    /// The session is over, and nobody will ever hear what became of the call.
    fn broken(&mut self, asked: &Asked, why: String) -> Completion {
        self.open = None;
        self.end();
        if asked.pure { Completion::Fail(why) } else { Completion::lost(why) }
    }
}

impl Client for EtcdClient {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        let asked = match api::ask(&self.workload, call, self.serializable) {
            Ok(asked) => asked,
            Err(why) => return Completion::Fail(why),
        };
        // An error of the write does not say how much of it went out.
        match self.connection.post(asked.path, &asked.body, deadline) {
            Ok(()) => self.answer(asked, deadline),
            Err(e) => self.broken(&asked, format!("sending: {e}")),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        match self.open.take() {
            Some(asked) => self.answer(asked, until),
            None => Completion::lost("no call is open"),
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::Value;
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    /// What the stub server does with the one request that it accepts.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Stub {
        ClosesBeforeReading,
        ClosesAfterReading,
        ClosesAfterHalfAnAnswer,
        SaysNonsense,
        SaysTwoThings,
        Refuses,
        AnswersLate,
    }

    const DONE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"header\":{}}";

    /// Reads requests until nothing more comes; how many there were.
    fn requests(stream: &mut TcpStream, one: bool) -> usize {
        let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
        let mut count = 0;
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        while !(one && count == 1) {
            match stream.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => seen.extend_from_slice(&piece[..n]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => break,
                Err(e) => panic!("the client neither asks nor goes: {e}"),
            }
            let text = String::from_utf8_lossy(&seen);
            count = text.matches("POST ").count() - usize::from(!text.trim_end().ends_with('}'));
        }
        count
    }

    /// Serves one connection; the number of connections and of requests that it ever saw.
    fn serve(stub: Stub, listener: TcpListener, asked: &Receiver<()>) -> (usize, usize) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut count = 0;
        if stub != Stub::ClosesBeforeReading {
            count = requests(&mut stream, true);
            let answer = match stub {
                Stub::ClosesBeforeReading | Stub::ClosesAfterReading => String::new(),
                Stub::ClosesAfterHalfAnAnswer => DONE[..DONE.len() - 5].to_string(),
                Stub::SaysNonsense => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno!?".to_string(),
                Stub::SaysTwoThings => DONE.repeat(2),
                Stub::Refuses => {
                    let body = r#"{"code":14,"message":"etcdserver: no leader"}"#;
                    format!(
                        "HTTP/1.1 503 No\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    )
                }
                Stub::AnswersLate => {
                    asked.recv().unwrap();
                    DONE.to_string()
                }
            };
            stream.write_all(answer.as_bytes()).unwrap();
            if matches!(stub, Stub::SaysNonsense | Stub::SaysTwoThings | Stub::Refuses | Stub::AnswersLate) {
                // The connection stays open: whatever the client does next, it must not ask again.
                count += requests(&mut stream, false);
            }
        }
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        (1 + usize::from(listener.accept().is_ok()), count)
    }

    fn check(stub: Stub, f: &str) -> Completion {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ask, asked) = channel();
        let server = std::thread::spawn(move || serve(stub, listener, &asked));
        let soon = Instant::now() + Duration::from_secs(5);
        let call = Call { f: f.into(), key: Some("x".into()), value: Value::Int(3) };
        let stream = TcpStream::connect(address).unwrap();
        let mut client = EtcdClient::new(Connection::new(stream, "n1"), "register", false);
        let completion = if stub == Stub::AnswersLate {
            let first = client.invoke(&call, Instant::now() + Duration::from_millis(20));
            assert!(matches!(first, Completion::Info { late: true, .. }), "{first:?}");
            assert!(!client.alive(), "no other call may be made on this session");
            assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
            ask.send(()).unwrap();
            client.late(soon)
        } else {
            let completion = client.invoke(&call, soon);
            assert!(!client.alive(), "{stub:?}");
            assert!(matches!(client.invoke(&call, soon), Completion::Fail(_)));
            completion
        };
        drop(client);
        let (connections, requests) = server.join().unwrap();
        assert_eq!(connections, 1, "{stub:?}: a client never dials again");
        assert!(requests <= 1, "{stub:?}: a client never asks again, and {requests} requests came");
        completion
    }

    #[test]
    fn a_lost_write_is_unknown_and_a_lost_read_did_not_happen() {
        for stub in [
            Stub::ClosesBeforeReading,
            Stub::ClosesAfterReading,
            Stub::ClosesAfterHalfAnAnswer,
            Stub::SaysNonsense,
            Stub::SaysTwoThings,
            Stub::Refuses,
        ] {
            let write = check(stub, "write");
            assert!(matches!(write, Completion::Info { late: false, .. }), "{stub:?}: {write:?}");
            let read = check(stub, "read");
            assert!(matches!(read, Completion::Fail(_)), "{stub:?}: {read:?}");
        }
    }

    #[test]
    fn an_answer_after_the_deadline_still_completes_its_call() {
        assert_eq!(check(Stub::AnswersLate, "write"), Completion::ok(Value::Int(3)));
    }
}
