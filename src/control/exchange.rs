//! The thread behind the proxy: it accepts, dials, and passes bytes on, by the rules of their links.

use super::queue::{Broken, Queue};
use nemesis::{LinkRule, Pass};
use rand_core::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rustix::event::epoll;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// Bytes held for one direction of a connection before its sender is made to wait.
const HELD_MAX: usize = 16 << 20;

/// The token of the socket that wakes the thread. Listeners come next, then connections.
const WAKE: u64 = 0;

/// What the thread is told.
pub enum Order {
    /// Change the rules of these links (from, to) at one instant.
    Rules(Vec<(usize, usize, LinkRule)>, Sender<()>),
    /// This node listens here now, or nowhere.
    Target(usize, Option<SocketAddr>, Sender<()>),
    /// Close everything.
    End,
}

/// The state of all directed links. Ends are nodes, and then the clients.
#[derive(Clone, Debug)]
pub struct Rules {
    ends: usize,
    table: Vec<LinkRule>,
}

impl Rules {
    /// All links between so many ends flow.
    pub fn healthy(ends: usize) -> Rules {
        Rules { ends, table: vec![LinkRule::default(); ends * ends] }
    }

    /// The rule of a link.
    pub fn get(&self, from: usize, to: usize) -> LinkRule {
        self.table[from * self.ends + to]
    }

    /// Changes the rule of a link.
    pub fn set(&mut self, from: usize, to: usize, rule: LinkRule) {
        self.table[from * self.ends + to] = rule;
    }
}

/// What the thread owns.
pub struct Exchange {
    epoll: OwnedFd,
    woken: UnixStream,
    orders: Receiver<Order>,
    listeners: Vec<(usize, usize, TcpListener)>,
    targets: Vec<Option<SocketAddr>>,
    rules: Rules,
    /// By token of its dialling side; the dialled side is one more.
    connections: BTreeMap<u64, Connection>,
    first_connection: u64,
    next: u64,
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    rng: Xoshiro256PlusPlus,
}

struct Connection {
    from: usize,
    to: usize,
    dialler: Side,
    /// `None` while the link is stalled: the SYN is on its way.
    dialled: Option<Side>,
    /// Whether the dialled side has not answered the connection request yet.
    dialling: bool,
    /// Dialler to dialled, and back.
    forth: Queue,
    back: Queue,
}

struct Side {
    socket: TcpStream,
    /// What epoll is told to watch; `None` if it is not watching this socket at all.
    watched: Option<epoll::EventFlags>,
}

