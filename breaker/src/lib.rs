//! A circuit breaker: stops calling somebody who does not answer, and finds out when they are back.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! use std::time::Duration;
//! use mainstay_breaker::{Backoff, Breaker, BreakerError, Outcome, Ratio};
//!
//! #[derive(Debug)]
//! enum PayError { NotSent(BreakerError), TimedOut, Declined }
//!
//! impl From<BreakerError> for PayError {
//!     fn from(error: BreakerError) -> Self {
//!         Self::NotSent(error)
//!     }
//! }
//!
//! let bank = Breaker::builder("bank")
//!     .failure_rate(Ratio::percent(50), 20)
//!     .slow(Duration::from_millis(800), Ratio::percent(80), 20)
//!     .open_for(Backoff::exponential(Duration::from_secs(5), Duration::from_secs(60)))
//!     .build();
//!
//! let judge = |result: Result<&&str, &PayError>| match result {
//!     Ok(_) => Outcome::Success,
//!     Err(PayError::TimedOut) => Outcome::Unknown, // the bank may have paid
//!     Err(PayError::Declined) => Outcome::Success, // a healthy bank said no
//!     Err(PayError::NotSent(_)) => Outcome::Ignored,
//! };
//! let receipt = bank.call().classify(judge).run(async { Ok("receipt") }).await;
//! assert_eq!(receipt.unwrap(), "receipt");
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it promises
//!
//! - **Closed** it costs one load to be let through, no lock and no allocation.
//! - It opens on the share of bad calls, the share of slow calls, bad calls in a row or their number,
//!   whichever comes first, and says which in [`BreakerError::Open`] and in [`Event::Changed`].
//! - An **unknown** outcome (a time-out after the request was sent) counts against health and never
//!   closes anything. A call cut off by its caller counts so too if it ran as long as a slow call:
//!   callers that time out open it, callers that are merely impatient do not.
//! - **Half-open** never more than the configured number of trial calls counts or runs. Dropped,
//!   panicked and hung ones give their permit back; nothing keeps it half-open for ever.
//! - A result that comes back after the state it was admitted in has ended decides nothing.
//! - With a [probe](BreakerBuilder::probe) it recovers without users' calls, with a [`Ramp`] step by step.
//! - Thresholds change at [run time](Breaker::configure), and history stays.
//!
//! # What it does not promise
//!
//! Calls admitted before it opened go on. A success that completes the minimum in the very moment in
//! which another thread finds the share too high may be judged with the next call only. Windows of time
//! slide in steps of a tenth; time is read from a clock that is a few milliseconds coarse and need not
//! count suspend.
//!
//! # Time-outs belong inside
//!
//! Put the time-out inside of the work and call it [`Outcome::Unknown`]. A time-out around the breaker
//! drops the call, and a drop says less.

mod books;
mod breaker;
mod builder;
mod call;
mod config;
mod error;
mod finish;
mod gate;
mod group;
mod has;
mod inner;
mod keyed;
mod machine;
#[cfg(test)]
mod machine_tests;
mod observe;
mod permit;
mod policy;
mod probe;
mod reason;
mod recovery;
mod rules;
mod run;
mod snapshot;
mod spawn;
mod state;
mod sync;
#[cfg(feature = "tower")]
mod tower;
mod trials;
mod window;
mod word;

pub use breaker::Breaker;
pub use builder::BreakerBuilder;
pub use call::{CallHandle, CallRequest};
pub use config::{
    BreakerConfig, Dropped, FailureRate, Ramp, Ratio, RatioError, SlowRate, Trials, Window,
};
pub use error::BreakerError;
pub use has::{HasBreaker, HasBreakers};
pub use keyed::{Breakers, BreakersBuilder};
pub use mainstay_core::{
    Backoff, Classify, Clock, ErrIsFailure, IntoError, IntoKey, Jitter, Key, KeyError, ManualClock,
    OnReject, Outcome, With, key,
};
pub use observe::{CallEvent, CallEvents, Event, Events, Transition};
pub use permit::CallPermit;
pub use reason::Reason;
pub use run::Run;
pub use snapshot::Snapshot;
pub use state::State;
#[cfg(feature = "tower")]
pub use tower::{BreakerLayer, BreakerService, ResponseFuture};
pub use window::Tally;

#[cfg(feature = "macros")]
pub use mainstay_macros::breaker;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
