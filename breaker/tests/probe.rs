//! Recovery without users' calls.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mainstay_breaker::{
    Breaker, BreakerError, Breakers, Event, ManualClock, Outcome, Ratio, State,
};
use support::*;

/// Answers that probes get, one after the other; the last repeats. Counts probes.
#[derive(Clone)]
struct Bank {
    answers: Arc<[Outcome]>,
    asked: Arc<AtomicUsize>,
}

impl Bank {
    fn new(answers: &[Outcome]) -> Self {
        Self { answers: answers.into(), asked: Arc::default() }
    }

    fn ask(&self) -> Outcome {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        self.answers[asked.min(self.answers.len() - 1)]
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn probed(time: &ManualClock, bank: &Bank) -> Breaker {
    let bank = bank.clone();
    builder(time).probe(move || std::future::ready(bank.ask())).build()
}

#[tokio::test]
async fn it_recovers_without_a_single_call() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Success]);
    let breaker = probed(&time, &bank);
    open(&breaker).await;
    time.run_for(ms(9_999)).await;
    assert_eq!((breaker.state(), bank.asked()), (State::Open, 0));
    time.run_for(ms(1)).await;
    assert_eq!((breaker.state(), bank.asked()), (State::Closed, 3));
    time.run_for(secs(3600)).await;
    assert_eq!((bank.asked(), time.sleepers()), (3, 0), "the task has ended");
}

#[tokio::test]
async fn a_failed_probe_waits_again_and_unknown_or_ignored_prove_nothing() {
    let time = ManualClock::new();
    let bank = Bank::new(&[
        Outcome::Failure,
        Outcome::Success,
        Outcome::Unknown,
        Outcome::Ignored,
        Outcome::Success,
    ]);
    let breaker = probed(&time, &bank);
    open(&breaker).await;
    for asked in [1, 3, 4, 7] {
        assert_eq!(breaker.state(), State::Open);
        time.run_for(secs(10)).await;
        assert_eq!(bank.asked(), asked);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn no_users_call_is_spent_while_it_probes() {
    let time = ManualClock::new();
    let breaker = builder(&time).probe(std::future::pending).build();
    open(&breaker).await;
    time.run_for(secs(10)).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    let refused = refusal(good(&breaker).await);
    assert!(matches!(refused, BreakerError::HalfOpen { .. }));
    // The probe outlives its lease.
    time.run_for(secs(5)).await;
    assert_eq!(breaker.state(), State::Open);
    refusal(good(&breaker).await);
}

#[tokio::test]
async fn a_probe_that_panics_has_failed_and_the_prober_goes_on() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Failure, Outcome::Success]);
    let asked = bank.clone();
    let probe = move || {
        let answer = asked.ask();
        assert!(answer == Outcome::Success, "in the probe");
        async move { answer }
    };
    let breaker = builder(&time).probe(probe).build();
    open(&breaker).await;
    time.run_for(secs(10)).await;
    assert_eq!((breaker.state(), bank.asked()), (State::Open, 1));
    time.run_for(secs(10)).await;
    assert_eq!((breaker.state(), bank.asked()), (State::Closed, 4));
}

#[tokio::test]
async fn the_task_ends_with_the_last_handle() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Failure]);
    let breaker = probed(&time, &bank);
    open(&breaker).await;
    let clone = breaker.clone();
    drop(breaker);
    time.run_for(secs(10)).await;
    assert_eq!((bank.asked(), time.sleepers()), (1, 1));
    drop(clone);
    time.settle().await;
    assert_eq!(time.sleepers(), 0);
    assert_eq!(Arc::strong_count(&bank.asked), 1, "nothing holds the probe");
}

#[tokio::test]
async fn the_task_ends_when_an_operator_closes_and_starts_anew_with_the_next_outage() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Failure, Outcome::Success]);
    let breaker = probed(&time, &bank);
    open(&breaker).await;
    time.run_for(secs(7)).await;
    breaker.reset();
    open(&breaker).await;
    time.run_for(secs(9)).await;
    assert_eq!((bank.asked(), breaker.state()), (0, State::Open), "the first wait is void");
    time.run_for(secs(1)).await;
    assert_eq!(bank.asked(), 1);
    breaker.reset();
    time.run_for(secs(60)).await;
    assert_eq!((bank.asked(), breaker.state(), time.sleepers()), (1, State::Closed, 0));
}

#[test]
fn without_a_runtime_callers_make_the_trial_calls() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Success]);
    let breaker = probed(&time, &bank);
    for _ in 0..10 {
        breaker.try_admit().unwrap().finish(Outcome::Failure);
    }
    time.advance(secs(10));
    for _ in 0..3 {
        breaker.try_admit().unwrap().finish(Outcome::Success);
    }
    assert_eq!((breaker.state(), bank.asked()), (State::Closed, 0));
}

#[test]
fn a_runtime_that_stopped_keeps_nothing_open_for_ever() {
    let time = ManualClock::new();
    let bank = Bank::new(&[Outcome::Success]);
    let breaker = probed(&time, &bank);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(open(&breaker));
    // Nobody drives the prober from here on.
    time.advance(secs(10));
    assert!(breaker.try_admit().is_err(), "it may still come");
    // Twice the lease.
    time.advance(secs(10));
    for _ in 0..3 {
        breaker.try_admit().unwrap().finish(Outcome::Success);
    }
    assert_eq!((breaker.state(), bank.asked()), (State::Closed, 0));
}

#[tokio::test]
async fn probes_are_told() {
    let time = ManualClock::new();
    let breaker = probed(&time, &Bank::new(&[Outcome::Failure]));
    let mut events = breaker.events();
    open(&breaker).await;
    time.run_for(secs(10)).await;
    let mut seen = Vec::new();
    while let Some(event) = events.try_recv() {
        seen.push(match event {
            Event::Changed(transition) => format!("{:?}", transition.to),
            Event::Probed { outcome, .. } => format!("probe: {outcome:?}"),
            other => panic!("unexpected {other:?}"),
        });
    }
    assert_eq!(seen, ["Open", "HalfOpen", "probe: Failure", "Open"]);
}

#[tokio::test]
async fn a_keyed_probe_is_told_the_key() {
    let time = ManualClock::new();
    let breakers = Breakers::builder()
        .clock(time.clock())
        .consecutive(1)
        .trials(1, Ratio::ONE)
        .probe(|key| async move {
            if key.as_str() == "bank:2" { Outcome::Success } else { Outcome::Failure }
        })
        .build();
    for key in ["bank:1", "bank:2"] {
        bads(&breakers.get(key).unwrap(), 1).await;
    }
    time.run_for(secs(5)).await;
    assert_eq!(breakers.get("bank:1").unwrap().state(), State::Open);
    assert_eq!(breakers.get("bank:2").unwrap().state(), State::Closed);
}
