//! Reads events from JSON: one per line, or one document.

use crate::draft::Draft;
use crate::input::Input;
use crate::interner::Interner;
use crate::json::Json;
use crate::json_quick;
use crate::read::{Out, Stop};
use crate::scan::Fail;

/// Reads JSON Lines.
pub(crate) fn read_lines(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    loop {
        // Whole lines, as many as there are; the last line of the file may lack its line break.
        let window = input.window();
        let end = match window.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => last + 1,
            None if input.done => window.len(),
            None => {
                input.more()?;
                continue;
            }
        };
        if end == 0 {
            return Ok(());
        }
        let window = &window[..end];
        let mut json = Json::new(window, false);
        let (mut line, mut line_start) = (input.line, 0);
        let first_column = input.column;
        loop {
            json.space();
            match json.peek() {
                None => break,
                Some(b'\n') => {
                    json.at += 1;
                    line += 1;
                    line_start = json.at;
                    continue;
                }
                Some(b'{') => {}
                Some(_) => return Err(Fail::new(json.at, "an event (a JSON object on one line)").into()),
            }
            let start = json.at;
            let mut draft = Draft::new(false);
            match json_quick::event(window, start, &mut draft, &mut out.words, &mut out.values) {
                Some(end) if window.get(end) == Some(&b'\n') => json.at = end,
                Some(_) | None => {
                    json.at = start;
                    draft = event(&mut json, &mut out.values, false)?;
                    json.space();
                    if !matches!(json.peek(), Some(b'\n') | None) {
                        return Err(Fail::new(json.at, "the end of the line").into());
                    }
                }
            }
            draft.raw.line = line;
            draft.raw.column = (start - line_start) as u64 + if line_start == 0 { first_column } else { 1 };
            out.event(&mut draft)?;
        }
        input.advance_lines(end, line - input.line);
    }
}

/// Reads an array of events, or events one after the other that may go over several lines.
pub(crate) fn read_document(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut place = Place::Outside;
    loop {
        let mut json = Json::new(input.window(), true);
        json.space();
        let expected = place.expected();
        let next = match (json.peek(), place) {
            (None, _) if !input.done => {
                input.more()?;
                continue;
            }
            (None, Place::Outside) => return Ok(()),
            (None, _) => return Err(Fail::ran_out(json.at, expected).into()),
            (Some(b'['), Place::Outside) => Place::Opened,
            (Some(b']'), Place::Opened | Place::AfterEvent) => Place::Outside,
            (Some(b','), Place::AfterEvent) => Place::AfterComma,
            (Some(b'{'), Place::Outside | Place::Opened | Place::AfterComma) => {
                let start = json.at;
                let mut draft = match event(&mut json, &mut out.values, true) {
                    Err(fail) if (fail.ran_out || json.at == input.window().len()) && !input.done => {
                        input.more()?;
                        continue;
                    }
                    read => read?,
                };
                (draft.raw.line, draft.raw.column) = input.position(start);
                out.event(&mut draft)?;
                let end = json.at;
                input.advance(end);
                place = if place == Place::Outside { Place::Outside } else { Place::AfterEvent };
                continue;
            }
            (Some(_), _) => return Err(Fail::new(json.at, expected).into()),
        };
        let end = json.at + 1;
        input.advance(end);
        place = next;
    }
}

/// Where in a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Opened,
    AfterEvent,
    AfterComma,
}

impl Place {
    fn expected(self) -> &'static str {
        match self {
            Place::Outside => "an event (a JSON object) or an array of events",
            Place::Opened => "an event (a JSON object) or `]`",
            Place::AfterEvent => "`,` or `]`",
            Place::AfterComma => "an event (a JSON object)",
        }
    }
}

/// Reads the event that begins here with `{`.
pub(crate) fn event<'a>(
    json: &mut Json<'a>,
    values: &mut Interner,
    foreign: bool,
) -> Result<Draft<'a>, Fail> {
    let start = json.at;
    let mut draft = Draft::new(foreign);
    json.enter()?;
    if !json.takes(b'}') {
        loop {
            let field = json.field()?;
            json.space();
            let at = json.at;
            let atom = json.atom()?;
            if let Some(field) = field {
                draft.set(field, at, atom, values)?;
            }
            if json.takes(b'}') {
                break;
            }
            if !json.takes(b',') {
                return json.wrong("`,` or `}`");
            }
        }
    }
    json.leave();
    draft.finish(values).map_err(|wrong| Fail::new(start, wrong.expected).found(wrong.found))?;
    Ok(draft)
}
