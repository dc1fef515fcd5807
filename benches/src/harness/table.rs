//! What was measured.

use serde::Serialize;

use super::Whose;

/// What one side measured, one figure a round.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Samples(pub Vec<f64>);

impl Samples {
    /// A figure that was counted, not measured.
    pub fn exact(value: f64) -> Self {
        Self(vec![value])
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The one so far up: 0 is the lowest, 1 the highest.
    pub fn quantile(&self, at: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
        let place = at * last as f64;
        let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        low + (high - low) * place.fract()
    }

    /// Median of what `compare` makes of both sides' figures of the same round.
    pub fn paired(&self, other: &Self, compare: impl Fn(f64, f64) -> f64) -> f64 {
        if self.0.len() != other.0.len() {
            return compare(self.median(), other.median());
        }
        let pairs = self.0.iter().zip(&other.0);
        Self(pairs.map(|(own, other)| compare(*own, *other)).collect()).median()
    }
}

/// What a column holds.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Its heading.
    pub name: &'static str,
    /// The unit of its figures.
    pub unit: &'static str,
}

/// One side's figures.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The side's name.
    pub side: &'static str,
    /// Whether it is our code.
    pub ours: bool,
    /// A cell for each column.
    pub cells: Vec<Option<Samples>>,
}

/// What was measured of several sides.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// What the sides do.
    pub title: &'static str,
    /// What a reader should know about it.
    pub note: &'static str,
    /// Headings and units.
    pub columns: Vec<Column>,
    /// The sides.
    pub rows: Vec<Row>,
}

impl Table {
    /// A table of `sides` without figures.
    pub fn new(
        title: &'static str,
        note: &'static str,
        columns: Vec<Column>,
        sides: impl Iterator<Item = (&'static str, Whose)>,
    ) -> Self {
        let cells = vec![None; columns.len()];
        let row = |(side, whose)| Row { side, ours: whose == Whose::Ours, cells: cells.clone() };
        Self { title, note, rows: sides.map(row).collect(), columns }
    }

    /// Adds a figure to a cell.
    pub fn push(&mut self, side: usize, column: usize, value: f64) {
        let cell = &mut self.rows[side].cells[column];
        cell.get_or_insert_default().0.push(value);
    }

    /// The figures of a side under a heading.
    pub fn samples(&self, side: &str, column: &str) -> Option<&Samples> {
        let row = self.rows.iter().find(|row| row.side == side)?;
        let column = self.columns.iter().position(|has| has.name == column)?;
        row.cells[column].as_ref()
    }
}
