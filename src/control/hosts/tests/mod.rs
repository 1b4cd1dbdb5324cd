//! Faults on real hosts: network name spaces that the tests make, reached over SSH.
//!
//! The clock of this machine is not for tests: those commands are run against a host that only writes them down.

mod net;
mod recording;

use super::ledger::{Ledger, Thing, heal_all};
use super::process::Finder;
use super::{HostCluster, Known, Service};
use crate::cli::parse::Span;
use crate::cli::{DoctorArgs, HealArgs, Nodes, NodesArgs, SshArgs, TestArgs};
use crate::commands;
use crate::commands::heal::RunHosts;
use crate::control::guard::tests::child;
use crate::control::host::quote;
use nemesis::{Cluster, End, Link, LinkRule, NodeState, Pass};
use net::{Net, can_be_made};
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const LONG: Duration = Duration::from_secs(60);
const NO_LEASE: Duration = Duration::from_secs(3600);

/// sshd, which is there anyway, and is not to be killed.
fn sshd() -> Service {
    Service {
        finder: Finder::Name("sshd".into()),
        start: None,
        ready: None,
        port: 22,
        known: Known::default(),
    }
}

fn cluster(net: &Net, n: usize, lease: Duration) -> Arc<HostCluster> {
    HostCluster::new(net.hosts(), vec![sshd(); n], "0123abcd", lease, None).unwrap()
}

fn link(from: usize, to: usize) -> Link {
    Link { from: End::Node(from), to: End::Node(to) }
}

fn stall(from: usize, to: usize) -> (Link, LinkRule) {
    (link(from, to), LinkRule { pass: Pass::Stall, ..LinkRule::default() })
}

fn flow(from: usize, to: usize) -> (Link, LinkRule) {
    (link(from, to), LinkRule::default())
}

fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !seen() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn partitions_bite_and_heal(path: &str) {
    let net = Net::new(3, path);
    // Somebody else's rules.
    net.inside(
        1,
        "nft add table inet theirs; nft add chain inet theirs c '{ type filter hook input priority 0; }'",
    );
    net.inside(
        1,
        "nft add rule inet theirs c ip saddr 192.0.2.1 drop; for c in INPUT OUTPUT; do iptables -w -A $c -s 192.0.2.2 -j DROP; done",
    );
    let rules = || net.inside(1, "nft list ruleset | sed 's/counter packets [0-9]* bytes [0-9]*//'");
    let before = rules();
    assert!(before.contains("192.0.2.1") && before.contains("192.0.2.2"), "{before}");
    let cluster = cluster(&net, 3, NO_LEASE);
    let reaches = |a, b| cluster.probe(a, b).unwrap();
    // A busy machine may lose a probe by itself: what passes is asked again, what does not must never pass.
    let passes = |a, b| until(&format!("{a} does not reach {b}"), || reaches(a, b));
    for (a, b) in [(0, 1), (1, 0), (0, 2), (1, 2)] {
        passes(a, b);
    }
    cluster.set_links(&[stall(0, 1), stall(1, 0), stall(0, 2), stall(2, 0)]).unwrap();
    assert!(!reaches(0, 1) && !reaches(1, 0) && !reaches(2, 0));
    passes(1, 2);
    // One of two comes back: the rest stays.
    cluster.set_links(&[flow(0, 2), flow(2, 0)]).unwrap();
    assert!(!reaches(0, 1));
    passes(2, 0);
    cluster.set_links(&[flow(0, 1), flow(1, 0)]).unwrap();
    passes(0, 1);
    passes(1, 0);
    assert_eq!(rules(), before, "what is not ours has changed, or something of ours is left");

    // Bytes of n1 do not reach n2; those of n2 do reach n1.
    let mut server = listener(&net, 1, "n1");
    cluster.set_links(&[stall(1, 0)]).unwrap();
    net.inside(2, &format!("timeout 1 bash -c 'echo hi >/dev/udp/{}/9'", net.address(1)));
    cluster.set_links(&[flow(1, 0), stall(0, 1)]).unwrap();
    net.inside(2, &format!("timeout 1 bash -c 'echo there >/dev/udp/{}/9'", net.address(1)));
    assert_eq!(
        server.next_line(),
        "there",
        "what was sent against the cut has arrived, or what was sent along it has not"
    );

    // Closed is not silent.
    let close = LinkRule { pass: Pass::Close, ..LinkRule::default() };
    cluster.set_links(&[flow(0, 1), (link(1, 0), close)]).unwrap();
    let began = Instant::now();
    assert!(!reaches(1, 0));
    let dial = format!("timeout 5 bash -c 'exec 3<>/dev/tcp/{}/22' 2>&1; echo $?", net.address(1));
    assert!(net.inside(2, &dial).contains("refused"), "a closed link hangs ({:?})", began.elapsed());

    assert_eq!(cluster.heal().unwrap(), ["n1: cutting it off from n2"]);
    passes(1, 0);
    assert_eq!(rules(), before);
    assert_eq!(net.hosts()[0].sh("ls /run/perjury 2>/dev/null || echo gone", LONG).unwrap(), "gone");
}

