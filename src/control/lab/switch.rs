//! The network of a lab: a switch in user space, with a port for each node and one for the controller.
//!
//! ```text
//!   n1 ══tun══╗                       ╔══tun══ n2         every packet between two of them passes here
//!             ╠══ thread of the switch ╣
//!   n3 ══tun══╝   links × rules, queue ╚══tun══ controller (as clients: address 254; as itself: 253, never cut)
//! ```
//!
//! The kernel knows of nothing but the interfaces at the ends, which live in name spaces of the nodes and are gone when
//! the switch closes them. All links change at one instant, because one thread decides about every packet.

use super::capture::Capture;
use super::link::{Fate, LinkState};
use nemesis::{End, Link, LinkRule, Pass};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// The addresses of a lab: 10.77.N.0/24, with its own N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub u8);

impl Network {
    fn last(self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, self.0, last)
    }

    /// The address of node number `node`, from 0.
    pub fn node(self, node: usize) -> Ipv4Addr {
        self.last(node as u8 + 1)
    }

    /// The controller's address when it speaks for clients.
    pub fn clients(self) -> Ipv4Addr {
        self.last(254)
    }

    /// The controller's address when it speaks for itself: its links have no rules.
    pub fn control(self) -> Ipv4Addr {
        self.last(253)
    }
}

/// The largest packet.
pub const PACKET_MAX: u32 = 1500;
/// How many packets may be on their way; what comes on top is dropped, and counted.
const QUEUE_MAX: usize = 100_000;
/// How many packets are taken from a port before it is the next one's turn.
const BURST: usize = 64;

/// What has passed a directed link, or a whole switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Packets that arrived.
    pub arrived: u64,
    /// Packets that a rule, or a full queue, has dropped.
    pub dropped: u64,
}

/// A switch that is running. Dropping it unplugs everybody.
#[derive(Debug)]
pub struct Switch {
    shared: Arc<Shared>,
    nodes: usize,
    thread: Option<JoinHandle<()>>,
    wake: UnixStream,
}

#[derive(Debug)]
struct Shared {
    /// The rules of all links, by sender and receiver.
    rules: Mutex<Vec<LinkRule>>,
    /// What a link does to which nothing is done: let everything pass, so much later.
    healthy: LinkRule,
    /// Counts changes of the rules.
    generation: AtomicU64,
    stop: AtomicBool,
    arrived: AtomicU64,
    dropped: AtomicU64,
    /// Packets of each link that chance or its rate has harmed.
    harmed: Vec<AtomicU64>,
    /// Nodes whose cable is pulled.
    unplugged: Vec<AtomicBool>,
    /// What became of the capture.
    captured: Mutex<Option<Result<(), String>>>,
}

impl Shared {
    fn rules(&self) -> MutexGuard<'_, Vec<LinkRule>> {
        // Rules are plain values: they are right whatever happened to a thread that held them.
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the cable of an end is pulled. Only nodes have one.
    fn pulled(&self, end: usize) -> bool {
        self.unplugged.get(end).is_some_and(|pulled| pulled.load(Ordering::Acquire))
    }
}

/// Which links are written to a file.
#[derive(Debug)]
pub struct Tap {
    /// The file.
    pub capture: Capture,
    /// The links; nothing means all.
    pub links: Option<Vec<Link>>,
}

impl Switch {
    /// Starts forwarding among `ports`: one for each node, and the controller's as the last one. Descriptors must not
    /// block. Between two nodes, and between a node and the clients, everything takes `delay` in each direction.
    pub fn start(
        network: Network,
        ports: Vec<OwnedFd>,
        seed: u64,
        delay: Duration,
        tap: Option<Tap>,
    ) -> Result<Switch, String> {
        let nodes = ports.len() - 1;
        let ends = nodes + 2;
        let healthy = LinkRule { delay, ..LinkRule::default() };
        // The controller, which is the last of them, is everywhere.
        let far = |at: usize| at / ends <= nodes && at % ends <= nodes;
        let rule = |at: usize| if far(at) { healthy } else { LinkRule::default() };
        let shared = Arc::new(Shared {
            rules: Mutex::new((0..ends * ends).map(rule).collect()),
            healthy,
            generation: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            arrived: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            harmed: (0..ends * ends).map(|_| AtomicU64::new(0)).collect(),
            unplugged: (0..nodes).map(|_| AtomicBool::new(false)).collect(),
            captured: Mutex::new(None),
        });
        let failed = |error: std::io::Error| format!("starting the switch: {error}");
        let (wake, woken) = UnixStream::pair().map_err(failed)?;
        woken.set_nonblocking(true).map_err(failed)?;
        let tapped = |at: usize| {
            let Some(links) = tap.as_ref().map(|tap| &tap.links) else { return false };
            links.as_ref().is_none_or(|links| links.iter().any(|link| index(link, nodes) == Some(at)))
        };
        let forwarder = Forwarder {
            network,
            nodes,
            rules: shared.rules().clone(),
            generation: 0,
            links: (0..ends * ends).map(|at| LinkState::new(seed.wrapping_add(at as u64 + 1))).collect(),
            tapped: (0..ends * ends).map(tapped).collect(),
            capture: tap.map(|tap| tap.capture),
            queue: BinaryHeap::new(),
            sequence: 0,
            ports,
            woken,
            shared: shared.clone(),
        };
        let thread = std::thread::Builder::new().name("switch".into()).spawn(move || forwarder.run());
        Ok(Switch { shared, nodes, thread: Some(thread.map_err(failed)?), wake })
    }

