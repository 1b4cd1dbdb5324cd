//! A cluster on hosts: reached through the port of hosts, hurt by shell commands, healed by what the hosts keep.
//!
//! ```text
//!   fault ── journal ── HostCluster ──▶ Host (SSH, lab, here) ──▶ firewall.rs  process.rs  shaping.rs  skew.rs
//!                            └── ledger.rs: on each host, how to undo what was done, before it is done
//! ```

mod firewall;
pub mod ledger;
mod ports;
pub mod process;
mod shaping;
mod skew;
#[cfg(all(test, feature = "ssh"))]
pub(crate) mod tests;

use super::disk::Mounts;
use super::host::{Host, HostError, quote};
use firewall::{Control, Cut, Tool};
use ledger::{Ledger, Thing};
use nemesis::{ClockSetting, Cluster, DiskState, End, Link, LinkRule, NodeState, Pass, Role};
use process::Finder;
use skew::Saved;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a look at a host may take.
const LOOK: Duration = Duration::from_secs(5);
/// How long a node may take to start and to answer.
const START: Duration = Duration::from_secs(60);
/// How long a probe waits on a healthy link; the delay of a slow one is added. A shell must start in that time, too.
const PROBE: Duration = Duration::from_secs(1);

/// How a node's process is found, started and probed.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its process.
    pub finder: Finder,
    /// A command that starts it and returns. `None`: we may not, and so it is not killed either.
    pub start: Option<String>,
    /// A command that ends with exit code 0 when it answers. Without one, a process is enough.
    pub ready: Option<String>,
    /// A port on which it listens: probes of links dial it.
    pub port: u16,
    /// What else is known of it.
    pub known: Known,
}

/// What of a service some faults must know.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Its daemons by name, the database first, and how the processes of each are found.
    pub parts: Vec<(String, Finder)>,
    /// The directory that its data are in.
    pub data: Option<String>,
    /// Files that hold what it has been told, as patterns of the shell.
    pub files: Vec<String>,
    /// Its logs.
    pub logs: Vec<String>,
}

/// How the members of a system are changed: by questions to the nodes but the first of these numbers, which is the one that
/// is taken out or in.
pub trait ChangeMembers: Send + Sync {
    /// Takes it out.
    fn leave(&self, node: usize) -> Result<(), String>;
    /// Takes it in.
    fn join(&self, node: usize) -> Result<(), String>;
    /// Whether it is one.
    fn member(&self, node: usize) -> Result<bool, String>;
}

/// What a node thinks it is, by a question to the system.
pub type AskRole = dyn Fn(usize) -> Result<Option<Role>, String> + Send + Sync;

/// A cluster on hosts. Dropping it heals whatever is still applied.
pub struct HostCluster {
    names: Vec<String>,
    hosts: Vec<Arc<dyn Host>>,
    services: Vec<Service>,
    ledger: Ledger,
    nodes: Vec<Mutex<Node>>,
    /// All addresses of each node that no other has.
    addresses: Vec<Vec<IpAddr>>,
    /// Every rule that is not the healthy one.
    links: Mutex<BTreeMap<Link, LinkRule>>,
    ask_role: Option<Box<AskRole>>,
    members: OnceLock<Box<dyn ChangeMembers>>,
}

/// What is known of a node's host.
#[derive(Default)]
struct Node {
    /// Whether it has a ledger of this run.
    opened: bool,
    /// Whether links that end there are cut, or were to be: only then is there something to undo.
    cut: bool,
    /// The same of links that are slow.
    slow: bool,
    firewall: Option<(Tool, Option<Control>)>,
    clock: Option<Saved>,
    /// Its clock minus ours at the beginning.
    ahead_ns: i64,
    /// Processes that were stopped, as `process::list` has printed them.
    stopped: String,
    /// Whether its processes are frozen.
    frozen: bool,
    /// What its disk was made to do, and how that is undone.
    disk: Option<DiskState>,
    /// Where its disk is mounted.
    mounts: Option<Mounts>,
}

/// Does the same on all hosts at once; the results in their order.
pub fn each<T: Send>(
    hosts: &[Arc<dyn Host>],
    act: impl Fn(usize, &dyn Host) -> Result<T, HostError> + Sync,
) -> Vec<Result<T, HostError>> {
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            hosts.iter().enumerate().map(|(at, host)| scope.spawn(move || act(at, &**host))).collect();
        let panicked = |at: usize| hosts[at].failed("working on it", "its thread has panicked");
        threads
            .into_iter()
            .enumerate()
            .map(|(at, t)| t.join().unwrap_or_else(|_| Err(panicked(at))))
            .collect()
    })
}

