//! A node's process: binds its port, tells the controller, and serves clients and peers, one thread per connection.

use super::disk::{Disk, Fsync};
use super::peers::Peers;
use super::wire::{Act, Answer, ClientCall, Greeting, Request, Response, Said};
use crate::control::clock::Clock;
use crate::control::lines::{Lines, send};
use crate::control::message::{self, Ask, Hello, NodeSpec, Question, Reply};
use nemesis::Role;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a coordinator waits for its peers before it tells the client that it does not know.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What makes a node a node of a particular system.
pub trait Protocol: Send + Sync + Sized + 'static {
    /// What peers ask each other.
    type Ask: Serialize + DeserializeOwned + Clone + Send;
    /// What they reply.
    type Reply: Serialize + DeserializeOwned + Send + 'static;

    /// Recovers what the disk remembers. Peers may not be connected yet.
    fn open(node: Node<Self>) -> Result<Arc<Self>, String>;

    /// The node it runs on.
    fn node(&self) -> &Node<Self>;

    /// Answers a peer; `None` is silence. Questions of one peer come in the order in which it sent them.
    fn serve(&self, from: usize, ask: Self::Ask) -> Option<Self::Reply>;

    /// Does an operation of a client.
    fn call(&self, call: &ClientCall) -> Answer;

    /// Whether a question may take long and is served on a thread of its own, out of order.
    fn takes_long(ask: &Self::Ask) -> bool {
        let _ = ask;
        false
    }

    /// What this node thinks it is, if the system has roles.
    fn role(&self) -> Option<Role> {
        None
    }

    /// Whether it can serve clients, as far as it depends on more than connected peers.
    fn ready(&self) -> bool {
        true
    }
}

/// What a protocol knows about the node it runs on.
#[derive(Debug)]
pub struct Node<P: Protocol> {
    /// Its number.
    pub me: usize,
    /// Names of all nodes.
    pub names: Vec<String>,
    /// The others.
    pub peers: Peers<P::Ask, P::Reply>,
    /// Its clocks, which may be bent.
    pub clock: Clock,
    /// Where its files are.
    pub dir: PathBuf,
    /// How often it has been started before: part of every name that must never be given twice.
    pub boot: u64,
    /// Seed for everything random in it.
    pub seed: u64,
    /// What clients will do.
    pub workload: String,
    /// Options of the system.
    pub with: Vec<(String, String)>,
}

impl<P: Protocol> Node<P> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.names[self.me]
    }

    /// Opens its log.
    pub fn log<T: DeserializeOwned>(&self, fsync: Fsync) -> Result<(Disk, Vec<T>), String> {
        let path = self.dir.join("log");
        Disk::open(&path, fsync).map_err(|e| format!("{}: {e}", path.display()))
    }
}

/// Runs a node until its controller is gone. `Err` is why it could not start.
pub fn run<P: Protocol>(spec: &NodeSpec) -> Result<(), String> {
    let boot = count_boot(&spec.dir).map_err(|e| format!("{}: {e}", spec.dir.display()))?;
    let clock = Clock::new(&spec.dir.join("clock"));
    let node = Node {
        me: spec.node,
        names: spec.names.clone(),
        peers: Peers::connect(spec.node, &spec.peers),
        clock,
        dir: spec.dir.clone(),
        boot,
        seed: spec.seed ^ (spec.node as u64) << 32 ^ boot << 48,
        workload: spec.workload.clone(),
        with: spec.with.clone(),
    };
    let name = node.name().to_string();
    let protocol = P::open(node)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| format!("binding a port: {e}"))?;
    let port = listener.local_addr().map_err(|e| e.to_string())?.port();
    let control = TcpStream::connect(spec.control).map_err(|e| format!("dialling the controller: {e}"))?;
    control.set_nodelay(true).map_err(|e| e.to_string())?;
    let serving = Arc::clone(&protocol);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (protocol, name) = (Arc::clone(&serving), name.clone());
            std::thread::spawn(move || converse(&protocol, &name, stream));
        }
    });
    obey(&*protocol, spec, Lines::new(control), port)
}