/// Prints what arrives by UDP at port 9.
struct Listener(std::process::Child, BufReader<std::process::ChildStdout>);

fn listener(net: &Net, n: u8, name: &str) -> Listener {
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('{}', 9))\nprint('{name}', flush=True)\n\
         while True: print(s.recv(99).decode().strip(), flush=True)",
        net.address(n)
    );
    let mut python = std::process::Command::new("ip");
    python.args(["netns", "exec", &net.space(n), "python3", "-c", &script]).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let out = BufReader::new(python.stdout.take().unwrap());
    let mut listener = Listener(python, out);
    assert_eq!(listener.next_line(), name);
    listener
}

impl Listener {
    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line.trim().to_string()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn partitions_bite_and_heal_by_nft_and_leave_the_rules_of_others_alone() {
    if can_be_made() {
        partitions_bite_and_heal(PATH);
    }
}

#[test]
fn partitions_bite_and_heal_by_iptables_where_nft_does_not_work() {
    if !can_be_made() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let nft = dir.path().join("nft");
    std::fs::write(&nft, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&nft, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    partitions_bite_and_heal(&format!("{}:{PATH}", dir.path().display()));
}

#[test]
fn clients_are_cut_off_and_the_controller_still_speaks_to_the_node() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(1, PATH);
    let address = net.address(1);
    let server = format!("python3 -m http.server --bind {address} 8080 >/dev/null 2>&1 </dev/null & echo $!");
    let hosts = net.hosts();
    hosts[0].sh(&format!("setsid {server}"), LONG).unwrap();
    let dial = || TcpStream::connect_timeout(&(address, 8080).into(), Duration::from_millis(300)).is_ok();
    until("the server does not listen", dial);
    let cluster = cluster(&net, 1, NO_LEASE);
    let cut = |rule| {
        let to = |from, to| (Link { from, to }, rule);
        cluster.set_links(&[to(End::Clients, End::Node(0)), to(End::Node(0), End::Clients)]).unwrap();
    };
    cut(LinkRule { pass: Pass::Stall, ..LinkRule::default() });
    assert!(!dial());
    // A new connection, too.
    assert_eq!(net.hosts()[0].sh("echo here", LONG).unwrap(), "here");
    cut(LinkRule::default());
    assert!(dial());
}

#[test]
fn links_are_slow_where_the_kernel_has_netem_and_else_the_missing_part_is_named() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(2, PATH);
    let cluster = cluster(&net, 2, NO_LEASE);
    let slow = LinkRule { delay: Duration::from_millis(120), ..LinkRule::default() };
    let qdiscs = || net.inside(1, "tc qdisc show dev eth0");
    let before = qdiscs();
    let has = !net.inside(2, "tc qdisc add dev lo root netem delay 1ms 2>/dev/null && echo yes").is_empty();
    match cluster.set_links(&[(link(0, 1), slow)]) {
        Ok(()) => {
            assert!(has);
            let began = Instant::now();
            until("the slow link does not pass", || cluster.probe(0, 1).unwrap());
            assert!(began.elapsed() >= Duration::from_millis(120));
        }
        Err(error) => {
            assert!(!has, "{error}");
            let named = error.contains("n1: slowing links: ")
                && (error.contains("the kernel has no netem for eth0")
                    || error.contains("the kernel does not take prio on eth0"));
            assert!(named, "{error}");
        }
    }
    cluster.set_links(&[flow(0, 1)]).unwrap();
    assert_eq!(qdiscs(), before);
}

