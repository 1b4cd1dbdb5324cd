//! Certificates as files: the small verifier confirms what is true, and refuses whatever somebody has changed.

mod common;

use common::run;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Two keys: `x` is fine, and a read of `y` finds what a write acknowledged before had replaced.
fn lie() -> String {
    let line = |process: u32, kind: &str, f: &str, key: &str, value: &str| {
        format!(
            "{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"key\":\"{key}\",\"value\":{value}}}\n"
        )
    };
    let done = |process: u32, f: &str, key: &str, value: &str| {
        let asked = if f == "read" { "null" } else { value };
        line(process, "invoke", f, key, asked) + &line(process, "ok", f, key, value)
    };
    let x = done(0, "write", "x", "1") + &done(1, "read", "x", "1") + &done(0, "write", "x", "2");
    x + &done(0, "write", "y", "1") + &done(0, "write", "y", "2") + &done(1, "read", "y", "1")
}

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Checks, and returns the certificate.
    fn certify(&self, history: &Path, flags: &[&str], code: i32) -> PathBuf {
        let file = self.dir.path().join("certificate.json");
        let mut args =
            vec!["check", "-q", history.to_str().unwrap(), "--certificate", file.to_str().unwrap()];
        args.extend(flags);
        run(args).expect(code);
        file
    }

    fn verify(&self, history: &Path, certificate: &Path) -> common::Done {
        run([Path::new("verify"), history, certificate])
    }

    /// What the verifier says to a certificate that somebody has changed.
    fn changed(&self, history: &Path, certificate: &Path, change: impl FnOnce(&mut Value)) -> common::Done {
        let mut value: Value = serde_json::from_slice(&std::fs::read(certificate).unwrap()).unwrap();
        change(&mut value);
        self.verify(history, &self.file("changed.json", &value.to_string()))
    }
}

#[test]
fn what_was_concluded_is_confirmed_by_the_verifier_alone() {
    let scene = Scene::new();
    let history = scene.file("history.jsonl", &lie());
    let certificate = scene.certify(&history, &["--model", "register"], 1);
    let done = scene.verify(&history, &certificate).expect(0);
    assert!(done.out.contains("linearizable: holds for 1 object: 3 operations replayed"), "{}", done.out);
    assert!(done.out.contains("violated for 1 object: 2 operations"), "{}", done.out);

    let certificate = scene.certify(&history, &["--model", "register", "--property", "all"], 1);
    let done = scene.verify(&history, &certificate).expect(0);
    assert!(done.out.contains("sequential: holds for 1 object: 6 operations"), "{}", done.out);
}

#[test]
fn histories_of_every_kind_are_confirmed() {
    let scene = Scene::new();
    let packed = common::corpus("synthetic/reg-c5-n1000-ok.jsonl.gz");
    let etcd = common::corpus("third-party/porcupine/jepsen-etcd/etcd_000.log");
    for (file, model, code) in [(packed, "cas-register", 0), (etcd, "cas-register", 1)] {
        let certificate = scene.certify(&file, &["--model", model, "--property", "all"], code);
        scene.verify(&file, &certificate).expect(0);
    }
    // One document, all on one line: operations are counted instead.
    let lines: Vec<Value> = lie().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let document = scene.file("history.json", &Value::Array(lines).to_string());
    let certificate = scene.certify(&document, &["--model", "register"], 1);
    assert!(std::fs::read_to_string(&certificate).unwrap().contains("\"operations\":\"number\""));
    scene.verify(&document, &certificate).expect(0);
}

