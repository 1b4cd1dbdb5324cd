//! A cluster of somebody else's daemons on hosts: started there by us, or run by somebody and only used.

use super::service::{Service, Way};
use crate::client::HostsPlace;
use crate::commands::heal::RunHosts;
use crate::control::host::{Host, HostError, quote};
use crate::control::hosts::ledger::Thing;
use crate::control::hosts::process::Finder;
use crate::control::hosts::{self, HostCluster, each};
use crate::control::reach;
use nemesis::{Cluster, NodeState};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long hosts wait for news of the controller before they heal themselves and end what it has started.
const LEASE: Duration = Duration::from_secs(60);
/// How long a cluster may take until all its nodes work together.
const READY: Duration = Duration::from_secs(60);
/// How long copying a log may take.
const COPY: Duration = Duration::from_secs(60);

/// The daemons of a system, one on each host. Ending it ends those that it started.
pub struct HostedCluster<S> {
    /// How the system runs.
    pub service: Arc<S>,
    /// The hosts, to be hurt.
    pub cluster: Arc<HostCluster>,
    hosts: Vec<Arc<dyn Host>>,
    addresses: Vec<IpAddr>,
    dir: PathBuf,
    /// Whether the daemons are ours.
    ours: bool,
    ended: AtomicBool,
}

