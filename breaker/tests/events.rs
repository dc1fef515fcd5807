//! What is told, and to whom.

mod support;

use mainstay_breaker::{CallEvent, Event, ManualClock, Outcome, Reason, State};
use support::*;

#[tokio::test]
async fn a_transition_tells_reason_and_figures() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let mut events = breaker.events();
    goods(&breaker, 3).await;
    open(&breaker).await;
    let Some(Event::Changed(transition)) = events.recv().await else { panic!("no transition") };
    assert_eq!((transition.from, transition.to), (State::Closed, State::Open));
    assert_eq!((transition.tally.success, transition.tally.failure), (3, 7));
    assert!(matches!(transition.reason, Some(Reason::FailureRate { calls: 10, .. })));
    assert_eq!(events.try_recv(), None);
}

#[tokio::test]
async fn calls_are_told_while_somebody_listens() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    goods(&breaker, 1).await;
    let mut calls = breaker.call_events();
    let permit = breaker.try_admit().unwrap();
    time.advance(ms(30));
    permit.finish(Outcome::Failure);
    breaker.force_open(None, "test");
    refusal(good(&breaker).await);
    let name = breaker.name().clone();
    let finished =
        CallEvent::Finished { name: name.clone(), outcome: Outcome::Failure, took: Some(ms(30)) };
    assert_eq!(calls.recv().await, Some(finished));
    let state = State::ForcedOpen;
    assert_eq!(calls.recv().await, Some(CallEvent::Refused { name: name.clone(), state }));
    breaker.shadow(true);
    goods(&breaker, 1).await;
    assert_eq!(calls.recv().await, Some(CallEvent::WouldRefuse { name, state }));

    drop(calls);
    goods(&breaker, 1).await;
    let mut again = breaker.call_events();
    assert_eq!(again.try_recv(), None);
    goods(&breaker, 1).await;
    assert!(again.try_recv().is_some());
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed_and_memory_is_bounded() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let mut calls = breaker.call_events();
    goods(&breaker, 5_000).await;
    let Some(CallEvent::Missed(missed)) = calls.recv().await else { panic!("nothing missed") };
    assert!(missed > 3_000);
}

#[tokio::test]
async fn a_late_result_is_told() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let permit = breaker.try_admit().unwrap();
    open(&breaker).await;
    let mut events = breaker.events();
    permit.finish(Outcome::Unknown);
    let name = breaker.name().clone();
    assert_eq!(events.recv().await, Some(Event::Late { name, outcome: Outcome::Unknown }));
    breaker.configure(breaker.config());
    assert_eq!(events.recv().await, Some(Event::Configured));
    drop(breaker);
    assert_eq!(events.recv().await, None);
}
