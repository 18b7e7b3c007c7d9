//! What comes out: rows with their targets, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::harness::Samples;

/// One line of the table. The names of the fields are those of `bench.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) row: String,
    pub(crate) unit: String,
    pub(crate) median: Option<f64>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    /// What it is measured against.
    pub(crate) against: Option<String>,
    pub(crate) against_median: Option<f64>,
    /// Our median by that of the other.
    pub(crate) ratio: Option<f64>,
    /// What is aimed at, in words.
    pub(crate) target: Option<String>,
    /// Whether it is reached; nothing where there is no target, or nothing to compare with.
    pub(crate) met: Option<bool>,
}

/// A row, and what has to be said beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) row: Row,
    pub(crate) note: Option<String>,
}

impl Line {
    /// A row that is only reported.
    pub(crate) fn new(name: impl Into<String>, unit: &str, samples: &Samples) -> Self {
        let row = Row {
            row: name.into(),
            unit: unit.to_owned(),
            median: samples.median(),
            min: samples.min(),
            max: samples.max(),
            against: None,
            against_median: None,
            ratio: None,
            target: None,
            met: None,
        };
        Self { row, note: samples.absent.clone() }
    }

    /// Compares it with what was measured in turns with it.
    pub(crate) fn against(mut self, what: &str, samples: &Samples) -> Self {
        self.row.against = Some(what.to_owned());
        self.row.against_median = samples.median();
        self.row.ratio = self.row.median.zip(samples.median()).map(|(ours, theirs)| ours / theirs);
        if let Some(why) = &samples.absent {
            self.note = Some(format!("{what}: {why}"));
        }
        self
    }

    /// The ratio is to be no more than this.
    pub(crate) fn at_most_times(self, limit: f64) -> Self {
        let met = self.row.ratio.map(|ratio| ratio <= limit);
        self.aims(format!("<= {limit}x"), met)
    }

    /// The ratio is to be no less than this.
    pub(crate) fn at_least_times(self, limit: f64) -> Self {
        let met = self.row.ratio.map(|ratio| ratio >= limit);
        self.aims(format!(">= {limit}x"), met)
    }

    /// The median itself is to be no more than this, in the row's unit.
    pub(crate) fn at_most(self, limit: f64) -> Self {
        let met = self.row.median.map(|median| median <= limit);
        let target = format!("<= {limit} {}", self.row.unit);
        self.aims(target.trim_end().to_owned(), met)
    }

    /// It is to be less than what it is compared with.
    pub(crate) fn below(self) -> Self {
        let met = self.row.ratio.map(|ratio| ratio < 1.0);
        self.aims("ahead (less)".to_owned(), met)
    }

    /// It is to be more than what it is compared with.
    pub(crate) fn above(self) -> Self {
        let met = self.row.ratio.map(|ratio| ratio > 1.0);
        self.aims("ahead (more)".to_owned(), met)
    }

    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    fn aims(mut self, target: String, met: Option<bool>) -> Self {
        self.row.target = Some(target);
        self.row.met = met;
        self
    }
}

/// The titles of the columns.
pub(crate) fn head() -> String {
    format!(
        "{:38} {:>10} {:>10} {:>10} {:8} {:>10} {:24} {:>7}  {:16}\n",
        "row", "median", "min", "max", "unit", "other", "against", "ratio", "target"
    )
}

/// A row as a line of the table, with its note.
pub(crate) fn line(Line { row, note }: &Line) -> String {
    let met = match row.met {
        Some(true) => "met",
        Some(false) => "MISSED",
        None => "",
    };
    let mut out = format!(
        "{:38} {:>10} {:>10} {:>10} {:8} {:>10} {:24} {:>7}  {:16} {met}",
        row.row,
        number(row.median),
        number(row.min),
        number(row.max),
        row.unit,
        number(row.against_median),
        row.against.as_deref().unwrap_or_default(),
        row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        row.target.as_deref().unwrap_or_default(),
    );
    out.truncate(out.trim_end().len());
    if let Some(note) = note {
        let _ = write!(out, "\n{:38} ({note})", "");
    }
    out.push('\n');
    out
}

/// The table for a page in Markdown.
pub(crate) fn markdown<'a>(rows: impl IntoIterator<Item = &'a Row>) -> String {
    let mut out = String::from(
        "| row | median | min | max | unit | against | its median | ratio | target | met |\n\
         | --- | ---: | ---: | ---: | --- | --- | ---: | ---: | --- | --- |\n",
    );
    for row in rows {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            row.row,
            number(row.median),
            number(row.min),
            number(row.max),
            row.unit,
            row.against.as_deref().unwrap_or_default(),
            number(row.against_median),
            row.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
            row.target.as_deref().unwrap_or_default(),
            row.met.map(|met| if met { "yes" } else { "**no**" }).unwrap_or_default(),
        );
    }
    out
}

/// With about four digits that mean something.
fn number(value: Option<f64>) -> String {
    let Some(value) = value else { return String::new() };
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_judged_by_its_target() {
        let row =
            || Line::new("a", "us", &Samples::of([20.0, 10.0, 30.0])).against("b", &Samples::of([10.0]));
        assert_eq!(row().at_most_times(2.0).row.met, Some(true));
        assert_eq!(row().at_most_times(1.9).row.met, Some(false));
        assert_eq!(row().at_least_times(2.1).row.met, Some(false));
        assert_eq!(row().below().row.met, Some(false));
        assert_eq!(row().above().row.met, Some(true));
        assert_eq!(row().at_most(20.0).row.target.as_deref(), Some("<= 20 us"));
    }

    #[test]
    fn without_the_other_nothing_is_met_and_the_reason_is_said() {
        let absent = Samples::absent("not installed");
        let Line { row, note } = Line::new("a", "us", &Samples::of([1.0])).against("b", &absent).below();
        assert_eq!((row.met, row.ratio, note.as_deref()), (None, None, Some("b: not installed")));
        assert_eq!(row.target.as_deref(), Some("ahead (less)"));
    }
}
