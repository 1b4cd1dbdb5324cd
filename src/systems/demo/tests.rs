//! The specimens as their users meet them: started, asked, hurt, and gone without a trace.

use crate::client::{Client, Running, Start};
use crate::systems::find;
use history::{Call, Completion, Value};
use nemesis::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Pass};
use std::path::Path;
use std::time::{Duration, Instant};

/// A cluster in a directory that goes away with it.
struct Bench {
    running: Box<dyn Running>,
    _dir: tempfile::TempDir,
}

fn start(system: &str, nodes: usize, workload: &str, with: &[(&str, &str)]) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let with: Vec<(String, String)> = with.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let start = Start { nodes, with: &with, workload, dir: dir.path(), seed: 1 };
    let running = find(system).unwrap().start(&start).unwrap();
    Bench { running, _dir: dir }
}

impl Bench {
    fn cluster(&self) -> &dyn Cluster {
        self.running.cluster()
    }

    fn open(&self, node: usize) -> Box<dyn Client> {
        self.running.open(0, node, soon()).unwrap()
    }

    fn cut(&self, links: &[(usize, usize)], pass: Pass) {
        let rule = LinkRule { pass, ..LinkRule::default() };
        let link = |&(from, to)| (Link { from: End::Node(from), to: End::Node(to) }, rule);
        self.cluster().set_links(&links.iter().map(link).collect::<Vec<_>>()).unwrap();
    }

