//! Where the nodes of a test are: processes of this machine, a lab, or other machines.

use crate::cli::parse::{Span, links, quoted};
use crate::cli::{Nodes, NodesArgs, SshArgs, TestArgs};
use crate::client::{HostsPlace, LabPlace, Place, System};
use crate::control::lab::NODES_MAX;
use crate::control::reach;
use crate::exit::Failure;
use crate::run::RunConfig;
use crate::systems;
use nemesis::{Needs, Wanted};
use std::time::Duration;

/// Kinds of fault that are done to other machines unless others are asked for: none that changes a machine's clock or
/// needs a kernel with netem.
const USUAL: [&str; 4] = ["partition", "pause", "kill", "zombie"];

/// How many clients there are at least, unless told otherwise.
const CLIENTS_MIN: usize = 6;

/// How long a link of a lab may take at most.
pub const LINK_DELAY_MAX: Duration = Duration::from_secs(10);

/// Kinds that end processes, or may, and start them again.
const ENDING: [&str; 8] =
    ["kill", "power", "disk-full", "disk-hang", "disk-read-only", "bit-flip", "truncate", "member"];

/// Gives the nodes of a lab disks of their own if a fault needs them.
pub fn give_disks(config: &mut RunConfig) {
    if let Place::Lab(place) = &mut config.place {
        place.disk |= config.nemesis.iter().any(|wanted| nemesis::needs(wanted.kind) == Needs::Disks);
    }
}

/// Puts into the configuration where the nodes are and how many.
pub fn resolve(args: &TestArgs, system: &dyn System, config: &mut RunConfig) -> Result<(), Failure> {
    let named = named(args)?;
    if let Some(nodes) = args.lab {
        if args.nodes.is_some() || named.is_some() {
            return Err(Failure::usage("lab and nodes both say which nodes there are; say one of them"));
        }
        if !system.needs_nodes() {
            return Err(only_here(system, "--lab"));
        }
        if !(1..=NODES_MAX).contains(&nodes) {
            return Err(Failure::usage(format!("--lab: expected 1 to {NODES_MAX} nodes, found {nodes}")));
        }
        config.nodes = nodes;
        let capture = args.capture.as_deref().map(links).transpose();
        let capture = capture.map_err(|why| Failure::usage(format!("--capture: {why}")))?;
        let link_delay = args.link_delay.map_or(Duration::ZERO, |delay| delay.0);
        if link_delay > LINK_DELAY_MAX {
            return Err(Failure::usage(format!("--link-delay: at most {} s", LINK_DELAY_MAX.as_secs())));
        }
        config.place = Place::Lab(LabPlace { capture, disk: args.disk, link_delay });
    } else if let Some(nodes) = named {
        if !system.needs_nodes() {
            return Err(only_here(system, "--nodes"));
        }
        config.nodes = nodes.len();
        let usual = USUAL.into_iter().filter(|kind| !args.no_db || *kind != "kill");
        config.nemesis = usual.filter_map(Wanted::plain).collect();
        config.place = Place::Hosts(HostsPlace { nodes, ssh: args.ssh.clone(), no_db: args.no_db });
    } else if system.needs_nodes() {
        return Err(Failure::usage(format!(
            "{} runs on nodes of its own: --nodes a,b,c names some (over SSH), --lab N makes some on this machine (as \
             root)",
            system.name()
        )));
    } else if let Some(Nodes::Count(nodes)) = args.nodes {
        let valid = 1..=100;
        if !valid.contains(&nodes) {
            return Err(Failure::usage(format!("--nodes: expected 1 to 100 nodes, found {nodes}")));
        }
        config.nodes = nodes;
    }
    if args.capture.is_some() && args.lab.is_none() {
        return Err(Failure::usage("--capture: only the links of a lab carry packets (--lab N)"));
    }
    if args.disk && args.lab.is_none() {
        return Err(Failure::usage("--disk: only the nodes of a lab are given disks (--lab N)"));
    }
    if args.link_delay.is_some() && args.lab.is_none() {
        return Err(Failure::usage("--link-delay: only the links of a lab are ours to delay (--lab N)"));
    }
    let hosts = matches!(config.place, Place::Hosts(_));
    if !hosts && (args.no_db || args.ssh != SshArgs::default()) {
        return Err(Failure::usage(
            "--no-db and what is said of SSH are for nodes on other machines (--nodes a,b,c)",
        ));
    }
    if args.nodes.is_some() || args.lab.is_some() || hosts {
        // Of two clients one may wait for the other's lock, or both for a node that is hurt.
        config.concurrency = (2 * config.nodes).max(CLIENTS_MIN);
    }
    Ok(())
}

