//! Logs that are read from the directory of a run.

use super::*;
use history::results::{Anomaly, FaultRecord};
use std::fs;

/// 2026-11-30T10:58:30Z.
const ZERO: i64 = 1_796_036_310_000_000_000;
const MS: i64 = 1_000_000;

struct Scene {
    dir: tempfile::TempDir,
    results: Results,
}

impl Scene {
    /// A run of two nodes with an anomaly from 10 s to 10.02 s.
    fn new() -> Scene {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("history.jsonl"), "").expect("written");
        let op = |from: i64, to: i64| {
            serde_json::json!({"label": "A", "invoke": 0, "invoke_line": 1, "ret_line": 2, "process": 0, "node": "n1",
                "f": "read", "key": null, "text": "read 1", "outcome": "ok", "role": "observation", "fatal": true,
                "invoke_time": from, "ret_time": to})
        };
        let anomaly: Anomaly = serde_json::from_value(serde_json::json!({
            "id": 1, "property": "linearizable", "model": "register", "kind": "generic", "key": null,
            "sentence": "", "story": "", "fingerprint": "", "minimal": true, "ops": [op(10_000 * MS, 10_020 * MS)],
            "refused": [], "edges": [], "circle": [], "orders": [], "orders_total": 0, "states": [], "coincides": []
        }))
        .expect("an anomaly");
        let json = serde_json::json!({
            "schema": history::results::SCHEMA, "verdict": "invalid", "asked": [], "judgements": [], "anomalies": [],
            "anomalies_more": 0, "vacuous": [], "not_tested": [], "stats": history::results::Stats::default(), "faults": [],
            "run": {"system": "s", "version": "1", "claims": "", "workload": "w", "nodes": ["n1", "a b"], "seed": 1,
                "started": "", "zero": ZERO, "interrupted": false, "config": [], "command": "", "environment": [],
                "notes": []},
            "checker": history::results::CheckerInfo::default(), "warnings": []
        });
        let mut results: Results = serde_json::from_value(json).expect("results");
        results.anomalies.push(anomaly);
        Scene { dir, results }
    }

    fn log(&self, node: &str, file: &str, text: impl AsRef<[u8]>) {
        let dir = self.dir.path().join(node_dir(node));
        fs::create_dir_all(&dir).expect("made");
        fs::write(dir.join(file), text).expect("written");
    }

    fn read(&self) -> Logs {
        read(Run::at(self.dir.path()).as_ref(), &self.results)
    }
}

fn told(logs: &Logs) -> Vec<(String, i64, Level)> {
    let of =
        |line: &LogLine| (format!("{}/{} {}", line.node, line.file, line.text), line.time / MS, line.level);
    logs.lines.iter().map(of).collect()
}

#[test]
fn lines_around_the_anomaly_and_all_warnings_are_kept_in_the_order_of_time() {
    let scene = Scene::new();
    scene.log(
        "n1",
        "db.log",
        "2026-11-30 10:58:25.000 [1] INFO early\n\
         2026-11-30 10:58:32.000 [1] WARN slow\n\
         2026-11-30 10:58:39.900 [1] INFO near\n\
         \tat some.place(of.it)\n\
         2026-11-30 10:58:41.000 [1] INFO late\n",
    );
    scene.log("a b", "other.log", "{\"level\":\"error\",\"ts\":\"2026-11-30T10:58:40.005Z\"}");
    let stack = "n1/db.log \tat some.place(of.it)".to_string();
    assert_eq!(
        told(&scene.read()),
        [
            ("n1/db.log 2026-11-30 10:58:32.000 [1] WARN slow".to_string(), 2000, Level::Warning),
            ("n1/db.log 2026-11-30 10:58:39.900 [1] INFO near".to_string(), 9900, Level::Usual),
            (stack, 9900, Level::Usual),
            (
                "a b/other.log {\"level\":\"error\",\"ts\":\"2026-11-30T10:58:40.005Z\"}".to_string(),
                10_005,
                Level::Error
            ),
        ]
    );
    assert!(scene.read().unread.is_empty());
}

