//! Makes messages late, without losing or reordering any on a connection.

use crate::cluster::{End, Link, LinkRule, NodeState};
use crate::fault::{Claim, Fault, Site};
use std::time::{Duration, Instant};

/// Links that take longer.
#[derive(Clone, Debug)]
pub struct Slow {
    /// From, to.
    links: Vec<(usize, usize)>,
    delay: Duration,
    jitter: Duration,
    /// A round trip over the first of the links, before.
    before: Option<Duration>,
}

impl Slow {
    /// These directed links, each by `delay` and up to `jitter` more.
    pub fn new(links: Vec<(usize, usize)>, delay: Duration, jitter: Duration) -> Slow {
        Slow { links, delay, jitter, before: None }
    }

    /// All links of `node` to its peers, in both directions.
    pub fn node(node: usize, nodes: usize, delay: Duration, jitter: Duration) -> Slow {
        let peers = (0..nodes).filter(|&n| n != node);
        Slow::new(peers.flat_map(|n| [(node, n), (n, node)]).collect(), delay, jitter)
    }

    fn round_trip(&self, site: &Site<'_>) -> Result<Option<Duration>, String> {
        let Some(&(from, to)) = self.links.first() else { return Ok(None) };
        let start = Instant::now();
        Ok(site.cluster().probe(from, to)?.then(|| start.elapsed()))
    }

    /// How much a round trip over the first link gains at least.
    fn gain(&self) -> Duration {
        let both = self.links.first().is_some_and(|&(a, b)| self.links.contains(&(b, a)));
        if both { self.delay * 2 } else { self.delay }
    }
}

impl Fault for Slow {
    fn kind(&self) -> &'static str {
        "slow"
    }

    fn nodes(&self) -> Vec<usize> {
        let mut nodes: Vec<usize> = self.links.iter().flat_map(|&(a, b)| [a, b]).collect();
        // The node that all slow links have in common is the one that is aimed at.
        let all = nodes.clone();
        nodes.sort_unstable();
        nodes.dedup();
        let hub = nodes.iter().copied().find(|n| all.iter().filter(|m| *m == n).count() == self.links.len());
        hub.map_or(nodes, |n| vec![n])
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Delay]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        // Only for the evidence: a node that cannot be asked now is measured without a comparison.
        self.before = self.round_trip(site).unwrap_or(None);
        let rule = LinkRule { delay: self.delay, jitter: self.jitter, ..LinkRule::default() };
        let rules: Vec<(Link, LinkRule)> =
            self.links.iter().map(|&(a, b)| (Link { from: End::Node(a), to: End::Node(b) }, rule)).collect();
        site.journal.links(site.id, &rules)?;
        let (delay, jitter) = (self.delay.as_millis(), self.jitter.as_millis());
        let jitter = if jitter > 0 { format!(" to {} ms", delay + jitter) } else { " ms".to_string() };
        Ok(match self.nodes()[..] {
            [node] => format!("links of {} +{delay}{jitter}", site.name(node)),
            _ => {
                let links: Vec<String> =
                    self.links.iter().map(|&(a, b)| format!("{} → {}", site.name(a), site.name(b))).collect();
                format!("{} +{delay}{jitter}", links.join(", "))
            }
        })
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        let Some(took) = self.round_trip(site)? else { return Ok(None) };
        if took < self.gain() {
            return Ok(None);
        }
        let (from, to) = self.links[0];
        let before = self.before.map_or(String::new(), |b| format!(", before {} ms", b.as_millis()));
        Ok(Some(format!(
            "{} to {} and back took {} ms{before}",
            site.name(from),
            site.name(to),
            took.as_millis()
        )))
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        let (Some(&(from, to)), cluster) = (self.links.first(), site.cluster()) else { return Ok(true) };
        let runs = |node: usize| Ok::<bool, String>(cluster.state(node)? == NodeState::Running);
        if !runs(from)? || !runs(to)? || site.journal.cut(from, to) {
            // Nothing can be measured where nothing passes; that the rule is gone is all that can be said.
            return Ok(true);
        }
        // A busy machine may be slow by itself: the best of three counts.
        for _ in 0..3 {
            if self.round_trip(site)?.is_some_and(|took| took < self.gain()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
