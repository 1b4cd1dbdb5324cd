//! A violation as lines of text, after the way compilers explain errors: what, where, the picture, why, what next.

use super::style::Ink;
use super::verdict::Paths;
use super::{Look, WIDTH_MAX, WIDTH_MIN, picture};
use crate::clean;
use crate::picture::seen_to_happen;
use crate::plan::{op_text, shown};
use crate::summary::orders_heading;
use crate::text::{count, list, many, moment};
use history::results::{Anomaly, FaultRecord, OrderRow, Results};

/// At most this many violations in full.
const FULL_MAX: usize = 3;
/// One line each for at most this many more.
const LINES_MAX: usize = 20;
/// Rows of a table of orders.
const ORDERS_MAX: usize = 16;

/// What a violation cannot know of itself.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Path of the history.
    pub history: Option<String>,
    /// Further facts, one line each.
    pub notes: Vec<String>,
    /// What to do next, and the command for it.
    pub helps: Vec<(String, String)>,
}

/// All violations: the first of each shape in full (at most three), the others in a line each, those beyond that counted.
/// Ends without an empty line; empty if there is none.
pub fn anomalies(results: &Results, paths: &Paths, look: &Look) -> String {
    let results = clean::results(results);
    let all = &results.anomalies;
    let mut out = String::new();
    let (full, brief): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(|&i| first_of_pattern(all, i));
    let (full, late) = full.split_at(full.len().min(FULL_MAX));
    for (n, &i) in full.iter().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        out.push_str(&explained(&all[i], &around(&results, paths, i), look));
    }
    let mut rest: Vec<usize> = late.iter().chain(&brief).copied().collect();
    rest.sort_unstable();
    if !rest.is_empty() {
        out.push('\n');
    }
    for &i in rest.iter().take(LINES_MAX) {
        let a = &all[i];
        let line = format!("error[{}]: {} ({})", a.kind, a.sentence, crate::anomaly::place(a));
        out.push_str(&format!("{}\n", wrap(&look.say(&line), look.width.clamp(40, WIDTH_MAX), 2).join("\n")));
    }
    if rest.len() > LINES_MAX {
        let line = format!("and {}", many((rest.len() - LINES_MAX) as u64, "more anomaly"));
        out.push_str(&format!("{}\n", look.say(&line)));
    }
    if results.anomalies_more > 0 {
        let line = format!(
            "and {} that were not explained",
            many(u64::from(results.anomalies_more), "more violated object")
        );
        out.push_str(&format!("{}\n", look.say(&line)));
    }
    out
}

/// A second one of the same shape teaches nothing new.
fn first_of_pattern(all: &[Anomaly], i: usize) -> bool {
    !all[..i].iter().any(|a| a.fingerprint == all[i].fingerprint && a.property == all[i].property)
}

/// What stands around the violation at `index`. The results must be clean.
pub(crate) fn around(results: &Results, paths: &Paths, index: usize) -> Around {
    let me = &results.anomalies[index];
    let same: Vec<String> = results
        .anomalies
        .iter()
        .filter(|a| a.id != me.id && a.fingerprint == me.fingerprint && a.property == me.property)
        .map(crate::anomaly::place)
        .collect();
    let mut notes: Vec<String> = me.coincides.iter().map(|c| coincidence(me, c, &results.faults)).collect();
    if !same.is_empty() {
        let named = if same.len() <= 3 { same.join(", ") } else { format!("{}, …", same[..3].join(", ")) };
        notes.push(format!("{} more of the same shape ({named})", count(same.len() as u64)));
    }
    let mut helps = Vec::new();
    let mut help = |what: String, path: &Option<String>, command: &str| {
        if let Some(path) = path {
            helps.push((what, format!("{command}{path}")));
        }
    };
    if index == 0 {
        help("open the report".to_string(), &paths.report, "");
    }
    let core = paths.cores.get(index).cloned();
    help(format!("check only these {}", me.ops.len()), &core, "perjury check ");
    helps.push(("what this means".to_string(), format!("perjury explain {}", me.kind)));
    Around { history: paths.history.as_deref().map(clean::clean), notes, helps }
}

