//! How long to measure.

use std::time::Duration;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Turns that every side gets.
    pub rounds: usize,
    /// CPU time of one turn of calls.
    pub turn: Duration,
    /// Turns of sides that run tasks, which are longer.
    pub runs: usize,
    /// Wall time of one run.
    pub run: Duration,
}

impl Effort {
    /// Enough to compare.
    pub const FULL: Self = Self {
        rounds: 15,
        turn: Duration::from_millis(10),
        runs: 5,
        run: Duration::from_millis(1_000),
    };

    /// Enough to see that everything works.
    pub const QUICK: Self = Self {
        rounds: 5,
        turn: Duration::from_millis(4),
        runs: 3,
        run: Duration::from_millis(300),
    };
}
