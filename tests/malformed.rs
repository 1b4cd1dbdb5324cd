//! What is not a history gives one clear line and exit code 65: never a panic, never a guess.

mod common;

use common::perjury;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Name, content, and a word that the line must contain.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let line = |text: &str| text.as_bytes().to_vec();
    let invoke = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
    let ok = r#"{"process":0,"type":"ok","f":"write","value":1}"#;
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!(r#"{{"process":0,"type":"invoke","f":"write","value":{nested}}}"#);
    let deep_edn = format!("{{:process 0, :type :invoke, :f :write, :value {nested}}}");
    let huge = "123456789012345678901234567890";
    vec![
        ("empty file", Vec::new(), "empty"),
        ("only white space", line("\n  \n\n"), "event"),
        ("cut in the middle of a line", line(&format!("{invoke}\n{}", &ok[..20])), ":2:"),
        (
            "cut in the middle of an edn map",
            line("{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :ty"),
            ":2:",
        ),
        ("binary", (0..=255u8).cycle().take(4096).collect(), "expected"),
        ("nul bytes", vec![0; 1000], "expected"),
        ("invalid utf-8", [&invoke.as_bytes()[..45], b"\"\xff\xfe\"}\n"].concat(), "UTF-8"),
        ("double invoke", line(&format!("{invoke}\n{invoke}\n")), ":2:"),
        ("completion without invoke", line(&format!("{ok}\n")), ":1:"),
        (
            "completion of another function",
            line(&format!("{invoke}\n{}\n", ok.replace("write", "read"))),
            ":2:",
        ),
        ("unknown type", line(&invoke.replace("invoke", "invoked")), "type"),
        ("type is a number", line(&invoke.replace("\"invoke\"", "7")), "type"),
        ("no process", line(r#"{"type":"invoke","f":"write","value":1}"#), "process"),
        ("no type", line(r#"{"process":0,"f":"write","value":1}"#), "type"),
        ("no function", line(r#"{"process":0,"type":"invoke","value":1}"#), "f"),
        ("process is a list", line(&invoke.replace("\"process\":0", "\"process\":[0]")), "process"),
        ("process is a huge number", line(&invoke.replace(":0", &format!(":{huge}"))), "process"),
        ("time beyond all numbers", line(&invoke.replace(":1", ":1,\"time\":1e400")), "expected"),
        ("time is text", line(&invoke.replace(":1", ":1,\"time\":\"noon\"")), "time"),
        ("deep nesting in json", deep.into_bytes(), "512"),
        ("deep nesting in edn", deep_edn.into_bytes(), "512"),
        ("not an object", line("[1,2,3]\n"), "expected"),
        ("trailing garbage", line(&format!("{invoke} and then\n")), ":1:"),
        ("prose", line("The quick brown fox\njumps over the lazy dog.\n"), "expected"),
        ("truncated gzip", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2], "gzip"),
        ("truncated zstd", vec![0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2], "Zstandard"),
        ("an unclosed string", line("{:process 0, :type :invoke, :f :write, :value \"no end"), "string"),
        ("an odd edn map", line("{:process 0, :type :invoke, :f}"), "expected"),
    ]
}

#[test]
fn what_is_not_a_history_gives_one_clear_line_and_exit_code_65() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history");
    let mut wrong = Vec::new();
    for (name, content, word) in cases() {
        std::fs::write(&file, content).unwrap();
        let started = Instant::now();
        let output = perjury().args(["check", "--model", "register"]).arg(&file).output().unwrap();
        let done = common::Done::of(output);
        let lines: Vec<&str> = done.err.lines().filter(|line| !line.starts_with("warning")).collect();
        let right = done.code == 65
            && done.out.is_empty()
            && lines.len() == 1
            && lines[0].starts_with("perjury: ")
            && lines[0].contains("history")
            && lines[0].contains(word)
            && lines[0].len() < 400
            && started.elapsed() < Duration::from_secs(10);
        if !right {
            wrong.push(format!("{name}: exit {}, wanted {word:?}: {}{}", done.code, done.out, done.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_directory_that_is_no_run_and_a_file_that_is_not_there_are_one_clear_line_each() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_path_buf(), dir.path().join("nowhere.jsonl")] {
        let done = common::Done::of(perjury().arg("check").arg(&path).output().unwrap()).expect(65);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert!(done.err.contains(&*path.to_string_lossy()), "{}", done.err);
    }
}

#[test]
fn standard_input_is_read_and_refused_the_same_way() {
    let mut child = perjury()
        .args(["check", "--model", "register", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"nonsense\n").unwrap();
    let done = common::Done::of(child.wait_with_output().unwrap()).expect(65);
    assert!(done.err.contains("-:1:"), "{}", done.err);
}

#[test]
fn an_operation_that_the_model_does_not_know_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.jsonl");
    let event = |kind: &str, f: &str, value: &str| {
        format!("{{\"process\":0,\"type\":\"{kind}\",\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let history =
        [event("invoke", "write", "1"), event("ok", "write", "1"), event("invoke", "cas", "[1,2,3]")];
    std::fs::write(&file, history.concat() + &event("ok", "cas", "[1,2,3]")).unwrap();
    let done =
        common::Done::of(perjury().args(["check", "--model", "cas-register"]).arg(&file).output().unwrap());
    let done = done.expect(65);
    assert!(done.err.contains(":3:") && done.err.contains("cas"), "{}", done.err);
}

#[test]
fn an_unfinished_last_line_can_be_dropped_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.jsonl");
    let whole = "{\"process\":0,\"type\":\"invoke\",\"f\":\"write\",\"value\":1}\n";
    std::fs::write(&file, format!("{whole}{{\"process\":0,\"type\":\"ok\",\"f\":\"wri")).unwrap();
    common::run(["check", "--model", "register", file.to_str().unwrap()]).expect(65);
    let done =
        common::run(["check", "--model", "register", "--allow-truncated", file.to_str().unwrap()]).expect(0);
    assert!(done.err.contains("warning"), "{}", done.err);
}
