//! A cluster of somebody else's daemons on other machines: started there by us, or run by somebody and only used.

use super::service::{Part, Service, Way};
use crate::client::{HostsPlace, System};
use crate::commands::heal::RunHosts;
use crate::control::disk::{self, forget};
use crate::control::host::{Host, HostError, quote};
use crate::control::hosts::ledger::Thing;
use crate::control::hosts::process::{Finder, Owner, write_down};
use crate::control::hosts::{self, ChangeMembers, HostCluster, Known, each};
use crate::control::reach;
use crate::store::node_dir;
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
/// How long asking a host for something small may take.
const LOOK: Duration = Duration::from_secs(10);
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
fn pid_file(system: &str, part: &Part) -> String {
    format!("/run/perjury-{system}-{}.pid", part.name)
}

/// The file in which it stands whose they are.
fn owner(system: &str, run: &str) -> Owner {
    Owner { file: format!("/run/perjury-{system}.run"), run: run.to_string() }
}

impl<S: Service> HostedCluster<S> {
    /// Starts the system on its hosts, or finds it there, and returns when all nodes serve clients. `service` is made
    /// when names and addresses are known.
    pub fn start(
        system: &dyn System,
        place: &HostsPlace,
        dir: &Path,
        service: impl FnOnce(Vec<(String, String)>) -> Result<S, String>,
    ) -> Result<HostedCluster<S>, String> {
        let hosts = reach::hosts(&place.nodes, &place.ssh).map_err(|failure| failure.message)?;
        let addresses = hosts.iter().map(|host| address(&**host)).collect::<Result<Vec<_>, _>>()?;
        let members = addresses.iter().enumerate().map(|(at, a)| (format!("n{}", at + 1), a.to_string()));
        let service = Arc::new(service(members.collect())?);
        let parts = service.parts();
        let id = format!("{:08x}", RandomState::new().hash_one("ledger") as u32);
        let plan = Plan {
            system: system.name(),
            installed: system.installed(),
            parts: &parts,
            waves: service.waves(hosts.len()),
            owner: owner(system.name(), &id),
        };
        RunHosts { id: id.clone(), nodes: place.nodes.clone(), ssh: place.ssh.clone() }.write(dir)?;
        let services = (0..hosts.len()).map(|node| plan.wanted(&*service, node, place.no_db)).collect();
        let (asked, at, names) = (service.clone(), addresses.clone(), place.nodes.clone());
        let reached = hosts.clone();
        let ask_role = move |node: usize| {
            let role = over(&reached, &at, node, &names[node], |way| asked.role(way));
            role.map_err(|e| format!("{}: asking for its role: {e}", names[node]))
        };
        let cluster = HostCluster::new(hosts.clone(), services, &id, LEASE, Some(Box::new(ask_role)))?;
        if service.changes_members() && !place.no_db {
            cluster.with_members(Box::new(ByOthers {
                service: service.clone(),
                hosts: hosts.clone(),
                addresses: addresses.clone(),
            }));
        }
        let (dir, ours, ended) = (dir.to_path_buf(), !place.no_db, AtomicBool::new(false));
        let hosted = HostedCluster { service, cluster, hosts, addresses, dir, ours, ended };
        let deadline = Instant::now() + LEASE.max(hosted.service.patience());
        let started = if hosted.ours { hosted.launch(&plan, deadline) } else { Ok(()) };
        match started.and_then(|()| {
            hosted.await_all("waiting until it serves", deadline, |way, soon| {
                hosted.service.serves(way, soon)
            })?;
            hosted.sync()
        }) {
            Ok(()) => Ok(hosted),
            Err(why) => {
                let notes = hosted.end();
                Err([&[why], &notes[..]].concat().join("; "))
            }
        }
    }

    /// Writes out what was set up: it has been there for long where people run it, and no loss of power takes it.
    fn sync(&self) -> Result<(), String> {
        let dirs = if self.ours { self.service.disk() } else { Vec::new() };
        let script: String = dirs.iter().map(|dir| disk::sync(dir)).collect();
        collect(each(&self.hosts, |_, host| host.sh(&script, LEASE).map(drop)))
    }

