//! Limits how many calls are in at once, in several scopes at a time, and how many come in a time.
//!
//! | you want to | use |
//! |---|---|
//! | bound the calls to a channel, an interface and the whole process, together | [`Limiter`] |
//! | give one kind of work its own slots, with nested calls | [`Bulkhead`] |
//! | let so many calls through in a second | [`RateLimit`] |
//! | do so for a tower service | `LimitLayer` (feature `tower`) |
//! | do so for a function | `#[limit]` (feature `macros`) |
//!
//! # Examples
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use mainstay_limiter::{Limit, LimitError, Limiter};
//!
//! let limiter = Limiter::builder()
//!     .limit("global", Limit::max(500))
//!     .limit("bank", Limit::max(64).floor(4))
//!     .in_process();
//!
//! // Counts in `global`, `bank` and `bank:pay`: in all of them or in none.
//! let receipt = limiter
//!     .acquire("bank:pay")
//!     .wait(Duration::from_millis(200))
//!     .run(async { Ok::<_, LimitError>("paid") })
//!     .await?;
//! assert_eq!(receipt, "paid");
//!
//! // Nobody gets in any more, and whoever waits is told so.
//! limiter.close("bank")?;
//! assert!(limiter.try_acquire("bank:pay").unwrap_err().is_closed());
//! # Ok::<_, LimitError>(())
//! # }).unwrap();
//! ```
//!
//! ## Keep a slot while an outcome is unknown
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! use std::time::Duration;
//! use mainstay_limiter::{Limit, LimitError, Limiter};
//!
//! let limiter = Limiter::builder().limit("bank", Limit::max(1)).in_process();
//! let request = limiter.acquire("bank:pay").id("order-7");
//! let permit = request.handle();
//! let paid = request.run(async move {
//!     // The bank did not answer: it may still be busy with us.
//!     drop(permit.hold(Duration::from_secs(60)));
//!     Ok::<_, LimitError>("unknown")
//! });
//! assert_eq!(paid.await?, "unknown");
//! assert!(limiter.try_acquire("bank:pay").is_err());
//! // The inquiry for the same order is let in on the same slot.
//! assert!(limiter.acquire("bank:pay").id("order-7").await.is_ok());
//! # Ok::<_, LimitError>(())
//! # }).unwrap();
//! ```
//!
//! # What is guaranteed
//!
//! - **All or nothing.** A call is counted in all of its scopes or in none, and a call that is refused
//!   was never counted, not even for a moment.
//! - **Exact.** What is let in never passes a limit. After a limit was lowered, what is returned pays
//!   the debt first, then goes to whoever waits longest, then to newcomers.
//! - **Bounded.** Callers wait as long as they said, in queues of a bounded length; a refusal says why
//!   and when to come back. Scopes made by calls are bounded in number.
//! - **Nothing is lost.** Dropping any future or permit, at any await, gives back what it had.
//!
//! # Fairness
//!
//! At each scope callers get in in the order they came, heavy ones too. A caller waits at the one
//! scope that has no room for it and does not stand in the way at its others, where later callers
//! get in. If it is sent from one full scope to another again and again, its scopes keep room for it,
//! so that it gets in.
//!
//! # When the backend is down
//!
//! There is none: everything is decided in this process. A limit holds for this process alone.

mod acquire;
mod bulkhead;
mod config;
mod core;
mod engine;
mod error;
mod handle;
mod hold;
mod limit;
mod limiter;
mod observe;
mod permit;
mod rate;
mod reentry;
mod registry;
mod request;
mod roll;
mod run;
mod scopes;
mod snapshot;
mod spawn;
mod sync;
#[cfg(feature = "tower")]
mod tower;

pub use crate::{
    acquire::{Acquire, Entered},
    bulkhead::{Bulkhead, BulkheadBuilder, BulkheadConfig},
    config::LimiterConfig,
    error::{Holder, Holders, LimitError, Reason},
    handle::PermitHandle,
    hold::Held,
    limit::Limit,
    limiter::{HasLimiter, Limiter, LimiterBuilder},
    observe::{Event, Observer},
    permit::Permit,
    rate::{Quota, RateLimit, UntilReady},
    reentry::InScope,
    request::PermitRequest,
    run::Run,
    scopes::{IntoScopes, ResolvedScopes, Scopes},
    snapshot::{Rejections, ScopeSnapshot, Snapshot},
};
pub use mainstay_core::{
    Clock, IntoError, IntoKey, Key, KeyError, ManualClock, Moment, OnReject, With, key,
};
#[cfg(feature = "macros")]
pub use mainstay_macros::limit;

#[cfg(feature = "tower")]
pub use crate::tower::{ByBulkhead, ByRequest, LimitLayer, Limited, Pick, ResponseFuture};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
