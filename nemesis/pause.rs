//! Stops processes with SIGSTOP and lets them go on: nothing is lost, but everything is late.

use crate::cluster::NodeState;
use crate::fault::{Claim, Fault, Site};

/// Nodes that stand still, or one daemon of several on each.
#[derive(Clone, Debug)]
pub struct Pause {
    nodes: Vec<usize>,
    primary: bool,
    part: Option<String>,
}

impl Pause {
    /// These nodes; `primary` says that the primary is among them.
    pub fn new(nodes: Vec<usize>, primary: bool) -> Pause {
        Pause { nodes, primary, part: None }
    }

    /// Only this part of each node: `patroni`, and not its `postgres`.
    pub fn part(self, part: &str) -> Pause {
        Pause { part: Some(part.to_string()), ..self }
    }

    fn all(&self, site: &Site<'_>, wanted: impl Fn(NodeState) -> bool) -> Result<bool, String> {
        for &node in &self.nodes {
            if !wanted(state(site, node, self.part.as_deref())?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// What a node, or one part of it, is doing.
pub(crate) fn state(site: &Site<'_>, node: usize, part: Option<&str>) -> Result<NodeState, String> {
    match part {
        Some(part) => site.cluster().parts()?.part_state(node, part),
        None => site.cluster().state(node),
    }
}

/// `n1 n2`, or `patroni of n1 n2`.
pub(crate) fn whom(site: &Site<'_>, nodes: &[usize], part: Option<&str>) -> String {
    let names = site.names(nodes);
    part.map_or(names.clone(), |part| format!("{part} of {names}"))
}

impl Fault for Pause {
    fn kind(&self) -> &'static str {
        "pause"
    }

    fn nodes(&self) -> Vec<usize> {
        self.nodes.clone()
    }

    fn hits_primary(&self) -> bool {
        // Of a node whose other parts go on nobody need notice anything.
        self.primary && self.part.is_none()
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Processes]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        for &node in &self.nodes {
            site.journal.pause(site.id, node, self.part.as_deref())?;
        }
        let primary = if self.primary { " (primary)" } else { "" };
        Ok(format!("{}{primary} stopped", whom(site, &self.nodes, self.part.as_deref())))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let stopped = self.all(site, |state| state == NodeState::Stopped)?;
        Ok(stopped.then(|| format!("{}: process state T", whom(site, &self.nodes, self.part.as_deref()))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        self.all(site, |state| state != NodeState::Stopped)
    }
}
