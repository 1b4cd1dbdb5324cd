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
    use crate::systems::conformance::{Protocol, conforms};

    #[test]
    fn a_client_asks_once_and_in_doubt_says_that_it_does_not_know() {
        let answer = |head: &str, body: &str| {
            format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        conforms(&Protocol {
            open: |stream, _| Ok(Box::new(EtcdClient::new(Connection::new(stream, "n1"), "register", false))),
            hello: |_| {},
            requests: |seen| {
                let text = String::from_utf8_lossy(seen);
                let begun = text.matches("POST ").count();
                begun.saturating_sub(usize::from(!text.trim_end().ends_with('}')))
            },
            written: answer("200 OK", r#"{"header":{}}"#),
            unclear: answer(
                "503 No\r\nConnection: close",
                r#"{"code":14,"message":"etcdserver: no leader"}"#,
            ),
            nonsense: answer("200 OK", "no!?"),
        });
    }
}
