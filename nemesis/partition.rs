//! Cuts the network so that some nodes cannot hear others, and mends it again.

use crate::cluster::{End, Link, LinkRule, NodeState, Pass};
use crate::draw::Dice;
use crate::fault::{Asked, Claim, Drive, Fault, Site};
use history::{Event, Kind, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Who does not hear whom. One-way cuts are those where only one of a pair is deaf.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Grudge {
    /// Pairs of sender and receiver whose messages do not arrive.
    pub cut: BTreeSet<(usize, usize)>,
}

/// The shapes of partitions that can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One node by itself.
    One,
    /// The first half in order against the others.
    Halves,
    /// A random minority against a random majority.
    Majority,
    /// Everyone hears a majority, no two hear the same one.
    MajoritiesRing,
    /// Two halves, and one node that talks to both.
    Bridge,
    /// One node is not heard by the others, or does not hear them.
    OneWay,
    /// The primary by itself.
    Primary,
}

impl Shape {
    /// All of them.
    pub const ALL: [Shape; 7] = [
        Shape::One,
        Shape::Halves,
        Shape::Majority,
        Shape::MajoritiesRing,
        Shape::Bridge,
        Shape::OneWay,
        Shape::Primary,
    ];
}

impl Grudge {
    /// Components that do not hear each other.
    pub fn components(components: &[Vec<usize>]) -> Grudge {
        let mut cut = BTreeSet::new();
        for (i, a) in components.iter().enumerate() {
            for b in components.iter().skip(i + 1) {
                for (&x, &y) in a.iter().flat_map(|x| b.iter().map(move |y| (x, y))) {
                    cut.insert((x, y));
                    cut.insert((y, x));
                }
            }
        }
        Grudge { cut }
    }

    /// Two components, and a node that hears and is heard by both.
    pub fn bridge(left: &[usize], bridge: usize, right: &[usize]) -> Grudge {
        let mut grudge = Grudge::components(&[left.to_vec(), right.to_vec()]);
        grudge.cut.retain(|&(a, b)| a != bridge && b != bridge);
        grudge
    }

    /// `ring` is an order of all nodes: each hears only the majority that it is the middle of.
    pub fn majorities_ring(ring: &[usize]) -> Grudge {
        let n = ring.len();
        let majority = n / 2 + 1;
        let mut cut = BTreeSet::new();
        for start in 0..n {
            let hears: Vec<usize> = (0..majority).map(|i| ring[(start + i) % n]).collect();
            let middle = hears[majority / 2];
            cut.extend(ring.iter().filter(|s| !hears.contains(s)).map(|&s| (s, middle)));
        }
        Grudge { cut }
    }

    /// The messages of `from` do not reach `to`; those the other way do.
    pub fn one_way(from: &[usize], to: &[usize]) -> Grudge {
        let pairs = from.iter().flat_map(|&a| to.iter().map(move |&b| (a, b)));
        Grudge { cut: pairs.filter(|(a, b)| a != b).collect() }
    }

    /// The grudge of a shape among `nodes` nodes. `primary` is the node that takes itself for one.
    pub(crate) fn draw(shape: Shape, nodes: usize, primary: Option<usize>, dice: &mut Dice) -> Grudge {
        let mut order: Vec<usize> = (0..nodes).collect();
        if shape != Shape::Halves {
            dice.shuffle(&mut order);
        }
        if let (Shape::Primary, Some(primary)) = (shape, primary) {
            let at = order.iter().position(|&n| n == primary).unwrap_or(0);
            order.swap(0, at);
        }
        let (small, large) = order.split_at(nodes / 2);
        match shape {
            Shape::One | Shape::Primary => Grudge::components(&[order[..1].to_vec(), order[1..].to_vec()]),
            Shape::Halves | Shape::Majority => Grudge::components(&[small.to_vec(), large.to_vec()]),
            Shape::MajoritiesRing => Grudge::majorities_ring(&order),
            Shape::Bridge => Grudge::bridge(small, large[0], &large[1..]),
            Shape::OneWay if dice.below(2) == 0 => Grudge::one_way(&order[..1], &order[1..]),
            Shape::OneWay => Grudge::one_way(&order[1..], &order[..1]),
        }
    }

