//! What to try first: who answered first, unless somebody else waits for it.

use super::chains::Chains;

/// What to try first.
#[derive(Clone, Debug)]
pub(crate) struct First {
    /// For each operation, when it is due: the smallest first.
    pub due: Vec<u32>,
    /// How much sooner an operation comes for each that waits for it.
    pub bonus: u32,
}

impl From<Vec<u32>> for First {
    fn from(due: Vec<u32>) -> First {
        First { due, bonus: 0 }
    }
}

/// For each operation, when it is due: when it was answered, or when something was that must come later, if that was
/// sooner. `earlier` are pairs that every legal order keeps. O(n + pairs), more where pairs go back in time.
///
/// ```text
///   P0   w x 1   w x 2         P1 read 1 long after P0 had written 2, so it must come before that:
///   P1   … … … … … … r x 1     all of P1 up to its read is due before w x 2
/// ```
pub(crate) fn due<O: Copy>(chains: &Chains<O>, earlier: &[(u32, u32)]) -> Vec<u32> {
    let mut due: Vec<u32> = chains.ops.iter().map(|op| op.hint).collect();
    let mut before: Vec<(u32, u32)> = earlier.iter().map(|&(a, b)| (b, a)).collect();
    before.sort_unstable();
    let mut changed: Vec<u32> = (0..due.len() as u32).collect();
    while let Some(op) = changed.pop() {
        let so_soon = due[op as usize];
        let first = chains.start[chains.ops[op as usize].process as usize];
        let previous = op.checked_sub(1).filter(|&p| p >= first);
        let at = before.partition_point(|&(of, _)| of < op);
        let derived = before[at..].iter().take_while(|pair| pair.0 == op).map(|pair| pair.1);
        for sooner in derived.chain(previous) {
            if due[sooner as usize] > so_soon {
                due[sooner as usize] = so_soon;
                changed.push(sooner);
            }
        }
    }
    due
}

/// The same, with every process sooner or later by up to `most`. Different for each `seed`.
pub(crate) fn shifted<O: Copy>(chains: &Chains<O>, due: &[u32], most: u32, seed: u64) -> Vec<u32> {
    let shift = |p: u32| {
        let mixed = (seed << 32 | u64::from(p)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32
    };
    let late: Vec<u32> = (0..chains.processes()).map(|p| (shift(p) % (u64::from(most) + 1)) as u32).collect();
    due.iter().zip(&chains.ops).map(|(due, op)| due + late[op.process as usize]).collect()
}
