//! Every fault bites and heals: on etcd in a lab, and on the same kind of nodes over SSH. Needs root, etcd and, for SSH,
//! sshd and ssh; says so where it is skipped.

mod nodes;

use nodes::{Lab, able, both, perjury};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Where etcd has its data, and the nodes a disk for it.
const DISK: Option<&str> = Some("/var/lib/perjury-etcd");

/// Clusters share two cores: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What could be left behind on this machine: mounts, loop devices, groups of processes.
fn traces() -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mut traces: Vec<String> =
        mounts.lines().filter(|line| line.contains(" ext4 ")).map(str::to_string).collect();
    let output = Command::new("losetup").arg("-a").output().expect("losetup is there");
    traces.extend(String::from_utf8_lossy(&output.stdout).lines().map(str::to_string));
    for line in mounts.lines().filter(|line| line.contains(" cgroup2 ") || line.contains("freezer")) {
        let at = line.split(' ').nth(1).expect("where it is mounted");
        let groups = fs::read_dir(at).into_iter().flatten().flatten();
        let names = groups.map(|group| group.file_name().to_string_lossy().into_owned());
        traces.extend(names.filter(|name| name.starts_with("perjury")));
    }
    traces.sort();
    traces
}

/// Runs a test of etcd until its exit code is 0, a few times: a busy machine may leave a run vacuous.
fn honest(args: &[&str]) -> serde_json::Value {
    for attempt in 1.. {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().to_string_lossy().into_owned();
        let seed = attempt.to_string();
        let all = [&["test", "etcd", "register", "--store", &store, "--seed", &seed], args].concat();
        let output = perjury(&all);
        match output.status.code() {
            Some(0) => {
                let results = fs::read_to_string(dir.path().join("etcd-register/latest/results.json"));
                return serde_json::from_str(&results.expect("results")).expect("JSON");
            }
            Some(3) if attempt < 3 => eprintln!("again: {}", both(&output)),
            code => panic!("exit code {code:?}: {}", both(&output)),
        }
    }
    unreachable!()
}

/// Asserts that a fault of each kind has bitten, and that everything was healed.
fn bitten(results: &serde_json::Value, kinds: &[&str]) {
    let faults = results["faults"].as_array().expect("faults");
    for kind in kinds {
        let bit = |fault: &&serde_json::Value| fault["kind"] == *kind && !fault["bit"].is_null();
        assert!(faults.iter().any(|fault| bit(&fault)), "no {kind} has bitten: {faults:?}");
    }
    assert!(faults.iter().all(|fault| !fault["healed"].is_null()), "{faults:?}");
}

/// Kinds that are in force by themselves, and kinds with a part or a cue.
const WANTED: &str = "power,disk-full,disk-hang,disk-read-only,freeze,bit-flip,truncate,member,pause:etcd,kill@log:became leader";
const KINDS: [&str; 10] = [
    "power",
    "disk-full",
    "disk-hang",
    "disk-read-only",
    "freeze",
    "bit-flip",
    "truncate",
    "member",
    "pause",
    "kill",
];

#[test]
fn every_fault_bites_and_heals_in_a_lab_and_leaves_nothing_behind() {
    if !able(&["etcd", "mkfs.ext4"]) {
        return;
    }
    let _alone = alone();
    let before = traces();
    let results = honest(&["--lab", "5", "--nemesis", WANTED, "--time-limit", "45s"]);
    bitten(&results, &KINDS);
    assert_eq!(traces(), before);
}

/// Power and nothing else, with everybody hit at one instant sooner or later; the log of etcd is synced, so nothing that
/// was acknowledged may be lost.
#[test]
fn etcd_keeps_what_it_has_acknowledged_when_everybody_loses_power() {
    if !able(&["etcd", "mkfs.ext4"]) {
        return;
    }
    let _alone = alone();
    let results = honest(&["--lab", "3", "--nemesis", "power@write,kill", "--time-limit", "15s"]);
    bitten(&results, &["power", "kill"]);
}

