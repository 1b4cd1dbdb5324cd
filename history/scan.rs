//! What the JSON and the EDN scanner share: why a scan stopped, how that is said, and scalars that were not stored yet.

use crate::interner::{Interner, ValueId};
use crate::value::Value;
use std::borrow::Cow;

/// How deep values may nest. No recorded history comes near; without it, `[[[[…` would overflow the stack.
pub(crate) const DEPTH_MAX: u32 = 512;

/// Why a scan stopped: what was expected at an offset of the scanned bytes, and what stood there.
#[derive(Debug)]
pub(crate) struct Fail {
    /// Offset in the scanned bytes.
    pub at: usize,
    /// What should have stood there.
    pub expected: Cow<'static, str>,
    /// What stood there, if that is more than the bytes at `at`.
    pub found: Option<String>,
    /// Whether more bytes could have helped.
    pub ran_out: bool,
}

impl Fail {
    pub(crate) fn new(at: usize, expected: impl Into<Cow<'static, str>>) -> Fail {
        Fail { at, expected: expected.into(), found: None, ran_out: false }
    }

    pub(crate) fn found(mut self, found: impl Into<String>) -> Fail {
        self.found = Some(found.into());
        self
    }

    /// The bytes ended: at the end of the file this is an error, before it a reason to read on.
    pub(crate) fn ran_out(at: usize, expected: impl Into<Cow<'static, str>>) -> Fail {
        Fail { at, expected: expected.into(), found: None, ran_out: true }
    }

    /// In one line, of a text that is no file.
    pub(crate) fn in_text(self, text: &str) -> String {
        let found = match self.found {
            Some(found) => found,
            None if self.at >= text.len() => "the end".to_string(),
            None => describe(text.as_bytes(), self.at),
        };
        format!("column {}: expected {}, found {found}", self.at + 1, self.expected)
    }

    pub(crate) fn too_deep(at: usize) -> Fail {
        Fail::new(at, format!("at most {DEPTH_MAX} levels of nesting")).found("one more")
    }
}

/// A field's value as scanned: what is common is not stored before it is known to be wanted.
#[derive(Debug)]
pub(crate) enum Atom<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(Cow<'a, str>),
    /// Two integers, as every `cas` carries them.
    Pair([i64; 2]),
    Other(Value),
}

impl Atom<'_> {
    pub(crate) fn of(value: Value) -> Atom<'static> {
        match value {
            Value::Null => Atom::Null,
            Value::Bool(b) => Atom::Bool(b),
            Value::Int(i) => Atom::Int(i),
            Value::Text(text) => Atom::Text(Cow::Owned(text.into())),
            Value::Number(_) | Value::List(_) | Value::Map(_) => Atom::Other(value),
        }
    }

    pub(crate) fn intern(&self, values: &mut Interner) -> ValueId {
        match self {
            Atom::Null => ValueId::NULL,
            Atom::Bool(b) => values.intern(&Value::Bool(*b)),
            Atom::Int(i) => values.intern_int(*i),
            Atom::Text(text) => values.intern_text(text),
            Atom::Pair(pair) => values.intern_ints(*pair),
            Atom::Other(value) => values.intern(value),
        }
    }

    /// Bytes that it takes in an interner, at most about.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Atom::Null | Atom::Bool(_) => 0,
            // As an integer alone, below a few ten thousand, it is surely shared.
            Atom::Int(0..=9999) => 0,
            Atom::Int(_) => 24,
            Atom::Pair(_) => 48,
            Atom::Text(text) => 64 + text.len(),
            Atom::Other(value) => 64 + value.bytes(),
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Atom::Null => Value::Null,
            Atom::Bool(b) => Value::Bool(*b),
            Atom::Int(i) => Value::Int(*i),
            Atom::Text(text) => Value::text(text),
            Atom::Pair(pair) => Value::list(pair.map(Value::Int)),
            Atom::Other(value) => value.clone(),
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Atom::Null => Value::Null,
            Atom::Bool(b) => Value::Bool(b),
            Atom::Int(i) => Value::Int(i),
            Atom::Text(text) => Value::Text(text.into()),
            Atom::Pair(pair) => Value::list(pair.map(Value::Int)),
            Atom::Other(value) => value,
        }
    }
}

/// What stands at `at`, in a few words that fit on one line whatever the bytes are.
pub(crate) fn describe(bytes: &[u8], at: usize) -> String {
    let Some(&first) = bytes.get(at) else { return "the end of the file".to_string() };
    let rest = &bytes[at..bytes.len().min(at + 64)];
    match first {
        b'\n' => return "the end of the line".to_string(),
        b'\r' if rest.get(1) == Some(&b'\n') => return "the end of the line".to_string(),
        0 => return "a NUL byte".to_string(),
        1..=31 | 127 => return format!("the control character 0x{first:02x}"),
        _ => {}
    }
    let text = match std::str::from_utf8(rest) {
        Ok(text) => text,
        Err(error) if error.valid_up_to() > 0 => {
            std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return format!("the byte 0x{first:02x}, which is not UTF-8"),
    };
    let stop =
        |c: char| c.is_control() || c.is_whitespace() || matches!(c, ',' | '{' | '}' | '[' | ']' | '(' | ')');
    let token = match text.char_indices().skip(1).find(|(_, c)| stop(*c)) {
        Some((end, _)) if !stop(first as char) => &text[..end],
        Some(_) | None if stop(first as char) => &text[..1],
        Some(_) | None => text,
    };
    let short: String = token.chars().take(32).collect();
    if short.len() < token.len() { format!("`{short}…`") } else { format!("`{short}`") }
}

/// A value in a message, in backticks.
pub(crate) fn brief(value: &Value) -> String {
    format!("`{}`", word(value))
}

/// A value in a message: at most a few dozen characters, on one line whatever they are.
pub(crate) fn word(value: &Value) -> String {
    let text = value.to_string();
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
