//! Whether a host is the one that it was the last time: OpenSSH's files of known hosts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ssh2::{CheckResult, KnownHostFileKind, Session};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A line of a file of known hosts.
#[derive(Clone, Debug)]
struct Line {
    file: PathBuf,
    number: usize,
    revoked: bool,
    hosts: String,
    kind: String,
    key: String,
}

/// The lines that speak of one host.
#[derive(Clone, Debug)]
pub struct KnownHost {
    lines: Vec<Line>,
    name: String,
}

/// `db1`, or `[db1]:2222`: a host by the name under which OpenSSH keeps its key.
pub fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

impl KnownHost {
    /// Reads what the files say of a host. A file that is not there says nothing; one that cannot be read is an error.
    /// Certificates of hosts (`@cert-authority`) are passed over.
    pub fn read(files: &[PathBuf], name: &str) -> Result<KnownHost, String> {
        let mut lines = Vec::new();
        for file in files {
            let text = match fs::read(file) {
                Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("{}: {error}", file.display())),
            };
            lines.extend(text.lines().enumerate().filter_map(|(at, line)| parse(file, at + 1, line)));
        }
        // Hashed names are for libssh2, which only answers for a key: any other than the right one will do.
        let session = Session::new().map_err(|error| error.message().to_string())?;
        lines.retain(|line| speaks_of(line, name, &session));
        Ok(KnownHost { lines, name: name.to_string() })
    }

    /// The kinds of key that are known, for the server to offer one of them.
    pub fn kinds(&self) -> Vec<&str> {
        self.lines.iter().filter(|line| !line.revoked).map(|line| line.kind.as_str()).collect()
    }

    /// Whether this is its key. `Ok(false)`: the host is not known.
    ///
    /// # Errors
    /// Another key is known, or this one was revoked: in words for the person.
    pub fn knows(&self, key: &[u8]) -> Result<bool, String> {
        let (kind, text) = (kind(key), STANDARD.encode(key));
        let place = |line: &Line| format!("{}:{}", line.file.display(), line.number);
        if let Some(line) = self.lines.iter().find(|line| line.revoked && line.key == text) {
            return Err(format!("its key was revoked ({})", place(line)));
        }
        let mut known = self.lines.iter().filter(|line| !line.revoked);
        if known.clone().any(|line| line.key == text) {
            return Ok(true);
        }
        match known.find(|line| line.kind == kind) {
            Some(line) => Err(format!(
                "its host key has changed: {} has another one than {kind}. Somebody may be in between; if it was \
                 set up anew, remove the line (ssh-keygen -R {:?}) and connect again",
                place(line),
                self.name
            )),
            None => Ok(false),
        }
    }

    /// Remembers a key in a file.
    pub fn remember(&self, key: &[u8], file: &Path) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        if let Some(dir) = file.parent().filter(|dir| !dir.as_os_str().is_empty()) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        }
        let unfinished = fs::read(file).is_ok_and(|bytes| bytes.last().is_some_and(|last| *last != b'\n'));
        let end = if unfinished { "\n" } else { "" };
        let line = format!("{end}{} {} {}\n", self.name, kind(key), STANDARD.encode(key));
        let mut open = fs::OpenOptions::new();
        let mut file = open.append(true).create(true).mode(0o600).open(file).map_err(failed)?;
        file.write_all(line.as_bytes()).map_err(failed)
    }
}

fn parse(file: &Path, number: usize, line: &str) -> Option<Line> {
    let line = line.trim();
    let (marker, rest) = match line.strip_prefix('@') {
        Some(rest) => rest.split_once(char::is_whitespace)?,
        None => ("", line),
    };
    if line.starts_with('#') || !matches!(marker, "" | "revoked") {
        return None;
    }
    let mut words = rest.split_whitespace().map(str::to_string);
    let (hosts, kind, key) = (words.next()?, words.next()?, words.next()?);
    Some(Line { file: file.to_path_buf(), number, revoked: marker == "revoked", hosts, kind, key })
}

