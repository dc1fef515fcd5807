//! What is measured.

pub mod breaker;
pub mod contended;
pub mod database;
pub mod error;
pub mod limiter;
pub mod lock;
pub mod macros;
pub mod outbox;
pub mod redis_lock;
pub mod sizes;
pub mod stack;

use tokio::runtime::Handle;

use crate::{
    harness::{Calls, Effort, Runs, Table, calls::Allocations},
    report::Bar,
};

/// Measurements of one crate, or of several together.
#[derive(Debug)]
pub struct Group {
    /// Its name on the command line and of its files.
    pub name: &'static str,
    /// What its report is called.
    pub title: &'static str,
    /// The measurements.
    pub parts: Vec<Part>,
    /// What they have to show.
    pub bars: Vec<Bar>,
}

/// A measurement.
#[derive(Debug)]
pub enum Part {
    /// CPU time and allocations of calls.
    Calls(Calls),
    /// Runs of many tasks.
    Runs(Runs),
    /// Figures that need no measuring.
    Known(fn(&Allocations) -> Table),
}

impl Group {
    /// Leaves only sides with `text` in their name: for a profile.
    pub fn only(&mut self, text: &str) {
        for part in &mut self.parts {
            match part {
                Part::Calls(calls) => calls.sides.retain(|side| side.name.contains(text)),
                Part::Runs(runs) => runs.sides.retain(|side| side.name.contains(text)),
                Part::Known(_) => {}
            }
        }
    }

    /// Measures everything; `say` is told what comes next.
    pub fn measure(
        self,
        effort: Effort,
        runtime: &Handle,
        allocations: &Allocations,
        say: impl Fn(&str),
    ) -> (Vec<Table>, Vec<Bar>) {
        let measure = |part| match part {
            Part::Calls(calls) => {
                say(calls.title);
                calls.measure(effort, runtime, allocations)
            }
            Part::Runs(runs) => {
                say(runs.title);
                runs.measure(effort)
            }
            Part::Known(table) => table(allocations),
        };
        (self.parts.into_iter().map(measure).collect(), self.bars)
    }
}

/// A function that makes a group.
pub type Make = fn() -> Group;

/// All groups, by name.
pub const ALL: [(&str, Make); 6] = [
    ("limiter", limiter::group),
    ("breaker", breaker::group),
    ("stack", stack::group),
    ("lock", lock::group),
    ("lock-redis", redis_lock::group),
    ("outbox", outbox::group),
];

/// Whether `name` was asked for: by its name or by what comes before its dash, or because nothing was named.
pub fn is_wanted(name: &str, wanted: &[String]) -> bool {
    let family = name.split('-').next().unwrap_or(name);
    wanted.is_empty() || wanted.iter().any(|wants| wants == name || wants == family)
}
