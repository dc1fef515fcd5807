//! The way back: waits, ramp, operators.

mod support;

use mainstay_breaker::{
    Backoff, Breaker, BreakerError, Event, ManualClock, Outcome, Ramp, Ratio, State, Transition,
};
use support::*;

fn doubling(time: &ManualClock) -> Breaker {
    let waits = Backoff::steps(secs(10), [secs(20), secs(40)]);
    builder(time).open_for(waits).quiet(secs(60)).build()
}

fn wait_of(breaker: &Breaker) -> std::time::Duration {
    breaker.snapshot().retry_after.expect("it is open")
}

#[tokio::test]
async fn the_wait_grows_until_a_quiet_period() {
    let time = ManualClock::new();
    let breaker = doubling(&time);
    open(&breaker).await;
    for wait in [10, 20, 40, 40] {
        assert_eq!(wait_of(&breaker), secs(wait));
        time.advance(secs(wait));
        bads(&breaker, 1).await;
    }
    time.advance(secs(40));
    goods(&breaker, 3).await;
    time.advance(secs(59));
    open(&breaker).await;
    assert_eq!(wait_of(&breaker), secs(40), "not quiet for long enough");
    time.advance(secs(40));
    goods(&breaker, 3).await;
    time.advance(secs(60));
    open(&breaker).await;
    assert_eq!(wait_of(&breaker), secs(10));
}

#[tokio::test]
async fn the_other_side_can_ask_for_more_time_within_a_limit() {
    let time = ManualClock::new();
    let asked = |wait| {
        let breaker = builder(&time).build();
        for _ in 0..10 {
            let mut permit = breaker.try_admit().unwrap();
            permit.retry_after(wait);
            permit.finish(Outcome::Failure);
        }
        wait_of(&breaker)
    };
    assert_eq!(asked(secs(1)), secs(10));
    assert_eq!(asked(secs(30)), secs(30));
    assert_eq!(asked(secs(86_400)), secs(300));

    let breaker = builder(&time).build();
    for _ in 0..10 {
        let request = breaker.call();
        let handle = request.handle();
        let work = async {
            handle.retry_after(secs(45));
            Err::<(), _>(CallError::Bad)
        };
        let _ = request.run(work).await;
    }
    assert_eq!(wait_of(&breaker), secs(45));
}

fn ramping(time: &ManualClock) -> Breaker {
    builder(time).ramp(Ramp { percent: vec![10, 25], step: secs(1) }).build()
}

async fn let_through(breaker: &Breaker, calls: usize) -> usize {
    let mut through = 0;
    for _ in 0..calls {
        through += usize::from(good(breaker).await.is_ok());
    }
    through
}

#[tokio::test]
async fn the_ramp_lets_exact_shares_through() {
    let time = ManualClock::new();
    let breaker = ramping(&time);
    open(&breaker).await;
    time.advance(secs(10));
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Ramping);
    assert_eq!(let_through(&breaker, 1_000).await, 100);
    let refused = loop {
        if let Err(CallError::Refused(error)) = good(&breaker).await {
            break error;
        }
    };
    assert!(matches!(refused, BreakerError::Ramping { percent: 10, retry_after, .. }
        if retry_after == secs(1)));
    time.advance(secs(1));
    assert_eq!(let_through(&breaker, 1_000).await, 250);
    time.advance(secs(1));
    assert_eq!(let_through(&breaker, 1_000).await, 1_000);
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_ramp_opens_again_with_its_share_of_the_minimum() {
    let time = ManualClock::new();
    let breaker = ramping(&time);
    open(&breaker).await;
    time.advance(secs(10));
    goods(&breaker, 3).await;
    // A tenth of the minimum of ten is one.
    bads(&breaker, 1).await;
    assert_eq!(breaker.state(), State::Open);
}

#[tokio::test]
async fn time_alone_does_not_end_a_step() {
    let time = ManualClock::new();
    let breaker = ramping(&time);
    open(&breaker).await;
    time.advance(secs(10));
    goods(&breaker, 3).await;
    time.advance(secs(3600));
    let permit = breaker.try_admit().unwrap();
    assert_eq!(breaker.snapshot().percent, Some(10), "nobody had called");
    permit.finish(Outcome::Success);
    time.advance(secs(1));
    assert!(good(&breaker).await.is_ok());
    assert_eq!(breaker.snapshot().percent, Some(25));
}

#[tokio::test]
async fn an_operator_forces_open_for_a_while_or_until_told() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    let before = breaker.try_admit().unwrap();
    breaker.force_open(Some(secs(30)), "bank in maintenance");
    before.finish(Outcome::Success);
    let refused = refusal(good(&breaker).await);
    assert!(refused.is_forced() && refused.is_open());
    assert_eq!(
        refused.to_string(),
        "breaker `bank` was forced open: bank in maintenance; call again in 30s"
    );
    time.advance(secs(30));
    goods(&breaker, 3).await;
    assert_eq!(breaker.state(), State::Closed);

    breaker.force_open(None, "until further notice");
    time.advance(secs(1 << 30));
    let refused = refusal(good(&breaker).await);
    assert_eq!(refused.retry_after(), None);
    assert!(refused.to_string().ends_with("it stays so until an operator lifts it"));
    breaker.reset();
    goods(&breaker, 1).await;
}

#[tokio::test]
async fn disabled_it_counts_and_decides_nothing() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    open(&breaker).await;
    breaker.disable();
    bads(&breaker, 100).await;
    assert_eq!((breaker.state(), breaker.snapshot().tally.failure), (State::Disabled, 10));
    breaker.reset();
    assert_eq!((breaker.state(), breaker.snapshot().tally.failure), (State::Closed, 0));
}

#[tokio::test]
async fn in_shadow_it_reports_and_refuses_nobody() {
    let time = ManualClock::new();
    let breaker = builder(&time).build();
    breaker.shadow(true);
    let mut events = breaker.events();
    open(&breaker).await;
    goods(&breaker, 20).await;
    time.advance(secs(10));
    let trials: Vec<_> = (0..5).map(|_| breaker.try_admit().unwrap()).collect();
    assert_eq!(trials.iter().filter(|permit| permit.is_trial()).count(), 3);
    trials.into_iter().for_each(|permit| permit.finish(Outcome::Success));
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.snapshot().refused, 0);
    let mut states = Vec::new();
    while let Some(event) = events.try_recv() {
        if let Event::Changed(Transition { to, .. }) = event {
            states.push(to);
        }
    }
    assert_eq!(states, [State::Open, State::HalfOpen, State::Closed]);
}

#[tokio::test]
async fn a_config_without_numbers_that_make_sense_still_works() {
    let time = ManualClock::new();
    let breaker = builder(&time)
        .failure_rate(Ratio::ZERO, 0)
        .trials(0, Ratio::ZERO)
        .open_for(Backoff::fixed(secs(0)))
        .ramp(Ramp { percent: vec![0, 100, 255], step: secs(0) })
        .build();
    goods(&breaker, 5).await;
    bads(&breaker, 1).await;
    for _ in 0..10 {
        let _ = good(&breaker).await;
    }
    assert_eq!(breaker.state(), State::Closed);
}
