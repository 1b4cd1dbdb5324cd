//! The percentile spectrum: how long the slowest one in ten, in a hundred, in a thousand took, by function.

use crate::charts::{SERIES, figure};
use crate::mesh::{Drawn, Labels, mesh, nines};
use crate::text::{count, many, moment, span};
use history::results::Results;
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
/// An operation that was sent this much (1 ms) after it was due was late: the scheduler is no clock.
const LATE_NS: i64 = 1_000_000;

struct Curve {
    name: String,
    /// Sorted. Those that were never answered are in it with the time after which they were given up.
    latencies: Vec<i64>,
}

/// How long an operation took for whoever wanted it done: from when it was due, where the history says, else from when
/// it was sent. One that was never answered took at least until it was given up. In nanoseconds, at least 1.
pub fn took(history: &History, op: &Op) -> Option<i64> {
    if op.invoke_time == NO_TIME || op.ret_time == NO_TIME {
        return None;
    }
    Some(op.ret_time.saturating_sub(history.due(op).unwrap_or(op.invoke_time)).max(1))
}

/// The card; nothing without times.
pub fn spectrum(results: &Results, history: &History) -> Option<Markup> {
    let (curves, censored, left_out) = curves(history);
    if curves.is_empty() {
        return None;
    }
    let drawing = figure("Latency by percentile, by function, on logarithmic axes", |svg| draw(svg, &curves));
    let card = html! {
        section.card #spectrum aria-labelledby="h-spectrum" {
            h2 #h-spectrum { "Percentiles" small { "the axis counts nines: each step to the right is the slowest tenth of the rest" } }
            p.legend { @for (i, curve) in curves.iter().enumerate() { span class={ "s" (i) } { (curve.name) " " (count(curve.latencies.len() as u64)) } } }
            (drawing)
            p.note {
                (intended(results, history)) " "
                @if censored > 0 { (many(censored, "operation")) " without an answer " @if censored == 1 { "is" } @else { "are" }
                    " counted as if answered when given up: in truth they took longer. " }
                @if left_out > 0 { "The " (left_out) " least frequent functions are left out. " }
                (stood_still(history))
            }
        }
    };
    Some(card)
}

/// From when the latencies count, and what that leaves out.
fn intended(results: &Results, history: &History) -> String {
    if history.dues.is_empty() {
        return "From the moment of sending; the history does not say when an operation was meant to be sent."
            .to_string();
    }
    let lags: Vec<i64> =
        history.ops.iter().filter_map(|op| Some(op.invoke_time - history.due(op)?)).collect();
    let late = lags.iter().filter(|lag| **lag >= LATE_NS).count() as u64;
    let longest = lags.iter().copied().max().unwrap_or(0);
    let mut words =
        "From the moment at which an operation was due, whether a client was free for it or not. "
            .to_string();
    words += &match late {
        0 => "All were sent within 1 ms of it.".to_string(),
        _ => format!("{} sent more than 1 ms after it, by up to {}.", was(late, "operation"), span(longest)),
    };
    // The scheduler forgets all but one gap of a lag (`workloads::stagger`), so this many calls were never made.
    let gap = results.run.as_ref().and_then(|run| {
        let rate: f64 = run.config.iter().find(|(name, _)| name == "rate")?.1.parse().ok()?;
        (rate > 0.0).then_some(1e9 / rate)
    });
    let forgotten = |gap: f64| lags.iter().map(|lag| (*lag as f64 - gap).max(0.0)).sum::<f64>() / gap;
    let never = gap.map_or(0, |gap| forgotten(gap).round() as u64);
    if never > 0 {
        words += &format!(
            " While all clients waited, about {} more fell due that {} never sent, and in no curve.",
            count(never),
            if never == 1 { "was" } else { "were" }
        );
    }
    words
}

fn was(n: u64, noun: &str) -> String {
    format!("{} {}", many(n, noun), if n == 1 { "was" } else { "were" })
}

fn curves(history: &History) -> (Vec<Curve>, u64, usize) {
    let mut by_name: BTreeMap<history::ValueId, Vec<i64>> = BTreeMap::new();
    let mut censored = 0;
    for op in &history.ops {
        let Some(latency) = took(history, op) else { continue };
        by_name.entry(op.f).or_default().push(latency.max(1_000));
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
    let steps = most.log10().ceil().clamp(1.0, 7.0);
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
        .build_cartesian_2d(0f64..steps, (low..high).log_scale())?;
    mesh(&mut chart, &nines(steps), &Labels(6, &|y| span(*y as i64)))?;
    for (curve, colour) in curves.iter().zip(SERIES) {
        chart.draw_series(LineSeries::new(points(&curve.latencies, steps), colour.stroke_width(2)))?;
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

/// Times in which the controller stood still: latencies across them are too long, through no fault of the system.
fn stood_still(history: &History) -> String {
    let mut seen = history::stalls(history);
    seen.sort_unstable_by_key(|(_, length)| -length);
    if !seen.is_empty() {
        let times =
            if seen.len() == 1 { "once".to_string() } else { format!("{} times", count(seen.len() as u64)) };
        return format!(
            "The controller itself stood still for more than 100 ms {times} ({}): latencies across that are too long.",
            places(&seen)
        );
    }
    if !history.dues.is_empty() {
        return "The controller never stood still for more than 100 ms.".to_string();
    }
    let silent = silences(history);
    if silent.is_empty() {
        return String::new();
    }
    let times =
        if silent.len() == 1 { "once".to_string() } else { format!("{} times", count(silent.len() as u64)) };
    format!(
        "Nothing at all was recorded for more than 100 ms {times} ({}): if it was the recorder that stood still, latencies across that are too long.",
        places(&silent)
    )
}

/// The first of them: how long, and from when.
fn places(stalls: &[(i64, i64)]) -> String {
    let first: Vec<String> = stalls
        .iter()
        .take(STALLS_SHOWN)
        .map(|(from, length)| format!("{} from {}", span(*length), moment(*from)))
        .collect();
    first.join(", ") + if stalls.len() > STALLS_SHOWN { ", …" } else { "" }
}

/// Times in which nothing at all was recorded although the run is usually far from silent, the longest first.
fn silences(history: &History) -> Vec<(i64, i64)> {
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
    let long = gaps.into_iter().rev().take_while(|gap| gap.0 > STALL_NS && gap.0 / 10 > usual);
    long.map(|(length, from)| (from, length)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_of_a_thousand_ends_at_the_last_of_them() {
        let sorted: Vec<i64> = (1..=1000).collect();
        let points = points(&sorted, 3.0);
        assert_eq!(points[0].1, 1.0);
        assert_eq!(points[POINTS].1, 999.0);
        assert!(points.iter().any(|(x, y)| (x - 1.005).abs() < 0.02 && (*y - 900.0).abs() < 6.0));
    }
}
