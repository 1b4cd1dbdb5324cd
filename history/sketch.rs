//! Reads histories that were drawn, for tests: one row per process, columns are time.
//!
//! ```text
//!   P0 |-w1-|         |-c12-|     write 1 · compare 1 and set 2
//!   P1    |-r1-|  |-w3-!          read 1 · a write that failed
//!   P2 |-y:w4-~                   nobody knows whether key y became 4
//! ```
//!
//! An operation begins at its `|` and ends at the `|` (ok), `!` (fail) or `~` (info) after it. At one column calls come
//! before returns: what touches overlaps. Within an operation stands, after an optional `key:`,
//!
//! | notation | operation |
//! |---|---|
//! | `r` `r7` | read nothing, read 7 |
//! | `w7` | write 7 |
//! | `c12` `c12x` | cas from 1 to 2 · which compared false |
//! | `f(input)` `f(input)=output` | any function, values in JSON; the output is the input unless said |

use crate::event::{Event, Kind};
use crate::history::History;
use crate::value::Value;

/// Reads a drawn history. Times are columns in milliseconds.
///
/// # Panics
/// If it is drawn wrongly, with the row.
#[doc(hidden)]
pub fn sketch(text: &str) -> History {
    let mut events: Vec<(usize, bool, Event)> = Vec::new();
    for row in text.lines().filter(|row| !row.trim().is_empty()) {
        let rest = row.trim_start().strip_prefix('P').unwrap_or_else(|| panic!("no process: {row}"));
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let process = rest[..digits].parse().unwrap_or_else(|_| panic!("no process: {row}"));
        let mut open: Option<(usize, String)> = None;
        for (column, c) in row.chars().enumerate().skip(row.len() - rest.len() + digits) {
            match (c, &mut open) {
                (' ', None) => {}
                ('|', None) => open = Some((column, String::new())),
                ('|' | '!' | '~', Some((start, spec))) => {
                    let ends = match c {
                        '|' => Kind::Ok,
                        '!' => Kind::Fail,
                        _ => Kind::Info,
                    };
                    let (call, completion) = operation(spec.trim_matches('-'), process, ends);
                    events.push((*start, false, at(*start, call)));
                    events.push((column, true, at(column, completion)));
                    open = None;
                }
                (c, Some((_, spec))) => spec.push(c),
                (c, None) => panic!("`{c}` outside of an operation: {row}"),
            }
        }
        assert!(open.is_none(), "an operation without an end: {row}");
    }
    events.sort_by_key(|(column, returns, _)| (*column, *returns));
    crate::pair(events.into_iter().map(|(_, _, event)| event))
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn at(column: usize, event: Event) -> Event {
    Event { time: column as i64 * 1_000_000, ..event }
}

/// The two halves of the operation that `spec` says.
fn operation(spec: &str, process: i64, ends: Kind) -> (Event, Event) {
    let (key, spec) = match spec.split_once(':') {
        Some((key, spec)) if !key.contains('(') => (Some(Value::text(key)), spec),
        Some(_) | None => (None, spec),
    };
    let value = |text: &str| match text {
        "" => Value::Null,
        text => Value::from_json(text).unwrap_or_else(|error| panic!("`{spec}`: {error}")),
    };
    let mut applied = None;
    let (f, input, output) = if let Some((f, rest)) = spec.split_once('(') {
        let (input, output) = rest.rsplit_once(')').unwrap_or_else(|| panic!("`{spec}`: no `)`"));
        let input = value(input);
        let output = output.strip_prefix('=').map_or(input.clone(), value);
        (f, input, output)
    } else if let Some(read) = spec.strip_prefix('r') {
        ("read", Value::Null, value(read))
    } else if let Some(written) = spec.strip_prefix('w') {
        ("write", value(written), value(written))
    } else if let Some(cas) = spec.strip_prefix('c') {
        let digits = cas.strip_suffix('x').unwrap_or(cas);
        applied = if digits == cas { None } else { Some(false) };
        assert!(digits.len() == 2, "`{spec}`: a cas takes two digits");
        let cas = Value::list([value(&digits[..1]), value(&digits[1..])]);
        ("cas", cas.clone(), cas)
    } else {
        panic!("`{spec}` is no operation")
    };
    let call = Event::client(0, process, Kind::Invoke, f, key.clone(), input.clone());
    let output = if ends == Kind::Ok { output } else { input };
    let completion = Event { applied, ..Event::client(0, process, ends, f, key, output) };
    (call, completion)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Applied, NEVER, Outcome};

    #[test]
    fn a_drawing_is_read_as_it_looks() {
        let history = sketch(
            "
            P0 |-w1-|         |-c12x-|
            P7    |-r1-|  |-w3-!
            P2 |-y:w4-~       |-add(5)=[6,null]-|",
        );
        let get = |id| history.values.get(id).to_json();
        let read: Vec<(u32, u32, String, String, String, Outcome)> = history
            .ops
            .iter()
            .map(|op| (op.invoke, op.ret, get(op.f), get(op.input), get(op.output), op.outcome))
            .collect();
        let row = |invoke, ret, f: &str, input: &str, output: &str, outcome| {
            (invoke, ret, format!("\"{f}\""), input.to_string(), output.to_string(), outcome)
        };
        assert_eq!(
            read,
            [
                row(0, 3, "write", "1", "1", Outcome::Ok),
                row(1, NEVER, "write", "4", "4", Outcome::Info),
                row(2, 5, "read", "null", "1", Outcome::Ok),
                row(6, 9, "write", "3", "3", Outcome::Fail),
                row(7, 10, "cas", "[1,2]", "[1,2]", Outcome::Ok),
                row(8, 11, "add", "5", "[6,null]", Outcome::Ok),
            ]
        );
        assert_eq!(get(history.ops[1].key), "\"y\"");
        assert_eq!(history.ops[4].applied, Applied::No);
        assert_eq!(history.processes, [0, 2, 7, -1]);
    }

    #[test]
    fn what_touches_overlaps() {
        let history = sketch(
            "
            P0 |-w1-|
            P1      |-r-|
            P2       |-r-|",
        );
        assert!(!history.ops[0].before(&history.ops[1]));
        assert!(history.ops[0].before(&history.ops[2]));
    }
}
