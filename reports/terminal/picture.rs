//! The core in characters.
//!
//! ```text
//!   37 s +           402    409     431           458 ms
//!   client  3   n5   [A write 41]   :             :
//!   client 11   n2   :      :       [B write 42 ~~~~~~~~~~~  no reply: may have happened
//! ```

use super::style::Ink;
use super::{Look, WIDTH_MAX};
use crate::picture::seen_to_happen;
use crate::plan::{Plan, op_text, place, plan, shown, subject};
use crate::text::cut;
use history::results::{Anomaly, CoreOp};

/// A line of the picture, cell by cell.
struct Line {
    cells: Vec<(char, Ink)>,
}

impl Line {
    fn new() -> Line {
        Line { cells: Vec::new() }
    }

    fn put(&mut self, at: usize, text: &str, ink: Ink) {
        for (i, c) in text.chars().enumerate() {
            let at = at + i;
            if self.cells.len() <= at {
                self.cells.resize(at + 1, (' ', Ink::Plain));
            }
            self.cells[at] = (c, ink);
        }
    }

    fn render(&self, look: &Look) -> String {
        let end = self.cells.iter().rposition(|(c, _)| *c != ' ').map_or(0, |p| p + 1);
        let mut out = String::new();
        for run in self.cells[..end].chunk_by(|a, b| a.1 == b.1) {
            let text: String = run.iter().map(|(c, _)| *c).collect();
            out.push_str(&look.paint(run[0].1, &text));
        }
        out
    }
}

/// The picture, or nothing if it does not fit into `width` characters.
pub fn draw(anomaly: &Anomaly, width: usize, look: &Look) -> Option<Vec<String>> {
    let plan = plan(anomaly);
    if plan.columns.is_empty() || plan.left_out > 0 {
        return None;
    }
    let shown = shown(anomaly);
    let ops: Vec<&CoreOp> = plan.drawn.iter().map(|&i| shown[i]).collect();
    // Full words if they fit, then short ones, then without the line of states.
    let forms = [
        Form { short_words: false, short_tails: false, states: true },
        Form { short_words: false, short_tails: true, states: true },
        Form { short_words: true, short_tails: true, states: true },
        Form { short_words: true, short_tails: true, states: false },
    ];
    forms
        .into_iter()
        .find_map(|form| Drawing::new(anomaly, &plan, &ops, form, width.min(WIDTH_MAX), look))
        .map(|drawing| drawing.lines(look))
}

/// What a picture spares to fit.
#[derive(Clone, Copy)]
struct Form {
    short_words: bool,
    short_tails: bool,
    states: bool,
}

struct Drawing<'a> {
    anomaly: &'a Anomaly,
    plan: &'a Plan,
    ops: &'a [&'a CoreOp],
    texts: Vec<String>,
    names: Vec<String>,
    tails: Vec<Option<(String, Ink)>>,
    left: usize,
    x: Vec<usize>,
    form: Form,
}

