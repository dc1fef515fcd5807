//! Fences rise in the order of grants.

use mainstay_testkit::history::{Numbered, inversions};

use super::{Rule, Verdict, Violation, ops::Op, ops::Ops};

pub(super) fn judge(ops: &Ops, verdict: &mut Verdict) {
    for (key, grants) in ops.grants() {
        in_real_time(key, &grants, verdict);
        in_order_of_beliefs(ops, key, &grants, verdict);
        once_each(key, &grants, verdict);
        for op in grants {
            if op.nested.iter().any(|fence| *fence != op.fence) {
                let what = format!("{key}: {} was entered again with {:?}", op.name(), op.nested);
                verdict.violations.push(Violation::new(Rule::FenceNested, what));
            }
        }
    }
}

/// Whoever asked after another one had it has a higher one. Always, whatever was destroyed.
fn in_real_time(key: &str, grants: &[&Op], verdict: &mut Verdict) {
    let numbered =
        |op: &&Op| Some(Numbered { asked: op.asked, got: op.granted()?, number: op.fence });
    let numbers: Vec<_> = grants.iter().filter_map(numbered).collect();
    for (earlier, later) in inversions(&numbers) {
        verdict.violations.push(fell(key, grants[earlier], grants[later]));
    }
}

/// Waiters ask long before they are granted: believers follow each other, and so must their fences. Two
/// that overlap, which is a violation or excused, have no order; nor have readers among each other.
fn in_order_of_beliefs(ops: &Ops, key: &str, grants: &[&Op], verdict: &mut Verdict) {
    let believed: Vec<_> = grants.iter().filter(|op| op.belief().start < op.belief().end).collect();
    for (at, later) in believed.iter().enumerate() {
        let start = later.belief().start;
        let lossy = |broken: &super::ops::Broken| {
            broken.lossy && later.asked <= broken.span.end && broken.span.start <= start
        };
        // Back to the one that had it alone.
        for earlier in believed[..at].iter().rev() {
            // A grant from before the loss may arrive after one from after it.
            if !(earlier.reads && later.reads)
                && earlier.belief().end <= start
                && earlier.fence >= later.fence
                && !ops.broken.iter().any(lossy)
            {
                verdict.violations.push(fell(key, earlier, later));
            }
            if !earlier.reads {
                break;
            }
        }
    }
}

fn once_each(key: &str, grants: &[&Op], verdict: &mut Verdict) {
    let mut sorted = grants.to_vec();
    sorted.sort_by_key(|op| op.fence);
    for pair in sorted.windows(2).filter(|pair| pair[0].fence == pair[1].fence) {
        let what = format!("{key}: {} and {} have one fence", pair[0].name(), pair[1].name());
        verdict.violations.push(Violation::new(Rule::FenceTwice, what));
    }
}

fn fell(key: &str, earlier: &Op, later: &Op) -> Violation {
    let what = format!("{key}: {} was granted after {}", later.name(), earlier.name());
    Violation::new(Rule::FenceOrder, what)
}
