//! Latency and rate over the run, made with plotters.
//!
//! Plotters writes fixed colours into its SVG. So each series is drawn in a colour that means nothing (`#0B0000`), and
//! the style sheet maps those to the palette of the theme; attribute selectors beat presentation attributes.

use crate::buckets::{Axis, Bucket};
use crate::clocks::clocks;
use crate::mesh::{Chart, Drawn, Labels, mesh, whole};
use crate::spectrum::spectrum;
use crate::text::{short, span};
use history::History;
use history::results::{FaultRecord, Results};
use maud::{Markup, PreEscaped, html};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

const BAND: RGBColor = RGBColor(3, 3, 3);
const P50: RGBColor = RGBColor(11, 0, 0);
const P95: RGBColor = RGBColor(12, 0, 0);
const P99: RGBColor = RGBColor(13, 0, 0);
const MAX: RGBColor = RGBColor(14, 0, 0);
const OK: RGBColor = RGBColor(15, 0, 0);
const FAIL: RGBColor = RGBColor(16, 0, 0);
const INFO: RGBColor = RGBColor(17, 0, 0);
const SIZE: (u32, u32) = (640, 250);

/// Colours of series that have no meaning of their own.
pub const SERIES: [RGBColor; 8] = [
    RGBColor(21, 0, 0),
    RGBColor(22, 0, 0),
    RGBColor(23, 0, 0),
    RGBColor(24, 0, 0),
    RGBColor(25, 0, 0),
    RGBColor(26, 0, 0),
    RGBColor(27, 0, 0),
    RGBColor(28, 0, 0),
];

/// The section on performance; nothing where the history has no times.
pub fn charts(axis: Axis, results: &Results, history: &History, buckets: &[Bucket]) -> Markup {
    if !axis.timed {
        return html! {};
    }
    let faults = &results.faults;
    let slice = span(axis.length() / buckets.len().max(1) as i64);
    let latency =
        figure("Latency over time on a logarithmic axis", |svg| latency(svg, axis, faults, buckets));
    let rate = figure("Operations per second over time", |svg| rate(svg, axis, faults, buckets));
    let spectrum = spectrum(results, history);
    let clocks = clocks(axis, faults);
    html! {
        div.two-up {
            section.card #latency aria-labelledby="h-latency" {
                h2 #h-latency { "Latency" small { "of answered operations, from sending to answer, by the moment of sending" } }
                p.legend { span.l50 { "p50" } span.l95 { "p95" } span.l99 { "p99" } span.lmax { "longest" }
                    span.lband { "fault" } }
                (latency)
                p.note { "One point for about every " (slice) ". Read it upwards: half of the answers came within p50, all within the longest. A gap means that nothing was answered." }
            }
            section.card #rate aria-labelledby="h-rate" {
                h2 #h-rate { "Rate" small { "operations per second, stacked by what became of them" } }
                p.legend { span.aok { "ok" } span.afail { "failed" } span.ainfo { "never answered" } span.lband { "fault" } }
                (rate)
                p.note { "Counted by the moment they were sent. Clients wait for answers, so a slow cluster is asked less. A burst of more than twice the usual is cut at the top." }
            }
            @if let Some(card) = spectrum { (card) }
            @if let Some(card) = clocks { (card) }
            section.card hidden aria-labelledby="h-scatter" {
                h2 #h-scatter { "Every operation" small { "latency by the moment it was sent" } }
                p.legend { span.aok { "ok" } span.afail { "failed" } span.ainfo { "never answered, at the time it was given up" } span.lband { "fault" } }
                div #scatter {}
                p.note { "A dot for each. What quantiles hide shows here: two crowds, stripes at a deadline, a single client that waits." }
            }
        }
    }
}

/// A chart in the page. A chart that cannot be drawn is a sentence.
pub fn figure(what: &str, draw: impl FnOnce(&mut String) -> Drawn) -> Markup {
    let mut svg = String::new();
    let drawn = draw(&mut svg);
    html! {
        @match drawn {
            // Plotters wrote this SVG and escaped the texts in it.
            Ok(()) => div.plot role="img" aria-label=(what) { (PreEscaped(&svg)) },
            Err(error) => p.note { "This chart could not be drawn: " (error) },
        }
    }
}

/// Seconds from the left end of the axis.
pub fn seconds(axis: Axis, at: i64) -> f64 {
    at.saturating_sub(axis.from) as f64 / 1e9
}