    /// Cuts a node from all others in both directions, or joins it again.
    fn isolate(&self, node: usize, pass: Pass) {
        let n = self.cluster().nodes().len();
        let links: Vec<_> = (0..n).filter(|&i| i != node).flat_map(|i| [(i, node), (node, i)]).collect();
        self.cut(&links, pass);
    }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

fn call(f: &str, value: impl Into<Value>) -> Call {
    Call { f: f.into(), key: Some("x".into()), value: value.into() }
}

fn write(client: &mut dyn Client, value: i64) -> Completion {
    client.invoke(&call("write", value), soon())
}

fn read(client: &mut dyn Client) -> Completion {
    client.invoke(&call("read", Value::Null), soon())
}

fn is(value: i64) -> Completion {
    Completion::ok(Value::Int(value))
}

/// Until something is so: the cluster's own doing, which takes a moment.
fn wait_for(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = soon();
    while !seen() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn exists(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}/stat")).exists()
}

const ABD: &[(&str, &str)] = &[("versions", "logical"), ("write-back", "on")];

#[test]
fn what_was_written_through_one_node_is_read_through_another() {
    let bench = start("demo-quorum", 3, "register", &[]);
    let (mut a, mut b) = (bench.open(0), bench.open(1));
    assert_eq!(read(&mut *b), Completion::ok(Value::Null));
    assert_eq!(write(&mut *a, 3), is(3));
    assert_eq!(read(&mut *b), is(3));
}

#[test]
fn a_killed_node_remembers_what_it_acknowledged_and_forgets_it_without_fsync() {
    for (fsync, remembered) in [("always", is(7)), ("lost", Completion::ok(Value::Null))] {
        let bench = start("demo-quorum", 1, "register", &[("w", "1"), ("r", "1"), ("fsync", fsync)]);
        let mut client = bench.open(0);
        assert_eq!(write(&mut *client, 7), is(7));
        bench.cluster().kill(0).unwrap();
        assert_eq!(bench.cluster().state(0), Ok(NodeState::Dead));
        assert!(matches!(write(&mut *client, 8), Completion::Info { late: false, .. }));
        assert!(!client.alive());
        assert!(bench.running.open(0, 0, soon()).is_err(), "nobody is there to greet");
        bench.cluster().start(0).unwrap();
        assert_eq!(read(&mut *bench.open(0)), remembered, "fsync={fsync}");
    }
}

#[test]
fn a_minority_cannot_answer_while_it_is_cut_off_and_answers_when_the_cut_heals() {
    for pass in [Pass::Stall, Pass::Close] {
        let bench = start("demo-quorum", 3, "register", ABD);
        let (mut alone, mut others) = (bench.open(0), bench.open(1));
        assert_eq!(bench.cluster().probe(0, 1), Ok(true));
        bench.isolate(0, pass);
        assert_eq!(bench.cluster().probe(0, 1), Ok(false));
        assert_eq!(bench.cluster().probe(1, 2), Ok(true));
        assert_eq!(write(&mut *others, 4), is(4));
        let in_vain = alone.invoke(&call("read", Value::Null), Instant::now() + Duration::from_millis(200));
        assert!(!matches!(in_vain, Completion::Ok { .. }), "{in_vain:?}");
        bench.isolate(0, Pass::Flow);
        wait_for("the node is back", || matches!(read(&mut *bench.open(0)), Completion::Ok { .. }));
        assert_eq!(read(&mut *bench.open(0)), is(4));
    }
}

#[test]
fn a_link_can_be_cut_in_one_direction_only() {
    let bench = start("demo-quorum", 2, "register", &[("w", "1"), ("r", "1"), ("versions", "logical")]);
    bench.cut(&[(0, 1)], Pass::Stall);
    // n1's copies do not reach n2, but n2's reach n1.
    assert_eq!(write(&mut *bench.open(0), 1), is(1));
    assert_eq!(read(&mut *bench.open(1)), Completion::ok(Value::Null));
    bench.cut(&[(0, 1)], Pass::Flow);
    wait_for("the bytes that were held arrive", || read(&mut *bench.open(1)) == is(1));
}

#[test]
fn a_slow_link_takes_its_time_and_keeps_its_order() {
    let bench = start("demo-quorum", 2, "register", &[("r", "1"), ("versions", "logical")]);
    let slow = LinkRule {
        delay: Duration::from_millis(60),
        jitter: Duration::from_millis(30),
        ..LinkRule::default()
    };
    bench.cluster().set_links(&[(Link { from: End::Node(0), to: End::Node(1) }, slow)]).unwrap();
    let mut client = bench.open(0);
    for value in 1..=3 {
        let begun = Instant::now();
        assert_eq!(write(&mut *client, value), is(value));
        assert!(begun.elapsed() >= slow.delay, "{:?}", begun.elapsed());
        assert_eq!(read(&mut *bench.open(1)), is(value));
    }
    assert_eq!(bench.cluster().probe(0, 1), Ok(true), "slow is not cut");
}

#[test]
fn a_paused_node_is_silent_and_then_answers_what_it_was_asked() {
    let bench = start("demo-quorum", 3, "register", ABD);
    let mut client = bench.open(0);
    assert_eq!(write(&mut *client, 1), is(1));
    bench.cluster().pause(0).unwrap();
    assert_eq!(bench.cluster().state(0), Ok(NodeState::Stopped));
    assert!(bench.cluster().role(0).is_err(), "a stopped node cannot be asked");
    let silent = client.invoke(&call("read", Value::Null), Instant::now() + Duration::from_millis(50));
    assert!(matches!(silent, Completion::Info { late: true, .. }), "{silent:?}");
    bench.cluster().resume(0).unwrap();
    assert_eq!(bench.cluster().state(0), Ok(NodeState::Running));
    assert_eq!(client.late(soon()), is(1));
}

#[test]
fn the_last_writer_by_wall_clock_wins_even_if_it_wrote_first() {
    let bench = start("demo-quorum", 3, "register", &[]);
    let fast = ClockSetting { offset_ns: 30_000_000_000, rate: 1.0 };
    bench.cluster().set_clock(0, fast).unwrap();
    let off = bench.cluster().clock_offset(0).unwrap();
    assert!((off - 30_000_000_000).abs() < 1_000_000_000, "{off}");
    assert_eq!(write(&mut *bench.open(0), 1), is(1));
    let mut other = bench.open(1);
    assert_eq!(read(&mut *other), is(1));
    assert_eq!(write(&mut *other, 2), is(2));
    assert_eq!(read(&mut *other), is(1), "the second write has vanished");
    bench.cluster().set_clock(0, ClockSetting::default()).unwrap();
    assert!(bench.cluster().clock_offset(0).unwrap().abs() < 1_000_000_000);
}

#[test]
fn nothing_is_left_behind_when_a_cluster_is_dropped_with_a_node_stopped() {
    let bench = start("demo-quorum", 3, "register", &[]);
    let shared = bench.running.shared();
    let pids = bench.running.pids();
    assert_eq!(pids.len(), 4, "three nodes and their guard");
    bench.cluster().pause(1).unwrap();
    drop(bench);
    assert_eq!(pids.iter().filter(|&&pid| exists(pid)).count(), 0);
    assert!(shared.start(0).is_err(), "a cluster that has ended does not come back");
}

#[test]
fn nodes_end_with_their_guard() {
    let bench = start("demo-quorum", 3, "register", &[]);
    bench.cluster().pause(1).unwrap();
    let pids = bench.running.pids();
    let guard = rustix::process::Pid::from_raw(pids[0] as i32).unwrap();
    rustix::process::kill_process(guard, rustix::process::Signal::KILL).unwrap();
    wait_for("they are gone", || bench.running.pids().is_empty());
    assert!(bench.cluster().start(0).is_err());
}

#[test]
fn options_that_do_not_exist_are_refused_with_those_that_do() {
    let claim = |system: &str, with: &[(&str, &str)]| {
        let with: Vec<(String, String)> = with.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        find(system).unwrap().claim(&with)
    };
    assert!(!claim("demo-quorum", &[]).unwrap().honest);
    assert!(claim("demo-quorum", ABD).unwrap().honest);
    let error = claim("demo-quorum", &[("quorum", "2")]).unwrap_err();
    assert!(error.contains("write-back"), "{error}");
    let error = claim("demo-quorum", &[("versions", "hybrid")]).unwrap_err();
    assert!(error.contains("wall or logical"), "{error}");
    assert!(claim("demo-quorum", &[("w", "0")]).is_err());
}

fn cas(client: &mut dyn Client, expected: i64, new: i64, deadline: Instant) -> Completion {
    client.invoke(&call("cas", Value::list([Value::Int(expected), Value::Int(new)])), deadline)
}

#[test]
fn a_compare_and_set_that_compares_false_says_what_it_saw() {
    let bench = start("demo-paxos", 3, "cas-register", &[]);
    let (mut a, mut b) = (bench.open(0), bench.open(2));
    assert_eq!(read(&mut *a), Completion::ok(Value::Null));
    assert_eq!(write(&mut *a, 1), is(1));
    let refused = cas(&mut *b, 7, 8, soon());
    let pair = |a: i64, b: i64| Value::list([Value::Int(a), Value::Int(b)]);
    assert_eq!(
        refused,
        Completion::Ok { value: pair(7, 8), applied: Some(false), observed: Some(Value::Int(1)) }
    );
    assert_eq!(cas(&mut *b, 1, 2, soon()), Completion::ok(pair(1, 2)));
    assert_eq!(read(&mut *a), is(2));
}

/// Counts up through `node` by compare-and-set until told to stop: the numbers that it was told it has counted.
fn count_up(bench: &Bench, node: usize, stop: &std::sync::atomic::AtomicBool) -> Vec<i64> {
    let mut counted = Vec::new();
    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
        let moment = || Instant::now() + Duration::from_millis(500);
        let Ok(mut client) = bench.running.open(0, node, moment()) else { continue };
        while client.alive() && !stop.load(std::sync::atomic::Ordering::Relaxed) {
            let Completion::Ok { value, .. } = client.invoke(&call("read", Value::Null), moment()) else {
                break;
            };
            let seen = value.as_int().unwrap();
            if let Completion::Ok { applied: None, .. } = cas(&mut *client, seen, seen + 1, moment()) {
                counted.push(seen + 1);
            }
        }
    }
    counted
}

