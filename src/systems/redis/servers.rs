//! The servers and sentinels of Redis: how they are started, put together and asked.

use super::api::{self, Dialect};
use super::holder;
use super::link::Link;
use super::resp::{Connection, Reply};
use super::slots::{self, SLOTS};
use super::{Config, Mode};
use crate::client::Client;
use crate::control::clock::unix_ns;
use crate::systems::calls::{Session, Socket};
use crate::systems::dialogue::{Dialogue, Next};
use crate::systems::service::{Door, Part, Service, Way};
use history::Completion;
use nemesis::Role;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant, SystemTime};

/// Where a server listens.
pub const PORT: u16 = 6379;
/// Where a sentinel listens.
pub const SENTINEL_PORT: u16 = 26379;
/// Where the users of the lock listen.
const HOLDER_PORT: u16 = 6390;
/// What the sentinels call the primary.
const PRIMARY: &str = "perjury";
/// How long a server may take to say who it is: it does so from memory.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long one of the controller's requests may take.
const REQUEST: Duration = Duration::from_secs(3);
/// How long the nodes of a cluster may take to hear of each other.
const MEET: Duration = Duration::from_secs(20);
/// Primaries of a cluster: the fewest of which a majority can tell that one is dead.
const PRIMARIES: usize = 3;
/// Where this program is on a node, if users of the lock run there.
const HOLDER: &str = "/var/lib/perjury-holder";
const DATA: &str = "/var/lib/perjury-redis";
const LOG: &str = "/var/log/perjury-redis.log";
const SENTINEL_LOG: &str = "/var/log/perjury-sentinel.log";
const HOLDER_LOG: &str = "/var/log/perjury-holder.log";

/// What runs on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Daemon {
    Server,
    Sentinel,
    Holder,
}

impl Daemon {
    fn log(self) -> &'static str {
        match self {
            Daemon::Server => LOG,
            Daemon::Sentinel => SENTINEL_LOG,
            Daemon::Holder => HOLDER_LOG,
        }
    }
}

/// The servers, and how to ask them.
pub struct Servers {
    config: Config,
    /// Whether each node has a user of the lock, too.
    holders: bool,
    /// Name and address of each.
    members: Vec<(String, String)>,
}

/// Asks a node something by the controller's way.
fn ask(way: &Way<'_>, port: u16, words: &[&str], deadline: Instant) -> Result<Reply, String> {
    Connection::new(way.dial(port, deadline)?).ask(words, deadline)
}

/// A line of an answer to INFO or CLUSTER INFO.
fn line<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// A list of names, each with its value behind it.
fn named<'a>(reply: &'a Reply, name: &str) -> Result<&'a str, String> {
    let parts = reply.list()?;
    let at = parts.iter().step_by(2).position(|part| part.text() == Ok(name));
    let value = at.and_then(|at| parts.get(2 * at + 1));
    value.ok_or_else(|| format!("it does not tell its {name}"))?.text()
}

/// An address and a port, as a list of two.
fn address(reply: &Reply) -> Result<(String, u16), String> {
    let port = reply.part(1)?.text()?;
    let port = port.parse().map_err(|_| format!("the port {port:?}"))?;
    Ok((reply.part(0)?.text()?.to_string(), port))
}

/// Address and port of the primary that a sentinel knows.
pub fn primary_of(sentinel: &mut Connection, deadline: Instant) -> Result<(String, u16), String> {
    address(&sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY], deadline)?)
}

/// `Err` if a server says that it is no primary.
pub fn is_primary(server: &mut Connection, deadline: Instant) -> Result<(), String> {
    match server.ask(&["ROLE"], deadline)?.part(0)?.text()? {
        "master" => Ok(()),
        role => Err(format!("it says that it is a {role}")),
    }
}

impl Servers {
    /// These servers with these options; `holders` says that each node has a user of the lock, too.
    pub fn new(config: Config, members: Vec<(String, String)>, holders: bool) -> Servers {
        Servers { config, holders, members }
    }

