//! Who is meant by `db3`, `admin@10.0.0.3:2222` or an alias of `~/.ssh/config`, and which way leads there.

use crate::control::program;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How long `ssh -G` may take. It may ask a name server.
const ASK: Duration = Duration::from_secs(10);
/// How many machines a way may lead over.
const JUMPS_MAX: usize = 8;

/// A text that is never shown and never written.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// What was asked for on the command line, for all nodes.
#[derive(Clone, Debug, Default)]
pub struct SshSettings {
    /// The user; OpenSSH's configuration or the own name unless given.
    pub user: Option<String>,
    /// The port; the configuration or 22 unless given.
    pub port: Option<u16>,
    /// The only private key to try.
    pub key: Option<PathBuf>,
    /// For servers that ask for one. From a prompt or the environment.
    pub password: Option<Secret>,
    /// A configuration file in place of the user's.
    pub config: Option<PathBuf>,
    /// Take the key of a host that is not known yet for its own, and remember it.
    pub accept_new_host_keys: bool,
    /// Run everything by `sudo -n`.
    pub sudo: bool,
}

/// One machine, and the machines on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is dialled by.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Who we are there.
    pub user: String,
    /// Private keys to try after the agent's, if they exist.
    pub identities: Vec<PathBuf>,
    /// The socket of the agent to ask first.
    pub agent: Option<PathBuf>,
    /// Files of known hosts; a new key is written into the first.
    pub known_hosts: Vec<PathBuf>,
    /// The name by which its key is looked up.
    pub key_name: String,
    /// Machines to go through, in order. Their own are empty.
    pub jumps: Vec<Target>,
}

/// `user@host:port`, each part but the host left out at will.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spec {
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

impl Spec {
    fn parse(text: &str) -> Result<Spec, String> {
        let bad = |why: &str| format!("{text:?}: {why}; expected [user@]host[:port]");
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_string()), rest),
            None => (None, text),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(|| bad("stray text"))?)),
                None => return Err(bad("a bracket is not closed")),
            },
            // More than one colon is an IPv6 address without a port.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(|port| port.parse::<u16>().map_err(|_| bad("the port is no number up to 65535")));
        if host.is_empty() || host.starts_with('-') || host.contains(|c: char| c.is_whitespace()) {
            return Err(bad("there is no host"));
        }
        if user.as_deref().is_some_and(|user| user.is_empty() || user.starts_with('-')) {
            return Err(bad("there is no user"));
        }
        Ok(Spec { user, host: host.to_string(), port: port.transpose()? })
    }
}

impl Target {
    /// Finds out who is meant, by OpenSSH's client where there is one, and else by the text alone.
    ///
    /// # Errors
    /// A text that names nobody, a configuration that `ssh -G` refuses or that asks for what we cannot do.
    pub fn resolve(text: &str, settings: &SshSettings) -> Result<Target, String> {
        let spec = Spec::parse(text)?;
        let wanted = Spec {
            user: spec.user.or_else(|| settings.user.clone()),
            port: spec.port.or(settings.port),
            ..spec
        };
        Target::find(&wanted, settings, 0)
    }

    fn find(spec: &Spec, settings: &SshSettings, depth: usize) -> Result<Target, String> {
        let said = match ask_openssh(spec, settings.config.as_deref())? {
            Some(said) => said,
            None if settings.config.is_some() => {
                return Err("--ssh-config needs OpenSSH's client, and there is no `ssh` here".into());
            }
            None => return Ok(alone(spec, settings)),
        };
        let one = |key: &str| said.get(key).and_then(|values| values.first()).map(String::as_str);
        let all = |key: &str| said.get(key).map(Vec::as_slice).unwrap_or_default();
        let set = |key: &str| one(key).filter(|value| !value.eq_ignore_ascii_case("none"));
        if let Some(command) = set("proxycommand") {
            return Err(format!(
                "{}: OpenSSH's configuration has ProxyCommand {command:?}, which is not supported; ProxyJump is",
                spec.host
            ));
        }
        let host = one("hostname").unwrap_or(&spec.host).to_string();
        let mut jumps = Vec::new();
        for jump in set("proxyjump").into_iter().flat_map(|list| list.split(',')) {
            if depth >= JUMPS_MAX {
                return Err(format!("{}: its way leads over more than {JUMPS_MAX} machines", spec.host));
            }
            let found = Target::find(&Spec::parse(jump)?, settings, depth + 1)?;
            // Only the first may have a way of its own; the next ones are reached from it.
            if jumps.is_empty() {
                jumps.extend(found.jumps.iter().cloned());
            }
            jumps.push(Target { jumps: Vec::new(), ..found });
        }
        if jumps.len() > JUMPS_MAX {
            return Err(format!("{}: its way leads over more than {JUMPS_MAX} machines", spec.host));
        }
        let files = |key: &str| -> Vec<PathBuf> {
            all(key)
                .iter()
                .flat_map(|list| list.split_whitespace())
                .filter(|f| *f != "none")
                .map(home)
                .collect()
        };
        let mut known_hosts = files("userknownhostsfile");
        known_hosts.extend(files("globalknownhostsfile"));
        Ok(Target {
            port: one("port").and_then(|port| port.parse().ok()).unwrap_or(22),
            user: one("user").map_or_else(me, str::to_string),
            identities: match &settings.key {
                Some(key) => vec![key.clone()],
                None => all("identityfile").iter().map(|file| home(file)).collect(),
            },
            agent: match one("identityagent") {
                Some("none") => None,
                None | Some("SSH_AUTH_SOCK") => agent_of_environment(),
                Some(path) => Some(home(path)),
            },
            known_hosts,
            key_name: one("hostkeyalias").map_or_else(|| host.clone(), str::to_string),
            host,
            jumps,
        })
    }
}

