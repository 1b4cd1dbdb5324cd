//! Results for machines, through the program: what is printed, what is written, and that the published schema is true.

mod common;
#[path = "common/schema.rs"]
mod schema;

use common::{Done, perjury, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const ETCD: &str = "corpus/third-party/porcupine/jepsen-etcd";

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// `FORMAT=FILE` below the scene.
    fn to(&self, format: &str, name: &str) -> String {
        format!("{format}={}", self.path(name).display())
    }

    /// A stale read, by lines.
    fn stale(&self, value: &str) -> PathBuf {
        let file = self.path("history.jsonl");
        let event = |process: u32, kind: &str, f: &str, value: &str, time: u32| {
            format!(
                "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"x\",\"value\":{value},\"time\":{time}000000,\"node\":\"n{process}\"}}\n"
            )
        };
        let text = [
            event(0, "invoke", "write", value, 1),
            event(0, "ok", "write", value, 2),
            event(0, "invoke", "write", "2", 3),
            event(0, "ok", "write", "2", 4),
            event(1, "invoke", "read", "null", 5),
            event(1, "ok", "read", value, 6),
        ];
        fs::write(&file, text.concat()).unwrap();
        file
    }

    /// Messages that come in another order than they were sent, and one of them again.
    fn delivered(&self) -> std::path::PathBuf {
        let calls = [
            ("enqueue", "1", "1"),
            ("enqueue", "2", "2"),
            ("dequeue", "null", "2"),
            ("dequeue", "null", "1"),
            ("dequeue", "null", "1"),
            ("drain", "null", "[]"),
            ("drain", "null", "[]"),
        ];
        let line = |(f, asked, answer): &(&str, &str, &str)| {
            let event = |kind: &str, value: &str| {
                format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
            };
            event("invoke", asked) + &event("ok", answer)
        };
        let file = self.path("delivered.jsonl");
        fs::write(&file, calls.iter().map(line).collect::<String>()).unwrap();
        file
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn schema_of_results() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/results.schema.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn conforms(json: &str) -> Value {
    let value: Value = serde_json::from_str(json).unwrap();
    let found = schema::violations(&schema_of_results(), &value);
    assert!(found.is_empty(), "{}", found.join("\n"));
    value
}

#[test]
fn the_published_schema_describes_what_is_printed_and_every_field_of_it() {
    let scene = Scene::new();
    let stale = scene.stale("1");
    let json =
        |args: &[&str], code: i32| run([&["check", "--format", "json"], args].concat()).expect(code).out;
    let invalid = conforms(&json(&["--model", "register", text(&stale)], 1));
    assert_eq!(invalid["anomalies"][0]["kind"], "stale-read");
    conforms(&json(&["--model", "register", "--property", "all", text(&stale)], 1));
    conforms(&json(&["--model", "cas-register", &format!("{ETCD}/etcd_002.log")], 0));
    let told = conforms(&json(&["--model", "delivery", text(&scene.delivered())], 0));
    let counts = |name: &str| told["delivery"][name].as_u64();
    assert_eq!((counts("duplicates"), counts("reordered"), counts("emptied")), (Some(1), Some(1), Some(1)));
    conforms(&json(&["--model", "cas-register", &format!("{ETCD}/etcd_000.log")], 1));
}

#[test]
fn a_run_keeps_the_published_schema_and_prints_what_it_keeps() {
    let scene = Scene::new();
    let store = scene.path("store");
    let junit = scene.to("junit", "out.xml");
    let args = [
        "test",
        "demo-quorum",
        "register",
        "--nemesis",
        "clock",
        "--seed",
        "7",
        "--time-limit",
        "3s",
        "--format",
    ];
    let args = [&args[..], &["json", "--store", text(&store), "--output", &junit]].concat();
    let done = run(args);
    assert!(done.code <= 3, "{}", done.err);
    let printed = conforms(&done.out);
    let kept = fs::read_to_string(store.join("demo-quorum-register/latest/results.json")).unwrap();
    assert_eq!(conforms(&kept), printed);
    let xml = scene.read("out.xml");
    assert!(xml.contains("<property name=\"seed\" value=\"7\"/>"), "{xml}");
}

#[test]
fn one_check_writes_every_format_at_once_and_the_verdict_is_still_last() {
    let scene = Scene::new();
    let stale = scene.stale("1");
    let outputs: Vec<String> = [
        ("human", "h.txt"),
        ("narrated", "n.txt"),
        ("json", "r.json"),
        ("junit", "j.xml"),
        ("github", "g.md"),
        ("sarif", "s.sarif"),
        ("chrome-trace", "t.json"),
    ]
    .iter()
    .map(|(format, name)| scene.to(format, name))
    .collect();
    let mut args = vec!["check", "--model", "register", text(&stale)];
    for output in &outputs {
        args.extend(["--output", output]);
    }
    let done = run(args).expect(1);
    assert!(done.out.trim_end().lines().last().unwrap().contains("not linearizable"), "{}", done.out);
    assert!(scene.read("h.txt").contains("error[stale-read]"));
    assert!(scene.read("n.txt").contains("Stale read:"));
    conforms(&scene.read("r.json"));
    assert!(scene.read("j.xml").contains("<failure type=\"stale-read\""));
    assert!(scene.read("g.md").starts_with("### "));
    let sarif: Value = serde_json::from_str(&scene.read("s.sarif")).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    assert_eq!((&result["ruleId"], &result["level"]), (&Value::from("stale-read"), &Value::from("error")));
    let trace: Value = serde_json::from_str(&scene.read("t.json")).unwrap();
    let slices = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X");
    assert_eq!(slices.count(), 3);
}

#[test]
fn several_histories_make_one_document_with_a_suite_and_a_run_each() {
    let files = [format!("{ETCD}/etcd_002.log"), format!("{ETCD}/etcd_000.log")];
    let of = |format: &str| {
        run(["check", "--model", "cas-register", "--format", format, &files[0], &files[1]]).expect(1).out
    };
    let xml = of("junit");
    assert_eq!(xml.matches("<testsuites").count(), 1);
    assert_eq!(xml.matches("<testsuite ").count(), 2, "{xml}");
    assert!(xml.starts_with("<?xml"), "{xml}");
    for suite in ["id=\"0\"", "id=\"1\"", "tests=\"1\" failures=\"0\"", "tests=\"1\" failures=\"1\""] {
        assert_eq!(xml.matches(suite).count(), 1, "{suite}\n{xml}");
    }
    let sarif: Value = serde_json::from_str(&of("sarif")).unwrap();
    let runs = sarif["runs"].as_array().unwrap();
    let counts: Vec<usize> = runs.iter().map(|run| run["results"].as_array().unwrap().len()).collect();
    assert_eq!(counts, [0, 1]);
}

#[test]
fn the_same_violation_has_the_same_fingerprint_whatever_its_values() {
    let of = |value: &str| {
        let scene = Scene::new();
        let stale = scene.stale(value);
        let out = run(["check", "--model", "register", "--format", "sarif", text(&stale)]).expect(1).out;
        let sarif: Value = serde_json::from_str(&out).unwrap();
        sarif["runs"][0]["results"][0]["partialFingerprints"].clone()
    };
    assert_eq!(of("1"), of("77"));
}

#[test]
fn sarif_can_be_shown_at_a_file_of_the_repository() {
    let scene = Scene::new();
    let stale = scene.stale("1");
    let args = [
        "check",
        "--model",
        "register",
        "--format",
        "sarif",
        "--sarif-anchor",
        "tests/plan.toml",
        text(&stale),
    ];
    let sarif: Value = serde_json::from_str(&run(args).expect(1).out).unwrap();
    let place = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "tests/plan.toml");
}

#[test]
fn under_github_actions_there_are_annotations_and_nobody_else_can_make_one() {
    let scene = Scene::new();
    let evil = "\"a\\n::error::no %0A##[error]x\"";
    let stale = scene.stale(evil);
    let summary = scene.path("summary.md");
    fs::write(&summary, "before\n").unwrap();
    let mut command = perjury();
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let done =
        Done::of(command.args(["check", "--model", "register"]).arg(&stale).output().unwrap()).expect(1);
    let mut stopped: Option<String> = None;
    let mut commands = Vec::new();
    for line in done.out.lines() {
        match &stopped {
            None if line.starts_with("::stop-commands::") => stopped = Some(line[17..].to_string()),
            None => commands.push(line),
            Some(word) if line == format!("::{word}::") => stopped = None,
            Some(_) => {}
        }
    }
    assert_eq!(stopped, None, "commands are let through again at the end");
    assert_eq!(commands.len(), 1, "{commands:?}");
    assert!(commands[0].starts_with("::error title=stale-read (x)"), "{commands:?}");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("before\n### "), "it is appended to: {summary}");
    let elsewhere = run(["check", "--model", "register", text(&stale)]).expect(1).out;
    assert!(!elsewhere.lines().any(|line| line.starts_with("::")), "only there: {elsewhere}");
}

