//! Locks, limits, breakers and an outbox that keep a service honest when what it depends on is not.
//!
//! Each part is a crate of its own and a module here:
//!
//! | module | for | handle | layer | attribute |
//! |---|---|---|---|---|
//! | [`lock`](mod@lock) | "lock, check, update"; duplicate orders | [`Locks`](lock::Locks) | [`LockLayer`](lock::LockLayer) | [`#[lock]`](macro@lock) |
//! | [`limiter`] | a partner's limit on calls at once | [`Limiter`](limiter::Limiter) | [`LimitLayer`](limiter::LimitLayer) | [`#[limit]`](macro@limit) |
//! | [`breaker`](mod@breaker) | a slow or failing partner | [`Breaker`](breaker::Breaker) | [`BreakerLayer`](breaker::BreakerLayer) | [`#[breaker]`](macro@breaker) |
//! | [`outbox`] | messages lost or doubled between a commit and a broker | [`Outbox`](outbox::Outbox) | [`InboxLayer`](outbox::InboxLayer) | [`#[transactional]`](macro@transactional), [`#[idempotent]`](macro@idempotent) |
//!
//! Handle, layer and attribute do the same thing. Attributes say *what*: which handle, which key. Handles and
//! their configuration say *how much*, so that limits and thresholds change while the service runs.
//!
//! # Unknown is not failure
//!
//! A call that was sent and not answered may have been done. [`Outcome::Unknown`] is a class of its own in every
//! part: a breaker never closes on it, a limit can hold its slot, an idempotency key that was started is asked
//! about and not run again.
//!
//! # In which order
//!
//! The topmost attribute is the outermost, as in `tower::ServiceBuilder`: `#[limit]`, `#[lock]`, then
//! `#[idempotent]` or `#[transactional]`. A transaction begins inside the lock that guards what it reads, and a
//! remote call with its `#[breaker]` never runs inside an open transaction: reserve in one transaction, call,
//! settle in a second.
//!
//! # Features
//!
//! Everything that needs no server is on by default. To pay for one part only, depend on its crate, or turn the
//! default features off and name the parts: `lock`, `limiter`, `breaker`, `outbox`; `macros` and `tower` for the
//! other two faces; `sqlite` for the outbox's embedded engine. Off by default: `redis`, for locks that processes share;
//! `fence-sqlite`, `fence-postgres` and `fence-mysql`, for fences checked in the transaction that they protect.

/// Everything of `mainstay-lock`.
#[cfg(feature = "lock")]
pub mod lock {
    pub use mainstay_lock::*;

    // Not the crate's own: an attribute names the crate through which it was reached.
    #[cfg(feature = "macros")]
    pub use mainstay_macros::facade_lock as lock;
}

/// Everything of `mainstay-limiter`.
#[cfg(feature = "limiter")]
pub mod limiter {
    pub use mainstay_limiter::*;

    // Not the crate's own: an attribute names the crate through which it was reached.
    #[cfg(feature = "macros")]
    pub use mainstay_macros::facade_limit as limit;
}

/// Everything of `mainstay-breaker`.
#[cfg(feature = "breaker")]
pub mod breaker {
    pub use mainstay_breaker::*;

    // Not the crate's own: an attribute names the crate through which it was reached.
    #[cfg(feature = "macros")]
    pub use mainstay_macros::facade_breaker as breaker;
}

/// Everything of `mainstay-outbox`.
#[cfg(feature = "outbox")]
pub mod outbox {
    pub use mainstay_outbox::*;

    // Not the crate's own: an attribute names the crate through which it was reached.
    #[cfg(feature = "macros")]
    pub use mainstay_macros::facade_idempotent as idempotent;
    #[cfg(feature = "macros")]
    pub use mainstay_macros::facade_transactional as transactional;
}

#[cfg(all(feature = "breaker", feature = "macros"))]
pub use mainstay_macros::facade_breaker as breaker;
#[cfg(all(feature = "outbox", feature = "macros"))]
pub use mainstay_macros::facade_idempotent as idempotent;
#[cfg(all(feature = "limiter", feature = "macros"))]
pub use mainstay_macros::facade_limit as limit;
#[cfg(all(feature = "lock", feature = "macros"))]
pub use mainstay_macros::facade_lock as lock;
#[cfg(all(feature = "outbox", feature = "macros"))]
pub use mainstay_macros::facade_transactional as transactional;

pub use mainstay_core::{
    Backoff, Classify, Clock, ErrIsFailure, IntoError, IntoKey, Jitter, Key, KeyBuilder, KeyError,
    ManualClock, Moment, OnReject, Outcome, With, key,
};

#[cfg(all(
    doctest,
    feature = "lock",
    feature = "limiter",
    feature = "breaker",
    feature = "macros"
))]
#[doc = include_str!("../README.md")]
struct Readme;