#[test]
fn a_process_stands_still_goes_on_dies_and_is_started_again() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(1, PATH);
    let file = net.dir.path().join("pid").display().to_string();
    let start = format!("setsid sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >{}", quote(&file));
    let service = Service {
        finder: Finder::PidFiles(vec![file]),
        start: Some(start),
        ready: Some("true".into()),
        port: 22,
        known: Known::default(),
    };
    let cluster = HostCluster::new(net.hosts(), vec![service], "00000001", NO_LEASE, None).unwrap();
    let state = || cluster.state(0).unwrap();
    assert_eq!(state(), NodeState::Dead);
    assert!(cluster.pause(0).unwrap_err().contains("n1: pausing: it has no process"));
    cluster.start(0).unwrap();
    assert_eq!(state(), NodeState::Running);
    cluster.pause(0).unwrap();
    assert_eq!(state(), NodeState::Stopped);
    cluster.resume(0).unwrap();
    assert_eq!(state(), NodeState::Running);
    cluster.pause(0).unwrap();
    cluster.kill(0).unwrap();
    assert_eq!(state(), NodeState::Dead);
    cluster.start(0).unwrap();
    assert_eq!(state(), NodeState::Running);
    cluster.kill(0).unwrap();
    // What the host keeps is enough to start it.
    let undone = heal_all(&*net.hosts()[0], Instant::now() + LONG).unwrap();
    assert!(undone.contains("# killing it"), "{undone}");
    assert_eq!(state(), NodeState::Running);
    cluster.pause(0).unwrap_err();
    drop(cluster);
}

/// A controller that cuts n1 off and is killed before it can heal.
pub(crate) fn abandoned_controller(args: &[String]) {
    let hosts = net::hosts(args[0].as_ref(), 2);
    let lease = Duration::from_secs(args[1].parse().unwrap());
    let cluster = HostCluster::new(hosts, vec![sshd(); 2], "0123abcd", lease, None).unwrap();
    cluster.set_links(&[stall(0, 1), stall(1, 0)]).unwrap();
    assert!(!cluster.probe(0, 1).unwrap());
    // Not over the harness, which keeps what a test prints.
    std::fs::write(&args[2], "cut").unwrap();
    loop {
        std::thread::park();
    }
}

fn abandon(net: &Net, lease_s: u64) {
    let sign = net.dir.path().join("sign");
    let config = net.config().display().to_string();
    let mut controller =
        child(&["hosts-controller", &config, &lease_s.to_string(), &sign.display().to_string()]);
    let mut controller = controller.stdout(Stdio::null()).spawn().unwrap();
    until("the controller has cut nothing", || {
        assert!(controller.try_wait().unwrap().is_none(), "the controller has ended");
        sign.exists()
    });
    // SIGKILL
    controller.kill().unwrap();
    controller.wait().unwrap();
}

