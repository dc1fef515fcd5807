//! The helpers of one process.

mod executor;
mod flight;
mod flight_model;
mod mutex;
mod shutdown;

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::task::noop_waker_ref;

/// One poll by hand.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(noop_waker_ref()))
}
