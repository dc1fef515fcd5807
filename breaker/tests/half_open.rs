//! Trial calls: exact, given back whatever happens, never in the way for ever.

mod support;

use std::{
    future::pending,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::FutureExt;
use mainstay_breaker::{Breaker, ManualClock, Outcome, Ratio, Reason, State};
use support::*;

async fn opened() -> (ManualClock, Breaker) {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    (time, breaker)
}

/// Open, and the wait is over.
async fn due() -> (ManualClock, Breaker) {
    let (time, breaker) = opened().await;
    time.advance(secs(10));
    (time, breaker)
}

#[tokio::test]
async fn of_fifty_callers_at_once_three_are_let_through() {
    let (_time, breaker) = due().await;
    let started = Arc::new(AtomicUsize::new(0));
    let mut calls: Vec<_> = (0..50)
        .map(|_| {
            let started = started.clone();
            Box::pin(breaker.call().run(async move {
                started.fetch_add(1, Ordering::Relaxed);
                pending::<Result<(), CallError>>().await
            }))
        })
        .collect();
    let pending = calls.iter_mut().filter_map(|call| is_pending(call).then_some(())).count();
    assert_eq!(started.load(Ordering::Relaxed), 3);
    assert_eq!(pending, 3, "the others were refused");
    assert_eq!(breaker.snapshot().trials, 3);
}

#[tokio::test]
async fn of_fifty_threads_at_once_three_are_let_through() {
    let (_time, breaker) = due().await;
    let permits: Vec<_> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..50).map(|_| scope.spawn(|| breaker.try_admit().ok())).collect();
        calls.into_iter().filter_map(|call| call.join().unwrap()).collect()
    });
    assert_eq!(permits.len(), 3);
    assert!(permits.iter().all(|permit| permit.is_trial()));
}

#[tokio::test]
async fn dropped_trial_calls_give_their_permits_back_at_once() {
    let (_time, breaker) = due().await;
    for _ in 0..3 {
        let mut call = pin!(breaker.call().run(pending::<Result<(), CallError>>()));
        assert!(is_pending(&mut call));
    }
    assert_eq!(breaker.snapshot().trials, 0);
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_future_that_is_never_polled_takes_no_permit() {
    let (_time, breaker) = due().await;
    let _unpolled: Vec<_> =
        (0..9).map(|_| breaker.call().run(pending::<Result<(), CallError>>())).collect();
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn hung_trial_calls_fail_with_their_lease_and_block_nobody_for_ever() {
    let (time, breaker) = due().await;
    let mut hung: Vec<_> =
        (0..3).map(|_| Box::pin(breaker.call().run(pending::<Result<(), CallError>>()))).collect();
    for call in &mut hung {
        assert!(is_pending(call));
    }
    let refused = refusal(good(&breaker).await);
    assert!(refused.is_recovering());
    assert_eq!(refused.retry_after(), Some(secs(5)));

    time.advance(secs(5));
    let refused = refusal(good(&breaker).await);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(refused.retry_after(), Some(secs(10)));

    time.advance(secs(10));
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed, "while the first three still hang");
    drop(hung);
    assert_eq!(breaker.snapshot().tally.calls(), 0, "they decide nothing any more");
}

#[tokio::test]
async fn a_trial_call_that_ends_after_its_lease_has_failed() {
    let (time, breaker) = due().await;
    let permit = breaker.try_admit().unwrap();
    time.advance(secs(5));
    permit.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().reason, Some(Reason::Trial { failed: 1, permits: 3 }));
    assert_eq!(breaker.snapshot().late, 1);
}

#[tokio::test]
async fn a_result_of_before_decides_nothing() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let stale: Vec<_> = (0..6).map(|_| breaker.try_admit().unwrap()).collect();
    open(&breaker).await;
    time.advance(secs(10));
    let trial = breaker.try_admit().unwrap();
    for (permit, outcome) in stale.into_iter().zip([
        Outcome::Failure,
        Outcome::Success,
        Outcome::Unknown,
        Outcome::Success,
        Outcome::Success,
        Outcome::Ignored,
    ]) {
        permit.finish(outcome);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!(breaker.snapshot().late, 5);
    assert_eq!(breaker.snapshot().trials, 1, "no permit was given back or added");
    trial.finish(Outcome::Success);
    goods(&breaker, 2).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn trial_calls_may_come_slowly() {
    let (time, breaker) = due().await;
    for _ in 0..3 {
        goods(&breaker, 1).await;
        time.advance(secs(3600));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_panic_in_a_trial_call_is_a_failure() {
    let (_time, breaker) = due().await;
    let call = breaker.call().run(async { panic!("in the call") });
    let call: &mut (dyn Future<Output = Result<(), CallError>> + Unpin) = &mut Box::pin(call);
    assert!(AssertUnwindSafe(&mut *call).catch_unwind().await.is_err());
    // Before the future is dropped: the runtime may keep it for a while.
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().trials, 0);
}

#[tokio::test]
async fn a_panic_beside_a_permit_is_a_failure() {
    let (_time, breaker) = due().await;
    let permit = breaker.try_admit().unwrap();
    let caught = std::panic::catch_unwind(AssertUnwindSafe(move || {
        let _permit = permit;
        panic!("in the call");
    }));
    assert!(caught.is_err());
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn an_unknown_outcome_fails_a_trial_call() {
    let (_time, breaker) = due().await;
    let _ = call(&breaker, Err(CallError::TimedOut)).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn an_ignored_outcome_gives_the_permit_back() {
    let (_time, breaker) = due().await;
    for _ in 0..20 {
        assert_eq!(call(&breaker, Err(CallError::Mine)).await, Err(CallError::Mine));
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_trial_call_dropped_late_has_failed() {
    let (time, breaker) = due().await;
    let permit = breaker.try_admit().unwrap();
    time.advance(secs(2));
    drop(permit);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn the_share_of_trial_calls_decides_and_as_soon_as_it_can() {
    let time = ManualClock::new();
    let breaker = builder(&time).trials(5, Ratio::percent(60)).build();
    open(&breaker).await;
    time.advance(secs(10));
    bads(&breaker, 2).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);

    open(&breaker).await;
    time.advance(secs(10));
    goods(&breaker, 2).await;
    bads(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_slow_success_fails_a_trial_call_where_slow_calls_are_judged() {
    let time = ManualClock::new();
    let breaker = builder(&time).slow(secs(1), Ratio::percent(90), 50).build();
    open(&breaker).await;
    time.advance(secs(10));
    let permit = breaker.try_admit().unwrap();
    time.advance(secs(1));
    permit.finish(Outcome::Success);
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn after_closing_the_past_is_forgotten() {
    let (_time, breaker) = due().await;
    goods(&breaker, 3).await;
    assert_eq!(breaker.snapshot().tally.calls(), 0);
    bads(&breaker, 9).await;
    assert_eq!(breaker.state(), State::Closed);
}
