//! Times, durations and small numbers in words.

/// `5 ms`, `1.25 s`, `380 µs`: three digits, the unit that fits.
pub(crate) fn duration(ns: i64) -> String {
    let ns = ns.max(0);
    let (unit, name) = match ns {
        0..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "µs"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let whole = ns / unit;
    let decimals = match whole {
        100.. => 0,
        10..100 => 1,
        _ => 2,
    };
    let text = format!("{:.decimals$}", ns as f64 / unit as f64);
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {name}")
}

/// A moment of the run: `37.463 s`.
pub(crate) fn moment(ns: i64) -> String {
    format!(
        "{}{}.{:03} s",
        if ns < 0 { "-" } else { "" },
        ns.abs() / 1_000_000_000,
        ns.abs() / 1_000_000 % 1_000
    )
}

/// `Two`, `four`: small numbers as words.
pub(crate) fn number(n: usize, capital: bool) -> String {
    const WORDS: [&str; 13] = [
        "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
        "twelve",
    ];
    match WORDS.get(n) {
        Some(word) if capital => word[..1].to_uppercase() + &word[1..],
        Some(word) => (*word).to_string(),
        None => n.to_string(),
    }
}