    /// Starts the daemons with nothing of an earlier run, after the hosts have been told how to end them.
    fn launch(&self, plan: &Plan<'_>, deadline: Instant) -> Result<(), String> {
        let system = plan.system;
        // Logs are copied before they are removed; after a lost controller they stay, to be looked at.
        let data = self.service.data();
        let owned = [data.clone(), self.service.logs()].concat();
        let ourselves = self.service.ourselves();
        let program = ourselves.map(|_| std::fs::read("/proc/self/exe")).transpose();
        let program = program.map_err(|error| format!("reading this program: {error}"))?;
        let prepare = |at: usize, host: &dyn Host| -> Result<(), HostError> {
            let installed = format!("({}) && echo yes || echo no", plan.installed);
            if host.sh(&installed, LOOK)?.lines().last() != Some("yes") {
                let act = format!("starting {system}");
                let programs = plan.parts.iter().map(|part| part.program.as_str()).collect::<Vec<_>>();
                return Err(host.failed(&act, &format!("there is no {} on it", programs.join(" or no "))));
            }
            let kill = hosts::process::kill(&plan.finder(at));
            let ours = &plan.owner;
            let brought = ourselves.iter().map(|path| path.to_string());
            let forgotten: Vec<String> =
                data.iter().cloned().chain(brought).chain([ours.file.clone()]).collect();
            let undo = format!("{} || exit 0\n({kill}) || exit 1\n{}", ours.holds(), forget(&forgotten));
            self.cluster.note(at, Thing::End, &format!("running {system}"), &undo)?;
            // Whatever an earlier run has left ends here, and what that one still has to undo is over with it.
            let kill = hosts::process::kill(&Finder::PidFiles(plan.files(at)));
            let begin = format!("{} || exit 1\n({kill}) || exit 1\n{}", ours.take(), forget(&owned));
            host.sh(&begin, LEASE)?;
            if let (Some(path), Some(program)) = (ourselves, &program) {
                bring(host, path, program)?;
            }
            match self.service.prepare(at) {
                Some(script) => host.sh(&script, self.service.patience()).map(drop),
                None => Ok(()),
            }
            .map_err(|error| error.doing(&format!("readying it for {system}")))
        };
        collect(each(&self.hosts, prepare))?;
        for wave in &plan.waves {
            let of = |at: usize| wave.iter().filter(move |(node, _)| *node == at).map(|(_, part)| *part);
            let start = |at: usize, host: &dyn Host| {
                let mut parts = of(at);
                parts.try_for_each(|part| {
                    let started = host.sh(&plan.start_command(&*self.service, at, part, true), LEASE);
                    started.map(drop).map_err(|e| e.doing(&format!("starting {}", plan.parts[part].name)))
                })
            };
            collect(each(&self.hosts, start))?;
            for &(node, part) in wave {
                let act = format!("waiting for {}", plan.parts[part].name);
                self.await_one(node, &act, deadline, &|way, soon| self.service.risen(way, part, soon))?;
            }
        }
        self.with_ways(|ways| self.service.assemble(ways))
    }

