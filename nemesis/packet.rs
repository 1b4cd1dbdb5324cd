//! Makes the links of a node unreliable: packets are lost, doubled, overtaken, corrupted, or come through a narrow pipe.

use crate::cluster::{End, Link, LinkRule, NodeState};
use crate::fault::{Claim, Fault, Site};

/// A node whose links do not treat packets well.
#[derive(Clone, Debug)]
pub struct Packet {
    node: usize,
    nodes: usize,
    rule: LinkRule,
    /// How many packets had been harmed before.
    before: u64,
}

/// How many packets must have been harmed for it to be felt.
const FELT: u64 = 10;

impl Packet {
    /// All links between `node` and its peers get `rule`, in both directions; `nodes` is how many there are.
    pub fn new(node: usize, nodes: usize, rule: LinkRule) -> Packet {
        Packet { node, nodes, rule, before: 0 }
    }

    fn links(&self) -> impl Iterator<Item = Link> + '_ {
        let peers = (0..self.nodes).filter(|&peer| peer != self.node);
        peers.flat_map(|peer| {
            let (a, b) = (End::Node(self.node), End::Node(peer));
            [Link { from: a.clone(), to: b.clone() }, Link { from: b, to: a }]
        })
    }

    fn harmed(&self, site: &Site<'_>) -> Result<u64, String> {
        self.links().map(|link| site.cluster().harmed(&link)).sum()
    }

    fn words(&self) -> String {
        let percent = |of_a_million: u32| f64::from(of_a_million) / 10_000.0;
        let LinkRule { loss, duplicate, reorder, corrupt, rate, .. } = self.rule;
        let chances =
            [("lost", loss), ("doubled", duplicate), ("overtaken", reorder), ("corrupted", corrupt)];
        let mut words: Vec<String> = chances
            .iter()
            .filter(|(_, chance)| *chance > 0)
            .map(|(what, chance)| format!("{} % {what}", percent(*chance)))
            .collect();
        if rate > 0 {
            words.push(format!("at most {} kB/s", rate as f64 / 1000.0));
        }
        words.join(", ")
    }
}

impl Fault for Packet {
    fn kind(&self) -> &'static str {
        "packet"
    }

    fn nodes(&self) -> Vec<usize> {
        vec![self.node]
    }

    fn claims(&self) -> Vec<Claim> {
        // A link that loses packets looks cut, and slow, to whoever probes it.
        vec![Claim::Reach, Claim::Delay]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        self.before = self.harmed(site)?;
        let rules: Vec<(Link, LinkRule)> = self.links().map(|link| (link, self.rule)).collect();
        site.journal.links(site.id, &rules)?;
        Ok(format!("links of {}: {}", site.name(self.node), self.words()))
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let harmed = self.harmed(site)?.saturating_sub(self.before);
        let felt = harmed >= FELT;
        Ok(felt.then(|| format!("{harmed} packets on the links of {} were harmed", site.name(self.node))))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        let cluster = site.cluster();
        for peer in (0..self.nodes).filter(|&peer| peer != self.node) {
            let runs = |node: usize| Ok::<bool, String>(cluster.state(node)? == NodeState::Running);
            // Where nothing can be asked, that the rule is gone is all that can be said.
            if runs(self.node)? && runs(peer)? && !cluster.probe(self.node, peer)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
