//! Reads Jepsen's text forms, where an event is `process :type :f value error` between tabs or spaces: `history.txt`,
//! and logs, where the same stands at the end of a line.
//!
//! ```text
//!   0       :invoke :write  1
//!   INFO  jepsen.util - 16      :ok     :read   4
//!   INFO  jepsen.util - 3       :info   :write  :timed-out      the error stands in the value's place
//! ```

use crate::draft::{Draft, Field};
use crate::edn::Edn;
use crate::event::Kind;
use crate::format::Format;
use crate::input::Input;
use crate::interner::Interner;
use crate::read::{Out, Stop};
use crate::scan::{Atom, Fail};

/// Reads a `history.txt` or a log.
pub(crate) fn read(input: &mut Input, out: &mut Out<'_>) -> Result<(), Stop> {
    let format = out.format;
    let mut skipped: u64 = 0;
    loop {
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
            break;
        }
        let mut at = 0;
        let mut number = input.line;
        for line in window[..end].split_inclusive(|byte| *byte == b'\n') {
            let whole = line.ends_with(b"\n");
            let text = line.trim_ascii_end();
            match find_event(text) {
                Some(start) if start == 0 || format != Format::JepsenText => {
                    let read = event(&text[start..], whole, &mut out.values).map_err(|mut fail| {
                        fail.at += at + start;
                        fail
                    });
                    let mut draft = read?;
                    (draft.raw.line, draft.raw.column) = (number, start as u64 + 1);
                    out.event(&mut draft)?;
                }
                Some(_) | None if text.is_empty() => {}
                Some(_) | None if !whole => {
                    return Err(Fail::ran_out(at + text.len(), "process, :type and :f").into());
                }
                Some(_) | None if format != Format::JepsenText => skipped += 1,
                Some(_) | None => return Err(Fail::new(at, "process, :type and :f between tabs").into()),
            }
            at += line.len();
            number += u64::from(whole);
        }
        input.advance_lines(end, number - input.line);
    }
    if skipped > 0 {
        out.warnings.push(format!("{skipped} lines of the log are not operations and were skipped"));
    }
    Ok(())
}

/// Where in a line an event begins, if there is one.
pub(crate) fn find_event(line: &[u8]) -> Option<usize> {
    let mut before: Option<(usize, &[u8])> = None;
    let mut at = 0;
    for token in line.split(|byte| byte.is_ascii_whitespace()) {
        let start = at;
        at += token.len() + 1;
        if token.is_empty() {
            continue;
        }
        if matches!(token, b":invoke" | b":ok" | b":fail" | b":info") {
            if let Some((start, process)) = before {
                let digits = process.strip_prefix(b"-").unwrap_or(process);
                let named = process.len() > 1 && process[0] == b':';
                if named || (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)) {
                    return Some(start);
                }
            }
        }
        before = Some((start, token));
    }
    None
}

/// Reads the event that a line holds.
fn event<'a>(text: &'a [u8], whole: bool, values: &mut Interner) -> Result<Draft<'a>, Fail> {
    let mut edn = Edn::new(text);
    let mut draft = Draft::new(true);
    let read = (|| {
        for field in [Field::Process, Field::Type, Field::F] {
            edn.space()?;
            let at = edn.at;
            let atom = edn.atom()?;
            draft.set(field, at, atom, values)?;
        }
        edn.space()?;
        let value_at = edn.at;
        let value = if edn.at < text.len() { edn.atom()? } else { Atom::Null };
        let is_keyword = text.get(value_at) == Some(&b':');
        draft.set(Field::Value, value_at, value, values)?;
        draft.finish(values).map_err(|wrong| Fail::new(0, wrong.expected).found(wrong.found))?;
        // The error is printed without quotes, so it is whatever is left of the line.
        let rest = text[edn.at..].trim_ascii();
        if !rest.is_empty() {
            let rest = String::from_utf8_lossy(rest);
            draft.error = Atom::Text(rest.strip_prefix(':').unwrap_or(&rest).to_string().into());
        } else if is_keyword && draft.raw.is_client() && matches!(draft.raw.kind, Kind::Fail | Kind::Info) {
            draft.error = std::mem::replace(&mut draft.value, Atom::Null);
        }
        Ok(draft)
    })();
    read.map_err(|mut fail: Fail| {
        // Only the last line of the file can be unfinished; in any other, its end is simply wrong.
        if fail.ran_out && whole {
            fail.ran_out = false;
        }
        fail
    })
}
