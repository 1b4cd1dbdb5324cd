//! What a terminal shows, as committed text: `UPDATE_GALLERY=1` writes it anew.

mod fixtures;

use fixtures::cases::{self, Case};
use reports::terminal::{Look, Paths, anomalies, beside, narrated, verdict};
use std::path::PathBuf;

const PLAIN: Look = Look { width: 100, color: false, unicode: false };
const BOXES: Look = Look { width: 110, color: false, unicode: true };

fn paths(case: &Case) -> Paths {
    let run = "store/demo/20261120T091407Z";
    Paths {
        history: Some(case.results.checker.history.clone()),
        report: Some(format!("{run}/report.html")),
        cores: (1..=case.results.anomalies.len()).map(|n| format!("{run}/anomaly-{n}.jsonl")).collect(),
    }
}

fn shown(case: &Case, look: &Look) -> String {
    let paths = paths(case);
    let text = anomalies(&case.results, &paths, look);
    let gap = if text.is_empty() { "" } else { "\n" };
    format!("{text}{gap}{}{}", beside(&case.results, look), verdict(&case.results, &paths, look))
}

#[test]
fn the_committed_texts_are_what_the_code_says() {
    let update = std::env::var_os("UPDATE_GALLERY").is_some();
    for case in cases::all() {
        let spoken: String = case.results.anomalies.iter().take(1).map(narrated).collect();
        let text = format!(
            "## plain, 100 columns\n{}\n## box characters, 110 columns\n{}\n## narrated\n{spoken}",
            shown(&case, &PLAIN),
            shown(&case, &BOXES)
        );
        let path =
            PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("gallery").join(format!("{}.txt", case.name));
        if update {
            std::fs::write(&path, &text).expect("the gallery can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed.replace("\r\n", "\n") == text,
            "{} differs from what the code says; UPDATE_GALLERY=1 writes it anew\n{text}",
            path.display()
        );
    }
}

#[test]
fn nothing_but_commands_and_paths_is_wider_than_the_terminal() {
    for case in cases::all() {
        for width in [40, 60, 72, 80, 100, 110, 200] {
            for unicode in [false, true] {
                let look = Look { width, color: false, unicode };
                let text = anomalies(&case.results, &paths(&case), &look);
                for line in text
                    .lines()
                    .filter(|l| !l.contains("help: ") && !l.contains(".jsonl") && !l.contains(".edn"))
                {
                    assert!(line.chars().count() <= width, "{} at {width}: {line}", case.name);
                }
            }
        }
    }
}

#[test]
fn a_narrow_terminal_gets_a_list_and_a_wide_one_a_picture() {
    let case = cases::stale_read();
    let text = |width| anomalies(&case.results, &paths(&case), &Look { width, color: false, unicode: false });
    assert!(text(100).contains("[D read -> 41"), "{}", text(100));
    assert!(!text(71).contains("[D"));
    assert!(text(71).contains("D read -> 41 (client 114 via n5"), "{}", text(71));
}

#[test]
fn colours_come_only_when_they_are_welcome_and_change_no_word() {
    let case = cases::lost_write();
    let plain = shown(&case, &PLAIN);
    assert!(!plain.contains('\x1b') && plain.is_ascii());
    let coloured = shown(&case, &Look { color: true, ..PLAIN });
    assert!(coloured.contains("\x1b[1;31m"));
    let mut bare = String::new();
    let mut rest = coloured.as_str();
    while let Some(at) = rest.find('\x1b') {
        bare.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').expect("an escape ends with m").1;
    }
    bare.push_str(rest);
    assert_eq!(bare, plain);
}

#[test]
fn the_verdict_and_the_path_are_the_last_lines() {
    for case in cases::all() {
        let text = shown(&case, &PLAIN);
        assert!(text.ends_with("/report.html\n"), "{text}");
    }
    let lines = |case: Case| verdict(&case.results, &Paths::default(), &BOXES);
    assert!(
        lines(cases::valid())
            .starts_with("✓ linearizable   12 keys   1 125 operations in 20 s   12 of 12 faults bit")
    );
    assert!(lines(cases::stale_read()).starts_with("✗ not linearizable   1 of 12 keys, 3 anomalies"));
    assert!(lines(cases::undecided()).starts_with("? undecided   2 of 12 keys"));
    assert!(lines(cases::vacuous()).starts_with("! vacuous: too little was tested"));
}