#[test]
fn what_a_killed_controller_has_done_is_undone_by_another_process() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(2, PATH);
    abandon(&net, 3600);
    let look = cluster(&net, 2, NO_LEASE);
    assert!(!look.probe(0, 1).unwrap(), "it has healed by itself");
    for (n, host) in net.hosts().iter().enumerate() {
        let undone = heal_all(&**host, Instant::now() + LONG).unwrap();
        assert_eq!(undone, format!("# cutting it off from n{}", 2 - n));
        assert_eq!(heal_all(&**host, Instant::now() + LONG).unwrap(), "", "twice is no error");
    }
    until("the cut is still there", || look.probe(0, 1).unwrap() && look.probe(1, 0).unwrap());
}

#[test]
fn the_commands_look_at_hosts_and_heal_exactly_one_run_or_all() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(2, PATH);
    let ssh = SshArgs { ssh_config: Some(net.config()), ..SshArgs::default() };
    let nodes = NodesArgs { nodes: vec!["n1".into(), "n2".into()], nodes_file: None, ssh: ssh.clone() };
    let doctor = |nodes: &NodesArgs, nemesis: &[&str], process: &str| {
        let nemesis = nemesis.iter().map(|kind| kind.to_string()).collect();
        let args = DoctorArgs { nodes: nodes.clone(), nemesis, process: Some(process.into()) };
        commands::doctor::run(&args).map_err(|failure| (failure.code, failure.message))
    };
    assert_eq!(doctor(&nodes, &["partition", "pause", "kill"], "sshd"), Ok(0));
    let (code, message) = doctor(&nodes, &[], "no-such").unwrap_err();
    assert!(code == 69 && message.contains("n2: looking for the process no-such: dead"), "{message}");
    let absent = NodesArgs { nodes: vec!["n1".into(), "127.0.0.1:1".into()], ..nodes.clone() };
    let (code, message) = doctor(&absent, &[], "sshd").unwrap_err();
    assert!(code == 69 && message.starts_with("127.0.0.1:1: connecting to root@127.0.0.1:1: "), "{message}");

    // Two runs: one is healed by its directory, and the other's cuts stay.
    let one = cluster(&net, 2, NO_LEASE);
    let other = HostCluster::new(net.hosts(), vec![sshd(); 2], "aaaaaaaa", NO_LEASE, None).unwrap();
    one.set_links(&[stall(0, 1)]).unwrap();
    other.set_links(&[stall(1, 0)]).unwrap();
    let run = net.dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    let hosts = RunHosts { id: "0123abcd".into(), nodes: nodes.nodes.clone(), ssh };
    hosts.write(&run).unwrap();
    let heal = |run, nodes| commands::heal::run(&HealArgs { run, nodes }).map_err(|f| (f.code, f.message));
    assert_eq!(heal(Some(run), NodesArgs::default()), Ok(0));
    let tables = |n| net.inside(n, "nft list tables");
    assert_eq!((tables(2).as_str(), tables(1).trim()), ("", "table inet perjury_aaaaaaaa"));
    assert_eq!(heal(None, nodes.clone()), Ok(0));
    assert_eq!(tables(1), "");
    // Who cannot be reached is named, and keeps nobody from being healed.
    other.set_links(&[]).unwrap();
    let (code, message) = heal(None, absent).unwrap_err();
    assert!(code == 69 && message.starts_with("127.0.0.1:1: healing: "), "{message}");
}

/// A test of etcd on n1, n2 and n3.
fn etcd_args(config: &Path, store: &Path) -> TestArgs {
    TestArgs {
        system: Some("etcd".into()),
        workload: Some("register".into()),
        nodes: Some(Nodes::Named((1..=3).map(|n| format!("n{n}")).collect())),
        time_limit: Some(Span(Duration::from_secs(15))),
        nemesis: Some(vec!["partition".into(), "pause".into(), "kill".into()]),
        seed: Some(7),
        store: Some(store.to_path_buf()),
        ssh: SshArgs { ssh_config: Some(config.to_path_buf()), ..SshArgs::default() },
        quiet: true,
        ..TestArgs::default()
    }
}

