//! Events as Jepsen prints them: one map on a line, keywords, small numbers, plain text.

use crate::draft::{Draft, Field};
use crate::edn::{Edn, is_token};
use crate::event::Kind;
use crate::interner::Interner;
use crate::quick::{Words, begins, int, name, quoted, word};
use crate::raw::RawProcess;
use crate::scan::Atom;
use std::borrow::Cow;

/// Reads the event that begins at `at` with `{`, and says where the text goes on after it. Nothing if there is anything
/// that the strict scanner should look at.
pub(crate) fn event<'a>(
    bytes: &'a [u8],
    at: usize,
    draft: &mut Draft<'a>,
    words: &mut Words,
    values: &mut Interner,
) -> Option<usize> {
    let mut at = at + 1;
    loop {
        if *bytes.get(at)? != b':' {
            return None;
        }
        let start = at + 1;
        let head = word(bytes, start)?;
        let (field, length) = match head as u8 {
            b'p' if head == name(b"process ") => (Some(Field::Process), 7),
            b't' if begins(head, name(b"type "), 5) => (Some(Field::Type), 4),
            b't' if begins(head, name(b"time "), 5) => (Some(Field::Time), 4),
            b'f' if begins(head, name(b"f "), 2) => (Some(Field::F), 1),
            b'k' if begins(head, name(b"key "), 4) => (Some(Field::Key), 3),
            b'v' if begins(head, name(b"value "), 6) => (Some(Field::Value), 5),
            b'i' if begins(head, name(b"index "), 6) => (Some(Field::Index), 5),
            _ => {
                let end = token(bytes, start)?;
                (Field::named(&bytes[start..end]), end - start)
            }
        };
        at = start + length;
        if *bytes.get(at)? != b' ' {
            return None;
        }
        at = match field {
            Some(field) => value(bytes, at + 1, field, draft, words, values)?,
            None => strictly(bytes, at + 1)?.1,
        };
        match *bytes.get(at)? {
            b',' => at += 1,
            b' ' => {}
            b'}' => break,
            _ => return None,
        }
        if *bytes.get(at)? == b' ' {
            at += 1;
        }
    }
    if draft.complete() { Some(at + 1) } else { None }
}

/// Reads the value of a field. What follows it is looked at by the caller, who accepts only what ends any token.
#[inline(always)]
fn value<'a>(
    bytes: &'a [u8],
    at: usize,
    field: Field,
    draft: &mut Draft<'a>,
    words: &mut Words,
    values: &mut Interner,
) -> Option<usize> {
    match field {
        Field::Process => {
            let (process, end) = int(bytes, at)?;
            draft.raw.process = RawProcess::Client(process);
            if draft.sees(field) { Some(end) } else { None }
        }
        Field::Time => {
            let (time, end) = int(bytes, at)?;
            // Jepsen's word for "not recorded".
            if time != -1 {
                draft.raw.time = time;
            }
            if draft.sees(field) { Some(end) } else { None }
        }
        Field::Type => {
            let word = word(bytes, at)?;
            let (kind, length) = match () {
                () if begins(word, name(b":invoke"), 7) => (Kind::Invoke, 7),
                () if begins(word, name(b":ok"), 3) => (Kind::Ok, 3),
                () if begins(word, name(b":fail"), 5) => (Kind::Fail, 5),
                () if begins(word, name(b":info"), 5) => (Kind::Info, 5),
                () => return None,
            };
            draft.raw.kind = kind;
            if draft.sees(field) { Some(at + length) } else { None }
        }
        Field::F => {
            if *bytes.get(at)? != b':' {
                return None;
            }
            let end = token(bytes, at + 1)?;
            draft.raw.f = words.number(bytes, at + 1, end, values)?;
            if draft.sees(field) { Some(end) } else { None }
        }
        Field::Key | Field::Value | Field::Error | Field::Observed => {
            let (atom, end) = atom(bytes, at)?;
            match field {
                Field::Key => draft.key = atom,
                Field::Value => draft.value = atom,
                Field::Error => draft.error = atom,
                _ => draft.observed = Some(atom),
            }
            if draft.sees(field) { Some(end) } else { None }
        }
        Field::Index
        | Field::Node
        | Field::Session
        | Field::Applied
        | Field::Latency
        | Field::Due
        | Field::Fault
        | Field::Phase => {
            let (atom, end) = atom(bytes, at)?;
            draft.set(field, at, atom, values).ok()?;
            Some(end)
        }
    }
}

#[inline(always)]
fn atom(bytes: &[u8], at: usize) -> Option<(Atom<'_>, usize)> {
    match *bytes.get(at)? {
        // Signs alone, ratios, exponents and the like end where the caller knows no such end.
        b'0'..=b'9' | b'-' => match int(bytes, at) {
            Some((int, end)) if !is_token(*bytes.get(end)?) => Some((Atom::Int(int), end)),
            Some(_) | None => strictly(bytes, at),
        },
        b'n' if begins(word(bytes, at)?, name(b"nil"), 3) && !is_token(*bytes.get(at + 3)?) => {
            Some((Atom::Null, at + 3))
        }
        b':' => {
            let end = token(bytes, at + 1)?;
            Some((Atom::Text(Cow::Borrowed(std::str::from_utf8(&bytes[at + 1..end]).ok()?)), end))
        }
        b'"' => {
            let end = quoted(bytes, at + 1)?;
            Some((Atom::Text(Cow::Borrowed(std::str::from_utf8(&bytes[at + 1..end]).ok()?)), end + 1))
        }
        b'[' => pair(bytes, at).or_else(|| strictly(bytes, at)),
        _ => strictly(bytes, at),
    }
}