#[test]
fn a_log_in_local_time_and_a_clock_that_is_ahead_are_put_beside_the_run() {
    let mut scene = Scene::new();
    let lines = |at: [&str; 2]| at.map(|at| format!("2026-11-30 {at} [Warning] x\n")).concat();
    // Two hours east of Greenwich, without saying so, in whole seconds.
    scene.log("n1", "local.log", lines(["12:58:28", "12:58:40"]));
    scene.results.run.as_mut().expect("a run").ahead = vec![("a b".to_string(), 700 * MS)];
    scene.log("a b", "ahead.log", lines(["10:58:29.000", "10:58:40.702"]));
    let logs = scene.read();
    let times: Vec<(&str, i64, i64)> =
        logs.lines.iter().map(|line| (line.file.as_str(), line.time / MS, line.slack / MS)).collect();
    assert_eq!(
        times,
        [
            ("ahead.log", -1700, 0),
            ("local.log", -1500, 500),
            ("ahead.log", 10_002, 0),
            ("local.log", 10_500, 500)
        ]
    );
}

#[test]
fn what_a_bent_clock_wrote_is_put_where_it_was_written() {
    let mut scene = Scene::new();
    scene.results.faults.push(FaultRecord {
        id: 1,
        kind: "clock".into(),
        what: "n1 +30 s".into(),
        nodes: vec!["n1".into()],
        injected: 9000 * MS,
        bit: None,
        evidence: None,
        healed: Some(12_000 * MS),
        error: None,
    });
    scene.log(
        "n1",
        "db.log",
        "2026-11-30 10:58:30.000 I> a\n2026-11-30 10:59:10.010 I> b\n2026-11-30 10:58:43.000 I> c\n",
    );
    assert_eq!(
        told(&scene.read()),
        [("n1/db.log 2026-11-30 10:59:10.010 I> b".to_string(), 10_010, Level::Usual)]
    );
}

#[test]
fn colours_are_taken_out_and_nothing_else() {
    for (line, plain) in [
        ("\x1b[38;5;214m2026-11-30 [warning]\x1b[0m", "2026-11-30 [warning]"),
        ("\x1b", "\x1b"),
        ("a\x1b[", "a\x1b["),
        ("\x1b[2Ja\x1b[1;2mb", "\x1b[2Jab"),
        ("plain", "plain"),
    ] {
        assert_eq!(without_colours(line.as_bytes()), plain.as_bytes(), "{line:?}");
    }
}

#[test]
fn what_cannot_be_placed_or_is_too_much_is_said() {
    let scene = Scene::new();
    scene.log("n1", "empty.log", "");
    scene.log("n1", "odd.log", b"\xff\xfe\x00 nothing\nthat has a time\n");
    scene.log("n1", "state", "of the demo cluster\n");
    let long = format!("2026-11-30 10:58:40.000 {}\n", "x".repeat(5000));
    scene.log("n1", "long.log", long.repeat(600));
    let logs = scene.read();
    assert_eq!(logs.unread, ["n1/odd.log: no line has a time that is understood"]);
    assert_eq!(logs.lines.len() as u64 + logs.left_out, 600);
    assert_eq!(logs.lines.len(), KEPT_MAX / LINE_MAX);
    assert!(logs.lines[0].text.ends_with("x…") && logs.lines[0].text.len() < LINE_MAX + 4);
}

#[test]
fn a_run_that_does_not_say_when_it_began_has_no_excerpts() {
    let mut scene = Scene::new();
    scene.log("n1", "db.log", "2026-11-30 10:58:40.000 [ERROR] x\n");
    assert_eq!(scene.read().lines.len(), 1);
    scene.results.run.as_mut().expect("a run").zero = None;
    assert!(scene.read().lines.is_empty());
}