/// Dials a port of a host.
fn dial(address: IpAddr, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    let stream =
        TcpStream::connect_timeout(&SocketAddr::new(address, port), left.max(Duration::from_millis(1)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The file in which the number of a daemon stands that we have started.
fn pid_file(system: &str) -> String {
    format!("/run/perjury-{system}.pid")
}

impl<S: Service> HostedCluster<S> {
    /// Starts the system on its hosts, or finds it there, and returns when all nodes serve clients. `service` is made
    /// when names and addresses are known.
    pub fn start(
        system: &str,
        place: &HostsPlace,
        dir: &Path,
        service: impl FnOnce(Vec<(String, String)>) -> S,
    ) -> Result<HostedCluster<S>, String> {
        let hosts = reach::hosts(&place.nodes, &place.ssh).map_err(|failure| failure.message)?;
        let addresses = hosts.iter().map(|host| address(&**host)).collect::<Result<Vec<_>, _>>()?;
        let members = addresses.iter().enumerate().map(|(at, a)| (format!("n{}", at + 1), a.to_string()));
        let service = Arc::new(service(members.collect()));
        let id = format!("{:08x}", RandomState::new().hash_one("ledger") as u32);
        RunHosts { id: id.clone(), nodes: place.nodes.clone(), ssh: place.ssh.clone() }.write(dir)?;
        let services = (0..hosts.len()).map(|node| wanted(&*service, system, node, place.no_db)).collect();
        let (asked, at, names) = (service.clone(), addresses.clone(), place.nodes.clone());
        let ask_role = move |node: usize| {
            let dialled = |port, deadline| dial(at[node], port, deadline);
            asked
                .role(&Way::new(&dialled, node, &names[node]))
                .map_err(|e| format!("{}: asking for its role: {e}", names[node]))
        };
        let cluster = HostCluster::new(hosts.clone(), services, &id, LEASE, Some(Box::new(ask_role)))?;
        let (dir, ours) = (dir.to_path_buf(), !place.no_db);
        let hosted =
            HostedCluster { service, cluster, hosts, addresses, dir, ours, ended: AtomicBool::new(false) };
        let started = if hosted.ours { hosted.launch(system) } else { Ok(()) };
        match started.and_then(|()| hosted.await_service()) {
            Ok(()) => Ok(hosted),
            Err(why) => {
                let notes = hosted.end();
                Err([&[why], &notes[..]].concat().join("; "))
            }
        }
    }

    /// Starts the daemons with nothing of an earlier run, after the hosts have been told how to end them.
    fn launch(&self, system: &str) -> Result<(), String> {
        let owned = [self.service.data(), self.service.logs()].concat();
        let owned: Vec<String> = owned.iter().map(|path| quote(path)).collect();
        let (kill, owned) = (hosts::process::kill(&Finder::PidFile(pid_file(system))), owned.join(" "));
        let program = self.service.program();
        let prepare = |at: usize, host: &dyn Host| -> Result<(), HostError> {
            let there = host.sh(&format!("command -v {program} || true"), LEASE)?;
            if there.is_empty() {
                return Err(
                    host.failed(&format!("starting {system}"), &format!("there is no {program} on it"))
                );
            }
            // Logs are copied before; after a lost controller they stay, to be looked at.
            let data: Vec<String> = self.service.data().iter().map(|path| quote(path)).collect();
            let undo = format!("({kill}) && rm -rf -- {}\n", data.join(" "));
            self.cluster.note(at, Thing::End, &format!("running {system}"), &undo)?;
            host.sh(&format!("({kill}) && rm -rf -- {owned}"), LEASE).map(drop)
        };
        collect(each(&self.hosts, prepare))?;
        let start = |at: usize, host: &dyn Host| {
            host.sh(&start_command(&*self.service, system, at), LEASE)
                .map(drop)
                .map_err(|error| error.doing(&format!("starting {system}")))
        };
        collect(each(&self.hosts, start))
    }

    fn await_service(&self) -> Result<(), String> {
        let deadline = Instant::now() + READY;
        for (node, name) in self.cluster.nodes().iter().enumerate() {
            loop {
                let soon = deadline.min(Instant::now() + Duration::from_secs(2));
                let why = match self.ask(node, |way| self.service.serves(way, soon)) {
                    Ok(()) => break,
                    Err(why) => why,
                };
                let dead = self.ours && self.cluster.state(node)? == NodeState::Dead;
                if dead || Instant::now() >= deadline {
                    let why = if dead { "its process has ended".to_string() } else { why };
                    return Err(format!("{name}: waiting until it serves: {why}{}", self.last_words(node)));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(())
    }

    /// The last line of its log.
    fn last_words(&self, node: usize) -> String {
        let logs = if self.ours { self.service.logs() } else { &[] };
        let said = logs.iter().find_map(|path| {
            let said = self.hosts[node].sh(&format!("tail -n 1 {}", quote(path)), Duration::from_secs(10));
            said.ok().filter(|said| !said.is_empty())
        });
        said.map_or(String::new(), |said| format!(": {said}"))
    }

    /// A connection as clients make it.
    pub fn dial(&self, node: usize, deadline: Instant) -> Result<TcpStream, String> {
        let name = self.cluster.nodes().get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        dial(self.addresses[node], self.service.client_port(), deadline)
            .map_err(|e| format!("{name}: dialling: {e}"))
    }

    /// Asks a node something.
    pub fn ask<T>(&self, node: usize, act: impl FnOnce(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        let dialled = |port, deadline| dial(self.addresses[node], port, deadline);
        act(&Way::new(&dialled, node, &self.cluster.nodes()[node]))
    }

    /// Copies the logs, ends what was started, heals everything, and says what a reader of the report should know.
    pub fn end(&self) -> Vec<String> {
        if self.ended.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let logs = if self.ours { self.service.logs() } else { &[] };
        let mut notes = Vec::new();
        for (host, path) in self.hosts.iter().flat_map(|host| logs.iter().map(move |path| (host, path))) {
            // A node's name may be anything that can be typed.
            let file: String = host
                .name()
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '-' })
                .collect();
            let dir = self.dir.join(file);
            let kept = std::fs::create_dir_all(&dir)
                .and_then(|()| {
                    std::fs::File::create(dir.join(Path::new(path).file_name().unwrap_or_default()))
                })
                .map_err(|error| error.to_string())
                .and_then(|mut file| Ok(host.download(path, &mut file, Instant::now() + COPY)?));
            if let Err(why) = kept {
                notes.push(format!("The log {path} of {} could not be kept: {why}.", host.name()));
            }
        }
        if let Err(why) = self.cluster.heal() {
            notes.push(format!(
                "Not everything could be undone: {why}. Hosts heal themselves within {} s.",
                LEASE.as_secs()
            ));
        }
        notes
    }
}

impl<S> Drop for HostedCluster<S> {
    fn drop(&mut self) {
        if !self.ended.load(Ordering::SeqCst) {
            let _ = self.cluster.heal();
        }
    }
}

fn collect(results: Vec<Result<(), HostError>>) -> Result<(), String> {
    let errors: Vec<String> = results.into_iter().filter_map(|r| r.err()).map(String::from).collect();
    if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
}

/// The address of a host by which clients and the other nodes reach it.
fn address(host: &dyn Host) -> Result<IpAddr, String> {
    let mut found = (host.address(), 0).to_socket_addrs().map_err(|error| {
        String::from(host.failed("looking for its address", &format!("{}: {error}", host.address())))
    })?;
    let first =
        found.next().ok_or_else(|| String::from(host.failed("looking for its address", "it has none")))?;
    Ok(first.ip())
}

/// Starts the daemon, and leaves its number in our file.
fn start_command<S: Service>(service: &S, system: &str, node: usize) -> String {
    let file = pid_file(system);
    format!("({}) >{file}.new && mv {file}.new {file}\n", service.start_command(node).trim_end())
}

/// How the node's process is found, and started again if it is ours.
fn wanted<S: Service>(service: &S, system: &str, node: usize, no_db: bool) -> hosts::Service {
    let port = service.peer_port();
    if no_db {
        let finder = Finder::Name(service.program().to_string());
        return hosts::Service { finder, start: None, ready: None, port };
    }
    let finder = Finder::PidFile(pid_file(system));
    hosts::Service { finder, start: Some(start_command(service, system, node)), ready: None, port }
}