    /// Sets the rules of some links at one instant; the others stay as they are.
    pub fn set(&self, changes: &[(Link, LinkRule)]) -> Result<(), String> {
        let mut at = Vec::with_capacity(changes.len());
        for (link, rule) in changes {
            if rule.pass == Pass::Close {
                return Err(format!(
                    "{link:?}: the switch of a lab cuts in silence, and resets no connections"
                ));
            }
            let index = index(link, self.nodes).ok_or_else(|| {
                format!("there is no link {link:?} among {} nodes and their clients", self.nodes)
            })?;
            at.push((index, *rule));
        }
        let mut rules = self.shared.rules();
        for (index, rule) in at {
            rules[index] = rule.and(self.shared.healthy);
        }
        self.shared.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// The rule of a link, with the delay that all of them have.
    pub fn rule(&self, link: &Link) -> LinkRule {
        index(link, self.nodes).map_or_else(LinkRule::default, |at| self.shared.rules()[at])
    }

    /// How many packets of a link its rules have harmed so far; those that a cut has dropped do not count.
    pub fn harmed(&self, link: &Link) -> u64 {
        index(link, self.nodes).map_or(0, |at| self.shared.harmed[at].load(Ordering::Relaxed))
    }

    /// Pulls the cable of a node, or plugs it in again: whatever it sends, or is sent to it, is lost.
    pub fn plug(&self, node: usize, plugged: bool) {
        if let Some(unplugged) = self.shared.unplugged.get(node) {
            unplugged.store(!plugged, Ordering::Release);
        }
    }

    /// What has passed so far.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            arrived: self.shared.arrived.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }

    /// Unplugs everybody, and says whether the capture, if there was one, could be written.
    pub fn stop(&mut self) -> Result<(), String> {
        self.shared.stop.store(true, Ordering::Release);
        // A thread that is not waiting sees the flag; if the socket is full it has been woken often enough.
        let _ = (&self.wake).write(&[0]);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            return Err("the switch has panicked".into());
        }
        let captured = self.shared.captured.lock().unwrap_or_else(PoisonError::into_inner).take();
        captured.unwrap_or(Ok(()))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // Who wanted to hear of errors has called it before.
        let _ = self.stop();
    }
}

/// The index of a link in a table of `nodes` nodes, the clients and the controller.
fn index(link: &Link, nodes: usize) -> Option<usize> {
    let end = |end: &End| match end {
        End::Node(node) => (*node < nodes).then_some(*node),
        End::Clients => Some(nodes),
    };
    (link.from != link.to).then_some(end(&link.from)? * (nodes + 2) + end(&link.to)?)
}

/// A packet on its way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Travelling {
    due: Instant,
    /// Packets that are due at the same time arrive as they were sent.
    sequence: u64,
    link: usize,
    port: usize,
    packet: Vec<u8>,
}

struct Forwarder {
    network: Network,
    nodes: usize,
    ports: Vec<OwnedFd>,
    rules: Vec<LinkRule>,
    generation: u64,
    links: Vec<LinkState>,
    tapped: Vec<bool>,
    capture: Option<Capture>,
    queue: BinaryHeap<Reverse<Travelling>>,
    sequence: u64,
    woken: UnixStream,
    shared: Arc<Shared>,
}

