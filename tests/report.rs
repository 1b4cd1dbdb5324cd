//! A report that cannot be written changes neither verdict nor exit code. (One that cannot be drawn: `src/show.rs`.)

mod common;

use common::{Done, corpus, perjury, run};
use std::fs;
use std::process::Command;

#[test]
fn a_full_disk_below_the_report_changes_neither_verdict_nor_exit_code() {
    let bad = corpus("third-party/knossos/cas-register/bad/cas-failure.edn").display().to_string();
    let good = corpus("third-party/knossos/cas-register/good/memstress3-10.edn").display().to_string();
    for (history, code) in [(&bad, 1), (&good, 0)] {
        let args = ["check", history, "--model", "cas-register", "--format", "json"];
        let plain = run(args);
        // Every write to this device fails with "no space left".
        let full = run(args.iter().chain(&["--report", "/dev/full"]));
        assert_eq!((plain.code, full.code), (code, code), "{}", full.err);
        let verdict = |done: &Done| {
            let results: serde_json::Value = serde_json::from_str(&done.out).expect("results");
            (results["verdict"].clone(), results["anomalies"].clone())
        };
        assert_eq!(verdict(&plain), verdict(&full));
        assert!(full.err.contains("/dev/full: writing the report: No space left"), "{}", full.err);
        assert!(!full.out.contains("/dev/full"), "a page that is not there is not named");
    }
    // Where the report is all that was asked for, it is the failure.
    run(["report", &bad, "--model", "cas-register", "-o", "/dev/full"]).expect(74);
}

#[test]
fn a_run_whose_page_does_not_fit_on_the_disk_keeps_its_verdict() {
    let args = [
        "demo-quorum",
        "register",
        "--nemesis",
        "clock",
        "--seed",
        "7",
        "--time-limit",
        "3s",
        "--format",
        "json",
    ];
    let dir = tempfile::tempdir().expect("a directory");
    let store = |name: &str| dir.path().join(name).display().to_string();
    let whole = Done::of(
        perjury().arg("test").args(args).args(["--store", &store("whole")]).output().expect("it runs"),
    );
    let run_of = |name: &str| {
        fs::canonicalize(dir.path().join(name).join("demo-quorum-register/latest")).expect("a run")
    };
    let size = |name: &str| fs::metadata(run_of("whole").join(name)).map_or(0, |meta| meta.len());
    // A limit for every file that the page alone exceeds, in blocks of 512 bytes.
    let (page, others) = (size("report.html"), size("results.json").max(size("history.jsonl")));
    let limit = (others * 3 / 2).max(page * 2 / 3);
    assert!(others < limit && limit < page, "page {page}, the largest other file {others}");
    let exe = perjury().get_program().to_owned();
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", limit / 512)).arg("sh").arg(exe);
    let done = Done::of(
        limited
            .arg("test")
            .args(args)
            .args(["--store", &store("cut")])
            .env("NO_COLOR", "1")
            .output()
            .expect("sh runs"),
    );
    assert!(done.err.contains("report.html: writing the report: File too large"), "{}", done.err);
    let results: serde_json::Value = serde_json::from_str(&done.out).expect("results");
    assert_eq!(results["verdict"], "invalid", "{}", done.err);
    assert_eq!((whole.code, done.code), (1, 1), "{}", done.err);
    let dir = run_of("cut");
    let kept = fs::read_to_string(dir.join("results.json")).expect("results are there");
    assert!(kept.contains("\"verdict\": \"invalid\"") || kept.contains("\"verdict\":\"invalid\""));
    assert!(dir.join("summary.json").exists(), "a run without a page is listed all the same");
    let half: Vec<String> = fs::read_dir(&dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("report") || name.contains("half"))
        .collect();
    assert!(half.is_empty(), "a page is there whole or not at all: {half:?}");
}
