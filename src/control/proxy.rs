//! The proxy: the controller's hand on every link between nodes and from clients to nodes.
//!
//! Each directed pair has a listener of its own, so the proxy knows who dials whom. Bytes pass in order; a rule per
//! *direction of bytes* says whether they flow, wait or reset the connection, and how long they take:
//!
//! ```text
//!    n1 ──dials──▶ [ n1→n2 ] ──dials──▶ n2        requests:  rule n1→n2
//!       ◀───────── [       ] ◀─────────           answers:   rule n2→n1
//! ```
//!
//! One thread waits on all sockets. Rules change between two of its steps, so a set of them changes at one instant,
//! and whoever changed them knows that no byte passes by the old ones any more.

use super::exchange::{Exchange, Order, Rules};
use nemesis::{End, Link, LinkRule};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread::JoinHandle;

/// A running proxy. Dropping it closes every connection and joins its thread.
#[derive(Debug)]
pub struct Proxy {
    nodes: usize,
    addresses: BTreeMap<(usize, usize), SocketAddr>,
    orders: Mutex<Orders>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Orders {
    sender: Sender<Order>,
    wake: UnixStream,
    /// What the thread was last told, for whoever wants to know.
    rules: Rules,
}

impl Proxy {
    /// Binds a listener for every pair of nodes, and for the clients of every node. Jitter is drawn from `seed`.
    pub fn start(nodes: usize, seed: u64) -> io::Result<Proxy> {
        let mut addresses = BTreeMap::new();
        let mut listeners = Vec::new();
        for from in 0..=nodes {
            for to in (0..nodes).filter(|&to| to != from) {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                addresses.insert((from, to), listener.local_addr()?);
                listeners.push((from, to, listener));
            }
        }
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        let (sender, orders) = channel();
        let rules = Rules::healthy(nodes + 1);
        let exchange = Exchange::new(listeners, woken, orders, rules.clone(), seed)?;
        let thread = std::thread::Builder::new().name("proxy".into()).spawn(move || exchange.run())?;
        let orders = Mutex::new(Orders { sender, wake, rules });
        Ok(Proxy { nodes, addresses, orders, thread: Some(thread) })
    }

    /// Where `from` dials to reach node `to`.
    ///
    /// # Panics
    /// If there is no such link.
    pub fn address(&self, from: &End, to: usize) -> SocketAddr {
        self.addresses[&(self.index(from), to)]
    }

    /// Where node `to` listens now; `None` while it has no process. Returns when it is so.
    pub fn set_target(&self, to: usize, address: Option<SocketAddr>) {
        let (done, wait) = channel();
        self.orders().give(Order::Target(to, address, done));
        let _ = wait.recv();
    }

    /// Changes the rules of some links at one instant, and returns after it.
    pub fn set(&self, changes: &[(Link, LinkRule)]) {
        let changes: Vec<(usize, usize, LinkRule)> =
            changes.iter().map(|(l, rule)| (self.index(&l.from), self.index(&l.to), *rule)).collect();
        let (done, wait) = channel();
        {
            let mut orders = self.orders();
            for &(from, to, rule) in &changes {
                orders.rules.set(from, to, rule);
            }
            orders.give(Order::Rules(changes, done));
        }
        let _ = wait.recv();
    }

    /// The rule of a link.
    pub fn rule(&self, link: &Link) -> LinkRule {
        self.orders().rules.get(self.index(&link.from), self.index(&link.to))
    }

    fn index(&self, end: &End) -> usize {
        match end {
            End::Node(i) => *i,
            End::Clients => self.nodes,
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().expect("nobody panics while giving an order")
    }
}

impl Orders {
    fn give(&mut self, order: Order) {
        // A full socket means that the thread has plenty of reasons to wake up already.
        let _ = self.sender.send(order);
        let _ = self.wake.write(&[1]);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.orders().give(Order::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
