//! Vocabulary of the mainstay crates: values that a user or a test hands to more than one of them.
//!
//! - [`Key`]: a name that cannot be forged by the text put into it.
//! - [`Clock`]: the only source of time; [`ManualClock`] is its twin for tests.
//! - [`Backoff`]: how long to wait before the next attempt.
//! - [`Outcome`] and [`Classify`]: what a result says about the one who gave it.
//! - [`OnReject`]: what a refused call returns.
//! - [`transaction`]: the mark of an open transaction in the current task.
//!
//! Every crate re-exports what it exposes, so users of one crate never name this one.
//! Nothing here starts a task, opens a connection or knows another crate's errors.

mod backoff;
mod clock;
mod key;
mod outcome;
mod reject;
pub mod transaction;

pub use backoff::{Backoff, Jitter};
pub use clock::{Clock, Elapsed, ManualClock, Moment, Sleep, Timeout};
pub use key::{IntoKey, Key, KeyBuilder, KeyError};
pub use outcome::{Classify, ErrIsFailure, Outcome};
pub use reject::{IntoError, OnReject, With};
