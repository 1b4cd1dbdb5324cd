//! fastlin's histories: operations with times, of one object, by nobody in particular.

mod common;

use common::{ops, read, refused};
use history::ReadOptions;

fn shown(text: &str) -> Vec<String> {
    let history = read(text);
    assert_eq!(history.source.format, "fastlin");
    ops(&history)
}

#[test]
fn operations_are_ordered_by_their_times_and_given_to_idle_processes() {
    let text = "# stack\npush 1 1 3\npop 1 6 8\n\npush 2 2 5\n# a note\npop -1 9 9\n";
    assert_eq!(
        shown(text),
        [
            r#"0 2 P0/0 "push" null 1→1 Ok Unsaid - null null 1 3"#,
            r#"1 3 P1/1 "push" null 2→2 Ok Unsaid - null null 2 5"#,
            r#"4 5 P0/0 "pop" null null→1 Ok Unsaid - null null 6 8"#,
            r#"6 7 P0/0 "pop" null null→null Ok Unsaid - null null 9 9"#,
        ]
    );
    let history = read(text);
    let lines: Vec<(u32, u32)> = history.ops.iter().map(|op| (op.invoke_line, op.ret_line)).collect();
    assert_eq!(lines, [(2, 2), (5, 5), (3, 3), (7, 7)]);
}

#[test]
fn an_operation_that_ends_when_another_starts_came_before_it() {
    let history = read("#queue\nenq 7 0 4\ndeq 7 4 5\ndeq -1 5 5\n");
    let [put, take, none] = &history.ops[..] else { panic!("three operations") };
    assert!(put.ret < take.invoke && take.ret < none.invoke && none.invoke < none.ret);
}

#[test]
fn the_largest_of_a_priority_queue_becomes_the_smallest() {
    let text = "# priorityqueue\ninsert 5 1 3\npoll 5 4 6\npeek -1 7 8\n";
    let shown = shown(text);
    assert!(shown[0].contains(r#""insert" null -5→-5"#), "{shown:?}");
    assert!(shown[1].contains(r#""delete-min" null null→-5"#), "{shown:?}");
    assert!(shown[2].contains(r#""peek" null null→null"#), "{shown:?}");
    assert_eq!(read(text).warnings.len(), 1);
}

#[test]
fn what_is_no_such_file_is_refused_in_one_line() {
    for (text, said) in [
        (
            "# set\ninsert 1 1 2\n",
            "h:1:1: expected # and the type of the object (stack, queue or priorityqueue), found `set`",
        ),
        ("# stack\nenq 1 1 2\n", "h:2:1: expected push, pop or peek, found `enq`"),
        ("# stack\npush x 1 2\n", "h:2:6: expected a value (a whole number of 64 bits), found `x`"),
        ("# stack\npush 1 -1 2\n", "h:2:8: expected a time (a whole number from 0), found `-1`"),
        ("# stack\npush 1 3 2\n", "h:2:10: expected an end that is not before the start, 3, found `2`"),
        ("# stack\npush -1 3 4\n", "h:2:6: expected a value other than -1, which means empty, found `-1`"),
        (
            "# stack\npush 1 3\npop 1 4 5\n",
            "h:2:9: expected a time (a whole number from 0), found the end of the line",
        ),
        ("# stack\npush 1 3 4 5\n", "h:2:12: expected the end of the line, found `5`"),
        (
            "# queue\nenq 1 3 4\nenq 2",
            "h:3:6: expected a time (a whole number from 0), found the end of the file (cut short? --allow-truncated drops an unfinished event)",
        ),
        ("# queue\n\n", "h: expected at least one event, found none"),
        (
            "# priorityqueue\ninsert -9223372036854775808 1 2\n",
            "h:2:8: expected a value that can be negated in 64 bits, found `-9223372036854775808`",
        ),
    ] {
        assert_eq!(refused(text, &ReadOptions::default()), said);
    }
}

#[test]
fn an_unfinished_last_operation_can_be_dropped() {
    let options = ReadOptions { allow_truncated: true, ..ReadOptions::default() };
    let history = common::read_with("# queue\nenq 1 3 4\nenq 2", &options).expect("readable");
    assert_eq!(history.ops.len(), 1);
}