/// All values, or all errors in one.
fn all<T>(results: Vec<Result<T, HostError>>) -> Result<Vec<T>, String> {
    let mut values = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error.to_string()),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors.join("; ")) }
}

impl HostCluster {
    /// A cluster on these hosts, one service each, which is not started. `id` names its ledgers and its rules: eight
    /// hexadecimal digits. Asks every host for its addresses and its clock.
    pub fn new(
        hosts: Vec<Arc<dyn Host>>,
        services: Vec<Service>,
        id: &str,
        lease: Duration,
        ask_role: Option<Box<AskRole>>,
    ) -> Result<Arc<HostCluster>, String> {
        assert_eq!(hosts.len(), services.len(), "one service a host");
        let known = all(each(&hosts, |_, host| {
            let said = host.sh("hostname -I 2>/dev/null || ip -o addr show scope global 2>/dev/null | sed 's/.* inet6* \\([^/ ]*\\).*/\\1/' || true", LOOK)?;
            let mut own: BTreeSet<IpAddr> =
                said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            // It is enough if the host knows: from here its name may be an alias.
            own.extend((host.address(), 0).to_socket_addrs().into_iter().flatten().map(|a| a.ip()));
            own.retain(|address| !address.is_unspecified());
            if own.is_empty() {
                return Err(host.failed("asking for its addresses", "it has none that we know"));
            }
            Ok((own, skew::ahead(host, LOOK)?))
        }))?;
        // What several hosts have (the bridge of a container engine, say) leads to none of them.
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        known.iter().flat_map(|(own, _)| own).for_each(|address| *counts.entry(*address).or_default() += 1);
        let addresses = known.iter().map(|(own, _)| own.iter().copied().filter(|a| counts[a] == 1).collect());
        let nodes = known.iter().map(|(_, ahead)| Mutex::new(Node { ahead_ns: *ahead, ..Node::default() }));
        let cluster = Arc::new(HostCluster {
            names: hosts.iter().map(|host| host.name().to_string()).collect(),
            services,
            ledger: Ledger { id: id.to_string(), lease },
            nodes: nodes.collect(),
            addresses: addresses.collect(),
            links: Mutex::default(),
            ask_role,
            members: OnceLock::new(),
            hosts,
        });
        keep_leases(&cluster);
        Ok(cluster)
    }

    /// Writes down on a host how something is undone that its owner does himself.
    pub fn note(&self, node: usize, thing: Thing, about: &str, undo: &str) -> Result<(), HostError> {
        let (host, mut known) = (&*self.hosts[node], self.lock(node));
        self.opened(host, &mut known)?;
        self.ledger.act(host, thing, about, undo, "true", "").map(drop)
    }

    /// By how many nanoseconds the clock of each host was ahead of ours when we came to it, give or take the way there.
    pub fn ahead(&self) -> Vec<(String, i64)> {
        self.names.iter().enumerate().map(|(node, name)| (name.clone(), self.lock(node).ahead_ns)).collect()
    }

    /// Says how members are changed.
    pub fn with_members(&self, members: Box<dyn ChangeMembers>) {
        // Who says it twice has said it.
        let _ = self.members.set(members);
    }

