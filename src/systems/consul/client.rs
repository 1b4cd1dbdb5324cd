//! One session of a client process with one server, over HTTP: one connection, one request at a time, nothing asked twice.

use super::api::{self, Asked, Reads};
use crate::client::Client;
use crate::systems::dialogue::{Begin, Dialogue, Next, Wire};
use crate::systems::http::{Answer, Connection, NoAnswer};
use std::time::Instant;

impl Wire for Connection {
    type Request = Asked;
    type Answer = Answer;

    fn send(&mut self, request: &Asked, deadline: Instant) -> Result<(), String> {
        self.request(request.method, &request.path, &[], request.body.as_deref(), deadline)
            .map_err(|e| e.to_string())
    }

    fn answer(&mut self, deadline: Instant) -> Result<Answer, NoAnswer> {
        Connection::answer(self, deadline)
    }

    fn close(&mut self) {
        Connection::close(self);
    }
}

/// A session over a connection.
pub fn session(connection: Connection, workload: &str, reads: Reads) -> Box<dyn Client> {
    let workload = workload.to_string();
    let begin: Begin<Connection> = Box::new(move |call| Ok(next(api::ask(&workload, call, reads)?)));
    Box::new(Dialogue::new(connection, begin))
}

/// A request, and what follows from its answer.
fn next(asked: Asked) -> Next<Connection> {
    let request = asked.clone();
    let then = move |answer: Answer| {
        let last = answer.last;
        Ok(match api::read(&asked, answer.status, &answer.body)? {
            api::Next::Done(completion) if last => Next::Over(completion),
            api::Next::Done(completion) => Next::Done(completion),
            // Nothing was changed so far, and there is no connection to go on with.
            api::Next::Ask(_) if last => {
                Next::Over(history::Completion::Fail("the server ends the session".into()))
            }
            api::Next::Ask(asked) => next(asked),
        })
    };
    if request.pure { Next::look(request, then) } else { Next::change(request, then) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};

    #[test]
    fn a_lost_write_is_unknown_a_lost_read_did_not_happen_and_nothing_is_asked_twice() {
        let answer = |head: &str, body: &str| {
            format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        };
        conforms(&Protocol {
            open: |stream, _| Ok(session(Connection::new(stream, "n1"), "register", Reads::Default)),
            hello: |_| {},
            requests: |seen| {
                let text = String::from_utf8_lossy(seen);
                let gets = text.matches("GET ").count();
                let puts = text.matches("PUT ").count();
                // A put ends with its body, anything else with an empty line.
                let whole = if puts > 0 { text.ends_with("\r\n\r\n3") } else { text.ends_with("\r\n\r\n") };
                (gets + puts).saturating_sub(usize::from(!whole))
            },
            written: answer("200 OK", "true"),
            unclear: answer("500 No\r\nConnection: close", "No cluster leader"),
            nonsense: answer("200 OK", "no!?"),
        });
    }
}
