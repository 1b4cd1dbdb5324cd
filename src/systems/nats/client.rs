//! One session of a client process with one server: one connection, one request at a time, nothing asked twice.
//!
//! ```text
//!   no connection                                  nothing was sent, so the call fails
//!   request ─▶ answer [─▶ request ─▶ answer …]     ok, fail, or info: what the server says (api.rs)
//!   request ─▶ … ─▶ deadline                       info; the answer may still come on this connection
//!   request ─▶ … ─▶ connection lost, nonsense      info; what changes nothing fails. The session is over
//! ```
//! A call may take several requests (a message is taken and then acknowledged); each is sent once.

use super::api::{self, Asked, Manner, Next, Unheard};
use super::wire::Wire;
use crate::client::Client;
use crate::systems::http::NoAnswer;
use history::{Call, Completion};
use std::collections::BTreeSet;
use std::time::Instant;

/// A session. It never dials again: once it is broken, it stays so.
#[derive(Debug)]
pub struct NatsClient {
    wire: Wire,
    manner: Manner,
    alive: bool,
    /// Queues whose consumers were seen to exist.
    consumers: BTreeSet<String>,
    /// The request that is open, if its deadline has passed without an answer.
    open: Option<(u64, Asked)>,
}

impl NatsClient {
    /// A session over a connection.
    pub fn new(wire: Wire, manner: Manner) -> NatsClient {
        NatsClient { wire, manner, alive: true, consumers: BTreeSet::new(), open: None }
    }

    /// Sends a request, and whatever follows from its answer.
    fn ask(&mut self, asked: Asked, deadline: Instant) -> Completion {
        // An error of the write does not say how much of it went out.
        match self.wire.request(&asked.subject, &asked.headers, &asked.payload, deadline) {
            Ok(sid) => self.answer(sid, asked, deadline),
            Err(e) => self.broken(&asked, format!("sending: {e}")),
        }
    }

    fn answer(&mut self, sid: u64, asked: Asked, deadline: Instant) -> Completion {
        match self.wire.answer(sid, deadline) {
            Ok(message) => {
                self.open = None;
                match api::read(&asked, &message) {
                    Ok(Next::Done(completion)) => completion,
                    Ok(Next::Ask(next)) => {
                        if let Some(key) = api::seen_consumer(&next) {
                            self.consumers.insert(key.to_string());
                        }
                        self.ask(next, deadline)
                    }
                    Err(why) => self.broken(&asked, why),
                }
            }
            Err(NoAnswer::Late) => match asked.unheard {
                // It was delivered; that it was acknowledged would be news for the server alone.
                Unheard::Known(completion) => {
                    self.end();
                    completion
                }
                Unheard::Failed | Unheard::Unknown => {
                    self.open = Some((sid, asked));
                    Completion::Info { error: "no answer by the deadline".into(), late: true }
                }
            },
            Err(NoAnswer::Broken(why)) => self.broken(&asked, why),
        }
    }

    fn end(&mut self) {
        self.alive = false;
        self.wire.close();
    }

    /// The session is over, and nobody will ever hear what became of the request.
    fn broken(&mut self, asked: &Asked, why: String) -> Completion {
        self.open = None;
        self.end();
        match &asked.unheard {
            Unheard::Failed => Completion::Fail(why),
            Unheard::Unknown => Completion::lost(why),
            Unheard::Known(completion) => completion.clone(),
        }
    }
}

impl Client for NatsClient {
    fn invoke(&mut self, call: &Call, deadline: Instant) -> Completion {
        if !self.alive || self.open.is_some() {
            return Completion::Fail("the session is over".into());
        }
        match api::ask(&self.manner, call, |key| self.consumers.contains(key)) {
            Ok(asked) => self.ask(asked, deadline),
            Err(why) => Completion::Fail(why),
        }
    }

    fn late(&mut self, until: Instant) -> Completion {
        let Some((sid, asked)) = self.open.take() else { return Completion::lost("no call is open") };
        let completion = self.answer(sid, asked, until);
        match self.open.take() {
            // Nothing follows any more, and what was asked last changes nothing.
            Some((_, Asked { unheard: Unheard::Failed, .. })) => {
                self.end();
                Completion::Fail("no answer by the deadline".into())
            }
            Some(_) => {
                self.end();
                completion
            }
            None => completion,
        }
    }

    fn alive(&self) -> bool {
        self.alive && self.open.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Says what it is, and waits until it is greeted.
    fn hello(stream: &mut TcpStream) {
        stream.write_all(b"INFO {\"version\":\"2.9.10\",\"headers\":true}\r\n").unwrap();
        let (mut seen, mut piece) = (Vec::new(), [0; 512]);
        while !seen.ends_with(b"PING\r\n") {
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "it goes without a greeting");
            seen.extend_from_slice(&piece[..n]);
        }
        stream.write_all(b"PONG\r\n").unwrap();
    }

    fn answer(body: &str) -> Vec<u8> {
        format!("MSG _INBOX.perjury.p.1 1 {}\r\n{body}\r\n", body.len()).into_bytes()
    }

    #[test]
    fn a_lost_write_is_unknown_a_lost_read_did_not_happen_and_nothing_is_asked_twice() {
        conforms(&Protocol {
            open: |stream, deadline| {
                let wire = Wire::open(stream, "p", deadline)?;
                let manner = Manner { workload: "register".into(), direct: false };
                Ok(Box::new(NatsClient::new(wire, manner)))
            },
            hello,
            requests: |seen| {
                // What is published, with its body; what subscribes is no request.
                let text = String::from_utf8_lossy(seen);
                let begun = text.matches("PUB $").count();
                let whole = text.rsplit("PUB $").next().is_some_and(|last| last.matches("\r\n").count() >= 2);
                begun - usize::from(begun > 0 && !whole)
            },
            written: answer(r#"{"stream":"KV_perjury", "seq":1}"#),
            unclear: answer(r#"{"error":{"code":500,"err_code":10077,"description":"no space left"}}"#),
            nonsense: b"HTTP/1.1 400 Bad Request\r\n".to_vec(),
        });
    }
}
