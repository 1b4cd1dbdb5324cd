//! The servers of ZooKeeper: how they are started, and what is asked of them beside the clients' calls.

use super::Config;
use super::api::{self, BARRIER, Dialect, Held, ROOT};
use super::jute::Reader;
use super::wire::{Making, Request, Session};
use crate::client::Client;
use crate::control::clock::unix_ns;
use crate::systems::dialogue::{Dialogue, Wire};
use crate::systems::http::NoAnswer;
use crate::systems::service::{Door, Part, Service, Way};
use chrono::NaiveDateTime;
use nemesis::Role;
use std::io::{Read, Write};
use std::time::{Duration, Instant, SystemTime};

const CLIENT_PORT: u16 = 2181;
/// Followers hear their leader here.
const PEER_PORT: u16 = 2888;
/// Everybody is asked for his vote here.
const ELECTION_PORT: u16 = 3888;
/// How long a server may take to say who it is: it does so from memory.
const PATIENCE: Duration = Duration::from_millis(600);
/// How long a request of the controller may take, when the ensemble has a leader.
const REQUEST: Duration = Duration::from_secs(10);
/// How long reading the end of a log may take.
const READ_LOG: Duration = Duration::from_secs(5);
const DATA: &str = "/var/lib/perjury-zookeeper";
const LOG: &str = "/var/log/perjury-zookeeper.log";
const JAR: &str = "/usr/share/java/zookeeper.jar";
/// What makes the server's log a log: without it nothing is written.
const LOGGER: &str = "/usr/share/java/slf4j-simple.jar";
/// How a line of the log begins.
const TIME: &str = "%Y-%m-%d %H:%M:%S%.3f";

/// The servers, and how to ask them.
pub struct Ensemble {
    config: Config,
    /// Name and address of each.
    members: Vec<(String, String)>,
}

impl Ensemble {
    /// These servers with these options.
    pub fn new(config: Config, members: Vec<(String, String)>) -> Ensemble {
        Ensemble { config, members }
    }

    /// What the server says to a word of four letters.
    fn word(way: &Way<'_>, word: &str, deadline: Instant) -> Result<String, String> {
        let failed = |e: std::io::Error| format!("{word}: {e}");
        let mut stream = way.dial(CLIENT_PORT, deadline)?;
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left)).map_err(failed)?;
        stream.set_write_timeout(Some(left)).map_err(failed)?;
        stream.write_all(word.as_bytes()).map_err(failed)?;
        let mut said = Vec::new();
        stream.take(64 << 10).read_to_end(&mut said).map_err(failed)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }

    fn status(way: &Way<'_>, deadline: Instant) -> Result<Status, String> {
        Status::read(&Ensemble::word(way, "srvr", deadline)?)
    }

    fn session(&self, way: &Way<'_>, deadline: Instant) -> Result<Session, String> {
        Session::open(way.dial(CLIENT_PORT, deadline)?, Duration::from_secs(10), deadline)
    }
}

/// Sends a request of the controller; its answer's record, or one of the errors that are expected.
fn ask(session: &mut Session, request: &Request, expected: &[i32]) -> Result<Vec<u8>, String> {
    let deadline = Instant::now() + REQUEST;
    session.send(request, deadline)?;
    match session.answer(deadline) {
        Ok(answer) if answer.error == 0 || expected.contains(&answer.error) => Ok(answer.body),
        Ok(answer) => Err(format!("{request:?}: {}", api::error_name(answer.error))),
        Err(NoAnswer::Late) => Err(format!("{request:?}: no answer by the deadline")),
        Err(NoAnswer::Broken(why)) => Err(format!("{request:?}: {why}")),
    }
}

/// Makes what every workload needs.
fn make_root(session: &mut Session) -> Result<(), String> {
    for path in [ROOT, BARRIER] {
        let request =
            Request::Create { path: path.to_string(), data: Vec::new(), making: Making::Persistent };
        ask(session, &request, &[api::NODE_EXISTS])?;
    }
    Ok(())
}

/// Removes a node and all below it.
fn remove(session: &mut Session, path: &str) -> Result<(), String> {
    let children = ask(session, &Request::Children { path: path.to_string() }, &[api::NO_NODE])?;
    let names: Vec<String> = match children.is_empty() {
        true => Vec::new(),
        false => Reader::new(&children).texts()?.into_iter().map(str::to_string).collect(),
    };
    for name in names {
        remove(session, &format!("{path}/{name}"))?;
    }
    ask(session, &Request::Delete { path: path.to_string() }, &[api::NO_NODE]).map(drop)
}