    /// What runs on each node, in the order in which it starts.
    fn daemons(&self) -> Vec<Daemon> {
        let sentinel = (self.config.mode == Mode::Sentinel).then_some(Daemon::Sentinel);
        let holder = self.holders.then_some(Daemon::Holder);
        std::iter::once(Daemon::Server).chain(sentinel).chain(holder).collect()
    }

    /// The node of this address.
    fn node(&self, address: &str) -> Result<usize, String> {
        let found = self.members.iter().position(|(_, known)| known == address);
        found.ok_or_else(|| format!("{address} is none of the nodes"))
    }

    fn server_configuration(&self, node: usize) -> String {
        let (address, Config { fsync, min_replicas, down_after, .. }) = (&self.members[node].1, self.config);
        let mut text = format!(
            "bind 0.0.0.0\nprotected-mode no\nport {PORT}\ndir {DATA}\nsave \"\"\nappendonly yes\nappendfsync {fsync}\n\
             repl-diskless-sync yes\nrepl-diskless-sync-delay 0\nrepl-ping-replica-period 1\nrepl-timeout 5\n\
             min-replicas-to-write {min_replicas}\n"
        );
        match self.config.mode {
            Mode::Single => {}
            Mode::Sentinel => {
                text.push_str(&format!("replica-announce-ip {address}\n"));
                if node > 0 {
                    text.push_str(&format!("replicaof {} {PORT}\n", self.members[0].1));
                }
            }
            Mode::Cluster => text.push_str(&format!(
                "cluster-enabled yes\ncluster-config-file {DATA}/nodes.conf\ncluster-announce-ip {address}\n\
                 cluster-node-timeout {down_after}\ncluster-replica-validity-factor 0\n"
            )),
        }
        text
    }

    fn sentinel_configuration(&self, node: usize) -> String {
        let (nodes, Config { down_after, .. }) = (self.members.len(), self.config);
        format!(
            "bind 0.0.0.0\nprotected-mode no\nport {SENTINEL_PORT}\ndir {DATA}\nsentinel announce-ip {}\n\
             sentinel monitor {PRIMARY} {} {PORT} {}\nsentinel down-after-milliseconds {PRIMARY} {down_after}\n\
             sentinel failover-timeout {PRIMARY} {}\nsentinel parallel-syncs {PRIMARY} {nodes}\n",
            self.members[node].1,
            self.members[0].1,
            nodes / 2 + 1,
            4 * down_after,
        )
    }

    /// Whether a server stands where a new cluster starts: the first is the primary, and the others follow it.
    fn follows(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let said = ask(way, PORT, &["INFO", "replication"], deadline)?;
        let said = said.text()?;
        if self.config.mode != Mode::Sentinel {
            return Ok(());
        }
        if way.node == 0 {
            let online = said.matches("state=online").count();
            let others = self.members.len() - 1;
            return if online == others {
                Ok(())
            } else {
                Err(format!("{online} of {others} replicas follow"))
            };
        }
        match line(said, "master_link_status") {
            Some("up") => Ok(()),
            other => Err(format!("its link to the primary is {}", other.unwrap_or("not there"))),
        }
    }

    /// Whether a sentinel knows everybody.
    fn watches(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let said = ask(way, SENTINEL_PORT, &["SENTINEL", "MASTER", PRIMARY], deadline)?;
        let others = (self.members.len() - 1).to_string();
        for name in ["num-slaves", "num-other-sentinels"] {
            let known = named(&said, name)?;
            if known != others {
                return Err(format!("{name} is {known}, not {others}"));
            }
        }
        Ok(())
    }

