//! A node of a lab behind the port of hosts: commands are processes in its name spaces.

use super::node::ourselves;
use crate::control::here::unrun;
use crate::control::host::{DOWNLOAD_MAX, Host, HostError, Output, Trouble};
use crate::control::program;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

/// A node of a lab.
#[derive(Clone, Debug)]
pub struct LabHost {
    name: String,
    address: String,
    init: u32,
}

impl LabHost {
    pub(super) fn new(name: &str, address: Ipv4Addr, init: u32) -> LabHost {
        LabHost { name: name.to_string(), address: address.to_string(), init }
    }

    /// A file of the node, as this machine sees it.
    pub fn path(&self, path: &str) -> PathBuf {
        format!("/proc/{}/root/{}", self.init, path.trim_start_matches('/')).into()
    }

    /// Every process of the node but its first, as this machine counts. O(processes).
    pub fn processes(&self) -> Vec<u32> {
        let space = |pid: u32| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
        let Some(ours) = space(self.init) else { return Vec::new() };
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|&pid| pid != self.init && space(pid) == Some(ours)).collect()
    }

    /// The process id on this machine of the node's process `pid`. O(processes).
    pub fn outside(&self, pid: u32) -> Option<u32> {
        let space = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/pid")).map(|m| m.ino()).ok();
        let ours = space(&self.init.to_string())?;
        let mut found = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
            let outside = entry.file_name().into_string().ok()?;
            let status = fs::read_to_string(format!("/proc/{outside}/status")).ok()?;
            let inside = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
            let inside = inside.split_whitespace().next_back()?.parse::<u32>().ok()?;
            (inside == pid && space(&outside) == Some(ours)).then(|| outside.parse().ok())?
        });
        found.next()
    }
}

impl Host for LabHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn exec(&self, command: &str, stdin: &[u8], deadline: Instant) -> Result<Output, HostError> {
        let began = Instant::now();
        let init = self.init.to_string();
        let shell = ourselves(&["lab-enter", &init, "/bin/sh", "-c", command]);
        program::run(shell, stdin, deadline).map_err(|why| unrun(&self.name, command, began, why))
    }

    fn download(&self, path: &str, into: &mut dyn Write, _: Instant) -> Result<u64, HostError> {
        let failed = |e: io::Error| HostError {
            host: self.name.clone(),
            act: format!("downloading {path}"),
            why: e.to_string(),
            trouble: Trouble::Failed,
        };
        let mut file = File::open(self.path(path)).map_err(failed)?.take(DOWNLOAD_MAX);
        io::copy(&mut file, into).map_err(failed)
    }
}
