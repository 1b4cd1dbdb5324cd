//! Durations, sizes and key=value pairs, as people type them.

use crate::control::lab::Links;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time: `500ms`, `20s`, `2m`, `1h`; a bare number is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let expected = || format!("expected a time such as 500ms, 20s, 2m or 1h, found {text:?}");
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ').unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number: f64 = number.trim().parse().map_err(|_| expected())?;
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(expected()),
        } * number;
        Duration::try_from_secs_f64(seconds).map(Span).map_err(|_| expected())
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if ms % 1000 == 0 { write!(f, "{}s", ms / 1000) } else { write!(f, "{ms}ms") }
    }
}

/// Links of a lab, in both directions: `all`, or `n1-n2,n3-clients`.
pub fn links(text: &str) -> Result<Links, String> {
    if text == "all" {
        return Ok(Links::All);
    }
    let pair = |pair: &str| match pair.split_once('-') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() && a != b => Ok((a.to_string(), b.to_string())),
        Some(_) | None => Err(format!("expected all, or links such as n1-n2,n3-clients, found {text:?}")),
    };
    text.split(',').map(pair).collect::<Result<_, _>>().map(Links::Between)
}

/// A size: `64MiB`, `4GiB`, `1000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        let expected = || format!("expected a size such as 512MiB or 4GiB, found {text:?}");
        let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let number: f64 = number.trim().parse().map_err(|_| expected())?;
        let scale = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "kb" => 1e3,
            "m" | "mib" => 1024.0 * 1024.0,
            "mb" => 1e6,
            "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
            "gb" => 1e9,
            "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return Err(expected()),
        };
        let bytes = number * scale;
        if bytes.is_finite() && (0.0..1.8e19).contains(&bytes) {
            Ok(Bytes(bytes as u64))
        } else {
            Err(expected())
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, size) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
            if self.0 >= size && self.0 % size == 0 {
                return write!(f, "{}{unit}", self.0 / size);
            }
        }
        write!(f, "{}", self.0)
    }
}

/// `key=value`, as in `--with w=1`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err(format!("expected key=value, found {text:?}")),
    }
}

/// A word for a shell: in quotes unless it is plain.
pub fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "=_-.:,/%+".contains(c));
    if plain { text.to_string() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!("20s".parse::<Span>().unwrap().0, Duration::from_secs(20));
        assert_eq!("20".parse::<Span>().unwrap().0, Duration::from_secs(20));
        assert_eq!("1.5m".parse::<Span>().unwrap().0, Duration::from_secs(90));
        assert_eq!("250ms".parse::<Span>().unwrap().to_string(), "250ms");
        assert_eq!("4GiB".parse::<Bytes>().unwrap().0, 4 << 30);
        assert_eq!("4GiB".parse::<Bytes>().unwrap().to_string(), "4GiB");
        for bad in ["", "s", "-1s", "1 fortnight", "1e400s", "nan"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        for bad in ["", "GiB", "-1", "1e30GiB", "4 apples"] {
            assert!(bad.parse::<Bytes>().is_err(), "{bad}");
        }
    }
}