/// Without OpenSSH's client: nothing but what was said, and the usual places.
fn alone(spec: &Spec, settings: &SshSettings) -> Target {
    let usual = ["id_ed25519", "id_ecdsa", "id_rsa"].map(|name| home(&format!("~/.ssh/{name}")));
    Target {
        host: spec.host.clone(),
        port: spec.port.unwrap_or(22),
        user: spec.user.clone().unwrap_or_else(me),
        identities: settings.key.clone().map_or_else(|| usual.to_vec(), |key| vec![key]),
        agent: agent_of_environment(),
        known_hosts: vec![home("~/.ssh/known_hosts"), "/etc/ssh/ssh_known_hosts".into()],
        key_name: spec.host.clone(),
        jumps: Vec::new(),
    }
}

/// What `ssh -G` says: the values of each keyword. `None` where there is no `ssh`.
fn ask_openssh(spec: &Spec, config: Option<&Path>) -> Result<Option<BTreeMap<String, Vec<String>>>, String> {
    let mut command = Command::new("ssh");
    command.arg("-G");
    if let Some(config) = config {
        command.arg("-F").arg(config);
    }
    if let Some(user) = &spec.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = spec.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg("--").arg(&spec.host);
    if !on_path("ssh") {
        return Ok(None);
    }
    let output = program::run(command, &[], Instant::now() + ASK)
        .map_err(|why| format!("ssh -G {}: {why:?}", spec.host))?;
    if !output.ok() {
        return Err(format!("ssh -G {}: {}", spec.host, output.why()));
    }
    let mut said: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in output.text().lines() {
        if let Some((key, value)) = line.split_once(' ') {
            said.entry(key.to_string()).or_default().push(value.trim().to_string());
        }
    }
    Ok(Some(said))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/").or_else(|| path.strip_prefix("%d/")), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        (Some(_) | None, _) => path.into(),
    }
}

fn agent_of_environment() -> Option<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)
}

fn me() -> String {
    ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok()).unwrap_or_else(|| "root".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_a_host_with_a_user_and_a_port_at_will() {
        let spec = |text| Spec::parse(text).map(|s| (s.user, s.host, s.port));
        let some =
            |user: Option<&str>, host: &str, port| Ok((user.map(str::to_string), host.to_string(), port));
        assert_eq!(spec("db1"), some(None, "db1", None));
        assert_eq!(spec("root@db1:2222"), some(Some("root"), "db1", Some(2222)));
        assert_eq!(spec("fe80::1"), some(None, "fe80::1", None));
        assert_eq!(spec("me@[fe80::1]:22"), some(Some("me"), "fe80::1", Some(22)));
        for bad in ["", "@db1", "db1:ssh", "db1:99999", "[::1", "-oProxyCommand=x", "a b"] {
            assert!(spec(bad).is_err(), "{bad:?} was taken for a node");
        }
    }

    #[test]
    fn openssh_says_who_an_alias_is_and_over_whom_the_way_leads() {
        if !on_path("ssh") {
            eprintln!("skipped: there is no ssh here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("config");
        let text = "Host db\n HostName 10.0.0.3\n Port 2200\n User admin\n IdentityFile ~/.ssh/db\n ProxyJump gate,inner:24\n\
                    Host gate\n HostName 192.0.2.1\n User jump\nHost odd\n ProxyCommand nc %h %p\n\
                    Host round\n ProxyJump round2\nHost round2\n ProxyJump round\n";
        std::fs::write(&config, text).unwrap();
        let settings = SshSettings { config: Some(config), ..SshSettings::default() };
        let db = Target::resolve("db", &settings).unwrap();
        assert_eq!((db.host.as_str(), db.port, db.user.as_str()), ("10.0.0.3", 2200, "admin"));
        let home = PathBuf::from(std::env::var_os("HOME").unwrap());
        assert_eq!(db.identities, [home.join(".ssh/db")]);
        let way: Vec<(&str, u16, &str)> =
            db.jumps.iter().map(|j| (j.host.as_str(), j.port, j.user.as_str())).collect();
        assert_eq!(way[0], ("192.0.2.1", 22, "jump"));
        assert_eq!((way[1].0, way[1].1, way.len()), ("inner", 24, 2));
        // What stands on the command line wins.
        let other = SshSettings { user: Some("root".into()), port: Some(9), ..settings.clone() };
        let db = Target::resolve("db", &other).unwrap();
        assert_eq!((db.port, db.user.as_str()), (9, "root"));
        assert!(Target::resolve("odd", &settings).unwrap_err().contains("ProxyCommand"));
        assert!(Target::resolve("round", &settings).is_err(), "a way that never ends has an end");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let settings = SshSettings { password: Some(Secret("swordfish".into())), ..SshSettings::default() };
        assert!(!format!("{settings:?}").contains("swordfish"));
    }
}
