//! Nodes for tests that reach machines over SSH: a lab that stays, with an sshd on each node.

#![allow(dead_code, reason = "each file of tests uses what it needs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn perjury(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_perjury")).args(args).output().expect("the binary starts")
}

pub fn both(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Whether a test can be made here; says what is missing.
pub fn able(programs: &[&str]) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root =
        status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    let there = |program: &&&str| {
        ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", ""]
            .iter()
            .any(|dir| Path::new(dir).join(program).exists())
    };
    let missing: Vec<_> = programs.iter().filter(|program| !there(program)).collect();
    if !root || !Path::new("/dev/net/tun").exists() || !missing.is_empty() {
        eprintln!("skipped: needs root, /dev/net/tun and {programs:?}; missing: {missing:?}");
        return false;
    }
    true
}

/// A lab with sshds, taken down whatever becomes of the test.
pub struct Lab {
    name: &'static str,
    /// Their addresses, as they are typed.
    pub nodes: String,
}

impl Lab {
    /// With a disk of its own at a directory of each node, if one is named.
    pub fn up(name: &'static str, nodes: usize, disk: Option<&str>) -> Lab {
        let count = nodes.to_string();
        let disk: Vec<&str> = disk.into_iter().flat_map(|dir| ["--disk", dir]).collect();
        let output =
            perjury(&[&["lab", "up", "--name", name, "--nodes", &count, "--ssh"][..], &disk].concat());
        assert_eq!(output.status.code(), Some(0), "{}", both(&output));
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let addresses: Vec<&str> = lines.lines().filter_map(|line| line.split('\t').nth(2)).collect();
        assert_eq!(addresses.len(), nodes, "{lines}");
        Lab { name, nodes: addresses.join(",") }
    }

    pub fn keys(&self) -> PathBuf {
        Path::new("/run/perjury/labs").join(format!("{}.ssh", self.name))
    }

    pub fn key(&self, file: &str) -> String {
        self.keys().join(file).display().to_string()
    }

    /// What a command prints on a node.
    pub fn says(&self, node: &str, script: &str) -> String {
        let output = perjury(&["lab", "exec", node, "--name", self.name, "--", "sh", "-c", script]);
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }

    /// The process id of a node's first process.
    pub fn init(&self, node: &str) -> String {
        let note = fs::read_to_string(format!("/run/perjury/labs/{}.json", self.name)).expect("a note");
        let note: serde_json::Value = serde_json::from_str(&note).expect("JSON");
        let nodes = note["nodes"].as_array().expect("nodes");
        let found = nodes.iter().find(|known| known["name"] == node).expect("the node");
        found["init"]["pid"].to_string()
    }

    /// The processes of a daemon on a node, each with its state.
    pub fn processes(&self, node: &str, daemon: &str) -> String {
        let look = "for s in /proc/[0-9]*/stat; do read -r s <$s; case \"$s\" in *'(NAME) Z'*) ;; *'(NAME) '*) \
                    set -- $s; echo $1 $3;; esac; done 2>/dev/null; true";
        self.says(node, &look.replace("NAME", daemon))
    }

    /// What a run of a system with these daemons may have left on a node.
    pub fn left(&self, node: &str, daemons: &[&str]) -> String {
        let rest = self.says(
            node,
            "ls -d /run/perjury /run/perjury-* 2>/dev/null | grep -v sshd; nft list tables; iptables -S | grep perjury; \
             for d in /var/lib/perjury-*/; do case $d in *-disk/) ls -A $d | grep perjury;; *) ls -A $d;; esac; done; \
             ls -d /var/lib/perjury-holder /sys/fs/cgroup/perjury*; true",
        );
        daemons.iter().fold(rest, |rest, daemon| rest + &self.processes(node, daemon))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        perjury(&["lab", "down", "--name", self.name]);
    }
}
