//! How far the clock of each node was from the truth, as far as the faults say.

use crate::buckets::Axis;
use crate::charts::{SERIES, figure, seconds, time_label};
use crate::mesh::{Drawn, Labels, mesh};
use history::Bend;
use history::results::FaultRecord;
use maud::{Markup, html};
use plotters::prelude::*;
use std::collections::BTreeMap;

const SIZE: (u32, u32) = (640, 200);
/// Corners of the line of a clock that jumps to and fro.
const JUMPS_MAX: usize = 400;

/// The card; nothing where no clock was touched.
pub fn clocks(axis: Axis, faults: &[FaultRecord]) -> Option<Markup> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for fault in faults.iter().filter(|f| f.kind == "clock") {
        let Some((node, bend)) = Bend::parse(&fault.what) else { continue };
        let line = lines.entry(node.to_string()).or_insert_with(|| vec![(0.0, 0.0)]);
        let (from, to) = (seconds(axis, fault.injected), seconds(axis, fault.healed.unwrap_or(axis.to)));
        line.push((from, 0.0));
        line.extend(corners(bend, from, to.max(from)));
        line.push((to.max(from), 0.0));
    }
    if lines.is_empty() {
        return None;
    }
    let left_out = lines.len().saturating_sub(SERIES.len());
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = lines.into_iter().take(SERIES.len()).collect();
    let end = seconds(axis, axis.to);
    for (_, line) in &mut lines {
        line.push((end, 0.0));
    }
    let drawing = figure("Offsets of the clocks of the nodes over time", |svg| draw(svg, end, &lines));
    let card = html! {
        section.card #clocks aria-labelledby="h-clocks" {
            h2 #h-clocks { "Clocks" small { "offset of each node that had its clock bent" } }
            p.legend { @for (i, (node, _)) in lines.iter().enumerate() { span class={ "s" (i) } { (node) } } }
            (drawing)
            p.note { "As they were set; what each clock then said stands with its fault below. Between faults clocks are drawn as true: nobody measured them then. No clock of a node orders anything in the verdict."
                @if left_out > 0 { " " (left_out) " more nodes are left out." } }
        }
    };
    Some(card)
}

fn corners(bend: Bend, from: f64, to: f64) -> Vec<(f64, f64)> {
    match bend {
        Bend::Off(off) => vec![(from, off), (to, off)],
        Bend::Speed(speed) => vec![(from, 0.0), (to, (speed - 1.0) * (to - from))],
        Bend::Strobe(off, every) => {
            let every = every.max((to - from) / JUMPS_MAX as f64);
            let mut line = Vec::new();
            let mut at = from;
            let mut value = off;
            while at < to && line.len() < 2 * JUMPS_MAX {
                line.extend([(at, value), ((at + every).min(to), value)]);
                value = if value == 0.0 { off } else { 0.0 };
                at += every;
            }
            line
        }
    }
}

fn draw(svg: &mut String, end: f64, lines: &[(String, Vec<(f64, f64)>)]) -> Drawn {
    let values = || lines.iter().flat_map(|(_, line)| line.iter().map(|p| p.1));
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let room = ((high - low) * 0.08).max(0.05);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(16)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..end.max(1e-9), (low - room)..(high + room))?;
    mesh(
        &mut chart,
        &Labels(9, &|x| time_label(*x)),
        &Labels(5, &|y| {
            format!("{:+} s", (y * 1000.0).round() / 1000.0).replace("+0 s", "0 s").replace("-0 s", "0 s")
        }),
    )?;
    for ((_, line), colour) in lines.iter().zip(SERIES) {
        chart.draw_series(LineSeries::new(line.iter().copied(), colour.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_fast_is_drawn_with_few_corners() {
        assert!(corners(Bend::Strobe(1.0, 1e-9), 0.0, 1e9).len() <= 2 * JUMPS_MAX);
    }
}
