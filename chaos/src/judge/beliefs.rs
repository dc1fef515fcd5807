//! One believer at a time, or several that read, and no lock that is gone before its time.

use mainstay_testkit::history::crowds;

use super::{
    Rule, Verdict, Violation,
    ops::{Op, Ops},
};
use crate::event::Left;

pub(super) fn judge(ops: &Ops, verdict: &mut Verdict) {
    for (key, grants) in ops.grants() {
        verdict.grants += grants.len();
        verdict.reads += grants.iter().filter(|op| op.reads).count();
        let beliefs: Vec<_> = grants.iter().map(|op| op.belief()).collect();
        for crowd in crowds(&beliefs, 1) {
            let newer = grants[crowd.newcomer];
            let present = crowd.present.into_iter().map(|at| grants[at]);
            for older in present.filter(|older| !(older.reads && newer.reads)) {
                overlap(ops, key, older, newer, verdict);
            }
        }
        for op in grants {
            vanished(ops, op, verdict);
        }
    }
}

fn overlap(ops: &Ops, key: &str, older: &Op, newer: &Op, verdict: &mut Verdict) {
    if is_excused(ops, older, newer.belief().start) {
        verdict.lost_grants += 1;
        return;
    }
    let (one, two) = (older.belief(), newer.belief());
    let shared = (one.end.min(two.end) - two.start) / 1_000;
    let what = format!("{key}: {} and {} both held it for {shared} us", older.name(), newer.name());
    verdict.violations.push(Violation::new(Rule::Overlap, what));
}

/// Told before the end that its guard had named, by the servers and not by itself.
fn vanished(ops: &Ops, op: &Op, verdict: &mut Verdict) {
    let told = match (&op.lost, op.left) {
        (Some((at, reason)), _) if reason == "TakenOver" => *at,
        (_, Some((at, Left::AlreadyLost))) => at,
        _ => return,
    };
    if told >= op.until {
        return;
    }
    if is_excused(ops, op, told) {
        verdict.lost_grants += 1;
        return;
    }
    let early = (op.until - told) / 1_000;
    let what = format!("{}: {} was told of its loss {early} us before its time", op.key, op.name());
    verdict.violations.push(Violation::new(Rule::Vanished, what));
}

/// Whether a fault that destroys data struck after the grant may have been made and before `seen`.
fn is_excused(ops: &Ops, op: &Op, seen: u64) -> bool {
    let lossy = ops.broken.iter().filter(|broken| broken.lossy);
    lossy.into_iter().any(|broken| op.asked <= broken.span.end && broken.span.start <= seen)
}
