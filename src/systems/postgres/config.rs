//! What the options of PostgreSQL say, and what each choice claims.

use crate::client::{Claim, SystemOption};
use crate::systems::options::Options;

/// What `--with` takes.
pub const OPTIONS: &[SystemOption] = &[
    SystemOption {
        name: "mode",
        default: "sync",
        about: "single (one node), sync (a primary; every commit waits for one of its standbys), async (it does not), or patroni (with etcd on each node, which choose a new primary)",
    },
    SystemOption {
        name: "reads",
        default: "primary",
        about: "primary (every session is with the primary), standby (sessions of the primary only write, those of standbys only read), or local (sessions of the primary write and read, those of standbys only read)",
    },
    SystemOption {
        name: "commit",
        default: "on",
        about: "synchronous_commit of every session: on, remote_write, remote_apply, or local",
    },
    SystemOption {
        name: "isolation",
        default: "read-committed",
        about: "of every transaction: read-committed, repeatable-read, or serializable",
    },
    SystemOption {
        name: "synchronous-mode",
        default: "off",
        about: "of Patroni: off, on (a commit waits for a standby, if there is one), or strict (it waits in any case)",
    },
];

/// Who is there besides the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nobody.
    Single,
    /// Standbys, one of which every commit waits for.
    Sync,
    /// Standbys.
    Async,
    /// Standbys, and who makes one of them the primary.
    Patroni,
}

/// Where sessions read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// At the primary, with which they all are.
    Primary,
    /// At standbys; sessions with the primary only write.
    Standby,
    /// At the node that they are with; sessions with standbys only read.
    Local,
}

/// What the options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub mode: Mode,
    pub reads: Reads,
    /// As PostgreSQL spells it.
    pub commit: &'static str,
    /// As PostgreSQL spells it.
    pub isolation: &'static str,
    /// Of Patroni: whether commits wait, and whether they do in any case.
    pub waits: (bool, bool),
}

impl Config {
    /// `Err` names a bad option and what it takes.
    pub fn new(with: &[(String, String)]) -> Result<Config, String> {
        let options = Options::new(OPTIONS, with)?;
        let modes = [
            ("single", Mode::Single),
            ("sync", Mode::Sync),
            ("async", Mode::Async),
            ("patroni", Mode::Patroni),
        ];
        let reads = [("primary", Reads::Primary), ("standby", Reads::Standby), ("local", Reads::Local)];
        let commits = ["on", "remote_write", "remote_apply", "local"].map(|word| (word, word));
        let isolations = [
            ("read-committed", "read committed"),
            ("repeatable-read", "repeatable read"),
            ("serializable", "serializable"),
        ];
        let waits = [("off", (false, false)), ("on", (true, false)), ("strict", (true, true))];
        let config = Config {
            mode: options.choice("mode", &modes)?,
            reads: options.choice("reads", &reads)?,
            commit: options.choice("commit", &commits)?,
            isolation: options.choice("isolation", &isolations)?,
            waits: options.choice("synchronous-mode", &waits)?,
        };
        match config {
            Config { mode: Mode::Single, reads: Reads::Standby | Reads::Local, .. } => {
                Err("mode=single has no standbys to read from: reads=primary".into())
            }
            Config { mode: Mode::Single | Mode::Sync | Mode::Async, waits: (true, _), .. } => {
                Err("synchronous-mode is an option of mode=patroni; mode=sync waits for a standby".into())
            }
            Config { reads: Reads::Standby | Reads::Local, isolation: "serializable", .. } => {
                Err("a standby does not offer isolation=serializable: repeatable-read is the most".into())
            }
            config => Ok(config),
        }
    }

    /// What it claims about the history of any workload.
    pub fn claim(&self) -> Claim {
        let text = match (self.reads, self.mode, self.waits.0) {
            (Reads::Primary, Mode::Single | Mode::Sync | Mode::Async, _) => {
                "linearizable: one server, which nobody replaces, answers everything"
            }
            (Reads::Primary, Mode::Patroni, false) => {
                "linearizable as long as nobody replaces the primary: then what it had acknowledged last may be lost"
            }
            (Reads::Primary, Mode::Patroni, true) => {
                "no acknowledged write is lost; a primary that was replaced may still answer reads"
            }
            (Reads::Standby, Mode::Patroni, _) => {
                "sequential as long as nobody replaces the primary: writers only write, readers read one standby"
            }
            (Reads::Standby, Mode::Single | Mode::Sync | Mode::Async, _) => {
                "sequential: writers only write, and each reader reads one standby, which goes through the primary's log"
            }
            (Reads::Local, _, _) => {
                "each session reads one server; what the primary shows and what a standby shows may come in another order"
            }
        };
        Claim { text: text.to_string(), honest: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let with = |pairs: &[(&str, &str)]| {
            let with: Vec<_> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            Config::new(&with)
        };
        assert!(with(&[]).unwrap().claim().text.starts_with("linearizable"));
        assert!(with(&[("mode", "both")]).unwrap_err().contains("single or sync or async or patroni"));
        assert!(with(&[("mode", "single"), ("reads", "standby")]).unwrap_err().contains("no standbys"));
        assert!(with(&[("synchronous-mode", "on")]).unwrap_err().contains("mode=patroni"));
        let serializable = [("reads", "local"), ("isolation", "serializable")];
        assert!(with(&serializable).unwrap_err().contains("repeatable-read"));
    }
}