fn coincidence(anomaly: &Anomaly, c: &history::results::Coincidence, faults: &[FaultRecord]) -> String {
    let when = faults.iter().find(|f| f.id == c.fault).map(|f| match f.healed {
        Some(healed) => format!(" ({} to {})", moment(f.injected), moment(healed)),
        None => format!(" (from {})", moment(f.injected)),
    });
    let whom = if c.ops.len() == anomaly.ops.len() { "all".to_string() } else { list(&c.ops) };
    let during = if c.ops.is_empty() { "near".to_string() } else { format!("{whom} during") };
    format!("{during} fault {} {}{}", c.kind, c.what, when.unwrap_or_default())
}

/// One violation. Ends with a line break.
pub fn anomaly(anomaly: &Anomaly, around: &Around, look: &Look) -> String {
    explained(&clean::anomaly(anomaly), around, look)
}

/// As [`anomaly`], for one whose texts are clean already.
pub(crate) fn explained(anomaly: &Anomaly, around: &Around, look: &Look) -> String {
    let mut text = Text { look, out: String::new() };
    text.head(anomaly, around);
    text.bar("");
    let room = look.width.min(WIDTH_MAX).saturating_sub(6);
    match (look.width >= WIDTH_MIN).then(|| picture::draw(anomaly, room, look)).flatten() {
        Some(lines) => lines.iter().for_each(|line| text.bar(line)),
        None => text.list(anomaly),
    }
    text.bar("");
    text.reasons(anomaly);
    text.orders(anomaly);
    text.notes(anomaly, around);
    text.out
}

struct Text<'a> {
    look: &'a Look,
    out: String,
}

