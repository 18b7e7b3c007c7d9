//! Draws lines on paper: an SVG with its axes, ticks and names.

use std::{collections::BTreeMap, fmt::Write as _};

/// How an axis counts.
#[derive(Clone, Copy)]
pub(crate) enum Scale {
    Linear,
    Logarithmic,
}

/// A line with its name: points by x.
pub(crate) type Series = BTreeMap<String, Vec<(f64, f64)>>;

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const HEIGHT: f64 = 400.0;
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const RIGHT: f64 = 150.0;
pub(crate) const TOP: f64 = 36.0;
pub(crate) const BOTTOM: f64 = 44.0;
/// Told apart by people who do not see all colours, too.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

/// All lines on one paper; `x` and `y` are how the axes count.
pub(crate) fn svg(series: &Series, x_title: &str, x: Scale, y: Scale) -> String {
    let points = || series.values().flatten();
    let x = Axis::over(points().map(|point| point.0), x, [LEFT, WIDTH - RIGHT]);
    let y = Axis::over(points().map(|point| point.1), y, [HEIGHT - BOTTOM, TOP]);
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