#[test]
fn whoever_listens_is_told_in_sentences() {
    let scene = Scene::new();
    let stale = scene.stale("1");
    let mut command = perjury();
    command.env("PERJURY_NARRATED", "1").args(["check", "--model", "register"]).arg(&stale);
    let done = Done::of(command.output().unwrap()).expect(1);
    assert!(done.out.contains("Stale read:") && !done.out.contains("   |"), "{}", done.out);
    let args = ["check", "--model", "register", "--format", "human", text(&stale)];
    assert!(run(args).expect(1).out.contains("   |"));
}

#[test]
fn a_history_becomes_a_trace() {
    let file = format!("{ETCD}/etcd_000.log");
    for name in ["chrome-trace", "perfetto"] {
        let trace: Value =
            serde_json::from_str(&run(["convert", "--to", name, &file]).expect(0).out).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let operations = events.iter().filter(|event| event["ph"] == "X").count();
        let asked = fs::read_to_string(&file).unwrap().matches(":invoke").count();
        assert!(operations == asked && asked > 50, "{operations} of {asked}");
    }
}

#[test]
fn what_cannot_be_written_ends_with_74_and_what_cannot_be_meant_with_64() {
    let scene = Scene::new();
    let stale = scene.stale("1");
    let check = |more: &[&str]| run([&["check", "--model", "register", text(&stale)], more].concat());
    let done = check(&["--output", &scene.to("junit", "no/such/dir.xml")]).expect(74);
    assert!(done.out.contains("not linearizable"), "the verdict is still told: {}", done.out);
    let twice = scene.to("json", "x");
    let over = format!("json={}", stale.display());
    for wrong in [
        vec!["--output", "junit"],
        vec!["--output", "xml=x"],
        vec!["--output", "junit="],
        vec!["--format", "xml"],
        vec!["--output", &twice, "--output", &twice],
        vec!["--output", &over],
    ] {
        // Before anything is judged or written.
        assert!(check(&wrong).expect(64).out.is_empty(), "{wrong:?}");
    }
    assert!(scene.read("history.jsonl").starts_with("{\"process\""));
    let trace = scene.to("chrome-trace", "t.json");
    check(&["--output", &trace, text(&stale)]).expect(64);
}
