//! A call dropped at every await leaves nothing behind.

mod support;

use mainstay_breaker::{ManualClock, State};
use mainstay_testkit::cancel::{EveryAwait, yield_once};
use support::*;

#[tokio::test]
async fn a_trial_call_dropped_anywhere_gives_its_permit_back() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    time.advance(secs(10));
    let done = EveryAwait::new()
        .after_drop(|at| assert_eq!(breaker.snapshot().trials, 0, "left behind by {at}"))
        .run(|| {
            breaker.call().run(async {
                yield_once().await;
                yield_once().await;
                Ok::<_, CallError>(())
            })
        });
    assert_eq!((done.output, done.polls), (Ok(()), 3));
    assert_eq!(breaker.state(), State::HalfOpen);
    goods(&breaker, 2).await;
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_call_dropped_anywhere_decides_nothing() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    for _ in 0..100 {
        EveryAwait::new()
            .run(|| {
                breaker.call().classify(judge).run(async {
                    yield_once().await;
                    Err::<(), _>(CallError::Mine)
                })
            })
            .output
            .unwrap_err();
    }
    assert_eq!((breaker.state(), breaker.snapshot().tally.calls()), (State::Closed, 0));
}
