//! How a node talks to its peers: one connection to each, kept up in the background, many questions at once.
//!
//! A question to a peer that cannot be reached is not sent, and nobody says so: to a protocol, a lost connection, a
//! lost question and a lost answer look alike, as they do in any network.

use super::wire::{Act, Greeting, Request, Response, Said};
use crate::control::lines::{Lines, send};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How long to wait before dialling a peer again.
const REDIAL: Duration = Duration::from_millis(20);
/// How long a write may block before the connection is given up: its buffers have filled behind a cut link.
const WRITE: Duration = Duration::from_millis(200);

/// The connections of one node to all others. `A` is a question, `R` a reply.
#[derive(Debug)]
pub struct Peers<A, R> {
    me: usize,
    peers: Vec<Option<Arc<Peer<R>>>>,
    ids: AtomicU64,
    question: std::marker::PhantomData<fn(A)>,
}

#[derive(Debug)]
struct Peer<R> {
    number: usize,
    address: SocketAddr,
    /// `None` while there is no connection.
    socket: Mutex<Option<TcpStream>>,
    /// Who waits for which reply on the present connection.
    waiting: Mutex<HashMap<u64, Sender<(usize, R)>>>,
}

impl<A, R> Peers<A, R>
where
    A: Serialize + Clone,
    R: DeserializeOwned + Send + 'static,
{
    /// Starts to dial; `addresses` has `None` for node `me` itself.
    pub fn connect(me: usize, addresses: &[Option<SocketAddr>]) -> Peers<A, R> {
        let mut peers = Vec::new();
        for (number, address) in addresses.iter().enumerate() {
            let peer = address.map(|address| {
                let (socket, waiting) = (Mutex::default(), Mutex::default());
                let peer = Arc::new(Peer { number, address, socket, waiting });
                let keep = Arc::clone(&peer);
                std::thread::spawn(move || {
                    loop {
                        keep.converse();
                        std::thread::sleep(REDIAL);
                    }
                });
                peer
            });
            peers.push(peer);
        }
        Peers { me, peers, ids: AtomicU64::new(1), question: std::marker::PhantomData }
    }

    /// How many nodes there are, this one included.
    pub fn nodes(&self) -> usize {
        self.peers.len()
    }

    /// Whether all peers are connected now.
    pub fn all_connected(&self) -> bool {
        (0..self.nodes()).all(|to| to == self.me || self.is_connected(to))
    }

    /// Whether node `to` is connected now.
    pub fn is_connected(&self, to: usize) -> bool {
        self.peers[to].as_ref().is_some_and(|peer| peer.socket().is_some())
    }

    /// Asks every other node. Replies come in the order of their arrival, until `deadline`.
    pub fn ask_all(&self, body: &A, deadline: Instant) -> Replies<'_, A, R> {
        let others: Vec<usize> = (0..self.nodes()).filter(|&to| to != self.me).collect();
        self.ask_some(&others, body, deadline)
    }

    /// Asks some nodes.
    pub fn ask_some(&self, to: &[usize], body: &A, deadline: Instant) -> Replies<'_, A, R> {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = channel();
        let act = Act::Ask { from: self.me, body: body.clone() };
        let line = serde_json::to_string(&Request { id, act }).expect("a question is plain data");
        for peer in to.iter().filter_map(|&to| self.peers[to].as_ref()) {
            // Registered first: the reply may come before the write returns.
            peer.waiting().insert(id, sender.clone());
            if !peer.write(&line) {
                peer.waiting().remove(&id);
            }
        }
        Replies { peers: self, id, receiver, deadline }
    }

    /// Asks one node. `None` if no reply comes by `deadline`.
    pub fn ask(&self, to: usize, body: &A, deadline: Instant) -> Option<R> {
        self.ask_some(&[to], body, deadline).next().map(|(_, reply)| reply)
    }

    /// Tells one node without waiting for its reply. Whether it could be sent.
    pub fn tell(&self, to: usize, body: &A) -> bool {
        let id = self.ids.fetch_add(1, Ordering::Relaxed);
        let act = Act::Ask { from: self.me, body: body.clone() };
        let line = serde_json::to_string(&Request { id, act }).expect("a question is plain data");
        self.peers[to].as_ref().is_some_and(|peer| peer.write(&line))
    }
}

/// Replies to one question, in the order of their arrival; ends at the deadline, or when nobody is left to wait for.
#[derive(Debug)]
pub struct Replies<'a, A, R> {
    peers: &'a Peers<A, R>,
    id: u64,
    receiver: Receiver<(usize, R)>,
    deadline: Instant,
}

impl<A, R> Iterator for Replies<'_, A, R> {
    type Item = (usize, R);

    fn next(&mut self) -> Option<(usize, R)> {
        self.receiver.recv_timeout(self.deadline.saturating_duration_since(Instant::now())).ok()
    }
}

impl<A, R> Drop for Replies<'_, A, R> {
    fn drop(&mut self) {
        for peer in self.peers.peers.iter().flatten() {
            peer.waiting().remove(&self.id);
        }
    }
}

impl<R> Peer<R> {
    fn socket(&self) -> MutexGuard<'_, Option<TcpStream>> {
        self.socket.lock().expect("nobody panics while writing to a peer")
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<u64, Sender<(usize, R)>>> {
        self.waiting.lock().expect("nobody panics while looking up a question")
    }

    fn write(&self, line: &str) -> bool {
        let mut socket = self.socket();
        let Some(stream) = socket.as_mut() else { return false };
        let sent = send(stream, line).is_ok();
        if !sent {
            // Half a line may be out: whatever follows would be read as its end.
            let _ = stream.shutdown(std::net::Shutdown::Both);
            *socket = None;
        }
        sent
    }
}

impl<R: DeserializeOwned> Peer<R> {
    /// Dials, and hands out replies until the connection ends.
    fn converse(&self) {
        let Ok(stream) = TcpStream::connect(self.address) else { return };
        let Ok(writer) = stream.try_clone() else { return };
        if stream.set_nodelay(true).is_err() || writer.set_write_timeout(Some(WRITE)).is_err() {
            return;
        }
        let mut lines = Lines::new(stream);
        let Ok(first) = lines.next(None) else { return };
        if serde_json::from_str::<Greeting>(&first).is_err() {
            return;
        }
        *self.socket() = Some(writer);
        while let Ok(line) = lines.next(None) {
            let Ok(response) = serde_json::from_str::<Response<R>>(&line) else { break };
            if let Said::Reply(reply) = response.said {
                if let Some(sender) = self.waiting().remove(&response.id) {
                    let _ = sender.send((self.number, reply));
                }
            }
        }
        *self.socket() = None;
        // Their replies are lost with the connection.
        self.waiting().clear();
    }
}
