//! Stops processes with SIGSTOP and lets them go on: nothing is lost, but everything is late.

use crate::cluster::NodeState;
use crate::fault::{Claim, Fault, Site};

/// Nodes that stand still.
#[derive(Clone, Debug)]
pub struct Pause {
    nodes: Vec<usize>,
    primary: bool,
}

impl Pause {
    /// These nodes; `primary` says that the primary is among them.
    pub fn new(nodes: Vec<usize>, primary: bool) -> Pause {
        Pause { nodes, primary }
    }
}

impl Fault for Pause {
    fn kind(&self) -> &'static str {
        "pause"
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
        for &node in &self.nodes {
            site.journal.pause(site.id, node)?;
        }
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} stopped", site.names(&self.nodes)))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        for &node in &self.nodes {
            if site.cluster().state(node)? != NodeState::Stopped {
                return Ok(None);
            }
        }
        Ok(Some(format!("{}: process state T", site.names(&self.nodes))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        for &node in &self.nodes {
            if site.cluster().state(node)? == NodeState::Stopped {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
