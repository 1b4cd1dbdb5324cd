//! The specimens as their users meet them: started, asked, hurt, and gone without a trace.

use crate::client::{Client, Place, Running, Start};
use crate::systems::find;
use history::{Call, Completion, Value};
use nemesis::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Pass};
use std::path::Path;
use std::time::{Duration, Instant};

mod lock;
mod paxos;
mod primary;
mod processes;

pub(crate) use processes::abandoned_controller;

/// A cluster in a directory that goes away with it.
struct Bench {
    running: Box<dyn Running>,
    _dir: tempfile::TempDir,
}

fn start(system: &str, nodes: usize, workload: &str, with: &[(&str, &str)]) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let with: Vec<(String, String)> = with.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let start = Start { nodes, with: &with, workload, dir: dir.path(), seed: 1, place: &Place::Here };
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