    /// Undoes everything on every host, and closes the ledgers. Gives what was undone, a line each.
    pub fn heal(&self) -> Result<Vec<String>, String> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let healed = all(each(&self.hosts, |at, host| {
            let mut node = self.lock(at);
            if !node.opened {
                return Ok(String::new());
            }
            let healed = self.ledger.close(host)?;
            *node = Node { ahead_ns: node.ahead_ns, ..Node::default() };
            Ok(healed)
        }))?;
        let named = |(at, text): (usize, String)| {
            let name = self.names[at].clone();
            text.lines().map(|l| format!("{name}: {}", l.trim_start_matches("# "))).collect::<Vec<_>>()
        };
        Ok(healed.into_iter().enumerate().flat_map(named).collect())
    }

    fn lock(&self, node: usize) -> MutexGuard<'_, Node> {
        // After a panic what is known is still right: it is only noted after the host has answered.
        self.nodes[node].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn host(&self, node: usize) -> Result<&dyn Host, String> {
        self.hosts.get(node).map(|host| &**host).ok_or_else(|| format!("there is no node number {node}"))
    }

    fn service(&self, node: usize) -> Result<&Service, String> {
        self.services.get(node).ok_or_else(|| format!("there is no node number {node}"))
    }

    fn opened(&self, host: &dyn Host, node: &mut Node) -> Result<(), HostError> {
        if !node.opened {
            self.ledger.open(host)?;
            node.opened = true;
        }
        Ok(())
    }

    /// Puts in force on one host what the links that end there, or begin there and are slow, are to be.
    fn apply(&self, at: usize, host: &dyn Host, links: &BTreeMap<Link, LinkRule>) -> Result<(), HostError> {
        let mut node = self.lock(at);
        self.cut(at, host, links, &mut node)?;
        let slow: Vec<(Vec<IpAddr>, LinkRule)> = links
            .iter()
            .filter(|(link, rule)| {
                link.from == End::Node(at) && LinkRule { pass: Pass::Flow, ..**rule } != LinkRule::default()
            })
            .map(|(link, rule)| match &link.to {
                End::Node(to) => Ok((self.addresses[*to].clone(), *rule)),
                End::Clients => {
                    Err(host.failed("slowing its clients", "only links between hosts can be slow"))
                }
            })
            .collect::<Result<_, _>>()?;
        if slow.is_empty() {
            if node.slow {
                self.ledger.undo(host, Thing::Shape)?;
                node.slow = false;
            }
            return Ok(());
        }
        self.opened(host, &mut node)?;
        node.slow = true;
        self.ledger
            .act(host, Thing::Shape, "slowing links", &shaping::undo(), &shaping::shape(&slow), "")
            .map(drop)
    }

    fn cut(
        &self,
        at: usize,
        host: &dyn Host,
        links: &BTreeMap<Link, LinkRule>,
        node: &mut Node,
    ) -> Result<(), HostError> {
        let mut peers: BTreeMap<(bool, bool), Vec<IpAddr>> = BTreeMap::new();
        let mut words = Vec::new();
        for (link, rule) in links.iter().filter(|(_, rule)| rule.pass != Pass::Flow) {
            let (out, other) = match (&link.from, &link.to) {
                (from, End::Node(to)) if *to == at => (false, from),
                // What goes to clients is cut where it begins: they have no host of their own.
                (End::Node(from), End::Clients) if *from == at => (true, &End::Clients),
                (End::Node(_) | End::Clients, End::Node(_) | End::Clients) => continue,
            };
            let to = peers.entry((out, rule.pass == Pass::Close)).or_default();
            match other {
                End::Node(n) => to.extend(&self.addresses[*n]),
                End::Clients => {
                    let (_, control) = self.firewall(host, node)?;
                    let control = control.as_ref().ok_or_else(|| {
                        host.failed("cutting off its clients", "it does not say where we come from")
                    })?;
                    to.push(control.from);
                }
            }
            words.push(match other {
                End::Node(n) => self.names[*n].clone(),
                End::Clients => "clients".to_string(),
            });
        }
        if peers.is_empty() {
            if node.cut {
                self.ledger.undo(host, Thing::Net)?;
                node.cut = false;
            }
            return Ok(());
        }
        let cuts: Vec<Cut> = peers
            .into_iter()
            .map(|((out, close), peers)| Cut {
                peers,
                out,
                pass: if close { Pass::Close } else { Pass::Stall },
            })
            .collect();
        let (tool, control) = self.firewall(host, node)?;
        self.opened(host, node)?;
        node.cut = true;
        let (act, input) = tool.cut(&self.ledger.id, &cuts, control.as_ref());
        let about = format!("cutting it off from {}", words.join(" "));
        self.ledger.act(host, Thing::Net, &about, &tool.undo(&self.ledger.id), &act, &input).map(drop)
    }

    fn firewall(&self, host: &dyn Host, node: &mut Node) -> Result<(Tool, Option<Control>), HostError> {
        if let Some(known) = &node.firewall {
            return Ok(known.clone());
        }
        let ask = "echo \"$SSH_CONNECTION\"\nif nft list tables >/dev/null 2>&1; then echo nft\n\
                   elif iptables -w -n -L INPUT >/dev/null 2>&1; then echo iptables; fi\n";
        let said = host.sh(ask, LOOK)?;
        let mut lines = said.lines();
        let control = lines.next().and_then(Control::parse);
        let tool = match lines.next() {
            Some("nft") => Tool::Nft,
            Some("iptables") => Tool::Iptables,
            Some(_) | None => {
                let why =
                    "neither nft nor iptables works there (packages nftables, iptables; both need root)";
                return Err(host.failed("cutting links", why));
            }
        };
        node.firewall = Some((tool, control.clone()));
        Ok((tool, control))
    }
}

