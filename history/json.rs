//! Scans JSON: strict, without building anything that is not asked for, and saying where it stopped.

use crate::draft::Field;
use crate::number;
use crate::scan::{Atom, DEPTH_MAX, Fail, word};
use crate::value::Value;
use std::borrow::Cow;

/// A position in JSON text.
pub(crate) struct Json<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    /// Whether a value may go over several lines.
    pub many_lines: bool,
    depth: u32,
}

impl<'a> Json<'a> {
    pub(crate) fn new(bytes: &'a [u8], many_lines: bool) -> Json<'a> {
        Json { bytes, at: 0, many_lines, depth: 0 }
    }

    /// At a value within an event that stands on one line.
    pub(crate) fn within(bytes: &'a [u8], at: usize) -> Json<'a> {
        Json { bytes, at, many_lines: false, depth: 1 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn space(&mut self) {
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' if self.many_lines => self.at += 1,
                _ => return,
            }
        }
    }

    /// Whether `byte` stands here, after white space; goes past it if so.
    pub(crate) fn takes(&mut self, byte: u8) -> bool {
        if self.peek() != Some(byte) {
            self.space();
            if self.peek() != Some(byte) {
                return false;
            }
        }
        self.at += 1;
        true
    }

    /// `expected` did not stand here.
    pub(crate) fn wrong<T>(&self, expected: impl Into<Cow<'static, str>>) -> Result<T, Fail> {
        Err(match self.at >= self.bytes.len() {
            true => Fail::ran_out(self.bytes.len(), expected),
            false => Fail::new(self.at, expected),
        })
    }

    /// Opens a level of nesting.
    pub(crate) fn enter(&mut self) -> Result<(), Fail> {
        if self.depth == DEPTH_MAX {
            return Err(Fail::too_deep(self.at));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Closes it.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Any value, stored only as far as it must be.
    pub(crate) fn atom(&mut self) -> Result<Atom<'a>, Fail> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Atom::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'n') => self.word(b"null", Atom::Null),
            Some(b't') => self.word(b"true", Atom::Bool(true)),
            Some(b'f') => self.word(b"false", Atom::Bool(false)),
            Some(b'[') => match self.pair() {
                Some(pair) => Ok(Atom::Pair(pair)),
                None => Ok(Atom::Other(self.list()?)),
            },
            Some(b'{') => Ok(Atom::Other(self.map()?)),
            _ => self.wrong("a value"),
        }
    }

    /// Any value.
    pub(crate) fn value(&mut self) -> Result<Value, Fail> {
        Ok(self.atom()?.into_value())
    }

    fn word(&mut self, word: &'static [u8], atom: Atom<'a>) -> Result<Atom<'a>, Fail> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.at += word.len();
            return Ok(atom);
        }
        let expected = "a value";
        if word.starts_with(rest) {
            return Err(Fail::ran_out(self.bytes.len(), expected));
        }
        Err(Fail::new(self.at, expected))
    }

    /// `[1,2]`, or nothing and no step.
    fn pair(&mut self) -> Option<[i64; 2]> {
        let start = self.at;
        let mut pair = [0; 2];
        self.at += 1;
        for (i, place) in pair.iter_mut().enumerate() {
            self.space();
            let found = match self.peek() {
                Some(b'-' | b'0'..=b'9') => self.number(),
                _ => break,
            };
            let Ok(Atom::Int(int)) = found else { break };
            *place = int;
            if !self.takes([b',', b']'][i]) {
                break;
            }
            if i == 1 {
                return Some(pair);
            }
        }
        self.at = start;
        None
    }

    fn list(&mut self) -> Result<Value, Fail> {
        let mut items = Vec::new();
        self.enter()?;
        if !self.takes(b']') {
            loop {
                items.push(self.value()?);
                if self.takes(b']') {
                    break;
                }
                if !self.takes(b',') {
                    return self.wrong("`,` or `]`");
                }
            }
        }
        self.leave();
        Ok(Value::List(items.into()))
    }

    fn map(&mut self) -> Result<Value, Fail> {
        let start = self.at;
        let mut entries = Vec::new();
        self.enter()?;
        if !self.takes(b'}') {
            loop {
                let name = self.name()?;
                // JSON has no other keys than strings, so {0 100} is written {"0":100}.
                let key = match number::canonical_int(&name) {
                    Some(i) => Value::Int(i),
                    None => Value::Text(name.into()),
                };
                entries.push((key, self.value()?));
                if self.takes(b'}') {
                    break;
                }
                if !self.takes(b',') {
                    return self.wrong("`,` or `}`");
                }
            }
        }
        self.leave();
        undo_escapes(entries).map_err(|twice| {
            Fail::new(start, "a map with each key once").found(format!("the key {} twice", word(&twice)))
        })
    }

