//! What all charts have in common: their lines and labels, and the colours that the style sheet maps to a theme's.

use crate::text::count;
use plotters::coord::ranged1d::ValueFormatter;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

const TEXT: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);

/// What drawing a chart comes to.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A chart whose horizontal axis is a number.
pub type Chart<'a, 'b, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, Y>>;

/// The labels of an axis: about how many, and what each says.
pub struct Labels<'a>(pub usize, pub &'a dyn Fn(&f64) -> String);

/// Draws the lines and labels.
pub fn mesh<Y>(chart: &mut Chart<'_, '_, Y>, x: &Labels<'_>, y: &Labels<'_>) -> Drawn
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 12, &TEXT))
        .x_labels(x.0)
        .x_label_formatter(x.1)
        .y_labels(y.0)
        .y_label_formatter(y.1)
        .draw()?;
    Ok(())
}

/// Labels of an axis that counts nines, of so many steps: `90 %`, `99 %`, `99.9 %`.
pub fn nines(steps: f64) -> Labels<'static> {
    Labels(steps.ceil() as usize + 1, &|x| nine(*x))
}

/// Nothing between two steps.
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

/// A label that counts.
pub fn whole(y: &f64) -> String {
    count(y.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_to_the_right_is_a_nine() {
        assert_eq!([0.0, 1.0, 2.0, 3.0, 4.0].map(nine), ["0 %", "90 %", "99 %", "99.9 %", "99.99 %"]);
        assert_eq!(nine(1.5), "");
    }
}
