//! Draws how cost grows: one SVG for the number of children, one for the depth.

use crate::{
    draw::{Scale, Series, svg},
    report::Row,
};

/// The plot of all rows `prefix.NAME.X`, if there are any.
pub(crate) fn draw(rows: &[&Row], prefix: &str, x_title: &str, scale: Scale) -> Option<String> {
    let mut series = Series::new();
    for row in rows {
        let Some((path, cpus)) = row.row.strip_prefix(prefix).map(of_cpus) else { continue };
        let Some((name, x)) = path.rsplit_once('.') else { continue };
        if let (Ok(x), Some(median)) = (x.parse::<f64>(), row.median) {
            series.entry(format!("{name}{cpus}, {}", row.unit)).or_default().push((x, median));
        }
    }
    (!series.is_empty()).then(|| svg(&series, x_title, scale, scale))
}

/// A name without the CPUs where it was measured, and these in words.
fn of_cpus(name: &str) -> (&str, &'static str) {
    let on_one = name.strip_suffix(".one_cpu").map(|name| (name, " on one CPU"));
    on_one.unwrap_or_else(|| (name.strip_suffix(".free").unwrap_or(name), ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        draw::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH},
        harness::Samples,
        report::Line,
    };

    #[test]
    fn a_plot_has_a_line_a_series_and_leaves_out_what_is_no_point() {
        let row = |name: &str, value| Line::new(name, "ms", &Samples::of([value])).row;
        let rows = [
            row("g.a.1.free", 1.0),
            row("g.a.10.free", 10.0),
            row("g.a.exponent.free", 1.0),
            row("other.1", 5.0),
        ];
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