impl Drop for HostCluster {
    fn drop(&mut self) {
        // Who was healed already has no ledger any more; who cannot be reached heals itself when its lease runs out.
        let _ = self.heal();
    }
}

/// Renews the leases as long as the cluster is there.
fn keep_leases(cluster: &Arc<HostCluster>) {
    let weak: Weak<HostCluster> = Arc::downgrade(cluster);
    let (every, patience) = (cluster.ledger.lease / 4, cluster.ledger.lease / 2);
    let renew = move || {
        loop {
            let next = Instant::now() + every;
            while let Some(left) = next.checked_duration_since(Instant::now()) {
                std::thread::sleep(left.min(Duration::from_millis(100)));
                if weak.strong_count() == 0 {
                    return;
                }
            }
            let Some(cluster) = weak.upgrade() else { return };
            each(&cluster.hosts, |at, host| {
                // Whoever is busy with an act speaks to the host anyway, and the next renewal is near.
                let opened = cluster.nodes[at].try_lock().is_ok_and(|node| node.opened);
                if opened { cluster.ledger.renew(host, patience) } else { Ok(()) }
            });
        }
    };
    // Without it hosts heal themselves too early, and every later act says so.
    let _ = std::thread::Builder::new().name("leases".into()).spawn(renew);
}

impl Cluster for HostCluster {
    fn nodes(&self) -> &[String] {
        &self.names
    }

    fn set_links(&self, rules: &[(Link, LinkRule)]) -> Result<(), String> {
        let n = self.hosts.len();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let mut touched = BTreeSet::new();
        for (link, rule) in rules {
            for end in [&link.from, &link.to] {
                match end {
                    End::Node(node) if *node >= n => return Err(format!("there is no node number {node}")),
                    End::Node(node) => drop(touched.insert(*node)),
                    End::Clients => {}
                }
            }
            if *rule == LinkRule::default() {
                links.remove(link);
            } else {
                links.insert(link.clone(), *rule);
            }
        }
        let links = &*links;
        let act = |at: usize, host: &dyn Host| {
            if touched.contains(&at) { self.apply(at, host, links) } else { Ok(()) }
        };
        all(each(&self.hosts, act)).map(drop)
    }

    fn probe(&self, from: usize, to: usize) -> Result<bool, String> {
        let host = self.host(from)?;
        let port = self.service(to)?.port;
        let slow = {
            let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            let rule = |from, to| {
                links.get(&Link { from: End::Node(from), to: End::Node(to) }).copied().unwrap_or_default()
            };
            let (there, back) = (rule(from, to), rule(to, from));
            there.delay + there.jitter + back.delay + back.jitter
        };
        let patience = PROBE + slow;
        let address =
            self.addresses[to].first().ok_or_else(|| format!("{}: it has no address", self.names[to]))?;
        let (seconds, whole) = (patience.as_secs_f64(), patience.as_secs() + 1);
        let dial = quote(&format!("exec 3<>/dev/tcp/{address}/{port}"));
        let command = format!(
            "if command -v bash >/dev/null; then timeout {seconds:.3} bash -c {dial} 2>/dev/null && echo yes || echo no\n\
             elif command -v nc >/dev/null; then nc -z -w {whole} {address} {port} >/dev/null 2>&1 && echo yes || echo no\n\
             else echo 'neither bash nor nc' >&2; exit 1; fi\n"
        );
        Ok(host.sh(&command, patience + LOOK)? == "yes")
    }

    fn pause(&self, node: usize) -> Result<(), String> {
        self.stop(node, &self.service(node)?.finder)
    }

    fn resume(&self, node: usize) -> Result<(), String> {
        let host = self.host(node)?;
        let mut known = self.lock(node);
        if known.opened {
            self.ledger.undo(host, Thing::Stop)?;
        }
        known.stopped.clear();
        Ok(())
    }

    fn kill(&self, node: usize) -> Result<(), String> {
        self.end(node, &self.service(node)?.finder, "killing it")
    }