impl Text<'_> {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    /// A line of the picture, behind a rule.
    fn bar(&mut self, line: &str) {
        let rule = self.look.paint(Ink::Faint, if self.look.unicode { "│" } else { "|" });
        self.line(&format!("   {rule}  {line}"));
    }

    /// A line of the explanation. Long ones go on below, behind `indent`.
    fn equals(&mut self, text: &str, indent: usize) {
        let sign = self.look.paint(Ink::Faint, "=");
        let room = self.look.width.clamp(40, WIDTH_MAX).saturating_sub(5);
        for (i, line) in wrap(&self.look.say(text), room, indent).iter().enumerate() {
            let sign = if i == 0 { sign.clone() } else { " ".to_string() };
            self.line(&format!("   {sign} {line}"));
        }
    }

    fn head(&mut self, anomaly: &Anomaly, around: &Around) {
        let look = self.look;
        let key = anomaly.key.as_ref().map_or(String::new(), |k| format!(" ({k})"));
        let error = look.paint(Ink::Bad, &format!("error[{}]", anomaly.kind));
        let sentence = look.say(&format!("{}{key}", anomaly.sentence.trim_end_matches('.')));
        let first = if sentence.chars().count() + anomaly.kind.len() + 9 <= look.width.max(40) {
            format!("{error}: {}", look.paint(Ink::Strong, &sentence))
        } else {
            let lines = wrap(&sentence, look.width.max(40) - 2, 0);
            format!("{error}:\n  {}", look.paint(Ink::Strong, &lines.join("\n  ")))
        };
        self.line(&first);
        let mut lines: Vec<u32> = anomaly.ops.iter().map(|op| op.invoke_line).filter(|l| *l > 0).collect();
        lines.dedup();
        let lines = lines.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        let place = match (&around.history, lines.is_empty()) {
            (Some(path), false) => format!("{path}   lines {lines}"),
            (Some(path), true) => path.clone(),
            (None, false) => format!("history lines {lines}"),
            (None, true) => return,
        };
        let place = look.say(&place);
        let arrow = look.paint(Ink::Faint, "-->");
        for (i, line) in wrap(&place, look.width.max(40).saturating_sub(6), 0).iter().enumerate() {
            self.line(&if i == 0 { format!("  {arrow} {line}") } else { format!("      {line}") });
        }
    }

    /// The operations one after the other, where there is no room for a picture.
    fn list(&mut self, anomaly: &Anomaly) {
        for op in shown(anomaly) {
            let node = op.node.as_ref().map_or(String::new(), |n| format!(" via {n}"));
            let when = match (op.invoke_time, op.ret_time) {
                (Some(from), Some(to)) if op.ret.is_some() => format!(", {} to {}", moment(from), moment(to)),
                (Some(from), _) => format!(", from {}", moment(from)),
                (None, _) => match op.ret_line {
                    Some(to) if op.ret.is_some() => format!(", lines {} to {to}", op.invoke_line),
                    Some(_) | None => format!(", line {}", op.invoke_line),
                },
            };
            let end = match (op.fatal, op.outcome.as_str()) {
                (true, _) => ": fits nowhere",
                (false, "ok") => "",
                (false, "fail") => ": failed",
                (false, _) if seen_to_happen(anomaly, op) => ": no reply, did happen",
                (false, _) => ": no reply, may have happened",
            };
            let ink = if op.fatal { Ink::Bad } else { Ink::Plain };
            let text =
                format!("{} {} (client {}{node}{when}){end}", op.label, op_text(anomaly, op), op.process);
            for line in wrap(&self.look.say(&text), self.look.width.max(40).saturating_sub(8), 2) {
                self.bar(&self.look.paint(ink, &line));
            }
        }
    }

    fn reasons(&mut self, anomaly: &Anomaly) {
        for edge in &anomaly.edges {
            let text = format!("{:<2} {} before {}   {}", edge.n, edge.from, edge.to, edge.text);
            self.equals(&text, 16);
        }
        let of_these = if anomaly.ops.len() == 1 {
            "this operation".to_string()
        } else {
            format!("these {} operations", anomaly.ops.len())
        };
        if anomaly.circle.len() > 1 {
            self.equals(&format!("so {}: no order of {of_these} exists", anomaly.circle.join(" < ")), 3);
        } else {
            self.equals(
                &format!("no order of {of_these} is {}", crate::summary::adjective(&anomaly.property)),
                3,
            );
        }
        if !anomaly.minimal {
            self.equals("it was not proved that this is the smallest set", 3);
        }
        self.bar("");
    }

    fn orders(&mut self, anomaly: &Anomaly) {
        let rows = &anomaly.orders;
        if rows.is_empty() {
            return;
        }
        self.equals(&format!("{}:", orders_heading(anomaly)), 0);
        let wide = rows.iter().take(ORDERS_MAX).map(|r| prefix(r).chars().count()).max().unwrap_or(0).min(24);
        for row in rows.iter().take(ORDERS_MAX) {
            let text = format!(
                "  {:<wide$}   breaks at {}: {}   ({})",
                prefix(row),
                row.breaks_at,
                row.because,
                many(row.count, "order")
            );
            self.equals(&text, wide + 5);
        }
        if rows.len() > ORDERS_MAX {
            self.equals(
                &format!("  and {} more rows, in results.json", count((rows.len() - ORDERS_MAX) as u64)),
                2,
            );
        }
        self.bar("");
    }

    fn notes(&mut self, anomaly: &Anomaly, around: &Around) {
        for note in &around.notes {
            self.equals(&format!("note: {note}"), 6);
        }
        let mut nodes: Vec<(&str, Vec<&str>)> = Vec::new();
        for op in &anomaly.ops {
            if let Some(node) = &op.node {
                match nodes.iter_mut().find(|(name, _)| name == node) {
                    Some((_, labels)) => labels.push(&op.label),
                    None => nodes.push((node, vec![&op.label])),
                }
            }
        }
        if nodes.len() > 1 {
            let parts: Vec<String> =
                nodes.iter().map(|(node, labels)| format!("{} asked {node}", list(labels))).collect();
            self.equals(&format!("note: {}", parts.join("; ")), 6);
        }
        let wide = around.helps.iter().map(|(what, _)| what.chars().count()).max().unwrap_or(0);
        for (what, command) in &around.helps {
            // Commands are never broken: they are there to be copied.
            let sign = self.look.paint(Ink::Faint, "=");
            self.line(&format!("   {sign} help: {what:<wide$}   {command}"));
        }
    }
}

fn prefix(row: &OrderRow) -> String {
    let mut labels = row.prefix.clone();
    if labels.last() != Some(&row.breaks_at) {
        labels.push(row.breaks_at.clone());
    }
    labels.join(" ")
}

/// Breaks `text` at spaces so that no line is longer than `room`, except where one word is. Later lines are indented.
fn wrap(text: &str, room: usize, indent: usize) -> Vec<String> {
    let length = |s: &str| s.chars().count();
    let mut lines: Vec<String> = vec![String::new()];
    let mut fresh = true;
    for piece in text.split_inclusive(' ') {
        let last = lines.len() - 1;
        if !fresh && length(&lines[last]) + length(piece.trim_end()) > room {
            lines.push(" ".repeat(indent.min(room / 2)));
            fresh = true;
        }
        let last = lines.len() - 1;
        lines[last].push_str(piece);
        fresh &= piece.trim().is_empty();
    }
    lines.iter().map(|l| l.trim_end().to_string()).collect()
}
