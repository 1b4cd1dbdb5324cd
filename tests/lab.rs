//! The lab, and etcd in it. Needs root, and etcd for what runs it; says so where it is skipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Clusters share two cores: one at a time.
static ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn perjury(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perjury")).args(args).output().expect("the binary starts")
}

fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether a lab can be made here; says why not.
fn able() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root || !Path::new("/dev/net/tun").exists() {
        eprintln!("skipped: a lab needs root and /dev/net/tun");
        return false;
    }
    true
}

fn etcd() -> bool {
    let there = ["/usr/bin/etcd", "/usr/local/bin/etcd"].iter().any(|path| Path::new(path).exists());
    if able() && !there {
        eprintln!("skipped: etcd is not installed (perjury lab install etcd)");
    }
    able() && there
}

/// Parents of all processes: (process, parent, whether it is only waiting to be buried).
fn processes() -> Vec<(u32, u32, bool)> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let process = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let dead = matches!(fields.next()?, "Z" | "X");
        Some((pid, fields.next()?.parse().ok()?, dead))
    };
    entries.filter_map(process).collect()
}

/// Everybody who descends from `root`, and itself.
fn family(root: u32) -> BTreeSet<u32> {
    let (all, mut family) = (processes(), BTreeSet::from([root]));
    loop {
        let more: Vec<u32> =
            all.iter().filter(|(_, parent, _)| family.contains(parent)).map(|p| p.0).collect();
        let before = family.len();
        family.extend(more);
        if family.len() == before {
            return family;
        }
    }
}

fn living(of: &BTreeSet<u32>) -> Vec<u32> {
    processes().into_iter().filter(|(pid, _, dead)| !dead && of.contains(pid)).map(|p| p.0).collect()
}

/// What a lab could leave behind in the kernel: interfaces, mounts, loop devices, rules.
fn traces() -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let links = fs::read_dir("/sys/class/net").expect("there is /sys").flatten().map(name);
    // Other tests may make interfaces and mounts of their own meanwhile; ours have these names and kinds.
    let mut traces: Vec<String> =
        links.filter(|name| ["perjury", "eth", "tun"].iter().any(|p| name.starts_with(p))).collect();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let kinds = [" overlay ", " tmpfs ", " devpts ", " proc ", " sysfs "];
    traces.extend(mounts.lines().filter(|line| kinds.iter().any(|k| line.contains(k))).map(str::to_string));
    for program in [&["losetup", "-a"][..], &["nft", "list", "ruleset"], &["iptables-save"]] {
        let output = Command::new(program[0]).args(&program[1..]).output();
        let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        traces.extend(text.lines().filter(|line| !line.starts_with('#')).map(str::to_string));
    }
    traces.sort();
    traces
}

/// A lab that is taken down whatever becomes of the test.
struct Lab(&'static str);

impl Lab {
    fn up(name: &'static str, nodes: &str, more: &[&str]) -> Lab {
        let mut args = vec!["lab", "up", "--name", name, "--nodes", nodes];
        args.extend(more);
        let output = perjury(&args);
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        Lab(name)
    }

    fn exec(&self, node: &str, script: &str) -> Output {
        perjury(&["lab", "exec", node, "--name", self.0, "--", "bash", "-c", script])
    }

    fn says(&self, node: &str, script: &str) -> String {
        String::from_utf8_lossy(&self.exec(node, script).stdout).trim().to_string()
    }

    fn holder(&self) -> u32 {
        let of_ours = format!("\"name\":\"{}\"", self.0);
        let holds = |pid: &u32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("lab-hold") && line.contains(&of_ours)
        };
        processes().into_iter().map(|p| p.0).find(holds).expect("a process holds the lab")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        perjury(&["lab", "down", "--name", self.0]);
    }
}