    fn await_all(
        &self,
        act: &str,
        deadline: Instant,
        seen: impl Fn(&Way<'_>, Instant) -> Result<(), String>,
    ) -> Result<(), String> {
        (0..self.hosts.len()).try_for_each(|node| self.await_one(node, act, deadline, &seen))
    }

    fn await_one(
        &self,
        node: usize,
        act: &str,
        deadline: Instant,
        seen: &dyn Fn(&Way<'_>, Instant) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            let soon = deadline.min(Instant::now() + Duration::from_secs(2));
            let why = match over(&self.hosts, &self.addresses, node, self.name(node), |way| seen(way, soon)) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            let dead = self.ours && self.cluster.state(node)? == NodeState::Dead;
            if dead || Instant::now() >= deadline {
                let why = if dead { "its process has ended".to_string() } else { why };
                return Err(format!("{}: {act}: {why}{}", self.name(node), self.last_words(node)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn name(&self, node: usize) -> &str {
        &self.cluster.nodes()[node]
    }

    /// The last line of its log.
    fn last_words(&self, node: usize) -> String {
        let logs = if self.ours { self.service.logs() } else { Vec::new() };
        let said = logs.iter().find_map(|path| {
            let said = self.hosts[node].sh(&format!("tail -n 1 {}", quote(path)), LOOK);
            said.ok().filter(|said| !said.is_empty())
        });
        said.map_or(String::new(), |said| format!(": {said}"))
    }

    /// A connection to a port of a node, as clients make it.
    pub fn dial(&self, node: usize, port: u16, deadline: Instant) -> Result<TcpStream, String> {
        let name = self.cluster.nodes().get(node).ok_or_else(|| format!("there is no node number {node}"))?;
        dial(self.addresses[node], port, deadline).map_err(|e| format!("{name}: dialling: {e}"))
    }

    /// Asks a node something.
    pub fn ask<T>(&self, node: usize, act: impl FnOnce(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        over(&self.hosts, &self.addresses, node, self.name(node), act)
            .map_err(|why| format!("{}: {why}", self.name(node)))
    }

    /// The ways to all nodes.
    fn with_ways<T>(&self, act: impl FnOnce(&[Way<'_>]) -> T) -> T {
        let ends: Vec<_> = self
            .hosts
            .iter()
            .zip(&self.addresses)
            .map(|(host, &at)| {
                let dial = move |port, deadline| dial(at, port, deadline);
                let sh = move |command: &str, patience| host.sh(command, patience);
                (dial, sh)
            })
            .collect();
        let way = |(node, (dial, sh))| Way::new(node, self.name(node), dial, sh);
        act(&ends.iter().map(|(dial, sh)| (dial as _, sh as _)).enumerate().map(way).collect::<Vec<_>>())
    }

    /// Copies the logs, ends what was started, heals everything, and says what a reader of the report should know.
    pub fn end(&self) -> Vec<String> {
        if self.ended.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let logs = if self.ours { self.service.logs() } else { Vec::new() };
        let mut notes = Vec::new();
        for (host, path) in self.hosts.iter().flat_map(|host| logs.iter().map(move |path| (host, path))) {
            let dir = self.dir.join(node_dir(host.name()));
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

/// Puts this program on a host, where it must run.
fn bring(host: &dyn Host, path: &str, program: &[u8]) -> Result<(), HostError> {
    host.upload(program, path, 0o755, Instant::now() + COPY)?;
    let output = host.exec(&format!("{} --version", quote(path)), &[], Instant::now() + LOOK)?;
    if output.ok() {
        return Ok(());
    }
    let why = format!("{} (scripts/static builds one that needs nothing of the machine)", output.why());
    Err(host.failed(&format!("running this program as {path}"), &why))
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

/// Asks a host something.
fn over<T>(
    hosts: &[Arc<dyn Host>],
    addresses: &[IpAddr],
    node: usize,
    name: &str,
    act: impl FnOnce(&Way<'_>) -> T,
) -> T {
    let dialled = |port, deadline| dial(addresses[node], port, deadline);
    let sh = |command: &str, patience| hosts[node].sh(command, patience);
    act(&Way::new(node, name, &dialled, &sh))
}

/// Changes of the members, asked of any other node.
struct ByOthers<S> {
    service: Arc<S>,
    hosts: Vec<Arc<dyn Host>>,
    addresses: Vec<IpAddr>,
}

impl<S: Service> ByOthers<S> {
    fn ask<T>(&self, node: usize, act: impl Fn(&Way<'_>) -> Result<T, String>) -> Result<T, String> {
        let mut why = "there is no other node".to_string();
        for other in (0..self.hosts.len()).filter(|other| *other != node) {
            let name = self.hosts[other].name();
            match over(&self.hosts, &self.addresses, other, name, &act) {
                Ok(value) => return Ok(value),
                Err(said) => why = format!("{name} says: {said}"),
            }
        }
        Err(why)
    }
}

impl<S: Service> ChangeMembers for ByOthers<S> {
    fn leave(&self, node: usize) -> Result<(), String> {
        self.ask(node, |other| self.service.leave(other, node))
    }

    fn join(&self, node: usize) -> Result<(), String> {
        self.ask(node, |other| self.service.join(other, node))
    }

    fn member(&self, node: usize) -> Result<bool, String> {
        self.ask(node, |other| self.service.member(other, node))
    }
}

/// Which daemons run where, and how they are found and started.
struct Plan<'a> {
    system: &'a str,
    /// A shell command that says whether it is installed.
    installed: &'a str,
    parts: &'a [Part],
    waves: Vec<Vec<(usize, usize)>>,
    /// This run.
    owner: Owner,
}

impl Plan<'_> {
    /// The parts of a node, in the order in which they start.
    fn parts_of(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.waves.iter().flatten().filter(move |(at, _)| *at == node).map(|(_, part)| *part)
    }

    fn file(&self, part: usize) -> String {
        pid_file(self.system, &self.parts[part])
    }

    fn files(&self, node: usize) -> Vec<String> {
        self.parts_of(node).map(|part| self.file(part)).collect()
    }

    fn finder(&self, node: usize) -> Finder {
        Finder::Ours(self.files(node), self.owner.clone())
    }

    fn finder_of(&self, part: usize) -> Finder {
        Finder::Ours(vec![self.file(part)], self.owner.clone())
    }

    /// Starts a part, and leaves its number in our file.
    fn start_command<S: Service>(&self, service: &S, node: usize, part: usize, new: bool) -> String {
        write_down(service.start_command(node, part, new).trim_end(), &self.file(part))
    }

    /// How the node's processes are found, and started again if they are ours: those that are dead.
    fn wanted<S: Service>(&self, service: &S, node: usize, no_db: bool) -> hosts::Service {
        let port = service.peer_port();
        if no_db {
            let finder = Finder::Name(self.parts[0].program.clone());
            let of = |part: &Part| (part.name.clone(), Finder::Name(part.program.clone()));
            let known = Known { parts: self.parts.iter().map(of).collect(), ..Known::default() };
            return hosts::Service { finder, start: None, ready: None, port, known };
        }
        let start = |part: usize| {
            let state = hosts::process::state(&self.finder_of(part));
            let start = self.start_command(service, node, part, false);
            format!("case $(\n{state}) in dead)\n{start};; esac\n")
        };
        let start: String = self.parts_of(node).map(start).collect();
        let of = |part: usize| (self.parts[part].name.clone(), self.finder_of(part));
        let known = Known {
            parts: self.parts_of(node).map(of).collect(),
            data: service.disk().into_iter().next(),
            files: service.files(),
            logs: service.logs(),
        };
        hosts::Service { finder: self.finder(node), start: Some(start), ready: None, port, known }
    }
}
