//! Recorded and generated histories through the whole program: each must get the verdict that is known of it, also
//! after a detour through another format.

mod common;

use common::{corpus, perjury};
use std::fs;
use std::path::PathBuf;

/// A line of a `verdicts.tsv`.
struct Known {
    file: PathBuf,
    flags: Vec<String>,
    linearizable: bool,
}

fn known() -> Vec<Known> {
    let mut found = Vec::new();
    let mut dirs = vec![corpus("")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.file_name().is_some_and(|name| name == "verdicts.tsv") {
                let text = fs::read_to_string(&path).unwrap();
                found.extend(
                    text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1).map(
                        |line| {
                            let fields: Vec<&str> = line.split('\t').collect();
                            let [file, model, flags, verdict] = fields[..] else {
                                panic!("{}: {line}", path.display())
                            };
                            let mut flags: Vec<String> =
                                flags.split_whitespace().map(str::to_string).collect();
                            flags.extend(["--model".to_string(), model.to_string()]);
                            Known { file: dir.join(file), flags, linearizable: verdict == "valid" }
                        },
                    ),
                );
            }
        }
    }
    assert!(found.len() > 100, "only {} known verdicts", found.len());
    found
}

#[test]
fn every_recorded_history_gets_the_verdict_that_is_known_of_it() {
    for known in known() {
        let done = common::Done::of(
            perjury().args(["check", "--quiet"]).args(&known.flags).arg(&known.file).output().unwrap(),
        );
        assert_eq!(
            done.code,
            i32::from(!known.linearizable),
            "{}\n{}{}",
            known.file.display(),
            done.out,
            done.err
        );
    }
}

#[test]
fn the_same_history_in_edn_gets_the_same_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("history.edn");
    for known in known() {
        let converted = perjury()
            .args(["convert", "--to", "edn"])
            .arg(&known.file)
            .arg("-o")
            .arg(&file)
            .output()
            .unwrap();
        common::Done::of(converted).expect(0);
        let done = common::Done::of(
            perjury().args(["check", "--quiet"]).args(&known.flags).arg(&file).output().unwrap(),
        );
        assert_eq!(
            done.code,
            i32::from(!known.linearizable),
            "{}\n{}{}",
            known.file.display(),
            done.out,
            done.err
        );
    }
}

#[test]
fn what_is_linearizable_is_sequentially_consistent() {
    for known in known().into_iter().filter(|known| known.linearizable) {
        let args = ["check", "--quiet", "--property", "sequential"];
        common::Done::of(perjury().args(args).args(&known.flags).arg(&known.file).output().unwrap())
            .expect(0);
    }
}
