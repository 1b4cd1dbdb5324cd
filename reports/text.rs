//! Numbers, times and lists as people read them, the same on the page and in the terminal.

/// A whole number in groups of three: `102 602` (with no-break spaces).
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push('\u{a0}');
        }
        out.push(digit);
    }
    out
}

/// `1 operation`, `4 operations`, `2 anomalies`: a count and its noun.
pub fn many(n: u64, noun: &str) -> String {
    if n == 1 { format!("1\u{a0}{noun}") } else { format!("{}\u{a0}{}", count(n), plural(noun)) }
}

/// The plural of the nouns of this field: `keys`, `anomalies`, `processes`, `groups of keys`.
pub fn plural(noun: &str) -> String {
    if let Some((head, rest)) = noun.split_once(" of ") {
        return format!("{} of {rest}", plural(head));
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        Some(_) => format!("{noun}s"),
        None if noun.ends_with('s') => format!("{noun}es"),
        None => format!("{noun}s"),
    }
}

/// A span of time with a unit that fits: `1.2 s`, `24 ms`, `310 µs`, `7 ns`.
pub fn span(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    let (value, unit) = match n {
        0..1_000 => (n as f64, "ns"),
        1_000..1_000_000 => (n as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (n as f64 / 1e6, "ms"),
        1_000_000_000..120_000_000_000 => (n as f64 / 1e9, "s"),
        120_000_000_000..7_200_000_000_000 => (n as f64 / 60e9, "min"),
        _ => (n as f64 / 3600e9, "h"),
    };
    format!("{sign}{}\u{a0}{unit}", short(value))
}

/// Seconds since the run began: `37.463 s`.
pub fn moment(ns: i64) -> String {
    format!("{:.3}\u{a0}s", ns as f64 / 1e9)
}

/// At most three figures that matter: `0.41`, `9.2`, `24`, `184`.
pub fn short(value: f64) -> String {
    let text = if value >= 99.5 {
        format!("{value:.0}")
    } else if value >= 9.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
}

/// A share as a percentage that never rounds up to all or down to none: `92.6 %`, `<0.1 %`, `>99.9 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".to_string();
    }
    let share = 100.0 * part as f64 / whole as f64;
    let text = if part > 0 && share < 0.1 {
        "<0.1".to_string()
    } else if part < whole && share > 99.9 {
        ">99.9".to_string()
    } else if part == 0 || part == whole {
        format!("{share:.0}")
    } else {
        format!("{share:.1}")
    };
    format!("{text}\u{a0}%")
}

/// Bytes in binary units: `4 GiB`.
pub fn bytes(n: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{}\u{a0}{}", short(value), units[unit])
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().to_string(),
        [init @ .., last] => {
            let init: Vec<&str> = init.iter().map(|s| s.as_ref()).collect();
            format!("{} and {}", init.join(", "), last.as_ref())
        }
    }
}

/// The first letter in upper case: `stale-read` as a chip says it is `Stale read`.
pub fn title(words: &str) -> String {
    let words = words.replace(['-', '_'], " ");
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// The first letter in upper case, the rest as it is.
pub fn title_sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}

/// `text` in at most `max` characters, the last of which is `…` if something was left out.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_string();
    }
    let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
    out.push('…');
    out
}

/// Number words up to twelve, digits from there.
pub fn number_word(n: usize) -> String {
    let words = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    words.get(n).map_or_else(|| count(n as u64), |w| (*w).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(1), "1");
        assert_eq!(count(102_602).replace('\u{a0}', " "), "102 602");
        assert_eq!(many(1, "anomaly"), "1\u{a0}anomaly");
        assert_eq!(many(3, "anomaly"), "3\u{a0}anomalies");
        assert_eq!(many(2, "group of keys"), "2\u{a0}groups of keys");
        assert_eq!(plural("process") + &plural("key"), "processeskeys");
        assert_eq!(span(22_000_000), "22\u{a0}ms");
        assert_eq!(span(9_240_000), "9.24\u{a0}ms");
        assert_eq!(span(i64::MIN), "-2562048\u{a0}h");
        assert_eq!(percent(9_999_999, 10_000_000), ">99.9\u{a0}%");
        assert_eq!(percent(1, 10_000_000), "<0.1\u{a0}%");
        assert_eq!(bytes(4 << 30), "4\u{a0}GiB");
        assert_eq!(list(&["A", "B", "C"]), "A, B and C");
        assert_eq!(title("not-read-your-writes"), "Not read your writes");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