fn speaks_of(line: &Line, name: &str, session: &Session) -> bool {
    if line.hosts.starts_with("|1|") {
        let Ok(mut one) = session.known_hosts() else { return false };
        let text = format!("{} {} {}", line.hosts, line.kind, line.key);
        return one.read_str(&text, KnownHostFileKind::OpenSSH).is_ok()
            && matches!(one.check(name, b"another key"), CheckResult::Mismatch | CheckResult::Match);
    }
    let hosts = line.hosts.to_ascii_lowercase();
    let (mut yes, mut no) = (false, false);
    for pattern in hosts.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) => no |= matches(pattern.as_bytes(), name.as_bytes()),
            None => yes |= matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    yes && !no
}

/// `*` is any text, `?` any one byte.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.first(), name.first()) {
        (None, None) => true,
        (Some(b'*'), _) => matches(&pattern[1..], name) || (!name.is_empty() && matches(pattern, &name[1..])),
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &name[1..]),
        (Some(p), Some(n)) => p == n && matches(&pattern[1..], &name[1..]),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// The kind that a key says of itself: its first field.
fn kind(key: &[u8]) -> String {
    let field = key.get(..4).and_then(|len| {
        let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
        key.get(4..4usize.checked_add(len)?)
    });
    field.map_or_else(|| "unknown".to_string(), |name| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: &str, byte: u8) -> Vec<u8> {
        let mut key = (kind.len() as u32).to_be_bytes().to_vec();
        key.extend_from_slice(kind.as_bytes());
        key.extend_from_slice(&[0, 0, 0, 4, byte, byte, byte, byte]);
        key
    }

    fn known(text: &str, name: &str) -> KnownHost {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("known");
        fs::write(&file, text).unwrap();
        KnownHost::read(&[dir.path().join("absent"), file], name).unwrap()
    }

    #[test]
    fn a_host_is_known_by_name_by_pattern_and_by_port_and_no_other_is() {
        let (one, other) = (key("ssh-ed25519", 1), key("ssh-ed25519", 2));
        let text = format!(
            "# a comment\n\nn1,10.0.0.1 ssh-ed25519 {0}\n[n2]:2222 ssh-ed25519 {0}\n*.lab,!bad.lab ssh-ed25519 {0}\n",
            STANDARD.encode(&one)
        );
        for name in ["n1", "10.0.0.1", "[n2]:2222", "good.lab"] {
            assert_eq!(known(&text, name).knows(&one), Ok(true), "{name}");
            assert!(known(&text, name).knows(&other).unwrap_err().contains("has changed"), "{name}");
        }
        for name in ["n2", "[n2]:22", "bad.lab", "n11"] {
            assert_eq!(known(&text, name).knows(&one), Ok(false), "{name}");
        }
        assert_eq!((name("N1", 22), name("n1", 24)), ("n1".to_string(), "[n1]:24".to_string()));
    }

    #[test]
    fn a_key_of_another_kind_is_unknown_and_a_revoked_one_is_refused() {
        let (old, new) = (key("ssh-ed25519", 1), key("ssh-rsa", 2));
        let text = format!(
            "n1 ssh-ed25519 {}\n@revoked * ssh-rsa {}\n",
            STANDARD.encode(&old),
            STANDARD.encode(&new)
        );
        assert_eq!(known(&text, "n1").knows(&key("ssh-rsa", 3)), Ok(false));
        assert!(known(&text, "n1").knows(&new).unwrap_err().contains("revoked"));
        assert_eq!(known(&text, "n1").kinds(), ["ssh-ed25519"]);
    }

    #[test]
    fn a_remembered_key_is_known_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("deep/known_hosts");
        let unknown = KnownHost::read(std::slice::from_ref(&file), "[n1]:2222").unwrap();
        unknown.remember(&key("ssh-ed25519", 7), &file).unwrap();
        let known = KnownHost::read(&[file], "[n1]:2222").unwrap();
        assert_eq!(known.knows(&key("ssh-ed25519", 7)), Ok(true));
        assert!(known.knows(&key("ssh-ed25519", 8)).is_err());
    }
}