impl<'a> Drawing<'a> {
    fn new(
        anomaly: &'a Anomaly,
        plan: &'a Plan,
        ops: &'a [&'a CoreOp],
        form: Form,
        width: usize,
        look: &Look,
    ) -> Option<Self> {
        let texts: Vec<String> = ops.iter().map(|op| text(anomaly, op, form.short_words, look)).collect();
        let names = names(plan, look);
        let tails: Vec<_> = ops.iter().map(|op| tail(anomaly, op, form.short_tails, look)).collect();
        let heading = look.say(&plan.heading);
        let left =
            names.iter().map(|n| n.chars().count()).max().unwrap_or(0).max(heading.chars().count()) + 2;
        let end = plan.columns.len();
        let mut needs: Vec<(usize, usize, u32)> = Vec::new();
        let mut need = |from: usize, to: usize, n: usize| needs.push((from, to, n as u32));
        for i in 0..end {
            need(i, i + 1, plan.columns[i].label.chars().count() + 2);
        }
        for (i, bar) in plan.bars.iter().enumerate() {
            // `[A write 41]`: the brackets are the two instants; an open one has at least some waves.
            let room = texts[i].chars().count() + if bar.end.is_some() { 1 } else { 6 };
            need(bar.start, bar.end.unwrap_or(end), room);
        }
        let states: Vec<usize> =
            plan.cells.iter().map(|c| look.say(&cut(&c.text, 24)).chars().count() + 2).collect();
        for (cell, room) in plan.cells.iter().zip(states).filter(|_| form.states) {
            if let Some(from) = cell.from {
                need(from, cell.to.unwrap_or(end), room);
            }
        }
        let tail_room = plan
            .bars
            .iter()
            .zip(&tails)
            .filter_map(|(bar, tail)| {
                tail.as_ref().filter(|_| bar.end.is_none()).map(|(t, _)| t.chars().count() + 3)
            })
            .max()
            .unwrap_or(0);
        let least = place(end + 1, &needs, 0).last().copied()? as usize;
        let most = width.checked_sub(left + tail_room)?;
        if least > most {
            return None;
        }
        // Not wider than it needs to be to look calm.
        // A little wider than it must be looks calm; as narrow as it can be, if a mark behind a box needs the room.
        [most.min(least + least / 4), least].into_iter().find_map(|total| {
            let x = place(end + 1, &needs, total as u32).into_iter().map(|x| x as usize + left);
            let x: Vec<usize> = x.collect();
            let fits = plan.bars.iter().zip(&tails).all(|(bar, tail)| match (bar.end, tail) {
                (Some(end), Some((t, _))) => x[end] + 3 + t.chars().count() <= width,
                (Some(_), None) | (None, _) => true,
            });
            let (texts, names, tails) = (texts.clone(), names.clone(), tails.clone());
            fits.then_some(Drawing { anomaly, plan, ops, texts, names, tails, left, x, form })
        })
    }

    fn lines(&self, look: &Look) -> Vec<String> {
        let mut lines = vec![self.axis(look)];
        lines.push(self.guides(|_| true));
        for (r, name) in self.names.iter().enumerate() {
            lines.push(self.row(r, name, look));
        }
        if self.form.states && !self.plan.cells.is_empty() {
            lines.push(Line::new());
            lines.push(self.states(look));
        }
        lines.iter().map(|line| line.render(look)).collect()
    }

    fn axis(&self, look: &Look) -> Line {
        let mut line = Line::new();
        line.put(0, &look.say(&self.plan.heading), Ink::Faint);
        let last = self.plan.columns.len() - 1;
        for (i, column) in self.plan.columns.iter().enumerate() {
            let unit = if i == last && !self.plan.unit.is_empty() {
                format!(" {}", self.plan.unit)
            } else {
                String::new()
            };
            line.put(self.x[i], &format!("{}{unit}", column.label), Ink::Faint);
        }
        line
    }

    fn guides(&self, at: impl Fn(usize) -> bool) -> Line {
        let mut line = Line::new();
        for i in (0..self.plan.columns.len()).filter(|&i| at(i)) {
            line.put(self.x[i], "|", Ink::Faint);
        }
        line
    }

    fn row(&self, r: usize, name: &str, look: &Look) -> Line {
        let mut line = Line::new();
        for i in 0..self.plan.columns.len() {
            line.put(self.x[i], if look.unicode { "┊" } else { ":" }, Ink::Faint);
        }
        line.put(0, name, Ink::Plain);
        for (i, bar) in self.plan.bars.iter().enumerate().filter(|(_, b)| b.row == r) {
            let op = self.ops[i];
            let ink = match (op.fatal, op.outcome.as_str()) {
                (true, _) => Ink::Bad,
                (false, "ok") => Ink::Ok,
                (false, "fail") => Ink::Faint,
                (false, _) => Ink::Unknown,
            };
            let from = self.x[bar.start];
            let to = bar.end.map_or(self.x[self.plan.columns.len()], |end| self.x[end]);
            let (fill, wave) = if look.unicode { ('─', '╌') } else { (' ', '~') };
            let inside = if bar.end.is_some() { fill } else { wave };
            line.put(from, &inside.to_string().repeat(to - from + 1), ink);
            line.put(from, if look.unicode { "├" } else { "[" }, ink);
            if bar.end.is_some() {
                line.put(to, if look.unicode { "┤" } else { "]" }, ink);
            }
            line.put(from + 1, &self.texts[i], ink);
            if bar.end.is_none() && !look.unicode {
                line.put(from + 1 + self.texts[i].chars().count(), " ", ink);
            }
            if let Some((tail, ink)) = &self.tails[i] {
                line.put(to + 1, &format!("  {tail}"), *ink);
            }
        }
        line
    }

    fn states(&self, look: &Look) -> Line {
        let mut line = Line::new();
        let subject = subject(self.anomaly, self.plan, "it");
        line.put(0, &look.say(&format!("{} can be", cut(&subject, 16))), Ink::Plain);
        for cell in &self.plan.cells {
            let ink = if cell.conflict { Ink::Bad } else { Ink::Strong };
            let to = cell.to.map_or(self.x[self.plan.columns.len()], |c| self.x[c]);
            // Before the first instant there is only the margin, and nothing has happened yet.
            let Some(from) = cell.from.map(|c| self.x[c]) else { continue };
            let text = look.say(&cut(&cell.text, 24));
            let text = cut(&text, (to - from).saturating_sub(1));
            let middle = from + (to - from).saturating_sub(text.chars().count()) / 2;
            line.put(middle.max(self.left), &text, ink);
        }
        line
    }
}

fn text(anomaly: &Anomaly, op: &CoreOp, short: bool, look: &Look) -> String {
    let mut words = op_text(anomaly, op);
    if short {
        words = words
            .replace("write ", "w ")
            .replace("read → ", "r ")
            .replace("read ", "r ")
            .replace("enqueue ", "enq ")
            .replace("dequeue → ", "deq ")
            .replace("acquire", "acq")
            .replace("release", "rel");
    }
    let text = look.say(&format!("{} {}", op.label, cut(&words, 30)));
    // Escapes may have made it longer.
    let text = look.say(&cut(&text, 40));
    if look.unicode { format!(" {text} ") } else { text }
}

/// Names of the rows, in columns: `client  3  n5`.
fn names(plan: &Plan, look: &Look) -> Vec<String> {
    let processes: Vec<String> = plan.rows.iter().map(|r| r.process.to_string()).collect();
    let wide = processes.iter().map(String::len).max().unwrap_or(0);
    let rows = plan.rows.iter().zip(processes);
    rows.map(|(row, process)| {
        look.say(&format!("client {process:>wide$}  {}", cut(&row.nodes.join(","), 14)))
            .trim_end()
            .to_string()
    })
    .collect()
}

fn tail(anomaly: &Anomaly, op: &CoreOp, short: bool, look: &Look) -> Option<(String, Ink)> {
    let arrow = if look.unicode { "◀─" } else { "<--" };
    if op.fatal {
        return Some((format!("{arrow} fits nowhere"), Ink::Bad));
    }
    match op.outcome.as_str() {
        "ok" => None,
        "fail" => Some(("failed".to_string(), Ink::Faint)),
        _ => {
            let text = match (short, seen_to_happen(anomaly, op)) {
                (true, _) => "no reply",
                (false, true) => "no reply: did happen",
                (false, false) => "no reply: may have happened",
            };
            Some((text.to_string(), Ink::Unknown))
        }
    }
}