#[test]
fn a_lab_is_up_and_down_in_a_moment_and_leaves_nothing_behind() {
    if !able() {
        return;
    }
    let _alone = alone();
    let before = traces();
    let begun = Instant::now();
    let lab = Lab::up("test-traces", "5", &[]);
    assert!(begun.elapsed() < Duration::from_secs(3), "up in {:?}", begun.elapsed());
    let family = family(lab.holder());
    assert!(family.len() > 10, "a holder, five keepers and five first processes: {family:?}");
    lab.exec("n3", "(sleep 1000 & setsid sleep 1000 &) >/dev/null 2>&1 </dev/null; mkdir /var/lib/mine");
    assert!(!Path::new("/var/lib/mine").exists());
    let begun = Instant::now();
    drop(lab);
    assert!(begun.elapsed() < Duration::from_secs(1), "down in {:?}", begun.elapsed());
    assert_eq!(living(&family), [0; 0]);
    assert_eq!(traces(), before);
    let again = perjury(&["lab", "down", "--name", "test-traces"]);
    assert_eq!(again.status.code(), Some(69), "{}", both(&again));
}

#[test]
fn nodes_are_by_themselves_and_reach_each_other() {
    if !able() {
        return;
    }
    let lab = Lab::up("test-nodes", "3", &[]);
    assert_eq!(lab.says("n2", "hostname; cat /etc/hostname"), "n2\nn2");
    assert_eq!(lab.exec("n2", "exit 7").status.code(), Some(7));
    assert_eq!(lab.exec("n2", "kill -9 $$").status.code(), Some(128 + 9));
    // Nobody listens, which somebody must have said.
    assert!(both(&lab.exec("n1", "echo >/dev/tcp/n3/7777")).contains("refused"));
    assert!(both(&lab.exec("n1", "echo >/dev/tcp/192.0.2.1/80")).contains("unreachable"));
    // The clock, the modules and the settings of the machine are not the node's to change.
    for script in ["date -s @0", "echo 1 >/proc/sys/kernel/panic", "echo h >/proc/sysrq-trigger"] {
        assert_ne!(lab.exec("n1", script).status.code(), Some(0), "{script}");
    }
    lab.exec("n1", "touch /etc/mine; kill -9 1");
    assert_eq!(lab.says("n1", "ls /etc/mine"), "/etc/mine");
    assert_eq!(lab.says("n2", "ls /etc/mine"), "");
    let other = Lab::up("test-others", "1", &[]);
    assert_eq!(other.says("n1", "ls /etc/mine"), "");
    let both_names = both(&perjury(&["lab", "status"]));
    assert!(both_names.contains("test-nodes") && both_names.contains("test-others"), "{both_names}");
    let unclear = perjury(&["lab", "exec", "n1", "--", "true"]);
    assert!(both(&unclear).contains("say which with --name"), "{}", both(&unclear));
    let taken = perjury(&["lab", "up", "--name", "test-nodes"]);
    assert_eq!(taken.status.code(), Some(69), "{}", both(&taken));
}

#[test]
fn a_lab_whose_process_is_killed_is_gone() {
    if !able() {
        return;
    }
    let lab = Lab::up("test-killed", "2", &[]);
    let holder = lab.holder();
    let family = family(holder);
    Command::new("kill").args(["-9", &holder.to_string()]).status().expect("kill is there");
    gone(&family);
    let status = perjury(&["lab", "status"]);
    assert!(!both(&status).contains("test-killed"), "{}", both(&status));
}

fn gone(family: &BTreeSet<u32>) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !living(family).is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", living(family));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_cannot_be_is_refused_in_a_sentence() {
    for (args, code, words) in [
        (&["test", "etcd"][..], 64, "--lab N"),
        (&["test", "demo-paxos", "--lab", "3"], 64, "nodes of their own have: etcd"),
        (&["test", "etcd", "--lab", "0"], 64, "1 to 100 nodes"),
        (&["test", "etcd", "--lab", "3", "--nodes", "3"], 64, "--nodes"),
        (&["test", "etcd", "--lab", "3", "--capture", "n1"], 64, "n1-n2"),
        (&["test", "etcd", "--lab", "3", "--with", "reads=dirty"], 64, "linearizable or serializable"),
        (&["test", "--nemesis", "packet"], 64, "those of a lab"),
        (&["lab", "up", "--nodes", "1000"], 64, "1 to 100 nodes"),
        (&["lab", "exec", "n1", "--name", "no-such-lab", "--", "true"], 69, "no lab \"no-such-lab\" is up"),
        (&["lab", "install", "--force-yes"], 64, "--force-yes"),
    ] {
        let output = perjury(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", both(&output));
        assert!(both(&output).contains(words), "{args:?}: {}", both(&output));
    }
}