    /// A key of an object and the colon after it.
    pub(crate) fn name(&mut self) -> Result<Cow<'a, str>, Fail> {
        self.space();
        if self.peek() != Some(b'"') {
            return self.wrong("a field name in double quotes");
        }
        let name = self.string()?;
        if !self.takes(b':') {
            return self.wrong("`:`");
        }
        Ok(name)
    }

    /// As [`Json::name`], of a field of ours, if it is one.
    pub(crate) fn field(&mut self) -> Result<Option<Field>, Fail> {
        self.space();
        let start = self.at + 1;
        if self.peek() == Some(b'"') {
            // No name of ours has anything special in it, so most need not be checked to be text.
            let rest = &self.bytes[start..];
            let length = rest.iter().position(|byte| !PLAIN[*byte as usize]).unwrap_or(rest.len());
            if let (Some(b'"'), Some(field)) = (rest.get(length), Field::named(&rest[..length])) {
                self.at = start + length + 1;
                return if self.takes(b':') { Ok(Some(field)) } else { self.wrong("`:`") };
            }
        }
        let name = self.name()?;
        Ok(Field::named(name.as_bytes()))
    }

    /// A number: an integer of 64 bits as such, anything else as its text.
    fn number(&mut self) -> Result<Atom<'a>, Fail> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut magnitude: u64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - first;
        if digits == 0 {
            return self.wrong("a digit");
        }
        if digits > 1 && self.bytes[first] == b'0' {
            return Err(Fail::new(start, "a number without a leading zero"));
        }
        if !matches!(self.peek(), Some(b'.' | b'e' | b'E')) {
            if digits <= 18 {
                let magnitude = magnitude as i64;
                return Ok(Atom::Int(if negative { -magnitude } else { magnitude }));
            }
            let text = self.ascii(start);
            return Ok(match text.parse::<i64>() {
                Ok(int) => Atom::Int(int),
                Err(_) => Atom::Other(Value::Number(text.into())),
            });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Ok(Atom::Other(Value::Number(self.ascii(start).into())))
    }

    fn digits(&mut self) -> Result<(), Fail> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { self.wrong("a digit") } else { Ok(()) }
    }

    fn ascii(&self, start: usize) -> &'a str {
        std::str::from_utf8(&self.bytes[start..self.at]).expect("digits, signs and dots are ASCII")
    }

    /// A string; borrowed if it has no escapes.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Fail> {
        let start = self.at + 1;
        self.at = start;
        self.plain();
        if self.peek() != Some(b'"') {
            return self.escaped(start).map(Cow::Owned);
        }
        let text = self.utf8(start)?;
        self.at += 1;
        Ok(Cow::Borrowed(text))
    }

    /// Goes to the next quote, backslash or control character.
    fn plain(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| !PLAIN[*byte as usize]).unwrap_or(rest.len());
    }

    fn utf8(&self, start: usize) -> Result<&'a str, Fail> {
        std::str::from_utf8(&self.bytes[start..self.at]).map_err(|error| {
            // A character that is cut off by the end of what was read may go on behind it.
            match error.error_len() {
                None if self.at == self.bytes.len() => Fail::ran_out(self.at, "the end of the string (`\"`)"),
                Some(_) | None => Fail::new(start + error.valid_up_to(), "UTF-8 text"),
            }
        })
    }

    /// The rest of the string that began at `start`.
    fn escaped(&mut self, start: usize) -> Result<String, Fail> {
        let mut text = self.utf8(start)?.to_string();
        loop {
            let start = self.at;
            self.plain();
            text.push_str(self.utf8(start)?);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    return self.wrong("the end of the string (`\"`), or text without control characters");
                }
                None => return self.wrong("the end of the string (`\"`)"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fail> {
        let start = self.at;
        self.at += 1;
        let Some(byte) = self.peek() else { return self.wrong("an escaped character") };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                // Characters beyond the first 65536 are written as two escapes.
                let code = match high {
                    0xd800..=0xdbff => {
                        if self.peek() == Some(b'\\') && self.bytes.get(self.at + 1) == Some(&b'u') {
                            self.at += 2;
                        } else {
                            return self.lone_surrogate(start);
                        }
                        let low = self.hex4()?;
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return self.lone_surrogate(start);
                        }
                        0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => high,
                };
                match char::from_u32(code) {
                    Some(c) => c,
                    None => return self.lone_surrogate(start),
                }
            }
            _ => return Err(Fail::new(start, "one of the escapes `\\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u`")),
        })
    }

    fn lone_surrogate<T>(&self, start: usize) -> Result<T, Fail> {
        if matches!(&self.bytes[self.at..], [] | [b'\\']) {
            return Err(Fail::ran_out(self.bytes.len(), "the second half of a surrogate pair"));
        }
        Err(Fail::new(start, "a Unicode character").found("half of a surrogate pair"))
    }

    fn hex4(&mut self) -> Result<u32, Fail> {
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|byte| (byte as char).to_digit(16)) else {
                return self.wrong("four hexadecimal digits");
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

/// Whether the byte stands for itself in a string.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut control = 0;
    while control < 32 {
        plain[control] = false;
        control += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// Sorts the entries, and gives back what JSON cannot say and `to_json` therefore wrote as a map of one key.
fn undo_escapes(entries: Vec<(Value, Value)>) -> Result<Value, Value> {
    if let [(Value::Text(key), inner)] = &entries[..] {
        match (&**key, inner) {
            ("#number", Value::Text(text)) if number::is_number(text) => {
                return Ok(Value::Number(text.clone()));
            }
            ("#map", Value::List(pairs)) => {
                let split = |pair: &Value| match pair.as_list() {
                    Some([key, value]) => Some((key.clone(), value.clone())),
                    Some(_) | None => None,
                };
                if let Some(pairs) = pairs.iter().map(split).collect::<Option<Vec<_>>>() {
                    return Value::map(pairs);
                }
            }
            _ => {}
        }
    }
    Value::map(entries)
}

impl Value {
    /// Reads one JSON value. Text keys that are integers become integers, as [`Value::to_json`] writes them.
    ///
    /// # Errors
    /// One line that says what was expected at which column, and what stands there.
    pub fn from_json(text: &str) -> Result<Value, String> {
        let mut json = Json::new(text.as_bytes(), true);
        let read = json.value().and_then(|value| {
            json.space();
            if json.at < text.len() { json.wrong("nothing more") } else { Ok(value) }
        });
        read.map_err(|fail| fail.in_text(text))
    }
}