/// What a server says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Status {
    /// `leader`, `follower`, `standalone`.
    mode: String,
    /// The reign that its last transaction belongs to.
    epoch: u64,
    version: String,
}

impl Status {
    /// From the answer to `srvr`. `Err` if it does not serve.
    fn read(said: &str) -> Result<Status, String> {
        let field = |name: &str| {
            let line = said.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim)
                .ok_or_else(|| said.trim().lines().next().unwrap_or("it said nothing").to_string())
        };
        let zxid = field("Zxid: 0x")?;
        let zxid = u64::from_str_radix(zxid, 16).map_err(|_| format!("the transaction number {zxid:?}"))?;
        let version = field("Zookeeper version: ")?;
        let version = version.split(['-', ',']).next().unwrap_or(version).to_string();
        Ok(Status { mode: field("Mode: ")?.to_string(), epoch: zxid >> 32, version })
    }
}

/// When the server was asked `ruok` last, by its own clock and its own log, in nanoseconds since 1970.
fn last_asked(log: &str) -> Result<i64, String> {
    let line = log.lines().rev().find(|line| line.contains("Processing ruok command"));
    let line = line.ok_or("its log does not say when it was asked")?;
    // `2026-11-30 03:49:53.494 [NIOWorkerThread-1] INFO …`
    let time = line.get(..23).unwrap_or(line);
    let time = NaiveDateTime::parse_from_str(time, TIME).map_err(|e| format!("the time {time:?}: {e}"))?;
    time.and_utc().timestamp_nanos_opt().ok_or_else(|| format!("the time {time}"))
}

/// A time in whole milliseconds that was written between `before` and `after`: the least offset of the clock that
/// explains it, in nanoseconds.
fn least_offset(written: i64, before: i64, after: i64) -> i64 {
    let (low, high) = (written - after, written + 1_000_000 - before);
    if low > 0 { low } else { high.min(0) }
}

impl Service for Ensemble {
    fn parts(&self) -> Vec<Part> {
        vec![Part::named("zookeeper", "java")]
    }

    /// Three virtual machines begin at once, and on a busy machine half a minute was too little.
    fn patience(&self) -> Duration {
        Duration::from_secs(120)
    }

    fn prepare(&self, node: usize) -> Option<String> {
        let servers =
            self.members.iter().enumerate().map(|(at, (_, address))| {
                format!("server.{}={address}:{PEER_PORT}:{ELECTION_PORT}\n", at + 1)
            });
        // A single server is no ensemble, and needs no list.
        let servers: String = if self.members.len() > 1 { servers.collect() } else { String::new() };
        let tick = self.config.tick;
        Some(format!(
            "mkdir -p {DATA}/data && echo {} >{DATA}/data/myid && cat >{DATA}/zoo.cfg <<'END'\n\
             tickTime={tick}\ninitLimit=20\nsyncLimit=8\ndataDir={DATA}/data\nclientPort={CLIENT_PORT}\n\
             minSessionTimeout=1\nmaxSessionTimeout=600000\nmaxClientCnxns=0\n4lw.commands.whitelist=*\n\
             admin.enableServer=false\n{servers}END\n\
             sync -f {DATA}/zoo.cfg\n",
            node + 1
        ))
    }

    fn start_command(&self, _: usize, _: usize, _: bool) -> String {
        // The leader's log may hold what was never committed (ZOOKEEPER-2846); −1 is never to send any of it.
        let factor = if self.config.disk_sync { "" } else { "-Dzookeeper.snapshotSizeFactor=-1 " };
        // A small heap, one collector and one compiler: five of them share a machine.
        format!(
            "cd / && setsid java -Xms32m -Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData \
             {factor}-Duser.timezone=UTC -Dorg.slf4j.simpleLogger.showDateTime=true \
             -Dorg.slf4j.simpleLogger.dateTimeFormat='yyyy-MM-dd HH:mm:ss.SSS' \
             -cp {JAR}:{LOGGER} org.apache.zookeeper.server.quorum.QuorumPeerMain {DATA}/zoo.cfg \
             >>{LOG} 2>&1 </dev/null & echo $!"
        )
    }

    fn peer_port(&self) -> u16 {
        ELECTION_PORT
    }

    fn logs(&self) -> Vec<String> {
        vec![LOG.to_string()]
    }

    fn data(&self) -> Vec<String> {
        vec![DATA.to_string()]
    }

    fn files(&self) -> Vec<String> {
        vec![format!("{DATA}/data/version-2/log.*"), format!("{DATA}/data/version-2/snapshot.*")]
    }

