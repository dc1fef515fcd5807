//! The store's counters, and who may write after whom.

use std::collections::BTreeMap;

use super::{
    Rule, Verdict, Violation,
    ops::{Op, Ops, Write},
};

pub(super) fn judge(ops: &Ops, verdict: &mut Verdict) {
    let mut sums: BTreeMap<&str, Sum> = BTreeMap::new();
    for op in &ops.all {
        for write in &op.writes {
            let sum = sums.entry(&op.key).or_default();
            match write.answer {
                Some((_, true)) => sum.acknowledged += 1,
                Some((_, false)) => verdict.stale_refused += 1,
                None => sum.unknown += 1,
            }
        }
    }
    for (key, sum) in &sums {
        verdict.writes += usize::try_from(sum.acknowledged).unwrap_or(0);
        let value = ops.counters.get(*key).copied().unwrap_or(0);
        if value < sum.acknowledged || value > sum.acknowledged + sum.unknown {
            let what = format!("{key}: {value} in the store, {sum:?}");
            verdict.violations.push(Violation::new(Rule::Counter, what));
        }
    }
    for (key, grants) in ops.grants() {
        stale(key, &grants, verdict);
    }
}

/// What the clients know of a counter.
#[derive(Debug, Default)]
struct Sum {
    acknowledged: i64,
    unknown: i64,
}

/// A write that was accepted although one of a later holder had been: its holder was granted after this
/// one's client asked and was given its own lock. Without a look at any fence.
fn stale(key: &str, grants: &[&Op], verdict: &mut Verdict) {
    let accepted: Vec<(&Op, &Write, u64)> = grants
        .iter()
        .flat_map(|op| op.writes.iter().map(move |write| (*op, write)))
        .filter_map(|(op, write)| match write.answer {
            Some((at, true)) => Some((op, write, at)),
            _ => None,
        })
        .collect();
    let mut by_sent = accepted.clone();
    by_sent.sort_by_key(|(_, write, _)| write.sent);
    let mut by_answer = accepted;
    by_answer.sort_by_key(|(_, _, at)| *at);
    let mut before = by_answer.into_iter().peekable();
    let mut latest: Option<&Op> = None;
    for (op, write, _) in by_sent {
        while let Some((other, _, _)) = before.next_if(|(_, _, at)| *at <= write.sent) {
            if latest.is_none_or(|latest| latest.asked < other.asked) {
                latest = Some(other);
            }
        }
        if let Some(later) = latest
            && op.granted().is_some_and(|granted| granted <= later.asked)
        {
            let what = format!("{key}: {} wrote after {}", op.name(), later.name());
            verdict.violations.push(Violation::new(Rule::StaleWrite, what));
        }
    }
}
