//! Labs that outlive the command that made them: a process in the background holds each, and a file in /run names it.
//!
//! The file is only a note. The lab is the process: it is over when that ends, whoever ends it.

use super::node::ourselves;
use super::switch::Network;
use super::{Lab, LabSpec, Links, able, disk, sshd};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process, setsid};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Where the notes are.
const NOTES: &str = "/run/perjury/labs";
/// How long the end of a lab may take.
const DOWN: Duration = Duration::from_secs(10);

/// A lab that somebody made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Detached {
    /// Its name.
    pub name: String,
    /// The process that holds it.
    holder: Process,
    /// The last-but-one number of its addresses.
    network: u8,
    /// Its nodes.
    pub nodes: Vec<Node>,
}

/// A node of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Node {
    /// `n1`
    pub name: String,
    /// Where it is reached from this machine.
    pub address: Ipv4Addr,
    /// Its first process.
    init: Process,
    /// The process beside it, which ends after it.
    keeper: Process,
}

/// A process that no other can be taken for: numbers are given again, but not with the same beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// Clock ticks since the machine began.
    pub(super) began: u64,
}

impl Process {
    /// The process of that number now.
    pub(super) fn of(pid: u32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // Field 3 is the state, field 22 the beginning.
        let alive = !matches!(*fields.first()?, "Z" | "X");
        alive.then_some(Process { pid, began: fields.get(19)?.parse().ok()? })
    }

    pub(super) fn lives(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    fn kill(self) {
        if let (true, Some(pid)) = (self.lives(), i32::try_from(self.pid).ok().and_then(Pid::from_raw)) {
            // Whoever has just ended needs no signal.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

impl Node {
    fn lives(&self) -> bool {
        self.init.lives() || self.keeper.lives()
    }

    /// The process id of its first process, as this machine counts.
    pub fn init(&self) -> u32 {
        self.init.pid
    }
}

/// What the process in the background is told.
#[derive(Serialize, Deserialize)]
struct Hold {
    name: String,
    nodes: usize,
    network: u8,
    seed: u64,
    delay: Duration,
    capture: Option<(PathBuf, Option<Vec<(String, String)>>)>,
    disk: Option<String>,
    ssh: bool,
}

fn note(name: &str) -> PathBuf {
    Path::new(NOTES).join(format!("{name}.json"))
}

/// The directory with a lab's keys, if it has any.
fn keys(name: &str) -> PathBuf {
    Path::new(NOTES).join(format!("{name}.ssh"))
}

/// How the nodes of a lab are reached by SSH, if they are.
pub fn by_ssh(lab: &Detached) -> Option<String> {
    let keys = keys(&lab.name);
    let first = lab.nodes.first().filter(|_| keys.exists())?;
    Some(sshd::how(&keys, first.address))
}

/// One lab command at a time: holds the directory of the notes, which is made if it is not there.
fn locked() -> Result<File, String> {
    let failed = |e: io::Error| format!("{NOTES}: {e}");
    loop {
        fs::create_dir_all(NOTES).map_err(failed)?;
        let Ok(dir) = File::open(NOTES) else { continue };
        flock(&dir, FlockOperation::LockExclusive).map_err(|e| failed(e.into()))?;
        // Whoever held it before may have taken it away with his last note.
        let held = dir.metadata().map_err(failed)?.ino();
        if fs::metadata(NOTES).is_ok_and(|now| now.ino() == held) {
            return Ok(dir);
        }
    }
}

/// Takes the directory away if there is no note in it.
fn tidy() {
    for dir in Path::new(NOTES).ancestors().take(2) {
        // It is not empty, or somebody else was quicker: both are as they should be.
        let _ = fs::remove_dir(dir);
    }
}

/// All labs that are up, by name. Notes of labs that have ended are taken away.
pub fn all() -> Result<Vec<Detached>, String> {
    let entries = match fs::read_dir(NOTES) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(format!("{NOTES}: {e}")),
    };
    let mut labs = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let lab: Detached = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        if lab.holder.lives() {
            labs.push(lab);
        } else {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(keys(&lab.name));
        }
    }
    labs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(labs)
}

/// The lab of that name, or the only one.
pub fn find(name: Option<&str>) -> Result<Detached, String> {
    let labs = all()?;
    let names = labs.iter().map(|lab| lab.name.as_str()).collect::<Vec<_>>().join(", ");
    match name {
        Some(name) => {
            let there = if names.is_empty() { "none is".to_string() } else { format!("there is {names}") };
            labs.into_iter()
                .find(|lab| lab.name == name)
                .ok_or_else(|| format!("no lab {name:?} is up ({there})"))
        }
        None if labs.len() == 1 => Ok(labs.into_iter().next().expect("one")),
        None if labs.is_empty() => Err("no lab is up; `perjury lab up` makes one".into()),
        None => Err(format!("several labs are up ({names}); say which with --name")),
    }
}

/// A lab that somebody wants.
pub struct Wish {
    /// Its name.
    pub name: String,
    /// How many nodes.
    pub nodes: usize,
    /// The seed of all chances of its links.
    pub seed: u64,
    /// How long everything takes on each of its links, in each direction.
    pub delay: Duration,
    /// A file for the packets of these links.
    pub capture: Option<(PathBuf, Links)>,
    /// A directory of each node that is to be a disk of its own.
    pub disk: Option<String>,
    /// Whether each node is to have an sshd.
    pub ssh: bool,
}

/// Makes a lab that stays when this process has ended.
pub fn up(wish: &Wish) -> Result<Detached, String> {
    able()?;
    let name = wish.name.as_str();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
        return Err(format!("a lab's name has letters, digits and dashes, not {name:?}"));
    }
    let _lock = locked()?;
    let labs = all()?;
    if labs.iter().any(|lab| lab.name == name) {
        return Err(format!("a lab {name:?} is up already; `perjury lab down --name {name}` ends it"));
    }
    let network = free_network(&labs)?;
    let capture = wish.capture.clone().map(|(path, links)| match links {
        Links::All => (path, None),
        Links::Between(pairs) => (path, Some(pairs)),
    });
    let Wish { nodes, seed, delay, ref disk, ssh, .. } = *wish;
    let hold = Hold { name: name.to_string(), nodes, network, seed, delay, capture, disk: disk.clone(), ssh };
    let text = serde_json::to_string(&hold).expect("plain data");
    let mut holder = ourselves(&["lab-hold", &text])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|e| format!("starting the lab's process: {e}"))?;
    let mut answer = String::new();
    if let Some(pipe) = holder.stdout.take() {
        BufReader::new(pipe).read_line(&mut answer).map_err(|e| format!("the lab's process: {e}"))?;
    }
    serde_json::from_str::<Result<Detached, String>>(&answer).unwrap_or_else(|_| {
        let _ = holder.wait();
        Err("the lab's process has ended without a word".into())
    })
}

