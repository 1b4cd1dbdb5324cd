//! The corpus is what its tables say.

use history::{ReadOptions, read_file, stats};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn the_corpus_is_small() {
    let sizes: Vec<(u64, PathBuf)> =
        files(&corpus()).into_iter().map(|path| (path.metadata().expect("a file").len(), path)).collect();
    let large: Vec<_> = sizes.iter().filter(|(size, _)| *size > 100_000).collect();
    assert!(large.is_empty(), "{large:?}");
    assert!(sizes.iter().map(|(size, _)| size).sum::<u64>() < 3_000_000);
}

#[test]
fn whatever_others_recorded_says_where_it_is_from_and_on_what_terms() {
    for folder in std::fs::read_dir(corpus().join("third-party")).expect("the corpus") {
        let folder = folder.expect("an entry").path();
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("a README");
        assert!(
            readme.contains("- Origin: ") && readme.contains("GitHub") && readme.contains("- Licence: "),
            "{}",
            folder.display()
        );
        assert!(folder.join("LICENSE").is_file(), "{}", folder.display());
    }
}

#[test]
fn every_verdict_is_of_a_file_and_every_file_has_a_verdict_or_is_known_to_have_none() {
    let mut judged = BTreeSet::new();
    for table in files(&corpus()).iter().filter(|path| path.ends_with("verdicts.tsv")) {
        let text = std::fs::read_to_string(table).expect("a table");
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("file\tmodel\tflags\tverdict"), "{}", table.display());
        for line in lines {
            let [file, model, _, verdict] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{}: {line}", table.display());
            };
            let path = table.with_file_name(file);
            assert!(path.is_file(), "{}", path.display());
            let models =
                ["cas-register", "kv", "mutex", "multi-register", "queue", "stack", "priority-queue"];
            assert!(models.contains(&model), "{line}");
            assert!(["valid", "invalid"].contains(&verdict), "{line}");
            assert!(judged.insert(path), "twice: {line}");
        }
    }
    assert_eq!(judged.len(), 55 + 82 + 2 + 9 + 9);
    let known = ["README.md", "LICENSE", "verdicts.tsv"];
    let rest = files(&corpus())
        .into_iter()
        .filter(|path| !judged.contains(path) && !known.iter().any(|name| path.ends_with(name)));
    let unjudged = Path::new("elle-cli/jepsen");
    let rest: Vec<PathBuf> =
        rest.filter(|path| !path.parent().is_some_and(|up| up.ends_with(unjudged))).collect();
    assert!(rest.is_empty(), "{rest:?}");
}

/// Counted by others, in the README of Porcupine's files and in Knossos' own analyses.
#[test]
fn operations_are_counted_as_others_count_them() {
    let count = |path: &str| {
        let history =
            read_file(corpus().join("third-party").join(path), &ReadOptions::default()).expect("a history");
        let stats = stats(&history);
        let of = |f: &str| stats.functions.get(f).map_or(0, |f| f.ok + f.fail + f.info);
        (stats.ops, [of("read"), of("write"), of("cas")], stats.info, stats.fail, history.faults.len())
    };
    assert_eq!(count("porcupine/jepsen-etcd/etcd_000.log"), (85, [26, 24, 35], 16, 20, 0));
    assert_eq!(count("porcupine/jepsen-etcd/etcd_032.log"), (88, [36, 23, 29], 7, 20, 0));
    assert_eq!(count("porcupine/jepsen-etcd/etcd_050.log"), (82, [29, 24, 29], 15, 16, 0));
    let knossos = count("knossos/cas-register/bad/cas-failure.edn");
    // They count the nemesis among the infos.
    assert_eq!((knossos.0, knossos.2 + 8, knossos.3, knossos.4), (291, 9, 85, 8));
    let history = read_file(corpus().join("third-party/porcupine/kv/c10-ok.txt"), &ReadOptions::default());
    let kv = stats(&history.expect("a history"));
    let ok = |f: &str| kv.functions[f].ok;
    assert_eq!((kv.ops, kv.keys, kv.processes), (337, 10, 10));
    assert_eq!([ok("get"), ok("put"), ok("append")], [142, 19, 176]);
}
