//! What a run has seen and not done: who took itself for primary when, and when its own controller stood still.
//!
//! ```text
//!   {"process":"nemesis","type":"info","f":"role","value":"n1 is primary in term 3, n2 is primary in term 4", …}
//!   {"process":"nemesis","type":"info","f":"stall","value":230000000, …}
//! ```
//! A role is what it is from then on, until the next one; two primaries at a time are what split brain looks like.
//! A stall ended at the time of its event, and lasted so many nanoseconds.

use crate::history::{FaultEvent, History};
use crate::op::NO_TIME;

/// The function of the events that say who is primary.
pub const ROLE: &str = "role";
/// The function of the events that say that the controller stood still.
pub const STALL: &str = "stall";
const BETWEEN: &str = " is primary in term ";
const NOBODY: &str = "no node says that it is primary";

/// A node that took itself for primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// Its name.
    pub node: String,
    /// The number of its term.
    pub term: u64,
    /// When it was first seen to be, in nanoseconds since the run began.
    pub from: i64,
    /// When it was first seen not to be any more, if it was.
    pub to: Option<i64>,
}

/// The value of an event: who is primary now.
pub fn role_text(primaries: &[(String, u64)]) -> String {
    if primaries.is_empty() {
        return NOBODY.to_string();
    }
    primaries.iter().map(|(node, term)| format!("{node}{BETWEEN}{term}")).collect::<Vec<_>>().join(", ")
}

/// Who is primary from an event on, if it says that: the inverse of [`role_text`] for names without a comma and a blank.
pub fn primaries(event: &FaultEvent) -> Option<Vec<(String, u64)>> {
    let text = event.value.as_text().filter(|_| event.f == ROLE)?;
    if text == NOBODY {
        return Some(Vec::new());
    }
    let one = |part: &str| {
        let (node, term) = part.rsplit_once(BETWEEN)?;
        Some((node.to_string(), term.parse().ok()?))
    };
    text.split(", ").map(one).collect()
}

/// Who was primary when, by their beginning. Empty where the system has no primary, or nobody wrote it down.
pub fn reigns(history: &History) -> Vec<Reign> {
    let mut all: Vec<Reign> = Vec::new();
    for event in history.faults.iter().filter(|event| event.time != NO_TIME) {
        let Some(now) = primaries(event) else { continue };
        for reign in all.iter_mut().filter(|reign| reign.to.is_none()) {
            if !now.iter().any(|(node, term)| *node == reign.node && *term == reign.term) {
                reign.to = Some(event.time);
            }
        }
        for (node, term) in now {
            if !all.iter().any(|r| r.to.is_none() && r.node == node && r.term == term) {
                all.push(Reign { node, term, from: event.time, to: None });
            }
        }
    }
    all
}

/// When the controller stood still, and for how long, in nanoseconds.
pub fn stalls(history: &History) -> Vec<(i64, i64)> {
    let stall = |event: &FaultEvent| {
        let length = event.value.as_int().filter(|_| event.f == STALL && event.time != NO_TIME)?;
        Some((event.time.saturating_sub(length.max(0)), length.max(0)))
    };
    history.faults.iter().filter_map(stall).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn history(said: &[(i64, &str)]) -> History {
        let event = |(time, text): &(i64, &str)| FaultEvent {
            time: *time,
            rank: 0,
            f: ROLE.to_string(),
            fault: None,
            phase: None,
            value: Value::text(text),
            line: 1,
        };
        History { faults: said.iter().map(event).collect(), ..History::default() }
    }

    #[test]
    fn what_is_written_is_read_again_as_reigns() {
        let of = |nodes: &[(&str, u64)]| {
            role_text(&nodes.iter().map(|(node, term)| (node.to_string(), *term)).collect::<Vec<_>>())
        };
        let said = [
            (1, of(&[("n1", 3)])),
            (5, of(&[("n1", 3), ("n2", 4)])),
            (7, of(&[])),
            (9, of(&[("n2", 4)])),
            (10, "n3 (term 2)".to_string()),
        ];
        let said: Vec<(i64, &str)> = said.iter().map(|(time, text)| (*time, text.as_str())).collect();
        let reign = |node: &str, term, from, to| Reign { node: node.to_string(), term, from, to };
        assert_eq!(
            reigns(&history(&said)),
            [reign("n1", 3, 1, Some(7)), reign("n2", 4, 5, Some(7)), reign("n2", 4, 9, None)]
        );
    }
}
