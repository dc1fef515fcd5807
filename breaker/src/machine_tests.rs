//! The machine against a few rules that any breaker keeps.

use std::time::Duration;

use mainstay_core::Backoff;
use proptest::prelude::*;

use crate::{
    machine::{Admission, Changes, Machine, Who},
    reason::Reason,
    recovery::Recovery,
    state::State,
    word::Word,
};

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Admit(Who),
    /// The end of an outstanding call.
    Settle(usize, Option<bool>),
    Trip,
    Hint(u64),
    ForceOpen(Option<u64>),
    Disable,
    Reset,
    Prober(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let good = prop_oneof![3 => Just(Some(true)), 1 => Just(Some(false)), 1 => Just(None)];
    prop_oneof![
        6 => (0_u64..60).prop_map(Step::Pass),
        12 => Just(Step::Admit(Who::Caller)),
        3 => Just(Step::Admit(Who::Prober)),
        12 => (any::<usize>(), good).prop_map(|(index, good)| Step::Settle(index, good)),
        4 => Just(Step::Trip),
        1 => (0_u64..5_000).prop_map(Step::Hint),
        1 => proptest::option::of(0_u64..100).prop_map(Step::ForceOpen),
        1 => Just(Step::Disable),
        1 => Just(Step::Reset),
        1 => any::<bool>().prop_map(Step::Prober),
    ]
}

fn recovery(permits: u32, needed: u32, ramp: &[u8]) -> Recovery {
    Recovery {
        open_for: Backoff::steps(Duration::from_millis(20), [Duration::from_millis(50)]),
        quiet: 200,
        max_hint: 300,
        permits,
        needed,
        lease: 40,
        ramp: ramp.into(),
        step: 10,
    }
}

/// What the outside has seen of the machine.
#[derive(Default)]
struct Seen {
    outstanding: Vec<(u64, u32)>,
    /// Good and bad trial calls that counted, in the current generation.
    good: u32,
    bad: u32,
}

fn check(
    machine: &mut Machine,
    recovery: &Recovery,
    seen: &mut Seen,
    (now, step): (u64, &Step),
) -> Result<(), TestCaseError> {
    let (before, reason) = (machine.word(), Reason::Consecutive { calls: 1, limit: 1 });
    let mut changes = Changes::new();
    match step {
        Step::Pass(_) => {}
        Step::Admit(who) => {
            let promised = *who == Who::Caller && now < machine.refuse_until(recovery);
            let admission = machine.admit(now, recovery, *who, &mut changes);
            let closed = matches!(before.state(), State::Ramping);
            // What is read without the mutex never refuses a call that the machine would let out.
            prop_assert!(!promised || closed || admission == Admission::Refuse);
            if let Admission::Trial(id) = admission {
                seen.outstanding.push((machine.word().generation(), id));
            } else if admission == Admission::Pass {
                seen.outstanding.push((machine.word().generation(), 0));
            }
        }
        Step::Settle(index, good) => {
            if !seen.outstanding.is_empty() {
                let ticket = seen.outstanding.swap_remove(index % seen.outstanding.len());
                let stale = ticket.0 != before.generation();
                let counted = machine.settle(now, recovery, ticket, *good, &mut changes);
                prop_assert!(!(stale && counted));
                prop_assert!(!stale || machine.word() == before, "a late result decided");
                if counted && ticket.1 != 0 {
                    seen.good += u32::from(*good == Some(true));
                    seen.bad += u32::from(*good == Some(false));
                }
            }
        }
        Step::Trip => machine.trip(now, recovery, before.generation(), reason, &mut changes),
        Step::Hint(wait) => machine.hint(now, recovery, *wait),
        Step::ForceOpen(wait) => {
            let until = wait.map_or(u64::MAX, |wait| now + wait);
            machine.force_open(now, until, &mut changes);
        }
        Step::Disable => machine.disable(&mut changes),
        Step::Reset => machine.reset(&mut changes),
        Step::Prober(on) => machine.set_probed(now, *on),
    }
    check_changes(recovery, seen, &changes)?;
    if machine.word().state() != before.state() {
        prop_assert!(machine.word().generation() > before.generation());
        prop_assert!(!changes.is_empty(), "a silent transition");
    }
    let counted = u32::try_from(machine.running_trials()).unwrap() + seen.good + seen.bad;
    prop_assert!(machine.word().state() != State::HalfOpen || counted <= recovery.permits);
    Ok(())
}

fn check_changes(
    recovery: &Recovery,
    seen: &mut Seen,
    changes: &Changes,
) -> Result<(), TestCaseError> {
    for change in changes {
        let passed = seen.good >= recovery.needed;
        let recovered = matches!(change.to, State::Closed | State::Ramping);
        if change.from == State::HalfOpen && recovered {
            // An operator's reset leaves no reason behind and needs no proof.
            prop_assert!(passed || change.reason.is_none());
        }
        prop_assert!(!(change.from == State::Open && change.to == State::Ramping));
        prop_assert!(!(change.from == State::Closed && change.to == State::HalfOpen));
        if change.to != State::Ramping || change.from != State::Ramping {
            (seen.good, seen.bad) = (0, 0);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn the_rules_hold_and_it_always_comes_back(
        steps in proptest::collection::vec(step(), 1..150),
        permits in 1_u32..4,
        needed in 1_u32..4,
        ramp in prop_oneof![Just(vec![]), Just(vec![10_u8, 50])],
    ) {
        let recovery = recovery(permits, needed.min(permits), &ramp);
        let (mut machine, mut seen, mut now) = (Machine::new(Word::first()), Seen::default(), 1_000);
        for step in &steps {
            if let Step::Pass(millis) = step {
                now += millis;
            }
            check(&mut machine, &recovery, &mut seen, (now, step))?;
        }
        // However it got here, with whatever calls and probers hung: patient callers that succeed close it.
        let operator = matches!(machine.word().state(), State::Disabled)
            || (machine.word().state() == State::ForcedOpen && machine.until() == u64::MAX);
        for _ in 0..40 {
            now += recovery.patience();
            let admission = machine.admit(now, &recovery, Who::Caller, &mut Changes::new());
            let id = if let Admission::Trial(id) = admission { id } else { 0 };
            if admission != Admission::Refuse {
                let ticket = (machine.word().generation(), id);
                machine.settle(now, &recovery, ticket, Some(true), &mut Changes::new());
            }
        }
        prop_assert!(operator || machine.word().is_closed(), "stuck: {:?}", machine);
    }
}
