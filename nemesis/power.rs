//! Cuts the power: every process of a node ends at once, and with them whatever was written and not synced.

use crate::cluster::NodeState;
use crate::fault::{Claim, Fault, Site};

/// Nodes without power, all at one instant.
#[derive(Clone, Debug)]
pub struct Power {
    nodes: Vec<usize>,
    primary: bool,
}

impl Power {
    /// These nodes; `primary` says that the primary is among them.
    pub fn new(nodes: Vec<usize>, primary: bool) -> Power {
        Power { nodes, primary }
    }
}

impl Fault for Power {
    fn kind(&self) -> &'static str {
        "power"
    }

    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn hits_primary(&self) -> bool {
        self.primary
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Processes]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        site.journal.power_loss(site.id, &self.nodes)?;
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} without power", site.names(&self.nodes)))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let disks = site.cluster().disks()?;
        for &node in &self.nodes {
            if site.cluster().state(node)? != NodeState::Dead || !disks.unsynced_gone(node)? {
                return Ok(None);
            }
        }
        Ok(Some(format!("{}: no process, and a file that was not synced is gone", site.names(&self.nodes))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        for &node in &self.nodes {
            if site.cluster().state(node)? == NodeState::Dead {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
