//! What is applied to a cluster, by which fault, so that exactly that can be undone, whatever happens.

use crate::cluster::{ClockSetting, Cluster, End, Link, LinkRule, NodeState, Pass};
use crate::ports::{Damage, DiskState};
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
    disks: BTreeMap<usize, BTreeSet<u32>>,
    frozen: BTreeMap<usize, BTreeSet<u32>>,
    stopped: BTreeMap<Daemon, BTreeSet<u32>>,
    gone: BTreeMap<usize, BTreeSet<u32>>,
    damaged: BTreeMap<usize, BTreeSet<u32>>,
    dead: BTreeMap<Daemon, BTreeSet<u32>>,
}

/// A node's processes: all of them, or one part's.
type Daemon = (usize, Option<String>);

/// Takes `fault` out of everything that it is in; who was the last to hold a thing undoes it first.
fn undo_each<K: Clone + Ord>(
    held: &mut BTreeMap<K, BTreeSet<u32>>,
    fault: u32,
    errors: &mut Vec<String>,
    undo: impl Fn(&K) -> Result<(), String>,
) {
    for (thing, by) in held.iter_mut().filter(|(_, by)| by.contains(&fault)) {
        match if by.len() == 1 { undo(thing) } else { Ok(()) } {
            Ok(()) => drop(by.remove(&fault)),
            Err(e) => errors.push(e),
        }
    }
    held.retain(|_, by| !by.is_empty());
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

    /// Stops a node's processes, or one part's.
    pub fn pause(&self, fault: u32, node: usize, part: Option<&str>) -> Result<(), String> {
        self.applied().stopped.entry((node, part.map(str::to_string))).or_default().insert(fault);
        match part {
            Some(part) => self.cluster.parts()?.pause_part(node, part),
            None => self.cluster.pause(node),
        }
    }

    /// Kills a node's processes, or one part's.
    pub fn kill(&self, fault: u32, node: usize, part: Option<&str>) -> Result<(), String> {
        self.applied().dead.entry((node, part.map(str::to_string))).or_default().insert(fault);
        match part {
            Some(part) => self.cluster.parts()?.kill_part(node, part),
            None => self.cluster.kill(node),
        }
    }

    /// Cuts the power of some nodes at one instant.
    pub fn power_loss(&self, fault: u32, nodes: &[usize]) -> Result<(), String> {
        let disks = self.cluster.disks()?;
        {
            let mut applied = self.applied();
            for &node in nodes {
                applied.dead.entry((node, None)).or_default().insert(fault);
            }
        }
        disks.power_loss(nodes)
    }

    /// Makes a node's disk do something that it should not.
    pub fn disk(&self, fault: u32, node: usize, state: DiskState) -> Result<(), String> {
        let disks = self.cluster.disks()?;
        self.applied().disks.entry(node).or_default().insert(fault);
        disks.set_disk(node, state)
    }

    /// Damages a file of a node whose processes are dead. Says what was done.
    pub fn damage(&self, fault: u32, node: usize, how: Damage, at: u32) -> Result<String, String> {
        let files = self.cluster.files()?;
        self.applied().damaged.entry(node).or_default().insert(fault);
        files.damage(node, how, at)
    }

    /// Starts a node that `fault` has killed while its file is damaged. `Err` if it refuses; it is dead then as before.
    pub fn try_start(&self, fault: u32, node: usize) -> Result<(), String> {
        self.cluster.start(node).inspect_err(|_| drop(self.cluster.kill(node)))?;
        let mut applied = self.applied();
        if let Some(by) = applied.dead.get_mut(&(node, None)) {
            by.remove(&fault);
        }
        applied.dead.retain(|_, by| !by.is_empty());
        Ok(())
    }

    /// Freezes a node.
    pub fn freeze(&self, fault: u32, node: usize) -> Result<(), String> {
        let freezer = self.cluster.freezer()?;
        self.applied().frozen.entry(node).or_default().insert(fault);
        freezer.freeze(node)
    }

    /// Takes a node out of the system.
    pub fn leave(&self, fault: u32, node: usize) -> Result<(), String> {
        let members = self.cluster.members()?;
        self.applied().gone.entry(node).or_default().insert(fault);
        members.leave(node)
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
        // Disks before processes: who waits for a disk can neither go on nor die.
        self.undo_disks(fault, &mut errors);
        self.undo_processes(fault, &mut errors);
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
        let nodes = [&applied.disks, &applied.frozen, &applied.gone, &applied.damaged];
        let nodes = nodes.into_iter().flat_map(|held| held.values().flatten());
        links.chain(clocks).chain(processes).chain(nodes).copied().collect()
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

    fn undo_disks(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        let dead: BTreeSet<usize> = applied.dead.keys().map(|(node, _)| *node).collect();
        undo_each(&mut applied.disks, fault, errors, |&node| {
            self.cluster.disks()?.set_disk(node, DiskState::Healthy)?;
            // Who could not write has perhaps ended; who was killed by another fault is that one's to start.
            if !dead.contains(&node) && self.cluster.state(node)? == NodeState::Dead {
                self.cluster.start(node)?;
            }
            Ok(())
        });
    }

    fn undo_processes(&self, fault: u32, errors: &mut Vec<String>) {
        let mut applied = self.applied();
        let killed: BTreeSet<usize> = applied.dead.keys().map(|(node, _)| *node).collect();
        undo_each(&mut applied.frozen, fault, errors, |&node| self.cluster.freezer()?.thaw(node));
        undo_each(&mut applied.stopped, fault, errors, |(node, part)| match part {
            Some(part) => self.cluster.parts()?.resume_part(*node, part),
            None => self.cluster.resume(*node),
        });
        undo_each(&mut applied.gone, fault, errors, |&node| self.cluster.members()?.join(node));
        // A node that runs has taken the file as it is, and made it its own; one that does not gets back what it had.
        undo_each(&mut applied.damaged, fault, errors, |&node| {
            let dead = self.cluster.state(node)? == NodeState::Dead;
            self.cluster.files()?.mend(node, dead)?;
            if dead && !killed.contains(&node) { self.cluster.start(node) } else { Ok(()) }
        });
        undo_each(&mut applied.dead, fault, errors, |(node, part)| match part {
            Some(part) => self.cluster.parts()?.start_part(*node, part),
            None => self.cluster.start(*node),
        });
    }
}