impl Forwarder {
    fn run(mut self) {
        let mut buffer = vec![0; PACKET_MAX as usize + 64];
        let mut readable = vec![true; self.ports.len()];
        while !self.shared.stop.load(Ordering::Acquire) {
            self.refresh();
            for (port, more) in readable.iter_mut().enumerate() {
                for _ in 0..BURST {
                    if !*more {
                        break;
                    }
                    match read(&self.ports[port], &mut buffer) {
                        Ok(length) => self.take(port, &mut buffer[..length]),
                        // Empty; or its interface is gone with its node, which is the same as a pulled cable.
                        Err(_) => *more = false,
                    }
                }
            }
            self.deliver();
            if !readable.contains(&true) {
                // Whoever ends a lab by ending its process loses no packet that has arrived.
                self.capture.iter_mut().for_each(Capture::flush);
                if !self.wait(&mut readable) {
                    break;
                }
            }
        }
        if let Some(capture) = self.capture.take() {
            let result = capture.finish().map_err(|error| format!("writing the capture: {error}"));
            *self.shared.captured.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    }

    fn refresh(&mut self) {
        let now = self.shared.generation.load(Ordering::Acquire);
        if now != self.generation {
            self.generation = now;
            self.rules.clone_from(&self.shared.rules());
        }
    }

    /// Waits until something is to be done. False if that cannot be found out.
    fn wait(&self, readable: &mut [bool]) -> bool {
        let until = self.queue.peek().map(|Reverse(next)| next.due);
        let left = until.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds: Vec<PollFd<'_>> = self.ports.iter().map(|p| PollFd::new(p, PollFlags::IN)).collect();
        fds.push(PollFd::new(&self.woken, PollFlags::IN));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => return true,
            Err(_) => return false,
        }
        let mut gone = false;
        for (fd, readable) in fds.iter().zip(readable.iter_mut()) {
            *readable = fd.revents().contains(PollFlags::IN);
            gone |= fd.revents().intersects(PollFlags::ERR | PollFlags::HUP) && !*readable;
        }
        if gone {
            // An interface whose node has died is always ready to say so: not to be asked without a pause.
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// The end that speaks from an address: nodes, then clients, then the controller.
    fn end(&self, address: [u8; 4]) -> Option<usize> {
        let [a, b, c, last] = address;
        if [a, b, c] != [10, 77, self.network.0] {
            return None;
        }
        match last {
            254 => Some(self.nodes),
            253 => Some(self.nodes + 1),
            n => (1..=self.nodes).contains(&usize::from(n)).then(|| usize::from(n) - 1),
        }
    }

    /// Decides about a packet that came from `port`.
    fn take(&mut self, port: usize, packet: &mut [u8]) {
        let Some((from, to)) = addresses(packet) else { return };
        let (Some(from), Some(to)) = (self.end(from), self.end(to)) else { return };
        // Nobody speaks with another's address.
        if from.min(self.nodes) != port || from == to {
            return;
        }
        if self.shared.pulled(from) || self.shared.pulled(to) {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let link = from * (self.nodes + 2) + to;
        let target = to.min(self.nodes);
        let rule = self.rules[link];
        if rule == LinkRule::default() {
            self.arrive(link, target, packet);
            return;
        }
        let now = Instant::now();
        let Fate { arrivals, flipped, harmed } = self.links[link].fate(&rule, packet.len(), now);
        self.shared.harmed[link].fetch_add(u64::from(harmed), Ordering::Relaxed);
        if let Some(bit) = flipped {
            packet[bit / 8] ^= 1 << (bit % 8);
        }
        if arrivals.is_empty() || self.queue.len() >= QUEUE_MAX {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        for due in arrivals {
            if due <= now {
                self.arrive(link, target, packet);
                continue;
            }
            self.sequence += 1;
            let travelling =
                Travelling { due, sequence: self.sequence, link, port: target, packet: packet.to_vec() };
            self.queue.push(Reverse(travelling));
        }
    }

    /// Hands over what has travelled long enough. A cable that was cut meanwhile has lost what was on it.
    fn deliver(&mut self) {
        if self.queue.is_empty() {
            return;
        }
        let now = Instant::now();
        while self.queue.peek().is_some_and(|Reverse(next)| next.due <= now) {
            let Some(Reverse(next)) = self.queue.pop() else { break };
            if self.rules[next.link].pass == Pass::Flow && !self.shared.pulled(next.port) {
                self.arrive(next.link, next.port, &next.packet);
            } else {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn arrive(&mut self, link: usize, port: usize, packet: &[u8]) {
        // A node whose interface is full or gone loses it, as on any network.
        let counter = match write(self.ports[port].as_fd(), packet) {
            Ok(_) => &self.shared.arrived,
            Err(_) => &self.shared.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if self.tapped[link] {
            if let Some(capture) = &mut self.capture {
                capture.packet(SystemTime::now(), packet);
            }
        }
    }
}

/// Where a packet of version 4 comes from and goes to. Others are not forwarded.
fn addresses(packet: &[u8]) -> Option<([u8; 4], [u8; 4])> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    Some((packet[12..16].try_into().ok()?, packet[16..20].try_into().ok()?))
}

#[cfg(test)]
#[path = "switch_tests.rs"]
mod tests;