#[test]
fn every_fault_bites_and_heals_over_ssh_and_leaves_nothing_on_the_nodes() {
    if !able(&["etcd", "mkfs.ext4", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let before = traces();
    let lab = Lab::up("test-faults-ssh", 5, DISK);
    let (key, config) = (lab.key("id"), lab.key("config"));
    let place = ["--nodes", &lab.nodes, "--ssh-private-key", &key, "--ssh-config", &config];
    let wanted = format!("partition,pause,kill,{WANTED}");
    let faults = ["--nemesis", &wanted, "--time-limit", "60s"];
    let results = honest(&[&place[..], &faults].concat());
    bitten(&results, &KINDS);
    bitten(&results, &["partition"]);
    for node in ["n1", "n2", "n3", "n4", "n5"] {
        assert_eq!(lab.left(node, &["etcd"]), "", "on {node}");
    }
    drop(lab);
    assert_eq!(traces(), before);
}

/// A child that is killed when the test is over, if it still runs.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn nodes_that_refuse_or_vanish_are_named_and_the_others_are_healed() {
    if !able(&["etcd", "mkfs.ext4", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-faults-errors", 3, DISK);
    let (key, config) = (lab.key("id"), lab.key("config"));
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().to_string_lossy().into_owned();
    let test = |more: &[&str]| {
        let common =
            ["test", "etcd", "register", "--nodes", &lab.nodes, "--store", &store, "--time-limit", "60s"];
        [&common[..], more].concat().into_iter().map(str::to_string).collect::<Vec<String>>()
    };
    let fails = |args: Vec<String>, words: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_perjury")).args(&args).output().expect("it starts");
        assert_eq!(output.status.code(), Some(69), "{args:?}: {}", both(&output));
        assert!(both(&output).contains(words), "{args:?}: {words:?} is not in: {}", both(&output));
        for node in ["n1", "n2", "n3"] {
            assert_eq!(lab.left(node, &["etcd"]), "", "on {node}");
        }
    };
    // A host key that nobody has seen.
    let unknown = dir.path().join("unknown");
    let client = fs::read_to_string(&config).expect("the configuration");
    let client = client.replace(&lab.key("known_hosts"), &dir.path().join("nobody").display().to_string());
    fs::write(&unknown, client).expect("written");
    let unknown = unknown.display().to_string();
    fails(test(&["--ssh-config", &unknown]), "accept-new-host-keys");
    // A key that nobody has let in.
    let wrong = dir.path().join("wrong").display().to_string();
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &wrong]).status();
    assert!(made.expect("ssh-keygen starts").success());
    fails(test(&["--ssh-config", &config, "--ssh-private-key", &wrong]), "is not let in");
    // A node without an sshd.
    lab.says("n2", "kill $(cat /run/perjury-sshd.pid)");
    let second = lab.nodes.split(',').nth(1).expect("a second node").to_string();
    fails(test(&["--ssh-config", &config, "--ssh-private-key", &key]), &format!("{second}: connecting"));
    lab.says("n2", "/usr/sbin/sshd -f /etc/ssh/perjury_sshd_config </dev/null >/dev/null 2>&1");

    // A clock that may not be set: nothing was done, so nothing is left to undo, and no more was tested than that.
    let clock = test(&["--ssh-config", &config, "--ssh-private-key", &key, "--nemesis", "clock"]);
    let clock: Vec<String> = clock.into_iter().map(|arg| arg.replace("60s", "5s")).collect();
    let output = Command::new(env!("CARGO_BIN_EXE_perjury")).args(&clock).output().expect("it starts");
    assert_eq!(output.status.code(), Some(3), "{}", both(&output));
    assert!(both(&output).contains("setting its clock: exit 1: it may not be set"), "{}", both(&output));

    // A node that vanishes in the middle of a run, while a fault is in force.
    let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
    child.args(test(&["--ssh-config", &config, "--ssh-private-key", &key, "--nemesis", "partition"]));
    let log = dir.path().join("log");
    let out = fs::File::create(&log).expect("a log");
    child.stdout(out.try_clone().expect("a log")).stderr(out);
    let mut child = Killed(child.spawn().expect("the binary starts"));
    let history = dir.path().join("etcd-register/latest/history.jsonl");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read_to_string(&history).unwrap_or_default().contains(r#""phase":"bit""#) {
        assert!(Instant::now() < deadline, "no fault has bitten");
        std::thread::sleep(Duration::from_millis(20));
    }
    let killed = Command::new("kill").args(["-9", &lab.init("n3")]).status();
    assert!(killed.expect("kill is there").success());
    // Ended early, as somebody would who sees it: it heals whom it can.
    let ended = Command::new("kill").args(["-INT", &child.0.id().to_string()]).status();
    assert!(ended.expect("kill is there").success());
    let status = child.0.wait().expect("it ends");
    let said = fs::read_to_string(&log).expect("the log");
    assert_eq!(status.code(), Some(69), "{said}");
    let third = lab.nodes.split(',').nth(2).expect("a third node").to_string();
    assert!(said.contains("could not be healed") && said.contains(&third), "{said}");
    for node in ["n1", "n2"] {
        assert_eq!(lab.left(node, &["etcd"]), "", "on {node}");
    }
}

