//! Draws how cost grows: one SVG for the number of children, one for the depth.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::report::Row;

/// The axes of a plot.
#[derive(Clone, Copy)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// A line with its name: points by x.
type Series = BTreeMap<String, Vec<(f64, f64)>>;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 44.0;
/// Told apart by people who do not see all colours, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// The plot of all rows `prefix.NAME.X`, if there are any.
pub(crate) fn draw(rows: &[&Row], prefix: &str, x_title: &str, scale: Scale) -> Option<String> {
    let mut series = Series::new();
    for row in rows {
        let Some((name, x)) = row.row.strip_prefix(prefix).and_then(|rest| rest.rsplit_once('.')) else {
            continue;
        };
        if let (Ok(x), Some(median)) = (x.parse::<f64>(), row.median) {
            series.entry(format!("{name}, {}", row.unit)).or_default().push((x, median));
        }
    }
    (!series.is_empty()).then(|| svg(&series, x_title, scale))
}

fn svg(series: &Series, x_title: &str, scale: Scale) -> String {
    let points = || series.values().flatten();
    let x = Axis::over(points().map(|point| point.0), scale, [LEFT, WIDTH - RIGHT]);
    let y = Axis::over(points().map(|point| point.1), scale, [HEIGHT - BOTTOM, TOP]);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for tick in x.ticks() {
        let at = x.at(tick);
        let _ = writeln!(out, "<path d=\"M{at:.1} {TOP}V{bottom}\" stroke=\"#ddd\"/>");
        let _ =
            writeln!(out, "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{tick}</text>", bottom + 16.0);
    }
    for tick in y.ticks() {
        let at = y.at(tick);
        let _ = writeln!(out, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>");
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{tick}</text>",
            LEFT - 6.0,
            at + 4.0
        );
    }
    let middle = f64::midpoint(LEFT, right);
    let _ =
        writeln!(out, "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{x_title}</text>", HEIGHT - 10.0);
    for ((number, (name, points)), colour) in series.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let line: Vec<String> =
            points.iter().map(|(px, py)| format!("{:.1},{:.1}", x.at(*px), y.at(*py))).collect();
        let _ = writeln!(
            out,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        let at = TOP + 18.0 * number as f64;
        let _ = writeln!(out, "<text x=\"{}\" y=\"{at}\" fill=\"{colour}\">{name}</text>", right + 8.0);
    }
    out + "</svg>\n"
}

/// Where values lie on the paper.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    paper: [f64; 2],
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, scale: Scale, paper: [f64; 2]) -> Self {
        let (low, high) =
            values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), it| (low.min(it), high.max(it)));
        let (from, to) = match scale {
            Scale::Linear => (0.0, high),
            Scale::Logarithmic => (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0)),
        };
        Self { scale, from, to, paper }
    }

    fn at(&self, value: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic => value.log10(),
        };
        let [begin, end] = self.paper;
        begin + (end - begin) * (value - self.from) / (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Logarithmic => {
                let (from, to) = (self.from as i32, self.to as i32);
                (from..=to).map(|power| 10_f64.powi(power)).collect()
            }
            Scale::Linear => {
                let rough = self.to / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= rough);
                let step = step.unwrap_or(power);
                (0..=5_u8).map(|n| f64::from(n) * step).filter(|tick| *tick <= self.to).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{harness::Samples, report::Line};

    #[test]
    fn a_plot_has_a_line_a_series_and_leaves_out_what_is_no_point() {
        let row = |name: &str, value| Line::new(name, "ms", &Samples::of([value])).row;
        let rows = [row("g.a.1", 1.0), row("g.a.10", 10.0), row("g.a.exponent", 1.0), row("other.1", 5.0)];
        let rows: Vec<&Row> = rows.iter().collect();
        let svg = draw(&rows, "g.", "children", Scale::Logarithmic).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 1);
        // The corners of the paper, one decade each way.
        assert!(
            svg.contains(&format!("{LEFT:.1},{:.1} {:.1},{TOP:.1}", HEIGHT - BOTTOM, WIDTH - RIGHT)),
            "{svg}"
        );
        assert_eq!(draw(&rows, "h.", "children", Scale::Linear), None);
    }
}
