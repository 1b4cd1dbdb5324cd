//! The formats for machines, as committed text: `UPDATE_GALLERY=1` writes it anew. And: no value leaves its place.

mod fixtures;

use fixtures::cases;
use history::results::{Results, Verdict};
use reports::machine::{Kind, annotations, chrome_trace, junit, sarif, summary};
use reports::terminal::Paths;
use serde_json::Value;
use std::path::PathBuf;

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/machine")
}

/// A run as `results.json` holds it: what is drawn here must not depend on how it was found.
fn committed() -> Results {
    let text = std::fs::read_to_string(dir().join("inversion.results.json")).expect("committed");
    serde_json::from_str(&text).expect("results of ours")
}

fn kinds() -> Vec<Kind> {
    let text = |text: &str| text.to_string();
    vec![Kind {
        name: text("inversion"),
        sentence: text("new, then old"),
        meaning: text("Two clients disagree."),
    }]
}

fn paths(results: &Results) -> Paths {
    Paths { history: Some(results.checker.history.clone()), ..Paths::default() }
}

#[test]
fn the_committed_documents_are_what_the_code_says() {
    let results = committed();
    let paths = paths(&results);
    let update = std::env::var_os("UPDATE_GALLERY").is_some();
    for (name, text) in [
        ("inversion.junit.xml", junit(&[(&results, &paths)])),
        ("inversion.github.txt", annotations(&results, &paths)),
        ("inversion.github.md", summary(&results, &paths)),
        ("inversion.sarif", sarif(&[&results], &kinds(), None)),
    ] {
        let path = dir().join(name);
        if update {
            std::fs::write(&path, &text).expect("it can be written");
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
        assert!(committed == text, "{name} differs; UPDATE_GALLERY=1 writes it anew\n{text}");
    }
}

/// Every text of `results`, replaced, where it is a text and not a word of ours.
fn poisoned(results: &Results, evil: &str) -> Results {
    fn walk(value: Value, evil: &str) -> Value {
        match value {
            Value::String(_) => Value::String(evil.to_string()),
            Value::Array(items) => items.into_iter().map(|item| walk(item, evil)).collect(),
            Value::Object(fields) => {
                let ours =
                    |name: &str| matches!(name, "verdict" | "answer" | "role" | "why" | "asked" | "property");
                fields.into_iter().map(|(k, v)| if ours(&k) { (k, v) } else { (k, walk(v, evil)) }).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }
    let json = serde_json::to_value(results).expect("plain data");
    serde_json::from_value(walk(json, evil)).expect("the same shape")
}

const EVIL: &str =
    "</failure>]]><img src=x>\" ' & \0\x1b[31m\u{202e}\u{ffff}\n::error::no|`````\r\n##[error]%0A@team";

/// Whether `text` is well-formed, as far as what we write goes: every element is closed in order, nothing else is `<`.
fn well_formed(text: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = text.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").ok_or("no declaration")?;
    while let Some(start) = rest.find('<') {
        if rest[..start].contains('>') {
            return Err(format!("a bare > in {:?}", &rest[..start]));
        }
        let end = start + rest[start..].find('>').ok_or("an element without end")?;
        let element = &rest[start + 1..end];
        if element.chars().filter(|c| *c == '"').count() % 2 == 1 {
            return Err(format!("an attribute without end: {element}"));
        }
        match (element.strip_prefix('/'), element.ends_with('/')) {
            (Some(name), _) => match open.pop() {
                Some(opened) if opened == name => {}
                opened => return Err(format!("{opened:?} closed by {name}")),
            },
            (None, true) => {}
            (None, false) => open.push(element.split_whitespace().next().unwrap_or("")),
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() { Ok(()) } else { Err(format!("left open: {open:?}")) }
}

#[test]
fn no_value_leaves_its_place() {
    let all: Vec<Results> = cases::all().into_iter().map(|case| case.results).chain([committed()]).collect();
    for results in &all {
        let results = &poisoned(results, EVIL);
        let paths = paths(results);
        let xml = junit(&[(results, &paths)]);
        well_formed(&xml).unwrap_or_else(|error| panic!("{error}\n{xml}"));
        assert!(!xml.chars().any(|c| c != '\n' && c.is_control()), "{xml}");
        assert!(!xml.contains(['\u{ffff}', '\u{202e}']));

        let told = annotations(results, &paths);
        for line in told.lines() {
            let level = ["::error title=", "::warning title=", "::notice title="];
            assert!(level.iter().any(|level| line.starts_with(level)), "{told}");
        }

        let markdown = summary(results, &paths);
        let mut fence: Option<String> = None;
        for line in markdown.lines() {
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            match &fence {
                None if ticks.len() >= 3 => fence = Some(ticks),
                Some(open) if ticks.len() >= open.len() => fence = None,
                Some(_) => {}
                None => {
                    let ours = line
                        .replace("<details><summary>", "")
                        .replace("</summary>", "")
                        .replace("</details>", "");
                    assert!(!ours.contains(['<', '>']), "{line}");
                    assert!(!ours.contains("@team"), "{line}");
                }
            }
        }
        assert_eq!(fence, None, "{markdown}");

        let document: Value = serde_json::from_str(&sarif(&[results], &kinds(), None)).expect("JSON");
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
        for result in run["results"].as_array().expect("results") {
            let rule = &rules[result["ruleIndex"].as_u64().expect("a number") as usize];
            assert_eq!(rule["id"], result["ruleId"]);
            let uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str();
            assert!(
                uri.expect("a reference")
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b"<>\"\\^`{|}".contains(&b))
            );
        }
    }
}

/// The elements of a document in order: depth, name, attributes.
fn elements(xml: &str) -> Vec<(usize, String, Vec<String>)> {
    let (mut depth, mut found) = (0, Vec::new());
    for element in xml.split('<').skip(1).filter(|e| !e.starts_with('?')) {
        let (element, _) = element.split_once('>').expect("it ends");
        if element.starts_with('/') {
            depth -= 1;
            continue;
        }
        let name = element.split([' ', '/']).next().unwrap_or("").to_string();
        let names = element.split("=\"").map(|part| part.rsplit([' ', '"']).next().unwrap_or("").to_string());
        let attributes = element.matches("=\"").count();
        found.push((depth, name, names.take(attributes).collect()));
        depth += usize::from(!element.ends_with('/'));
    }
    found
}

/// What both schemas of JUnit's format ask for: Ant's of what must be there, and Jenkins' of what may be.
#[test]
fn junit_is_what_build_servers_expect() {
    let all: Vec<Results> = cases::all().into_iter().map(|case| case.results).chain([committed()]).collect();
    for results in &all {
        let xml = junit(&[(results, &paths(results)), (results, &Paths::default())]);
        let found = elements(&xml);
        assert_eq!((found[0].1.as_str(), found[0].2.len()), ("testsuites", 0), "{xml}");
        let mut ids = 0;
        let mut suite: Vec<&str> = Vec::new();
        for (depth, name, attributes) in found[1..].iter().chain([&(1, "end".to_string(), Vec::new())]) {
            let has = |wanted: &[&str]| wanted.iter().all(|name| attributes.iter().any(|a| a == name));
            let only = |wanted: &[&str]| attributes.iter().all(|a| wanted.contains(&a.as_str()));
            match (depth, name.as_str()) {
                (1, _) => {
                    suite.dedup();
                    let whole = ["properties", "testcase", "system-out", "system-err"];
                    let none = ["properties", "system-out", "system-err"];
                    assert!(ids == 0 || suite == whole || suite == none, "{suite:?}\n{xml}");
                    suite.clear();
                    if name == "testsuite" {
                        let must =
                            ["id", "name", "package", "hostname", "tests", "failures", "errors", "time"];
                        assert!(has(&must), "{attributes:?}");
                        assert!(only(&[&must[..], &["skipped", "timestamp"]].concat()), "{attributes:?}");
                        assert!(xml.contains(&format!("<testsuite id=\"{ids}\"")));
                        ids += 1;
                    } else {
                        assert_eq!(name, "end");
                    }
                }
                (2, name) => {
                    suite.push(name);
                    match name {
                        "testcase" => {
                            assert!(
                                has(&["classname", "name", "time"]) && attributes.len() == 3,
                                "{attributes:?}"
                            )
                        }
                        _ => assert!(attributes.is_empty(), "{name} {attributes:?}"),
                    }
                }
                (3, "property") => assert_eq!(*attributes, ["name", "value"]),
                (3, "failure" | "error") => assert_eq!(*attributes, ["type", "message"]),
                (3, "skipped") => assert_eq!(*attributes, ["message"]),
                other => panic!("{other:?}\n{xml}"),
            }
        }
        assert_eq!(ids, 2);
    }
}

#[test]
fn only_what_holds_passes() {
    for case in cases::all() {
        let xml = junit(&[(&case.results, &Paths::default())]);
        let (failures, errors, skipped) =
            (xml.matches("<failure").count(), xml.matches("<error").count(), xml.matches("<skipped").count());
        let expected = match case.results.verdict {
            Verdict::Valid => failures + errors + skipped == 0,
            Verdict::Invalid => failures > 0,
            Verdict::Undecided => errors > 0 && failures == 0,
            Verdict::Vacuous => skipped > 0 && failures + errors == 0,
        };
        assert!(expected, "{}: {failures} {errors} {skipped}\n{xml}", case.name);
        assert!(xml.contains(&format!(" failures=\"{failures}\"")), "{}\n{xml}", case.name);
    }
}

#[test]
fn a_trace_holds_every_operation_once_and_its_slices_do_not_cross() {
    for case in cases::all() {
        let mut bytes = Vec::new();
        chrome_trace(&case.history, &case.results.faults, Some(&case.results), &mut bytes).expect("written");
        let trace: Value = serde_json::from_slice(&bytes).expect("JSON");
        let events = trace["traceEvents"].as_array().expect("events");
        let slices: Vec<&Value> = events.iter().filter(|e| e["ph"] == "X" && e["pid"] == 1).collect();
        assert_eq!(slices.len(), case.history.ops.len(), "{}", case.name);
        let mut by_client: std::collections::BTreeMap<i64, Vec<(f64, f64)>> = Default::default();
        for slice in slices {
            let (ts, dur) = (slice["ts"].as_f64().expect("ts"), slice["dur"].as_f64().expect("dur"));
            assert!(dur >= 0.0);
            by_client.entry(slice["tid"].as_i64().expect("tid")).or_default().push((ts, ts + dur));
        }
        for (client, mut spans) in by_client {
            spans.sort_by(|a, b| a.0.total_cmp(&b.0));
            for pair in spans.windows(2) {
                assert!(pair[1].0 >= pair[0].1 - 0.001, "{} client {client}: {pair:?}", case.name);
            }
        }
        let flows = |phase: &str| events.iter().filter(|e| e["ph"] == phase).count();
        assert_eq!(flows("s"), flows("f"));
    }
}