/// A run whose controller is killed as soon as its fault has bitten; `perjury heal` does the rest.
#[test]
fn what_a_killed_controller_has_done_over_ssh_is_undone_by_heal() {
    if !able(&["etcd", "mkfs.ext4", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-faults-heal", 3, DISK);
    let (key, config) = (lab.key("id"), lab.key("config"));
    let dir = tempfile::tempdir().expect("a directory");
    let kinds =
        ["partition", "freeze", "power", "disk-full", "disk-hang", "disk-read-only", "bit-flip", "member"];
    for kind in kinds {
        let store = dir.path().join(kind).display().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
        child.args(["test", "etcd", "register", "--nodes", &lab.nodes, "--store", &store, "--nemesis", kind]);
        child.args(["--ssh-config", &config, "--ssh-private-key", &key, "--time-limit", "60s"]);
        child.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Killed(child.spawn().expect("the binary starts"));
        let run = Path::new(&store).join("etcd-register/latest");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(run.join("history.jsonl")).unwrap_or_default().contains(r#""phase":"bit""#)
        {
            assert!(Instant::now() < deadline, "no {kind} has bitten");
            std::thread::sleep(Duration::from_millis(20));
        }
        child.0.kill().expect("killed");
        child.0.wait().expect("buried");
        let healed = perjury(&["heal", &run.display().to_string()]);
        assert_eq!(healed.status.code(), Some(0), "{kind}: {}", both(&healed));
        assert!(both(&healed).contains("undone: running etcd"), "{kind}: {}", both(&healed));
        for node in ["n1", "n2", "n3"] {
            assert_eq!(lab.left(node, &["etcd"]), "", "{kind} on {node}: {}", both(&healed));
        }
    }
}

/// A run whose controller was killed, and the next one on the same nodes: what the first still has to undo is over.
#[test]
fn what_a_killed_controller_has_left_to_undo_does_not_end_the_next_run() {
    if !able(&["etcd", "mkfs.ext4", "sshd", "ssh", "ssh-keygen", "nft"]) {
        return;
    }
    let _alone = alone();
    let lab = Lab::up("test-faults-next", 2, DISK);
    let (key, config) = (lab.key("id"), lab.key("config"));
    let dir = tempfile::tempdir().expect("a directory");
    let begin = |name: &str, wanted: &str| {
        let store = dir.path().join(name).display().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
        child.args([
            "test",
            "etcd",
            "register",
            "--nodes",
            &lab.nodes,
            "--store",
            &store,
            "--nemesis",
            "kill",
        ]);
        child.args(["--nemesis-interval", "300ms", "--ssh-config", &config, "--ssh-private-key", &key]);
        let log = fs::File::create(dir.path().join(format!("{name}.log"))).expect("a log");
        child.args(["--time-limit", "60s"]).stdout(log.try_clone().expect("a log")).stderr(log);
        let child = Killed(child.spawn().expect("the binary starts"));
        let run = Path::new(&store).join("etcd-register/latest");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(run.join("history.jsonl")).unwrap_or_default().contains(wanted) {
            let said = || fs::read_to_string(dir.path().join(format!("{name}.log"))).unwrap_or_default();
            assert!(Instant::now() < deadline, "{name} has not come so far: {}", said());
            std::thread::sleep(Duration::from_millis(20));
        }
        (child, run)
    };
    // Killed with a node that was to be started again.
    let (mut first, first_run) = begin("first", r#""phase":"bit""#);
    first.0.kill().expect("killed");
    first.0.wait().expect("buried");
    let (second, second_run) = begin("second", r#""type":"ok""#);
    // Until its own nemesis acts, nobody may end its processes; so it is stopped.
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &second.0.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    };
    signal("-STOP");
    let etcds = || {
        let pids = |node| -> Vec<String> {
            let each = lab.processes(node, "etcd");
            each.lines().filter_map(|line| line.split(' ').next()).map(str::to_string).collect()
        };
        [pids("n1"), pids("n2")]
    };
    let before = etcds();
    // What the watch of the first run does when its lease is over.
    let healed = perjury(&["heal", &first_run.display().to_string()]);
    let after = etcds();
    signal("-CONT");
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    assert!(both(&healed).contains("undone: running etcd"), "{}", both(&healed));
    assert!(before.iter().any(|pids| !pids.is_empty()), "no etcd runs");
    assert_eq!(
        before, after,
        "what the first run had to undo has ended, or started, a process of the second"
    );
    drop(second);
    let healed = perjury(&["heal", &second_run.display().to_string()]);
    assert_eq!(healed.status.code(), Some(0), "{}", both(&healed));
    for node in ["n1", "n2"] {
        assert_eq!(lab.left(node, &["etcd"]), "", "on {node}");
    }
}

/// Frozen, with a disk that hangs, and everybody who could undo it killed: the next command about labs does.
#[test]
fn what_hangs_when_everybody_is_killed_is_let_go_by_the_next_command() {
    if !able(&["etcd", "mkfs.ext4"]) {
        return;
    }
    let _alone = alone();
    let before = traces();
    let dir = tempfile::tempdir().expect("a directory");
    for kind in ["disk-hang", "freeze"] {
        let store = dir.path().join(kind).display().to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
        child.args(["test", "etcd", "--lab", "3", "--nemesis", kind, "--time-limit", "60s", "--store"]);
        child.arg(&store).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Killed(child.spawn().expect("the binary starts"));
        let history = Path::new(&store).join("etcd-register/latest/history.jsonl");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !fs::read_to_string(&history).unwrap_or_default().contains(r#""phase":"bit""#) {
            assert!(Instant::now() < deadline, "no fault has bitten");
            std::thread::sleep(Duration::from_millis(20));
        }
        // All at once, the innermost first, so that nobody has time to undo anything.
        let family: Vec<String> = family(child.0.id()).iter().rev().map(u32::to_string).collect();
        assert!(family.len() >= 10, "{family:?}");
        let killed = Command::new("kill").arg("-9").args(&family).status();
        assert!(killed.is_ok(), "kill is there");
        child.0.wait().expect("buried");
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            perjury(&["lab", "status"]);
            let alive: Vec<&String> = family.iter().filter(|pid| alive(pid)).collect();
            if alive.is_empty() && traces() == before {
                break;
            }
            assert!(Instant::now() < deadline, "{kind}: still there: {alive:?}, {:?}", traces());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Everybody who descends from `root`, in the order of their births, and itself.
fn family(root: u32) -> BTreeSet<u32> {
    let parent = |pid: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
    };
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let all: Vec<(u32, u32)> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut family = BTreeSet::from([root]);
    loop {
        let before = family.len();
        let more: Vec<u32> = all.iter().filter(|(_, of)| family.contains(of)).map(|(pid, _)| *pid).collect();
        family.extend(more);
        if family.len() == before {
            return family;
        }
    }
}