/// `[1 2]`
#[inline(always)]
fn pair(bytes: &[u8], at: usize) -> Option<(Atom<'_>, usize)> {
    let (a, at) = int(bytes, at + 1)?;
    if *bytes.get(at)? != b' ' {
        return None;
    }
    let (b, at) = int(bytes, at + 1)?;
    if *bytes.get(at)? == b']' { Some((Atom::Pair([a, b]), at + 1)) } else { None }
}

/// Where the token that begins at `at` ends; it has at least one byte, all of it ASCII letters, digits or dashes.
#[inline(always)]
fn token(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let length = rest.iter().position(|byte| !is_plain(*byte))?;
    // Whatever else a token may hold, the scanner knows.
    if length == 0 || is_token(rest[length]) { None } else { Some(at + length) }
}

#[inline(always)]
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Any other value, as the scanner reads it.
#[inline(never)]
fn strictly(bytes: &[u8], at: usize) -> Option<(Atom<'_>, usize)> {
    let mut edn = Edn::within(bytes, at);
    let atom = edn.atom().ok()?;
    Some((atom, edn.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edn_event;
    use crate::quick::tests::Dice;

    const VALUES: [&str; 40] = [
        "0",
        "7",
        "-12",
        "123456789",
        "12345678901234567",
        "1234567890123456789",
        "99999999999999999999",
        "-0",
        "007",
        "1.5",
        "1/3",
        "1N",
        "-",
        "-x",
        "nil",
        "nils",
        "true",
        ":a",
        ":a/b",
        ":",
        "::x",
        ":timed-out",
        "\"\"",
        "\"x\"",
        "\"longer than eight\"",
        "\"é\"",
        "\"a\\n\"",
        "\"two\nlines\"",
        "[1 2]",
        "[1, 2]",
        "[ 1 2]",
        "[1 2",
        "[1 2 3]",
        "[[:r 1 nil]]",
        "{:a 1}",
        "[-1 -2]",
        "[1 2.5]",
        "#{1 2}",
        "#_ 1 2",
        "\\c",
    ];

    fn line(dice: &mut Dice) -> String {
        const NAMES: [&str; 19] = [
            ":process",
            ":type",
            ":f",
            ":key",
            ":value",
            ":time",
            ":index",
            ":node",
            ":error",
            ":session",
            ":applied",
            ":observed",
            ":latency-ns",
            ":due",
            ":fault",
            ":phase",
            ":other",
            ":a/b",
            "\"type\"",
        ];
        let mut fields: Vec<String> = Vec::new();
        for name in &NAMES[..6] {
            if !dice.once_in(12) {
                let value = match *name {
                    ":process" | ":time" if !dice.once_in(9) => dice.below(1 << 40).to_string(),
                    ":time" => "-1".to_string(),
                    ":type" => dice.pick(&[":invoke", ":ok", ":fail", ":info", ":okay", "1"]).to_string(),
                    ":f" => {
                        dice.pick(&[":read", ":write", ":transfer", ":w", "7", "nil", ":x.y/z?"]).to_string()
                    }
                    _ if dice.once_in(2) => dice.below(100).to_string(),
                    _ => dice.pick(&VALUES).to_string(),
                };
                fields.push(format!("{name} {value}"));
            }
        }
        for _ in 0..dice.below(6).saturating_sub(3) {
            let (name, value) = (*dice.pick(&NAMES), *dice.pick(&VALUES));
            let at = dice.below(fields.len() as u64 + 1) as usize;
            fields.insert(at, format!("{name} {value}"));
        }
        format!("{{{}}}", fields.join(*dice.pick(&[", ", ", ", " ", ",", ",  "])))
    }

    #[test]
    fn a_line_that_is_read_quickly_is_read_as_the_strict_scanner_reads_it() {
        let mut dice = Dice(2);
        let (mut quickly, mut strictly) = (0, 0);
        for _ in 0..60_000 {
            let mut bytes = line(&mut dice).into_bytes();
            if dice.once_in(3) {
                let at = 1 + dice.below(bytes.len() as u64 - 1) as usize;
                bytes[at] = *dice.pick(b"{}[]\",:\\ 0-9ex/#^;'\n\t\x80\xc3");
            }
            bytes.extend_from_slice(b"\n          ");
            let mut values = Interner::default();
            let mut draft = Draft::new(true);
            let read = event(&bytes, 0, &mut draft, &mut Words::new(), &mut values);
            let mut edn = Edn::new(&bytes);
            let strict = edn_event::event(&mut edn, &mut values);
            let Some(end) = read else {
                strictly += usize::from(strict.is_ok());
                continue;
            };
            quickly += 1;
            let text = String::from_utf8_lossy(&bytes[..end]);
            let mut strict = strict.unwrap_or_else(|fail| panic!("{text}: {fail:?}"));
            assert_eq!(edn.at, end, "{text}");
            draft.number(&mut values);
            strict.number(&mut values);
            assert_eq!(format!("{:?}", draft.raw), format!("{:?}", strict.raw), "{text}");
        }
        assert!(quickly > 3_000 && strictly > 1_000, "{quickly} {strictly}");
    }
}
