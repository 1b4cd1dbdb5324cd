//! Who was primary when, as rows of the still timeline, and in words beside an anomaly.

use crate::buckets::Axis;
use crate::clean::clean_to;
use crate::picture::wide;
use crate::text::{cut, list, moment};
use crate::timeline::px;
use history::results::Anomaly;
use history::{History, Reign, reigns};
use maud::{Markup, html};

/// Rows of the picture: more primaries than this at a time share the last.
const ROWS_MAX: usize = 4;
/// Bars of the picture: an election every second for an hour is a stripe, whatever its names.
const BARS_MAX: usize = 600;
pub const ROW: f64 = 15.0;
const LETTER: f64 = 11.5;

/// The reigns of a run, each in the first row that is free.
pub struct Roles {
    bars: Vec<(Reign, usize)>,
    /// How many rows.
    pub rows: usize,
    /// How many bars were left out.
    pub more: usize,
}

impl Roles {
    /// Of a history; empty where nobody is primary, or where there are no times.
    pub fn new(history: &History, axis: Axis) -> Roles {
        let all = if axis.timed { reigns(history) } else { Vec::new() };
        let more = all.len().saturating_sub(BARS_MAX);
        let mut free: Vec<i64> = Vec::new();
        let mut bars = Vec::new();
        for reign in all.into_iter().take(BARS_MAX) {
            let row = free.iter().position(|end| *end <= reign.from).unwrap_or(free.len()).min(ROWS_MAX - 1);
            free.resize(free.len().max(row + 1), i64::MIN);
            free[row] = free[row].max(reign.to.unwrap_or(i64::MAX));
            bars.push((reign, row));
        }
        Roles { bars, rows: free.len(), more }
    }

    /// The rows, from `y` down; `x` gives the place of a time.
    pub fn draw(&self, y: f64, left: f64, end: i64, x: impl Fn(i64) -> f64) -> Markup {
        html! {
            @if self.rows > 0 { text class="axis" x=(left) y=(px(y + 10.5)) text-anchor="end" { "primary" } }
            @for (reign, row) in &self.bars {
                @let (from, to) = (x(reign.from), x(reign.to.unwrap_or(end)));
                @let name = cut(&clean_to(&reign.node, 40), 24);
                @let label = [format!("{name} · term {}", reign.term), name].into_iter().find(|l| wide(l, LETTER) + 8.0 < to - from);
                @let y = y + *row as f64 * ROW;
                g.role {
                    title { (told(reign)) ", " (moment(reign.from)) " to " @match reign.to { Some(to) => (moment(to)), None => "the end" } }
                    rect x=(px(from)) y=(px(y)) width=(px((to - from).max(1.0))) height=(px(ROW - 2.0)) rx="2" {}
                    @if let Some(label) = label { text x=(px(from + 4.0)) y=(px(y + 10.0)) { (label) } }
                }
            }
        }
    }
}

/// `n1 as primary of term 3`
fn told(reign: &Reign) -> String {
    format!("{} as primary of term {}", clean_to(&reign.node, 60), reign.term)
}

/// Who took itself for primary between the first and the last event of a core; nothing where nobody says so.
pub fn beside(history: &History, anomaly: &Anomaly) -> Option<String> {
    let from = anomaly.ops.iter().filter_map(|op| op.invoke_time).min()?;
    // An operation that was never answered has no end that matters: its deadline may be long after all this.
    let ends = anomaly.ops.iter().filter(|op| op.outcome != "info").filter_map(|op| op.ret_time);
    let to = ends.chain(anomaly.ops.iter().filter_map(|op| op.invoke_time)).max()?;
    let all = reigns(history);
    if all.is_empty() {
        return None;
    }
    let then: Vec<&Reign> =
        all.iter().filter(|r| r.from <= to && r.to.is_none_or(|end| end >= from)).collect();
    let during = |r: &&Reign| {
        let mut words = format!("{} (term {}", clean_to(&r.node, 60), r.term);
        if r.from > from {
            words += &format!(", from {}", moment(r.from));
        }
        if let Some(end) = r.to.filter(|end| *end < to) {
            words += &format!(", until {}", moment(end));
        }
        words + ")"
    };
    Some(match then.len() {
        0 => "No node said that it was primary then.".to_string(),
        1 => format!("Primary then: {}.", during(&then[0])),
        _ => format!("Primaries then: {}.", list(&then.iter().map(during).collect::<Vec<_>>())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use history::{FaultEvent, ROLE, Value};

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
    fn two_primaries_at_a_time_have_two_rows() {
        let history = history(&[
            (0, "n1 is primary in term 1"),
            (50, "n1 is primary in term 1, n2 is primary in term 2"),
            (70, "n2 is primary in term 2"),
            (90, "n3 is primary in term 3"),
        ]);
        let axis = Axis { from: 0, to: 100, timed: true };
        let roles = Roles::new(&history, axis);
        assert_eq!(roles.rows, 2);
        assert_eq!(
            roles.bars.iter().map(|(r, row)| (r.node.as_str(), *row)).collect::<Vec<_>>(),
            [("n1", 0), ("n2", 1), ("n3", 0)]
        );
        let svg = roles.draw(0.0, 80.0, 100, |t| t as f64 * 10.0).into_string();
        assert!(svg.contains("n1 · term 1") && svg.contains("n2 as primary of term 2"), "{svg}");
        assert_eq!(Roles::new(&history, Axis { timed: false, ..axis }).rows, 0);
    }
}
