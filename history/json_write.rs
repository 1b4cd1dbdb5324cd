//! Writes values and events as JSON.
//!
//! JSON has fewer kinds of value than a history. What it lacks is written as a map of one key, and read back as what
//! it was: `{"#number":"1/3"}`, `{"#map":[[[1,2],"x"]]}` for a map with keys that are no strings. Integer keys are
//! written as strings, as every other tool does, and read back as integers.

use crate::event::{Event, Process};
use crate::number::canonical_int;
use crate::op::NO_TIME;
use crate::value::Value;
use std::io::Write;

/// Appends one event as one line, line break included, ready to be written with a single `write`.
pub fn write_json_line(event: &Event, line: &mut Vec<u8>) {
    line.push(b'{');
    let field = |name: &str, line: &mut Vec<u8>| {
        if !line.ends_with(b"{") {
            line.push(b',');
        }
        line.push(b'"');
        line.extend_from_slice(name.as_bytes());
        line.extend_from_slice(b"\":");
    };
    if let Some(index) = event.index {
        field("index", line);
        number(index, line);
    }
    if event.time != NO_TIME {
        field("time", line);
        number(event.time, line);
    }
    field("process", line);
    match &event.process {
        Process::Client(process) => number(process, line),
        Process::Other(name) => string(name, line),
    }
    field("type", line);
    string(event.kind.name(), line);
    field("f", line);
    string(&event.f, line);
    if let Some(key) = &event.key {
        field("key", line);
        json(key, line);
    }
    field("value", line);
    json(&event.value, line);
    if let Some(error) = &event.error {
        field("error", line);
        json(error, line);
    }
    if let Some(node) = &event.node {
        field("node", line);
        string(node, line);
    }
    if let Some(session) = event.session {
        field("session", line);
        number(session, line);
    }
    if let Some(applied) = event.applied {
        field("applied", line);
        number(applied, line);
    }
    if let Some(observed) = &event.observed {
        field("observed", line);
        json(observed, line);
    }
    if let Some(latency) = event.latency_ns {
        field("latency_ns", line);
        number(latency, line);
    }
    if let Some(due) = event.due {
        field("due", line);
        number(due, line);
    }
    if let Some(fault) = event.fault {
        field("fault", line);
        number(fault, line);
    }
    if let Some(phase) = event.phase {
        field("phase", line);
        string(phase.name(), line);
    }
    line.extend_from_slice(b"}\n");
}

impl Value {
    /// As JSON on one line, without spaces. [`Value::from_json`] gives back the same value.
    pub fn to_json(&self) -> String {
        let mut text = Vec::new();
        json(self, &mut text);
        String::from_utf8(text).expect("only text was written")
    }
}

fn json(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(b) => number(b, out),
        Value::Int(i) => number(i, out),
        Value::Number(text) if is_json_number(text) => out.extend_from_slice(text.as_bytes()),
        Value::Number(text) => {
            out.extend_from_slice(b"{\"#number\":");
            string(text, out);
            out.push(b'}');
        }
        Value::Text(text) => string(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json(item, out);
            }
            out.push(b']');
        }
        Value::Map(entries) if has_json_keys(entries) => {
            out.push(b'{');
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                match key {
                    Value::Int(int) => string(&int.to_string(), out),
                    Value::Text(text) => string(text, out),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => {
                        unreachable!("has_json_keys")
                    }
                }
                out.push(b':');
                json(value, out);
            }
            out.push(b'}');
        }
        Value::Map(entries) => {
            out.extend_from_slice(b"{\"#map\":[");
            for (i, (key, value)) in entries.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.push(b'[');
                json(key, out);
                out.push(b',');
                json(value, out);
                out.push(b']');
            }
            out.extend_from_slice(b"]}");
        }
    }
}

/// Whether an object with these keys is read back as the same map.
fn has_json_keys(entries: &[(Value, Value)]) -> bool {
    let escape = |text: &str| entries.len() == 1 && matches!(text, "#number" | "#map");
    entries.iter().all(|(key, _)| match key {
        Value::Int(_) => true,
        Value::Text(text) => canonical_int(text).is_none() && !escape(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::List(_) | Value::Map(_) => false,
    })
}

fn is_json_number(text: &str) -> bool {
    matches!(Value::from_json(text), Ok(Value::Number(_)))
}

fn number(number: impl std::fmt::Display, out: &mut Vec<u8>) {
    write!(out, "{number}").expect("writing to memory succeeds");
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..=31 => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        match escape {
            b"" => write!(out, "\\u{byte:04x}").expect("writing to memory succeeds"),
            _ => out.extend_from_slice(escape),
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}
