//! From what was typed about nodes to hosts that can be spoken to.

use super::containers::ContainerHost;
use super::host::Host;
use crate::cli::{NodesArgs, SshArgs};
use crate::exit::Failure;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many nodes a cluster may have.
const NODES_MAX: usize = 100;

/// The nodes of `--nodes` or `--nodes-file`, in order.
pub fn names(args: &NodesArgs) -> Result<Vec<String>, Failure> {
    let names: Vec<String> = match &args.nodes_file {
        None => {
            args.nodes.iter().map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).collect()
        }
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::usage(format!("{}: reading the nodes: {error}", file.display())))?;
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            lines.filter(|line| !line.is_empty()).map(str::to_string).collect()
        }
    };
    let mut seen = BTreeSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(Failure::usage(format!("--nodes: {twice} is named twice")));
    }
    if names.len() > NODES_MAX {
        return Err(Failure::usage(format!(
            "--nodes: expected at most {NODES_MAX} nodes, found {}",
            names.len()
        )));
    }
    Ok(names)
}

/// The hosts by these names: containers, and machines behind SSH. Connects to none of them.
pub fn hosts(names: &[String], args: &SshArgs) -> Result<Vec<Arc<dyn Host>>, Failure> {
    let container = |name: &String| {
        let host = ContainerHost::named(name)?.map_err(|why| Failure::usage(format!("--nodes: {why}")));
        Some(host.map(|host| Arc::new(host) as Arc<dyn Host>))
    };
    let containers: Vec<Option<_>> = names.iter().map(container).collect();
    let machines: Vec<String> =
        names.iter().zip(&containers).filter(|(_, c)| c.is_none()).map(|(name, _)| name.clone()).collect();
    let mut machines = if machines.is_empty() { Vec::new() } else { over_ssh(&machines, args)? }.into_iter();
    let host = |container: Option<Result<Arc<dyn Host>, Failure>>| {
        container.or_else(|| machines.next().map(Ok)).expect("a machine for every name that is no container")
    };
    containers.into_iter().map(host).collect()
}

#[cfg(feature = "ssh")]
fn over_ssh(names: &[String], args: &SshArgs) -> Result<Vec<Arc<dyn Host>>, Failure> {
    use super::ssh::{Secret, SshHost, SshSettings};
    let password = match std::env::var("PERJURY_SSH_PASSWORD") {
        _ if args.ask_ssh_password => Some(ask("password on the nodes: ")?),
        Ok(password) if !password.is_empty() => Some(password),
        Ok(_) | Err(_) => None,
    };
    let settings = SshSettings {
        user: args.username.clone(),
        port: args.ssh_port,
        key: args.ssh_private_key.clone(),
        password: password.map(Secret),
        config: args.ssh_config.clone(),
        accept_new_host_keys: args.accept_new_host_keys,
        sudo: args.sudo,
    };
    if let Some(key) = settings.key.as_ref().filter(|key| !key.is_file()) {
        return Err(Failure::usage(format!("--ssh-private-key: {}: there is no such file", key.display())));
    }
    let host = |name: &String| match SshHost::new(name, &settings) {
        Ok(host) => Ok(Arc::new(host) as Arc<dyn Host>),
        Err(why) => Err(Failure::usage(format!("--nodes: {why}"))),
    };
    names.iter().map(host).collect()
}

/// This build reaches none.
#[cfg(not(feature = "ssh"))]
fn over_ssh(_: &[String], _: &SshArgs) -> Result<Vec<Arc<dyn Host>>, Failure> {
    Err(Failure::usage("this build of perjury has no SSH (cargo feature `ssh`)"))
}

/// Reads a line from the terminal that is not shown.
#[cfg(feature = "ssh")]
fn ask(prompt: &str) -> Result<String, Failure> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    use std::io::{BufRead, BufReader, Write};
    let failed = |error: std::io::Error| Failure::usage(format!("--ask-ssh-password: the terminal: {error}"));
    let mut terminal = std::fs::OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(failed)?;
    let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    terminal.write_all(prompt.as_bytes()).map_err(failed)?;
    tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    let mut line = String::new();
    let read = BufReader::new(&terminal).read_line(&mut line);
    tcsetattr(&terminal, OptionalActions::Flush, &before).map_err(|error| failed(error.into()))?;
    terminal.write_all(b"\n").map_err(failed)?;
    read.map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_string())
}
