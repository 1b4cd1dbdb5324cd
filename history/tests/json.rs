//! Our JSON scanner against another one.

mod common;

use common::Dice;
use history::Value;
use serde_json::Value as Theirs;

/// What another parser's value is in our words; `None` where that parser loses something.
fn ours(theirs: &Theirs) -> Option<Value> {
    Some(match theirs {
        Theirs::Null => Value::Null,
        Theirs::Bool(b) => Value::Bool(*b),
        Theirs::Number(number) => Value::Int(number.as_i64()?),
        Theirs::String(text) => Value::text(text),
        Theirs::Array(items) => Value::list(items.iter().map(ours).collect::<Option<Vec<_>>>()?),
        Theirs::Object(entries) => {
            let key = |name: &str| match name.parse::<i64>() {
                Ok(int) if int.to_string() == name => Value::Int(int),
                Ok(_) | Err(_) => Value::text(name),
            };
            let entries = entries.iter().map(|(name, value)| Some((key(name), ours(value)?)));
            Value::map(entries.collect::<Option<Vec<_>>>()?).ok()?
        }
    })
}

#[test]
fn both_scanners_read_the_same_values_and_refuse_the_same_texts() {
    let mut dice = Dice(11);
    let (mut read, mut refused) = (0, 0);
    for round in 0..60_000 {
        let mut text = dice.value(3).to_json().into_bytes();
        for _ in 0..dice.below(3) {
            const DAMAGE: &[u8] = b"{}[]\",:\\u0-+.eE9 \n\ttfn\x00\xc3";
            let at = dice.below(text.len() as u64) as usize;
            let byte = DAMAGE[dice.below(DAMAGE.len() as u64) as usize];
            match dice.below(4) {
                0 => text[at] = byte,
                1 => drop(text.remove(at)),
                2 => text.insert(at, b' '),
                _ => text.insert(at, byte),
            }
            if text.is_empty() {
                text.push(b'0');
            }
        }
        let Ok(text) = String::from_utf8(text) else { continue };
        let theirs = serde_json::from_str::<Theirs>(&text);
        match (Value::from_json(&text), theirs) {
            (Ok(value), Ok(theirs)) => {
                read += 1;
                let escaped = text.contains("#number") || text.contains("#map");
                if let (false, Some(same)) = (escaped, ours(&theirs)) {
                    assert_eq!(value, same, "round {round}: {text}");
                }
            }
            (Err(_), Err(_)) => refused += 1,
            // They have no numbers beyond floats; we have no maps with a key twice.
            (Ok(_), Err(error)) => assert!(error.to_string().contains("out of range"), "{text}: {error}"),
            (Err(error), Ok(_)) => assert!(error.contains("each key once"), "{text}: {error}"),
        }
    }
    assert!(read > 10_000 && refused > 10_000, "{read} {refused}");
}

#[test]
fn events_are_what_a_parser_of_whole_documents_makes_of_their_lines() {
    let events = Dice(21).events(5000);
    let mut lines = Vec::new();
    events.iter().for_each(|event| history::write_json_line(event, &mut lines));
    // They have no numbers beyond floats.
    let text = String::from_utf8(lines).expect("JSON is text").replace("1e400", "1e40");
    let history = common::read(text.clone());
    let mut completions = Vec::new();
    for op in &history.ops {
        completions.push((op.invoke_line, op.f, op.input, op.invoke_time));
        if op.ret_line > 0 {
            completions.push((op.ret_line, op.f, op.output, op.ret_time));
        }
    }
    completions.sort_unstable();
    let clients = text.lines().zip(1..).filter_map(|(line, number)| {
        let event: Theirs = serde_json::from_str(line).expect("JSON");
        event["process"].is_i64().then_some((number, event))
    });
    let clients: Vec<(u32, Theirs)> = clients.collect();
    assert_eq!(clients.len(), completions.len());
    for ((number, event), (line, f, value, time)) in clients.iter().zip(completions) {
        assert_eq!(*number, line);
        assert_eq!(event["f"].as_str(), history.values.get(f).as_text());
        assert_eq!(event["time"].as_i64(), Some(time));
        let expected = Value::from_json(&event["value"].to_string());
        if !event["value"].to_string().contains('e') {
            assert_eq!(Ok(history.values.get(value).clone()), expected, "line {line}");
        }
    }
}

#[test]
fn numbers_keep_what_they_are() {
    let read = |text| Value::from_json(text).expect(text);
    assert_eq!(read("-0"), Value::Int(0));
    assert_eq!(read("9223372036854775807"), Value::Int(i64::MAX));
    assert_eq!(read("-9223372036854775808"), Value::Int(i64::MIN));
    assert_eq!(read("9223372036854775808"), Value::Number("9223372036854775808".into()));
    assert_eq!(read("1.50"), Value::Number("1.50".into()));
    assert_eq!(read("1e400"), Value::Number("1e400".into()));
    assert_eq!(
        read(r#"{"10":1,"a":2,"-3":4,"03":5,"-0":6}"#).to_json(),
        r#"{"-3":4,"10":1,"-0":6,"03":5,"a":2}"#
    );
}
