//! Colours and characters of a terminal.

use super::Look;

/// What a piece of text is; each has one colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// As it is.
    Plain,
    /// What matters least.
    Faint,
    /// What matters most, without judging.
    Strong,
    /// A violation. Nothing else is red.
    Bad,
    /// An operation that was answered.
    Ok,
    /// Something that nobody knows.
    Unknown,
    /// What holds.
    Good,
}

impl Look {
    /// `text` in its colour.
    pub fn paint(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => "",
            Ink::Faint => "2",
            Ink::Strong => "1",
            Ink::Bad => "1;31",
            Ink::Ok => "34",
            Ink::Unknown => "33",
            Ink::Good => "1;32",
        };
        if !self.color || code.is_empty() || text.is_empty() {
            text.to_string()
        } else {
            format!("\x1b[{code}m{text}\x1b[0m")
        }
    }

    /// `text` in characters that this terminal has, with ordinary spaces.
    pub fn say(&self, text: &str) -> String {
        let text = text.replace(['\u{a0}', '\u{202f}'], " ");
        if self.unicode {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '→' => out.push_str("->"),
                '≤' => out.push_str("<="),
                '…' => out.push_str("..."),
                'µ' => out.push('u'),
                '·' => out.push('-'),
                '×' => out.push('x'),
                '–' | '—' | '−' => out.push('-'),
                '±' => out.push_str("+-"),
                '≠' => out.push_str("!="),
                '≥' => out.push_str(">="),
                '’' | '′' => out.push('\''),
                // Other people's text keeps its meaning: an escape rather than a question mark.
                c if c.is_ascii() => out.push(c),
                c => out.extend(c.escape_unicode()),
            }
        }
        out
    }
}
