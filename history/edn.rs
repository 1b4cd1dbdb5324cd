//! Scans EDN as Clojure prints it, which is more than EDN: hexadecimal numbers, ratios, regular expressions, metadata.
//!
//! Tolerant on purpose: a history is full of what its clients threw, and a checker needs none of that to be exact.
//! Any tag is kept (`#tag v` becomes `{"#tag" v}`), sets become sorted lists, keywords, symbols and characters text.

use crate::number;
use crate::scan::{Atom, DEPTH_MAX, Fail, word};
use crate::value::Value;
use std::borrow::Cow;

/// A position in EDN text.
pub(crate) struct Edn<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
    depth: u32,
}

impl<'a> Edn<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Edn<'a> {
        Edn { bytes, at: 0, depth: 0 }
    }

    /// At a value within an event.
    pub(crate) fn within(bytes: &'a [u8], at: usize) -> Edn<'a> {
        Edn { bytes, at, depth: 1 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Goes past white space, commas, comments and discarded forms.
    pub(crate) fn space(&mut self) -> Result<(), Fail> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\n' | b',' | b'\r' | b'\t' | 11 | 12 => self.at += 1,
                b';' => self.comment(),
                b'#' => match self.bytes.get(self.at + 1) {
                    Some(b'_') => {
                        self.enter(2)?;
                        self.value()?;
                        self.leave();
                    }
                    Some(b'!') => self.comment(),
                    Some(_) | None => return Ok(()),
                },
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn comment(&mut self) {
        while !matches!(self.peek(), None | Some(b'\n')) {
            self.at += 1;
        }
    }

    /// `expected` did not stand here.
    pub(crate) fn wrong<T>(&self, expected: impl Into<Cow<'static, str>>) -> Result<T, Fail> {
        Err(match self.at >= self.bytes.len() {
            true => Fail::ran_out(self.bytes.len(), expected),
            false => Fail::new(self.at, expected),
        })
    }

    /// Opens a level of nesting with a token of `length` bytes.
    pub(crate) fn enter(&mut self, length: usize) -> Result<(), Fail> {
        if self.depth == DEPTH_MAX {
            return Err(Fail::too_deep(self.at));
        }
        self.depth += 1;
        self.at += length;
        Ok(())
    }

    /// Closes it.
    pub(crate) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Any value.
    pub(crate) fn value(&mut self) -> Result<Value, Fail> {
        Ok(self.atom()?.into_value())
    }

    /// Any value, stored only as far as it must be.
    pub(crate) fn atom(&mut self) -> Result<Atom<'a>, Fail> {
        self.space()?;
        match self.peek() {
            Some(b':') => Ok(Atom::Text(Cow::Borrowed(self.keyword()?))),
            Some(b'"') => Ok(Atom::Text(self.string()?)),
            Some(b'[') => match self.pair() {
                Some(pair) => Ok(Atom::Pair(pair)),
                None => Ok(Atom::Other(Value::List(self.items(1, b']')?.into()))),
            },
            Some(b'(') => Ok(Atom::Other(Value::List(self.items(1, b')')?.into()))),
            Some(b'{') => Ok(Atom::Other(self.map(None)?)),
            Some(b'\\') => Ok(Atom::Text(Cow::Owned(self.character()?.to_string()))),
            Some(b'#') => self.dispatch(),
            Some(b'^') => {
                self.enter(1)?;
                self.value()?;
                let atom = self.atom();
                self.leave();
                atom
            }
            Some(b'0'..=b'9') => self.number(),
            Some(b'+' | b'-') if self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit) => self.number(),
            Some(byte) if is_token(byte) => Ok(match self.token()? {
                "nil" => Atom::Null,
                "true" => Atom::Bool(true),
                "false" => Atom::Bool(false),
                symbol => Atom::Text(Cow::Borrowed(symbol)),
            }),
            Some(_) | None => self.wrong("a value"),
        }
    }

    /// The text of a token that begins here; must not be empty.
    fn token(&mut self) -> Result<&'a str, Fail> {
        let start = self.at;
        while self.peek().is_some_and(is_token) {
            self.at += 1;
        }
        self.utf8(start)
    }

    fn utf8(&self, start: usize) -> Result<&'a str, Fail> {
        std::str::from_utf8(&self.bytes[start..self.at]).map_err(|error| {
            let at = start + error.valid_up_to();
            // A character that is cut off by the end of what was read may go on behind it.
            match error.error_len() {
                None if self.at == self.bytes.len() => Fail::ran_out(self.at, "UTF-8 text"),
                Some(_) | None => Fail::new(at, "UTF-8 text"),
            }
        })
    }

    /// A keyword, without its colon.
    pub(crate) fn keyword(&mut self) -> Result<&'a str, Fail> {
        let start = self.at;
        while self.peek() == Some(b':') {
            self.at += 1;
        }
        let name = self.token()?;
        if name.is_empty() {
            if self.at < self.bytes.len() {
                self.at = start;
            }
            return self.wrong("a keyword");
        }
        Ok(name)
    }

    /// `[1 2]`, or nothing and no step.
    fn pair(&mut self) -> Option<[i64; 2]> {
        let start = self.at;
        self.at += 1;
        let pair = self.two_ints();
        if pair.is_some() && self.peek() == Some(b']') {
            self.at += 1;
            return pair;
        }
        self.at = start;
        None
    }

    fn two_ints(&mut self) -> Option<[i64; 2]> {
        let mut pair = [0; 2];
        for place in &mut pair {
            while matches!(self.peek(), Some(b' ' | b',')) {
                self.at += 1;
            }
            match self.peek() {
                Some(b'-' | b'0'..=b'9') => match self.number() {
                    Ok(Atom::Int(int)) => *place = int,
                    Ok(_) | Err(_) => return None,
                },
                Some(_) | None => return None,
            }
        }
        Some(pair)
    }

    /// Values up to `close`, after an opening token of `length` bytes.
    fn items(&mut self, length: usize, close: u8) -> Result<Vec<Value>, Fail> {
        let mut items = Vec::new();
        self.enter(length)?;
        loop {
            self.space()?;
            match self.peek() {
                Some(byte) if byte == close => break,
                Some(b')' | b']' | b'}') | None => {
                    return self.wrong(format!("a value or `{}`", close as char));
                }
                Some(_) => items.push(self.value()?),
            }
        }
        self.at += 1;
        self.leave();
        Ok(items)
    }

    /// A map; with a namespace, its bare keywords belong to that.
    fn map(&mut self, namespace: Option<&str>) -> Result<Value, Fail> {
        let start = self.at;
        let mut entries = Vec::new();
        self.enter(1)?;
        loop {
            self.space()?;
            match self.peek() {
                Some(b'}') => break,
                Some(b')' | b']') | None => return self.wrong("a key or `}`"),
                Some(first) => {
                    let mut key = self.value()?;
                    if let (Some(namespace), b':', Value::Text(name)) = (namespace, first, &key) {
                        key = Value::from(match name.strip_prefix("_/") {
                            Some(bare) => bare.to_string(),
                            None if name.contains('/') => name.to_string(),
                            None => format!("{namespace}/{name}"),
                        });
                    }
                    self.space()?;
                    if self.peek() == Some(b'}') {
                        return self.wrong("a value for each key");
                    }
                    entries.push((key, self.value()?));
                }
            }
        }
        self.at += 1;
        self.leave();
        Value::map(entries).map_err(|twice| {
            Fail::new(start, "a map with each key once").found(format!("the key {} twice", word(&twice)))
        })
    }

    /// Whatever begins with `#`.
    fn dispatch(&mut self) -> Result<Atom<'a>, Fail> {
        match self.bytes.get(self.at + 1) {
            Some(b'{') => {
                let mut items = self.items(2, b'}')?;
                items.sort_unstable();
                items.dedup();
                Ok(Atom::Other(Value::List(items.into())))
            }
            Some(b'#') => {
                let start = self.at;
                self.at += 2;
                match self.token()? {
                    "NaN" | "Inf" | "-Inf" => {
                        let text = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
                        Ok(Atom::Other(Value::Number(text.into())))
                    }
                    _ if self.at == self.bytes.len() => self.wrong("##NaN, ##Inf or ##-Inf"),
                    _ => Err(Fail::new(start, "##NaN, ##Inf or ##-Inf")),
                }
            }
            Some(b':') => {
                self.at += 1;
                let namespace = self.keyword()?;
                if self.peek() != Some(b'{') {
                    return self.wrong("the map of this namespace");
                }
                Ok(Atom::Other(self.map(Some(namespace))?))
            }
            Some(b'"') => {
                self.at += 1;
                Ok(Atom::Text(self.pattern()?))
            }
            Some(b'\'') => {
                self.at += 2;
                Ok(Atom::Text(Cow::Borrowed(self.token()?)))
            }
            Some(b'^') => {
                self.at += 1;
                self.atom()
            }
            Some(byte) if is_token(*byte) => {
                let start = self.at;
                let tag = self.tag()?;
                self.at = start + tag.len();
                self.enter(0)?;
                let inner = self.value()?;
                self.leave();
                Ok(Atom::Other(Value::Map([(Value::text(tag), inner)].into())))
            }
            Some(_) => {
                self.at += 1;
                self.wrong("a tag, a set or another form that begins with `#`")
            }
            None => Err(Fail::ran_out(self.bytes.len(), "a tag or a set")),
        }
    }

    /// A tag with its `#`.
    pub(crate) fn tag(&mut self) -> Result<&'a str, Fail> {
        let start = self.at;
        self.at += 1;
        self.token()?;
        self.utf8(start)
    }

    fn number(&mut self) -> Result<Atom<'a>, Fail> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let first = self.at;
        let mut magnitude: i64 = 0;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            magnitude = magnitude.wrapping_mul(10).wrapping_add(i64::from(digit - b'0'));
            self.at += 1;
        }
        let digits = self.at - first;
        // A leading zero would say octal.
        let plain = (1..=18).contains(&digits) && (digits == 1 || self.bytes[first] != b'0');
        if plain && !self.peek().is_some_and(is_token) {
            return Ok(Atom::Int(if negative { -magnitude } else { magnitude }));
        }
        let text = self.token().and_then(|_| self.utf8(start))?;
        match number::parse(text) {
            Some(Value::Int(int)) => Ok(Atom::Int(int)),
            Some(number) => Ok(Atom::Other(number)),
            None if self.at == self.bytes.len() => self.wrong("a number"),
            None => Err(Fail::new(start, "a number")),
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fail> {
        let start = self.at + 1;
        self.at = start;
        let mut text = String::new();
        let mut plain = start;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let last = self.utf8(plain)?;
                    self.at += 1;
                    return Ok(match plain == start {
                        true => Cow::Borrowed(last),
                        false => Cow::Owned(text + last),
                    });
                }
                Some(b'\\') => {
                    text.push_str(self.utf8(plain)?);
                    text.push(self.escape()?);
                    plain = self.at;
                }
                Some(_) => self.at += 1,
                None => return self.wrong("the end of the string (`\"`)"),
            }
        }
    }

    /// A regular expression: its text as it stands.
    fn pattern(&mut self) -> Result<Cow<'a, str>, Fail> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.utf8(start)?;
                    self.at += 1;
                    return Ok(Cow::Borrowed(text));
                }
                Some(b'\\') => self.at = self.bytes.len().min(self.at + 2),
                Some(_) => self.at += 1,
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
                let mut code = self.digits(16, 4, 4)?;
                if (0xd800..0xdc00).contains(&code) && self.bytes[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.digits(16, 4, 4)?;
                    code = 0x10000 + ((code - 0xd800) << 10) + low.wrapping_sub(0xdc00) % 0x400;
                }
                // Half a character, as a program may print that cut a string in two.
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            b'0'..=b'7' => {
                self.at -= 1;
                char::from_u32(self.digits(8, 1, 3)?).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            b'o' => char::from_u32(self.digits(8, 1, 3)?).unwrap_or(char::REPLACEMENT_CHARACTER),
            _ => return Err(Fail::new(start, "one of the escapes `\\\" \\\\ \\b \\f \\n \\r \\t \\u`")),
        })
    }

    fn digits(&mut self, radix: u32, least: usize, most: usize) -> Result<u32, Fail> {
        let mut code = 0;
        for i in 0..most {
            match self.peek().and_then(|byte| (byte as char).to_digit(radix)) {
                Some(digit) => code = code * radix + digit,
                None if i >= least => break,
                None => return self.wrong(format!("{least} digits to the base {radix}")),
            }
            self.at += 1;
        }
        Ok(code)
    }

    fn character(&mut self) -> Result<char, Fail> {
        let start = self.at;
        self.at += 1;
        let length = match self.peek() {
            None => return self.wrong("a character"),
            Some(byte) => {
                if byte < 0x80 {
                    1
                } else {
                    byte.leading_ones() as usize
                }
            }
        };
        self.at = self.bytes.len().min(self.at + length);
        while self.peek().is_some_and(is_token) {
            self.at += 1;
        }
        let name = self.utf8(start + 1)?;
        let mut chars = name.chars();
        let code = |digits: &str, radix| u32::from_str_radix(digits, radix).ok().and_then(char::from_u32);
        match (name, chars.next(), chars.as_str()) {
            (_, Some(only), "") => Ok(only),
            ("newline", ..) => Ok('\n'),
            ("space", ..) => Ok(' '),
            ("tab", ..) => Ok('\t'),
            ("return", ..) => Ok('\r'),
            ("backspace", ..) => Ok('\u{8}'),
            ("formfeed", ..) => Ok('\u{c}'),
            (_, Some('u'), digits) if digits.len() == 4 => {
                Ok(code(digits, 16).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            (_, Some('o'), digits) if code(digits, 8).is_some() => Ok(code(digits, 8).unwrap_or_default()),
            _ if self.at == self.bytes.len() => self.wrong("a character"),
            _ => Err(Fail::new(start, "a character")),
        }
    }
}

/// Whether the byte can be part of a number, symbol or keyword.
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[byte as usize]
}

const TOKEN: [bool; 256] = {
    let mut token = [true; 256];
    let mut byte = 0;
    while byte <= 32 {
        token[byte] = false;
        byte += 1;
    }
    let ends = b",;\"()[]{}\\^@`~\x7f";
    let mut i = 0;
    while i < ends.len() {
        token[ends[i] as usize] = false;
        i += 1;
    }
    token
};

impl Value {
    /// Reads one EDN value.
    ///
    /// # Errors
    /// One line that says what was expected at which column, and what stands there.
    pub fn from_edn(text: &str) -> Result<Value, String> {
        let mut edn = Edn::new(text.as_bytes());
        let read = edn.value().and_then(|value| {
            edn.space()?;
            if edn.at < text.len() { edn.wrong("nothing more") } else { Ok(value) }
        });
        read.map_err(|fail| fail.in_text(text))
    }
}