/// The number of earlier starts, kept in a file of its own and on disk before this start has any effect.
fn count_boot(dir: &Path) -> io::Result<u64> {
    let path = dir.join("boot");
    let boot = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new)?;
    file.write_all(format!("{}\n", boot + 1).as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&new, &path)?;
    Ok(boot)
}

/// Answers the controller until it hangs up: then nobody needs this node any more.
fn obey<P: Protocol>(
    protocol: &P,
    spec: &NodeSpec,
    mut control: Lines<TcpStream>,
    port: u16,
) -> Result<(), String> {
    let hello = Hello { node: spec.node, nonce: spec.nonce, pid: std::process::id(), port };
    let hello = serde_json::to_string(&hello).expect("plain data");
    control.send(&hello).map_err(|e| format!("greeting the controller: {e}"))?;
    while let Ok(line) = control.next(None) {
        let question: Question = serde_json::from_str(&line).map_err(|e| format!("{line:?}: {e}"))?;
        let answer = match question.ask {
            Ask::Ready => message::Answer::Yes(protocol.node().peers.all_connected() && protocol.ready()),
            Ask::Clock => {
                protocol.node().clock.look();
                message::Answer::Clock(protocol.node().clock.wall_ns())
            }
            Ask::Role => message::Answer::Role(protocol.role().map(|role| (role.primary, role.term))),
            Ask::Probe { to, timeout_ms } => {
                let deadline = Instant::now() + Duration::from_millis(timeout_ms);
                let address = spec.peers.get(to).copied().flatten();
                message::Answer::Yes(address.is_some_and(|address| reaches(address, deadline)))
            }
        };
        let reply = serde_json::to_string(&Reply { id: question.id, answer }).expect("plain data");
        if control.send(&reply).is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether somebody at `address` answers a ping by `deadline`. The ping does not wait for the greeting: one round trip.
fn reaches(address: SocketAddr, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    let Ok(stream) = TcpStream::connect_timeout(&address, left) else { return false };
    let mut lines = Lines::new(stream);
    let ping = Request::<()> { id: 1, act: Act::Ping };
    lines.send(&serde_json::to_string(&ping).expect("plain data")).is_ok()
        && lines.next(Some(deadline)).is_ok()
        && lines.next(Some(deadline)).is_ok()
}

/// Serves one connection, of a client or of a peer, until it closes or something else than a request comes.
fn converse<P: Protocol>(protocol: &Arc<P>, name: &str, stream: TcpStream) {
    let (Ok(()), Ok(writer)) = (stream.set_nodelay(true), stream.try_clone()) else { return };
    let writer = Arc::new(Mutex::new(writer));
    let greeting = Greeting { hello: name.to_string() };
    let mut greeted = writer.lock().expect("a new lock");
    if send(&mut *greeted, &serde_json::to_string(&greeting).expect("plain data")).is_err() {
        return;
    }
    drop(greeted);
    let mut lines = Lines::new(stream);
    while let Ok(line) = lines.next(None) {
        let Ok(request) = serde_json::from_str::<Request<P::Ask>>(&line) else { return };
        let id = request.id;
        match request.act {
            Act::Call(call) => answer::<P>(&writer, id, Some(protocol.call(&call).said())),
            Act::Ping => answer::<P>(&writer, id, Some(Said::Pong(()))),
            Act::Ask { from, body } if P::takes_long(&body) => {
                let (protocol, writer) = (Arc::clone(protocol), Arc::clone(&writer));
                std::thread::spawn(move || {
                    answer::<P>(&writer, id, protocol.serve(from, body).map(Said::Reply));
                });
            }
            Act::Ask { from, body } => answer::<P>(&writer, id, protocol.serve(from, body).map(Said::Reply)),
        }
    }
}

fn answer<P: Protocol>(writer: &Mutex<TcpStream>, id: u64, said: Option<Said<P::Reply>>) {
    let Some(said) = said else { return };
    let line = serde_json::to_string(&Response { id, said }).expect("plain data");
    if let Ok(mut writer) = writer.lock() {
        // If the asker is gone, its reader sees that first.
        let _ = send(&mut *writer, &line);
    }
}
