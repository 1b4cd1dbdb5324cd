//! Latencies of several runs in one chart: how long the slowest of ten, a hundred, a thousand … answers took.

use crate::mesh::{Drawn, Labels, mesh, nines};
use crate::spectrum::took;
use crate::text::span;
use history::{History, Outcome};
use plotters::prelude::*;

const SIZE: (u32, u32) = (860, 300);

/// Points of one run: how many nines, and the latency in nanoseconds that so many of the answers stayed below.
pub type Spectrum = Vec<(f64, i64)>;

/// Of the answered operations of a history, each from when it was due, or else sent. Empty where nothing has times.
/// O(n log n).
pub fn spectrum(history: &History) -> Spectrum {
    let answered = history.ops.iter().filter(|op| op.outcome == Outcome::Ok);
    let mut all: Vec<i64> = answered.filter_map(|op| took(history, op)).collect();
    all.sort_unstable();
    let Some(longest) = all.last() else { return Vec::new() };
    let most = (all.len() as f64).log10().max(0.31);
    let steps = 60;
    let mut points: Spectrum = (0..=steps)
        .map(|i| {
            let nines = most * f64::from(i) / f64::from(steps);
            let share = 1.0 - 10f64.powf(-nines);
            (nines, all[((all.len() as f64 * share) as usize).min(all.len() - 1)])
        })
        .collect();
    points.push((most, *longest));
    points
}

/// The chart; the `n`th run has the colour `#0B000n`, which the style sheet maps to one of the theme.
///
/// # Errors
/// Plotters', in words.
pub(super) fn chart(runs: &[Spectrum]) -> Result<String, String> {
    let all = || runs.iter().flatten();
    let most = all().map(|point| point.0).fold(1.0, f64::max);
    let low = all().map(|point| point.1).min().unwrap_or(1_000).max(1) as f64 / 1.3;
    let high = all().map(|point| point.1).max().unwrap_or(1_000_000) as f64 * 1.3;
    let mut svg = String::new();
    draw(&mut svg, runs, most, low, high).map_err(|error| error.to_string())?;
    Ok(svg)
}

fn draw(svg: &mut String, runs: &[Spectrum], most: f64, low: f64, high: f64) -> Drawn {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(24)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..most, (low..high).log_scale())?;
    mesh(&mut chart, &nines(most), &Labels(6, &|ns| span(*ns as i64)))?;
    for (n, points) in runs.iter().enumerate() {
        let points = points.iter().map(|(nines, ns)| (*nines, *ns as f64));
        chart.draw_series(LineSeries::new(points, RGBColor(11, 0, n as u8).stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}
