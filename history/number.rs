//! Numbers as their text: what Clojure and JSON write that is no integer of 64 bits is kept as it stands.

use crate::value::Value;
use std::num::IntErrorKind;

/// Whether `text` is what a [`Value::Number`] holds.
pub(crate) fn is_number(text: &str) -> bool {
    matches!(text, "##NaN" | "##Inf" | "##-Inf")
        || matches!(parse(text), Some(Value::Number(n)) if *n == *text)
}

/// A number as Clojure reads it: `12 -7 0x1a 017 2r101 1N` as integers, if they fit; `1.5 2.5M 1e3 1/3` as text.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let whole = unsigned.strip_suffix('N').unwrap_or(unsigned);
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|byte| byte.is_ascii_digit());
    let number = |s: &str| Value::Number(format!("{sign}{s}").into());
    let integer = |s: &str, radix| match i64::from_str_radix(&format!("{sign}{s}"), radix) {
        Ok(int) => Some(Value::Int(int)),
        Err(error) => match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => Some(number(whole)),
            _ => None,
        },
    };
    if let Some(hex) = whole.strip_prefix("0x").or_else(|| whole.strip_prefix("0X")) {
        return if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) { integer(hex, 16) } else { None };
    }
    if digits(whole) {
        let octal = whole.len() > 1 && whole.starts_with('0');
        return integer(whole, if octal { 8 } else { 10 });
    }
    if let Some((radix, rest)) = whole.split_once(['r', 'R']) {
        let radix = radix.parse().ok().filter(|radix| (2..=36).contains(radix))?;
        return if rest.starts_with(['+', '-']) { None } else { integer(rest, radix) };
    }
    if let Some((above, below)) = unsigned.split_once('/') {
        return if digits(above) && digits(below) { Some(number(unsigned)) } else { None };
    }
    let decimal = unsigned.strip_suffix('M').unwrap_or(unsigned);
    let (mantissa, exponent) = match decimal.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (decimal, None),
    };
    let (above, below) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let good = digits(above) && (below.is_empty() || digits(below)) && exponent.is_none_or(digits);
    if good { Some(number(decimal)) } else { None }
}

/// The integer that `text` writes, if it writes it as we would.
pub(crate) fn canonical_int(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = match digits.as_bytes() {
        [b'0'] => digits.len() == text.len(),
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if plain { text.parse().ok() } else { None }
}
