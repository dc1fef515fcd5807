//! The breaker's life as two lines of a terminal.

use crate::{
    bank::Outage,
    seam::{BreakerChange, BreakerState},
};

/// Cells of the chart.
const WIDTH: u64 = 60;

/// The breaker's state over a run of `run_ms`: each cell shows the most guarded
/// state that it saw.
pub(crate) fn breaker(changes: &[BreakerChange], run_ms: u64) -> String {
    cells(run_ms).map(|(from, to)| sign(state_within(changes, from, to))).collect()
}

/// When the bank was down.
pub(crate) fn outages(outages: &[Outage], run_ms: u64) -> String {
    let down = |(from, to)| outages.iter().any(|o| o.from_ms < to && from < o.to_ms);
    cells(run_ms).map(|cell| if down(cell) { '█' } else { '·' }).collect()
}

/// A scale as wide as the chart.
pub(crate) fn scale(run_ms: u64) -> String {
    let end = format!("{} s", seconds(run_ms));
    format!("{:<1$}{end}", "0 s", WIDTH as usize - end.len())
}

/// The changes in words, at most `limit` of them.
pub(crate) fn changes(changes: &[BreakerChange], limit: usize) -> String {
    let words = |c: &BreakerChange| format!("{} at {} s", name(c.state), seconds(c.at_ms));
    let mut parts: Vec<String> = changes.iter().map(words).collect();
    if changes.len() > limit {
        // How it began and how it ended say most.
        let (from, to) = (limit.saturating_sub(1), changes.len() - 1);
        parts.splice(from..to, [format!("{} more", to - from)]);
    }
    parts.join(", ")
}

/// Milliseconds as seconds with one decimal.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{}", ms / 1_000, ms % 1_000 / 100)
}

/// What the chart's signs mean.
pub(crate) const LEGEND: &str = "· closed, ▃ ramping, ▅ half-open, █ open";

fn cells(run_ms: u64) -> impl Iterator<Item = (u64, u64)> {
    let run_ms = run_ms.max(1);
    (0..WIDTH).map(move |cell| (cell * run_ms / WIDTH, (cell + 1) * run_ms / WIDTH))
}

fn state_within(changes: &[BreakerChange], from: u64, to: u64) -> BreakerState {
    let before = changes.iter().rev().find(|change| change.at_ms <= from);
    let at_start = before.map_or(BreakerState::Closed, |change| change.state);
    let inside = changes
        .iter()
        .filter(|change| from < change.at_ms && change.at_ms < to)
        .map(|change| change.state);
    inside.fold(at_start, BreakerState::max)
}

fn sign(state: BreakerState) -> char {
    match state {
        BreakerState::Closed => '·',
        BreakerState::Ramping => '▃',
        BreakerState::HalfOpen => '▅',
        BreakerState::Open => '█',
    }
}

fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Ramping => "ramping",
        BreakerState::HalfOpen => "half-open",
        BreakerState::Open => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(at_ms: u64, state: BreakerState) -> BreakerChange {
        BreakerChange { at_ms, state }
    }

    #[test]
    fn each_cell_shows_the_most_guarded_state_it_saw() {
        let life = [
            change(10_000, BreakerState::Open),
            change(20_000, BreakerState::HalfOpen),
            change(20_100, BreakerState::Open),
            change(30_000, BreakerState::Ramping),
            change(40_500, BreakerState::Closed),
        ];
        let line: Vec<char> = breaker(&life, 60_000).chars().collect();
        assert_eq!(line.len(), 60);
        let runs = |from: usize, to: usize, sign: char| line[from..to].iter().all(|c| *c == sign);
        assert!(runs(0, 10, '·'));
        assert!(runs(10, 30, '█'));
        assert!(runs(30, 41, '▃'));
        assert!(runs(41, 60, '·'));
        assert_eq!(changes(&life, 2), "open at 10.0 s, 3 more, closed at 40.5 s");
    }

    #[test]
    fn a_short_run_without_changes_is_all_closed() {
        assert_eq!(breaker(&[], 0), "·".repeat(60));
        let outage = Outage { from_ms: 0, to_ms: 30_000 };
        let line = outages(&[outage], 60_000);
        assert_eq!(line.matches('█').count(), 30);
        assert_eq!(scale(60_000).chars().count(), 60);
    }
}
