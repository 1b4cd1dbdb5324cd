//! Each kind of anomaly as a small history and everything that is said about it, compared as text.
//!
//! `explain_golden/*.txt`: model and property, a sketch, and after `---` what a person is told. `PERJURY_BLESS=1` writes the
//! files anew; read the difference before it is committed.

mod explain_sketch;

use checker::explain::{coincide, explain};
use checker::kinds::{find, kinds, rank};
use checker::{ModelName, Property};
use explain_sketch::{core_of, history, show, spec};
use history::results::{Anomaly, FaultRecord};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The explanation of a sketch.
fn told(model: ModelName, property: Property, sketch: &str) -> Anomaly {
    let history = history(sketch);
    explain(&history, &spec(model, &history), property, &core_of(sketch), 1)
}

fn golden() -> Vec<(String, PathBuf)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/explain_golden");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files.into_iter().map(|file| (std::fs::read_to_string(&file).expect("a text"), file)).collect()
}

/// The anomaly of a golden file, with its sketch and what is expected.
fn parse(text: &str) -> (Anomaly, &str, &str) {
    let (input, expected) = text.split_once("---\n").unwrap_or((text, ""));
    let (head, sketch) = input.split_once("\n\n").expect("an empty line after the head");
    let (model, property) = head.trim_start_matches("model ").split_once(", ").expect("model and property");
    let model = ModelName::find(model).expect("a model");
    let property = Property::all().into_iter().find(|p| p.name() == property.trim()).expect("a property");
    (told(model, property, sketch), input, expected)
}

#[test]
fn every_kind_is_told_as_agreed() {
    let mut seen = BTreeSet::new();
    for (text, file) in golden() {
        let (anomaly, input, expected) = parse(&text);
        seen.insert(anomaly.kind.clone());
        let told = show(&anomaly);
        if std::env::var_os("PERJURY_BLESS").is_some() {
            std::fs::write(&file, format!("{}\n\n---\n{told}", input.trim_end())).expect("a file");
        } else {
            assert_eq!(told, expected, "{}\n{told}", file.display());
        }
    }
    for kind in kinds() {
        assert!(seen.contains(kind.name), "no golden file shows {}", kind.name);
    }
}

#[test]
fn every_golden_file_shows_the_kind_that_it_is_named_after() {
    for (text, file) in golden() {
        let kind = parse(&text).0.kind;
        let name = file.file_stem().and_then(|s| s.to_str()).expect("a name").to_string();
        assert!(name.contains(&kind), "{name}: {kind}");
    }
}

#[test]
fn the_worst_kinds_come_first_and_each_has_its_words() {
    assert!(rank("lost-write") < rank("stale-read"));
    assert_eq!(rank("no such kind"), kinds().len());
    for kind in kinds() {
        assert!(find(kind.name).is_some());
        assert!(!kind.sentence.ends_with('.') && kind.meaning.ends_with('.') && kind.example.contains("P0"));
    }
}

#[test]
fn a_fault_coincides_with_the_operations_that_it_overlaps_and_changes_the_fingerprint() {
    let sketch = "
        * 1 n1 10 14 write x 1
        * 1 n1 20 25 write x 2
        * 2 n2 30 33 read x null -> 1
    ";
    let mut anomaly = told(ModelName::Register, Property::Linearizable, sketch);
    let before = anomaly.fingerprint.clone();
    let fault = |id, injected: i64, healed: Option<i64>| FaultRecord {
        id,
        kind: "clock".to_string(),
        what: "n1 +30 s".to_string(),
        nodes: vec!["n1".to_string()],
        injected: injected * 1_000_000,
        bit: None,
        evidence: None,
        healed: healed.map(|t| t * 1_000_000),
        error: None,
    };
    coincide(
        &mut anomaly,
        &[fault(1, 0, Some(5)), fault(2, 22, Some(28)), fault(3, 25, None), fault(4, 34, None)],
    );
    let overlaps: Vec<(u32, String)> = anomaly.coincides.iter().map(|c| (c.fault, c.ops.join(" "))).collect();
    assert_eq!(overlaps, [(2, "B".to_string()), (3, "B C".to_string())]);
    assert_ne!(anomaly.fingerprint, before);
}

#[test]
fn the_fingerprint_does_not_depend_on_keys_values_or_times() {
    let one = told(
        ModelName::Register,
        Property::Linearizable,
        "* 1 n1 10 14 write x 1\n* 1 n1 20 25 write x 2\n* 2 n2 30 33 read x null -> 1",
    );
    let other = told(
        ModelName::Register,
        Property::Linearizable,
        "* 5 n3 110 114 write y 7\n* 4 n1 120 125 write y 8\n* 2 n2 130 133 read y null -> 7",
    );
    assert_eq!(one.kind, other.kind);
    assert_eq!(one.fingerprint, other.fingerprint);
}
