//! Makes disks full, hang, or read-only.

use crate::cluster::NodeState;
use crate::fault::{Claim, Fault, Site};
use crate::ports::DiskState;

/// A node whose disk does not do what it should.
#[derive(Clone, Debug)]
pub struct Disk {
    node: usize,
    primary: bool,
    state: DiskState,
}

impl Disk {
    /// `node`, the primary if `primary`; its disk is made to do `state`.
    pub fn new(node: usize, primary: bool, state: DiskState) -> Disk {
        Disk { node, primary, state }
    }

    fn words(&self) -> &'static str {
        match self.state {
            DiskState::Healthy => "works",
            DiskState::Full => "full",
            DiskState::Hung => "hanging",
            DiskState::ReadOnly => "read-only",
        }
    }
}

impl Fault for Disk {
    fn kind(&self) -> &'static str {
        match self.state {
            DiskState::Healthy | DiskState::Full => "disk-full",
            DiskState::Hung => "disk-hang",
            DiskState::ReadOnly => "disk-read-only",
        }
    }

    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    // Not `hits_primary`: a leader whose disk is full may go on leading.

    fn claims(&self) -> Vec<Claim> {
        // Whoever waits for a disk cannot be killed, and whoever cannot write may end by himself.
        vec![Claim::Processes]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        site.journal.disk(site.id, self.node, self.state)?;
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("disk of {}{primary} {}", site.name(self.node), self.words()))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let disk = site.cluster().disks()?.disk(self.node)?;
        let what = match self.state {
            DiskState::Healthy => return Ok(None),
            DiskState::Full => "a new file does not fit",
            DiskState::Hung => "a write does not come back",
            DiskState::ReadOnly => "a new file is refused, the disk is read-only",
        };
        Ok((disk == self.state).then(|| format!("{}: {what}", site.name(self.node))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        Ok(site.cluster().disks()?.disk(self.node)? == DiskState::Healthy
            && site.cluster().state(self.node)? != NodeState::Dead)
    }
}