/// Runs it; gives the exit code and the run's directory.
fn test_etcd(net: &Net, change: impl FnOnce(&mut TestArgs)) -> Result<(u8, PathBuf), String> {
    let store = net.dir.path().join("store");
    let mut args = etcd_args(&net.config(), &store);
    change(&mut args);
    let signals = crate::signals::Signals::install().unwrap();
    let code = commands::test::run(args, &signals).map_err(|failure| failure.to_string())?;
    Ok((code, store.join("etcd-register/latest")))
}

/// What is left of Perjury and its etcd on the hosts.
fn left_on(net: &Net) -> String {
    let left =
        "ls /run/perjury /run/perjury-etcd.pid /var/lib/perjury-etcd 2>/dev/null; nft list tables; true";
    net.hosts().iter().map(|host| host.sh(left, LONG).unwrap()).collect()
}

/// A run that is killed before its end.
pub(crate) fn abandoned_test(args: &[String]) {
    let mut args = etcd_args(args[0].as_ref(), args[1].as_ref());
    args.time_limit = Some(Span(Duration::from_secs(600)));
    let signals = crate::signals::Signals::install().unwrap();
    let _ = commands::test::run(args, &signals);
}

#[test]
fn what_a_killed_run_has_done_and_started_is_undone_by_its_directory() {
    if !can_be_made() || !there_is_etcd() {
        return;
    }
    let net = Net::new(3, PATH);
    let store = net.dir.path().join("store");
    let (config, text) = (net.config().display().to_string(), store.display().to_string());
    let mut controller = child(&["hosts-test", &config, &text]);
    let mut controller = controller.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let run = store.join("etcd-register/latest");
    until("no fault was injected", || {
        assert!(controller.try_wait().unwrap().is_none(), "the run has ended");
        let history = std::fs::read_to_string(run.join("history.jsonl")).unwrap_or_default();
        history.contains("\"phase\":\"inject\"")
    });
    // SIGKILL
    controller.kill().unwrap();
    controller.wait().unwrap();
    assert!(left_on(&net).contains("perjury"), "there is nothing to heal");
    let args = HealArgs { run: Some(run), nodes: NodesArgs::default() };
    assert_eq!(commands::heal::run(&args).map_err(|failure| failure.message), Ok(0));
    assert_eq!(left_on(&net), "");
    for n in 1..=3 {
        let dialled = TcpStream::connect_timeout(&(net.address(n), 2379).into(), Duration::from_secs(2));
        assert!(dialled.is_err(), "n{n}: its etcd still runs");
    }
}

/// Whether there is an etcd here. Says so if not.
fn there_is_etcd() -> bool {
    let there = std::path::Path::new("/usr/bin/etcd").exists();
    if !there {
        eprintln!("skipped: there is no etcd here (package etcd-server)");
    }
    there
}