impl Exchange {
    /// Ready to run: with the listeners of each pair of ends, a socket that wakes it, and what it is to do then.
    pub fn new(
        listeners: Vec<(usize, usize, TcpListener)>,
        woken: UnixStream,
        orders: Receiver<Order>,
        rules: Rules,
        seed: u64,
    ) -> io::Result<Exchange> {
        woken.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &woken, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN)?;
        for (i, (_, _, listener)) in listeners.iter().enumerate() {
            listener.set_nonblocking(true)?;
            let token = epoll::EventData::new_u64(i as u64 + 1);
            epoll::add(&epoll, listener, token, epoll::EventFlags::IN)?;
        }
        // Even, so that the dialled side of a connection has the odd token after it.
        let first_connection = (listeners.len() as u64 + 2) & !1;
        Ok(Exchange {
            epoll,
            woken,
            orders,
            listeners,
            targets: vec![None; rules.ends],
            rules,
            connections: BTreeMap::new(),
            first_connection,
            next: first_connection,
            timers: BinaryHeap::new(),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
        })
    }

    /// Runs until it is told to end.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(256);
        loop {
            let timeout = self.timers.peek().map(|Reverse((due, _))| {
                // Rounded up to the millisecond that epoll counts in, or it would spin until the time has come.
                let left = due.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
                Duration::from_millis(left.as_millis() as u64).try_into().expect("a timeout in range")
            });
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return,
            }
            // Orders first: an event that was seen together with an order passes by the new rules.
            if events.iter().any(|e| e.data.u64() == WAKE) && !self.obey() {
                return;
            }
            for event in &events {
                let token = event.data.u64();
                if token >= self.first_connection {
                    let flags = event.flags;
                    self.step(token, flags);
                } else if token != WAKE {
                    self.accept(token as usize - 1);
                }
            }
            self.tick();
        }
    }

    /// Takes all orders. Whether to go on.
    fn obey(&mut self) -> bool {
        let mut sink = [0; 64];
        while matches!((&self.woken).read(&mut sink), Ok(n) if n > 0) {}
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Rules(changes, done) => {
                    for (from, to, rule) in changes {
                        self.rules.set(from, to, rule);
                    }
                    let tokens: Vec<u64> = self.connections.keys().copied().collect();
                    for token in tokens {
                        self.apply(token);
                    }
                    let _ = done.send(());
                }
                Order::Target(to, address, done) => {
                    self.targets[to] = address;
                    let _ = done.send(());
                }
                Order::End => return false,
            }
        }
        true
    }

    fn accept(&mut self, listener: usize) {
        let (from, to, listener) = &self.listeners[listener];
        let (from, to) = (*from, *to);
        let mut accepted = Vec::new();
        // Any error ends the round: "no more" above all, and what is out of our hands (no descriptors) is tried again.
        while let Ok((socket, _)) = listener.accept() {
            accepted.push(socket);
        }
        for socket in accepted {
            let token = self.next;
            self.next += 2;
            if socket.set_nonblocking(true).is_err() || socket.set_nodelay(true).is_err() {
                continue;
            }
            let dialler = Side { socket, watched: None };
            let queues = (Queue::default(), Queue::default());
            let connection = Connection {
                from,
                to,
                dialler,
                dialled: None,
                dialling: false,
                forth: queues.0,
                back: queues.1,
            };
            self.connections.insert(token, connection);
            self.apply(token);
        }
    }

    /// Brings a connection in line with the rules: resets, dials or delivers.
    fn apply(&mut self, token: u64) {
        self.with(token, |connection, exchange| {
            let forth = exchange.rules.get(connection.from, connection.to);
            let back = exchange.rules.get(connection.to, connection.from);
            if forth.pass == Pass::Close || back.pass == Pass::Close {
                return Err(Broken);
            }
            if connection.dialled.is_none() && forth.pass == Pass::Flow && back.pass == Pass::Flow {
                // What a dead node's kernel would say.
                let target = exchange.targets[connection.to].ok_or(Broken)?;
                let (socket, dialling) = dial(target).map_err(|_| Broken)?;
                connection.dialled = Some(Side { socket, watched: None });
                connection.dialling = dialling;
            }
            exchange.deliver(token, connection)
        });
    }

    /// Something happened at a socket.
    fn step(&mut self, socket: u64, flags: epoll::EventFlags) {
        let token = socket & !1;
        let at_dialled = socket != token;
        self.with(token, |connection, exchange| {
            let broken = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
            if at_dialled && connection.dialling {
                let side = connection.dialled.as_ref().expect("a side that is being dialled");
                if !matches!(sockopt::socket_error(&side.socket), Ok(Ok(()))) {
                    return Err(Broken);
                }
                connection.dialling = false;
            }
            if broken || flags.contains(epoll::EventFlags::IN) {
                exchange.receive(connection, at_dialled);
            }
            let queue = if at_dialled { &mut connection.forth } else { &mut connection.back };
            queue.full = false;
            exchange.deliver(token, connection)
        });
    }

    /// Chunks whose time has come.
    fn tick(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((due, token))) = self.timers.peek() {
            if due > now {
                break;
            }
            self.timers.pop();
            self.with(token, |connection, exchange| exchange.deliver(token, connection));
        }
    }

    /// Takes one read's worth from a side into its queue.
    fn receive(&mut self, connection: &mut Connection, from_dialled: bool) {
        let (from, to) = (connection.from, connection.to);
        let (side, queue, rule) = if from_dialled {
            let Some(side) = &connection.dialled else { return };
            (side, &mut connection.back, self.rules.get(to, from))
        } else {
            (&connection.dialler, &mut connection.forth, self.rules.get(from, to))
        };
        if queue.ended {
            return;
        }
        let mut bytes = vec![0; 64 << 10];
        let n = match (&side.socket).read(&mut bytes) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => return,
            // A reset is the end of the stream for the other side, and like any byte it takes its time.
            Err(_) => 0,
        };
        bytes.truncate(n);
        bytes.shrink_to_fit();
        let mut wait = rule.delay;
        if !rule.jitter.is_zero() {
            wait += rule.jitter.mul_f64((self.rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64);
        }
        queue.push(bytes, Instant::now() + wait);
    }

    /// Delivers what may pass, in both directions, and watches for what is to come.
    fn deliver(&mut self, token: u64, connection: &mut Connection) -> Result<(), Broken> {
        let (from, to) = (connection.from, connection.to);
        if let Some(dialled) = connection.dialled.as_ref().filter(|_| !connection.dialling) {
            let next = connection.forth.flush(&dialled.socket, self.rules.get(from, to).pass)?;
            self.timers.extend(next.map(|due| Reverse((due, token))));
            let next = connection.back.flush(&connection.dialler.socket, self.rules.get(to, from).pass)?;
            self.timers.extend(next.map(|due| Reverse((due, token))));
            if connection.forth.finished && connection.back.finished {
                return Err(Broken);
            }
        } else if connection.forth.ended {
            // Whoever dialled gave up before it was connected.
            return Err(Broken);
        }
        let at_dialler = wanted(&connection.forth, &connection.back);
        self.watch(token, &mut connection.dialler, at_dialler)?;
        if let Some(dialled) = &mut connection.dialled {
            let at_dialled = match connection.dialling {
                true => epoll::EventFlags::OUT,
                false => wanted(&connection.back, &connection.forth),
            };
            self.watch(token + 1, dialled, at_dialled)?;
        }
        Ok(())
    }

    fn watch(&self, token: u64, side: &mut Side, wanted: epoll::EventFlags) -> Result<(), Broken> {
        // A socket without interest is taken out altogether: epoll would go on reporting its hang-up for ever.
        let wanted = Some(wanted).filter(|w| !w.is_empty());
        if wanted != side.watched {
            let data = epoll::EventData::new_u64(token);
            match (side.watched, wanted) {
                (None, Some(flags)) => epoll::add(&self.epoll, &side.socket, data, flags),
                (Some(_), Some(flags)) => epoll::modify(&self.epoll, &side.socket, data, flags),
                (Some(_), None) => epoll::delete(&self.epoll, &side.socket),
                (None, None) => Ok(()),
            }
            .map_err(|_| Broken)?;
            side.watched = wanted;
        }
        Ok(())
    }

    /// Runs `act` on a connection that is taken out of the table meanwhile, and resets it if it is broken.
    fn with(&mut self, token: u64, act: impl FnOnce(&mut Connection, &mut Exchange) -> Result<(), Broken>) {
        let Some(mut connection) = self.connections.remove(&token) else { return };
        match act(&mut connection, self) {
            Ok(()) => drop(self.connections.insert(token, connection)),
            Err(Broken) => connection.reset(),
        }
    }
}

