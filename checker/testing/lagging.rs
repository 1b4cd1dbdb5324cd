//! Histories that are sequential and nowhere near linearizable: every process sees one order of all operations, each as
//! late as it likes. And the same with one lie that no key shows alone.
//!
//! ```text
//!   order of all      P0 w x 1    P1 r x 1    P0 w x 2    P2 r x 2    P1 r x 2
//!   in real time      P0 |w x 1|    |w x 2|
//!                     P2               |r x 2|
//!                     P1                          |r x 1|  |r x 2|        long after x was 2
//! ```
//! Operations take effect one after the other; a process answers for its own with a delay that drifts. So program order
//! is kept and real time is not, for writes as for reads.

use super::Rng;

/// What a history of late processes is like.
#[derive(Clone, Copy, Debug)]
pub struct Lagging {
    /// Operations in all.
    pub ops: u32,
    /// Processes.
    pub processes: u32,
    /// Registers.
    pub keys: u32,
    /// Percent of operations that write.
    pub writes: u32,
    /// How many operations of others a process may be late by.
    pub lag: u32,
    /// Written values are drawn from so many; none: each is written once.
    pub values: Option<u32>,
    /// The lie that is told.
    pub lie: Option<Lie>,
}

/// Four reads or fewer that no order of all operations explains, though every key alone has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The second of two writes is seen without the first. Two processes, one of which reads.
    Message,
    /// Two processes write, and neither sees what the other wrote before.
    StoreBuffer,
    /// Two readers see two writes in different orders.
    Readers,
}

/// One operation of a register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub process: u32,
    /// Which register.
    pub key: u32,
    /// Whether it wrote.
    pub write: bool,
    /// What it wrote, or read; 0 is the initial value.
    pub value: u32,
    /// When it was sent; answered one later. Times are unique.
    pub invoke: u32,
}

impl Lagging {
    /// The operations in the order in which they were sent. O(n log n).
    ///
    /// # Panics
    /// If there are no keys or no processes, or fewer than two keys or four processes for a lie.
    pub fn accesses(&self, rng: &mut Rng) -> Vec<Access> {
        assert!(self.processes > 0 && self.keys > 0, "somebody, and something to read");
        assert!(
            self.lie.is_none() || (self.keys > 1 && self.processes > 3),
            "a lie takes 2 keys and 4 processes"
        );
        let mut holds = vec![0; self.keys as usize];
        let mut fresh = 0;
        let mut order: Vec<(u32, u32, bool, u32)> = Vec::with_capacity(self.ops as usize);
        let at = self.lie.map(|_| self.ops / 2 + rng.below((self.ops as usize / 4).max(1)) as u32);
        while (order.len() as u32) < self.ops {
            if at == Some(order.len() as u32) {
                self.tell(&mut holds, &mut fresh, &mut order, rng);
            }
            let (process, key) = (rng.below(self.processes as usize) as u32, rng.below(self.keys as usize));
            let write = (rng.below(100) as u32) < self.writes;
            if write {
                fresh += 1;
                holds[key] = self.values.map_or(fresh, |v| 1 + rng.below(v as usize) as u32);
            }
            order.push((process, key as u32, write, holds[key]));
        }
        self.in_time(&order, rng)
    }

    /// Appends the lie: values that occur nowhere else, so that it is one wherever it stands.
    fn tell(
        &self,
        holds: &mut [u32],
        fresh: &mut u32,
        order: &mut Vec<(u32, u32, bool, u32)>,
        rng: &mut Rng,
    ) {
        let Some(lie) = self.lie else { return };
        let first = rng.below(self.processes as usize) as u32;
        let p = |n: u32| (first + n) % self.processes;
        let x = rng.below(self.keys as usize) as u32;
        let y = (x + 1 + rng.below(self.keys as usize - 1) as u32) % self.keys;
        // Values above all others, if those are drawn from a few.
        let base = self.values.unwrap_or(*fresh);
        let (old_x, new_x, old_y, new_y) = (base + 1, base + 2, base + 3, base + 4);
        *fresh += 4;
        (holds[x as usize], holds[y as usize]) = (new_x, new_y);
        let write = |process, key, value| (process, key, true, value);
        let read = |process, key, value| (process, key, false, value);
        order.extend(match lie {
            Lie::Message => vec![
                write(p(0), x, old_x),
                write(p(0), x, new_x),
                write(p(0), y, new_y),
                read(p(1), y, new_y),
                read(p(1), x, old_x),
            ],
            Lie::StoreBuffer => vec![
                write(p(0), x, old_x),
                write(p(1), y, old_y),
                write(p(0), x, new_x),
                write(p(1), y, new_y),
                read(p(0), y, old_y),
                read(p(1), x, old_x),
            ],
            Lie::Readers => vec![
                write(p(0), x, old_x),
                write(p(0), x, new_x),
                write(p(1), y, old_y),
                write(p(1), y, new_y),
                read(p(2), x, new_x),
                read(p(2), y, old_y),
                read(p(3), y, new_y),
                read(p(3), x, old_x),
            ],
        });
    }

    /// Gives every operation its time, with the delay of its process.
    fn in_time(&self, order: &[(u32, u32, bool, u32)], rng: &mut Rng) -> Vec<Access> {
        let processes = self.processes as usize;
        let lag = self.lag as usize + 1;
        let mut late: Vec<u64> = (0..processes).map(|_| rng.below(lag) as u64).collect();
        let mut busy_until = vec![0u64; processes];
        let mut timed: Vec<(u64, u32)> = Vec::with_capacity(order.len());
        for (i, &(process, ..)) in (0u32..).zip(order) {
            let p = process as usize;
            if rng.once_in(lag / 4 + 1) {
                late[p] = rng.below(lag) as u64;
            }
            let time = (u64::from(i) + late[p]).max(busy_until[p]);
            busy_until[p] = time + 1;
            timed.push((time, i));
        }
        timed.sort_unstable();
        (0..)
            .zip(timed)
            .map(|(rank, (_, i))| {
                let (process, key, write, value) = order[i as usize];
                Access { process, key, write, value, invoke: 2 * rank }
            })
            .collect()
    }
}
