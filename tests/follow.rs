//! A history is judged while it is being written, and a lie is told as soon as it is proven.

mod common;

use common::{Done, perjury, run};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

fn line(process: u32, kind: &str, f: &str, value: &str) -> String {
    format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"x\",\"value\":{value}}}\n")
}

fn write(process: u32, value: u32) -> String {
    let value = value.to_string();
    line(process, "invoke", "write", &value) + &line(process, "ok", "write", &value)
}

fn read(process: u32, value: u32) -> String {
    line(process, "invoke", "read", "null") + &line(process, "ok", "read", &value.to_string())
}

struct Scene {
    _dir: tempfile::TempDir,
    path: PathBuf,
    file: File,
}

impl Scene {
    fn new() -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        Scene { _dir: dir, path, file }
    }

    fn add(&mut self, text: &str) {
        self.file.write_all(text.as_bytes()).unwrap();
    }

    fn follow(&self, flags: &[&str]) -> Child {
        let mut command = perjury();
        command.args(["check", "--follow", "--model", "register"]).args(flags).arg(&self.path);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Waits for the end, which must come by itself.
fn ended(mut child: Child) -> Done {
    let deadline = Instant::now() + Duration::from_secs(60);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Done::of(child.wait_with_output().unwrap())
}

fn pause() {
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn the_first_proven_violation_ends_it_while_the_history_goes_on() {
    let mut scene = Scene::new();
    scene.add(&write(0, 1));
    let mut child = scene.follow(&["--fail-fast"]);
    pause();
    scene.add(&read(1, 1));
    pause();
    assert!(child.try_wait().unwrap().is_none(), "nothing is wrong yet, and the history may go on");
    scene.add(&(write(0, 2) + &read(1, 1)));
    let done = ended(child).expect(1);
    assert!(done.err.contains("not linearizable after 8 events"), "{}", done.err);
    assert!(
        done.out.contains("x not linearizable") || done.out.to_lowercase().contains("not linearizable"),
        "{}",
        done.out
    );
}

#[test]
fn half_a_line_waits_for_its_other_half() {
    let mut scene = Scene::new();
    let second = write(0, 2);
    let (half, other) = second.split_at(30);
    scene.add(&(write(0, 1) + half));
    let child = scene.follow(&["--idle", "2s"]);
    pause();
    scene.add(other);
    let done = ended(child).expect(0);
    assert!(done.out.contains("2 operations"), "{}", done.out);
}

#[test]
fn without_fail_fast_the_lie_is_told_at_once_and_the_whole_is_judged_at_its_end() {
    let mut scene = Scene::new();
    scene.add(&(write(0, 1) + &write(0, 2) + &read(1, 1)));
    let child = scene.follow(&["--idle", "1s"]);
    pause();
    scene.add(&read(1, 2));
    let done = ended(child).expect(1);
    assert!(done.err.contains("not linearizable after 6 events"), "{}", done.err);
    assert!(done.out.contains("4 operations"), "{}", done.out);
}

#[test]
fn ctrl_c_ends_the_history_and_what_is_there_is_judged() {
    let mut scene = Scene::new();
    scene.add(&(write(0, 1) + &read(1, 1) + "{\"process\":0,\"type\":\"inv"));
    let child = scene.follow(&[]);
    pause();
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let done = ended(child).expect(0);
    assert!(done.out.contains("2 operations"), "{}", done.out);
}

#[test]
fn a_file_that_is_cut_or_no_history_ends_with_65() {
    let mut scene = Scene::new();
    scene.add(&(write(0, 1) + &read(1, 1)));
    let mut child = scene.follow(&[]);
    // It can only miss what it has read: until it says so, the file is whole again and again.
    let whole = write(0, 1) + &read(1, 1);
    for _ in 0..100 {
        pause();
        scene.file.set_len(10).unwrap();
        pause();
        if child.try_wait().unwrap().is_some() {
            break;
        }
        scene.add(&whole[10..]);
    }
    assert!(ended(child).expect(65).err.contains("cut short"));

    let mut scene = Scene::new();
    scene.add(&(write(0, 1) + "neither JSON nor anything else\n"));
    let done = ended(scene.follow(&[])).expect(65);
    assert!(done.err.contains("history.jsonl:3:1"), "{}", done.err);
}

#[test]
fn a_run_is_followed_until_its_summary_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.jsonl");
    std::fs::write(&file, write(0, 1) + &read(1, 1)).unwrap();
    let child = perjury()
        .args(["check", "--follow", "--model", "register"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    pause();
    std::fs::write(dir.path().join("summary.json"), "{}").unwrap();
    ended(child).expect(0);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let mut scene = Scene::new();
    scene.add(&write(0, 1));
    let path = scene.path.to_str().unwrap();
    for args in [
        vec!["check", "--follow", path],
        vec!["check", "--follow", "--model", "register", "-"],
        vec!["check", "--follow", "--model", "register", path, path],
        vec!["check", "--fail-fast", "--model", "register", path],
        vec!["check", "--idle", "1s", "--model", "register", path],
        vec!["check", "--follow", "--shard", "1/2", "--output", "x", "--model", "register", path],
        vec!["check", "--follow", "--fail-fast", "--property", "sequential", "--model", "register", path],
    ] {
        let done = run(&args);
        assert_eq!(done.code, 64, "{args:?}\n{}{}", done.out, done.err);
    }
    assert_eq!(run(["check", "--follow", "--model", "register", "/no/such/file"]).code, 65);
}

#[test]
fn a_run_that_fails_fast_stops_heals_and_reports_as_usual() {
    let store = tempfile::tempdir().unwrap();
    let path: &Path = store.path();
    let flags = [
        "demo-quorum",
        "register",
        "--nemesis",
        "clock",
        "--seed",
        "7",
        "--time-limit",
        "60s",
        "--fail-fast",
    ];
    let begun = Instant::now();
    let done = run(["test", "--store", path.to_str().unwrap()].into_iter().chain(flags)).expect(1);
    assert!(begun.elapsed() < Duration::from_secs(55), "it did not stop early");
    let run = path.join("demo-quorum-register/latest");
    for file in ["results.json", "summary.json", "certificate.json", "report.html"] {
        assert!(run.join(file).is_file(), "{file}\n{}{}", done.out, done.err);
    }
    let results = std::fs::read_to_string(run.join("results.json")).unwrap();
    assert!(results.contains("Stopped at") && results.contains("\"interrupted\": false"), "{}", done.out);
    assert!(!results.contains("\"healed\": null"), "every fault was healed");
}

#[test]
fn the_command_to_go_on_tries_the_undecided_key_alone() {
    let mut scene = Scene::new();
    let event = |process: usize, kind: &str, f: &str, key: &str, value: String| {
        format!(
            "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"{key}\",\"value\":{value}}}\n"
        )
    };
    let adds = |kind: &str| {
        (1..=40).map(|n| event(n, kind, "add", "hard one", (1u64 << n).to_string())).collect::<String>()
    };
    let odd = event(0, "invoke", "read", "hard one", "null".to_string())
        + &event(0, "ok", "read", "hard one", ((1u64 << 40) - 1).to_string());
    let easy = event(99, "invoke", "add", "easy", "1".to_string())
        + &event(99, "ok", "add", "easy", "1".to_string());
    scene.add(&(easy + &adds("invoke") + &odd + &adds("ok")));
    let path = scene.path.to_str().unwrap();
    let done = run(["check", "--model", "counter", "--timeout", "200ms", path]).expect(2);
    let command = done.err.lines().find_map(|line| line.strip_prefix("to go on: ")).expect("a command");
    assert!(command.contains("--timeout 2s") && command.contains("--key '\"hard one\"'"), "{command}");
    // The same key by either name; and no other.
    for key in ["hard one", "\"hard one\""] {
        let done = run(["check", "--model", "counter", "--timeout", "200ms", "--key", key, path]).expect(2);
        assert!(done.out.contains("42") || done.out.contains("41"), "{}", done.out);
    }
    run(["check", "--model", "counter", "--key", "easy", path]).expect(0);
    assert!(
        run(["check", "--model", "counter", "--key", "none", path])
            .expect(64)
            .err
            .contains("none of the 2 keys")
    );
    run(["check", "--model", "counter", "--key", "easy", "--property", "sequential", path]).expect(64);
}

#[test]
fn explain_tells_every_violation_of_weaker_properties_too() {
    let mut scene = Scene::new();
    // Two sessions that each see the value go backwards, one that does not, and a value that nobody wrote.
    let back = |process| read(process, 2) + &read(process, 1);
    scene.add(&(write(0, 1) + &write(0, 2) + &back(1) + &read(2, 1) + &read(2, 2) + &back(3) + &read(4, 77)));
    let path = scene.path.to_str().unwrap();
    let told = |command: &str, property: &str| -> Vec<(String, Vec<u64>)> {
        let args = [command, "--model", "register", "--property", property, "--format", "json", path];
        let results: serde_json::Value = serde_json::from_str(&run(args).expect(1).out).unwrap();
        let list = results["anomalies"].as_array().unwrap();
        let of = |anomaly: &serde_json::Value| {
            let ops = anomaly["ops"].as_array().unwrap().iter();
            let reads = ops.filter(|op| op["f"] == "read").map(|op| op["process"].as_u64().unwrap());
            (anomaly["kind"].as_str().unwrap().to_string(), reads.collect())
        };
        list.iter().map(of).collect()
    };
    for property in ["sequential", "coherence", "pram", "causal-memory"] {
        assert_eq!(told("check", property).len(), 1, "{property}");
        let all = told("explain", property);
        assert_eq!(all.len(), 3, "{property}: {all:?}");
        for process in [1, 3] {
            assert!(all.iter().any(|(_, reads)| reads.contains(&process)), "{property}: {all:?}");
        }
        assert!(
            all.iter().any(|(kind, reads)| kind == "phantom-value" && reads == &[4]),
            "{property}: {all:?}"
        );
    }
    // Without the writes' order it takes two sessions to contradict each other, and one of them has lost its answer then.
    assert_eq!(told("explain", "monotonic-reads").len(), 2);
}

#[test]
fn explain_tells_every_violation_of_a_key_and_check_the_first() {
    let mut scene = Scene::new();
    // Two stale reads of one key, and a value that nobody wrote.
    scene.add(&(write(0, 1) + &write(0, 2) + &read(1, 1) + &read(2, 1) + &read(3, 77)));
    let path = scene.path.to_str().unwrap();
    let anomalies = |command: &str| -> Vec<String> {
        let done = run([command, "--model", "register", "--format", "json", path]).expect(1);
        let results: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        let list = results["anomalies"].as_array().unwrap();
        list.iter().map(|anomaly| anomaly["kind"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(anomalies("check").len(), 1);
    let all = anomalies("explain");
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all.contains(&"phantom-value".to_string()), "{all:?}");
}