    /// By a word that needs no leader.
    fn answers(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        let said = Ensemble::word(way, "ruok", deadline)?;
        if said == "imok" { Ok(()) } else { Err(format!("ruok: {said:?}")) }
    }

    fn serves(&self, way: &Way<'_>, deadline: Instant) -> Result<(), String> {
        Ensemble::status(way, deadline)?;
        // Every session needs it, and it shows that a majority takes writes.
        make_root(&mut self.session(way, deadline + REQUEST)?)
    }

    fn role(&self, way: &Way<'_>) -> Result<Option<Role>, String> {
        let status = Ensemble::status(way, Instant::now() + PATIENCE)?;
        Ok(Some(Role { primary: status.mode != "follower", term: status.epoch }))
    }

    /// By its log, which tells when it was asked.
    fn clock_offset(&self, way: &Way<'_>) -> Result<Option<i64>, String> {
        let before = unix_ns(SystemTime::now());
        self.answers(way, Instant::now() + PATIENCE)?;
        let after = unix_ns(SystemTime::now());
        let log = way.sh(&format!("tail -n 200 {LOG}"), READ_LOG)?;
        Ok(Some(least_offset(last_asked(&log)?, before, after)))
    }

    fn version(&self, way: &Way<'_>) -> Result<String, String> {
        Ok(Ensemble::status(way, Instant::now() + Duration::from_secs(3))?.version)
    }

    /// Our own nodes, and no others.
    fn clear(&self, way: &Way<'_>) -> Result<(), String> {
        let mut session = self.session(way, Instant::now() + REQUEST)?;
        remove(&mut session, ROOT)?;
        make_root(&mut session)
    }

    fn open(&self, door: &Door<'_>) -> Result<Box<dyn Client>, String> {
        let stream = door.dial(door.node, CLIENT_PORT)?;
        let timeout = Duration::from_millis(self.config.session);
        let session =
            Session::open(stream, timeout, door.deadline).map_err(|e| format!("{}: {e}", door.name))?;
        let dialect = Dialect { reads: self.config.reads, fencing: self.config.fencing };
        let (workload, held) = (door.workload.to_string(), Held::default());
        Ok(Box::new(Dialogue::new(
            session,
            Box::new(move |call| api::begin(&workload, call, dialect, &held)),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_who_it_is() {
        // ZooKeeper 3.8.0 of Debian 12.
        let said = "Zookeeper version: 3.8.0-${mvngit.commit.id}, built on 2024-12-29 17:54 UTC\n\
            Latency min/avg/max: 0/0.0/0\nReceived: 2\nSent: 1\nConnections: 1\nOutstanding: 0\n\
            Zxid: 0x500000102\nMode: follower\nNode count: 5\n";
        let status = Status::read(said).unwrap();
        assert_eq!(status, Status { mode: "follower".into(), epoch: 5, version: "3.8.0".into() });
        let not = Status::read("This ZooKeeper instance is not currently serving requests\n").unwrap_err();
        assert!(not.contains("not currently serving"), "{not}");
        assert_eq!(Status::read("").unwrap_err(), "it said nothing");
    }

    #[test]
    fn its_log_says_when_it_was_asked_and_no_more_than_that() {
        let log = "2026-11-30 03:49:53.494 [w] INFO o.a.NIOServerCnxn - Processing ruok command from /10.77.0.253:1\n\
            2026-11-30 03:50:23.500 [w] INFO o.a.NIOServerCnxn - Processing ruok command from /10.77.0.253:2\n\
            2026-11-30 03:50:23.600 [w] INFO o.a.NIOServerCnxn - Processing srvr command from /10.77.0.253:3\n";
        let asked = last_asked(log).unwrap();
        assert_eq!(asked % 86_400_000_000_000, (3 * 3600 + 50 * 60 + 23) * 1_000_000_000 + 500_000_000);
        let ms = |ms: f64| asked + (ms * 1e6) as i64;
        // An honest clock: written between the two.
        assert_eq!(least_offset(asked, ms(-1.0), ms(2.0)), 0);
        // Asked within the millisecond that is written.
        assert_eq!(least_offset(asked, ms(0.4), ms(2.0)), 0);
        assert_eq!(least_offset(asked, ms(-30_001.0), ms(-30_000.0)), 30_000_000_000);
        assert_eq!(least_offset(asked, ms(30_001.0), ms(30_002.0)), -30_000_000_000);
        assert!(last_asked("nothing of the kind").is_err());
    }
}
