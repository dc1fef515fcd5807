//! Locks with a lease, a fence and a signal when they are lost.
//!
//! A lock here is a promise with an end: it is held while its lease is renewed, every holder has a number
//! higher than the one before ([`Fence`]), and a holder that loses it is told ([`LockGuard::lost`], [`LockGuard::run`]).
//!
//! ```
//! use std::time::Duration;
//! use mainstay_lock::{LockError, Locks, key};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
//! let locks = Locks::in_process();
//! let order = 7;
//! let request = locks.lock(key!("order:{}", order)).wait(Duration::from_millis(250));
//! let lock = request.handle();
//! let receipt = request.run(async move {
//!     // One at a time for this order; send the fence along with what is written.
//!     Ok::<_, LockError>(format!("paid under fence {}", lock.fence()))
//! }).await?;
//! assert!(receipt.starts_with("paid"));
//! # Ok::<(), LockError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Three faces
//!
//! - [`Locks::lock`] makes a request; [`run`](LockRequest::run) it around work, or `.await` it for a [`LockGuard`].
//! - `LockLayer` (feature `tower`) does the same around every call of a tower service.
//! - `#[lock(with = self.locks, key = "order:{id}")]` (feature `macros`) does the same around a function.
//!
//! # What is guaranteed
//!
//! For `Locks::in_process()`, while ...
//!
//! | what happens | what holds |
//! |---|---|
//! | contenders ask at once | one holds it; the others are served in order, within their wait budget |
//! | a future is dropped at any await | its place in the queue is given up, a lock it was just granted is given on |
//! | a guard is dropped | the lock goes to the head of the queue before the drop returns |
//! | the machine sleeps longer than the lease | [`is_held`](LockGuard::is_held) is false on the first call after it; the head waiter gets the lock; work under `run` is dropped at its next await |
//! | a holder hangs | [`max_hold`](LockRequest::max_hold) ends it (1 h unless told), and the next one gets the lock |
//! | an operator [forces](Locks::force_release) it | the holder's `lost()` says so before the next one has it |
//! | a holder comes back after its lease | its release says [`AlreadyLost`](Released::AlreadyLost) and leaves the successor alone; its fence is lower than the successor's |
//! | a scope asks for what it holds | it enters again: same hold, same fence; the last guard releases |
//! | it is asked for inside a transaction helper of this family | refused: a snapshot older than the lock would check yesterday's data |
//! | the calendar steps back | fences go on rising within the process; across a restart they need the calendar |
//! | the process dies | everything in it is gone, locks included: use a shared backend for more than one process |
//!
//! What no lock can promise is that a holder is not paused between a check and a write. For what must not
//! happen twice, check the fence in the store, in the same transaction as the write.
//!
//! # What is guaranteed on Redis
//!
#![doc = include_str!("../GUARANTEES.md")]
//!
//! # Fences checked in the store
//!
//! | where | with | what holds |
//! |---|---|---|
//! | SQLite, PostgreSQL, MySQL and MariaDB | `LockGuard::transaction` | begin, fence, body, a look at the lease, commit, release, in this order and whatever is dropped: no holder commits after a later one has written |
//! | the same, in a transaction of yours | `fence_guard` | the same, if it comes first in the transaction and every writer calls it |
//! | a Redis | `FencedStore` | a write under a lower fence is refused, while the server keeps its data |
//! | a service behind HTTP | [`Fence::HEADER`] | what that service does with it |
//!
//! The first two need the feature `fence-sqlite`, `fence-postgres` or `fence-mysql` (and Rust 1.94), the third `redis`.
//! PostgreSQL, MariaDB and SQLite are proven by tests; MySQL's own server was not to be had and is unproven.
//!
//! # Beside locks
//!
//! [`election`] elects a leader among candidates; [`token`] has tokens that can be used once, for a form that is submitted twice; [`local`] has a mutex for each key,
//! shared calls and work in order, for one process and without leases.
//!
//! # Backends
//!
//! `Locks::redis(url)` (feature `redis`) keeps them on a Redis server for any number of processes; the docs of `RedisLocks`
//! have its keys and the permissions it needs. `RedisLocks::replicated` tells nobody of a lock before the replicas have it, and
//! `Locks::quorum(nodes)` keeps locks in a majority of independent servers.
//! `PlainRedis` locks the plain keys of services that lock with `SET NX PX` and know nothing of this library.
//!
//! [`backend::Backend`] is the seam behind which locks may be kept elsewhere; the module `conformance` (feature `testing`)
//! holds a backend to the rules. In process nothing goes through the seam: calls are plain functions.

mod acquire;
mod agenda;
mod all;
pub mod backend;
mod builder;
#[cfg(feature = "cancellation")]
mod cancellation;
#[cfg(feature = "testing")]
pub mod conformance;
pub mod election;
mod engine;
mod error;
mod fence;
#[cfg(any(feature = "redis", feature = "fence-sqlx"))]
mod fenced;
mod guard;
mod handle;
mod held;
mod hold;
mod in_process;
mod inspect;
mod lane;
mod line;
mod lines;
pub mod local;
mod lock_order;
mod locks;
mod lost;
mod manager;
mod mode;
mod observe;
mod read_write;
mod readers;
#[cfg(feature = "redis")]
mod redis;
mod release;
mod remote;
mod request;
mod run;
mod scheduler;
mod scope;
mod slot;
mod spawn;
mod sync;
mod terms;
pub mod token;
#[cfg(feature = "tower")]
mod tower;
mod wakes;
mod watch;

pub use acquire::{Acquire, TryAcquire};
pub use all::{AcquireAll, LockAll, LockSet};
pub use builder::LocksBuilder;
pub use error::{Failure, LockError};
pub use fence::{Fence, ParseFenceError};
pub use guard::LockGuard;
pub use handle::LockHandle;
pub use held::WhileHeld;
pub use in_process::InProcess;
pub use inspect::{Holder, LockInfo};
pub use lock_order::LockOrder;
pub use locks::{HasLocks, Locks};
pub use lost::{Lost, LostReason};
pub use mode::Mode;
pub use observe::{LockEvent, Observer};
pub use read_write::ReadWriteLock;
pub use release::{Release, Released};
pub use request::LockRequest;
pub use run::Run;
pub use scope::{InScope, LockExt};
pub use terms::{LocksConfig, Reentrancy};
pub use watch::LostSignal;

#[cfg(any(feature = "redis", feature = "fence-sqlx"))]
pub use fenced::*;

#[cfg(feature = "redis-tls")]
pub use redis::Tls;
#[cfg(feature = "redis")]
pub use redis::{
    PlainRedis, Quorum, QuorumError, Redis, RedisBuilder, RedisConfig, RedisError, RedisLocks,
    Replicated, ReplicatedError,
};

#[cfg(feature = "tower")]
pub use tower::{LockLayer, Locked, ResponseFuture};

#[cfg(feature = "macros")]
pub use mainstay_macros::lock;

pub use mainstay_core::{
    Clock, IntoError, IntoKey, Key, KeyError, ManualClock, Moment, OnReject, With, key,
};

/// Has cargo compile this crate again when `cargo xtask chaos lock --planted` plants another bug.
#[cfg(mainstay_planted)]
const _: Option<&str> = option_env!("MAINSTAY_PLANTED");

/// The README's examples compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
