//! When a line of a log was written, and how serious it is, as the line itself says.

use chrono::{NaiveDate, NaiveDateTime};
use reports::Level;

/// How far into a line its time stands.
const WITHIN: usize = 120;
/// How far behind its time a line says how serious it is.
const LEVEL_WITHIN: usize = 60;

/// The time of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Nanoseconds since 1970, of the beginning of what it may mean; as if it were UTC, if it does not say.
    pub ns: i64,
    /// How many nanoseconds the last digit is.
    pub unit: i64,
    /// Whether it says which zone it is in.
    pub zoned: bool,
    /// Where in the line it ends.
    pub end: usize,
}

/// The time that a line begins with, in one of the forms in which servers write it:
///
/// ```text
///   2026-11-30T10:58:30.123456Z   2026-11-30 10:58:30,123+01:00   2026/11/30 10:58:30    ISO 8601, more or less
///   30 Nov 2026 10:58:30.123                                                             Redis
///   I1130 10:58:30.123456   I261130 10:58:30.123456                                      glog, which may have no year
///   "ts":1795949910.123                                                                  seconds since 1970
/// ```
/// What names no year is in that of `zero` (nanoseconds since 1970). O(1).
pub fn stamp(line: &[u8], zero: i64) -> Option<Stamp> {
    let line = &line[..line.len().min(WITHIN)];
    (0..line.len()).find_map(|at| {
        let inside = |before: &u8| before.is_ascii_alphanumeric();
        if at > 0 && inside(&line[at - 1]) {
            return None;
        }
        let mut text = Text { line, at };
        let (date, kind) = text.date(zero)?;
        text.time_of(date, kind)
    })
}

/// What a form says about its zone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Iso,
    Other,
    Epoch(i64),
}

struct Text<'a> {
    line: &'a [u8],
    at: usize,
}

