//! Reads events from EDN: maps one after the other, in a vector or in a list, plain or tagged, on any number of lines.

use crate::draft::{Draft, Field};
use crate::edn::Edn;
use crate::edn_quick;
use crate::input::Input;
use crate::interner::Interner;
use crate::read::{Out, Stop};
use crate::scan::Fail;

/// Reads a history in EDN.
pub(crate) fn read(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    // The bracket that closes the vector or list that we are in.
    let mut close: Option<u8> = None;
    loop {
        quickly(input, out)?;
        let mut edn = Edn::new(input.window());
        let step = step(&mut edn, close, &mut out.values);
        let end = edn.at;
        let cut = end == input.window().len() && !input.done;
        match step {
            // The window ended within a form, or within what precedes it: `:in` may be the half of `:invoke`.
            Ok(Step::End) | Err(_) if cut => input.more()?,
            Err(fail) if fail.ran_out && !input.done => input.more()?,
            Err(fail) => return Err(fail.into()),
            Ok(Step::End) => return Ok(()),
            Ok(Step::Event(mut draft, start)) => {
                (draft.raw.line, draft.raw.column) = input.position(start);
                out.event(&mut draft)?;
                input.advance(end);
            }
            Ok(Step::Open(bracket)) => {
                close = Some(bracket);
                input.advance(end);
            }
            Ok(Step::Close) => {
                close = None;
                input.advance(end);
            }
        }
    }
}

/// Reads on for as long as each line is one plain event.
fn quickly(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    let window = input.window();
    let (mut at, mut lines) = (0, 0);
    let first_column = input.column;
    // Whatever precedes the first one here, the end of a line may be left of it.
    if window.first() == Some(&b'\n') {
        (at, lines) = (1, 1);
    }
    while window.get(at) == Some(&b'{') {
        let mut draft = Draft::new(true);
        let Some(end) = edn_quick::event(window, at, &mut draft, &mut out.words, &mut out.values) else {
            break;
        };
        if window.get(end) != Some(&b'\n') {
            break;
        }
        draft.raw.line = input.line + lines;
        draft.raw.column = if lines == 0 { first_column } else { 1 };
        out.event(&mut draft)?;
        at = end + 1;
        lines += 1;
    }
    if at > 0 {
        input.advance_lines(at, lines);
    }
    Ok(())
}

enum Step<'a> {
    Event(Box<Draft<'a>>, usize),
    Open(u8),
    Close,
    End,
}

fn step<'a>(edn: &mut Edn<'a>, close: Option<u8>, values: &mut Interner) -> Result<Step<'a>, Fail> {
    edn.space()?;
    let start = edn.at;
    match (edn.peek(), close) {
        (None, None) => Ok(Step::End),
        (None, Some(close)) => edn.wrong(format!("an event (a map) or `{}`", close as char)),
        (Some(byte), Some(close)) if byte == close => {
            edn.at += 1;
            Ok(Step::Close)
        }
        (Some(open @ (b'[' | b'(')), None) => {
            edn.at += 1;
            Ok(Step::Open(if open == b'[' { b']' } else { b')' }))
        }
        (Some(b'{'), _) => Ok(Step::Event(event(edn, values)?, start)),
        (Some(b'#'), _) if !matches!(edn.bytes.get(edn.at + 1), Some(b'{' | b':' | b'#' | b'"')) => {
            // A record: #jepsen.history.Op{…}.
            edn.tag()?;
            edn.space()?;
            match edn.peek() {
                Some(b'{') => Ok(Step::Event(event(edn, values)?, start)),
                Some(_) | None => edn.wrong("an event (a map)"),
            }
        }
        (Some(b'^'), _) => {
            edn.at += 1;
            edn.value()?;
            step(edn, close, values)
        }
        (Some(_), Some(close)) => edn.wrong(format!("an event (a map) or `{}`", close as char)),
        (Some(_), None) => edn.wrong("an event (a map), a vector or a list"),
    }
}

/// Reads the event that begins here with `{`.
pub(crate) fn event<'a>(edn: &mut Edn<'a>, values: &mut Interner) -> Result<Box<Draft<'a>>, Fail> {
    let start = edn.at;
    let mut draft = Box::new(Draft::new(true));
    edn.enter(1)?;
    loop {
        edn.space()?;
        let name = match edn.peek() {
            Some(b'}') => break,
            Some(b')' | b']') | None => return edn.wrong("a key or `}`"),
            Some(_) => edn.atom()?,
        };
        edn.space()?;
        if edn.peek() == Some(b'}') {
            return edn.wrong("a value for each key");
        }
        let at = edn.at;
        let atom = edn.atom()?;
        if let crate::scan::Atom::Text(name) = &name {
            if let Some(field) = Field::named(name.as_bytes()) {
                draft.set(field, at, atom, values)?;
            }
        }
    }
    edn.at += 1;
    edn.leave();
    draft.finish(values).map_err(|wrong| Fail::new(start, wrong.expected).found(wrong.found))?;
    Ok(draft)
}
