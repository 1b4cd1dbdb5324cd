//! What is applied to a cluster, by which fault, so that exactly that can be undone, whatever happens.

use crate::cluster::{ClockSetting, Cluster, End, Link, LinkRule, Pass};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The only way by which faults touch a cluster.
///
/// An act is written down before it is done and crossed out after it was undone: after an error or a panic half-way
/// the journal says too much, never too little. Faults on the same link or clock add up, and undoing one leaves the
/// others in force.
pub struct Journal {
    cluster: Arc<dyn Cluster>,
    applied: Mutex<Applied>,
}

#[derive(Default)]
struct Applied {
    links: BTreeMap<Link, BTreeMap<u32, LinkRule>>,
    clocks: BTreeMap<usize, BTreeMap<u32, ClockSetting>>,
    stopped: BTreeMap<usize, BTreeSet<u32>>,
    dead: BTreeMap<usize, BTreeSet<u32>>,
}

/// Several rules on one link, one after the other.
fn sum(rules: &BTreeMap<u32, LinkRule>) -> LinkRule {
    rules.values().fold(LinkRule::default(), |all, rule| all.and(*rule))
}

fn sum_clocks(settings: &BTreeMap<u32, ClockSetting>) -> ClockSetting {
    settings.values().fold(ClockSetting::default(), |a, b| ClockSetting {
        offset_ns: a.offset_ns.saturating_add(b.offset_ns),
        rate: a.rate * b.rate,
    })
}

impl Journal {
    /// A journal of a healthy cluster.
    pub fn new(cluster: Arc<dyn Cluster>) -> Journal {
        Journal { cluster, applied: Mutex::default() }
    }

    /// The cluster, for looking at it.
    pub fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    /// After a panic the entries are still right: they are written before the act.
    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts rules of `fault` on links, in place of its earlier ones there.
    pub fn links(&self, fault: u32, rules: &[(Link, LinkRule)]) -> Result<(), String> {
        let mut applied = self.applied();
        let mut sums = Vec::with_capacity(rules.len());
        for (link, rule) in rules {
            let of_link = applied.links.entry(link.clone()).or_default();
            of_link.insert(fault, *rule);
            sums.push((link.clone(), sum(of_link)));
        }
        self.cluster.set_links(&sums)
    }

    /// Stops a node's process.
    pub fn pause(&self, fault: u32, node: usize) -> Result<(), String> {
        self.applied().stopped.entry(node).or_default().insert(fault);
        self.cluster.pause(node)
    }

    /// Kills a node's process.
    pub fn kill(&self, fault: u32, node: usize) -> Result<(), String> {
        self.applied().dead.entry(node).or_default().insert(fault);
        self.cluster.kill(node)
    }

    /// Sets a node's clock, in place of what `fault` had set before.
    pub fn clock(&self, fault: u32, node: usize, setting: ClockSetting) -> Result<(), String> {
        let mut applied = self.applied();
        let of_node = applied.clocks.entry(node).or_default();
        of_node.insert(fault, setting);
        self.cluster.set_clock(node, sum_clocks(of_node))
    }

    /// Undoes everything that `fault` did. What cannot be undone stays in the journal; the error names all of it.
    pub fn undo(&self, fault: u32) -> Result<(), String> {
        let mut errors = Vec::new();
        // Links first: a node that is started or resumed behind a cut cable would not be seen to answer.
        self.undo_links(fault, &mut errors);
        self.undo_clocks(fault, &mut errors);
        self.undo_stops(fault, &mut errors);
        self.undo_kills(fault, &mut errors);
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// Undoes everything of every fault.
    pub fn undo_all(&self) -> Result<(), String> {
        let errors: Vec<String> = self.open().into_iter().filter_map(|f| self.undo(f).err()).collect();
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }

    /// The faults of which something is still applied.
    pub fn open(&self) -> BTreeSet<u32> {
        let applied = self.applied();
        let links = applied.links.values().flat_map(BTreeMap::keys);
        let clocks = applied.clocks.values().flat_map(BTreeMap::keys);
        let processes = applied.stopped.values().chain(applied.dead.values()).flatten();
        links.chain(clocks).chain(processes).copied().collect()
    }

    /// Whether a fault keeps bytes between two nodes from passing, in either direction.
    pub fn cut(&self, a: usize, b: usize) -> bool {
        let applied = self.applied();
        let cut = |from: usize, to: usize| {
            let link = Link { from: End::Node(from), to: End::Node(to) };
            applied.links.get(&link).is_some_and(|l| sum(l).pass != Pass::Flow)
        };
        cut(a, b) || cut(b, a)
    }

    fn undo_links(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        let mut rules = Vec::new();
        for (link, of_link) in applied.links.iter().filter(|(_, l)| l.contains_key(&fault)) {
            let mut rest = of_link.clone();
            rest.remove(&fault);
            rules.push((link.clone(), sum(&rest)));
        }
        if rules.is_empty() {
            return;
        }
        match self.cluster.set_links(&rules) {
            Ok(()) => {
                applied.links.values_mut().for_each(|l| {
                    l.remove(&fault);
                });
                applied.links.retain(|_, l| !l.is_empty());
            }
            Err(e) => errors.push(e),
        }
    }

    fn undo_clocks(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        for (node, of_node) in &mut applied.clocks {
            let Some(mine) = of_node.remove(&fault) else { continue };
            if let Err(e) = self.cluster.set_clock(*node, sum_clocks(of_node)) {
                of_node.insert(fault, mine);
                errors.push(e);
            }
        }
        applied.clocks.retain(|_, c| !c.is_empty());
    }

    fn undo_stops(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        for (node, by) in &mut applied.stopped {
            if !by.contains(&fault) {
                continue;
            }
            match if by.len() == 1 { self.cluster.resume(*node) } else { Ok(()) } {
                Ok(()) => drop(by.remove(&fault)),
                Err(e) => errors.push(e),
            }
        }
        applied.stopped.retain(|_, by| !by.is_empty());
    }

    fn undo_kills(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        for (node, by) in &mut applied.dead {
            if !by.contains(&fault) {
                continue;
            }
            match if by.len() == 1 { self.cluster.start(*node) } else { Ok(()) } {
                Ok(()) => drop(by.remove(&fault)),
                Err(e) => errors.push(e),
            }
        }
        applied.dead.retain(|_, by| !by.is_empty());
    }
}