impl Text<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.line.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip(&mut self, any: &[u8]) -> Option<u8> {
        let byte = self.peek(0);
        any.contains(&byte).then(|| {
            self.at += 1;
            byte
        })
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i64> {
        let text = self.line.get(self.at..self.at + digits)?;
        if !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.at += digits;
        Some(text.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
    }

    /// How many digits come now.
    fn digits(&self) -> usize {
        self.line[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn date(&mut self, zero: i64) -> Option<(NaiveDate, Kind)> {
        let date = |year: i64, month: i64, day: i64| {
            NaiveDate::from_ymd_opt(
                i32::try_from(year).ok()?,
                u32::try_from(month).ok()?,
                u32::try_from(day).ok()?,
            )
        };
        match self.digits() {
            4 => {
                let year = self.number(4)?;
                let dash = self.skip(b"-/.")?;
                let month = self.number(2)?;
                self.skip(&[dash])?;
                let day = self.number(2)?;
                self.skip(b"T t_")?;
                Some((date(year, month, day)?, Kind::Iso))
            }
            n @ 1..=2 => {
                let day = self.number(n)?;
                self.skip(b" -/")?;
                let month = self.month()?;
                self.skip(b" -/")?;
                let year = self.number(4)?;
                self.skip(b" :")?;
                Some((date(year, month, day)?, Kind::Other))
            }
            10 => {
                let seconds = self.number(10)?;
                (self.peek(0) == b'.').then_some((NaiveDate::default(), Kind::Epoch(seconds)))
            }
            0 => {
                self.skip(b"IWEFDTC")?;
                let year = match self.digits() {
                    6 => 2000 + self.number(2)?,
                    4 => {
                        use chrono::Datelike as _;
                        i64::from(chrono::DateTime::from_timestamp_nanos(zero).year())
                    }
                    _ => return None,
                };
                let (month, day) = (self.number(2)?, self.number(2)?);
                self.skip(b" ")?;
                Some((date(year, month, day)?, Kind::Other))
            }
            _ => None,
        }
    }

    fn month(&mut self) -> Option<i64> {
        const NAMES: [&[u8]; 12] =
            [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
        let name = self.line.get(self.at..self.at + 3)?;
        let at = NAMES.iter().position(|month| month.eq_ignore_ascii_case(name))?;
        self.at += 3;
        Some(at as i64 + 1)
    }

    fn time_of(&mut self, date: NaiveDate, kind: Kind) -> Option<Stamp> {
        if let Kind::Epoch(seconds) = kind {
            let (fraction, unit) = self.fraction();
            let ns = seconds.checked_mul(1_000_000_000)?.checked_add(fraction)?;
            return Some(Stamp { ns, unit, zoned: true, end: self.at });
        }
        let hour = self.number(2)?;
        self.skip(b":")?;
        let minute = self.number(2)?;
        self.skip(b":")?;
        let second = self.number(2)?;
        let whole: NaiveDateTime = date.and_hms_opt(
            u32::try_from(hour).ok()?,
            u32::try_from(minute).ok()?,
            u32::try_from(second.min(59)).ok()?,
        )?;
        let (fraction, unit) = self.fraction();
        let zone = if kind == Kind::Iso { self.zone() } else { None };
        let ns = whole.and_utc().timestamp_nanos_opt()?.checked_add(fraction)?;
        let ns = ns.checked_sub(zone.unwrap_or(0).checked_mul(60_000_000_000)?)?;
        Some(Stamp { ns, unit, zoned: zone.is_some(), end: self.at })
    }

    /// The part of a second, and what its last digit is worth.
    fn fraction(&mut self) -> (i64, i64) {
        if !matches!(self.peek(0), b'.' | b',') || !self.peek(1).is_ascii_digit() {
            return (0, 1_000_000_000);
        }
        self.at += 1;
        let (mut ns, mut unit) = (0, 1_000_000_000);
        while self.peek(0).is_ascii_digit() {
            if unit > 1 {
                unit /= 10;
                ns += i64::from(self.peek(0) - b'0') * unit;
            }
            self.at += 1;
        }
        (ns, unit)
    }

    /// Minutes east of Greenwich.
    fn zone(&mut self) -> Option<i64> {
        let space = usize::from(self.peek(0) == b' ');
        if self.peek(space) == b'Z' {
            self.at += space + 1;
            return Some(0);
        }
        if self.line[self.at..].get(space..space + 3).is_some_and(|name| matches!(name, b"UTC" | b"GMT")) {
            self.at += space + 3;
            return Some(0);
        }
        let sign = match self.peek(space) {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let mut rest = Text { line: self.line, at: self.at + space + 1 };
        let hours = rest.number(2)?;
        // `10:58:30 -1` is no zone, and neither is a number behind a dash.
        if rest.skip(b":").is_none() && rest.digits() != 2 && rest.digits() != 0 {
            return None;
        }
        let minutes = rest.number(2).unwrap_or(0);
        self.at = rest.at;
        Some(sign * (hours * 60 + minutes))
    }
}

/// How serious a line is: the first word behind its time that says so. `end` is where the time ends; what stands before
/// it counts only in JSON and where glog has its letter.
pub fn level(line: &[u8], end: usize) -> Level {
    if line.first() == Some(&b'{') {
        return named(line, b"\"level\":\"").or_else(|| named(line, b"\"s\":\"")).unwrap_or_default();
    }
    if let [letter @ (b'I' | b'W' | b'E' | b'F'), digit, ..] = line {
        if digit.is_ascii_digit() {
            return letters(*letter).unwrap_or_default();
        }
    }
    let rest = &line[end.min(line.len())..];
    let rest = &rest[..rest.len().min(LEVEL_WITHIN)];
    // Redis: a star is a notice, a sharp a warning. etcd and Tarantool: ` W |`, ` W>`.
    match rest {
        [b' ', b'#', b' ', ..] => return Level::Warning,
        [b' ', b'*' | b'-' | b'.', b' ', ..] => return Level::Usual,
        [b' ', letter, b' ', b'|', ..] => return letters(*letter).unwrap_or_default(),
        _ => {}
    }
    let words = rest.split(|byte| !byte.is_ascii_alphabetic());
    let mut at = 0;
    for word in words {
        let bracketed = at > 0 && rest[at - 1] == b'[' && rest.get(at + word.len()) == Some(&b']');
        if let [letter] = word {
            if rest.get(at + 1) == Some(&b'>') && rest.get(at + 2) == Some(&b' ') {
                // Tarantool's C is what must be seen, not what went wrong.
                return if *letter == b'C' { Level::Usual } else { letters(*letter).unwrap_or_default() };
            }
        } else if bracketed || word.iter().all(u8::is_ascii_uppercase) {
            if let Some(level) = word_level(word) {
                return level;
            }
        }
        at += word.len() + 1;
    }
    Level::Usual
}

fn named(line: &[u8], field: &[u8]) -> Option<Level> {
    let at = line.windows(field.len()).position(|window| window == field)? + field.len();
    let word = line[at..].split(|byte| *byte == b'"').next()?;
    if let [letter] = word { letters(*letter) } else { word_level(word) }
}

fn letters(letter: u8) -> Option<Level> {
    match letter {
        b'E' | b'F' | b'C' | b'!' => Some(Level::Error),
        b'W' => Some(Level::Warning),
        b'I' | b'N' | b'D' | b'T' => Some(Level::Usual),
        _ => None,
    }
}

fn word_level(word: &[u8]) -> Option<Level> {
    const ERROR: [&[u8]; 12] = [
        b"error",
        b"err",
        b"severe",
        b"fatal",
        b"critical",
        b"crit",
        b"panic",
        b"dpanic",
        b"emerg",
        b"emergency",
        b"alert",
        b"ftl",
    ];
    const WARNING: [&[u8]; 3] = [b"warning", b"warn", b"wrn"];
    const USUAL: [&[u8]; 14] = [
        b"info",
        b"inf",
        b"debug",
        b"dbg",
        b"trace",
        b"trc",
        b"note",
        b"notice",
        b"log",
        b"statement",
        b"detail",
        b"hint",
        b"verbose",
        b"fine",
    ];
    let one_of = |words: &[&[u8]]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    if one_of(&ERROR) {
        return Some(Level::Error);
    }
    if one_of(&WARNING) {
        return Some(Level::Warning);
    }
    one_of(&USUAL).then_some(Level::Usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T10:58:30Z.
    const ZERO: i64 = 1_796_036_310_000_000_000;
    const MS: i64 = 1_000_000;

    fn of(line: &str) -> Option<(i64, i64, bool)> {
        stamp(line.as_bytes(), ZERO).map(|s| (s.ns - ZERO, s.unit, s.zoned))
    }

    #[test]
    fn the_forms_in_which_servers_write_the_time() {
        for (line, expected) in [
            (r#"{"level":"info","ts":"2026-11-30T10:58:30.123Z","msg":"2026-11-29"}"#, (123 * MS, MS, true)),
            ("2026-11-30 10:58:30.123456 W | etcdserver: slow", (123_456_000, 1000, false)),
            ("2026-11-30 10:58:30,123 [myid:1] - INFO", (123 * MS, MS, false)),
            ("2026-11-30 10:58:30.123 UTC [81] LOG:  ready", (123 * MS, MS, true)),
            ("2026-11-30 10:58:30 0 [Note] Starting MariaDB", (0, 1000 * MS, false)),
            ("[12] 2026/11/30 10:58:30.123456 [INF] Starting", (123_456_000, 1000, false)),
            ("2026-11-30 11:58:30.123456+01:00 [info] <0.1.0>", (123_456_000, 1000, true)),
            ("2026-11-30T05:58:30.5-0500 [WARN]  agent: x", (500 * MS, 100 * MS, true)),
            ("[2026/11/30 10:58:30.123 +00:00] [WARN] x", (123 * MS, MS, true)),
            ("7:M 30 Nov 2026 10:58:30.123 * Ready", (123 * MS, MS, false)),
            ("I261130 10:58:30.123456 1 x.go:1", (123_456_000, 1000, false)),
            ("W1130 10:58:30.123456 1 x.go:1", (123_456_000, 1000, false)),
            (r#"{"level":"warn","ts":1796036310.25,"msg":"x"}"#, (250 * MS, 10 * MS, true)),
        ] {
            assert_eq!(of(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        for line in [
            "",
            "\tat java.lang.Thread.run(Thread.java:829)",
            "2026-13-30 10:58:30",
            "2026-11-30",
            "12026-11-30 10:58:30",
            "version 3.4.23",
            "I am",
            "30 Nov",
            "0123456789",
            "2026-11-30 25:58:30",
            "\u{ff}\u{fe}",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
        // However it is cut off, nothing panics.
        let whole = "7:M 30 Nov 2026 10:58:30.123 +01:00 2026-11-30T10:58:30.123456-05:00 W1130 10:58:30.1";
        for from in 0..whole.len() {
            for to in from..=whole.len() {
                stamp(&whole.as_bytes()[from..to], ZERO).map(|s| level(&whole.as_bytes()[from..to], s.end));
            }
        }
    }

    #[test]
    fn how_serious_a_line_is_stands_behind_its_time() {
        for (line, expected) in [
            (r#"{"level":"warn","ts":"2026-11-30T10:58:30.123Z","msg":"an ERROR"}"#, Level::Warning),
            (r#"{"level":"info","ts":"2026-11-30T10:58:30.123Z","msg":"x","level":"error"}"#, Level::Usual),
            (r#"{"t":{"$date":"2026-11-30T10:58:30.123+00:00"},"s":"E","c":"NETWORK"}"#, Level::Error),
            ("2026-11-30 10:58:30.123456 W | etcdserver: an ERROR", Level::Warning),
            ("2026-11-30 10:58:30.123456 C | etcdserver: x", Level::Error),
            ("2026-11-30 10:58:30,123 [myid:1] - WARN  [QuorumPeer:x] - an ERROR", Level::Warning),
            ("2026-11-30 10:58:30,123 [myid:1] - INFO  [QuorumPeer:x] - WARN", Level::Usual),
            ("2026-11-30 10:58:30.123 UTC [81] FATAL:  no", Level::Error),
            ("2026-11-30 10:58:30.123 UTC [81] LOG:  an ERROR was seen", Level::Usual),
            ("2026-11-30 10:58:30 0 [ERROR] WSREP: x", Level::Error),
            ("2026-11-30 10:58:30 0 [Warning] x", Level::Warning),
            ("[12] 2026/11/30 10:58:30.123456 [WRN] x", Level::Warning),
            ("2026-11-30 10:58:30.123456+00:00 [error] <0.1.0> x", Level::Error),
            ("2026-11-30 10:58:30.123 [7] main/103/node.lua C> Tarantool 2.6.0", Level::Usual),
            ("2026-11-30 10:58:30.123 [7] main/103/node.lua E> x", Level::Error),
            ("7:M 30 Nov 2026 10:58:30.123 # Connection lost", Level::Warning),
            ("7:M 30 Nov 2026 10:58:30.123 * error mentioned", Level::Usual),
            ("E1130 10:58:30.123456 1 x.go:1] x", Level::Error),
            ("2026-11-30 10:58:30.123 no level, though an error is told", Level::Usual),
        ] {
            let stamp = stamp(line.as_bytes(), ZERO).unwrap();
            assert_eq!(level(line.as_bytes(), stamp.end), expected, "{line}");
        }
    }
}
