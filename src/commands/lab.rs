//! `perjury lab`: nodes on this machine, for tests and for looking around.

use super::place::LINK_DELAY_MAX;
use crate::cli::{LabArgs, LabCommand};
use crate::control::lab::node::ourselves;
use crate::control::lab::{NODES_MAX, detached};
use crate::exit::{self, Failure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Does what was asked about labs.
pub fn run(args: LabArgs) -> Result<u8, Failure> {
    crate::control::lab::sweep();
    match args.command {
        LabCommand::Up { nodes, name, seed, capture, link, link_delay, disk, ssh } => {
            if !(1..=NODES_MAX).contains(&nodes) {
                return Err(Failure::usage(format!(
                    "--nodes: expected 1 to {NODES_MAX} nodes, found {nodes}"
                )));
            }
            let begun = Instant::now();
            let capture = capture
                .map(|path| std::path::absolute(&path).map(|path| (path, link.unwrap_or_default())))
                .transpose()
                .map_err(|error| Failure::usage(format!("--capture: {error}")))?;
            if disk.as_ref().is_some_and(|dir| !dir.starts_with('/') || dir.len() < 2) {
                return Err(Failure::usage("--disk: expected a directory of the nodes, as in /var/lib/etcd"));
            }
            let delay = link_delay.map_or(Duration::ZERO, |delay| delay.0);
            if delay > LINK_DELAY_MAX {
                return Err(Failure::usage(format!("--link-delay: at most {} s", LINK_DELAY_MAX.as_secs())));
            }
            let wish = detached::Wish { name, nodes, seed, delay, capture, disk, ssh };
            let lab = detached::up(&wish).map_err(cluster)?;
            eprintln!("{nodes} nodes up in {:.2} s", begun.elapsed().as_secs_f64());
            show(&lab);
            if let Some(how) = detached::by_ssh(&lab) {
                eprintln!("{how}");
            }
            Ok(exit::HOLDS)
        }
        LabCommand::Status => {
            let labs = detached::all().map_err(cluster)?;
            if labs.is_empty() {
                eprintln!("no lab is up");
            }
            labs.iter().for_each(show);
            Ok(exit::HOLDS)
        }
        LabCommand::Exec { node, name, command } => exec(&node, name.as_deref(), &command),
        LabCommand::Down { name } => {
            let begun = Instant::now();
            let lab = detached::find(name.as_deref()).map_err(cluster)?;
            detached::down(&lab).map_err(cluster)?;
            eprintln!("lab {} down in {:.2} s", lab.name, begun.elapsed().as_secs_f64());
            Ok(exit::HOLDS)
        }
        LabCommand::Install { packages } => install(&packages),
    }
}

fn cluster(why: String) -> Failure {
    Failure::new(exit::CLUSTER, why)
}

fn show(lab: &detached::Detached) {
    for node in &lab.nodes {
        println!("{}\t{}\t{}", lab.name, node.name, node.address);
    }
}

/// Becomes the command in the node.
fn exec(node: &str, name: Option<&str>, command: &[String]) -> Result<u8, Failure> {
    let lab = detached::find(name).map_err(cluster)?;
    let found = lab.nodes.iter().find(|known| known.name == node).ok_or_else(|| {
        let names: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
        Failure::usage(format!("lab {:?} has no node {node:?} (it has: {})", lab.name, names.join(", ")))
    })?;
    let error = ourselves(&["lab-enter", &found.init().to_string()]).args(command).exec();
    Err(Failure::new(exit::BUG, format!("starting this program again: {error}")))
}

/// Packages of systems whose name is not their package's.
const PACKAGES: [(&str, &[&str]); 8] = [
    ("etcd", &["etcd-server"]),
    ("galera", &["mariadb-server", "mariadb-backup", "galera-4", "rsync", "socat"]),
    ("nats", &["nats-server"]),
    ("patroni", &["postgresql", "patroni", "etcd-server", "python3-etcd", "python3-psycopg2"]),
    ("postgres", &["postgresql"]),
    ("rabbitmq", &["rabbitmq-server"]),
    ("redis", &["redis-server", "redis-sentinel"]),
    ("zookeeper", &["zookeeper"]),
];

/// A script that tells a package's own scripts to start no daemon.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The script, while packages are installed; taken away again if it was not there before.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn ask_for() -> std::io::Result<NoDaemons> {
        let ours = !Path::new(POLICY).exists();
        if ours {
            fs::write(POLICY, "#!/bin/sh\nexit 101\n")?;
            fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755))?;
        }
        Ok(NoDaemons { ours })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(POLICY);
        }
    }
}

fn install(names: &[String]) -> Result<u8, Failure> {
    let mut packages: Vec<&str> = Vec::new();
    for name in names {
        match PACKAGES.iter().find(|(system, _)| system == name) {
            Some((_, of_system)) => packages.extend(*of_system),
            None if name.starts_with('-') => {
                return Err(Failure::usage(format!("{name:?} is no package")));
            }
            None => packages.push(name),
        }
    }
    if !rustix::process::geteuid().is_root() {
        return Err(cluster("installing packages needs root".into()));
    }
    let _policy = NoDaemons::ask_for()
        .map_err(|error| cluster(format!("{POLICY}: telling packages to start nothing: {error}")))?;
    // The lists may be as old as the machine; without a network what is in the cache may still do.
    let updated = apt(&["update", "-q"]);
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(&packages);
    match (apt(&arguments), updated) {
        (Ok(()), _) => Ok(exit::HOLDS),
        (Err(why), Ok(())) => Err(cluster(why)),
        (Err(why), Err(update)) => Err(cluster(format!("{why} (and before that, {update})"))),
    }
}

fn apt(arguments: &[&str]) -> Result<(), String> {
    let what = format!("apt-get {}", arguments.join(" "));
    let output = Command::new("apt-get")
        .args(["-o", "DPkg::Lock::Timeout=300"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let last = stderr.trim_end().lines().last().unwrap_or("it said nothing").to_string();
    let code = output.status.code().or(output.status.signal()).unwrap_or(-1);
    Err(format!("{what}: exit {code}: {last}"))
}
