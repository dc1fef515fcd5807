//! The judge: reads a history and says what was violated.
//!
//! It knows nothing but the history. What must hold:
//!
//! - of the clients that believe to hold a lock, there is one at a time, or all of them read ([`beliefs`]);
//! - fences rise in the order of grants, and none is given twice ([`fences`]);
//! - the store's guarded counters are the sum of the writes that it acknowledged, and no write was
//!   accepted after one of a later holder ([`writes`]);
//! - whoever asked was served or told, and nobody waited beside a free lock ([`waits`]);
//! - nothing is left on the servers when everybody has left.
//!
//! Where a fault destroyed data, two may believe, each until it is told or its lease ends: such overlaps
//! are counted as lost grants and not judged. Fences and counters are judged always.

mod beliefs;
mod fences;
mod ops;
#[cfg(test)]
mod tests;
mod waits;
mod writes;

use std::{collections::BTreeMap, path::Path};

use mainstay_testkit::history;
use serde::Serialize;

use self::ops::Ops;
use crate::{
    Result,
    event::{Event, What},
    fault::Fault,
    shape::Shape,
};

/// What became of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) seconds: u64,
    /// Requests for a lock.
    pub(crate) operations: usize,
    pub(crate) grants: usize,
    /// Those of them that share a lock.
    pub(crate) reads: usize,
    /// Guarded writes that the store acknowledged, and those that it refused for their fence.
    pub(crate) writes: usize,
    pub(crate) stale_refused: usize,
    pub(crate) faults: BTreeMap<Fault, usize>,
    /// Faults after which another server was primary.
    pub(crate) failovers: usize,
    /// Elections among Sentinels, whoever asked for them.
    pub(crate) elections: usize,
    /// Grants that a fault took from their holders before their time. None of them is a violation where
    /// the fault destroys data.
    pub(crate) lost_grants: usize,
    /// The same, for each shape.
    pub(crate) lost_grants_in: BTreeMap<Shape, usize>,
    pub(crate) violations: Vec<Violation>,
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    /// What was seen, for a person.
    pub(crate) what: String,
}

/// What may be violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    /// Two believed to hold one lock, and not both of them to read.
    Overlap,
    /// A holder was told that its lock is gone before its time, and nothing had destroyed it.
    Vanished,
    /// A fence did not rise.
    FenceOrder,
    /// Two grants had one fence.
    FenceTwice,
    /// A hold that was entered again showed another fence.
    FenceNested,
    /// The store took a write after one of a later holder.
    StaleWrite,
    /// The store's counter is not the sum of what it acknowledged.
    Counter,
    /// A request had no answer, or not in its time.
    NoAnswer,
    /// A waiter was not served although the lock was free.
    Starved,
    /// A client did not end.
    Stuck,
    /// Keys were left on a server.
    Orphan,
}

impl Violation {
    fn new(rule: Rule, what: String) -> Self {
        Self { rule, what }
    }
}

/// Judges the history in a file.
pub(crate) fn judge_file(path: &Path) -> Result<Verdict> {
    Ok(judge(&history::read::<Event>(path)?))
}

/// Judges each part of a history that was made on servers of its own.
pub(crate) fn judge(events: &[Event]) -> Verdict {
    let mut verdict = Verdict::default();
    let begins = |event: &Event| matches!(event.what, What::Began { .. });
    let starts: Vec<_> = (0..events.len()).filter(|at| begins(&events[*at])).collect();
    for (index, start) in starts.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(events.len());
        judge_part(&events[*start..end], &mut verdict);
    }
    verdict
}

fn judge_part(events: &[Event], verdict: &mut Verdict) {
    let ops = Ops::read(events);
    let lost_before = verdict.lost_grants;
    if let (Some(first), Some(last)) = (events.first(), events.last()) {
        verdict.seconds += (last.at - first.at) / 1_000_000_000;
    }
    for event in events {
        match &event.what {
            What::Began { seed, shape } => {
                verdict.seed = *seed;
                verdict.shapes.push(*shape);
            }
            What::Strikes { fault, .. } => {
                verdict.failovers += usize::from(fault.is_failover());
                *verdict.faults.entry(*fault).or_default() += 1;
            }
            What::Elected { .. } => verdict.elections += 1,
            What::Stuck { victim, log } => {
                let what = format!("client {victim} did not end: {log}");
                verdict.violations.push(Violation::new(Rule::Stuck, what));
            }
            What::Leftovers { keys } if !keys.is_empty() => {
                let what = format!("left on the servers: {}", keys.join(", "));
                verdict.violations.push(Violation::new(Rule::Orphan, what));
            }
            _ => {}
        }
    }
    verdict.operations += ops.all.len();
    beliefs::judge(&ops, verdict);
    fences::judge(&ops, verdict);
    writes::judge(&ops, verdict);
    waits::judge(&ops, verdict);
    if let Some(shape) = verdict.shapes.last() {
        let lost = verdict.lost_grants - lost_before;
        *verdict.lost_grants_in.entry(*shape).or_default() += lost;
    }
}
