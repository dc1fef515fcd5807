//! The lock as its users see it, on a clock that tests move.
#![allow(clippy::disallowed_methods, reason = "tests start tasks of their own")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod cancel;
#[cfg(feature = "cancellation")]
mod cancellation;
mod conformance;
mod election;
mod faulty;
mod held;
mod incidents;
mod local;
mod lock_all;
mod lock_order;
mod model;
mod read_write;
mod reentry;
mod regrant;
mod remote;
mod requests;
mod tokens;
#[cfg(feature = "tower")]
mod tower;

use std::time::Duration;

use mainstay_lock::{Locks, LocksBuilder, ManualClock};

/// A clock and locks that run on it.
fn manual() -> (ManualClock, LocksBuilder) {
    let time = ManualClock::new();
    let builder = Locks::builder().clock(time.clock());
    (time, builder)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
