//! Writes values and events as EDN, as Jepsen would.
//!
//! A [`Value::Text`] does not say whether it was a keyword or a string. Where Jepsen's checkers look for keywords
//! (`:type`, `:f`, the first place of a micro-op, bare map keys) it is written as one, everywhere else as a string.

use crate::event::{Event, Process};
use crate::number::is_number;
use crate::op::NO_TIME;
use crate::value::Value;
use std::io::Write;

/// Appends one event as one line, line break included: what Jepsen has in `history.edn`, with our fields beside it.
pub fn write_edn_line(event: &Event, line: &mut Vec<u8>) {
    line.push(b'{');
    if let Some(index) = event.index {
        put(format_args!(":index {index}, "), line);
    }
    if event.time != NO_TIME {
        put(format_args!(":time {}, ", event.time), line);
    }
    put(format_args!(":type :{}, :process ", event.kind.name()), line);
    match &event.process {
        Process::Client(process) => put(process, line),
        Process::Other(name) => name_of(name, line),
    }
    line.extend_from_slice(b", :f ");
    name_of(&event.f, line);
    if let Some(key) = &event.key {
        line.extend_from_slice(b", :key ");
        edn(key, line);
    }
    line.extend_from_slice(b", :value ");
    match &event.value {
        Value::List(ops) if event.f == "txn" => micro_ops(ops, line),
        value => edn(value, line),
    }
    if let Some(error) = &event.error {
        line.extend_from_slice(b", :error ");
        edn(error, line);
    }
    if let Some(node) = &event.node {
        line.extend_from_slice(b", :node ");
        string(node, line);
    }
    if let Some(session) = event.session {
        put(format_args!(", :session {session}"), line);
    }
    if let Some(applied) = event.applied {
        put(format_args!(", :applied {applied}"), line);
    }
    if let Some(observed) = &event.observed {
        line.extend_from_slice(b", :observed ");
        edn(observed, line);
    }
    if let Some(latency) = event.latency_ns {
        put(format_args!(", :latency-ns {latency}"), line);
    }
    if let Some(due) = event.due {
        put(format_args!(", :due {due}"), line);
    }
    if let Some(fault) = event.fault {
        put(format_args!(", :fault {fault}"), line);
    }
    if let Some(phase) = event.phase {
        put(format_args!(", :phase :{}", phase.name()), line);
    }
    line.extend_from_slice(b"}\n");
}

impl Value {
    /// As EDN on one line. [`Value::from_edn`] gives back the same value.
    pub fn to_edn(&self) -> String {
        let mut text = Vec::new();
        edn(self, &mut text);
        String::from_utf8(text).expect("only text was written")
    }
}

fn edn(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"nil"),
        Value::Bool(b) => put(b, out),
        Value::Int(i) => put(i, out),
        Value::Number(text) if is_number(text) => out.extend_from_slice(text.as_bytes()),
        // A number that no reader of ours makes.
        Value::Number(text) => string(text, out),
        Value::Text(text) => string(text, out),
        Value::List(items) => list(items, out, edn),
        Value::Map(entries) => match &entries[..] {
            [(Value::Text(tag), inner)] if tag.strip_prefix('#').is_some_and(is_symbol) => {
                put(format_args!("{tag} "), out);
                edn(inner, out);
            }
            entries => {
                out.push(b'{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.extend_from_slice(b", ");
                    }
                    match key {
                        Value::Text(name) => name_of(name, out),
                        key => edn(key, out),
                    }
                    out.push(b' ');
                    edn(value, out);
                }
                out.push(b'}');
            }
        },
    }
}

fn list<T>(items: &[T], out: &mut Vec<u8>, each: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push(b' ');
        }
        each(item, out);
    }
    out.push(b']');
}

/// `[[:r 1 nil] [:append 2 3]]`
fn micro_ops(ops: &[Value], out: &mut Vec<u8>) {
    list(ops, out, |op, out| match op {
        Value::List(parts) => list(parts, out, |part, out| match part {
            Value::Text(name) if std::ptr::eq(part, &parts[0]) => name_of(name, out),
            part => edn(part, out),
        }),
        other => edn(other, out),
    });
}

/// A keyword if it can be one, else a string.
fn name_of(name: &str, out: &mut Vec<u8>) {
    if is_symbol(name) { put(format_args!(":{name}"), out) } else { string(name, out) }
}

fn is_symbol(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'*' | b'?'))
}

fn put(text: impl std::fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{text}").expect("writing to memory succeeds");
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{0}'..='\u{1f}' => put(format_args!("\\u{:04x}", c as u32), out),
            c => put(c, out),
        }
    }
    out.push(b'"');
}
