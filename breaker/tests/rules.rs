//! What opens a breaker, and what does not.

mod support;

use std::{future::pending, panic::AssertUnwindSafe, pin::pin};

use futures_util::FutureExt;
use mainstay_breaker::{
    Breaker, BreakerConfig, Dropped, ManualClock, Outcome, Ratio, Reason, State, Window,
};
use support::*;

#[tokio::test]
async fn a_window_of_calls_slides_call_by_call() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    goods(&breaker, 10_000).await;
    bads(&breaker, 4).await;
    assert_eq!(breaker.state(), State::Closed);
    bads(&breaker, 1).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_minimum_below_the_window_is_honoured() {
    let time = ManualClock::new();
    let breaker = builder(&time).window(Window::count(100)).build();
    bads(&breaker, 9).await;
    assert_eq!(breaker.state(), State::Closed);
    bads(&breaker, 1).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_success_that_completes_the_minimum_opens_too() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    bads(&breaker, 5).await;
    goods(&breaker, 4).await;
    assert_eq!(breaker.state(), State::Closed);
    goods(&breaker, 1).await;
    let rate = Ratio::percent(50);
    assert_eq!(
        breaker.snapshot().reason,
        Some(Reason::FailureRate { rate, limit: rate, calls: 10 })
    );
}

#[tokio::test]
async fn a_window_of_time_forgets() {
    let time = ManualClock::new();
    let breaker = builder(&time).window(Window::time(secs(10))).build();
    bads(&breaker, 9).await;
    time.advance(secs(12));
    bads(&breaker, 9).await;
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().tally.failure, 9);
    time.advance(secs(9));
    bads(&breaker, 1).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn a_refusal_says_what_happened_and_how_long_to_wait() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    time.advance(secs(3));
    let refused = refusal(good(&breaker).await);
    assert_eq!(
        refused.to_string(),
        "breaker `bank` has been open for 3s: 100% of 10 calls were bad, limit 50%; call again in 7s"
    );
    assert_eq!(refused.retry_after(), Some(secs(7)));
    assert!(refused.is_open());
    assert_eq!(breaker.snapshot().refused, 1);
}

#[tokio::test]
async fn calls_in_a_row() {
    let time = ManualClock::new();
    let breaker = builder(&time).without_failure_rate().consecutive(3).build();
    for _ in 0..5 {
        bads(&breaker, 2).await;
        goods(&breaker, 1).await;
    }
    bads(&breaker, 1).await;
    let _ = call(&breaker, Err(CallError::Mine)).await;
    let _ = call(&breaker, Err(CallError::TimedOut)).await;
    assert_eq!(breaker.snapshot().consecutive, 2);
    bads(&breaker, 1).await;
    assert_eq!(breaker.snapshot().reason, Some(Reason::Consecutive { calls: 3, limit: 3 }));
}

#[tokio::test]
async fn a_number_of_bad_calls() {
    let time = ManualClock::new();
    let window = Window::time(secs(60));
    let breaker = builder(&time).window(window).without_failure_rate().count(4).build();
    bads(&breaker, 3).await;
    goods(&breaker, 1_000).await;
    assert_eq!(breaker.state(), State::Closed);
    bads(&breaker, 1).await;
    assert_eq!(breaker.snapshot().reason, Some(Reason::Count { calls: 4, limit: 4 }));
}

#[tokio::test]
async fn slow_calls() {
    let time = ManualClock::new();
    let breaker = builder(&time).slow(ms(500), Ratio::percent(80), 5).build();
    for slow in [true, true, true, false] {
        let permit = breaker.try_admit().unwrap();
        time.advance(ms(if slow { 500 } else { 499 }));
        permit.finish(Outcome::Success);
    }
    assert_eq!((breaker.snapshot().tally.slow, breaker.state()), (3, State::Closed));
    let permit = breaker.try_admit().unwrap();
    time.advance(secs(1));
    permit.finish(Outcome::Success);
    assert!(matches!(breaker.snapshot().reason, Some(Reason::SlowRate { calls: 5, .. })));
}

