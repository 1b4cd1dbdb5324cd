//! Promises about the source itself: what a reviewer would otherwise have to remember.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory.
fn files(dir: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// Every Rust file of the workspace, build output left out.
fn sources() -> Vec<PathBuf> {
    let rooms = ["history", "checker", "workloads", "nemesis", "reports", "src", "tests"];
    let mut found: Vec<PathBuf> = rooms.iter().flat_map(|room| files(root().join(room))).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    assert!(found.len() > 100, "the walk found only {} files", found.len());
    found
}

#[test]
fn every_file_opens_by_saying_what_it_is_for() {
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not open with a sentence", path.display());
    }
}

#[test]
fn no_file_holds_more_than_one_noun_can_fill() {
    // Fixtures are data: they are as long as there is to say.
    for path in
        sources().into_iter().filter(|path| !path.components().any(|part| part.as_os_str() == "fixtures"))
    {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 600, "{} has {lines} lines", path.display());
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let marks =
        [concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("FIX", "ME"), concat!("XX", "X")];
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        for mark in marks {
            assert!(!text.contains(mark), "{} contains {mark}", path.display());
        }
    }
}

/// The arrows of `docs/architecture.md`: what each crate may name in its `Cargo.toml`.
#[test]
fn crates_call_only_what_the_architecture_allows() {
    let allowed: [(&str, &[&str]); 5] = [
        ("history", &[]),
        ("checker", &["perjury-history"]),
        ("workloads", &["perjury-history", "perjury-checker"]),
        ("nemesis", &["perjury-history"]),
        ("reports", &["perjury-history"]),
    ];
    for (name, allowed) in allowed {
        let manifest: toml::Table =
            fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap().parse().unwrap();
        let dependencies = manifest["dependencies"].as_table().unwrap();
        for dependency in dependencies.keys().filter(|key| key.starts_with("perjury-")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} may not call {dependency}");
        }
    }
}

#[test]
fn cargo_test_at_the_root_tests_every_crate() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let workspace = manifest["workspace"].as_table().unwrap();
    let list = |key: &str| -> Vec<String> {
        workspace[key].as_array().unwrap().iter().map(|member| member.as_str().unwrap().to_string()).collect()
    };
    let (members, tested) = (list("members"), list("default-members"));
    assert!(tested.contains(&".".to_string()));
    for member in members {
        assert!(tested.contains(&member), "`cargo test` leaves {member} out");
    }
}

#[test]
fn the_corpus_is_small_and_says_where_it_comes_from() {
    let third_party = root().join("corpus/third-party");
    for origin in
        fs::read_dir(&third_party).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir())
    {
        for name in ["LICENSE", "README.md"] {
            assert!(origin.join(name).is_file(), "{} has no {name}", origin.display());
        }
    }
    let mut total = 0;
    for path in files(root().join("corpus")) {
        let size = fs::metadata(&path).unwrap().len();
        assert!(size <= 100 * 1024, "{} has {size} bytes", path.display());
        total += size;
    }
    assert!(total <= 3 * 1024 * 1024, "the corpus has {total} bytes");
}

#[test]
fn every_fault_has_its_page() {
    let index = fs::read_to_string(root().join("docs/faults/README.md")).unwrap();
    for kind in nemesis::kinds() {
        assert!(root().join(format!("docs/faults/{kind}.md")).exists(), "docs/faults/{kind}.md is not there");
        assert!(
            index.contains(&format!("[{kind}]({kind}.md)")),
            "docs/faults/README.md does not list {kind}"
        );
    }
}

/// The README's links, and those of the pages below `docs/`, lead somewhere.
#[test]
fn every_link_of_the_documentation_leads_to_a_file() {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    pages.extend(
        files(root().join("docs")).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !link.is_empty() && !link.contains("://") {
                assert!(
                    page.parent().unwrap().join(link).exists(),
                    "{}: {link} leads nowhere",
                    page.display()
                );
            }
        }
    }
}
