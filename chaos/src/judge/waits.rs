//! Everybody is served or told, and nobody waits beside a free lock.

use std::collections::BTreeMap;

use mainstay_testkit::history::Span;

use super::{
    Rule, Verdict, Violation,
    ops::{Answer, Op, Ops},
};

pub(super) fn judge(ops: &Ops, verdict: &mut Verdict) {
    let busy = busy(ops);
    for op in &ops.all {
        let violation = match op.answer {
            None if ops.done.contains_key(&op.client) => Some(Violation::new(
                Rule::NoAnswer,
                format!("{}: {} had no answer", op.key, op.name()),
            )),
            Some((at, _)) => late(ops, op, at),
            None => None,
        };
        verdict.violations.extend(violation);
        if let Some((at, Answer::Refused)) = op.answer {
            let busy = busy.get(op.key.as_str()).map_or(&[][..], Vec::as_slice);
            verdict.violations.extend(starved(ops, op, at, busy));
        }
    }
}

/// An answer must come within the wait, a client's own stops left out.
fn late(ops: &Ops, op: &Op, at: u64) -> Option<Violation> {
    let stopped = ops.stopped.get(&op.client).map_or(&[][..], Vec::as_slice);
    let stopped: u64 = stopped.iter().map(|span| shared(span, op.asked, at)).sum();
    let took = at - op.asked - stopped;
    let over = took.checked_sub(op.wait * MILLI + SLACK)?;
    let what = format!("{}: {} was answered {} ms late", op.key, op.name(), over / MILLI);
    Some(Violation::new(Rule::NoAnswer, what))
}

/// A wait that ended in vain although, for as long as repairs take, nothing was broken, and nobody had
/// the lock or others who asked later had it again and again.
fn starved(ops: &Ops, op: &Op, at: u64, busy: &[Busy]) -> Option<Violation> {
    let since = at.saturating_sub(REPAIR);
    let broken = || ops.broken.iter().any(|broken| shared(&broken.span, since, at) > 0);
    let stopped = || {
        let spans = ops.stopped.get(&op.client);
        spans.is_some_and(|spans| spans.iter().any(|span| shared(span, since, at) > 0))
    };
    if since < op.asked || broken() || stopped() {
        return None;
    }
    let overtook = |busy: &&Busy| busy.asked > since && shared(&busy.span, since, at) > 0;
    let others = busy.iter().filter(overtook).count();
    let free = busy.iter().all(|busy| shared(&busy.span, since, at) == 0);
    if !free && others < OVERTAKERS {
        return None;
    }
    let seconds = REPAIR / MILLI / 1_000;
    let what =
        format!("{}: {} waited in vain, {others} went before it in {seconds} s", op.key, op.name());
    Some(Violation::new(Rule::Starved, what))
}

/// When somebody may have had a lock, as far as its server knew, and when they asked.
struct Busy {
    asked: u64,
    span: Span,
}

/// When somebody may have had each lock, as far as its server knew.
fn busy(ops: &Ops) -> BTreeMap<&str, Vec<Busy>> {
    let mut busy: BTreeMap<&str, Vec<Busy>> = BTreeMap::new();
    for op in &ops.all {
        let lease = op.lease * MILLI;
        let span = match op.answer {
            Some((_, Answer::Refused | Answer::Failed)) => continue,
            Some((at, Answer::Granted)) => {
                let end = op.belief().end;
                let clean = op.leaves == Some(end) && !ops.killed.contains_key(&op.client);
                // What was not given back lives on the server until its lease ends.
                Span { start: at, end: if clean { end } else { end + lease } }
            }
            Some((at, Answer::Unknown | Answer::Dropped)) => {
                Span { start: op.asked, end: at + 2 * lease }
            }
            None => Span { start: op.asked, end: u64::MAX },
        };
        busy.entry(&op.key).or_default().push(Busy { asked: op.asked, span });
    }
    busy
}

/// How much of `start..end` is in `span`.
fn shared(span: &Span, start: u64, end: u64) -> u64 {
    span.end.min(end).saturating_sub(span.start.max(start))
}

const MILLI: u64 = 1_000_000;
/// Beside the wait: budgets of the connection, and a busy machine.
const SLACK: u64 = 5_000 * MILLI;
/// Within so long a lost push is repaired: waiters ask every 5 s.
const REPAIR: u64 = 6_500 * MILLI;
/// So many that asked later were served while one waited: it is not in the queue.
const OVERTAKERS: usize = 12;