    /// Nodes that reach and are reached by less than a majority, themselves included.
    pub fn cut_off(&self, nodes: usize) -> Vec<usize> {
        let talks = |a: usize, b: usize| !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a));
        (0..nodes).filter(|&n| (0..nodes).filter(|&m| talks(n, m)).count() * 2 <= nodes).collect()
    }

    /// The components, if nobody hears anybody outside his own and everybody within.
    fn as_components(&self, nodes: usize) -> Option<Vec<Vec<usize>>> {
        let mut components: Vec<Vec<usize>> = Vec::new();
        for node in 0..nodes {
            let hears = |m: &usize| !self.cut.contains(&(*m, node));
            match components.iter_mut().find(|c| c.iter().any(hears)) {
                Some(component) => component.push(node),
                None => components.push(vec![node]),
            }
        }
        (Grudge::components(&components) == *self).then_some(components)
    }
}

/// A network that is cut by a grudge.
#[derive(Clone, Debug)]
pub struct Partition {
    grudge: Grudge,
    nodes: usize,
    /// Nodes whose clients are cut off, too.
    clients: Vec<usize>,
    primary: bool,
    pass: Pass,
    /// The key that was answered for last.
    key: Option<Value>,
    /// When the minority was asked last, after the injection.
    asked: Duration,
}

/// How often the minority is asked something, beside what clients ask it anyway: they mostly wait for its answers.
const ASK: Duration = Duration::from_millis(100);
/// How long it may take to answer that.
const ANSWER: Duration = Duration::from_millis(200);

impl Partition {
    /// Cuts links between nodes; `nodes` is how many there are. Bytes are held back in silence, as by a cut cable.
    pub fn new(grudge: Grudge, nodes: usize) -> Partition {
        let (clients, key, asked) = (Vec::new(), None, Duration::ZERO);
        Partition { grudge, nodes, clients, primary: false, pass: Pass::Stall, key, asked }
    }

    /// The same, said to be aimed at the primary.
    pub fn at_primary(self) -> Partition {
        Partition { primary: true, ..self }
    }

    /// The same, with the clients of these nodes cut off from them, too.
    pub fn with_clients_of(self, clients: Vec<usize>) -> Partition {
        Partition { clients, ..self }
    }

    /// The same, but connections are reset, so that everybody knows.
    pub fn loud(self) -> Partition {
        Partition { pass: Pass::Close, ..self }
    }

    fn words(&self, site: &Site<'_>) -> String {
        let mut words = match self.grudge.as_components(self.nodes) {
            Some(parts) if parts.len() > 1 => {
                parts.iter().map(|p| site.names(p)).collect::<Vec<_>>().join(" | ")
            }
            Some(_) | None => {
                let deaf = |to: usize| {
                    let from: Vec<usize> =
                        self.grudge.cut.iter().filter(|(_, t)| *t == to).map(|(f, _)| *f).collect();
                    (!from.is_empty()).then(|| format!("{} ↛ {}", site.names(&from), site.name(to)))
                };
                (0..self.nodes).filter_map(deaf).collect::<Vec<_>>().join(", ")
            }
        };
        for &node in &self.clients {
            let comma = if words.is_empty() { "" } else { ", " };
            words.push_str(&format!("{comma}clients | {}", site.name(node)));
        }
        if self.primary {
            words.push_str(" (the primary alone)");
        }
        words
    }

    /// Cut pairs, each once, whose both ends run, so that silence between them says something.
    fn askable(&self, site: &Site<'_>) -> Result<Vec<(usize, usize)>, String> {
        let mut running = Vec::with_capacity(self.nodes);
        for node in 0..self.nodes {
            running.push(site.cluster().state(node)? == NodeState::Running);
        }
        let mut pairs: Vec<(usize, usize)> =
            self.grudge.cut.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.retain(|&(a, b)| running[a] && running[b]);
        Ok(pairs)
    }
}