/// A test of etcd with its store; a run that a busy machine left vacuous is done again.
fn etcd_test(args: &[&str], expected: i32) -> (PathBuf, String, tempfile::TempDir) {
    for attempt in 1.. {
        let dir = tempfile::tempdir().expect("a directory");
        let store = dir.path().to_string_lossy().into_owned();
        let seed = attempt.to_string();
        let mut all = vec!["test", "etcd", "register", "--store", &store, "--seed", &seed];
        all.extend(args);
        let output = perjury(&all);
        let text = both(&output);
        let run = dir.path().join("etcd-register/latest");
        match output.status.code() {
            Some(code) if code == expected => return (run, text, dir),
            // Nothing was caught, or too little tested.
            Some(0 | 3) if attempt < 4 => eprintln!("again: {text}"),
            code => panic!("exit code {code:?}: {text}"),
        }
    }
    unreachable!()
}

#[test]
fn etcd_is_linearizable_under_faults_that_bite() {
    if !etcd() {
        return;
    }
    let _alone = alone();
    let before = traces();
    let faults =
        ["--nemesis", "partition,pause,kill,clock,packet", "--time-limit", "30s", "--capture", "n1-n2"];
    let (run, text, _dir) = etcd_test(&[&["--lab", "5"][..], &faults].concat(), 0);
    assert!(text.contains("OK linearizable"), "{text}");
    let results = fs::read_to_string(run.join("results.json")).expect("results");
    let results: serde_json::Value = serde_json::from_str(&results).expect("JSON");
    let list = results["faults"].as_array().expect("faults");
    for kind in ["partition", "pause", "kill", "clock", "packet"] {
        let bit = list.iter().filter(|fault| fault["kind"] == kind && !fault["bit"].is_null());
        assert!(bit.count() > 0, "no {kind} has bitten: {list:?}");
    }
    let log = fs::read_to_string(run.join("n1/etcd.log")).expect("the log of n1");
    assert!(log.contains("raft"), "{}", &log[..log.len().min(300)]);
    // Two addresses, both ways, and nobody else.
    let packets = fs::read(run.join("links.pcap")).expect("a capture");
    let (mut at, mut ends) = (24, BTreeSet::new());
    while at < packets.len() {
        let length = u32::from_ne_bytes(packets[at + 8..at + 12].try_into().expect("four bytes")) as usize;
        ends.insert([packets[at + 16 + 15], packets[at + 16 + 19]]);
        at += 16 + length;
    }
    assert_eq!((at, ends), (packets.len(), BTreeSet::from([[1, 2], [2, 1]])));
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
fn a_killed_controller_takes_its_lab_along() {
    if !etcd() {
        return;
    }
    let _alone = alone();
    let before = traces();
    let dir = tempfile::tempdir().expect("a directory");
    let store = dir.path().to_string_lossy().into_owned();
    let mut child = Command::new(env!("CARGO_BIN_EXE_perjury"));
    child.args([
        "test",
        "etcd",
        "--lab",
        "3",
        "--nemesis",
        "pause,partition",
        "--time-limit",
        "60s",
        "--store",
    ]);
    child.arg(&store).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = Killed(child.spawn().expect("the binary starts"));
    let history = dir.path().join("etcd-register/latest/history.jsonl");
    let deadline = Instant::now() + Duration::from_secs(40);
    // In the middle of a fault.
    while !fs::read_to_string(&history).unwrap_or_default().contains(r#""phase":"bit""#) {
        assert!(Instant::now() < deadline, "no fault has bitten");
        std::thread::sleep(Duration::from_millis(20));
    }
    let family = family(child.0.id());
    assert!(
        family.len() >= 10,
        "a controller, and of each node a keeper, a first process and a daemon: {family:?}"
    );
    child.0.kill().expect("killed");
    child.0.wait().expect("buried");
    gone(&family);
    assert_eq!(traces(), before);
}
