//! Events as nearly all lines of JSON write them: known fields, small numbers, plain text.

use crate::draft::{Draft, Field};
use crate::event::Kind;
use crate::interner::Interner;
use crate::json::Json;
use crate::quick::{Words, begins, int, name, quoted, word};
use crate::raw::RawProcess;
use crate::scan::Atom;
use std::borrow::Cow;

/// Reads the event that begins at `at` with `{`, and says where the line goes on after it. Nothing if there is anything
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
        if *bytes.get(at)? != b'"' {
            return None;
        }
        let start = at + 1;
        let head = word(bytes, start)?;
        let (field, length) = match head as u8 {
            b'p' if head == name(b"process\"") => (Some(Field::Process), 7),
            b't' if begins(head, name(b"type\""), 5) => (Some(Field::Type), 4),
            b't' if begins(head, name(b"time\""), 5) => (Some(Field::Time), 4),
            b'f' if begins(head, name(b"f\""), 2) => (Some(Field::F), 1),
            b'k' if begins(head, name(b"key\""), 4) => (Some(Field::Key), 3),
            b'v' if begins(head, name(b"value\""), 6) => (Some(Field::Value), 5),
            b'i' if begins(head, name(b"index\""), 6) => (Some(Field::Index), 5),
            b'n' if begins(head, name(b"node\""), 5) => (Some(Field::Node), 4),
            _ => {
                let end = quoted(bytes, start)?;
                (Field::named(&bytes[start..end]), end - start)
            }
        };
        at = start + length + 1;
        if *bytes.get(at)? != b':' {
            return None;
        }
        at += 1;
        if *bytes.get(at)? == b' ' {
            at += 1;
        }
        at = match field {
            Some(field) => value(bytes, at, field, draft, words, values)?,
            None => strictly(bytes, at)?.1,
        };
        match *bytes.get(at)? {
            b',' => at += 1,
            b'}' => break,
            _ => return None,
        }
        if *bytes.get(at)? == b' ' {
            at += 1;
        }
    }
    if draft.complete() { Some(at + 1) } else { None }
}

/// Reads the value of a field.
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
            draft.raw.time = time;
            if draft.sees(field) { Some(end) } else { None }
        }
        Field::Type => {
            let word = word(bytes, at)?;
            let (kind, length) = match () {
                () if begins(word, name(b"\"invoke\""), 8) => (Kind::Invoke, 8),
                () if begins(word, name(b"\"ok\""), 4) => (Kind::Ok, 4),
                () if begins(word, name(b"\"fail\""), 6) => (Kind::Fail, 6),
                () if begins(word, name(b"\"info\""), 6) => (Kind::Info, 6),
                () => return None,
            };
            draft.raw.kind = kind;
            if draft.sees(field) { Some(at + length) } else { None }
        }
        Field::F | Field::Node => {
            if *bytes.get(at)? != b'"' {
                return None;
            }
            let end = quoted(bytes, at + 1)?;
            let id = words.number(bytes, at + 1, end, values)?;
            match field {
                Field::F => draft.raw.f = id,
                _ => draft.raw.node = id,
            }
            if draft.sees(field) { Some(end + 1) } else { None }
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
        b'0'..=b'9' | b'-' => int(bytes, at).map(|(int, end)| (Atom::Int(int), end)),
        b'n' if begins(word(bytes, at)?, name(b"null"), 4) => Some((Atom::Null, at + 4)),
        b'"' => {
            let end = quoted(bytes, at + 1)?;
            let text = std::str::from_utf8(&bytes[at + 1..end]).ok()?;
            Some((Atom::Text(Cow::Borrowed(text)), end + 1))
        }
        b'[' => pair(bytes, at).or_else(|| strictly(bytes, at)),
        _ => strictly(bytes, at),
    }
}

/// `[1,2]`
#[inline(always)]
fn pair(bytes: &[u8], at: usize) -> Option<(Atom<'_>, usize)> {
    let (a, at) = int(bytes, at + 1)?;
    if *bytes.get(at)? != b',' {
        return None;
    }
    let at = at + 1 + usize::from(*bytes.get(at + 1)? == b' ');
    let (b, at) = int(bytes, at)?;
    if *bytes.get(at)? == b']' { Some((Atom::Pair([a, b]), at + 1)) } else { None }
}

