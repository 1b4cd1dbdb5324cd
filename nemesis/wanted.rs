//! A fault as somebody asks for it: `kill`, `pause:patroni`, `power@log:became leader`.

use crate::registry::{about, kinds, takes_part};
use std::fmt;

/// A kind of fault, the part of the nodes that it is aimed at, and what it waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Wanted {
    /// `partition`, `pause` …
    pub kind: &'static str,
    /// One daemon of several: `patroni`.
    pub part: Option<String>,
    /// What must have happened first.
    pub cue: Option<Cue>,
}

/// What a fault waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cue {
    /// That a write is acknowledged; it is aimed at the node that did.
    Write,
    /// That a write is acknowledged by another node than the one it is aimed at.
    OtherWrite,
    /// That the role changes; it is aimed at the new primary.
    Role,
    /// That a node logs a line with this text in it; it is aimed at that node.
    Log(String),
}

impl Cue {
    fn parse(text: &str) -> Result<Cue, String> {
        match text {
            "write" => Ok(Cue::Write),
            "other-write" => Ok(Cue::OtherWrite),
            "role" => Ok(Cue::Role),
            _ => match text.strip_prefix("log:") {
                Some("") => Err("log: what should the line hold?".into()),
                Some(line) => Ok(Cue::Log(line.to_string())),
                None => Err(format!(
                    "a fault waits for write, other-write, role or log:TEXT, and there is no {text:?}"
                )),
            },
        }
    }
}

impl fmt::Display for Cue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cue::Write => f.write_str("write"),
            Cue::OtherWrite => f.write_str("other-write"),
            Cue::Role => f.write_str("role"),
            Cue::Log(text) => write!(f, "log:{text}"),
        }
    }
}

impl Wanted {
    /// The kind, at whichever moment and nodes are drawn. `None` if there is no such kind.
    pub fn plain(kind: &str) -> Option<Wanted> {
        let kind = kinds().iter().copied().find(|known| *known == kind)?;
        Some(Wanted { kind, part: None, cue: None })
    }

    /// Reads `KIND[:PART][@CUE]`. `Ok(None)` if there is no such kind; the error says what else is wrong.
    pub fn parse(text: &str) -> Result<Option<Wanted>, String> {
        let (fault, cue) = match text.split_once('@') {
            Some((fault, cue)) => (fault, Some(Cue::parse(cue)?)),
            None => (text, None),
        };
        let (kind, part) = match fault.split_once(':') {
            Some((kind, part)) => (kind, Some(part.to_string())),
            None => (fault, None),
        };
        let Some(wanted) = Wanted::plain(kind) else { return Ok(None) };
        if let Some(part) = &part {
            if part.is_empty() || !takes_part(kind) {
                return Err(format!("{kind}: only pause and kill are aimed at one part, as in pause:NAME"));
            }
        }
        if kind == "zombie" && cue.is_some() {
            return Err("zombie has a cue of its own: that another node acknowledges a write".into());
        }
        Ok(Some(Wanted { part, cue, ..wanted }))
    }

    /// One sentence about its kind.
    pub fn about(&self) -> &'static str {
        about(self.kind)
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if let Some(part) = &self.part {
            write!(f, ":{part}")?;
        }
        match &self.cue {
            Some(cue) => write!(f, "@{cue}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read_and_said_again() {
        for text in [
            "kill",
            "pause:patroni",
            "power@log:became leader: 3",
            "kill:postgres@write",
            "freeze@role",
            "disk-full@other-write",
        ] {
            let wanted = Wanted::parse(text).unwrap().unwrap();
            assert_eq!(wanted.to_string(), text);
        }
        let cue = Wanted::parse("kill@log:a@b").unwrap().unwrap().cue;
        assert_eq!(cue, Some(Cue::Log("a@b".into())));
        assert_eq!(Wanted::parse("kil@write"), Ok(None));
        for (text, word) in [
            ("kill@now", "write, other-write, role or log:TEXT"),
            ("kill@log:", "what should the line hold"),
            ("partition:patroni", "only pause and kill"),
            ("kill:", "only pause and kill"),
            ("zombie@write", "a cue of its own"),
        ] {
            let error = Wanted::parse(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
