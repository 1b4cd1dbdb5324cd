//! Which processes were one worker: a worker whose call was never answered goes on as a new process, and stays in its row.
//!
//! Jepsen and this tool number the next process of a worker a stride further on. A run of ours says how far that is. Other
//! histories do not, so it is found in them; where no stride explains nearly all late processes,
//! every process has a row of its own.

use history::{History, Outcome};
use std::collections::HashMap;

/// Ends of processes that are looked at to find the stride.
const PAIRS: usize = 64;

/// The rows of a timeline.
#[derive(Debug, PartialEq, Eq)]
pub struct Workers {
    /// Row of each dense process.
    pub row: Vec<u32>,
    /// First process of each row, by its name in the file.
    pub first: Vec<i64>,
}

struct Life {
    name: i64,
    /// Line of its first event.
    first: u32,
    /// Line of its last event. Lines and not ranks: a call that was given up has no rank for that.
    last: u32,
    /// Line of its last call.
    called: u32,
    /// Whether its last call was given up.
    crashed: bool,
}

/// Finds the workers. `said` is the stride, if somebody says so. O(n + p log p) in operations and
/// processes.
pub fn workers(history: &History, said: Option<i64>) -> Workers {
    let mut lives: Vec<Life> = history
        .processes
        .iter()
        .map(|&name| Life { name, first: u32::MAX, last: 0, called: 0, crashed: false })
        .collect();
    for op in &history.ops {
        let life = &mut lives[op.process as usize];
        life.first = life.first.min(op.invoke_line);
        life.last = life.last.max(op.ret_line.max(op.invoke_line));
        life.called = life.called.max(op.invoke_line);
        life.crashed = op.outcome == Outcome::Info && op.ret_line > 0;
    }
    let by_name: HashMap<i64, usize> = lives.iter().enumerate().map(|(i, life)| (life.name, i)).collect();
    let before = |i: usize, stride: i64| -> Option<usize> {
        let &before = by_name.get(&lives[i].name.checked_sub(stride)?)?;
        (lives[before].last < lives[i].first).then_some(before)
    };
    let stride = if said.is_some() { None } else { stride(&lives, &before) };
    let mut order: Vec<usize> = (0..lives.len()).filter(|&i| lives[i].first != u32::MAX).collect();
    order.sort_by_key(|&i| lives[i].first);
    let mut row: Vec<Option<u32>> = vec![None; lives.len()];
    let mut first: Vec<i64> = Vec::new();
    // Of workers that are known: their latest process, by what all its numbers have in common.
    let mut latest: HashMap<i64, usize> = HashMap::new();
    for i in order {
        let kept = match said.filter(|said| *said > 0) {
            Some(said) => {
                let class = lives[i].name.rem_euclid(said);
                let before = latest.get(&class).copied();
                // Its last call may stay open while the next process is at work, and may even be answered then.
                let follows = before.is_none_or(|before| lives[before].called < lives[i].first);
                if follows {
                    latest.insert(class, i);
                }
                before.filter(|_| follows).and_then(|before| row[before])
            }
            None => stride.and_then(|stride| before(i, stride)).and_then(|before| row[before]),
        };
        row[i] = Some(kept.unwrap_or_else(|| {
            first.push(lives[i].name);
            first.len() as u32 - 1
        }));
    }
    // Rows by the number of their first process, as people look for them.
    let mut places: Vec<u32> = (0..first.len() as u32).collect();
    places.sort_by_key(|&r| first[r as usize]);
    let mut rank = vec![0u32; first.len()];
    for (place, &r) in places.iter().enumerate() {
        rank[r as usize] = place as u32;
    }
    first.sort_unstable();
    Workers { row: row.into_iter().map(|r| r.map_or(0, |r| rank[r as usize])).collect(), first }
}

/// The distance that leads from nearly every process that began after the first crash to one that had ended.
fn stride(lives: &[Life], before: &dyn Fn(usize, i64) -> Option<usize>) -> Option<i64> {
    let crash = lives.iter().filter(|life| life.crashed).map(|life| life.last).min()?;
    let mut late: Vec<usize> =
        (0..lives.len()).filter(|&i| lives[i].first > crash && lives[i].first != u32::MAX).collect();
    late.sort_by_key(|&i| lives[i].first);
    let crashed: Vec<&Life> = lives.iter().filter(|life| life.crashed).take(PAIRS).collect();
    let mut candidates: Vec<i64> = late
        .iter()
        .take(PAIRS)
        .flat_map(|&i| crashed.iter().filter_map(move |life| lives[i].name.checked_sub(life.name)))
        .filter(|&stride| stride > 0)
        .collect();
    candidates.sort_unstable();
    candidates.dedup();
    let explained = |stride: i64| late.iter().filter(|&&i| before(i, stride).is_some()).count();
    let best = candidates.into_iter().max_by_key(|&stride| (explained(stride), std::cmp::Reverse(stride)))?;
    (explained(best) * 10 >= late.len() * 9).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::ReadOptions;

    fn rows(lines: &str, said: Option<i64>) -> Workers {
        workers(
            &history::read(
                "test",
                Box::new(lines.as_bytes().to_vec().leak() as &[u8]),
                &ReadOptions::default(),
            )
            .expect("a history"),
            said,
        )
    }

    fn line(process: i64, kind: &str) -> String {
        format!("{{\"process\":{process},\"type\":\"{kind}\",\"f\":\"write\",\"value\":1}}\n")
    }

    #[test]
    fn a_worker_keeps_its_row_when_its_call_was_never_answered() {
        let events = [
            (0, "invoke"),
            (1, "invoke"),
            (0, "info"),
            (2, "invoke"),
            (2, "ok"),
            (1, "info"),
            (3, "invoke"),
            (3, "info"),
            (5, "invoke"),
            (5, "ok"),
        ];
        let lines: String = events.iter().map(|(process, kind)| line(*process, kind)).collect();
        let workers = rows(&lines, None);
        assert_eq!(workers.first, [0, 1]);
        assert_eq!(workers.row, [0, 1, 0, 1, 1]);
    }

    #[test]
    fn a_call_that_stays_open_while_its_worker_goes_on_is_in_its_row_too() {
        let events = [
            (0, "invoke"),
            (1, "invoke"),
            (2, "invoke"),
            (3, "invoke"),
            (3, "ok"),
            (0, "info"),
            (2, "info"),
            (4, "invoke"),
            (1, "info"),
        ];
        let lines: String = events.iter().map(|(process, kind)| line(*process, kind)).collect();
        assert_eq!(rows(&lines, Some(2)).row, [0, 1, 0, 1, 0]);
        // Whoever does not know how many there were would take them for workers of their own.
        assert_eq!(rows(&lines, None).first, [0, 1, 2, 3]);
    }

    #[test]
    fn clients_that_merely_come_late_have_rows_of_their_own() {
        let events = [
            (0, "invoke"),
            (0, "info"),
            (7, "invoke"),
            (3, "invoke"),
            (3, "ok"),
            (7, "ok"),
            (4, "invoke"),
            (4, "ok"),
        ];
        let lines: String = events.iter().map(|(process, kind)| line(*process, kind)).collect();
        assert_eq!(rows(&lines, None).first, [0, 3, 4, 7]);
    }
}
