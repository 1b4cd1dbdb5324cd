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
