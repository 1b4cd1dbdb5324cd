//! Breadth first: all configurations that can wait for one return, then all that can wait for the next. Ends at the very
//! return that cannot be explained.

use super::bits::Bits;
use super::config::{Config, Taken, Visited};
use super::meter::{At, Meter, vec_bytes};
use super::moves::{Move, Mover};
use super::race::Ended;
use super::window::Window;

/// A breadth-first search that can be interrupted and taken up again.
pub(crate) struct Breadth<'p, B> {
    mover: Mover<'p>,
    window: Window<'p, B>,
    layer: u32,
    /// What is to be done at this layer.
    work: Vec<(Config<B>, Node)>,
    /// What waits for the next return.
    next: Vec<(Config<B>, Node)>,
    visited: Visited<B>,
    moves: Vec<Move>,
    past: Past,
}

/// Where the past of a configuration begins, in [`Past`].
type Node = u32;

/// Nothing came before.
const ORIGIN: Node = u32::MAX;

impl<'p, B: Bits> Breadth<'p, B> {
    pub(crate) fn new(mover: Mover<'p>) -> Breadth<'p, B> {
        let plan = mover.plan;
        Breadth {
            window: Window::new(plan),
            mover,
            layer: 0,
            work: vec![(Config::start(plan), ORIGIN)],
            next: Vec::new(),
            visited: Visited::new(),
            moves: Vec::new(),
            past: Past::default(),
        }
    }

    /// Searches until it ends or `meter` says stop.
    pub(crate) fn run(&mut self, meter: &mut Meter<'_>) -> Option<Ended> {
        loop {
            if self.layer as usize == self.mover.plan.done.len() {
                let (_, node) = self.work.first().expect("a layer that was reached has configurations");
                return Some(Ended::Found(self.past.until(*node)));
            }
            if meter.pause(|| self.at()) {
                return None;
            }
            match self.work.pop() {
                Some((config, node)) => self.step(config, node, meter),
                None if self.next.is_empty() => return Some(Ended::Nowhere(self.layer)),
                None => {
                    self.layer += 1;
                    self.visited.clear();
                    std::mem::swap(&mut self.work, &mut self.next);
                    self.window.go(self.layer);
                    self.past.collect(&mut self.work);
                }
            }
        }
    }

    fn step(&mut self, mut config: Config<B>, mut node: Node, meter: &mut Meter<'_>) {
        meter.count();
        let (past, layer) = (&mut self.past, self.layer);
        self.mover.close(&mut config, &self.window, |index| node = past.add(node, (index, layer)));
        if config.debt.is_none() && !self.visited.insert(&config, &self.window.other, &self.mover.counts) {
            return;
        }
        if self.mover.returns(&config) {
            self.mover.advance(&mut config);
            self.next.push((config, node));
            return;
        }
        self.mover.moves(&config, &self.window, &mut self.moves);
        meter.weigh(self.moves.len());
        while let Some(chosen) = self.moves.pop() {
            let (after, took) = self.mover.apply(&config, &self.window, chosen);
            let node = match took {
                Some(index) => self.past.add(node, (index, layer)),
                None => node,
            };
            let waits = if after.layer > layer { &mut self.next } else { &mut self.work };
            waits.push((after, node));
        }
    }

    /// The return that it waits for.
    pub(crate) fn layer(&self) -> u32 {
        self.layer
    }

    /// Gives its memory back; it cannot go on.
    pub(crate) fn forget(&mut self) {
        (self.visited, self.work, self.next) = (Visited::new(), Vec::new(), Vec::new());
        (self.moves, self.past) = (Vec::new(), Past::default());
        self.mover.forget();
    }

    fn at(&self) -> At {
        let of = self.mover.plan.done.len() as u32;
        let open = self.window.open().count() as u32;
        At { depth: self.layer, of, open, bytes: self.bytes() as u64, states: 0 }
    }

    fn bytes(&self) -> usize {
        let heap = self.work.first().map_or(0, |(config, _)| config.done.heap_bytes() * 2);
        self.visited.bytes()
            + self.mover.bytes()
            + self.window.bytes()
            + vec_bytes(&self.work)
            + vec_bytes(&self.next)
            + (self.work.len() + self.next.len()) * heap
            + vec_bytes(&self.past.nodes)
            // While it is cleared up, each has a number.
            + self.past.nodes.len() * size_of::<Node>()
    }
}

/// What each configuration did, as a tree that grows from its root; what no configuration remembers is forgotten.
#[derive(Default)]
struct Past {
    nodes: Vec<(Node, Taken)>,
    kept: usize,
}

impl Past {
    fn add(&mut self, parent: Node, taken: Taken) -> Node {
        self.nodes.push((parent, taken));
        self.nodes.len() as Node - 1
    }

    fn until(&self, mut node: Node) -> Vec<Taken> {
        let mut taken = Vec::new();
        while node != ORIGIN {
            let (parent, what) = self.nodes[node as usize];
            taken.push(what);
            node = parent;
        }
        taken.reverse();
        taken
    }

    /// Forgets what is not before any of `alive`, once that may be most of it.
    fn collect<B>(&mut self, alive: &mut [(Config<B>, Node)]) {
        if self.nodes.len() < 4096 + 2 * self.kept {
            return;
        }
        let mut moved = vec![ORIGIN; self.nodes.len()];
        for (_, node) in alive.iter() {
            let mut at = *node;
            while at != ORIGIN && moved[at as usize] == ORIGIN {
                moved[at as usize] = 0;
                at = self.nodes[at as usize].0;
            }
        }
        // Parents come before their children, so one pass renumbers all.
        let mut kept = 0;
        for at in 0..self.nodes.len() {
            if moved[at] == ORIGIN {
                continue;
            }
            let (parent, what) = self.nodes[at];
            let parent = if parent == ORIGIN { ORIGIN } else { moved[parent as usize] };
            self.nodes[kept] = (parent, what);
            moved[at] = kept as Node;
            kept += 1;
        }
        self.nodes.truncate(kept);
        self.kept = kept;
        for (_, node) in alive.iter_mut().filter(|(_, node)| *node != ORIGIN) {
            *node = moved[*node as usize];
        }
    }
}
