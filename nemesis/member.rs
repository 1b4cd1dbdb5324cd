//! Takes a node out of the system, and takes it in again with nothing of what it knew.

use crate::cluster::NodeState;
use crate::fault::{Claim, Fault, Site};

/// A node that is no member for a while.
#[derive(Clone, Debug)]
pub struct Member {
    node: usize,
    primary: bool,
}

impl Member {
    /// `node`, the primary if `primary`.
    pub fn new(node: usize, primary: bool) -> Member {
        Member { node, primary }
    }
}

impl Fault for Member {
    fn kind(&self) -> &'static str {
        "member"
    }

    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn hits_primary(&self) -> bool {
        self.primary
    }

    fn claims(&self) -> Vec<Claim> {
        // Changes of members need a majority that works, and so do nodes that are to be healed.
        vec![Claim::Members, Claim::Processes, Claim::Reach]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        site.journal.leave(site.id, self.node)?;
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} removed from the members", site.name(self.node)))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let gone = !site.cluster().members()?.member(self.node)?;
        let gone = gone && site.cluster().state(self.node)? == NodeState::Dead;
        Ok(gone.then(|| format!("{} is not among the members, and has no process", site.name(self.node))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        Ok(site.cluster().members()?.member(self.node)?
            && site.cluster().state(self.node)? == NodeState::Running)
    }
}