    /// Makes a cluster of servers that do not know each other.
    fn meet(&self, ways: &[Way<'_>]) -> Result<(), String> {
        let at = |way: &Way<'_>, words: &[&str]| {
            ask(way, PORT, words, Instant::now() + REQUEST).map_err(|why| format!("{}: {why}", way.name))
        };
        let port = PORT.to_string();
        for (node, way) in ways.iter().enumerate() {
            at(way, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()])?;
            if node < PRIMARIES {
                let first = usize::from(SLOTS) * node / PRIMARIES;
                let last = usize::from(SLOTS) * (node + 1) / PRIMARIES - 1;
                at(way, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            }
            if node > 0 {
                at(&ways[0], &["CLUSTER", "MEET", &self.members[node].1, &port])?;
            }
        }
        let until = Instant::now() + MEET;
        let patiently = |way: &Way<'_>, act: &dyn Fn() -> Result<(), String>| loop {
            match act() {
                Err(why) if Instant::now() >= until => return Err(format!("{}: {why}", way.name)),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
                Ok(()) => return Ok(()),
            }
        };
        for way in ways {
            patiently(way, &|| {
                let said = ask(way, PORT, &["CLUSTER", "INFO"], Instant::now() + REQUEST)?;
                match line(said.text()?, "cluster_known_nodes") {
                    Some(known) if known == ways.len().to_string() => Ok(()),
                    known => Err(format!("it knows {} nodes", known.unwrap_or("no"))),
                }
            })?;
        }
        for way in ways.iter().skip(PRIMARIES) {
            let primary = at(&ways[way.node % PRIMARIES], &["CLUSTER", "MYID"])?;
            let primary = primary.text()?;
            // It must have heard from the primary itself.
            patiently(way, &|| {
                ask(way, PORT, &["CLUSTER", "REPLICATE", primary], Instant::now() + REQUEST).map(drop)
            })?;
        }
        for way in ways.iter().skip(PRIMARIES) {
            patiently(way, &|| {
                let said = ask(way, PORT, &["INFO", "replication"], Instant::now() + REQUEST)?;
                match line(said.text()?, "master_link_status") {
                    Some("up") => Ok(()),
                    other => Err(format!("its link to the primary is {}", other.unwrap_or("not there"))),
                }
            })?;
        }
        Ok(())
    }

    /// The primary that the sentinel of the session's node knows, if it says itself that it is one.
    fn primary(&self, door: &Door<'_>) -> Result<Link, String> {
        let mut sentinel = Connection::new(door.dial(door.node, SENTINEL_PORT)?);
        let told = primary_of(&mut sentinel, door.deadline);
        let (address, port) = told.map_err(|why| format!("{}: {why}", door.name))?;
        let node = self.node(&address)?;
        let mut connection = Connection::new(door.dial(node, port)?);
        is_primary(&mut connection, door.deadline).map_err(|why| {
            format!("{}, which is the primary for {}: {why}", self.members[node].0, door.name)
        })?;
        Ok(Link::one(connection))
    }

    /// The owners of slots that the session's node knows, as far as they can be reached.
    fn owners(&self, door: &Door<'_>) -> Result<Link, String> {
        let mut first = Connection::new(door.dial(door.node, PORT)?);
        let told =
            first.ask(&["CLUSTER", "SLOTS"], door.deadline).map_err(|why| format!("{}: {why}", door.name))?;
        // One that is cut off must not cost the session of those that are not.
        let mut soon = *door;
        let left = door.deadline.saturating_duration_since(Instant::now());
        soon.deadline = Instant::now() + left / (PRIMARIES as u32 + 1);
        let mut dial = |address: &str, port: u16| {
            let node = self.node(address).ok()?;
            soon.dial(node, port).ok().map(Connection::new)
        };
        Ok(Link::many(slots::owners(&told)?, &mut dial))
    }
}

/// Removes every key of ours from a server.
fn remove(connection: &mut Connection) -> Result<(), String> {
    let pattern = format!("{}*", api::OURS);
    let mut cursor = "0".to_string();
    loop {
        let asked = ["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"];
        let found = connection.ask(&asked, Instant::now() + REQUEST)?;
        for key in found.part(1)?.list()? {
            connection.ask(&["DEL", key.text()?], Instant::now() + REQUEST)?;
        }
        cursor = found.part(0)?.text()?.to_string();
        if cursor == "0" {
            return Ok(());
        }
    }
}

