//! The text of a system file, and where in it something is wrong.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A system file as it was read.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    text: String,
}

/// What is wrong, and where: `mydb.toml:7:3: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    path: PathBuf,
    /// Line and column, both from 1, the column in characters.
    at: Option<(usize, usize)>,
    why: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some((line, column)) = self.at {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.why)
    }
}

impl Source {
    /// Reads the file.
    pub fn read(path: &Path) -> Result<Source, FileError> {
        let failed = |why: String| FileError { path: path.to_path_buf(), at: None, why };
        let bytes = std::fs::read(path).map_err(|e| failed(format!("reading the system file: {e}")))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            failed(format!("a system file is UTF-8, and byte {} is not", e.utf8_error().valid_up_to()))
        })?;
        Ok(Source { path: path.to_path_buf(), text })
    }

    /// A file that is only thought of.
    #[cfg(test)]
    pub fn of(text: &str) -> Source {
        Source { path: "mydb.toml".into(), text: text.to_string() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// An error at a byte of the text.
    pub fn error(&self, at: usize, why: impl Into<String>) -> FileError {
        let before = &self.text[..self.text.floor(at)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        FileError { path: self.path.clone(), at: Some((line, column)), why: why.into() }
    }

    /// An error in a string of the file whose token is `span`, at a byte of what the string says.
    pub fn error_in(&self, span: Range<usize>, said: usize, why: impl Into<String>) -> FileError {
        let at = self.text.get(span.clone()).map_or(span.start, |token| span.start + offset(token, said));
        self.error(at, why)
    }
}

/// The last boundary between characters that is not after a byte.
trait Floor {
    fn floor(&self, at: usize) -> usize;
}

impl Floor for str {
    fn floor(&self, at: usize) -> usize {
        let mut at = at.min(self.len());
        while !self.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Where in a string's token (with its quotes) the byte `said` of its value stands. O(token).
fn offset(token: &str, said: usize) -> usize {
    let (quotes, literal) = match token.as_bytes() {
        [b'"', b'"', b'"', ..] => (3, false),
        [b'\'', b'\'', b'\'', ..] => (3, true),
        [b'\'', ..] => (1, true),
        [b'"', ..] => (1, false),
        _ => return 0,
    };
    let mut at = quotes;
    if quotes == 3 {
        // The line end right after the quotes belongs to them.
        at += ["\r\n", "\n"].iter().find(|end| token[at..].starts_with(**end)).map_or(0, |end| end.len());
    }
    if literal {
        return (at + said).min(token.len());
    }
    let mut passed = 0;
    loop {
        let mut rest = token[at..].chars();
        let (first, escape) = (rest.next(), rest.next());
        if let (Some('\\'), Some(white)) = (first, escape) {
            if white.is_whitespace() {
                // A line that goes on: nothing until the next character that is not white.
                let white = token[at + 1..].chars().take_while(|c| c.is_whitespace());
                at += 1 + white.map(char::len_utf8).sum::<usize>();
                continue;
            }
        }
        if passed >= said {
            return at;
        }
        match (first, escape) {
            (None, _) => return at,
            (Some('\\'), Some(escape)) => {
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    _ => 0,
                };
                let start = at + 1 + escape.len_utf8();
                let hex = token.get(start..start + digits).unwrap_or_default();
                let code = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
                passed += code.map_or(1, char::len_utf8);
                at = start + hex.len();
            }
            (Some(plain), _) => (at, passed) = (at + plain.len_utf8(), passed + plain.len_utf8()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_string_is_found_in_the_file() {
        // Whatever the quotes, the value's own text leads back to where it was written.
        for (file, value) in [
            ("a = \"one two\"", "one two"),
            ("a = 'one two'", "one two"),
            ("a = '''\none\ntwo'''", "one\ntwo"),
            ("a = \"\"\"\none\ntwo\"\"\"", "one\ntwo"),
            ("a = \"\"\"one \\\n     two\"\"\"", "one two"),
            ("a = \"\\u00e9\\tone \\\"two\"", "é\tone \"two"),
        ] {
            let table: toml::Table = file.parse().unwrap();
            assert_eq!(table["a"].as_str(), Some(value), "{file}");
            let source = Source::of(file);
            let said = value.find("two").unwrap();
            let error = source.error_in(4..file.len(), said, "here");
            let before = &file[..file.find("two").unwrap()];
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            let line = before.matches('\n').count() + 1;
            assert_eq!(error.to_string(), format!("mydb.toml:{line}:{column}: here"), "{file}");
        }
    }

    #[test]
    fn no_place_is_too_far() {
        let source = Source::of("a = \"é\"");
        for at in 0..20 {
            source.error(at, "");
            source.error_in(4..8, at, "");
            source.error_in(4..99, at, "");
        }
    }
}
