//! The plots of docs/scale.md, drawn from the table there: how what a tree costs grows with it.

use std::{fs, io, path::Path};

#[path = "../../bench/src/draw.rs"]
#[allow(dead_code, reason = "the page of the benchmarks draws with the rest of it")]
mod draw;

use draw::{Scale, Series, svg};

use super::scale::Row;

/// Each plot: its file, and the columns that it shows.
const PLOTS: [(&str, &[&str]); 3] = [
    ("scale-tables.svg", &["table entries", "ADD_ROUTE"]),
    ("scale-losses.svg", &["lost", "DEL_ROUTE"]),
    ("scale-times.svg", &["grown, ms", "known, ms", "ended, ms"]),
];

/// Every plot of the table in `page`, by the name of its file.
#[must_use]
pub fn of(page: &str) -> Vec<(&'static str, String)> {
    let rows: Vec<Vec<f64>> = page.lines().filter_map(row).collect();
    let plot = |(file, columns): (&'static str, &[&str])| (file, plot(&rows, columns));
    PLOTS.into_iter().map(plot).collect()
}

/// Draws the plots of `page` into the folder `plots` beside it.
///
/// # Errors
/// The page cannot be read, or a plot not written.
pub fn draw_beside(page: &Path) -> io::Result<()> {
    let plots = page.with_file_name("plots");
    of(&fs::read_to_string(page)?).into_iter().try_for_each(|(file, svg)| fs::write(plots.join(file), svg))
}

fn plot(rows: &[Vec<f64>], columns: &[&str]) -> String {
    let mut series = Series::new();
    for (at, name) in Row::HEADS.iter().enumerate().filter(|(_, name)| columns.contains(name)) {
        // Nothing at all has no place where each step is ten times the last.
        let points = rows.iter().map(|row| (row[0], row[at])).filter(|point| point.1 > 0.0);
        series.insert((*name).to_owned(), points.collect());
    }
    svg(&series, "contexts", Scale::Logarithmic, Scale::Logarithmic)
}

/// The numbers of a row of the table.
fn row(line: &str) -> Option<Vec<f64>> {
    let cells = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ");
    let numbers: Vec<f64> = cells.map(|cell| cell.trim().parse().ok()).collect::<Option<_>>()?;
    (numbers.len() == Row::HEADS.len()).then_some(numbers)
}
