//! A block of lines on stderr that is drawn again in place, and what this terminal can show.

use std::io::{IsTerminal, Write};

/// Lines at the bottom of the screen.
pub struct Block {
    out: Box<dyn Write + Send>,
    /// Lines of it that are on the screen.
    height: usize,
    /// Whether the terminal shows more than ASCII.
    unicode: bool,
    /// Whether it shows colours.
    color: bool,
}

impl Block {
    /// A block on stderr, of which nothing is drawn yet.
    pub fn on_stderr() -> Block {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let color = !set("NO_COLOR") && (set("CLICOLOR_FORCE") || (std::io::stderr().is_terminal() && !dumb));
        Block { out: Box::new(std::io::stderr()), height: 0, unicode: utf8(), color }
    }

    /// Draws `lines` where the last ones stood, each cut to the width of the terminal: longer ones would wrap, and the
    /// block would climb up the screen. What stands behind the first `✗` of a line is a violation, and red.
    ///
    /// # Errors
    /// Nobody looks any more.
    pub fn draw(&mut self, lines: &[String]) -> std::io::Result<()> {
        let (width, rows) = size();
        let mut text = if self.height > 0 { format!("\x1b[{}A", self.height) } else { String::new() };
        let shown = lines.len().min(rows);
        for line in &lines[..shown] {
            let line = if self.unicode { cut(line, width, "…") } else { cut(&ascii(line), width, "...") };
            match line.find(if self.unicode { '✗' } else { '!' }).filter(|_| self.color) {
                Some(at) => text.push_str(&format!("{}\x1b[1;31m{}\x1b[0m", &line[..at], &line[at..])),
                None => text.push_str(&line),
            }
            text.push_str("\x1b[K\n");
        }
        // A block that became shorter leaves nothing behind.
        text.push_str("\x1b[J");
        self.height = shown;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line that stays.
    ///
    /// # Errors
    /// Nobody looks any more.
    pub fn line(&mut self, line: &str) -> std::io::Result<()> {
        let line = if self.unicode { line.to_string() } else { ascii(line) };
        self.out.write_all(format!("{line}\n").as_bytes())
    }

    /// Takes the block off the screen.
    pub fn clear(&mut self) {
        if self.height > 0 {
            let height = std::mem::take(&mut self.height);
            // Whoever closed the terminal sees nothing anyway.
            let _ = write!(self.out, "\x1b[{height}A\x1b[J");
            let _ = self.out.flush();
        }
    }
}

/// Columns that a line may have, and lines that a block may have.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(std::io::stderr()).ok();
    let part = |value: Option<u16>, usual: usize| {
        value.filter(|value| *value > 1).map_or(usual, |value| usize::from(value) - 1)
    };
    (part(size.map(|size| size.ws_col), 100), part(size.map(|size| size.ws_row), 24))
}

/// Whether stderr is a terminal that can be drawn on.
pub fn drawable() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb && std::env::var_os("CI").is_none()
}

/// Whether the locale has more than ASCII.
pub fn utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"))
}

/// Rates as bars, the last one to the right.
pub fn sparkline(values: &[f64]) -> String {
    let max = values.iter().copied().fold(1.0, f64::max);
    let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    values.iter().map(|value| bars[((value / max) * 7.0) as usize % 8]).collect()
}

/// How much of something is done, in `width` characters.
pub fn bar(part: u64, whole: u64, width: usize) -> String {
    let filled = if whole == 0 { 0 } else { (part.min(whole) as f64 / whole as f64 * width as f64) as usize };
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// At most `width` characters, the last of which say that something was left out, if it was.
fn cut(line: &str, width: usize, more: &str) -> String {
    if line.chars().count() <= width {
        return line.to_string();
    }
    let room = width.saturating_sub(more.chars().count());
    line.chars().take(room).chain(more.chars()).take(width).collect()
}

/// In the characters that every terminal has.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '·' => out.push('-'),
            '×' => out.push('x'),
            '✗' => out.push('!'),
            '…' => out.push_str("..."),
            'µ' => out.push('u'),
            '▁' | '▂' | '░' => out.push('.'),
            '▃' | '▄' => out.push(':'),
            '▅' | '▆' => out.push('='),
            '▇' | '█' => out.push('#'),
            '\u{a0}' | '\u{202f}' => out.push(' '),
            c if c.is_ascii() => out.push(c),
            c => out.extend(c.escape_unicode()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn a_line_that_is_cut_says_so() {
        assert_eq!(cut("four", 4, "…"), "four");
        assert_eq!(cut("fünfe", 4, "…"), "fün…");
        assert_eq!(cut("fives", 4, "..."), "f...");
        assert_eq!(cut("fives", 2, "..."), "..");
        assert_eq!(cut("fives", 0, "…"), "");
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("mine").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_block_is_drawn_over_itself_and_leaves_nothing() {
        let out = Shared::default();
        let mut block = Block { out: Box::new(out.clone()), height: 0, unicode: true, color: true };
        block.draw(&["one".into(), "two ✗ bad".into()]).expect("drawn");
        block.draw(&["three".into()]).expect("drawn");
        block.clear();
        let text = String::from_utf8(out.0.lock().expect("mine").clone()).expect("text");
        assert_eq!(
            text,
            "one\x1b[K\ntwo \x1b[1;31m✗ bad\x1b[0m\x1b[K\n\x1b[J\x1b[2Athree\x1b[K\n\x1b[J\x1b[1A\x1b[J"
        );
    }

    #[test]
    fn bars_are_as_wide_as_asked_for_and_can_be_said_in_ascii() {
        assert_eq!(bar(1, 2, 4), "██░░");
        assert_eq!(bar(9, 2, 4), "████");
        assert_eq!(bar(0, 0, 2), "░░");
        assert_eq!(ascii("▁█ ×5 ✗"), ".# x5 !");
        assert_eq!(sparkline(&[0.0, 10.0]), "▁█");
    }
}
