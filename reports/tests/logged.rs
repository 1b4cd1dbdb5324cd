//! What the nodes logged, as a page shows it.

mod fixtures;

use fixtures::unpacked::header;
use fixtures::{MS, cases};
use reports::{Level, LogLine, Logs};

fn line(ms: i64, level: Level, text: &str) -> LogLine {
    LogLine { node: "n5".into(), file: "db.log".into(), time: ms * MS, slack: 0, level, text: text.into() }
}

fn page(lines: Vec<LogLine>) -> String {
    let case = cases::stale_read();
    reports::html(&case.results, &case.history, &Logs { lines, ..Logs::default() })
}

/// The file of a link.
fn file(page: &str, name: &str) -> Option<String> {
    let (_, rest) = page.split_once(&format!("download=\"{name}\" href=\"data:text/plain;base64,"))?;
    let data = fixtures::unpacked::base64(rest.split_once('"')?.0);
    Some(String::from_utf8(data).expect("text"))
}

#[test]
fn a_card_has_what_was_logged_from_just_before_the_core_to_just_after_it() {
    // The core lasts from 12.402 s to the last answer at 12.466 s; nobody knows how long B took.
    let page = page(vec![
        line(12_251, Level::Usual, "too early"),
        line(12_253, Level::Usual, "just in time"),
        line(12_460, Level::Warning, "in the middle"),
        line(12_615, Level::Usual, "just before the end"),
        line(12_617, Level::Error, "too late"),
    ]);
    assert!(page.contains("Meanwhile n5 logged 3\u{a0}lines, 1\u{a0}warning among them: see below."));
    let card = page
        .split_once("<details class=\"logs\">")
        .expect("an excerpt")
        .1
        .split_once("</details>")
        .unwrap()
        .0;
    for (text, there) in [
        ("too early", false),
        ("just in time", true),
        ("in the middle", true),
        ("just before the end", true),
        ("too late", false),
    ] {
        assert_eq!(card.contains(text), there, "{text}");
    }
    let excerpt = file(&page, "anomaly-1.log").expect("a link");
    assert_eq!(excerpt.lines().count(), 3);
    assert_eq!(excerpt.lines().next(), Some(" 12.253000 s  n5  db.log  just in time"));
    let warnings = file(&page, "warnings.log").expect("a link");
    assert_eq!(warnings, " 12.460000 s  n5  db.log  in the middle\n 12.617000 s  n5  db.log  too late\n");
    let ticks = header(&page)["logs"]["lines"].clone();
    assert_eq!(ticks.as_array().map(Vec::len), Some(2), "{ticks}");
}

#[test]
fn of_many_lines_a_card_has_the_nearest_and_a_file_says_how_many_it_leaves_out() {
    let many: Vec<LogLine> = (0..10_000)
        .map(|i| line(12_300 + i / 10, Level::Usual, &format!("line {i} {}", "x".repeat(40))))
        .collect();
    let page = page(many);
    assert!(page.contains("The 40 lines nearest to a call or an answer of the core"));
    assert!(page.contains("line 1020 ") && !page.contains("line 5000 "), "the nearest to the first call");
    let excerpt = file(&page, "anomaly-1.log").expect("a link");
    assert!(excerpt.len() < 151_000, "{}", excerpt.len());
    let n = excerpt.lines().count() - 1;
    let more: String = excerpt.lines().last().expect("a line").chars().filter(char::is_ascii_digit).collect();
    // Until 12.616 s there are 3170.
    assert_eq!(more.parse(), Ok(3170 - n), "{n}");
}

#[test]
fn a_run_that_warned_all_the_time_has_a_thousand_ticks_and_every_error() {
    let lines =
        (0..9000).map(|i| line(i, if i % 100 == 0 { Level::Error } else { Level::Warning }, "x")).collect();
    let logs = &header(&page(lines))["logs"];
    let ticks = logs["lines"].as_array().expect("ticks");
    assert_eq!((ticks.len(), logs["more"].as_u64()), (1000, Some(8000)));
    assert_eq!(ticks.iter().filter(|tick| tick[1] == true).count(), 90);
    // Evenly: the last tenth of the run has a tenth of them.
    let last = ticks.iter().filter(|tick| tick[0].as_i64().expect("a time") >= 8100 * 1000).count();
    assert!((90..=110).contains(&last), "{last}");
}

#[test]
fn a_time_that_is_not_certain_is_marked_and_what_is_not_read_is_named() {
    let case = cases::stale_read();
    let unsure = LogLine { slack: 500 * MS, ..line(12_000, Level::Usual, "half a second before, or not") };
    let logs = Logs {
        lines: vec![unsure],
        left_out: 7,
        unread: vec!["n1/x.log: reading: gone".into()],
        ..Logs::default()
    };
    let page = reports::html(&case.results, &case.history, &logs);
    assert!(page.contains("≈ 12.000\u{a0}s") && page.contains("off by up to 500\u{a0}ms"));
    assert!(page.contains("7\u{a0}lines of such times are left out"));
    assert!(page.contains("Logs that are not excerpted: n1/x.log: reading: gone."));
}

#[test]
fn what_a_node_logs_is_text() {
    let evil = "</script><img src=x onerror=alert(1)>\u{202e}\0\x1b[31m";
    let lines = vec![LogLine { node: evil.into(), file: evil.into(), ..line(12_460, Level::Error, evil) }];
    let page = page(lines);
    assert!(!page.contains("<img") && page.contains("&lt;img src=x"));
    for bad in ['\0', '\u{202e}', '\x1b'] {
        assert!(!page.contains(bad), "{bad:?}");
    }
}
