//! A violation as plain sentences, for those who listen to a screen reader or read a log.

use crate::clean;
use crate::picture::outcome;
use crate::plan::op_text;
use crate::summary::kind_title;
use crate::text::{list, many, moment, number_word, title};
use history::results::{Anomaly, CoreOp};

/// One violation without columns, colours or signs: the operations, the reasons, the conclusion, one sentence each.
pub fn narrated(anomaly: &Anomaly) -> String {
    let anomaly = &clean::anomaly(anomaly);
    let mut lines =
        vec![format!("{}: {}.", kind_title(&anomaly.kind), anomaly.sentence.trim_end_matches('.'))];
    if !anomaly.story.is_empty() {
        lines.push(anomaly.story.clone());
    }
    let n = anomaly.ops.len();
    let set = if anomaly.minimal {
        "the smallest set that cannot be put in order"
    } else {
        "a small set that cannot be put in order"
    };
    let number = if n == 1 {
        "One operation is".to_string()
    } else {
        format!("{} operations are", title(&number_word(n)))
    };
    lines.push(format!("{number} {set}."));
    lines.extend(anomaly.ops.iter().chain(&anomaly.refused).map(|op| operation(anomaly, op)));
    for edge in &anomaly.edges {
        lines.push(format!(
            "Reason {}: {} must come before {}, because {}.",
            edge.n,
            edge.from,
            edge.to,
            edge.text.trim_end_matches('.')
        ));
    }
    if anomaly.circle.len() > 1 {
        lines.push(format!("So {}, which is a circle: no order exists.", anomaly.circle.join(" before ")));
    }
    for row in &anomaly.orders {
        lines.push(format!(
            "{} beginning with {} at {}: {}.",
            title(&many(row.count, "order")) + if row.count == 1 { " fails" } else { " fail" },
            if row.prefix.is_empty() { "nothing".to_string() } else { list(&row.prefix) },
            row.breaks_at,
            row.because.trim_end_matches('.')
        ));
    }
    for c in &anomaly.coincides {
        let whom = if c.ops.is_empty() { String::new() } else { format!(" It overlaps {}.", list(&c.ops)) };
        lines.push(format!("Fault {}, {} {}, was in force.{whom}", c.fault, c.kind, c.what));
    }
    lines.iter().map(|l| format!("{}\n", l.replace('\u{a0}', " "))).collect()
}

fn operation(anomaly: &Anomaly, op: &CoreOp) -> String {
    let node = op.node.as_ref().map_or(String::new(), |n| format!(" through node {n}"));
    let sent =
        op.invoke_time.map_or(format!(" on line {}", op.invoke_line), |t| format!(" at {}", moment(t)));
    let answered = match (op.ret, op.ret_time) {
        (Some(_), Some(t)) => format!(" and answered at {}", moment(t)),
        (_, _) => String::new(),
    };
    let end = if op.fatal { " This is the one that fits nowhere." } else { "" };
    format!(
        "{}: client {}{node}, {}, sent{sent}{answered}, {}.{end}",
        op.label,
        op.process,
        op_text(anomaly, op),
        outcome(anomaly, op)
    )
}
