//! Every kind of anomaly has its page, made from a small history, and the committed pages are what the code makes.

mod common;

use common::run;
use std::fs;
use std::path::{Path, PathBuf};

fn gallery() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/gallery/kinds")
}

#[test]
fn every_kind_of_anomaly_has_its_page() {
    let made = tempfile::tempdir().expect("a directory");
    let files = |dir: &Path| {
        let mut names: Vec<String> = fs::read_dir(dir)
            .expect("a directory")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    for name in files(&gallery()).iter().filter(|name| name.ends_with(".jsonl") || name.ends_with(".tsv")) {
        fs::copy(gallery().join(name), made.path().join(name)).expect("a copy");
    }
    run(["gallery", made.path().to_str().expect("a path")]).expect(0);
    assert_eq!(files(made.path()), files(&gallery()), "`cargo run -- gallery` makes it again");
    let kinds = run(["list", "kinds"]).expect(0).out;
    for name in files(made.path()).iter().filter(|name| name.ends_with(".html")) {
        let read = |dir: &Path| fs::read_to_string(dir.join(name)).expect("a page");
        let (new, committed) = (read(made.path()), read(&gallery()));
        assert!(
            reports::shown(&new) == reports::shown(&committed.replace("\r\n", "\n")),
            "{name} differs from what the code makes; `cargo run -- gallery` makes it again"
        );
        let kind = name.trim_end_matches(".html");
        assert!(kinds.contains(kind), "{kind} is no kind");
        // The first screen alone says who, what and when, and shows it.
        for part in ["<h1", "class=\"lede\"", "class=\"pic\"", "class=\"conclusion\""] {
            assert!(new.contains(part), "{name} has no {part}");
        }
    }
}

/// Kinds that are told by what happened later or elsewhere: their core alone is told as another, and as impossible too.
const TOLD_BY_THE_WHOLE_HISTORY: [&str; 7] = [
    "false-empty",
    "lost-write",
    "out-of-turn",
    "reordered-message",
    "set-lost",
    "set-resurrected",
    "set-stale",
];

#[test]
fn the_core_in_every_page_gives_the_same_verdict() {
    let mut told_otherwise = Vec::new();
    for line in fs::read_to_string(gallery().join("kinds.tsv")).expect("the list").lines() {
        let [kind, model, property] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let page = fs::read_to_string(gallery().join(format!("{kind}.html"))).expect("a page");
        let (_, rest) =
            page.split_once("download=\"anomaly-1.jsonl\" href=\"data:").expect("a link to the core");
        let (_, rest) = rest.split_once("base64,").expect("base64");
        let (data, _) = rest.split_once('"').expect("the link ends");
        let core = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, data).expect("base64");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("anomaly-1.jsonl");
        fs::write(&file, core).expect("a file");
        let file = file.display().to_string();
        let done =
            run(["check", &file, "--model", model, "--property", property, "--format", "json"]).expect(1);
        let results: serde_json::Value = serde_json::from_str(&done.out).expect("results");
        assert_eq!(results["verdict"], "invalid", "{kind}");
        if results["anomalies"][0]["kind"] != kind {
            told_otherwise.push(kind.to_string());
        }
    }
    assert_eq!(told_otherwise, TOLD_BY_THE_WHOLE_HISTORY);
}