#[tokio::test]
async fn callers_that_time_out_open_it() {
    let time = ManualClock::new();
    let breaker = Breaker::builder("bank").clock(time.clock()).build();
    let mut timed_out = 0;
    for _ in 0..200 {
        let mut call = pin!(breaker.call().run(pending::<Result<(), CallError>>()));
        if is_pending(&mut call) {
            time.advance(secs(1));
            timed_out += 1;
        }
    }
    // One every second, in a window of ten: the minimum of 20 is never reached one after another.
    assert_eq!((timed_out, breaker.state()), (200, State::Closed));
    let calls: Vec<_> = (0..200).map(|_| breaker.try_admit().unwrap()).collect();
    time.advance(secs(1));
    drop(calls);
    assert_eq!(breaker.state(), State::Open);
    assert!(breaker.snapshot().late >= 170);
}

#[tokio::test]
async fn impatient_callers_do_not_open_it() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    for _ in 0..200 {
        let permit = breaker.try_admit().unwrap();
        time.advance(ms(999));
        drop(permit);
    }
    assert_eq!((breaker.state(), breaker.snapshot().tally.calls()), (State::Closed, 0));
}

#[tokio::test]
async fn when_a_dropped_call_counts_can_be_set() {
    let time = ManualClock::new();
    for (dropped, counts) in [(Dropped::Never, 0), (Dropped::After(ms(10)), 1)] {
        let breaker = builder(&time).dropped(dropped).build();
        let permit = breaker.try_admit().unwrap();
        time.advance(ms(500));
        drop(permit);
        assert_eq!(breaker.snapshot().tally.unknown, counts, "{dropped:?}");
    }
    let breaker = builder(&time).slow(ms(500), Ratio::percent(80), 100).build();
    let permit = breaker.try_admit().unwrap();
    time.advance(ms(500));
    drop(permit);
    assert_eq!((breaker.snapshot().tally.unknown, breaker.snapshot().tally.slow), (1, 1));
}

#[tokio::test]
async fn unknown_counts_by_its_weight() {
    let time = ManualClock::new();
    let breaker = builder(&time).unknown_weight(Ratio::ZERO).build();
    for _ in 0..100 {
        let _ = call(&breaker, Err(CallError::TimedOut)).await;
    }
    assert_eq!((breaker.state(), breaker.snapshot().tally.unknown), (State::Closed, 10));
}

#[tokio::test]
async fn a_panic_is_a_failure() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    fn answer() -> Result<(), CallError> {
        panic!("in the call")
    }
    let work = async { answer() };
    assert!(AssertUnwindSafe(breaker.call().run(work)).catch_unwind().await.is_err());
    assert_eq!(breaker.snapshot().tally.failure, 1);
}

#[tokio::test]
async fn the_body_can_overrule_the_classifier() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let request = breaker.call();
    let handle = request.handle();
    let done = request.run(async {
        handle.mark(Outcome::Unknown);
        Ok::<_, CallError>(7)
    });
    assert_eq!(done.await, Ok(7));
    assert_eq!(breaker.snapshot().tally.unknown, 1);
}

#[tokio::test]
async fn thresholds_change_at_run_time_and_history_stays() {
    let time = ManualClock::new();
    for window in [Window::count(10), Window::time(secs(10))] {
        let breaker = builder(&time).window(window).build();
        bads(&breaker, 4).await;
        goods(&breaker, 6).await;
        let mut config: BreakerConfig = breaker.config();
        config.failure_rate.as_mut().unwrap().limit = Ratio::percent(45);
        config.window = match window == Window::count(10) {
            true => Window::count(20),
            false => Window::time(secs(600)),
        };
        breaker.configure(config);
        assert_eq!(breaker.snapshot().tally.calls(), 10);
        bads(&breaker, 1).await;
        assert_eq!(breaker.state(), State::Open, "5 of 11 with {window:?}");
    }
}

#[test]
fn threads_without_a_ring_of_their_own_are_counted_too() {
    let time = ManualClock::new();
    let window = Window::time(secs(60));
    let breaker = builder(&time).window(window).without_failure_rate().build();
    let together = std::sync::Barrier::new(40);
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                together.wait();
                for _ in 0..100 {
                    breaker.try_admit().unwrap().finish(Outcome::Success);
                }
                breaker.try_admit().unwrap().finish(Outcome::Unknown);
                together.wait();
            });
        }
    });
    let tally = breaker.snapshot().tally;
    assert_eq!((tally.success, tally.unknown), (4_000, 40));
}
