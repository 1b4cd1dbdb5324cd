//! The port to one machine: run a command on it, put a file there, fetch one. Every call has a deadline.
//!
//! Adapters: a node reached over SSH, a node of the lab, and this machine itself. What is done on a machine is a shell
//! command over this port, so that it can be read in the log, tested against a recording host, and undone by hand.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

/// How many bytes of a command's output are taken, standard output and standard error each.
pub const OUTPUT_MAX: usize = 8 << 20;
/// How many bytes one download may have.
pub const DOWNLOAD_MAX: u64 = 1 << 30;

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal: `KILL`, `TERM`.
    Signal(String),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit {code}"),
            Exit::Signal(name) => write!(f, "killed by SIG{name}"),
        }
    }
}

/// What a command left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// At most [`OUTPUT_MAX`] bytes; more is an error of the call.
    pub stdout: Vec<u8>,
    /// The same.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Whether it ended with exit code 0.
    pub fn ok(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Standard output as text, without the last line's end.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_string()
    }

    /// How it ended, with the last line that it wrote to standard error: `exit 1: no such file`.
    pub fn why(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        match stderr.trim_end().lines().last() {
            Some(last) => format!("{}: {}", self.exit, shorten(last, 300)),
            None => self.exit.to_string(),
        }
    }
}

/// What kind of trouble a call met. What the host itself answers (an exit code) is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It cannot be reached, or the connection broke. Whether a command was run is not known.
    Unreachable,
    /// It was reached, and is not to be trusted (an unknown or changed host key), or does not trust us (keys, sudo).
    Refused,
    /// No answer by the deadline. Whether the command was run is not known.
    Late,
    /// It was done and did not work, or gave more than is taken.
    Failed,
}

/// Why a call came to nothing: `n3: running "systemctl start etcd": no answer within 5 s`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// The node.
    pub host: String,
    /// What was being done: `running "…"`, `uploading /etc/x`.
    pub act: String,
    /// What went wrong.
    pub why: String,
    /// What kind of trouble it is.
    pub trouble: Trouble,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.host, self.act, self.why)
    }
}

impl std::error::Error for HostError {}

impl HostError {
    /// The same, said of what the caller was doing. That the host was not even reached is still said.
    pub fn doing(self, act: &str) -> HostError {
        let act = match self.act.starts_with("connecting ") {
            true => format!("{act}: {}", self.act),
            false => act.to_string(),
        };
        HostError { act, ..self }
    }
}

impl From<HostError> for String {
    fn from(error: HostError) -> String {
        error.to_string()
    }
}

/// One machine. Commands run as the user that the adapter was set up with: as root, where it has sudo.
pub trait Host: Send + Sync {
    /// The node's name: `n3`.
    fn name(&self) -> &str;

    /// Where other nodes and clients reach it: an address or a name that they can resolve.
    fn address(&self) -> &str;

    /// Runs a command by `sh -c`, writes `stdin` to it, and waits until it has ended and closed its outputs: a daemon
    /// must be started with all three redirected. At `deadline` it is given up; whether it runs on is not known.
    fn exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, HostError>;

    /// Writes a file with these permission bits, in place of what was there, whole or not at all.
    fn upload(&self, bytes: &[u8], path: &str, mode: u32, deadline: Instant) -> Result<(), HostError> {
        // Written beside and renamed: who reads meanwhile sees the old file or the new one.
        let (new, path) = (quote(&format!("{path}.perjury-new")), quote(path));
        let command = format!("umask 077 && cat >{new} && chmod {mode:o} {new} && mv -f {new} {path}");
        self.exec(&command, bytes, deadline)
            .and_then(|output| self.done(output))
            .map(drop)
            .map_err(|error| error.doing(&format!("uploading {path}")))
    }

    /// Copies a file of at most [`DOWNLOAD_MAX`] bytes into `into`, and says how many bytes it had.
    fn download(&self, path: &str, into: &mut dyn Write, deadline: Instant) -> Result<u64, HostError> {
        let act = |error: HostError| error.doing(&format!("downloading {path}"));
        let piece = OUTPUT_MAX as u64;
        let mut done = 0;
        while done < DOWNLOAD_MAX {
            let command = format!("tail -c +{} -- {} | head -c {piece}", done + 1, quote(path));
            let command = format!("test -r {} && {command}", quote(path));
            let output = self.exec(&command, &[], deadline).and_then(|o| self.done(o)).map_err(act)?;
            into.write_all(&output.stdout)
                .map_err(|e| act(self.failed("", &format!("writing it here: {e}"))))?;
            done += output.stdout.len() as u64;
            if (output.stdout.len() as u64) < piece {
                return Ok(done);
            }
        }
        Err(act(self.failed("", &format!("it has more than {DOWNLOAD_MAX} bytes"))))
    }

    /// Runs a command that must end with exit code 0, and gives what it printed.
    fn sh(&self, command: &str, patience: Duration) -> Result<String, HostError> {
        let output = self.exec(command, &[], Instant::now() + patience)?;
        self.done(output).map(|output| output.text()).map_err(|error| error.doing(&running(command)))
    }

    /// An output that must be one of success.
    fn done(&self, output: Output) -> Result<Output, HostError> {
        if output.ok() { Ok(output) } else { Err(self.failed("running a command", &output.why())) }
    }

    /// An error of this host, of the kind that it was done and did not work.
    fn failed(&self, act: &str, why: &str) -> HostError {
        HostError {
            host: self.name().to_string(),
            act: act.to_string(),
            why: why.to_string(),
            trouble: Trouble::Failed,
        }
    }
}

/// `running "systemctl start etcd"`: the first line of a command, shortened.
pub fn running(command: &str) -> String {
    let line = command.trim().lines().next().unwrap_or_default();
    format!("running {:?}", shorten(line, 120))
}

/// A text as one word of a shell.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn shorten(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_string();
    }
    text.chars().take(max - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_word_is_one_word_of_the_shell() {
        assert_eq!(quote("/var/log/x-1.log"), "/var/log/x-1.log");
        assert_eq!(quote("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("~root"), "'~root'");
    }

    #[test]
    fn an_error_says_what_was_being_done_to_whom() {
        let error = HostError {
            host: "n3".into(),
            act: running("systemctl start etcd\nmore"),
            why: "no answer within 5 s".into(),
            trouble: Trouble::Late,
        };
        assert_eq!(error.to_string(), "n3: running \"systemctl start etcd\": no answer within 5 s");
    }
}
