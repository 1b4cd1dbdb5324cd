//! Everything on a page may have been written by a lying system, and every history may be odd.

mod fixtures;

use fixtures::{cases, *};
use history::results::*;
use history::{History, NO_TIME, Outcome, Value};
use reports::terminal::{Look, Paths, anomalies, beside, narrated, verdict};
use serde_json::Value as Json;

/// Words that are types of ours, not texts of theirs.
const OURS: [&str; 4] = ["verdict", "answer", "role", "why"];

/// `results` with every text replaced by `text`.
fn poisoned(results: &Results, text: &str) -> Results {
    fn walk(value: Json, text: &str) -> Json {
        match value {
            Json::String(_) => Json::String(text.to_string()),
            Json::Array(items) => items.into_iter().map(|v| walk(v, text)).collect(),
            Json::Object(fields) => Json::Object(
                fields
                    .into_iter()
                    .map(
                        |(k, v)| if OURS.contains(&k.as_str()) { (k, v) } else { (k.clone(), walk(v, text)) },
                    )
                    .collect(),
            ),
            Json::Null | Json::Bool(_) | Json::Number(_) => value,
        }
    }
    let mut results: Results =
        serde_json::from_value(walk(serde_json::to_value(results).expect("JSON"), text))
            .expect("the same shape");
    for table in [&mut results.stats.functions, &mut results.stats.nodes] {
        *table = std::mem::take(table).into_values().map(|row| (text.to_string(), row)).collect();
    }
    results
}

fn everything(results: &Results, history: &History) -> (String, String) {
    let mut text = String::new();
    for width in [0, 50, 72, 110] {
        for unicode in [false, true] {
            let look = Look { width, color: false, unicode };
            text.push_str(&anomalies(results, &Paths::default(), &look));
            text.push_str(&beside(results, &look));
            text.push_str(&verdict(results, &Paths::default(), &look));
        }
    }
    for anomaly in &results.anomalies {
        text.push_str(&narrated(anomaly));
    }
    (reports::html(results, history, &reports::Logs::default()), text)
}

/// What is drawn, and the two script elements at the end: the operations and the script itself.
fn apart(page: &str) -> (&str, &str) {
    let body = page.split("</head>").nth(1).expect("a page has a body");
    body.split_at(
        body.find("<script id=\"ops\"").or_else(|| body.find("<script>")).expect("a page has a script"),
    )
}

#[test]
fn no_value_becomes_markup_and_none_reaches_the_terminal_raw() {
    let evil =
        "</script></style></title><img src=x onerror=alert(1)>\"'&\0\u{202e}\x1b[31m<svg onload=alert(1)>";
    for case in cases::all() {
        let mut raws = load(1, 2, &["n1"], 2, 2, &[]);
        for raw in &mut raws {
            raw.node = Some(evil.to_string());
            raw.key = Some(evil.to_string());
            raw.input = Value::text(evil);
        }
        let (page, text) = everything(&poisoned(&case.results, evil), &history(&raws, true));
        let (below, ours) = apart(&page);
        assert_eq!(ours.matches("<script").count(), 2, "{}", case.name);
        for bad in ["<img", "<script", "</script", "</style", "<svg onload"] {
            assert!(!below.contains(bad), "{}: {bad}", case.name);
        }
        assert_eq!(page.matches("<style").count(), 1);
        let data = ours.split_once('>').expect("the operations").1.split_once('<').expect("an end").0;
        assert!(data.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(&b)), "{}", case.name);
        for bad in ['\0', '\u{202e}', '\x1b'] {
            assert!(!page.contains(bad) && !text.contains(bad), "{}: {bad:?}", case.name);
        }
        assert!(page.contains("&lt;img src=x"), "it is shown, not swallowed");
    }
}

#[test]
fn a_megabyte_of_value_is_cut_and_said_to_be() {
    let case = cases::stale_read();
    let results = poisoned(&case.results, &"ab ".repeat(350_000));
    let page = reports::html(&results, &case.history, &reports::Logs::default());
    assert!(page.contains("(cut: 1\u{a0}050\u{a0}000 characters in all)"));
    assert!(page.len() < 500_000, "{}", page.len());
    let text = anomalies(&results, &Paths::default(), &Look { width: 100, color: false, unicode: true });
    assert!(text.contains("(cut: 1 050 000 characters in all)"));
    assert!(text.len() < 100_000, "{}", text.len());
}