impl Connection {
    /// Ends both sides so that they see a reset, not an orderly goodbye, unless all has been said.
    fn reset(self) {
        let done = self.forth.finished && self.back.finished;
        for side in [Some(self.dialler), self.dialled].into_iter().flatten() {
            if !done {
                let _ = sockopt::set_socket_linger(&side.socket, Some(Duration::ZERO));
            }
        }
    }
}

/// Starts to connect. Whether the other side has yet to answer.
fn dial(target: SocketAddr) -> io::Result<(TcpStream, bool)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    let dialling = match rustix::net::connect(&socket, &target) {
        Ok(()) => false,
        Err(rustix::io::Errno::INPROGRESS) => true,
        Err(e) => return Err(e.into()),
    };
    let socket = TcpStream::from(socket);
    socket.set_nodelay(true)?;
    Ok((socket, dialling))
}

/// What to watch at the socket that `filled` is filled from, and `emptied` emptied into.
fn wanted(filled: &Queue, emptied: &Queue) -> epoll::EventFlags {
    let mut flags = epoll::EventFlags::empty();
    if !filled.ended && filled.held < HELD_MAX {
        flags |= epoll::EventFlags::IN;
    }
    if emptied.full {
        flags |= epoll::EventFlags::OUT;
    }
    flags
}
