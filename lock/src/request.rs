//! A request for a lock, before it is made.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use mainstay_core::{IntoError, Key, KeyError, OnReject};

use crate::{
    acquire::Acquire,
    error::LockError,
    guard::LockGuard,
    handle::LockHandle,
    locks::Locks,
    mode::Mode,
    run::Run,
    terms::{Reentrancy, Terms, clamp},
};

/// A request for a lock: `.await` it for a guard, or [`run`](Self::run) work under it.
///
/// Made by [`Locks::lock`]. A name that is no key is reported when the request is used.
#[derive(Debug)]
#[must_use = "await the request, or run work under it"]
pub struct LockRequest {
    pub(crate) locks: Locks,
    pub(crate) key: Result<Key, KeyError>,
    pub(crate) terms: Terms,
    pub(crate) handle: OnceLock<LockHandle>,
}

impl LockRequest {
    pub(crate) fn new(locks: Locks, key: Result<Key, KeyError>) -> Self {
        let terms = Terms::new(locks.manager().config());
        Self { locks, key, terms, handle: OnceLock::new() }
    }

    /// Waits at most so long for a lock that is held elsewhere; zero does not wait at all.
    ///
    /// Counted from the first poll. The first answer of a remote backend is waited for in any case.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.terms.wait = wait;
        self
    }

    /// Has the lock alone, or beside others that share it; see [`ReadWriteLock`](crate::ReadWriteLock).
    pub fn mode(mut self, mode: Mode) -> Self {
        self.terms.mode = mode;
        self
    }

    /// How long the lock outlives its last renewal.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.terms.lease = clamp(lease);
        self
    }

    /// A lease that is never renewed: the lock ends after `lease` unless it is released or
    /// [extended](LockGuard::extend) before.
    pub fn fixed_lease(mut self, lease: Duration) -> Self {
        self.terms.renew = false;
        self.lease(lease)
    }

    /// Ends the hold after so long, whatever its renewals say.
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.terms.max_hold = Some(max_hold);
        self
    }

    /// Stands in the backend's line itself, see [`LocksConfig::strict_fifo`](crate::LocksConfig::strict_fifo).
    pub fn strict_fifo(mut self) -> Self {
        self.terms.strict_fifo = true;
        self
    }

    /// What happens if this scope holds the lock already.
    pub fn reentrancy(mut self, reentrancy: Reentrancy) -> Self {
        self.terms.reentrancy = reentrancy;
        self
    }

    /// What others may know of the holder: a host, a request's id. Shown by [`Locks::inspect`]; no secrets.
    pub fn metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.terms.metadata = Some(metadata.into());
        self
    }

    /// A handle for the body of the work; it shows the lock once the request has got it.
    pub fn handle(&self) -> LockHandle {
        self.handle.get_or_init(|| LockHandle::new(self.key.as_ref().ok().cloned())).clone()
    }

    /// Runs `work` under the lock: acquires it, runs, releases it, returns what the work returned.
    ///
    /// The work runs inside the lock's scope: what it locks under the same name is the same hold. If the
    /// lock is lost, the work is dropped and the call returns [`LockError::Lost`] through `From`.
    ///
    /// # Cancel safety
    ///
    /// Dropped while it waits, it leaves the queue; dropped while it works, it drops the work and then releases.
    pub fn run<F, T, E>(self, work: F) -> Run<F, IntoError>
    where
        F: Future<Output = Result<T, E>>,
        E: From<LockError>,
    {
        self.run_or(IntoError, work)
    }

    /// As [`run`](Self::run); `reject` decides what is returned where the lock was not got, or lost.
    pub fn run_or<F, T, E, R>(self, reject: R, work: F) -> Run<F, R>
    where
        F: Future<Output = Result<T, E>>,
        R: OnReject<LockError, T, E>,
    {
        Run::new(self.into_future(), reject, work)
    }
}

impl IntoFuture for LockRequest {
    type Output = Result<LockGuard, LockError>;
    type IntoFuture = Acquire;

    fn into_future(self) -> Acquire {
        Acquire::new(self)
    }
}
