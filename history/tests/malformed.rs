//! What is not a history is refused in one line that says where, what was expected, and what stands there.

mod common;

use common::{read_with, refused};
use history::{Format, Order, ReadError, ReadOptions};
use std::time::{Duration, Instant};

const INVOKE: &str = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
const OK: &str = r#"{"process":0,"type":"ok","f":"write","value":1}"#;

fn check(cases: &[(&str, Vec<u8>, &str)]) {
    for (name, bytes, expected) in cases {
        let line = refused(bytes.clone(), &ReadOptions::default());
        assert_eq!(line, *expected, "{name}");
        assert!(!line.contains('\n') && line.len() < 300, "{name}: {line}");
    }
}

fn text(text: impl Into<String>) -> Vec<u8> {
    text.into().into_bytes()
}

#[test]
fn json_lines_that_are_no_history_are_refused_in_one_line() {
    let with = |from: &str, to: &str| text(format!("{}\n", INVOKE.replace(from, to)));
    check(&[
        ("empty", vec![], "h: expected at least one event, found an empty file"),
        ("white space", text(" \n\n"), "h: expected at least one event, found an empty file"),
        (
            "cut short",
            text(format!("{INVOKE}\n{}", &OK[..20])),
            "h:2:21: expected a value, found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "cut in a word",
            text(format!("{INVOKE}\n{{\"applied\":tru")),
            "h:2:15: expected a value, found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "cut in a character",
            [INVOKE.as_bytes(), b"\n{\"process\":\"n\xc3"].concat(),
            "h:2:15: expected the end of the string (`\"`), found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "cut in the middle",
            text(format!("{}\n{OK}\n", &INVOKE[..30])),
            r#"h:1:31: expected the end of the string (`"`), or text without control characters, found the end of the line"#,
        ),
        (
            "binary",
            (0..=255).collect(),
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found binary data",
        ),
        (
            "zeroes",
            vec![0; 1000],
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found binary data",
        ),
        (
            "an executable",
            b"\x7fELF\x02\x01\x01\0\0\0".to_vec(),
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found binary data",
        ),
        (
            "UTF-16",
            b"\xff\xfe{\0\"\0".to_vec(),
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found UTF-16 text",
        ),
        (
            "not UTF-8",
            [INVOKE.as_bytes(), b"\n{\"process\":0,\"type\":\"ok\",\"f\":\"w\xff\"}\n"].concat(),
            "h:2:32: expected UTF-8 text, found the byte 0xff, which is not UTF-8",
        ),
        (
            "a NUL in a line",
            text(format!("{INVOKE}\n\0\n")),
            "h:2:1: expected an event (a JSON object on one line), found a NUL byte",
        ),
        (
            "prose",
            text("The quick brown fox\n"),
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found `The`",
        ),
        (
            "a number",
            text("42\n"),
            "h:1:1: expected a history (JSON Lines, EDN, JSON, or a Jepsen log), found `42`",
        ),
        (
            "an array in a line",
            text(format!("{INVOKE}\n[1,2]\n")),
            "h:2:1: expected an event (a JSON object on one line), found `[`",
        ),
        ("an array of numbers", text("[1,2]"), "h:1:2: expected an event (a JSON object) or `]`, found `1`"),
        (
            "more after the event",
            text(format!("{INVOKE} and then\n")),
            "h:1:53: expected the end of the line, found `and`",
        ),
        (
            "two events on a line",
            text(format!("{INVOKE}{OK}\n")),
            "h:1:52: expected the end of the line, found `{`",
        ),
        (
            "no comma",
            with(r#","type""#, r#""type""#),
            r#"h:1:13: expected `,` or `}`, found `"type":"invoke"`"#,
        ),
        ("no colon", with(r#""f":"#, r#""f""#), r#"h:1:33: expected `:`, found `"write"`"#),
        ("a trailing comma", with("1}", "1,}"), "h:1:52: expected a field name in double quotes, found `}`"),
        ("no value", with(":1}", ":}"), "h:1:50: expected a value, found `}`"),
        (
            "single quotes",
            with(r#""f""#, "'f'"),
            r#"h:1:30: expected a field name in double quotes, found `'f':"write"`"#,
        ),
        (
            "an unknown type",
            with("invoke", "invoked"),
            "h:1:21: expected a type (invoke, ok, fail or info), found `invoked`",
        ),
        (
            "a number as type",
            with(r#""invoke""#, "7"),
            "h:1:21: expected a type (invoke, ok, fail or info), found `7`",
        ),
        (
            "no process",
            with(r#""process":0,"#, ""),
            "h:1:1: expected an event with the field `process`, found one without",
        ),
        (
            "no type",
            with(r#""type":"invoke","#, ""),
            "h:1:1: expected an event with the field `type`, found one without",
        ),
        (
            "no f",
            with(r#""f":"write","#, ""),
            "h:1:1: expected an event with the field `f`, found one without",
        ),
        (
            "a list as process",
            with(":0,", ":[0],"),
            "h:1:12: expected a process (a whole number of 64 bits, or a name such as nemesis), found `[0]`",
        ),
        (
            "a fraction as process",
            with(":0,", ":0.5,"),
            "h:1:12: expected a process (a whole number of 64 bits, or a name such as nemesis), found `0.5`",
        ),
        (
            "a huge process",
            with(":0,", ":123456789012345678901234567890,"),
            "h:1:12: expected a process (a whole number of 64 bits, or a name such as nemesis), found `123456789012345678901234567890`",
        ),
        (
            "a list as f",
            with(r#""write""#, "[1,[2]]"),
            "h:1:34: expected the name of a function (a string), found `[1 [2]]`",
        ),
        (
            "text as time",
            with(":1}", r#":1,"time":"noon"}"#),
            "h:1:59: expected a time in nanoseconds (a whole number of 64 bits), found `noon`",
        ),
        (
            "a time beyond all floats",
            with(":1}", r#":1,"time":1e400}"#),
            "h:1:59: expected a time in nanoseconds (a whole number of 64 bits), found `1e400`",
        ),
        (
            "a negative index",
            with(":1}", r#":1,"index":-1}"#),
            "h:1:60: expected an index (a whole number from 0), found `-1`",
        ),
        (
            "text as applied",
            with(":1}", r#":1,"applied":"no"}"#),
            "h:1:62: expected true or false (whether it had an effect), found `no`",
        ),
        (
            "an unknown phase",
            with(":1}", r#":1,"phase":"over"}"#),
            "h:1:60: expected a phase (inject, bit, heal or healed), found `over`",
        ),
        (
            "a number as node",
            with(":1}", r#":1,"node":1}"#),
            "h:1:59: expected the name of a node (a string), found `1`",
        ),
        (
            "text as session",
            with(":1}", r#":1,"session":"s"}"#),
            "h:1:62: expected a session (a whole number of 64 bits), found `s`",
        ),
        (
            "a field twice",
            with(":1}", r#":1,"value":2}"#),
            "h:1:60: expected each field once, found a second value",
        ),
        (
            "a key twice",
            with(":1}", r#":{"a":1,"a":2}}"#),
            "h:1:50: expected a map with each key once, found the key a twice",
        ),
        (
            "a leading zero",
            with(":1}", ":01}"),
            "h:1:50: expected a number without a leading zero, found `01`",
        ),
        ("a lone minus", with(":1}", ":-}"), "h:1:51: expected a digit, found `}`"),
        ("no exponent", with(":1}", ":1e}"), "h:1:52: expected a digit, found `}`"),
        (
            "half a surrogate pair",
            with("write", "\\ud800x"),
            "h:1:35: expected a Unicode character, found half of a surrogate pair",
        ),
        (
            "an unknown escape",
            with("write", "\\x41"),
            r#"h:1:35: expected one of the escapes `\" \\ \/ \b \f \n \r \t \u`, found `\x41"`"#,
        ),
        (
            "a line break in a string",
            with("write", "wr\nite"),
            r#"h:1:37: expected the end of the string (`"`), or text without control characters, found the end of the line"#,
        ),
        (
            "deep lists",
            with(":1}", &format!(":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000))),
            "h:1:561: expected at most 512 levels of nesting, found one more",
        ),
        (
            "deep maps",
            with(":1}", &format!(":{}1{}}}", "{\"a\":".repeat(600), "}".repeat(600))),
            "h:1:2605: expected at most 512 levels of nesting, found one more",
        ),
    ]);
}

#[test]
fn edn_that_is_no_history_is_refused_in_one_line() {
    let with = |value: &str| text(format!("{{:process 0, :type :invoke, :f :write, :value {value}}}\n"));
    check(&[
        ("only a comment", text("; nothing\n"), "h: expected at least one event, found none"),
        ("an empty vector", text("[]"), "h: expected at least one event, found none"),
        (
            "cut short",
            text("{:process 0, :type :invoke, :f :write, :value 1}\n{:process 0, :ty"),
            "h:2:17: expected a value, found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "a vector that does not end",
            text("[{:process 0, :type :invoke, :f :write, :value 1}\n"),
            "h:2:1: expected an event (a map) or `]`, found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "the wrong bracket",
            text("[{:process 0, :type :invoke, :f :write, :value 1})"),
            "h:1:50: expected an event (a map) or `]`, found `)`",
        ),
        (
            "a string that does not end",
            with("\"no end"),
            r#"h:2:1: expected the end of the string (`"`), found the end of the file (cut short? --allow-truncated drops an unfinished event)"#,
        ),
        (
            "an odd map",
            text("{:process 0, :type :invoke, :f}"),
            "h:1:31: expected a value for each key, found `}`",
        ),
        ("an odd value map", with("{:a}"), "h:1:50: expected a value for each key, found `}`"),
        (
            "a vector of numbers",
            text("({:process 0, :type :invoke, :f :write} 7)"),
            "h:1:41: expected an event (a map) or `)`, found `7`",
        ),
        ("a tagged number", text("#op 7"), "h:1:5: expected an event (a map), found `7`"),
        (
            "an unknown type",
            text("{:process 0, :type :done, :f :write}"),
            "h:1:20: expected a type (invoke, ok, fail or info), found `done`",
        ),
        (
            "a nil process",
            text("{:process nil, :type :ok, :f :write}"),
            "h:1:11: expected a process (a whole number of 64 bits, or a name such as nemesis), found `null`",
        ),
        (
            "no process",
            text("{:type :ok, :f :write}"),
            "h:1:1: expected an event with the field `process`, found one without",
        ),
        (
            "no type",
            text("\n\n  {:process 0, :f :write}"),
            "h:3:3: expected an event with the field `type`, found one without",
        ),
        (
            "no f",
            text("{:process 0, :type :ok}"),
            "h:1:1: expected an event with the field `f`, found one without",
        ),
        (
            "text as time",
            text("{:process 0, :type :invoke, :f :write, :time \"noon\"}"),
            "h:1:46: expected a time in nanoseconds (a whole number of 64 bits), found `noon`",
        ),
        ("no number", with("12ab"), "h:1:47: expected a number, found `12ab`"),
        ("no octal", with("089"), "h:1:47: expected a number, found `089`"),
        ("no symbolic number", with("##Nope"), "h:1:47: expected ##NaN, ##Inf or ##-Inf, found `##Nope`"),
        ("no character", with("\\nope"), r#"h:1:47: expected a character, found `\nope`"#),
        (
            "no escape",
            with("\"\\q\""),
            r#"h:1:48: expected one of the escapes `\" \\ \b \f \n \r \t \u`, found `\q"`"#,
        ),
        ("no keyword", with(": a"), "h:1:47: expected a keyword, found `:`"),
        ("no form", with("@x"), "h:1:47: expected a value, found `@x`"),
        (
            "an anonymous function",
            with("#(+ 1 2)"),
            "h:1:48: expected a tag, a set or another form that begins with `#`, found `(`",
        ),
        (
            "a map with a key twice",
            with("{:a 1 \"a\" 2}"),
            "h:1:47: expected a map with each key once, found the key a twice",
        ),
        (
            "not UTF-8",
            b"{:process 0, :type :invoke, :f :write, :value \"\xff\"}".to_vec(),
            "h:1:48: expected UTF-8 text, found the byte 0xff, which is not UTF-8",
        ),
        (
            "deep vectors",
            with(&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
            "h:1:558: expected at most 512 levels of nesting, found one more",
        ),
        (
            "deep metadata",
            with(&"^".repeat(100_000)),
            "h:1:558: expected at most 512 levels of nesting, found one more",
        ),
        (
            "deep discards",
            with(&"#_".repeat(100_000)),
            "h:1:1069: expected at most 512 levels of nesting, found one more",
        ),
        (
            "deep tags",
            with(&"#a ".repeat(100_000)),
            "h:1:1582: expected at most 512 levels of nesting, found one more",
        ),
    ]);
}

#[test]
fn a_log_that_is_no_history_is_refused_in_one_line() {
    check(&[
        (
            "no value form",
            text("INFO  jepsen.util - 0\t:invoke\t:write\t[1\n"),
            "h:1:40: expected a value or `]`, found the end of the line",
        ),
        (
            "cut short",
            text("INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:o"),
            "h:2:25: expected process, :type and :f, found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        (
            "no operation",
            text("0\t:invoke\t:write\t1\nhello\n"),
            "h:2:1: expected process, :type and :f between tabs, found `hello`",
        ),
        (
            "a type and no function",
            text("0\t:invoke\t:write\t1\n0\t:ok\n"),
            "h:2:6: expected a value, found the end of the line",
        ),
        (
            "a completion alone",
            text("INFO  jepsen.util - 0\t:ok\t:write\t1\n"),
            "h:1:21: expected an invocation of process 0 before it completes, found its ok of write",
        ),
    ]);
}

#[test]
fn a_json_document_that_is_no_history_is_refused_in_one_line() {
    check(&[
        ("an empty array", text("[]"), "h: expected at least one event, found none"),
        (
            "no end",
            text(format!("[{INVOKE},\n")),
            "h:2:1: expected an event (a JSON object), found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        ("no comma", text(format!("[{INVOKE}\n{OK}]")), "h:2:1: expected `,` or `]`, found `{`"),
        (
            "a trailing comma",
            text(format!("[{INVOKE},]")),
            "h:1:54: expected an event (a JSON object), found `]`",
        ),
        (
            "more after the end",
            text(format!("[{INVOKE}] 7")),
            "h:1:55: expected an event (a JSON object) or an array of events, found `7`",
        ),
    ]);
}

#[test]
fn events_that_do_not_pair_are_refused_in_one_line() {
    let lines = |lines: &[&str]| text(lines.join("\n"));
    let other = INVOKE.replace("write", "read");
    check(&[
        (
            "two open calls",
            lines(&[INVOKE, &other]),
            "h:2:1: expected the completion of process 0's write of line 1 before it invokes again, found the invocation of read",
        ),
        (
            "a completion alone",
            lines(&["", OK]),
            "h:2:1: expected an invocation of process 0 before it completes, found its ok of write",
        ),
        (
            "two completions",
            lines(&[INVOKE, OK, OK]),
            "h:3:1: expected an invocation of process 0 before it completes, found its ok of write",
        ),
        (
            "another function",
            lines(&[INVOKE, &OK.replace("write", "read")]),
            "h:2:1: expected the completion of process 0's write of line 1, found the completion of read",
        ),
        (
            "another key",
            lines(&[&INVOKE.replace("}", ",\"key\":1}"), &OK.replace("}", ",\"key\":2}")]),
            "h:2:1: expected the key `1` of the invocation on line 1, found the key `2`",
        ),
    ]);
}

#[test]
fn what_the_options_ask_for_must_be_there() {
    let options = ReadOptions { independent: true, ..ReadOptions::default() };
    assert_eq!(
        refused(INVOKE, &options),
        "h:1:1: expected a [key value] pair as value (--independent), found `1`"
    );
    assert_eq!(
        refused(INVOKE.replace(":1}", ":[1,2],\"key\":3}"), &options),
        "h:1:1: expected a [key value] pair (--independent) and no key beside it, found the key `3`"
    );
    let options = ReadOptions { order: Some(Order::Time), ..ReadOptions::default() };
    assert_eq!(
        refused(INVOKE, &options),
        "h:1:1: expected an event with the field `time` (--order time), found one without"
    );
    let backwards = format!("{}\n{}", INVOKE.replace('}', ",\"time\":9}"), OK.replace('}', ",\"time\":3}"));
    assert_eq!(
        refused(backwards, &options),
        "h:2:1: expected an invocation of process 0 before it completes, found its ok of write"
    );
    let options = ReadOptions { own: true, ..ReadOptions::default() };
    let reused = format!("{INVOKE}\n{}\n{INVOKE}\n", OK.replace("ok", "info"));
    assert_eq!(
        refused(reused, &options),
        "h:3:1: expected a new process after the info of process 0 on line 2, found process 0 again"
    );
    let options = ReadOptions { format: Some(Format::JepsenEdn), ..ReadOptions::default() };
    assert_eq!(refused(INVOKE, &options), r#"h:1:20: expected a keyword, found `:"invoke"`"#);
    let options = ReadOptions { allow_truncated: true, ..ReadOptions::default() };
    assert_eq!(refused(&OK[..20], &options), "h: expected at least one event, found only an unfinished one");
}

#[test]
#[cfg(feature = "compressed")]
fn damaged_packing_is_refused_in_one_line() {
    check(&[
        (
            "gzip, cut short",
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1, 2],
            "h:1:1: expected more gzip data, found the end of the file",
        ),
        (
            "gzip, damaged",
            vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 7, 7, 7, 7, 7, 7],
            "h:1:1: expected gzip data, found damage (corrupt deflate stream)",
        ),
    ]);
    let zstd = refused(vec![0x28, 0xb5, 0x2f, 0xfd, 0, 1, 2], &ReadOptions::default());
    assert!(zstd.starts_with("h:1:1: expected Zstandard data, found damage ("), "{zstd}");
}

#[test]
fn a_directory_and_a_missing_file_are_named() {
    let directory =
        history::read_file(env!("CARGO_MANIFEST_DIR"), &ReadOptions::default()).expect_err("a directory");
    let expected = format!("{}: expected a history file, found a directory", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(directory.to_string(), expected);
    let missing = history::read_file("no/such/file", &ReadOptions::default()).expect_err("missing");
    assert!(matches!(missing, ReadError::Io { .. }));
    assert!(missing.to_string().starts_with("no/such/file: cannot be read: "), "{missing}");
}

#[test]
fn a_hundred_megabytes_of_garbage_are_refused_at_once() {
    let started = Instant::now();
    let garbage = "garbage ".repeat(100 << 17);
    let line = refused(format!("{INVOKE}\n{garbage}"), &ReadOptions::default());
    assert_eq!(line, "h:2:1: expected an event (a JSON object on one line), found `garbage`");
    let line = refused(
        format!("{{:process 0, :type :invoke, :f :write, :value \"{garbage}"),
        &ReadOptions::default(),
    );
    assert_eq!(
        line,
        r#"h:1:104857648: expected the end of the string (`"`), found the end of the file (cut short? --allow-truncated drops an unfinished event)"#
    );
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn any_damage_gives_a_history_or_one_line() {
    let mut dice = common::Dice(7);
    let mut texts: Vec<Vec<u8>> = vec![Vec::new(), Vec::new()];
    for event in dice.events(30) {
        history::write_json_line(&event, &mut texts[0]);
        history::write_edn_line(&event, &mut texts[1]);
    }
    texts.push(text(
        "INFO  jepsen.util - 0\t:invoke\t:write\t[1 2]\nINFO  jepsen.util - 0\t:info\t:write\t:timed-out\n",
    ));
    for round in 0..20_000 {
        let mut bytes = texts[round % texts.len()].clone();
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len().max(1) as u64) as usize;
            match dice.below(4) {
                _ if bytes.is_empty() => bytes.push(b'{'),
                0 => bytes[at] = dice.below(256) as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"{}[]()\"\\:,#^;0"[dice.below(14) as usize]),
                _ => bytes.truncate(at + 1),
            }
        }
        let options = ReadOptions { allow_truncated: dice.once_in(2), ..ReadOptions::default() };
        match read_with(bytes, &options) {
            Ok(_) => {}
            Err(ReadError::Malformed(error)) => assert!(!error.to_string().contains('\n'), "{error}"),
            Err(other) => panic!("{other}"),
        }
    }
}
