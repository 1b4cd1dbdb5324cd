//! The dynamic values that histories carry.

use std::fmt;

/// A value as a client sent or saw it. Ordered and hashable, so that it can be a key.
///
/// EDN keywords and JSON strings are the same `Text` (keywords without their colon), and EDN sets are sorted `List`s:
/// a history means the same whichever of the two it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// `null`, `nil`: nothing, or not known yet.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Int(i64),
    /// Any other number, kept as its text: `1.5`, `1/3`, `123456789012345678901`, `##NaN`.
    Number(Box<str>),
    /// A string, keyword, symbol or character.
    Text(Box<str>),
    /// A list, vector or (sorted) set.
    List(Box<[Value]>),
    /// A map, sorted by key. A tagged element `#tag v` is a map with the single key `#tag`.
    Map(Box<[(Value, Value)]>),
}

impl Value {
    /// A text value.
    pub fn text(s: &str) -> Value {
        Value::Text(s.into())
    }

    /// The text inside, if this is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(s) => Some(s),
            _ => None,
        }
    }

    /// The number inside, if it is a whole one of 64 bits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(*i),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value under the text key `name`, if this is a map that has one.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Map(entries) => entries.iter().find(|(k, _)| k.as_text() == Some(name)).map(|(_, v)| v),
            _ => None,
        }
    }

    /// A map, sorted by key.
    ///
    /// # Errors
    /// A key that occurs twice.
    pub fn map(mut entries: Vec<(Value, Value)>) -> Result<Value, Value> {
        entries.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        match entries.windows(2).find(|two| two[0].0 == two[1].0) {
            Some(twice) => Err(twice[0].0.clone()),
            None => Ok(Value::Map(entries.into())),
        }
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        const BLOCK: usize = 16;
        let inner = match self {
            Value::Null | Value::Bool(_) | Value::Int(_) => 0,
            Value::Number(text) | Value::Text(text) => BLOCK + text.len(),
            Value::List(items) => BLOCK + items.iter().map(Value::bytes).sum::<usize>(),
            Value::Map(entries) => {
                BLOCK + entries.iter().map(|(key, value)| key.bytes() + value.bytes()).sum::<usize>()
            }
        };
        size_of::<Value>() + inner
    }

    /// A list of values.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }
}

impl From<()> for Value {
    fn from((): ()) -> Value {
        Value::Null
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Value {
        Value::Int(i)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Value {
        Value::text(s)
    }
}

impl From<String> for Value {
    fn from(s: String) -> Value {
        Value::Text(s.into())
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Value {
        Value::Bool(b)
    }
}

/// As a person reads it: JSON-like, texts without quotes where that is unambiguous.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Number(n) => f.write_str(n),
            Value::Text(s) => {
                let plain = !s.is_empty()
                    && s.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '#'))
                    && s.parse::<i64>().is_err()
                    && !matches!(&**s, "null" | "true" | "false");
                if plain { f.write_str(s) } else { write!(f, "{s:?}") }
            }
            Value::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Value::Map(entries) => {
                f.write_str("{")?;
                for (i, (k, v)) in entries.iter().enumerate() {
                    if i > 0 {
                        f.write_str(" ")?;
                    }
                    write!(f, "{k}: {v}")?;
                }
                f.write_str("}")
            }
        }
    }
}
