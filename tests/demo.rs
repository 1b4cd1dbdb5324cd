//! The whole road on the built-in cluster: run, break, record, judge, report; and every way of ending it early.

mod common;

use common::{Done, perjury};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Processes that have `word` on their command line: those that a run in that store started.
fn processes(word: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let zombie = stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z'));
        if String::from_utf8_lossy(&command).contains(word) && !zombie {
            found.push(pid);
        }
    }
    found
}

/// Waits until `done`, at most 20 s.
#[track_caller]
fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn start(store: &Path, args: &[&str]) -> Child {
    perjury()
        .arg("test")
        .args(args)
        .arg("--store")
        .arg(store)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(pid: u32, name: &str) {
    assert!(std::process::Command::new("kill").args([name, &pid.to_string()]).status().unwrap().success());
}

/// The newest run below a store, once there is one with a history.
fn latest(store: &Path) -> Option<PathBuf> {
    let test = fs::read_dir(store).ok()?.flatten().next()?.path();
    let run = fs::canonicalize(test.join("latest")).ok()?;
    run.join("history.jsonl").is_file().then_some(run)
}

fn lines(run: &Path) -> usize {
    fs::read_to_string(run.join("history.jsonl")).map_or(0, |text| text.lines().count())
}

#[test]
fn a_clock_that_jumps_makes_a_last_writer_wins_store_lose_a_write_and_the_report_says_so() {
    let store = tempfile::tempdir().unwrap();
    let args = [
        "demo-quorum",
        "register",
        "--nemesis",
        "clock",
        "--seed",
        "7",
        "--time-limit",
        "6s",
        "--nemesis-interval",
        "1s",
    ];
    let done = Done::of(start(store.path(), &args).wait_with_output().unwrap()).expect(1);
    let run = latest(store.path()).unwrap();
    for name in
        ["summary.json", "results.json", "history.jsonl", "config.toml", "report.html", "anomaly-1.jsonl"]
    {
        assert!(run.join(name).is_file(), "no {name}");
    }
    let last: Vec<&str> = done.out.lines().rev().take(2).collect();
    assert!(last[0].contains("report.html"), "{}", done.out);
    assert!(last[1].contains("not linearizable") && last[1].contains("seed 7"), "{}", done.out);
    assert!(done.out.contains("before"), "no reasons: {}", done.out);
    // The core alone is the same violation, and so is the whole history, judged again.
    common::run(["check", "--model", "register", run.join("anomaly-1.jsonl").to_str().unwrap()]).expect(1);
    common::run(["check", run.to_str().unwrap()]).expect(1);
    let page = fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("Content-Security-Policy") && !page.contains("src=\"http"), "the page reaches out");
    assert_eq!(processes(&store.path().to_string_lossy()), [] as [u32; 0]);
}

#[test]
fn a_run_in_which_nothing_was_tested_is_vacuous_and_not_valid() {
    let store = tempfile::tempdir().unwrap();
    let args = ["demo-quorum", "register", "--nemesis", "none", "--time-limit", "300ms", "--seed", "1"];
    let done = Done::of(start(store.path(), &args).wait_with_output().unwrap()).expect(3);
    assert!(done.out.contains("reads were answered"), "{}", done.out);
}

#[test]
fn ctrl_c_in_the_middle_heals_ends_every_process_and_still_judges() {
    let store = tempfile::tempdir().unwrap();
    let child = start(
        store.path(),
        &[
            "demo-quorum",
            "register",
            "--with",
            "versions=logical",
            "--with",
            "write-back=on",
            "--time-limit",
            "60s",
        ],
    );
    let pid = child.id();
    until("no events", || latest(store.path()).is_some_and(|run| lines(&run) > 50));
    signal(pid, "-INT");
    let done = Done::of(child.wait_with_output().unwrap()).expect(130);
    // Judged, and honest about how little that was.
    assert!(done.out.contains("vacuous") && done.out.contains("interrupted"), "{}", done.out);
    let run = latest(store.path()).unwrap();
    let results: serde_json::Value =
        serde_json::from_slice(&fs::read(run.join("results.json")).unwrap()).unwrap();
    assert_eq!(results["judgements"][0]["answer"], "holds");
    assert_eq!(processes(&store.path().to_string_lossy()), [] as [u32; 0]);
}

#[test]
fn a_controller_that_is_killed_leaves_no_process_and_a_history_that_can_be_judged() {
    let store = tempfile::tempdir().unwrap();
    // Nodes that stand still are the hard ones: they cannot end themselves.
    let mut child = start(
        store.path(),
        &[
            "demo-quorum",
            "register",
            "--with",
            "versions=logical",
            "--with",
            "write-back=on",
            "--nemesis",
            "pause",
            "--nemesis-interval",
            "500ms",
            "--time-limit",
            "60s",
        ],
    );
    let word = store.path().to_string_lossy().into_owned();
    until("no node was ever stopped", || {
        processes(&word).iter().any(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        }) && latest(store.path()).is_some_and(|run| lines(&run) > 50)
    });
    child.kill().unwrap();
    child.wait().unwrap();
    until("a process outlives its controller", || processes(&word).is_empty());
    let run = latest(store.path()).unwrap();
    assert!(!run.join("summary.json").exists());
    let done = common::run(["check", run.to_str().unwrap()]).expect(0);
    assert!(done.out.contains("linearizable"), "{}", done.out);
}

#[test]
fn a_controller_that_is_killed_while_it_starts_leaves_no_process() {
    let store = tempfile::tempdir().unwrap();
    let word = store.path().to_string_lossy().into_owned();
    for _ in 0..5 {
        let mut child = start(store.path(), &["demo-paxos", "--time-limit", "60s"]);
        let pid = child.id();
        // The moment when the first of its children is there.
        until("nothing was started", || processes(&word).iter().any(|other| *other != pid));
        child.kill().unwrap();
        child.wait().unwrap();
        until("a process outlives its controller", || processes(&word).is_empty());
    }
}

#[test]
fn the_same_configuration_can_be_run_again_from_its_file() {
    let store = tempfile::tempdir().unwrap();
    let args = [
        "demo-quorum",
        "register",
        "--nemesis",
        "none",
        "--time-limit",
        "300ms",
        "--seed",
        "5",
        "--with",
        "w=1",
    ];
    Done::of(start(store.path(), &args).wait_with_output().unwrap()).expect(3);
    let config = latest(store.path()).unwrap().join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.contains("seed = 5") && text.contains("w = \"1\""), "{text}");
    let again =
        Done::of(start(store.path(), &["--config", config.to_str().unwrap()]).wait_with_output().unwrap());
    let again = again.expect(3);
    assert!(again.err.contains("seed 5"), "{}", again.err);
}

#[test]
fn a_store_that_cannot_be_written_ends_with_74() {
    let store = tempfile::tempdir().unwrap();
    let file = store.path().join("file");
    fs::write(&file, "").unwrap();
    Done::of(start(&file, &["--time-limit", "1s"]).wait_with_output().unwrap()).expect(74);
}
