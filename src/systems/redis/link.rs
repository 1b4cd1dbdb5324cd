//! What a session talks over: one connection to one server, or, with a cluster, one to each primary that the node of the
//! session knows. None is ever made anew; what an owner does not answer is asked of nobody else.

use super::resp::{Connection, Reply};
use super::slots::Owners;
use crate::systems::dialogue::Wire;
use crate::systems::http::NoAnswer;
use std::time::Instant;

/// A request, and the slot of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// As it travels.
    pub bytes: Vec<u8>,
    /// Where its key is.
    pub slot: u16,
}

/// The connections of a session.
#[derive(Debug)]
pub struct Link {
    /// One, or one for each primary that could be reached.
    connections: Vec<Connection>,
    /// First slot, last slot, and whose connection it is. Empty if there is one for everything.
    routes: Vec<(u16, u16, usize)>,
    /// The connection on which something was asked last.
    last: usize,
}

impl Link {
    /// One connection for everything.
    pub fn one(connection: Connection) -> Link {
        Link { connections: vec![connection], routes: Vec::new(), last: 0 }
    }

    /// The connections that `dial` makes to the owners of slots. Where it makes none, the slots are out of reach.
    pub fn many(owners: Owners, mut dial: impl FnMut(&str, u16) -> Option<Connection>) -> Link {
        let mut link = Link { connections: Vec::new(), routes: Vec::new(), last: 0 };
        let mut known: Vec<((String, u16), Option<usize>)> = Vec::new();
        for (first, last, owner) in owners {
            let at = match known.iter().find(|(address, _)| *address == owner) {
                Some((_, at)) => *at,
                None => {
                    let at = dial(&owner.0, owner.1).map(|connection| {
                        link.connections.push(connection);
                        link.connections.len() - 1
                    });
                    known.push((owner, at));
                    at
                }
            };
            link.routes.extend(at.map(|at| (first, last, at)));
        }
        link
    }

    /// Slots with a connection, first and last; `None` if there is one for everything.
    pub fn reach(&self) -> Option<Vec<(u16, u16)>> {
        (!self.routes.is_empty() || self.connections.is_empty())
            .then(|| self.routes.iter().map(|(first, last, _)| (*first, *last)).collect())
    }
}

impl Wire for Link {
    type Request = Request;
    type Answer = Reply;

    fn send(&mut self, request: &Request, deadline: Instant) -> Result<(), String> {
        let slot = request.slot;
        let route = self.routes.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        self.last = route.map_or(0, |(_, _, at)| *at);
        let connection = self.connections.get_mut(self.last);
        connection.ok_or_else(|| "there is no connection".to_string())?.send(&request.bytes, deadline)
    }

    fn answer(&mut self, deadline: Instant) -> Result<Reply, NoAnswer> {
        match self.connections.get_mut(self.last) {
            Some(connection) => connection.answer(deadline),
            None => Err(NoAnswer::Broken("there is no connection".into())),
        }
    }

    fn close(&mut self) {
        self.connections.iter().for_each(Connection::close);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systems::conformance::{Protocol, conforms};
    use crate::systems::dialogue::Dialogue;
    use crate::systems::redis::api::{self, Dialect};

    #[test]
    fn a_client_asks_once_and_in_doubt_says_that_it_does_not_know() {
        conforms(&Protocol {
            open: |stream, _| {
                let dialect = Dialect { lease: 2000, fencing: false };
                let begin = move |call: &_| api::begin("register", call, dialect);
                Ok(Box::new(Dialogue::new(Link::one(Connection::new(stream)), Box::new(begin))))
            },
            hello: |_| {},
            requests: |seen| {
                let text = String::from_utf8_lossy(seen);
                text.matches("*3\r\n$3\r\nSET").count() + text.matches("*2\r\n$3\r\nGET").count()
            },
            written: b"+OK\r\n".to_vec(),
            unclear: b"-TIMEOUT no answer of a proxied server\r\n".to_vec(),
            nonsense: b"no!?".to_vec(),
        });
    }

    #[test]
    fn slots_without_a_connection_are_out_of_reach() {
        let owner = |port| ("10.77.0.1".to_string(), port);
        let link = Link::many(vec![(0, 99, owner(1)), (100, 199, owner(2))], |_, _| None);
        assert_eq!(link.reach(), Some(Vec::new()));
    }
}
