//! What the tests of this crate share.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use mainstay_limiter::{Acquire, LimitError, Limiter, Permit, PermitRequest, ScopeSnapshot};

pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Polls once, with a waker that does nothing.
pub fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A request that has been polled and waits.
pub fn waiting(request: PermitRequest) -> Acquire {
    let mut acquire = request.into_future();
    assert!(poll(&mut acquire).is_pending(), "it should wait");
    acquire
}

/// The permit of a request that waited.
pub fn granted(acquire: &mut Acquire) -> Permit {
    match poll(acquire) {
        Poll::Ready(Ok(permit)) => permit,
        other => panic!("it should be in: {other:?}"),
    }
}

/// The refusal of a request that waited.
pub fn refused(acquire: &mut Acquire) -> LimitError {
    match poll(acquire) {
        Poll::Ready(Err(error)) => error,
        other => panic!("it should be refused: {other:?}"),
    }
}

pub fn scope(limiter: &Limiter, name: &str) -> ScopeSnapshot {
    limiter.snapshot().scope(name).expect("the scope is known").clone()
}

pub fn used(limiter: &Limiter, name: &str) -> u32 {
    scope(limiter, name).used
}