impl Fault for Partition {
    fn kind(&self) -> &'static str {
        "partition"
    }

    fn nodes(&self) -> Vec<usize> {
        let ends = self.grudge.cut.iter().flat_map(|&(a, b)| [a, b]).chain(self.clients.iter().copied());
        ends.collect::<BTreeSet<usize>>().into_iter().collect()
    }

    fn cut_off(&self) -> Vec<usize> {
        self.grudge.cut_off(self.nodes)
    }

    fn hits_primary(&self) -> bool {
        self.primary
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim::Reach]
    }

    fn inject(&mut self, site: &Site<'_>) -> Result<String, String> {
        let rule = LinkRule { pass: self.pass, ..LinkRule::default() };
        let between = self.grudge.cut.iter().map(|&(a, b)| (End::Node(a), End::Node(b)));
        let clients =
            self.clients.iter().flat_map(|&n| [(End::Clients, End::Node(n)), (End::Node(n), End::Clients)]);
        let rules: Vec<(Link, LinkRule)> =
            between.chain(clients).map(|(from, to)| (Link { from, to }, rule)).collect();
        site.journal.links(site.id, &rules)?;
        Ok(self.words(site))
    }

    fn saw(&mut self, event: &Event, _: &Site<'_>) {
        if event.kind == Kind::Ok && event.key.is_some() {
            self.key = event.key.clone();
        }
    }

    /// That a minority does not answer, or answers what the others would, is only known of one that was asked.
    fn drive(&mut self, _: &Site<'_>, elapsed: Duration) -> Result<Drive, String> {
        match self.cut_off().first() {
            Some(&node) if self.key.is_some() && elapsed >= self.asked + ASK => {
                self.asked = elapsed;
                Ok(Drive::Ask(Asked { node, key: self.key.clone(), timeout: ANSWER }))
            }
            Some(_) | None => Ok(Drive::Idle),
        }
    }

    fn bit(&mut self, site: &Site<'_>) -> Result<Option<String>, String> {
        // A probe is answered over the same links that the nodes' own messages take.
        for (a, b) in self.askable(site)?.into_iter().take(2) {
            if !site.cluster().probe(a, b)? {
                return Ok(Some(format!("{} got no answer from {}", site.name(a), site.name(b))));
            }
        }
        Ok(None)
    }

    fn healed(&mut self, site: &Site<'_>) -> Result<bool, String> {
        for (a, b) in self.askable(site)? {
            if !site.cluster().probe(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is deaf to whom: `to:from from`.
    fn table(grudge: &Grudge, nodes: usize) -> String {
        let deaf = |to: usize| {
            let from: String =
                grudge.cut.iter().filter(|(_, t)| *t == to).map(|(f, _)| f.to_string()).collect();
            (!from.is_empty()).then(|| format!("{to}:{from}"))
        };
        (0..nodes).filter_map(deaf).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn grudges_say_who_is_deaf_to_whom() {
        let two = Grudge::components(&[vec![0], vec![1, 2]]);
        assert_eq!(table(&two, 3), "0:12 1:0 2:0");
        assert_eq!(table(&Grudge::bridge(&[0, 1], 2, &[3, 4]), 5), "0:34 1:34 3:01 4:01");
        assert_eq!(table(&Grudge::one_way(&[0], &[1, 2]), 3), "1:0 2:0");
        assert_eq!(table(&Grudge::majorities_ring(&[0, 1, 2, 3, 4]), 5), "0:23 1:34 2:04 3:01 4:12");
    }

    #[test]
    fn in_a_ring_everyone_hears_a_majority_and_no_two_the_same() {
        for n in [3, 5, 7] {
            let ring: Vec<usize> = (0..n).collect();
            let grudge = Grudge::majorities_ring(&ring);
            let hears = |to: usize| -> Vec<usize> {
                (0..n).filter(|&from| !grudge.cut.contains(&(from, to))).collect()
            };
            let all: BTreeSet<Vec<usize>> = (0..n).map(hears).collect();
            assert_eq!(all.len(), n);
            assert!(all.iter().all(|h| h.len() == n / 2 + 1));
        }
    }

    #[test]
    fn the_minority_is_cut_off_and_the_majority_is_not() {
        assert_eq!(Grudge::components(&[vec![1], vec![0, 2]]).cut_off(3), [1]);
        assert_eq!(Grudge::components(&[vec![0, 3], vec![1, 2, 4]]).cut_off(5), [0, 3]);
        assert_eq!(Grudge::components(&[vec![0, 1], vec![2, 3]]).cut_off(4), [0, 1, 2, 3]);
        assert_eq!(Grudge::bridge(&[0], 1, &[2]).cut_off(3), [0; 0]);
    }

    #[test]
    fn every_shape_cuts_something_among_three_nodes_and_halves_are_the_first_ones() {
        for shape in Shape::ALL {
            let grudge = Grudge::draw(shape, 3, Some(2), &mut Dice::new(4));
            assert!(!grudge.cut.is_empty(), "{shape:?}");
        }
        assert_eq!(Grudge::draw(Shape::Primary, 5, Some(3), &mut Dice::new(9)).cut_off(5), [3]);
        assert_eq!(Grudge::draw(Shape::Halves, 5, None, &mut Dice::new(9)).cut_off(5), [0, 1]);
    }
}
