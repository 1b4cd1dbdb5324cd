//! The paragraph of an anomaly for the page: what clients wrote and saw stands apart from the words around it, and no
//! number is parted from its unit at the end of a line.

use history::results::Anomaly;
use maud::{Markup, html};

/// Longer ones may be broken at the end of a line.
const UNBROKEN_MAX: usize = 36;

/// The story, with `k7 = 41`, `[1 2]` and `"cas 1 → 2"` as the text of the operations has them set apart.
pub fn story(anomaly: &Anomaly) -> Markup {
    let marks = marks(anomaly);
    let mut pieces: Vec<(bool, String)> = Vec::new();
    let (mut rest, mut plain, mut before) = (anomaly.story.as_str(), String::new(), ' ');
    while let Some(c) = rest.chars().next() {
        let starts = !before.is_alphanumeric();
        let ends = |mark: &str| !rest[mark.len()..].starts_with(char::is_alphanumeric);
        match marks.iter().find(|m| starts && rest.starts_with(m.as_str()) && ends(m)) {
            Some(mark) => {
                pieces.push((false, unparted(&std::mem::take(&mut plain))));
                let quoted = mark.strip_prefix('"').and_then(|mark| mark.strip_suffix('"'));
                pieces.push((true, quoted.unwrap_or(mark).to_string()));
                rest = &rest[mark.len()..];
                before = '"';
            }
            None => {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
                before = c;
            }
        }
    }
    pieces.push((false, unparted(&plain)));
    html! {
        @for (marked, text) in &pieces {
            @if *marked { b.lit.nowrap[text.chars().count() <= UNBROKEN_MAX] { (text) } } @else { (text) }
        }
    }
}

/// What the operations of the core say, as a story may say it; the longest first, so that `x = 1 2` is not cut to `x = 1`.
fn marks(anomaly: &Anomaly) -> Vec<String> {
    let mut marks = Vec::new();
    for op in &anomaly.ops {
        marks.push(format!("\"{}\"", op.text));
        let value = match op.text.split_once("→ ") {
            Some((_, seen)) => seen,
            None => op.text.split_once(' ').map_or("", |(_, value)| value),
        };
        if let (Some(key), false) = (&op.key, value.is_empty()) {
            // Some models quote what others do not.
            for value in [value, value.trim_matches('"')] {
                marks.extend([format!("{key} = {value}"), format!("key {key} = {value}")]);
            }
        }
        if value.starts_with('[') {
            marks.push(value.to_string());
        }
        // Transactions: `read x → 1, write y 2`.
        for part in op.text.split(", ") {
            let (words, seen) = part.split_once(" → ").map_or((part, None), |(w, seen)| (w, Some(seen)));
            let words: Vec<&str> = words.split(' ').collect();
            match (words[..].get(1..), seen) {
                (Some([key]), Some(value)) => marks.push(format!("{key} = {value}")),
                (Some([key, value]), None) => marks.push(format!("{key} = {value}")),
                _ => {}
            }
        }
    }
    marks.sort_by_key(|mark| std::cmp::Reverse(mark.len()));
    marks.dedup();
    marks
}

/// With a no-break space between a number and its unit.
fn unparted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        out.push_str(word);
        if let Some(next) = words.peek() {
            let unit = ["s", "ms", "µs", "ns"].contains(&next.trim_end_matches(['.', ',', ':', ')', ';']));
            out.push(if unit && word.ends_with(|c: char| c.is_ascii_digit()) { '\u{a0}' } else { ' ' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unparted;

    #[test]
    fn a_number_stays_with_its_unit() {
        assert_eq!(
            unparted("0.030 s into it, 5 ms earlier. It is 7 so"),
            "0.030\u{a0}s into it, 5\u{a0}ms earlier. It is 7 so"
        );
    }
}