#[test]
fn nothing_is_fetched_and_only_our_script_runs() {
    for case in cases::all() {
        let page = reports::html(&case.results, &case.history, &case.logs);
        assert!(page.contains("default-src 'none'; script-src 'sha256-"));
        assert!(!page.contains("unsafe-inline") && !page.contains("connect-src"));
        let (page, ours) = apart(&page);
        for bad in [
            "http://",
            "https://",
            "import(",
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "sendBeacon",
            "innerHTML",
        ] {
            assert!(!ours.contains(bad), "{}: {bad}", case.name);
        }
        for bad in ["<script", "http://", "src=", "@import", " style=", "javascript:"] {
            // The namespace of SVG is a name, not an address.
            let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
            assert!(!page.contains(bad), "{}: {bad}", case.name);
        }
    }
}

fn raw(process: i64, f: &'static str, outcome: Outcome, from: i64, to: i64) -> Raw {
    Raw {
        process,
        node: Some("n1".to_string()),
        f,
        key: None,
        input: Value::Int(1),
        output: Value::Null,
        outcome,
        from,
        to,
        error: None,
    }
}

fn drawn(raws: &[Raw], timed: bool, faults: Vec<FaultRecord>) -> String {
    let history = history(raws, timed);
    let results = results(&history, Verdict::Valid, faults);
    everything(&results, &history).0
}

#[test]
fn odd_histories_have_a_page_too() {
    assert!(drawn(&[], true, vec![]).contains("nothing to draw"));
    assert!(drawn(&[raw(0, "read", Outcome::Fail, 5, 9)], true, vec![]).contains("Timeline"));
    let unknown: Vec<Raw> = (0..50).map(|i| raw(i, "write", Outcome::Info, i * MS, i * MS + 1)).collect();
    assert!(drawn(&unknown, true, vec![]).contains("50"));
    let at_once: Vec<Raw> = (0..50).map(|i| raw(i, "write", Outcome::Ok, 7, 7)).collect();
    drawn(&at_once, true, vec![]);
    let crowd: Vec<Raw> = (0..500).map(|i| raw(i, "write", Outcome::Ok, i, 5 * MS)).collect();
    drawn(&crowd, true, vec![]);
    let day: Vec<Raw> =
        (0..100).map(|i| raw(i, "write", Outcome::Ok, i * 864_000 * MS, i * 864_000 * MS + MS)).collect();
    assert!(drawn(&day, true, vec![fault(1, "kill", "n1", &["n1"], 0, 86_400_000, "gone")]).contains("24"));
    drawn(&crowd, false, vec![fault(1, "kill", "n1", &["n1"], 0, 9, "gone")]);
}

#[test]
fn absurd_times_do_not_break_a_page() {
    for (from, to) in [(i64::MAX - 9, i64::MAX), (NO_TIME + 1, i64::MAX), (i64::MAX, NO_TIME + 1), (0, 0)] {
        let mut history =
            history(&[raw(0, "read", Outcome::Ok, 5, 9), raw(1, "read", Outcome::Ok, 6, 8)], true);
        let mut results = results(&history, Verdict::Valid, vec![]);
        history.ops[0].invoke_time = from;
        history.ops[0].ret_time = to;
        let mut odd = fault(1, "kill", "n1", &["n1"], 0, 1, "gone");
        odd.injected = to;
        odd.bit = Some(from);
        odd.healed = Some(from);
        results.faults = vec![odd];
        results.judgements = vec![judgement("linearizable", "register", "per key", vec![])];
        results.judgements[0].seconds = f64::NAN;
        everything(&results, &history);
    }
}

#[test]
fn a_core_that_makes_no_sense_is_drawn_without_a_panic() {
    let case = cases::stale_read();
    let mut results = case.results.clone();
    let a = &mut results.anomalies[0];
    a.ops[0].ret = Some(0);
    a.ops[1].invoke = a.ops[2].invoke;
    a.ops[3].invoke_time = Some(i64::MAX);
    a.edges[0].to = "Z".to_string();
    a.edges[1].from = a.edges[1].to.clone();
    a.edges[2].gap_ns = Some(i64::MIN);
    a.states[0].to = 0;
    a.states[1].from = u32::MAX;
    everything(&results, &case.history);
    let a = &mut results.anomalies[0];
    a.ops.clear();
    everything(&results, &case.history);
    let one = results.anomalies[1].ops[0].clone();
    let many = &mut results.anomalies[0];
    many.ops = (0..300u32)
        .map(|i| CoreOp {
            label: format!("O{i}"),
            process: i64::from(i % 40),
            invoke: 2 * i,
            ret: Some(2 * i + 1),
            ..one.clone()
        })
        .collect();
    let (page, _) = everything(&results, &case.history);
    assert!(page.contains("more of the set are not drawn"));
}
