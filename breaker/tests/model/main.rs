//! The breaker against a plain reference, step by step: state, answers and figures are the same.
//!
//! The reference keeps a list of results and says what a breaker does in the words of its
//! documentation; the breaker runs as users see it, on a clock that stands still between steps.

#![expect(clippy::unwrap_used, reason = "helpers of a test, where a panic is the answer")]

mod history;
mod reference;
mod settings;
mod steps;
mod system;

use std::collections::BTreeSet;

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use reference::Reference;
use steps::Step;
use system::System;

/// Runs every step against a breaker of a kind of its own.
struct Single;
struct Keyed;

impl StateMachineTest for Single {
    type SystemUnderTest = System;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> System {
        System::single(reference)
    }

    fn apply(mut system: System, reference: &Reference, step: Step) -> System {
        system.apply(reference, &step);
        system
    }
}

impl StateMachineTest for Keyed {
    type SystemUnderTest = System;
    type Reference = Reference;

    fn init_test(reference: &Reference) -> System {
        System::keyed(reference)
    }

    fn apply(mut system: System, reference: &Reference, step: Step) -> System {
        system.apply(reference, &step);
        system
    }
}

fn config() -> Config {
    Config { failure_persistence: None, max_shrink_iters: 4_000, ..Config::with_cases(300) }
}

prop_state_machine! {
    #![proptest_config(config())]

    /// Threads of a breaker of its own write to rings of their own.
    #[test]
    fn a_breaker_does_what_the_reference_says(sequential 1..120 => Single);

    /// A keyed breaker counts in the ring under its mutex as long as one thread uses it.
    #[test]
    fn a_keyed_breaker_does_what_the_reference_says(sequential 1..120 => Keyed);
}

#[test]
fn the_steps_come_by_every_corner() {
    let steps = Reference::sequential_strategy(1..120);
    let mut runner = TestRunner::deterministic();
    let mut seen = BTreeSet::new();
    for _ in 0..100 {
        let (mut reference, steps, _) = steps.new_tree(&mut runner).unwrap().current();
        for step in &steps {
            reference = Reference::apply(reference, step);
        }
        seen.extend(reference.seen);
    }
    let corners = [
        "a hung trial call",
        "a stale result",
        "closed again",
        "disabled",
        "forced open",
        "half-open",
        "idle for longer than the window",
        "next step of a ramp",
        "open",
        "opened while ramping",
        "ramping",
    ];
    assert_eq!(seen, BTreeSet::from(corners));
}