/// After the faults are known: what cannot be done to a cluster of somebody else.
pub fn check_faults(config: &RunConfig) -> Result<(), Failure> {
    match &config.place {
        Place::Hosts(place) if place.no_db => {
            match config.nemesis.iter().find(|wanted| ENDING.contains(&wanted.kind)) {
                Some(wanted) => Err(Failure::usage(format!(
                    "--no-db: how the system is started is not known, so it cannot be killed (leave {} out of --nemesis)",
                    wanted.kind
                ))),
                None => Ok(()),
            }
        }
        Place::Hosts(_) | Place::Here | Place::Lab(_) => Ok(()),
    }
}

/// The nodes on other machines, if any are named.
fn named(args: &TestArgs) -> Result<Option<Vec<String>>, Failure> {
    let nodes = match (&args.nodes, &args.nodes_file) {
        (Some(Nodes::Named(nodes)), _) => nodes.clone(),
        (Some(Nodes::Count(_)), _) | (None, None) if args.nodes_file.is_none() => return Ok(None),
        (Some(Nodes::Count(_)) | None, _) => Vec::new(),
    };
    let args = NodesArgs { nodes, nodes_file: args.nodes_file.clone(), ssh: args.ssh.clone() };
    match reach::names(&args)? {
        names if names.is_empty() => Err(Failure::usage("--nodes-file: it names no node")),
        names => Ok(Some(names)),
    }
}

fn only_here(system: &dyn System, flag: &str) -> Failure {
    let others = systems::all().iter().filter(|system| system.needs_nodes()).map(|system| system.name());
    Failure::usage(format!(
        "{flag}: the nodes of {} are processes of this machine; nodes of their own have: {}",
        system.name(),
        others.collect::<Vec<_>>().join(", ")
    ))
}

/// The lines of `config.toml` about it; those that are tables stand at the end.
pub fn lines(config: &RunConfig) -> (Vec<(&'static str, toml::Value)>, Vec<(&'static str, toml::Value)>) {
    let number = toml::Value::Integer(config.nodes as i64);
    match &config.place {
        Place::Here => (vec![("nodes", number)], Vec::new()),
        Place::Lab(LabPlace { capture, disk, link_delay }) => {
            let text = |name, text: String| (name, toml::Value::String(text));
            let capture = capture.as_ref().map(|links| text("capture", links.to_string()));
            let disk = disk.then_some(("disk", toml::Value::Boolean(true)));
            let delay = (!link_delay.is_zero()).then(|| text("link-delay", Span(*link_delay).to_string()));
            (std::iter::once(("lab", number)).chain(capture).chain(disk).chain(delay).collect(), Vec::new())
        }
        Place::Hosts(place) => {
            let names = place.nodes.iter().cloned().map(toml::Value::String).collect();
            let lines =
                vec![("nodes", toml::Value::Array(names)), ("no-db", toml::Value::Boolean(place.no_db))];
            let ssh = toml::Value::try_from(&place.ssh).expect("plain data");
            (lines, vec![("ssh", ssh)])
        }
    }
}

/// The flags that say it again.
pub fn flags(config: &RunConfig, usual: usize) -> String {
    match &config.place {
        Place::Here if config.nodes == usual => String::new(),
        Place::Here => format!(" --nodes {}", config.nodes),
        Place::Lab(LabPlace { capture, disk, link_delay }) => {
            let capture = capture.as_ref().map_or(String::new(), |links| format!(" --capture {links}"));
            let disk = if *disk { " --disk" } else { "" };
            let delay = match link_delay.is_zero() {
                true => String::new(),
                false => format!(" --link-delay {}", Span(*link_delay)),
            };
            format!(" --lab {}{capture}{disk}{delay}", config.nodes)
        }
        Place::Hosts(place) => {
            let HostsPlace { nodes, ssh, no_db } = place;
            let mut text = format!(" --nodes {}", quoted(&nodes.join(",")));
            let path = |path: &std::path::PathBuf| quoted(&path.display().to_string());
            let said = [
                ("username", ssh.username.as_deref().map(quoted)),
                ("ssh-private-key", ssh.ssh_private_key.as_ref().map(path)),
                ("ssh-port", ssh.ssh_port.map(|port| port.to_string())),
                ("ssh-config", ssh.ssh_config.as_ref().map(path)),
            ];
            for (name, value) in said.into_iter().filter_map(|(name, value)| Some((name, value?))) {
                text += &format!(" --{name} {value}");
            }
            let set =
                [("accept-new-host-keys", ssh.accept_new_host_keys), ("sudo", ssh.sudo), ("no-db", *no_db)];
            for (name, _) in set.into_iter().filter(|(_, set)| *set) {
                text += &format!(" --{name}");
            }
            text
        }
    }
}