#[test]
fn no_number_is_counted_twice_whatever_happens_to_a_minority() {
    let bench = start("demo-paxos", 3, "cas-register", &[]);
    assert_eq!(write(&mut *bench.open(0), 0), is(0));
    let stop = std::sync::atomic::AtomicBool::new(false);
    let counted = std::thread::scope(|scope| {
        let (bench, stop) = (&bench, &stop);
        let workers: Vec<_> = (0..6).map(|i| scope.spawn(move || count_up(bench, i % 3, stop))).collect();
        for round in 0..9 {
            let node = round % 3;
            let seen = || read(&mut *bench.open((node + 1) % 3));
            match round / 3 {
                0 => bench.cluster().pause(node).unwrap(),
                1 => bench.cluster().kill(node).unwrap(),
                _ => bench.isolate(node, if round == 7 { Pass::Close } else { Pass::Stall }),
            }
            let before = seen();
            wait_for("the others go on", || seen() != before);
            bench.cluster().resume(node).unwrap();
            bench.cluster().start(node).unwrap();
            bench.isolate(node, Pass::Flow);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let mut numbers = counted.clone();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), counted.len(), "a number was counted twice");
    let Completion::Ok { value, .. } = read(&mut *bench.open(0)) else { panic!("healed, and no answer") };
    assert!(value.as_int() >= numbers.last().copied(), "{value} after {:?}", numbers.last());
    assert!(counted.len() > 20, "{}", counted.len());
}

/// The node that takes itself for the primary, other than `not`, once there is one.
fn primary_but(bench: &Bench, not: Option<usize>) -> usize {
    let n = bench.cluster().nodes().len();
    let leads = |i: usize| matches!(bench.cluster().role(i), Ok(Some(role)) if role.primary);
    let mut found = None;
    wait_for("a primary", || {
        found = (0..n).find(|&i| Some(i) != not && leads(i));
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn a_new_primary_has_everything_that_a_quorum_had() {
    let bench = start("demo-primary", 3, "register", &[]);
    let old = primary_but(&bench, None);
    assert_eq!(write(&mut *bench.open((old + 1) % 3), 1), is(1), "any node takes a write to the primary");
    bench.cluster().kill(old).unwrap();
    let new = primary_but(&bench, Some(old));
    let mut client = bench.open(new);
    assert_eq!(read(&mut *client), is(1));
    assert_eq!(write(&mut *client, 2), is(2));
    bench.cluster().start(old).unwrap();
    wait_for("the old one follows", || read(&mut *bench.open(old)) == is(2));
}

#[test]
fn an_asynchronous_primary_acknowledges_alone_and_its_write_is_gone_after_the_failover() {
    let bench = start("demo-primary", 3, "set", &[("replication", "async")]);
    let add = |node: usize, value: i64| bench.open(node).invoke(&call("add", value), soon());
    let old = primary_but(&bench, None);
    assert_eq!(add(old, 1), is(1));
    wait_for("1 is everywhere", || {
        (0..3).all(|i| read(&mut *bench.open(i)) == Completion::ok(Value::list([1.into()])))
    });
    bench.isolate(old, Pass::Stall);
    let new = primary_but(&bench, Some(old));
    assert_eq!(add(old, 2), is(2), "two primaries");
    assert_eq!(add(new, 3), is(3), "two primaries");
    bench.isolate(old, Pass::Flow);
    let survivors = Completion::ok(Value::list([1.into(), 3.into()]));
    wait_for("one primary", || (0..3).all(|i| read(&mut *bench.open(i)) == survivors));
}

/// Stops the primary, lets another acknowledge a write, and asks the sleeper to read: what it says when it wakes up.
fn zombie(with: &[(&str, &str)]) -> Vec<Completion> {
    let bench = start("demo-primary", 3, "register", with);
    let old = primary_but(&bench, None);
    let mut idle: Vec<_> = (0..3).map(|_| bench.open(old)).collect();
    assert_eq!(write(&mut *bench.open(old), 1), is(1));
    bench.cluster().pause(old).unwrap();
    let new = primary_but(&bench, Some(old));
    assert_eq!(write(&mut *bench.open(new), 2), is(2));
    let moment = Instant::now() + Duration::from_millis(1);
    for client in &mut idle {
        assert!(matches!(
            client.invoke(&call("read", Value::Null), moment),
            Completion::Info { late: true, .. }
        ));
    }
    bench.cluster().resume(old).unwrap();
    idle.iter_mut().map(|client| client.late(soon())).collect()
}

#[test]
fn a_primary_that_slept_through_its_deposition_reads_what_was_overwritten() {
    let stale = |answers: Vec<Completion>| answers.contains(&is(1));
    assert!((0..10).any(|_| stale(zombie(&[("reads", "primary")]))));
    for _ in 0..3 {
        assert!(!stale(zombie(&[])), "a lease that has run out forbids it");
    }
}

#[test]
fn a_slow_clock_keeps_a_lease_beyond_its_end() {
    let bench = start("demo-primary", 3, "register", &[]);
    let old = primary_but(&bench, None);
    let mut client = bench.open(old);
    assert_eq!(write(&mut *client, 1), is(1));
    bench.cluster().set_clock(old, ClockSetting { offset_ns: 0, rate: 0.1 }).unwrap();
    assert_eq!(read(&mut *client), is(1));
    bench.isolate(old, Pass::Stall);
    let new = primary_but(&bench, Some(old));
    assert_eq!(write(&mut *bench.open(new), 2), is(2));
    assert_eq!(read(&mut *client), is(1));
}

#[test]
fn a_session_at_a_replica_sees_its_own_writes_only_if_they_go_through_it() {
    for (tokens, seen) in [("on", 2), ("off", 1)] {
        let bench = start("demo-primary", 3, "register", &[("reads", "replica"), ("tokens", tokens)]);
        assert_eq!(primary_but(&bench, None), 0);
        let mut session = bench.open(2);
        assert_eq!(write(&mut *session, 1), is(1));
        wait_for("1 has arrived", || read(&mut *session) == is(1));
        let slow = LinkRule { delay: Duration::from_millis(100), ..LinkRule::default() };
        bench.cluster().set_links(&[(Link { from: End::Node(0), to: End::Node(2) }, slow)]).unwrap();
        assert_eq!(write(&mut *session, 2), is(2));
        assert_eq!(read(&mut *session), is(seen), "tokens={tokens}");
    }
}

#[test]
fn objects_of_every_workload_do_what_their_names_say() {
    let ok = Completion::ok;
    let list = |values: &[i64]| Value::list(values.iter().map(|&v| Value::Int(v)));
    let cases: [(&str, &[(&str, Value, Completion)]); 4] = [
        (
            "kv",
            &[
                ("get", Value::Null, ok(Value::Null)),
                ("put", "a".into(), ok("a".into())),
                ("append", "b".into(), ok("b".into())),
                ("get", Value::Null, ok("ab".into())),
            ],
        ),
        (
            "set",
            &[
                ("read", Value::Null, ok(list(&[]))),
                ("add", 2.into(), is(2)),
                ("add", 1.into(), is(1)),
                ("add", 2.into(), is(2)),
                ("read", Value::Null, ok(list(&[2, 1]))),
            ],
        ),
        (
            "queue",
            &[
                ("enqueue", 1.into(), is(1)),
                ("enqueue", 2.into(), is(2)),
                ("dequeue", Value::Null, is(1)),
                ("dequeue", Value::Null, is(2)),
                ("dequeue", Value::Null, ok(Value::Null)),
            ],
        ),
        (
            "counter",
            &[
                ("read", Value::Null, is(0)),
                ("add", 5.into(), is(5)),
                ("add", (-2).into(), is(-2)),
                ("read", Value::Null, is(3)),
            ],
        ),
    ];
    for (workload, steps) in cases {
        let bench = start("demo-primary", 1, workload, &[]);
        let mut client = bench.open(0);
        for (f, value, expected) in steps {
            assert_eq!(client.invoke(&call(f, value.clone()), soon()), *expected, "{workload}: {f} {value}");
        }
        assert!(matches!(client.invoke(&call("jump", 1), soon()), Completion::Fail(_)));
    }
}

#[test]
fn a_holder_that_was_stopped_overwrites_its_successor_unless_the_store_checks_tokens() {
    for fencing in ["off", "on"] {
        let bench = start("demo-lock", 2, "lock", &[("fencing", fencing), ("ttl-ms", "50")]);
        assert_eq!(bench.cluster().nodes(), ["n1", "n2", "lock", "store"]);
        assert!(bench.running.open(0, 2, soon()).is_err(), "clients talk to holders");
        let pair = |token: i64, value: Value| Value::list([Value::Int(token), value]);
        let (mut first, mut second) = (bench.open(0), bench.open(1));
        assert_eq!(first.invoke(&call("acquire", Value::Null), soon()), is(1));
        let held = second.invoke(&call("acquire", Value::Null), soon());
        assert!(matches!(held, Completion::Ok { applied: Some(false), .. }), "{held:?}");
        assert_eq!(first.invoke(&call("read", 1), soon()), Completion::ok(pair(1, Value::Null)));
        bench.cluster().pause(0).unwrap();
        wait_for("the lock expires", || second.invoke(&call("acquire", Value::Null), soon()) == is(2));
        assert_eq!(second.invoke(&call("read", 2), soon()), Completion::ok(pair(2, Value::Null)));
        assert_eq!(
            second.invoke(&call("write", pair(2, 1.into())), soon()),
            Completion::ok(pair(2, 1.into()))
        );
        let stale = call("write", pair(1, 1.into()));
        let waiting = first.invoke(&stale, Instant::now() + Duration::from_millis(1));
        assert!(matches!(waiting, Completion::Info { late: true, .. }), "{waiting:?}");
        bench.cluster().resume(0).unwrap();
        let accepted = first.late(soon());
        let refused = matches!(accepted, Completion::Ok { applied: Some(false), .. });
        assert_eq!(refused, fencing == "on", "{accepted:?}");
        let lost = second.invoke(&call("release", 1), soon());
        assert!(matches!(lost, Completion::Ok { applied: Some(false), .. }), "token 1 is not the last");
        assert_eq!(second.invoke(&call("release", 2), soon()), is(2));
    }
}

#[test]
fn a_hundred_clients_are_served_at_once() {
    let bench = start("demo-quorum", 3, "register", ABD);
    let slow =
        LinkRule { delay: Duration::from_millis(5), jitter: Duration::from_millis(5), ..LinkRule::default() };
    let links: Vec<_> = (0..3)
        .flat_map(|i| [(End::Clients, End::Node(i)), (End::Node(i), End::Clients)])
        .map(|(from, to)| (Link { from, to }, slow))
        .collect();
    bench.cluster().set_links(&links).unwrap();
    let mut clients: Vec<_> = (0..100).map(|i| bench.open(i % 3)).collect();
    std::thread::scope(|scope| {
        for (i, client) in clients.iter_mut().enumerate() {
            scope.spawn(move || {
                for value in 0..3 {
                    let key = Some(Value::Int(i as i64));
                    let ask = |f: &str, value| Call { f: f.into(), key: key.clone(), value };
                    assert_eq!(client.invoke(&ask("write", value.into()), soon()), is(value));
                    assert_eq!(client.invoke(&ask("read", Value::Null), soon()), is(value));
                }
            });
        }
    });
}

/// The environment variable that the processes of one test carry, and their children after them.
const MARK: &str = "PERJURY_TEST_MARK";

/// Pids of the processes that carry `mark`.
fn marked(mark: &str) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let carries = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|&b| b == 0).any(|entry| entry == wanted.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(carries).collect()
}

/// The main function of a controller that a test kills: starts a cluster, stops a node, and waits for its end.
pub(crate) fn abandoned_controller(args: &[String]) {
    let dir = Path::new(&args[0]);
    let start = Start { nodes: 3, with: &[], workload: "register", dir, seed: 1 };
    let running = find("demo-quorum").unwrap().start(&start).unwrap();
    running.cluster().pause(1).unwrap();
    std::fs::write(dir.join("stopped"), "").unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn no_process_outlives_a_controller_that_is_killed_even_while_starting_or_with_a_node_stopped() {
    // Killed when so many of controller, guard and nodes are there; at last, when a node is stopped.
    for moment in [1, 2, 3, 4, 5, 6] {
        let dir = tempfile::tempdir().unwrap();
        let mark = format!("{}-{moment}", std::process::id());
        let path = dir.path().to_str().unwrap();
        let mut command = crate::control::child(&["controller", path]);
        let quiet = || std::process::Stdio::null();
        let mut controller = command.env(MARK, &mark).stdout(quiet()).stderr(quiet()).spawn().unwrap();
        wait_for("the moment", || match moment {
            6 => dir.path().join("stopped").exists(),
            _ => marked(&mark).len() >= moment,
        });
        controller.kill().unwrap();
        controller.wait().unwrap();
        wait_for("everybody is gone", || marked(&mark).is_empty());
    }
}
