//! Calls of three kinds, and a breaker on a clock that stands still.
#![allow(dead_code, unreachable_pub, reason = "every test file uses some of it")]

use std::time::Duration;

use futures_util::FutureExt;
use mainstay_breaker::{
    Backoff, Breaker, BreakerBuilder, BreakerError, ManualClock, Outcome, Ratio, State, Window,
};

/// Error of the calls in these tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    Refused(BreakerError),
    Bad,
    /// The answer never came.
    TimedOut,
    /// Not the other side's fault.
    Mine,
}

impl From<BreakerError> for CallError {
    fn from(error: BreakerError) -> Self {
        Self::Refused(error)
    }
}

pub fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn judge(result: Result<&(), &CallError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Success,
        Err(CallError::Bad) => Outcome::Failure,
        Err(CallError::TimedOut) => Outcome::Unknown,
        Err(CallError::Mine | CallError::Refused(_)) => Outcome::Ignored,
    }
}

/// Half of the last ten calls opens for ten seconds; three trial calls must succeed.
pub fn builder(time: &ManualClock) -> BreakerBuilder {
    Breaker::builder("bank")
        .clock(time.clock())
        .window(Window::count(10))
        .failure_rate(Ratio::percent(50), 10)
        .open_for(Backoff::fixed(secs(10)))
        .trials(3, Ratio::ONE)
        .trial_lease(secs(5))
}

pub async fn call(breaker: &Breaker, result: Result<(), CallError>) -> Result<(), CallError> {
    breaker.call().classify(judge).run(async move { result }).await
}

pub async fn good(breaker: &Breaker) -> Result<(), CallError> {
    call(breaker, Ok(())).await
}

pub async fn bad(breaker: &Breaker) -> Result<(), CallError> {
    call(breaker, Err(CallError::Bad)).await
}

pub async fn goods(breaker: &Breaker, count: usize) {
    for _ in 0..count {
        assert_eq!(good(breaker).await, Ok(()));
    }
}

pub async fn bads(breaker: &Breaker, count: usize) {
    for _ in 0..count {
        assert_eq!(bad(breaker).await, Err(CallError::Bad));
    }
}

/// Opens a breaker of [`builder`].
pub async fn open(breaker: &Breaker) {
    while breaker.state() == State::Closed {
        bads(breaker, 1).await;
    }
    assert_eq!(breaker.state(), State::Open);
}

pub fn refusal(result: Result<(), CallError>) -> BreakerError {
    match result {
        Err(CallError::Refused(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Polls once.
pub fn is_pending(future: impl Future + Unpin) -> bool {
    future.now_or_never().is_none()
}
