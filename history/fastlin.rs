//! Reads the histories of fastlin (Lee and Mathur 2025): the type of one object, then its operations, each with the times
//! of its beginning and its end.
//!
//! ```text
//!   # stack
//!   push 1 1 3         method, value, start, end
//!   pop -1 6 8         -1: it was told that there is nothing
//! ```
//! An operation that ends when another one starts came before it: the verdicts of fastlin's own files say so.
//! The file names no clients. Operations are given to as few processes as can have done them, which says no more than
//! their times do: where something is asked of the order of a process, the answer means little.

use crate::draft::{Draft, Field};
use crate::event::Kind;
use crate::input::Input;
use crate::read::{Out, Stop};
use crate::scan::{Atom, Fail, describe};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The answer of an empty object.
const EMPTY: i64 = -1;

/// What is expected where an object's type should stand.
const TYPES: &str = "# and the type of the object (stack, queue or priorityqueue)";

/// The objects that it knows. (A `set` is named by some of its files, and described nowhere.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Object {
    Stack,
    Queue,
    PriorityQueue,
}

impl Object {
    /// Our name of a method, and whether it puts something in.
    fn function(self, method: &[u8]) -> Option<(&'static str, bool)> {
        Some(match (self, method) {
            (Object::Stack, b"push") => ("push", true),
            (Object::Stack, b"pop") => ("pop", false),
            (Object::Queue, b"enq") => ("enqueue", true),
            (Object::Queue, b"deq") => ("dequeue", false),
            (Object::PriorityQueue, b"insert") => ("insert", true),
            (Object::PriorityQueue, b"poll") => ("delete-min", false),
            (Object::Stack | Object::Queue | Object::PriorityQueue, b"peek") => ("peek", false),
            (Object::Stack | Object::Queue | Object::PriorityQueue, _) => return None,
        })
    }

    /// The methods that it has.
    fn methods(self) -> &'static str {
        match self {
            Object::Stack => "push, pop or peek",
            Object::Queue => "enq, deq or peek",
            Object::PriorityQueue => "insert, poll or peek",
        }
    }
}

/// Whether `line` is the head of such a file.
pub(crate) fn is_head(line: &[u8]) -> bool {
    named(line).is_some_and(|name| {
        matches!(name, b"stack" | b"queue" | b"priorityqueue" | b"set" | b"deque")
            && line.trim_ascii().first() == Some(&b'#')
    })
}

/// What follows on the `#`.
fn named(line: &[u8]) -> Option<&[u8]> {
    line.trim_ascii().strip_prefix(b"#").map(<[u8]>::trim_ascii)
}

/// One operation as it stands in the file.
struct Operation {
    line: u64,
    f: &'static str,
    /// Whether the value is what it asked for, and not the answer.
    puts: bool,
    value: Option<i64>,
    start: i64,
    end: i64,
}

/// Reads all of it, orders the events by their times, and hands them on.
pub(crate) fn read(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut object = None;
    let mut operations = Vec::new();
    let read = read_all(input, &mut object, &mut operations);
    match &read {
        Ok(()) => {}
        // What stands before it is good.
        Err(Stop::Fail(fail)) if fail.ran_out && out.options.allow_truncated => {}
        Err(_) => return read,
    }
    if object == Some(Object::PriorityQueue) {
        let said = "fastlin's priority queue gives out the largest first: its priorities were negated";
        out.warnings.push(said.to_string());
    }
    hand_on(&operations, out)?;
    read
}

fn read_all(
    input: &mut Input,
    object: &mut Option<Object>,
    operations: &mut Vec<Operation>,
) -> Result<(), Stop> {
    loop {
        let window = input.window();
        let end = match window.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if input.done => window.len(),
            None => {
                input.more()?;
                continue;
            }
        };
        if end == 0 {
            break;
        }
        let (mut at, mut number) = (0, input.line);
        for line in window[..end].split_inclusive(|byte| *byte == b'\n') {
            let whole = line.ends_with(b"\n");
            let in_file = |mut fail: Fail| {
                fail.at += at;
                // Only the last line of the file can be unfinished; in any other, its end is simply wrong.
                fail.ran_out &= !whole;
                fail
            };
            match (*object, line.trim_ascii()) {
                (_, []) => {}
                (None, _) => *object = Some(head(line).map_err(in_file)?),
                (Some(_), [b'#', ..]) => {}
                (Some(object), _) => operations.push(operation(object, line, number).map_err(in_file)?),
            }
            at += line.len();
            number += u64::from(whole);
        }
        input.advance_lines(end, number - input.line);
    }
    Ok(())
}