#[test]
fn a_certificate_that_somebody_has_changed_is_refused_with_one_line() {
    let scene = Scene::new();
    let history = scene.file("history.jsonl", &lie());
    let certificate = scene.certify(&history, &["--model", "register"], 1);
    let statement = |value: &Value, answer: &str| {
        let all = value["statements"].as_array().unwrap();
        all.iter().position(|s| s["answer"] == answer).expect("a statement")
    };
    type Change = fn(&mut Value, usize, usize);
    let changes: [(&str, Change, &str); 12] = [
        (
            "two operations of the order swapped",
            |v, holds, _| v["statements"][holds]["order"].as_array_mut().unwrap().swap(0, 1),
            "line",
        ),
        (
            "an operation left out of the order",
            |v, holds, _| {
                v["statements"][holds]["order"].as_array_mut().unwrap().pop();
            },
            "2 of 3",
        ),
        (
            "an operation twice in the order",
            |v, holds, _| v["statements"][holds]["order"].as_array_mut().unwrap().push(json!(1)),
            "twice",
        ),
        (
            "an operation that there is not",
            |v, holds, _| v["statements"][holds]["order"][0] = json!(4711),
            "no invocation on line 4711",
        ),
        ("an operation of another key", |v, holds, _| v["statements"][holds]["order"][0] = json!(7), "line"),
        (
            "an operation left out of the core",
            |v, _, violated| {
                v["statements"][violated]["core"].as_array_mut().unwrap().remove(0);
            },
            "y",
        ),
        (
            "the core of another key",
            |v, _, violated| v["statements"][violated]["core"] = json!([1, 3]),
            "not there",
        ),
        (
            "a core that has an order",
            |v, _, violated| {
                v["statements"][violated] =
                    json!({"property": "linearizable", "keys": ["y"], "answer": "violated", "core": [7, 9]})
            },
            "order",
        ),
        (
            "a violation made a pass",
            |v, _, violated| v["statements"][violated]["answer"] = json!("holds"),
            "needs an order",
        ),
        (
            "a violation without evidence",
            |v, _, violated| {
                v["statements"][violated].as_object_mut().unwrap().remove("core");
            },
            "needs a core",
        ),
        (
            "a key about which nothing is said",
            |v, _, violated| {
                v["statements"].as_array_mut().unwrap().remove(violated);
            },
            "nothing is said",
        ),
        (
            "a key that there is not",
            |v, _, violated| v["statements"][violated]["keys"] = json!(["z"]),
            "nothing is said",
        ),
    ];
    for (what, change, why) in changes {
        let done = scene.changed(&history, &certificate, |value| {
            let (holds, violated) = (statement(value, "holds"), statement(value, "violated"));
            change(value, holds, violated);
        });
        assert_eq!(done.code, 1, "{what}\n{}{}", done.out, done.err);
        assert!(done.out.starts_with("refused: ") && done.out.contains(why), "{what}: {}", done.out);
        assert_eq!(done.out.lines().count(), 1, "{what}: {}", done.out);
    }
}

#[test]
fn a_certificate_is_not_held_against_another_history() {
    let scene = Scene::new();
    let history = scene.file("history.jsonl", &lie());
    let certificate = scene.certify(&history, &["--model", "register"], 1);
    let other = scene.file("other.jsonl", &lie().replacen("\"value\":2", "\"value\":3", 2));
    let done = scene.verify(&other, &certificate).expect(1);
    assert!(done.out.contains("another history"), "{}", done.out);
    // Whoever makes the names agree still has to face the evidence.
    let name = |file: &Path| {
        let made = scene.certify(file, &["--model", "register"], 1);
        let value: Value = serde_json::from_slice(&std::fs::read(made).unwrap()).unwrap();
        value["history"]["content"].clone()
    };
    let shorter =
        scene.file("shorter.jsonl", &lie().lines().skip(2).map(|l| format!("{l}\n")).collect::<String>());
    let content = name(&shorter);
    let certificate = scene.certify(&history, &["--model", "register"], 1);
    let done = scene.changed(&shorter, &certificate, |value| value["history"]["content"] = content);
    assert_eq!(done.code, 1, "{}{}", done.out, done.err);
}

#[test]
fn what_is_no_certificate_ends_with_65() {
    let scene = Scene::new();
    let history = scene.file("history.jsonl", &lie());
    let certificate = scene.certify(&history, &["--model", "register"], 1);
    let text = std::fs::read_to_string(&certificate).unwrap();
    for (name, wrong) in [
        ("truncated", text[..text.len() / 2].to_string()),
        ("empty", String::new()),
        ("other schema", text.replace("perjury.certificate/1", "perjury.certificate/9")),
        ("other model", text.replace("\"name\":\"register\"", "\"name\":\"toaster\"")),
        ("other property", text.replace("linearizable", "perfect")),
        ("results", "{\"schema\":\"perjury.results/1\"}".to_string()),
    ] {
        let file = scene.file("wrong.json", &wrong);
        let done = scene.verify(&history, &file);
        assert_eq!(done.code, 65, "{name}: {}{}", done.out, done.err);
        assert!(done.err.contains("wrong.json") && done.err.lines().count() == 1, "{name}: {}", done.err);
    }
    assert_eq!(run(["verify", history.to_str().unwrap(), "/no/such/file"]).code, 65);
}

#[test]
fn what_is_undecided_is_not_claimed() {
    let scene = Scene::new();
    let event = |process: usize, kind: &str, f: &str, value: String| {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let adds =
        |kind: &str| (1..=40).map(|n| event(n, kind, "add", (1u64 << n).to_string())).collect::<String>();
    let odd = event(0, "invoke", "read", "null".to_string())
        + &event(0, "ok", "read", ((1u64 << 40) - 1).to_string());
    let history = scene.file("hard.jsonl", &(adds("invoke") + &odd + &adds("ok")));
    let certificate = scene.certify(&history, &["--model", "counter", "--timeout", "100ms"], 2);
    let done = scene.verify(&history, &certificate).expect(1);
    assert!(done.out.contains("claims nothing"), "{}", done.out);
}
