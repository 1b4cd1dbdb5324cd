//! The stage and the run on a cluster in this process.

use super::fake::{Fake, SECOND, World};
use super::*;
use ::nemesis::{Clock, Fault, Grudge, Kill, NodeState, Partition, Pause, Skew, Slow, Trigger, Zombie};
use history::{Call, Completion, Event, History, Kind, Outcome, Phase, Process, ReadOptions, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use tempfile::TempDir;

struct Theatre {
    stage: Stage,
    world: Arc<fake::World>,
    dir: TempDir,
}

fn theatre(concurrency: usize, grace: Duration) -> Theatre {
    let (system, world) = Fake::leaked();
    let dir = tempfile::tempdir().expect("a directory");
    let config = StageConfig {
        place: Place::Here,
        system,
        with: Vec::new(),
        workload: workloads::find("register").expect("there is a register"),
        nodes: 3,
        concurrency,
        op_timeout: SECOND,
        grace,
        seed: 1,
    };
    Theatre { stage: Stage::start(&config, dir.path()).expect("it starts"), world, dir }
}

fn call(f: &str, value: i64) -> Call {
    let value = if value == 0 { Value::Null } else { Value::Int(value) };
    Call { f: f.to_string(), key: Some("x".into()), value }
}

fn history_of(dir: &TempDir) -> History {
    history::read_file(dir.path().join("history.jsonl"), &ReadOptions::default()).expect("well-formed")
}

fn events_of(dir: &TempDir) -> Vec<Event> {
    history::read_events(dir.path().join("history.jsonl"), &ReadOptions::default()).expect("well-formed")
}

/// `process:f:outcome` of every operation.
fn table(history: &History) -> String {
    let op = |op: &history::Op| {
        let (process, f) = (history.processes[op.process as usize], history.values.get(op.f));
        format!(
            "{process}:{f}:{}",
            match op.outcome {
                Outcome::Ok => "ok",
                Outcome::Fail => "fail",
                Outcome::Info => "info",
            }
        )
    };
    history.ops.iter().map(op).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_process_lives_as_long_as_its_session_and_its_successor_has_another_number() {
    let Theatre { stage, world, dir } = theatre(2, Duration::ZERO);
    let session = Session(0);
    stage.call(session, call("write", 1), SECOND).wait();
    stage.call(session, call("nothing", 0), SECOND).wait();
    let kill = stage.inject(Box::new(Kill::new(vec![0], false))).expect("killed");
    // The session is gone: this is another process, and it finds nobody.
    stage.call(session, call("write", 2), SECOND).wait();
    stage.heal(kill).expect("started");
    stage.call(session, call("read", 0), SECOND).wait();
    stage.call(session, call("panic", 0), SECOND).wait();
    let last = stage.call(session, call("read", 0), SECOND).wait().expect("answered");
    assert_eq!((last.process, last.completion), (200, Completion::ok(Value::Int(1))));
    stage.finish();
    assert_eq!(
        table(&history_of(&dir)),
        "0:write:ok 0:nothing:fail 100:write:fail 100:read:ok 100:panic:info 200:read:ok"
    );
    assert_eq!(world.state().opened, [(0, 0), (100, 0), (200, 0)]);
    assert_eq!(world.state().sessions, 0);
}

/// ```text
///   P0   |--write 1-------deadline--------|ok      the answer came in the grace time
///   P1                            |-read-|ok       its worker has gone on meanwhile
/// ```
#[test]
fn an_answer_within_the_grace_time_completes_its_call() {
    let Theatre { stage, dir, .. } = theatre(1, 5 * SECOND);
    stage.call(Session(0), call("read", 0), SECOND).wait();
    let pause = stage.inject(Box::new(Pause::new(vec![0], false))).expect("paused");
    let answer = stage.call(Session(0), call("write", 1), SECOND / 20).wait().expect("told");
    assert!(matches!(answer.completion, Completion::Info { late: true, .. }));
    assert_eq!((answer.process, answer.next), (0, 100));
    let watch = stage.watch();
    stage.heal(pause).expect("resumed");
    let late = watch.until(SECOND, |e| e.process == Process::Client(0) && e.kind == Kind::Ok);
    assert_eq!(late.map(|e| e.value.clone()), Some(Value::text("late")));
    stage.call(Session(0), call("read", 0), SECOND).wait();
    stage.finish();
    assert_eq!(table(&history_of(&dir)), "0:read:ok 0:write:ok 100:read:ok");
}

#[test]
fn without_an_answer_a_write_is_unknown_and_a_read_did_not_happen() {
    let Theatre { stage, dir, .. } = theatre(1, SECOND / 20);
    let sessions = [stage.open(0).expect("opened"), stage.open(0).expect("opened")];
    stage.inject(Box::new(Pause::new(vec![0], false))).expect("paused");
    stage.call(sessions[0], call("write", 1), SECOND / 50).wait();
    stage.call(sessions[1], call("read", 0), SECOND / 50).wait();
    // One that finds no session was never sent.
    stage.call(sessions[0], call("write", 2), SECOND / 50).wait();
    let watch = stage.watch();
    let is_last = |e: &Event| e.process == Process::Client(2) && e.kind != Kind::Invoke;
    assert!(stage.recorder().tally().fail == 2 || watch.until(SECOND, is_last).is_some());
    stage.finish();
    let history = history_of(&dir);
    let mut shown: Vec<&str> = Vec::new();
    let table = table(&history);
    shown.extend(table.split(' '));
    shown.sort_unstable();
    assert_eq!(shown, ["101:write:fail", "1:write:info", "2:read:fail"]);
}

#[test]
fn an_open_call_is_info_when_the_stage_is_left() {
    let Theatre { stage, dir, .. } = theatre(1, SECOND / 10);
    stage.open(0).expect("opened");
    stage.inject(Box::new(Kill::new(vec![1], false))).expect("killed");
    drop(stage);
    assert_eq!(events_of(&dir).iter().filter(|e| e.phase == Some(Phase::Healed)).count(), 1);
}

fn every_fault() -> Vec<Box<dyn Fault>> {
    let writes = ["write"];
    let cue =
        Trigger::Acknowledged { node: "n1".to_string(), through: true, writes: vec!["write".to_string()] };
    vec![
        Box::new(Partition::new(Grudge::components(&[vec![0], vec![1, 2]]), 3)),
        Box::new(Partition::new(Grudge::one_way(&[0], &[1, 2]), 3)),
        Box::new(Partition::new(Grudge::majorities_ring(&[0, 1, 2]), 3)),
        Box::new(Pause::new(vec![0, 1], true)),
        Box::new(Kill::new(vec![0], true)),
        Box::new(Kill::on(vec![0], true, cue, Duration::ZERO)),
        Box::new(Clock::new(vec![(0, Skew::Bump(30_000_000_000)), (1, Skew::Bump(-30_000_000_000))])),
        Box::new(Clock::new(vec![(2, Skew::Strobe(5_000_000_000, SECOND / 10))])),
        Box::new(Clock::new(vec![(0, Skew::Rate(0.5))])),
        Box::new(Slow::node(0, 3, Duration::from_millis(20), Duration::from_millis(5))),
        Box::new(Zombie::new(0, true, &writes, Duration::from_secs(2))),
    ]
}

#[test]
fn every_fault_is_seen_to_bite_and_seen_to_be_gone() {
    let Theatre { stage, world, dir } = theatre(3, Duration::ZERO);
    let faults = every_fault();
    let count = faults.len();
    for fault in faults {
        let zombie = fault.kind() == "zombie";
        let watch = stage.watch();
        let id = stage.inject(fault).expect("injected");
        assert!(!world.is_whole() || stage.desk().records()[id as usize - 1].what.contains("cue"));
        // What the nemesis' thread would do: the cue passes; the zombie is told of a write elsewhere.
        if zombie {
            stage.call(Session(1), call("write", 9), SECOND).wait();
        }
        while let Some(event) = watch.ready() {
            stage.desk().saw(id, &event);
        }
        for _ in 0..3 {
            let _ = stage.desk().drive(id).expect("driven");
        }
        assert_eq!(stage.prove(id, SECOND), Ok(true), "{:?}", stage.desk().records().last());
        stage.heal(id).expect("healed");
        assert!(world.is_whole());
    }
    let record = stage.finish();
    assert_eq!(record.faults.len(), count);
    assert!(record.faults.iter().all(|f| f.bit > Some(f.injected) && f.healed > f.bit && f.error.is_none()));
    let phases = |phase| events_of(&dir).iter().filter(|e| e.phase == Some(phase)).count();
    for phase in [Phase::Inject, Phase::Bit, Phase::Heal, Phase::Healed] {
        assert_eq!(phases(phase), count);
    }
}

#[test]
fn faults_on_the_same_link_add_up_and_healing_one_leaves_the_other() {
    let Theatre { stage, world, .. } = theatre(1, Duration::ZERO);
    let cut = stage.inject(Box::new(Partition::new(Grudge::one_way(&[0], &[1]), 3))).expect("cut");
    let slow = stage.inject(Box::new(Slow::new(vec![(0, 1)], SECOND / 100, Duration::ZERO))).expect("slow");
    stage.heal(slow).expect("healed");
    let passes: Vec<_> = world.state().links.values().map(|l| (l.pass, l.delay)).collect();
    assert_eq!(passes, [(::nemesis::Pass::Stall, Duration::ZERO)]);
    stage.heal(cut).expect("healed");
    assert!(world.is_whole());
}

#[test]
fn everything_is_healed_when_a_script_panics() {
    let Theatre { stage, world, dir } = theatre(2, Duration::ZERO);
    let caught = catch_unwind(AssertUnwindSafe(move || {
        for fault in every_fault().into_iter().take(5) {
            stage.inject(fault).expect("injected");
        }
        panic!("a script may have bugs");
    }));
    assert!(caught.is_err() && world.is_whole());
    assert_eq!(world.state().sessions, 0);
    assert_eq!(events_of(&dir).iter().filter(|e| e.phase == Some(Phase::Healed)).count(), 5);
}

#[test]
fn what_cannot_be_healed_is_said() {
    let Theatre { stage, world, .. } = theatre(1, Duration::ZERO);
    let pause = stage.inject(Box::new(Pause::new(vec![1], false))).expect("paused");
    world.state().stuck = true;
    let said = stage.desk().heal_all(SECOND / 10).expect_err("it cannot be resumed");
    assert!(said.contains("healing pause n2 stopped: n2: stuck"), "{said}");
    world.state().stuck = false;
    stage.heal(pause).expect("now it can");
    assert_eq!(stage.finish().unhealed, None);
}

fn config(system: &'static dyn System, kinds: &[&'static str], seconds: f64) -> RunConfig {
    let register = workloads::find("register").expect("there is a register");
    RunConfig {
        nemesis: kinds.iter().filter_map(|kind| ::nemesis::Wanted::plain(kind)).collect(),
        nemesis_interval: Duration::from_millis(300),
        time_limit: Duration::from_secs_f64(seconds),
        op_timeout: Duration::from_millis(100),
        grace: Duration::from_millis(50),
        rate: 400.0,
        progress: ProgressMode::Quiet,
        ..RunConfig::new(system, register, 7)
    }
}

#[test]
fn a_run_under_all_faults_leaves_a_whole_cluster_and_a_history_that_is_not_vacuous() {
    let (system, world) = Fake::leaked();
    let dir = tempfile::tempdir().expect("a directory");
    let kinds: Vec<_> = ::nemesis::usual()
        .iter()
        .copied()
        .filter(|k| ::nemesis::needs(k) == ::nemesis::Needs::Nothing)
        .collect();
    let config = config(system, &kinds, 4.0);
    let record = run(&config, dir.path(), &Arc::default()).expect("it runs");
    assert!(world.is_whole() && record.unhealed.is_none() && !record.interrupted);
    assert!(record.faults.iter().all(|f| f.healed.is_some() && f.error.is_none()), "{:?}", record.faults);
    let history = history_of(&dir);
    let thresholds = Thresholds { contended_keys: 0.0, ..Thresholds::default() };
    let said = vacuous(&history, config.workload, &kinds, &record.faults, &record.hits, &thresholds);
    assert_eq!(said, [""; 0], "{:#?}", record.faults);
    // Twice the last word of each session on each key, and all agree.
    let reads = history.ops.iter().rev().take_while(|op| history.values.get(op.f).as_text() == Some("read"));
    let mut of_key: std::collections::HashMap<_, Vec<_>> = Default::default();
    reads.for_each(|op| of_key.entry(op.key).or_default().push(op.output));
    assert!(of_key.values().filter(|r| r.len() >= 12 && r.iter().all(|v| *v == r[0])).count() >= 4);
}

#[test]
fn a_run_that_is_stopped_is_healed_and_says_so() {
    let (system, world) = Fake::leaked();
    let dir = tempfile::tempdir().expect("a directory");
    let stop: Arc<AtomicBool> = Arc::default();
    let (config, path, flag) = (config(system, &["pause"], 60.0), dir.path().to_path_buf(), stop.clone());
    let (sender, done) = channel();
    std::thread::spawn(move || drop(sender.send(run(&config, &path, &flag))));
    // Stop it in the middle of a fault.
    let stopped = |world: &World| world.state().nodes.contains(&NodeState::Stopped);
    let end = std::time::Instant::now() + 20 * SECOND;
    while !stopped(&world) && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(stopped(&world));
    stop.store(true, Ordering::SeqCst);
    let record = done.recv_timeout(5 * SECOND).expect("it ends").expect("it ran");
    assert!(record.interrupted && world.is_whole() && record.unhealed.is_none());
    assert!(history_of(&dir).ops.len() > 10);
}

#[test]
fn a_seed_gives_the_same_schedule_and_the_same_first_calls() {
    let run = |seed| {
        let (system, _) = Fake::leaked();
        let dir = tempfile::tempdir().expect("a directory");
        let config = RunConfig { seed, concurrency: 1, ..config(system, &[], 0.3) };
        super::run(&config, dir.path(), &Arc::default()).expect("it runs");
        let history = history_of(&dir);
        let ops = history.ops.iter().take(20);
        ops.map(|op| format!("{} {}", history.values.get(op.f), history.values.get(op.input)))
            .collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
