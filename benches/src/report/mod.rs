//! Telling what was measured.

mod bar;
mod json;
mod machine;
mod markdown;
mod plot;

pub use bar::{Bar, Limit, Verdict};
pub use machine::Machine;

use std::{error::Error, fs, path::Path};

use crate::harness::Table;

/// Everything that is known about a group.
#[derive(Debug)]
pub struct Report {
    /// The group's name, which its files have too.
    pub name: &'static str,
    /// The heading.
    pub title: &'static str,
    /// Where it was measured.
    pub machine: Machine,
    /// What was measured.
    pub tables: Vec<Table>,
    /// What it has to show.
    pub verdicts: Vec<Verdict>,
}

impl Report {
    /// Writes `NAME.md`, `NAME.svg` and `NAME.json`.
    ///
    /// # Errors
    ///
    /// A file that cannot be written, and a plot that cannot be drawn.
    pub fn write(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(folder)?;
        let file = |ending: &str| folder.join(format!("{}.{ending}", self.name));
        fs::write(file("md"), markdown::page(self))?;
        fs::write(file("json"), json::page(self)?)?;
        fs::write(file("svg"), plot::page(self)?)?;
        Ok(())
    }

    /// The table of bars, for a terminal.
    pub fn bars(&self) -> String {
        markdown::bars(&self.verdicts)
    }

    /// The bars that were missed.
    pub fn missed(&self) -> impl Iterator<Item = &Verdict> {
        self.verdicts.iter().filter(|verdict| verdict.met == Some(false))
    }
}

/// A figure with as many digits as mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "?".into(),
        0.0 => "0".into(),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