fn head(line: &[u8]) -> Result<Object, Fail> {
    match named(line) {
        Some(b"stack") => Ok(Object::Stack),
        Some(b"queue") => Ok(Object::Queue),
        Some(b"priorityqueue") => Ok(Object::PriorityQueue),
        Some(other) => {
            let at = line.len() - line.trim_ascii_start().len();
            let found = if other.is_empty() { "a # alone".to_string() } else { describe(other, 0) };
            Err(Fail::new(at, TYPES).found(found))
        }
        None => Err(Fail::new(0, TYPES)),
    }
}

/// The words of a line with the offsets at which they begin.
fn words(line: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    line.split(u8::is_ascii_whitespace).filter_map(move |word| {
        let start = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some((start, word))
    })
}

fn operation(object: Object, line: &[u8], number: u64) -> Result<Operation, Fail> {
    let text = line.trim_ascii_end();
    let mut words = words(text);
    let mut next = |expected: &'static str| words.next().ok_or_else(|| Fail::ran_out(text.len(), expected));
    let whole = |(at, word): (usize, &[u8]), expected: &'static str| {
        let number = std::str::from_utf8(word).ok().and_then(|word| word.parse::<i64>().ok());
        number.map(|number| (at, number)).ok_or_else(|| Fail::new(at, expected))
    };
    let (at, method) = next("a method")?;
    let (f, puts) = object.function(method).ok_or_else(|| Fail::new(at, object.methods()))?;
    const VALUE: &str = "a value (a whole number of 64 bits)";
    const TIME: &str = "a time (a whole number from 0)";
    let (value_at, value) = whole(next(VALUE)?, VALUE)?;
    let (start_at, start) = whole(next(TIME)?, TIME)?;
    let (end_at, end) = whole(next(TIME)?, TIME)?;
    if start < 0 {
        return Err(Fail::new(start_at, TIME));
    }
    if end < start {
        return Err(Fail::new(end_at, format!("an end that is not before the start, {start}")));
    }
    if puts && value == EMPTY {
        return Err(Fail::new(value_at, "a value other than -1, which means empty"));
    }
    let value = match object {
        _ if value == EMPTY => None,
        Object::Stack | Object::Queue => Some(value),
        // Its largest is our smallest.
        Object::PriorityQueue => {
            let negated = value.checked_neg();
            Some(negated.ok_or_else(|| Fail::new(value_at, "a value that can be negated in 64 bits"))?)
        }
    };
    if let Some((at, _)) = words.next() {
        return Err(Fail::new(at, "the end of the line"));
    }
    Ok(Operation { line: number, f, puts, value, start, end })
}

/// What happens at one instant, in this order: who returns has done so before somebody else is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Return,
    Call,
    /// Of an operation that was called at this instant.
    ReturnAtOnce,
}

/// The events by time, each operation by a process that has nothing else to do.
fn hand_on(operations: &[Operation], out: &mut Out<'_>) -> Result<(), Stop> {
    let mut events: Vec<(i64, At, usize)> = Vec::with_capacity(2 * operations.len());
    for (i, operation) in operations.iter().enumerate() {
        let at_once = operation.start == operation.end;
        events.push((operation.start, At::Call, i));
        events.push((operation.end, if at_once { At::ReturnAtOnce } else { At::Return }, i));
    }
    events.sort_unstable();
    let mut free: BinaryHeap<Reverse<i64>> = BinaryHeap::new();
    let mut processes = vec![0; operations.len()];
    let mut used = 0;
    for (time, at, i) in events {
        let returns = at != At::Call;
        let operation = &operations[i];
        let process = &mut processes[i];
        if !returns {
            *process = free.pop().map_or(used, |Reverse(process)| process);
            used = used.max(*process + 1);
        }
        let value = if returns || operation.puts { operation.value } else { None };
        let mut draft = Draft::new(false);
        (draft.raw.line, draft.raw.column) = (operation.line, 1);
        draft.raw.kind = if returns { Kind::Ok } else { Kind::Invoke };
        for (field, atom) in [
            (Field::Process, Atom::Int(*process)),
            (Field::Time, Atom::Int(time)),
            (Field::F, Atom::Text(operation.f.into())),
            (Field::Value, value.map_or(Atom::Null, Atom::Int)),
        ] {
            draft.set(field, 0, atom, &mut out.values)?;
        }
        out.event(&mut draft)?;
        if returns {
            free.push(Reverse(*process));
        }
    }
    Ok(())
}
