//! The one door for untrusted text: whatever a system under test wrote passes here before it is drawn.
//!
//! Escaping (which `maud` does for every text) keeps a value from becoming markup. This file keeps it from lying in
//! other ways: control characters would vanish or move the cursor of a terminal, direction marks would turn the rest
//! of a line around, and a megabyte of value would bury the proof.

use crate::text::count;
use history::results::{Anomaly, Results};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Longest text that is drawn, in characters. Sentences and stories are far below.
const TEXT_MAX: usize = 600;

/// `text` as it may be shown: invisible characters made visible, and cut with a note after [`TEXT_MAX`] characters.
/// O(length).
pub fn clean(text: &str) -> String {
    clean_to(text, TEXT_MAX)
}

/// As `clean`, cut after `max` characters.
pub fn clean_to(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(4 * max));
    for (i, c) in text.chars().enumerate() {
        if i == max {
            let all = text.chars().count() as u64;
            out.push_str(&format!("… (cut: {} characters in all)", count(all)));
            break;
        }
        show(c, &mut out);
    }
    out
}

fn show(c: char, out: &mut String) {
    match c {
        '\n' => out.push('↵'),
        '\t' => out.push('⇥'),
        // Unicode has a picture for each of the old control characters.
        '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}')),
        '\x7f' => out.push('␡'),
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => out.push_str(&format!("⟨U+{:04X}⟩", c as u32)),
        _ => out.push(c),
    }
}

/// A copy of `results` in which every text is [`clean`].
pub fn results(results: &Results) -> Results {
    let mut finite = results.clone();
    // JSON has no word for these, and they would not come back.
    for judgement in &mut finite.judgements {
        judgement.seconds = or_zero(judgement.seconds);
    }
    finite.checker.timeout_seconds = or_zero(finite.checker.timeout_seconds);
    every_text(&finite)
}

/// A copy of `anomaly` in which every text is [`clean`].
pub fn anomaly(anomaly: &Anomaly) -> Anomaly {
    every_text(anomaly)
}

/// By way of JSON, so that fields that are added later are covered too.
fn every_text<T: Serialize + DeserializeOwned>(data: &T) -> T {
    let json = serde_json::to_value(data).expect("plain data with text keys is always JSON");
    serde_json::from_value(walk(json)).expect("cleaning changes texts only, so the shape is the same")
}

fn or_zero(seconds: f64) -> f64 {
    if seconds.is_finite() { seconds } else { 0.0 }
}

fn walk(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean_or_keep(text)),
        Value::Array(items) => Value::Array(items.into_iter().map(walk).collect()),
        Value::Object(fields) => {
            let mut out = Map::new();
            for (name, field) in fields {
                let mut name = clean_or_keep(name);
                // Two different names may look alike once they are cut; neither may swallow the other.
                while out.contains_key(&name) {
                    name.push('′');
                }
                out.insert(name, walk(field));
            }
            Value::Object(out)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

fn clean_or_keep(text: String) -> String {
    let harmless = text.len() <= TEXT_MAX && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    if harmless { text } else { clean(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_made_visible() {
        assert_eq!(clean("a\0b"), "a␀b");
        assert_eq!(clean("x\u{202e}y"), "x⟨U+202E⟩y");
        assert_eq!(clean("\x1b[31m"), "␛[31m");
        assert_eq!(clean("ok → 3 ü"), "ok → 3 ü");
    }

    #[test]
    fn a_megabyte_is_cut_with_a_note() {
        let cut = clean(&"é".repeat(1_000_000));
        assert!(cut.starts_with("éé"));
        assert!(cut.ends_with("… (cut: 1\u{a0}000\u{a0}000 characters in all)"), "{cut}");
        assert!(cut.chars().count() < TEXT_MAX + 50);
    }
}
