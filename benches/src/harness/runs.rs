//! Runs of many tasks.

use std::fmt;

use super::{Column, Effort, Table, Whose};

/// Runs, each of which gives some figures at once.
pub struct Runs {
    /// What the sides do.
    pub title: &'static str,
    /// What a reader should know about it.
    pub note: &'static str,
    /// What a run gives.
    pub columns: Vec<Column>,
    /// Who does it.
    pub sides: Vec<RunSide>,
}

/// Gives a figure for each column.
type Run = Box<dyn FnMut(Effort) -> Vec<f64>>;

/// One side of a comparison of runs.
pub struct RunSide {
    /// What it is called in tables and bars.
    pub name: &'static str,
    whose: Whose,
    run: Run,
}

impl RunSide {
    /// `run` gives a figure for each column.
    pub fn new(
        name: &'static str,
        whose: Whose,
        run: impl FnMut(Effort) -> Vec<f64> + 'static,
    ) -> Self {
        Self { name, whose, run: Box::new(run) }
    }
}

impl Runs {
    /// Runs every side, in turns.
    pub fn measure(mut self, effort: Effort) -> Table {
        let names = self.sides.iter().map(|side| (side.name, side.whose));
        let mut table = Table::new(self.title, self.note, self.columns, names);
        let count = self.sides.len();
        for round in 0..effort.runs {
            for step in 0..count {
                let place = (round + step) % count;
                let values = (self.sides[place].run)(effort);
                for (column, value) in values.into_iter().enumerate() {
                    table.push(place, column, value);
                }
            }
        }
        table
    }
}

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runs").field("title", &self.title).finish_non_exhaustive()
    }
}