/// A network that neither another lab nor a route of this machine uses.
fn free_network(labs: &[Detached]) -> Result<u8, String> {
    let routes = fs::read_to_string("/proc/net/route").map_err(|e| format!("/proc/net/route: {e}"))?;
    // Destinations are written as the machine stores them: 10.77.N.0 on a little-endian one is 00NN4D0A.
    let taken = |n: u8| {
        let route = format!("{:08X}", u32::from_ne_bytes([10, 77, n, 0]));
        labs.iter().any(|lab| lab.network == n)
            || routes.lines().any(|line| line.split_whitespace().nth(1) == Some(&route))
    };
    (1..=250)
        .find(|n| !taken(*n))
        .ok_or_else(|| "all networks from 10.77.1.0 to 10.77.250.0 are taken".into())
}

/// Ends a lab, and returns when nothing of it is left.
pub fn down(lab: &Detached) -> Result<(), String> {
    let _lock = locked()?;
    lab.holder.kill();
    let deadline = Instant::now() + DOWN;
    while lab.holder.lives() || lab.nodes.iter().any(Node::lives) || interface(lab.network) {
        if Instant::now() > deadline {
            return Err(format!("lab {:?} has not ended within {} s", lab.name, DOWN.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let path = note(&lab.name);
    fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    // It has none, unless it was asked for.
    let _ = fs::remove_dir_all(keys(&lab.name));
    tidy();
    Ok(())
}

fn interface(network: u8) -> bool {
    fs::metadata(format!("/sys/class/net/perjury{network}")).is_ok()
}

/// The main function of the process in the background: `perjury lab-hold`.
pub fn hold_main(args: &[String]) -> ExitCode {
    let held = args
        .first()
        .ok_or_else(|| "a lab's process is started by `perjury lab up`".to_string())
        .and_then(|text| {
            let hold: Hold = serde_json::from_str(text).map_err(|e| format!("the lab's argument: {e}"))?;
            // A closed terminal is no reason to end.
            setsid().map(drop).or(Ok::<(), rustix::io::Errno>(())).map_err(|e| e.to_string())?;
            make(&hold)
        });
    let (lab, answer) = match held {
        Ok((lab, detached)) => (Some(lab), Ok(detached)),
        Err(why) => (None, Err(why)),
    };
    let line = serde_json::to_string::<Result<Detached, String>>(&answer).expect("plain data");
    let said = io::stdout().write_all(format!("{line}\n").as_bytes());
    match lab {
        // Who asked is gone, and nobody else knows of the lab.
        Some(_) if said.is_err() => ExitCode::FAILURE,
        Some(_lab) => loop {
            // Everything else is done by the switch; the end comes as a signal.
            std::thread::park();
        },
        None => ExitCode::FAILURE,
    }
}

fn make(hold: &Hold) -> Result<(Lab, Detached), String> {
    let spec = LabSpec {
        nodes: hold.nodes,
        network: Network(hold.network),
        here: true,
        seed: hold.seed,
        delay: hold.delay,
        groups: hold.ssh,
        capture: hold.capture.clone().map(|(path, pairs)| (path, pairs.map_or(Links::All, Links::Between))),
    };
    let lab = Lab::up(&spec)?;
    let hosts: Vec<_> = (0..hold.nodes).map(|node| lab.host(node)).collect();
    if let Some(dir) = &hold.disk {
        for host in &hosts {
            disk::give(host, &[dir.as_str()])?;
        }
    }
    let gone = |what: &str| format!("{what} has ended already");
    let nodes = lab.names().into_iter().enumerate().map(|(i, name)| {
        let init = Process::of(lab.init(i)).ok_or_else(|| gone(&name))?;
        let keeper = Process::of(lab.keeper(i)).ok_or_else(|| gone(&name))?;
        Ok(Node { name, address: spec.network.node(i), init, keeper })
    });
    let detached = Detached {
        name: hold.name.clone(),
        holder: Process::of(std::process::id()).ok_or_else(|| gone("the lab's process"))?,
        network: hold.network,
        nodes: nodes.collect::<Result<Vec<Node>, String>>()?,
    };
    if hold.ssh {
        sshd::start(&hosts, &keys(&hold.name))?;
    }
    let text = serde_json::to_string(&detached).expect("plain data");
    let path = note(&hold.name);
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok((lab, detached))
}
