//! The casebook from its command line: a lie that is caught, a truth that passes, and a case that there is not.

use std::path::Path;
use std::process::{Command, Output};

fn casebook(store: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perjury"));
    command.arg("casebook").args(args).arg("--store").arg(store);
    command.output().expect("perjury runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_lie_is_caught_and_a_crashed_write_that_surfaces_is_none() {
    let store = tempfile::tempdir().expect("a directory");
    let output = casebook(store.path(), &["lww-clock-skew", "crashed-write-surfaces", "--seed", "7"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.starts_with("seed 7\n"), "{said}");
    assert!(said.contains("2 of 2 agree"), "{said}");
    for case in ["lww-clock-skew", "crashed-write-surfaces"] {
        let run = store.path().join(format!("casebook-{case}/latest"));
        for file in ["history.jsonl", "results.json", "report.html", "summary.json"] {
            assert!(run.join(file).is_file(), "{}", run.join(file).display());
        }
    }
    let run = store.path().join("casebook-lww-clock-skew/latest");
    let check =
        Command::new(env!("CARGO_BIN_EXE_perjury")).arg("check").arg(&run).output().expect("perjury runs");
    assert_eq!(check.status.code(), Some(1), "the history that was kept is judged the same by itself");
}

#[test]
fn repetitions_are_counted() {
    let store = tempfile::tempdir().expect("a directory");
    let output = casebook(store.path(), &["lww-clock-skew", "--repeat", "3", "--seed", "7"]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("3 of 3") && said.contains("1/1/1 of 5"), "{said}");
}

#[test]
fn a_case_that_there_is_not_is_a_bad_command_line() {
    let store = tempfile::tempdir().expect("a directory");
    let output = casebook(store.path(), &["split-brian"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("did you mean \"split-brain\"?"), "{}", text(&output.stderr));
}
