//! Depth first: follows one order as far as it goes, then takes back the last choice. Finds an order fast where there is
//! one.

use super::bits::Bits;
use super::config::{Config, Taken, Visited};
use super::meter::{At, Meter, vec_bytes};
use super::moves::{Move, Mover};
use super::race::Ended;
use super::window::Window;

/// A depth-first search that can be interrupted and taken up again.
pub(crate) struct Depth<'p, B> {
    mover: Mover<'p>,
    window: Window<'p, B>,
    visited: Visited<B>,
    stack: Vec<Frame<B>>,
    moves: Vec<Move>,
    taken: Vec<Taken>,
    start: Option<Config<B>>,
    deepest: u32,
    kept: usize,
}

struct Frame<B> {
    config: Config<B>,
    /// How much was taken to get there.
    taken: u32,
    /// Where its moves begin; they end where those of the next frame begin. There is at least one.
    moves: u32,
    /// Where there are too many to be kept, how many of them were tried, the last first; they are made again.
    tried: Option<u32>,
}

/// More moves than this are not kept. Making them again costs as much as making those of the next configuration.
const KEPT: usize = 128;

impl<'p, B: Bits> Depth<'p, B> {
    pub(crate) fn new(mover: Mover<'p>) -> Depth<'p, B> {
        Depth::keeping(mover, KEPT)
    }

    /// With at most so many moves kept for each configuration.
    pub(crate) fn keeping(mover: Mover<'p>, kept: usize) -> Depth<'p, B> {
        let plan = mover.plan;
        Depth {
            kept,
            window: Window::new(plan),
            mover,
            visited: Visited::new(),
            stack: Vec::new(),
            moves: Vec::new(),
            taken: Vec::new(),
            start: Some(Config::start(plan)),
            deepest: 0,
        }
    }

    /// Searches until it ends or `meter` says stop.
    pub(crate) fn run(&mut self, meter: &mut Meter<'_>) -> Option<Ended> {
        if let Some(start) = self.start.take() {
            if self.enter(start, meter) {
                return Some(Ended::Found(std::mem::take(&mut self.taken)));
            }
        }
        loop {
            if meter.pause(|| self.at()) {
                return None;
            }
            let Some(frame) = self.stack.last_mut() else {
                // Without looking ahead, it gets exactly as far as there are orders.
                return Some(match self.mover.ahead {
                    true => Ended::Nothing(self.deepest),
                    false => Ended::Nowhere(self.deepest),
                });
            };
            self.taken.truncate(frame.taken as usize);
            let layer = frame.config.layer;
            self.window.go(layer);
            let first = frame.moves as usize;
            let (chosen, left) = match &mut frame.tried {
                None => {
                    let chosen = self.moves.pop().expect("a frame's moves are on top");
                    (chosen, self.moves.len() - first)
                }
                Some(tried) => {
                    self.mover.moves(&frame.config, &self.window, &mut self.moves);
                    let left = self.moves.len() - first - *tried as usize - 1;
                    let chosen = self.moves[first + left];
                    self.moves.truncate(first);
                    *tried += 1;
                    (chosen, left)
                }
            };
            let (next, took) = self.mover.apply(&frame.config, &self.window, chosen);
            // Nobody comes back to a frame without another choice.
            if left == 0 {
                self.stack.pop();
            }
            self.taken.extend(took.map(|index| (index, layer)));
            if self.enter(next, meter) {
                return Some(Ended::Found(std::mem::take(&mut self.taken)));
            }
        }
    }

    /// Does what needs no choice, and notes what there is to choose. Whether everything is done.
    fn enter(&mut self, mut config: Config<B>, meter: &mut Meter<'_>) -> bool {
        meter.count();
        loop {
            if config.layer as usize == self.mover.plan.done.len() {
                return true;
            }
            self.window.go(config.layer);
            let (taken, layer) = (&mut self.taken, config.layer);
            self.mover.close(&mut config, &self.window, |index| taken.push((index, layer)));
            if !self.mover.returns(&config) {
                break;
            }
            self.mover.advance(&mut config);
        }
        self.deepest = self.deepest.max(config.layer);
        // In debt, the future depends on the past: such configurations are not noted.
        if config.debt.is_none() && !self.visited.insert(&config, &self.window.other, &self.mover.counts) {
            return false;
        }
        let moves = self.moves.len();
        self.mover.moves(&config, &self.window, &mut self.moves);
        meter.weigh(self.moves.len() - moves);
        if self.moves.len() > moves {
            let tried = (self.moves.len() - moves > self.kept).then_some(0);
            if tried.is_some() {
                self.moves.truncate(moves);
            }
            let taken = self.taken.len() as u32;
            self.stack.push(Frame { config, taken, moves: moves as u32, tried });
        }
        false
    }

    /// The furthest layer that was reached: everything that returned before it has an order.
    pub(crate) fn deepest(&self) -> u32 {
        self.deepest
    }

    /// Gives its memory back; it cannot go on.
    pub(crate) fn forget(&mut self) {
        (self.visited, self.stack, self.moves) = (Visited::new(), Vec::new(), Vec::new());
        self.taken = Vec::new();
        self.mover.forget();
    }

    fn at(&self) -> At {
        let of = self.mover.plan.done.len() as u32;
        let open = self.window.open().count() as u32;
        At { depth: self.deepest, of, open, bytes: self.bytes() as u64, states: 0 }
    }

    fn bytes(&self) -> usize {
        self.visited.bytes()
            + self.mover.bytes()
            + self.window.bytes()
            + vec_bytes(&self.stack)
            + self.stack.first().map_or(0, |f| f.config.done.heap_bytes() * 2 * self.stack.len())
            + vec_bytes(&self.moves)
            + vec_bytes(&self.taken)
    }
}
