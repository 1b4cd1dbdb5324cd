//! The configurations whose moves are being tried, and how much memory those take.

/// How a configuration is left: some crashed operations, then one of a process.
#[derive(Clone, Debug)]
pub struct Move {
    /// Tails with the states that they lead to.
    pub crashed: Vec<(u32, u32)>,
    pub op: u32,
    pub to: u32,
}

/// A configuration whose moves are being tried, best last.
pub struct Branch {
    /// How many things were done before.
    pub done: usize,
    pub moves: Vec<Move>,
}

/// All of them, the deepest last. With thousands of processes each has thousands of moves.
#[derive(Default)]
pub struct Branches {
    all: Vec<Branch>,
    bytes: usize,
    /// How many bytes there were when memory was looked at last.
    looked: usize,
}

/// So many bytes more are worth a look at the memory.
const MORE: usize = 4 << 20;

impl Branches {
    pub fn push(&mut self, branch: Branch) {
        self.bytes += bytes_of(&branch.moves);
        self.all.push(branch);
    }

    /// The next move of the deepest configuration that has one left, and what was done before it.
    pub fn next(&mut self) -> Option<(usize, Move)> {
        loop {
            let branch = self.all.last_mut()?;
            let before = branch.moves.last().map_or(0, crashed_bytes);
            if let Some(next) = branch.moves.pop() {
                self.bytes -= before;
                return Some((branch.done, next));
            }
            self.bytes -= bytes_of(&branch.moves);
            self.all.pop();
        }
    }

    /// Whether there is much more than when memory was looked at last; then it is to be looked at now.
    pub fn grew(&mut self) -> bool {
        let grew = self.bytes > self.looked + MORE;
        if grew || self.bytes < self.looked {
            self.looked = self.bytes;
        }
        grew
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(moves: &Vec<Move>) -> usize {
    moves.capacity() * size_of::<Move>() + moves.iter().map(crashed_bytes).sum::<usize>()
}

fn crashed_bytes(one: &Move) -> usize {
    if one.crashed.is_empty() { 0 } else { one.crashed.capacity() * 8 + 16 }
}
