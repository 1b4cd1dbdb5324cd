//! The percentile spectrum: how long the slowest one in ten, in a hundred, in a thousand took, by function.

use crate::charts::{Drawn, GRID, SERIES, TEXT, figure};
use crate::text::{count, many, moment, span};
use history::{History, NO_TIME, Op, Outcome};
use maud::{Markup, html};
use plotters::prelude::*;
use std::collections::BTreeMap;

const SIZE: (u32, u32) = (640, 250);
/// Points of a curve.
const POINTS: usize = 200;
/// Functions that have a curve, the most frequent first.
const CURVES_MAX: usize = SERIES.len();
/// Nothing was recorded for this long (100 ms): perhaps the recorder itself stood still.
const STALL_NS: i64 = 100_000_000;
const STALLS_SHOWN: usize = 5;

struct Curve {
    name: String,
    /// Sorted. Those that were never answered are in it with the time after which they were given up.
    latencies: Vec<i64>,
}

/// The card; nothing without times.
pub fn spectrum(history: &History) -> Option<Markup> {
    let (curves, censored, left_out) = curves(history);
    if curves.is_empty() {
        return None;
    }
    let stalls = stalls(history);
    let drawing = figure("Latency by percentile, by function, on logarithmic axes", |svg| draw(svg, &curves));
    let card = html! {
        section.card #spectrum aria-labelledby="h-spectrum" {
            h2 #h-spectrum { "Percentiles" small { "the axis counts nines: each step to the right is the slowest tenth of the rest" } }
            p.legend { @for (i, curve) in curves.iter().enumerate() { span class={ "s" (i) } { (curve.name) " " (count(curve.latencies.len() as u64)) } } }
            (drawing)
            p.note {
                "From the moment of sending; the history does not say when an operation was meant to be sent. "
                @if censored > 0 { (many(censored, "operation")) " without an answer " @if censored == 1 { "is" } @else { "are" }
                    " counted as if answered when given up: in truth they took longer. " }
                @if left_out > 0 { "The " (left_out) " least frequent functions are left out. " }
                @if !stalls.is_empty() { (stall_words(&stalls)) }
            }
        }
    };
    Some(card)
}

fn curves(history: &History) -> (Vec<Curve>, u64, usize) {
    let timed = |op: &&Op| op.invoke_time != NO_TIME && op.ret_time != NO_TIME;
    let mut by_name: BTreeMap<history::ValueId, Vec<i64>> = BTreeMap::new();
    let mut censored = 0;
    for op in history.ops.iter().filter(timed) {
        by_name.entry(op.f).or_default().push(op.ret_time.saturating_sub(op.invoke_time).max(1_000));
        censored += u64::from(op.outcome == Outcome::Info);
    }
    let mut curves: Vec<Curve> = by_name
        .into_iter()
        .map(|(f, mut latencies)| {
            latencies.sort_unstable();
            let value = history.values.get(f);
            let name = value.as_text().map_or_else(|| value.to_string(), str::to_string);
            Curve { name: crate::clean::clean_to(&name, 40), latencies }
        })
        .collect();
    curves.sort_by(|a, b| b.latencies.len().cmp(&a.latencies.len()).then(a.name.cmp(&b.name)));
    let left_out = curves.len().saturating_sub(CURVES_MAX);
    curves.truncate(CURVES_MAX);
    (curves, censored, left_out)
}

fn draw(svg: &mut String, curves: &[Curve]) -> Drawn {
    let most = curves.iter().map(|c| c.latencies.len()).max().unwrap_or(1).max(10) as f64;
    let nines = most.log10().ceil().clamp(1.0, 7.0);
    let least = curves.iter().filter_map(|c| c.latencies.first()).min().copied().unwrap_or(1_000) as f64;
    let longest = curves.iter().filter_map(|c| c.latencies.last()).max().copied().unwrap_or(10_000) as f64;
    let low = 10f64.powf(least.log10().floor());
    let high = 10f64.powf((longest * 1.05).log10().ceil()).max(low * 10.0);
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(22)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..nines, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 12, &TEXT))
        .x_labels(nines as usize + 1)
        .x_label_formatter(&|x| nine(*x))
        .y_labels(6)
        .y_label_formatter(&|y| span(*y as i64))
        .draw()?;
    for (curve, colour) in curves.iter().zip(SERIES) {
        chart.draw_series(LineSeries::new(points(&curve.latencies, nines), colour.stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

/// The quantile at each of the steps, up to the last operation: what was not seen is not drawn.
fn points(sorted: &[i64], nines: f64) -> Vec<(f64, f64)> {
    let n = sorted.len() as f64;
    let last = n.log10().min(nines).max(0.01);
    (0..=POINTS)
        .map(|i| {
            let x = last * i as f64 / POINTS as f64;
            let rank = ((1.0 - 10f64.powf(-x)) * n).ceil().clamp(1.0, n);
            (x, sorted[rank as usize - 1] as f64)
        })
        .collect()
}

/// `90 %`, `99 %`, `99.9 %`.
fn nine(x: f64) -> String {
    if (x - x.round()).abs() > 0.01 {
        return String::new();
    }
    let n = x.round() as usize;
    if n == 0 {
        "0 %".to_string()
    } else {
        format!("{:.*} %", n.saturating_sub(2), 100.0 - 10f64.powi(2 - n as i32))
    }
}

/// Times in which nothing at all was recorded although the run is usually far from silent, the longest first.
fn stalls(history: &History) -> Vec<(i64, i64)> {
    let mut times: Vec<i64> = history
        .ops
        .iter()
        .flat_map(|op| [op.invoke_time, op.ret_time])
        .chain(history.faults.iter().map(|f| f.time))
        .filter(|t| *t != NO_TIME)
        .collect();
    times.sort_unstable();
    let mut gaps: Vec<(i64, i64)> = times.windows(2).map(|w| (w[1].saturating_sub(w[0]), w[0])).collect();
    gaps.sort_unstable();
    let usual = gaps.get(gaps.len() * 9 / 10).map_or(0, |gap| gap.0);
    gaps.into_iter().rev().take_while(|gap| gap.0 > STALL_NS && gap.0 / 10 > usual).collect()
}

fn stall_words(stalls: &[(i64, i64)]) -> String {
    let first: Vec<String> = stalls
        .iter()
        .take(STALLS_SHOWN)
        .map(|(length, from)| format!("{} from {}", span(*length), moment(*from)))
        .collect();
    format!(
        "Nothing at all was recorded for more than 100 ms {} ({}{}): if it was the recorder that stood still, latencies across that are too long.",
        if stalls.len() == 1 { "once".to_string() } else { format!("{} times", count(stalls.len() as u64)) },
        first.join(", "),
        if stalls.len() > STALLS_SHOWN { ", …" } else { "" }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_to_the_right_is_a_nine() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 4.0].map(nine), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!(nine(1.5), "");
        let sorted: Vec<i64> = (1..=1000).collect();
        let points = points(&sorted, 3.0);
        assert_eq!(points[0].1, 1.0);
        assert_eq!(points[POINTS].1, 999.0);
        assert!(points.iter().any(|(x, y)| (x - 1.005).abs() < 0.02 && (*y - 900.0).abs() < 6.0));
    }
}
