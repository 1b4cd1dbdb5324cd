//! A user of the lock: a process of its own on a node, which can be stopped in the middle of its work.
//!
//! ```text
//!   client ─▶ holder ──▶ its node's sentinel: who is primary?      once, when the client comes
//!                   └──▶ the primary: SET NX PX, the guarded resource, release
//! ```
//! A client is one connection, and speaks the lines of `calls.rs`; it has one connection to Redis, with which it ends.

use super::api::{self, Dialect};
use super::link::Link;
use super::resp::Connection;
use super::servers;
use crate::client::Client;
use crate::control::lines::Lines;
use crate::systems::calls;
use crate::systems::dialogue::Dialogue;
use history::Completion;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long Redis may take to answer. Whoever asked a holder has given up long before.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a holder is told when it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where its clients find it.
    pub port: u16,
    /// Whether a sentinel on the same node knows the primary; else it is on the same node itself.
    pub sentinel: bool,
    /// Milliseconds that a lock is held.
    pub lease: u64,
    /// Whether the resource compares tokens.
    pub fencing: bool,
}

impl Config {
    /// The arguments that say it.
    pub fn arguments(&self) -> [String; 4] {
        let word = |on| if on { "on" } else { "off" }.to_string();
        [self.port.to_string(), word(self.sentinel), self.lease.to_string(), word(self.fencing)]
    }

    fn read(args: &[String]) -> Option<Config> {
        let [port, sentinel, lease, fencing] = args else { return None };
        let on = |word: &String| match word.as_str() {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        };
        let (sentinel, fencing) = (on(sentinel)?, on(fencing)?);
        Some(Config { port: port.parse().ok()?, sentinel, lease: lease.parse().ok()?, fencing })
    }
}

/// The main function of a holder: `perjury redis-holder PORT on|off LEASE on|off`.
pub fn holder_main(args: &[String]) -> ExitCode {
    let Some(config) = Config::read(args) else { return ExitCode::from(64) };
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, config.port)) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("listening at port {}: {e}", config.port);
            return ExitCode::FAILURE;
        }
    };
    for stream in listener.incoming().flatten() {
        let served = std::thread::Builder::new().name("client".into()).spawn(move || serve(stream, config));
        if let Err(e) = served {
            eprintln!("a client cannot be served: {e}");
        }
    }
    ExitCode::SUCCESS
}

/// Does what one client asks for, until it goes or Redis does.
fn serve(stream: TcpStream, config: Config) {
    let Ok(mut answers) = stream.try_clone() else { return };
    let mut lines = Lines::new(stream);
    let mut primary = find(config);
    while let Ok(line) = lines.next(None) {
        let Ok((id, call)) = calls::heard(&line) else { return };
        let completion = match &mut primary {
            Ok(primary) => primary.invoke(&call, Instant::now() + PATIENCE),
            Err(why) => Completion::Fail(why.clone()),
        };
        let sent = answers.write_all(calls::reply(id, &completion).as_bytes());
        if sent.is_err() || !primary.as_ref().is_ok_and(Client::alive) {
            return;
        }
    }
}

/// The primary, as the node's sentinel knows it.
fn find(config: Config) -> Result<Dialogue<Link>, String> {
    let deadline = Instant::now() + PATIENCE;
    let dial = |address: IpAddr, port: u16| {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE);
        stream.map(Connection::new).map_err(|e| format!("dialling {address}:{port}: {e}"))
    };
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (address, port) = if config.sentinel {
        let (address, port) = servers::primary_of(&mut dial(here, servers::SENTINEL_PORT)?, deadline)?;
        (address.parse().map_err(|e| format!("the address {address}: {e}"))?, port)
    } else {
        (here, servers::PORT)
    };
    let mut connection = dial(address, port)?;
    servers::is_primary(&mut connection, deadline)?;
    let dialect = Dialect { lease: config.lease, fencing: config.fencing };
    Ok(Dialogue::new(Link::one(connection), Box::new(move |call| api::begin("lock", call, dialect))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_told_what_it_must_know() {
        let config = Config { port: 6390, sentinel: true, lease: 1000, fencing: false };
        assert_eq!(Config::read(&config.arguments()), Some(config));
        assert_eq!(Config::read(&[]), None);
        assert_eq!(holder_main(&["x".to_string()]), ExitCode::from(64));
    }
}