/// Any other value, as the scanner reads it.
#[inline(never)]
fn strictly(bytes: &[u8], at: usize) -> Option<(Atom<'_>, usize)> {
    let mut json = Json::within(bytes, at);
    let atom = json.atom().ok()?;
    Some((atom, json.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json_event;
    use crate::quick::tests::Dice;
    use crate::value::Value;

    const VALUES: [&str; 34] = [
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
        "1e9",
        "-",
        "null",
        "nul",
        "nullx",
        "true",
        "false",
        "\"\"",
        "\"x\"",
        "\"longer than eight\"",
        "\"é\"",
        "\"a\\n\"",
        "\"\\u0041\"",
        "\"tab\there\"",
        "[1,2]",
        "[1, 2]",
        "[ 1,2]",
        "[1,2",
        "[1,2,3]",
        "[[\"r\",1,null]]",
        "{\"a\":1}",
        "[-1,-2]",
        "[1,2.5]",
        "[01,2]",
    ];

    fn line(dice: &mut Dice) -> String {
        const NAMES: [&str; 19] = [
            "process",
            "type",
            "f",
            "key",
            "value",
            "time",
            "index",
            "node",
            "error",
            "session",
            "applied",
            "observed",
            "latency_ns",
            "due",
            "fault",
            "phase",
            "other",
            "valu\\u0065",
            "types",
        ];
        let mut fields: Vec<String> = Vec::new();
        for name in &NAMES[..6] {
            if !dice.once_in(12) {
                let value = match *name {
                    "process" | "time" if !dice.once_in(9) => dice.below(1 << 40).to_string(),
                    "type" => dice
                        .pick(&["\"invoke\"", "\"ok\"", "\"fail\"", "\"info\"", "\"okay\"", "1"])
                        .to_string(),
                    "f" => dice
                        .pick(&["\"read\"", "\"write\"", "\"transfer\"", "\"w\"", "7", "\"\""])
                        .to_string(),
                    _ if dice.once_in(2) => dice.below(100).to_string(),
                    _ => dice.pick(&VALUES).to_string(),
                };
                fields.push(format!("\"{name}\":{value}"));
            }
        }
        for _ in 0..dice.below(6).saturating_sub(3) {
            let (name, value) = (*dice.pick(&NAMES), *dice.pick(&VALUES));
            let at = dice.below(fields.len() as u64 + 1) as usize;
            fields.insert(at, format!("\"{name}\":{value}"));
        }
        let [comma, colon] = [*dice.pick(&[",", ",", ", ", " ,"]), *dice.pick(&[":", ":", ": ", " :"])];
        format!("{{{}}}", fields.join(comma).replace("\":", &format!("\"{colon}")))
    }

    #[test]
    fn a_line_that_is_read_quickly_is_read_as_the_strict_scanner_and_serde_read_it() {
        let mut dice = Dice(1);
        let (mut quickly, mut strictly) = (0, 0);
        for _ in 0..60_000 {
            let mut bytes = line(&mut dice).into_bytes();
            if dice.once_in(3) {
                let at = 1 + dice.below(bytes.len() as u64 - 1) as usize;
                bytes[at] = *dice.pick(b"{}[]\",:\\ 0-9ex\n\t\x80\xc3");
            }
            bytes.extend_from_slice(b"\n          ");
            let mut values = Interner::default();
            let mut draft = Draft::new(false);
            let read = event(&bytes, 0, &mut draft, &mut Words::new(), &mut values);
            let mut json = Json::new(&bytes, false);
            let strict = json_event::event(&mut json, &mut values, false);
            let Some(end) = read else {
                strictly += usize::from(strict.is_ok());
                continue;
            };
            quickly += 1;
            let text = String::from_utf8_lossy(&bytes[..end]);
            let mut strict = strict.unwrap_or_else(|fail| panic!("{text}: {fail:?}"));
            assert_eq!(json.at, end, "{text}");
            draft.number(&mut values);
            strict.number(&mut values);
            assert_eq!(format!("{:?}", draft.raw), format!("{:?}", strict.raw), "{text}");
            let serde: serde_json::Value =
                serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
            for (name, id) in [("key", draft.raw.key), ("value", draft.raw.value), ("error", draft.raw.error)]
            {
                let oracle = serde.get(name).unwrap_or(&serde_json::Value::Null);
                // What serde_json makes a floating-point number of, it does not keep as it is written.
                if whole(oracle) {
                    assert_eq!(Ok(values.get(id).clone()), Value::from_json(&oracle.to_string()), "{text}");
                }
            }
            assert_eq!(values.get(draft.raw.f).as_text(), serde["f"].as_str(), "{text}");
            assert_eq!(Some(draft.raw.kind.name()), serde["type"].as_str(), "{text}");
            let RawProcess::Client(process) = draft.raw.process else { panic!("{text}") };
            // Theirs is no integer if it is written -0.
            assert_eq!(process, serde["process"].as_i64().unwrap_or(0), "{text}");
        }
        assert!(quickly > 3_000 && strictly > 1_000, "{quickly} {strictly}");
    }

    fn whole(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::Number(number) => number.is_i64(),
            serde_json::Value::Array(items) => items.iter().all(whole),
            serde_json::Value::Object(entries) => entries.values().all(whole),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => true,
        }
    }
}
