//! Latencies of several runs in one chart: how long the slowest of ten, a hundred, a thousand … answers took.

use crate::text::span;
use history::{History, NO_TIME, Outcome};
use plotters::prelude::*;

const TEXT: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const SIZE: (u32, u32) = (860, 300);

/// Points of one run: how many nines, and the latency in nanoseconds that so many of the answers stayed below.
pub type Spectrum = Vec<(f64, i64)>;

/// Of the answered operations of a history, each from when it was sent. Empty where nothing has times.
/// O(n log n).
pub fn spectrum(history: &History) -> Spectrum {
    let answered = history.ops.iter().filter(|op| {
        matches!(op.outcome, Outcome::Ok) && op.invoke_time != NO_TIME && op.ret_time != NO_TIME
    });
    let mut all: Vec<i64> = answered.map(|op| op.ret_time.saturating_sub(op.invoke_time).max(1)).collect();
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

fn draw(
    svg: &mut String,
    runs: &[Spectrum],
    most: f64,
    low: f64,
    high: f64,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(24)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..most, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 12, &TEXT))
        .x_labels(most.ceil() as usize + 1)
        .x_label_formatter(&|nines| nines_label(*nines))
        .y_labels(6)
        .y_label_formatter(&|ns| span(*ns as i64))
        .draw()?;
    for (n, points) in runs.iter().enumerate() {
        let points = points.iter().map(|(nines, ns)| (*nines, *ns as f64));
        chart.draw_series(LineSeries::new(points, RGBColor(11, 0, n as u8).stroke_width(2)))?;
    }
    root.present()?;
    Ok(())
}

/// `0 %`, `90 %`, `99 %`, `99.9 %`
fn nines_label(nines: f64) -> String {
    if nines.fract().abs() > 1e-9 {
        return format!("{:.1} nines", nines);
    }
    match nines as u32 {
        0 => "0 %".to_string(),
        1 => "90 %".to_string(),
        2 => "99 %".to_string(),
        n => format!("99.{} %", "9".repeat(n as usize - 2)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nines_read_as_shares() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 4.0].map(nines_label), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
    }
}