#[test]
fn etcd_on_hosts_is_started_tested_broken_healed_and_ended() {
    if !can_be_made() || !there_is_etcd() {
        return;
    }
    let net = Net::new(3, PATH);
    let (code, run) = test_etcd(&net, |_| {}).unwrap();
    let results = std::fs::read_to_string(run.join("results.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    // A busy machine may not come to every kind of fault in that time, which is vacuous and no more.
    assert!(matches!(code, 0 | 3), "{code}: {results}");
    let faults = results["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| !fault["bit"].is_null()), "{faults:?}");
    assert!(faults.iter().all(|fault| !fault["healed"].is_null()), "{faults:?}");
    // What was resolved says it again.
    let config = std::fs::read_to_string(run.join("config.toml")).unwrap();
    let again: TestArgs = toml::from_str(&config).unwrap();
    assert_eq!(again.nodes, Some(Nodes::Named(vec!["n1".into(), "n2".into(), "n3".into()])));
    assert_eq!(again.ssh.ssh_config, Some(net.config()));
    assert!(run.join("n1/etcd.log").is_file());
    assert_eq!(left_on(&net), "");
}

#[test]
fn a_cluster_of_somebody_else_is_used_and_left_running() {
    if !can_be_made() || !there_is_etcd() {
        return;
    }
    let net = Net::new(1, PATH);
    let address = net.address(1);
    let theirs = format!(
        "mkdir -p /run/theirs && cd /run/theirs && (setsid etcd --listen-client-urls http://{address}:2379 \
         --advertise-client-urls http://{address}:2379 >log 2>&1 </dev/null &)"
    );
    net.hosts()[0].sh(&theirs, LONG).unwrap();
    until("their etcd does not listen", || TcpStream::connect((address, 2379)).is_ok());
    let alone = |args: &mut TestArgs, kinds: &[&str]| {
        args.nodes = Some(Nodes::Named(vec!["n1".into()]));
        args.no_db = true;
        args.nemesis = Some(kinds.iter().map(|kind| kind.to_string()).collect());
        args.time_limit = Some(Span(Duration::from_secs(8)));
    };
    let refused = test_etcd(&net, |args| alone(args, &["kill"])).unwrap_err();
    assert!(refused.contains("leave kill out of --nemesis"), "{refused}");
    // Not paused, either: by its name every etcd of this machine would be, as these hosts share its processes.
    // Twice: what the first has written is no initial value of the second.
    for _ in 0..2 {
        let (code, run) = test_etcd(&net, |args| alone(args, &["none"])).unwrap();
        let results = std::fs::read_to_string(run.join("results.json")).unwrap();
        assert!(matches!(code, 0 | 3), "{code}: {results}");
    }
    let state = process_state(&net);
    assert_eq!(state, "running");
}

/// What their etcd is doing, by name: only ours would have a file.
fn process_state(net: &Net) -> String {
    let look = super::process::state(&Finder::PidFiles(vec!["/run/theirs/pid".into()]));
    let file = "for f in /proc/[0-9]*/cwd; do [ $(readlink $f) = /run/theirs ] && f=${f%/cwd} && echo ${f#/proc/} >/run/theirs/pid; done";
    net.hosts()[0].sh(&format!("{{ {file}; }} 2>/dev/null; {look}"), LONG).unwrap()
}

#[test]
fn hosts_heal_themselves_when_the_controller_is_gone_for_long_and_not_before() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(2, PATH);
    // As long as the controller is there the lease is renewed, many times over.
    let alive = cluster(&net, 2, Duration::from_secs(8));
    alive.set_links(&[stall(0, 1)]).unwrap();
    let over = Instant::now() + Duration::from_secs(18);
    while Instant::now() < over {
        assert!(!alive.probe(1, 0).unwrap(), "it was healed too early");
    }
    drop(alive);
    abandon(&net, 3);
    let look = cluster(&net, 2, NO_LEASE);
    until("the hosts do not heal themselves", || look.probe(0, 1).unwrap() && look.probe(1, 0).unwrap());
    until("the watch has left something", || {
        net.hosts().iter().all(|h| h.sh("ls /run/perjury 2>/dev/null || echo gone", LONG).unwrap() == "gone")
    });
}

#[test]
fn an_act_after_the_lease_has_run_out_is_an_error_that_says_so() {
    if !can_be_made() {
        return;
    }
    let net = Net::new(1, PATH);
    let hosts = net.hosts();
    let ledger = Ledger { id: "00000002".into(), lease: Duration::from_secs(1) };
    ledger.open(&*hosts[0]).unwrap();
    until("the ledger is still there", || {
        ledger.renew(&*hosts[0], Duration::ZERO + LONG).is_err() || {
            std::thread::sleep(Duration::from_millis(2500));
            false
        }
    });
    let error = ledger.act(&*hosts[0], Thing::Net, "cutting it", "true", "false", "").unwrap_err();
    assert!(
        error.to_string().starts_with("n1: cutting it: its ledger is gone: its lease ran out"),
        "{error}"
    );
}