    fn start(&self, node: usize) -> Result<(), String> {
        let (host, service) = (self.host(node)?, self.service(node)?);
        if self.state(node)? == NodeState::Dead {
            let start = service
                .start
                .as_ref()
                .ok_or_else(|| String::from(host.failed("starting", "how it is started is not known")))?;
            let ours = service.finder.owner().map_or(String::new(), |owner| {
                format!("{} || {{ echo 'another run has started it since' >&2; exit 1; }}\n", owner.holds())
            });
            host.sh(&format!("{ours}{start}"), START).map_err(|error| error.doing("starting it"))?;
        }
        let deadline = Instant::now() + START;
        loop {
            let why = match (&service.ready, self.state(node)?) {
                (_, NodeState::Dead) => "it has no process".to_string(),
                (None, NodeState::Running | NodeState::Stopped) => break,
                (Some(ready), NodeState::Running | NodeState::Stopped) => {
                    let output = host.exec(ready, &[], deadline.min(Instant::now() + LOOK));
                    match output {
                        Ok(output) if output.ok() => break,
                        Ok(output) => format!("it is not ready: {}", output.why()),
                        Err(error) => error.to_string(),
                    }
                }
            };
            if Instant::now() >= deadline {
                return Err(host.failed("starting it", &why).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.lock(node).opened {
            self.ledger.undo(host, Thing::Start)?;
        }
        Ok(())
    }

    fn state(&self, node: usize) -> Result<NodeState, String> {
        let host = self.host(node)?;
        let state = self.state_of(host, &self.service(node)?.finder)?;
        // The kernel shows a frozen process as one that waits for something.
        Ok(if state == NodeState::Running && self.lock(node).frozen { NodeState::Stopped } else { state })
    }

    fn set_clock(&self, node: usize, setting: ClockSetting) -> Result<(), String> {
        let host = self.host(node)?;
        let mut known = self.lock(node);
        if setting == ClockSetting::default() {
            if known.opened {
                self.ledger.undo(host, Thing::Clock)?;
                self.ledger.undo(host, Thing::Ntp)?;
            }
            known.clock = None;
            return Ok(());
        }
        self.opened(host, &mut known)?;
        let saved = match known.clock {
            Some(saved) => saved,
            None => {
                let running =
                    host.sh(&skew::keepers(), LOOK).map_err(|error| error.doing("setting its clock"))?;
                if !running.is_empty() {
                    let (stop, start) = skew::stop_keepers(&running);
                    let about =
                        format!("stopping {}", running.split_whitespace().collect::<Vec<_>>().join(" "));
                    self.ledger.act(host, Thing::Ntp, &about, &start, &stop, "")?;
                }
                let said = host.sh(skew::save(), LOOK)?;
                let saved = Saved::parse(&said)
                    .ok_or_else(|| host.failed("saving its clock", &format!("it said {said:?}")))?;
                *known.clock.insert(saved)
            }
        };
        let set = saved.set(setting).map_err(|why| host.failed("setting its clock", &why))?;
        self.ledger.act(host, Thing::Clock, "setting its clock", &saved.undo(), &set, "")?;
        Ok(())
    }

    fn clock_offset(&self, node: usize) -> Result<i64, String> {
        Ok(skew::ahead(self.host(node)?, LOOK)? - self.lock(node).ahead_ns)
    }

    fn role(&self, node: usize) -> Result<Option<Role>, String> {
        self.ask_role.as_ref().map_or(Ok(None), |ask| ask(node))
    }

    fn disks(&self) -> Result<&dyn nemesis::Disks, String> {
        Ok(self)
    }

    fn files(&self) -> Result<&dyn nemesis::Files, String> {
        match self.services.iter().all(|service| service.known.files.is_empty()) {
            true => Err("which of its files matter is not known".into()),
            false => Ok(self),
        }
    }

    fn parts(&self) -> Result<&dyn nemesis::Parts, String> {
        match self.services.iter().all(|service| service.known.parts.is_empty()) {
            true => Err("which daemons a node has is not known".into()),
            false => Ok(self),
        }
    }

    fn freezer(&self) -> Result<&dyn nemesis::Freezer, String> {
        Ok(self)
    }

    fn members(&self) -> Result<&dyn nemesis::Members, String> {
        match self.members.get() {
            Some(_) => Ok(self),
            None => Err("this system offers no change of its members".into()),
        }
    }

    fn logs(&self) -> Result<&dyn nemesis::Logs, String> {
        match self.services.iter().all(|service| service.known.logs.is_empty()) {
            true => Err("where its logs are is not known".into()),
            false => Ok(self),
        }
    }
}
