//! Freezes whole nodes by the kernel's freezer: every process at one instant, whichever it is, and no signal is seen.

use crate::fault::{Claim, Fault, Site};

/// Nodes that are frozen.
#[derive(Clone, Debug)]
pub struct Freeze {
    nodes: Vec<usize>,
    primary: bool,
}

impl Freeze {
    /// These nodes; `primary` says that the primary is among them.
    pub fn new(nodes: Vec<usize>, primary: bool) -> Freeze {
        Freeze { nodes, primary }
    }

    fn frozen(&self, site: &Site<'_>, wanted: bool) -> Result<bool, String> {
        let freezer = site.cluster().freezer()?;
        for &node in &self.nodes {
            if freezer.frozen(node)? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Fault for Freeze {
    fn kind(&self) -> &'static str {
        "freeze"
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
            site.journal.freeze(site.id, node)?;
        }
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} frozen", site.names(&self.nodes)))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let frozen = self.frozen(site, true)?;
        Ok(frozen.then(|| format!("{}: frozen, says the kernel", site.names(&self.nodes))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        self.frozen(site, false)
    }
}
