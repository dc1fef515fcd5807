//! What a measurement has to show.

use serde::Serialize;

use super::figure;
use crate::harness::{Samples, Table};

/// A cell: a side and a heading.
type Cell = (&'static str, &'static str);

/// What a measurement has to show.
#[derive(Clone, Debug)]
pub struct Bar {
    what: &'static str,
    ours: Cell,
    reference: Option<Cell>,
    figure: Figure,
    limit: Limit,
}

/// How far a figure may go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// No further up.
    AtMost(f64),
    /// No further down.
    AtLeast(f64),
    /// As far as it likes: it is shown, and nothing is demanded.
    Shown,
}

/// What is made of ours and the reference.
#[derive(Clone, Copy, Debug)]
enum Figure {
    Ratio,
    Over,
    Faster,
    Value,
}

impl Bar {
    /// Ours divided by the reference.
    pub fn ratio(what: &'static str, ours: Cell, reference: Cell, limit: Limit) -> Self {
        Self { what, ours, reference: Some(reference), figure: Figure::Ratio, limit }
    }

    /// Ours less the reference.
    pub fn over(what: &'static str, ours: Cell, reference: Cell, limit: Limit) -> Self {
        Self { what, ours, reference: Some(reference), figure: Figure::Over, limit }
    }

    /// Ours is so many times as fast as the reference.
    pub fn faster(what: &'static str, ours: Cell, reference: Cell, times: f64) -> Self {
        let limit = Limit::AtLeast(times);
        Self { what, ours, reference: Some(reference), figure: Figure::Faster, limit }
    }

    /// Ours alone.
    pub fn value(what: &'static str, ours: Cell, limit: Limit) -> Self {
        Self { what, ours, reference: None, figure: Figure::Value, limit }
    }

    /// Compares.
    pub fn judge(&self, tables: &[Table]) -> Verdict {
        let ours = find(tables, self.ours);
        let reference = self.reference.map(|cell| find(tables, cell));
        let other = reference.as_ref().map(|found| &found.samples);
        let value = match (self.figure, other) {
            (Figure::Ratio, Some(other)) => ours.samples.paired(other, |own, other| own / other),
            (Figure::Over, Some(other)) => ours.samples.paired(other, |own, other| own - other),
            (Figure::Faster, Some(other)) => ours.samples.paired(other, |own, other| other / own),
            (_, None) | (Figure::Value, _) => ours.samples.median(),
        };
        let unit = match self.figure {
            Figure::Ratio => "x",
            Figure::Faster => "x faster",
            Figure::Over | Figure::Value => ours.unit,
        };
        let sign = if matches!(self.figure, Figure::Over) && value >= 0.0 { "+" } else { "" };
        Verdict {
            what: self.what,
            reference: reference.map(|found| found.text()),
            ours: ours.text(),
            value,
            figure: format!("{sign}{}", with_unit(value, unit)),
            bar: self.limit.text(unit),
            met: self.limit.is_met(value),
        }
    }
}

impl Limit {
    fn is_met(self, value: f64) -> Option<bool> {
        match self {
            // A figure that is missing meets nothing.
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::Shown => None,
        }
    }

    fn text(self, unit: &str) -> String {
        match self {
            Self::AtMost(most) => format!("<= {}", with_unit(most, unit)),
            Self::AtLeast(least) => format!(">= {}", with_unit(least, unit)),
            Self::Shown => "-".into(),
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// What is compared.
    pub what: &'static str,
    /// The other side, with its figure.
    pub reference: Option<String>,
    /// Our side, with its figure.
    pub ours: String,
    /// What was made of both.
    pub value: f64,
    /// The same as text.
    pub figure: String,
    /// What it should be.
    pub bar: String,
    /// Whether it is; nothing if nothing is demanded.
    pub met: Option<bool>,
}

struct Found {
    side: &'static str,
    unit: &'static str,
    samples: Samples,
}

impl Found {
    fn text(&self) -> String {
        format!("{} ({})", with_unit(self.samples.median(), self.unit), self.side)
    }
}

/// The cell, or an empty one that meets no bar.
fn find(tables: &[Table], (side, column): Cell) -> Found {
    let found = tables.iter().find_map(|table| {
        let samples = table.samples(side, column)?.clone();
        let unit = table.columns.iter().find(|has| has.name == column)?.unit;
        Some(Found { side, unit, samples })
    });
    found.unwrap_or(Found { side, unit: "", samples: Samples::default() })
}

fn with_unit(value: f64, unit: &str) -> String {
    match unit {
        "" => figure(value),
        "x" | "/s" => format!("{}{unit}", figure(value)),
        _ => format!("{} {unit}", figure(value)),
    }
}
