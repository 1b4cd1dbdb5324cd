//! How events become operations, in all the shapes that other people's files have.

mod common;

use common::{faults, ops, read, read_with, refused};
use history::{Event, Kind, NEVER, Order, Outcome, ReadError, ReadOptions, pair};

const LOG: &str = "INFO  jepsen.util - 16\t:invoke\t:read\tnil
INFO  jepsen.util - 3   :invoke :write  2
INFO  jepsen.util - 16\t:fail\t:read\t:timed-out
INFO  jepsen.util - 4\t:invoke\t:cas\t[1 2]
INFO  jepsen.util - 3\t:info\t:write\t:timed-out
INFO  jepsen.util - 4\t:fail\t:cas\t[1 2]
";

#[test]
fn porcupines_logs_have_the_error_in_the_place_of_the_value() {
    let history = read(LOG);
    assert_eq!(history.source.format, "porcupine-log");
    let none = "-9223372036854775808 -9223372036854775808";
    assert_eq!(
        ops(&history),
        [
            format!(r#"0 2 P16/0 "read" null null→null Fail Unsaid - "timed-out" null {none}"#),
            format!(r#"1 4294967295 P3/1 "write" null 2→null Info Unsaid - "timed-out" null {none}"#),
            format!(r#"3 5 P4/2 "cas" null [1,2]→[1,2] Fail Unsaid - null null {none}"#),
        ]
    );
}

#[test]
fn a_jepsen_log_is_read_between_its_other_lines() {
    let log = LOG.replace(
        "INFO  jepsen.util - ",
        "2024-05-01 10:00:00,123{GMT}\tINFO\t[jepsen worker 3] jepsen.util: ",
    );
    let noise = "2024-05-01 09:59:59,001{GMT}\tINFO\t[main] jepsen.core: Running test\n";
    let history = read(format!("{noise}{log}{noise}"));
    assert_eq!(history.source.format, "jepsen-log");
    assert_eq!(history.ops[0].invoke_line, 2);
    let text = |history: &history::History| ops(history);
    assert_eq!(text(&history), text(&read(LOG)));
    assert_eq!(history.warnings, ["2 lines of the log are not operations and were skipped"]);
}

#[test]
fn history_txt_has_errors_without_quotes() {
    let history = read(
        "0\t:invoke\t:write\t\"a b\"\n:nemesis\t:info\t:start\t[:isolated {\"n1\" #{\"n2\"}}]\n0\t:info\t:write\t\"a b\"\tno route: host is down\n",
    );
    assert_eq!(history.source.format, "jepsen-text");
    assert!(ops(&history)[0].contains(r#""write" null "a b"→"a b" Info Unsaid - "no route: host is down""#));
    assert_eq!(faults(&history)[0], r#"1 -9223372036854775808 start None None ["isolated",{"n1":["n2"]}]"#);
}

#[test]
fn a_process_that_goes_on_after_info_is_somebody_new() {
    let line = |process: i64, kind: &str| format!(r#"{{"process":{process},"type":"{kind}","f":"read"}}"#);
    let lines = [
        line(3, "invoke"),
        line(3, "info"),
        line(3, "invoke"),
        line(3, "ok"),
        line(3, "invoke"),
        line(3, "info"),
        line(-1, "invoke"),
        line(3, "invoke"),
    ];
    let history = read(lines.join("\n"));
    assert_eq!(history.processes, [3, -2, -1, -3]);
    let dense: Vec<u32> = history.ops.iter().map(|op| op.process).collect();
    assert_eq!(dense, [0, 1, 1, 2, 3]);
    let sessions: Vec<u32> = history.ops.iter().map(|op| op.session).collect();
    assert_eq!(sessions, [0, 1, 1, 2, 3]);
    assert_eq!(
        history.warnings,
        ["a process goes on after an info, 2 times (first process 3, line 3): \
          each time it counts as a new process, with a name below zero"]
    );
}

#[test]
fn a_call_without_an_answer_is_info_with_what_was_asked() {
    let history = pair([Event::client(5, 9, Kind::Invoke, "write", None, 7.into())]).expect("a history");
    let op = history.ops[0];
    assert_eq!((op.outcome, op.ret, op.ret_line, history.ranks), (Outcome::Info, NEVER, 0, 1));
    assert_eq!(history.values.get(op.input).as_int(), Some(7));
}

#[test]
fn sessions_are_the_processes_unless_the_file_says_otherwise() {
    let event = |process, session| Event {
        session,
        ..Event::client(0, process, Kind::Invoke, "read", None, ().into())
    };
    let history =
        pair([event(0, None), event(1, Some(0)), event(2, Some(7)), event(3, Some(0))]).expect("a history");
    let sessions: Vec<u32> = history.ops.iter().map(|op| op.session).collect();
    assert_eq!(sessions, [0, 1, 2, 1]);
}

#[test]
fn independent_pairs_are_taken_apart_except_the_nemesis() {
    let text = "{:process 0 :type :invoke :f :cas :value [3 [0 2]]}
{:process :nemesis :type :info :f :start :value 7}
{:process 0 :type :ok :f :cas :value [3 [0 2]]}";
    let independent = ReadOptions { independent: true, ..ReadOptions::default() };
    let history = read_with(text, &independent).expect("a history");
    assert!(ops(&history)[0].contains(r#""cas" 3 [0,2]→[0,2]"#), "{:?}", ops(&history));
    assert_eq!(faults(&history)[0], "1 -9223372036854775808 start None None 7");
    assert!(ops(&read(text))[0].contains(r#""cas" null [3,[0,2]]→[3,[0,2]]"#));
}

#[test]
fn the_completion_may_name_the_key_and_the_node_that_the_call_did_not() {
    let text = r#"{"process":0,"type":"invoke","f":"read"}
{"process":0,"type":"ok","f":"read","key":"x","node":"n2","value":1,"unknown":{"deep":[1]}}"#;
    assert!(ops(&read(text))[0].contains(r#""read" "x" null→1 Ok Unsaid - null "n2""#));
}

#[test]
fn order_by_time_puts_calls_first_where_operations_touch() {
    let event = |time: i64, process: i64, kind: &str| {
        format!(r#"{{"time":{time},"process":{process},"type":"{kind}","f":"read"}}"#)
    };
    // P0 |--------|          P1 is called when P0 returns: they may overlap.
    // P1          |--|
    // P0          |-----|    P0 cannot be called again before it returned.
    let lines = [
        event(0, 0, "invoke"),
        event(9, 0, "ok"),
        event(9, 0, "invoke"),
        event(9, 1, "invoke"),
        event(12, 1, "ok"),
        event(15, 0, "ok"),
    ];
    let order = |order| ReadOptions { order: Some(order), ..ReadOptions::default() };
    let ranks = |text: String, options: &ReadOptions| -> Vec<(u32, u32)> {
        let history = read_with(text, options).expect("a history");
        history.ops.iter().map(|op| (op.invoke, op.ret)).collect()
    };
    assert_eq!(ranks(lines.join("\n"), &order(Order::Line)), [(0, 1), (2, 5), (3, 4)]);
    assert_eq!(ranks(lines.join("\n"), &order(Order::Time)), [(0, 2), (1, 4), (3, 5)]);
    // P1 returns and calls again at that time, too: nobody can say which of the two was first.
    let crowded = [event(1, 1, "invoke"), event(9, 1, "ok")].into_iter().chain(lines.iter().cloned());
    let crowded = read_with(crowded.collect::<Vec<_>>().join("\n"), &order(Order::Time)).expect("a history");
    assert_eq!(
        crowded.warnings,
        ["1 times several processes return and call again at the very same time: \
          their operations count as one after the other"]
    );
    let shuffled = [&lines[4], &lines[1], &lines[3], &lines[2], &lines[0], &lines[5]].map(String::as_str);
    assert_eq!(ranks(shuffled.join("\n"), &order(Order::Time)), [(0, 2), (1, 4), (3, 5)]);
    let error = refused(shuffled.join("\n"), &order(Order::Line));
    assert_eq!(error, "h:1:1: expected an invocation of process 1 before it completes, found its ok of read");
}

#[test]
fn an_unfinished_last_event_is_dropped_only_on_request() {
    let truncated = ReadOptions { allow_truncated: true, ..ReadOptions::default() };
    let whole = r#"{"process":0,"type":"invoke","f":"write","value":1}"#;
    for (text, line) in [
        (format!("{whole}\n{{\"process\":0,\"ty"), 2),
        (format!("[{whole},\n{{\"process\":0,\"ty"), 2),
        (format!("[{whole}"), 1),
        ("{:process 0 :type :invoke :f :write :value 1}\n\n{:process 0 :ty".to_string(), 3),
        ("0\t:invoke\t:write\t1\n0\t:o".to_string(), 2),
        ("0\t:invoke\t:write\t1\n0\t:ok\t:write\t[1".to_string(), 2),
    ] {
        let history = read_with(text.clone(), &truncated).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(history.ops.len(), 1, "{text}");
        assert_eq!(
            history.warnings,
            [format!("the file ends within an event, on line {line}: dropped")],
            "{text}"
        );
        assert!(refused(text, &ReadOptions::default()).contains("the end of the file (cut short?"));
    }
    // A last line that is whole needs no line break, and one that is wrong is wrong.
    assert_eq!(read(whole).ops.len(), 1);
    let wrong = refused(format!("{whole}\n{{\"process\":0]"), &truncated);
    assert_eq!(wrong, "h:2:13: expected `,` or `}`, found `]`");
}

/// One that fits is read as if there were no limit.
#[test]
fn reading_ends_where_the_history_takes_more_memory_than_it_may() {
    let lines: String = (0..20_000)
        .flat_map(|i| [("invoke", 2 * i), ("ok", 2 * i + 1)].map(|(kind, time)| (i, kind, time)))
        .map(|(i, kind, time)| {
            format!("{{\"process\":0,\"time\":{time},\"type\":\"{kind}\",\"f\":\"write\",\"value\":{i}}}\n")
        })
        .collect();
    for order in [Order::Line, Order::Time] {
        let options =
            |memory| ReadOptions { memory: Some(memory), order: Some(order), ..ReadOptions::default() };
        let history = read_with(lines.clone(), &options(16 << 20)).expect("it fits");
        assert_eq!(history.ops.len(), 20_000);
        let Err(ReadError::TooLarge { file, line, limit }) = read_with(lines.clone(), &options(1 << 20))
        else {
            panic!("{order:?}: 20 000 operations of 80 bytes in 1 MiB")
        };
        assert_eq!((file.as_str(), limit), ("h", 1 << 20));
        assert!((5_000..40_000).contains(&line), "{order:?}: line {line}");
    }
}