impl Service for Servers {
    fn parts(&self) -> Vec<Part> {
        let part = |daemon| match daemon {
            Daemon::Server => Part::named("redis", "redis-server"),
            Daemon::Sentinel => Part::named("sentinel", "redis-sentinel"),
            Daemon::Holder => Part::new("holder"),
        };
        self.daemons().into_iter().map(part).collect()
    }

    fn ourselves(&self) -> Option<&'static str> {
        self.holders.then_some(HOLDER)
    }

    fn prepare(&self, node: usize) -> Option<String> {
        let mut script = format!(
            "mkdir -p {DATA} && cat >{DATA}/redis.conf <<'END'\n{}END\n",
            self.server_configuration(node)
        );
        if self.config.mode == Mode::Sentinel {
            let sentinel = self.sentinel_configuration(node);
            script.push_str(&format!("cat >{DATA}/sentinel.conf <<'END'\n{sentinel}END\n"));
        }
        // A node that loses power is not to lose this.
        script.push_str(&format!("sync -f {DATA}/redis.conf\n"));
        Some(script)
    }

    fn start_command(&self, _: usize, part: usize, _: bool) -> String {
        let daemon = self.daemons()[part];
        // The first two write what they learn into their own files of configuration, and find it there when they start again.
        let command = match daemon {
            Daemon::Server => format!("redis-server {DATA}/redis.conf"),
            Daemon::Sentinel => format!("redis-sentinel {DATA}/sentinel.conf"),
            Daemon::Holder => {
                let Config { mode, lease, fencing, .. } = self.config;
                let sentinel = mode == Mode::Sentinel;
                let holder = holder::Config { port: HOLDER_PORT, sentinel, lease, fencing };
                format!("{HOLDER} redis-holder {}", holder.arguments().join(" "))
            }
        };
        format!("cd {DATA} && setsid {command} >>{} 2>&1 </dev/null & echo $!", daemon.log())
    }

    fn risen(&self, way: &Way<'_>, part: usize, deadline: Instant) -> Result<(), String> {
        match self.daemons()[part] {
            // A sentinel that starts before the replicas follow hears of them ten seconds later.
            Daemon::Server => self.follows(way, deadline),
            Daemon::Sentinel => self.watches(way, deadline),
            Daemon::Holder => way.dial(HOLDER_PORT, deadline).map(drop),
        }
    }

    fn assemble(&self, ways: &[Way<'_>]) -> Result<(), String> {
        if self.config.mode == Mode::Cluster { self.meet(ways) } else { Ok(()) }
    }

    fn peer_port(&self) -> u16 {
        PORT
    }

    fn logs(&self) -> Vec<String> {
        self.daemons().into_iter().map(|daemon| daemon.log().to_string()).collect()
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string()]
    }

    fn files(&self) -> Vec<String> {
        vec![format!("{DATA}/appendonlydir/*.aof")]
    }

    /// Also while it reads its log of writes.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        match ask(way, PORT, &["PING"], deadline) {
            Err(why) if !why.contains("LOADING") => Err(why),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        ask(way, PORT, &["PING"], deadline)?;
        if self.config.mode == Mode::Cluster {
            let said = ask(way, PORT, &["CLUSTER", "INFO"], deadline)?;
            let state = line(said.text()?, "cluster_state").unwrap_or("not told").to_string();
            return if state == "ok" { Ok(()) } else { Err(format!("the state of the cluster is {state}")) };
        }
        Ok(())
    }

    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        if self.config.mode == Mode::Single {
            return Ok(None);
        }
        let deadline = Instant::now() + PATIENCE;
        let role = ask(way, PORT, &["ROLE"], deadline)?;
        let primary = role.part(0)?.text()? == "master";
        let term = match self.config.mode {
            Mode::Single | Mode::Sentinel => {
                let said = ask(way, SENTINEL_PORT, &["SENTINEL", "MASTER", PRIMARY], deadline)?;
                named(&said, "config-epoch")?.to_string()
            }
            Mode::Cluster => {
                let said = ask(way, PORT, &["CLUSTER", "INFO"], deadline)?;
                line(said.text()?, "cluster_my_epoch").unwrap_or("0").to_string()
            }
        };
        let term = term.parse().map_err(|_| format!("the epoch {term:?}"))?;
        Ok(Some(Role { primary, term }))
    }

    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let before = unix_ns(SystemTime::now());
        let time = ask(way, PORT, &["TIME"], Instant::now() + PATIENCE)?;
        let after = unix_ns(SystemTime::now());
        let part = |at: usize| {
            let text = time.part(at)?.text()?;
            text.parse::<i64>().map_err(|_| format!("the time {text:?}"))
        };
        let told = part(0)? * 1_000_000_000 + part(1)? * 1000;
        // In whole microseconds, at some time between the two.
        let (low, high) = (told - after, told + 1000 - before);
        Ok(Some(if low > 0 { low } else { high.min(0) }))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        let said = ask(way, PORT, &["INFO", "server"], Instant::now() + REQUEST)?;
        Ok(line(said.text()?, "redis_version").unwrap_or("unknown").to_string())
    }

    /// Our own keys, and no others, from whoever takes writes.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let mut here = Connection::new(way.dial(PORT, Instant::now() + REQUEST)?);
        let mut others: Vec<(String, u16)> = Vec::new();
        match self.config.mode {
            Mode::Single => return remove(&mut here),
            Mode::Sentinel => {
                let role = here.ask(&["ROLE"], Instant::now() + REQUEST)?;
                if role.part(0)?.text()? == "master" {
                    return remove(&mut here);
                }
                let port = role.part(2)?.int()?;
                let port = u16::try_from(port).map_err(|_| format!("the port {port}"))?;
                others.push((role.part(1)?.text()?.to_string(), port));
            }
            Mode::Cluster => {
                let told = here.ask(&["CLUSTER", "SLOTS"], Instant::now() + REQUEST)?;
                others.extend(slots::owners(&told)?.into_iter().map(|(_, _, owner)| owner));
                others.sort_unstable();
                others.dedup();
            }
        }
        for (address, port) in others {
            let failed = |why: String| format!("{address}:{port}: {why}");
            let ip = address.parse().map_err(|e| failed(format!("{e}")))?;
            let stream = TcpStream::connect_timeout(&SocketAddr::new(ip, port), REQUEST);
            let mut connection = Connection::new(stream.map_err(|e| failed(e.to_string()))?);
            remove(&mut connection).map_err(failed)?;
        }
        Ok(())
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        if self.holders {
            // To read is to show one's token, so not even that is without effect.
            return Ok(Box::new(Session::new(Socket::new(door.dial(door.node, HOLDER_PORT)?), &[])));
        }
        let link = match self.config.mode {
            Mode::Single => Link::one(Connection::new(door.dial(door.node, PORT)?)),
            Mode::Sentinel => self.primary(door)?,
            Mode::Cluster => self.owners(door)?,
        };
        let dialect = Dialect { lease: self.config.lease, fencing: self.config.fencing };
        let (workload, reach) = (door.workload.to_string(), link.reach());
        Ok(Box::new(Dialogue::new(
            link,
            Box::new(move |call| {
                let slot = slots::slot(api::place(call.key.as_ref())?.as_bytes());
                let within = |ranges: &Vec<(u16, u16)>| ranges.iter().any(|(a, z)| (*a..=*z).contains(&slot));
                if reach.as_ref().is_some_and(|ranges| !within(ranges)) {
                    let why = "the owner of its slot could not be reached when the session was opened";
                    return Ok(Next::Over(Completion::Fail(why.into())));
                }
                api::begin(&workload, call, dialect)
            }),
        )))
    }
}