fn latency(svg: &mut String, axis: Axis, faults: &[FaultRecord], buckets: &[Bucket]) -> Drawn {
    let answered = || buckets.iter().flat_map(|b| [b.quantile(0.5), b.quantile(1.0)]).flatten();
    let least = answered().min().unwrap_or(1_000_000).max(1_000) as f64;
    let most = answered().max().unwrap_or(1_000_000).max(2_000) as f64;
    let (low, high) = (10f64.powf(least.log10().floor()), 10f64.powf((most * 1.05).log10().ceil()));
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(16)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..seconds(axis, axis.to), (low..high).log_scale())?;
    bands(&mut chart, axis, faults, low, high)?;
    mesh(&mut chart, &Labels(9, &|x| time_label(*x)), &Labels(6, &|y| span(*y as i64)))?;
    for (share, colour, width) in [(1.0, MAX, 1), (0.99, P99, 2), (0.95, P95, 2), (0.5, P50, 2)] {
        for run in buckets.chunk_by(|a, b| a.latencies.is_empty() == b.latencies.is_empty()) {
            let points =
                run.iter().filter_map(|b| Some((middle(axis, b), b.quantile(share)?.max(1_000) as f64)));
            let points: Vec<(f64, f64)> = points.collect();
            if points.len() == 1 {
                chart.draw_series([Circle::new(points[0], 2, colour.filled())])?;
            } else if !points.is_empty() {
                chart.draw_series(LineSeries::new(points, colour.stroke_width(width)))?;
            }
        }
    }
    root.present()?;
    Ok(())
}

fn rate(svg: &mut String, axis: Axis, faults: &[FaultRecord], buckets: &[Bucket]) -> Drawn {
    let per_second = |b: &Bucket, n: u64| n as f64 / (b.to.saturating_sub(b.from) as f64 / 1e9).max(1e-9);
    let most = highest(buckets.iter().map(|b| per_second(b, b.all())).collect());
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let mut chart = ChartBuilder::on(&root)
        .margin(6)
        .margin_right(16)
        .x_label_area_size(26)
        .y_label_area_size(58)
        .build_cartesian_2d(0f64..seconds(axis, axis.to), 0f64..most)?;
    bands(&mut chart, axis, faults, 0.0, most)?;
    mesh(&mut chart, &Labels(9, &|x| time_label(*x)), &Labels(6, &whole))?;
    // From the whole stack down, so that each lower part covers what is under it.
    let parts: [(fn(&Bucket) -> u64, RGBColor); 3] =
        [(|b| b.all(), INFO), (|b| b.ok + b.fail, FAIL), (|b| b.ok, OK)];
    for (part, colour) in parts {
        let stairs = buckets.iter().flat_map(|b| {
            let y = per_second(b, part(b)).min(most);
            [(seconds(axis, b.from), y), (seconds(axis, b.to), y)]
        });
        chart.draw_series(AreaSeries::new(stairs, 0.0, colour))?;
    }
    root.present()?;
    Ok(())
}

/// The top of the axis: a burst (the last reads of a run) must not press all the rest to the ground.
fn highest(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    let most = rates.last().copied().unwrap_or(1.0).max(1.0);
    let usual =
        rates[(rates.len() * 97 / 100).min(rates.len().saturating_sub(1))..].first().copied().unwrap_or(most);
    if most > usual * 2.0 && usual > 0.0 { usual * 1.5 } else { most * 1.08 }
}

fn middle(axis: Axis, bucket: &Bucket) -> f64 {
    (seconds(axis, bucket.from) + seconds(axis, bucket.to)) / 2.0
}

/// A label of the axis of time.
pub fn time_label(seconds: f64) -> String {
    format!("{} s", short(seconds))
}

fn bands<Y>(chart: &mut Chart<'_, '_, Y>, axis: Axis, faults: &[FaultRecord], low: f64, high: f64) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    // Overlapping faults are one band: what matters here is whether anything was broken.
    let mut spans: Vec<(i64, i64)> =
        faults.iter().map(|f| (f.injected, f.healed.unwrap_or(axis.to).max(f.injected))).collect();
    spans.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            Some(_) | None => merged.push((from, to)),
        }
    }
    for (from, to) in merged {
        let corners =
            [(seconds(axis, from).max(0.0), low), (seconds(axis, to).min(seconds(axis, axis.to)), high)];
        chart.draw_series([Rectangle::new(corners, BAND.filled())])?;
    }
    Ok(())
}
