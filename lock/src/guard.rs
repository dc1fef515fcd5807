//! A lock that is held.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mainstay_core::Key;

use crate::{
    error::LockError,
    fence::Fence,
    handle::LockHandle,
    held::WhileHeld,
    hold::{End, Hold},
    locks,
    lost::{Lost, LostReason},
    release::Release,
    scope::{InScope, Scope},
    terms,
    watch::LostSignal,
};

/// A held lock. Owned: it may be kept in a struct or sent to another task.
///
/// Its lease is renewed in the background for as long as the guard lives, up to the maximum hold.
///
/// # Cancel safety
///
/// Dropping the guard releases the lock in the background. If the process dies instead, the lock of a
/// remote backend frees itself when its lease ends.
///
/// # What a guard proves
///
/// That the lock was granted. Whether it is still held is what [`is_held`](Self::is_held) says, as of the moment
/// of the call: a process can be paused between that answer and the next write. What must not happen
/// twice also sends the [`fence`](Self::fence) to a store that checks it.
#[must_use = "dropping the guard releases the lock"]
pub struct LockGuard {
    hold: Arc<Hold>,
    /// Each guard gives back its share once, by `release` or by being dropped.
    left: AtomicBool,
}

impl LockGuard {
    pub(crate) fn new(hold: Arc<Hold>) -> Self {
        Self { hold, left: AtomicBool::new(false) }
    }

    /// The lock.
    pub fn key(&self) -> &Key {
        self.hold.key()
    }

    /// The number of this hold, higher than that of every earlier holder; it stays readable after a loss.
    pub fn fence(&self) -> Fence {
        self.hold.fence()
    }

    /// Whether the lock is held at this moment, judged by the lease and the clock without asking anybody.
    ///
    /// False on the first call after a pause that outlasted the lease, and never true again afterwards.
    pub fn is_held(&self) -> bool {
        !self.left.load(Ordering::Relaxed) && self.hold.is_held()
    }

    /// What is left of the lease; zero if it is not held.
    pub fn remaining(&self) -> Duration {
        if self.is_held() { self.hold.remaining().unwrap_or_default() } else { Duration::ZERO }
    }

    /// Resolves when the lock is not held any more, with the reason; a release is one.
    pub fn lost(&self) -> LostSignal {
        LostSignal::new(Some(self.hold.clone()))
    }

    /// A token that is cancelled when the lock is not held any more, lost or released, for code that takes
    /// one (feature `cancellation`). It ends when [`lost`](Self::lost) resolves, with the last guard of the hold.
    ///
    /// After a pause that outlasted the lease, `is_held` is right on the first call and the token a moment later.
    /// Tasks that take a token end when they look at it: [`run`](Self::run) drops work at its next await.
    ///
    /// # Cost
    ///
    /// No task. The first token of a hold is one watcher more; the others are its children.
    #[cfg(feature = "cancellation")]
    pub fn child_token(&self) -> tokio_util::sync::CancellationToken {
        self.hold.child_token()
    }

    /// Runs `work` inside the lock and drops it if the lock is lost.
    ///
    /// What the work asks for under the same name is the same hold. Work that ends in the same moment as
    /// the lease returns what it did: it is done.
    ///
    /// # Errors
    ///
    /// [`Lost`]; the work was dropped at an await.
    pub fn run<F: Future>(&self, work: F) -> WhileHeld<F> {
        WhileHeld::new(self.hold.clone(), work)
    }

    /// Runs `future` inside the lock: what it asks for under the same name is the same hold.
    ///
    /// It goes on if the lock is lost; [`run`](Self::run) does not.
    pub fn scope<F: Future>(&self, future: F) -> InScope<F> {
        InScope::new(future, Scope::with(self.hold.clone()))
    }

    /// One more guard of this hold; the lock is released when the last of them is gone.
    ///
    /// # Errors
    ///
    /// [`Lost`] if it is not held any more.
    pub fn reenter(&self) -> Result<LockGuard, Lost> {
        if self.left.load(Ordering::Relaxed) {
            return Err(self.hold.lost_by(LostReason::Released));
        }
        match self.hold.enter() {
            Ok(()) => Ok(Self::new(self.hold.clone())),
            Err(lost) => Err(lost.unwrap_or_else(|| self.hold.lost_by(LostReason::Released))),
        }
    }

    /// Lets the lease last `lease` from now on, this time and at every renewal to come.
    ///
    /// # Errors
    ///
    /// [`LockError::Lost`] if it is not held; [`LockError::Backend`] or [`LockError::Unknown`] where the backend
    /// does not answer: the lease is then what it was.
    pub async fn extend(&self, lease: Duration) -> Result<(), LockError> {
        if !self.is_held() {
            return Err(self.hold.lost_by(self.why_lost()).into());
        }
        let engine = self.hold.manager().engine();
        match engine.extend(&self.hold, terms::clamp(lease)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.hold.lost_by(self.why_lost()).into()),
            Err(error) => Err(locks::failure(self.key().clone(), error)),
        }
    }

    /// Releases the lock; the future only waits for the word on it.
    ///
    /// May be called again: the answer is the same, and a release whose fate is unknown is tried again.
    ///
    /// # Cancel safety
    ///
    /// The release goes ahead whether or not the future is awaited.
    pub fn release(&self) -> Release {
        let nested = if self.left.swap(true, Ordering::Relaxed) {
            self.hold.leave_again();
            None
        } else {
            self.hold.leave()
        };
        Release::new(self.hold.clone(), nested)
    }

    /// A handle that others may have: it shows the lock and holds nothing.
    pub fn handle(&self) -> LockHandle {
        let handle = LockHandle::new(Some(self.key().clone()));
        handle.show(&self.hold);
        handle
    }

    pub(crate) fn hold(&self) -> &Arc<Hold> {
        &self.hold
    }

    pub(crate) fn why_lost(&self) -> LostReason {
        match self.hold.end() {
            Some(End::Lost(reason)) => reason,
            Some(_) => LostReason::Released,
            None if self.left.load(Ordering::Relaxed) => LostReason::Released,
            None => LostReason::Expired,
        }
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        if !self.left.swap(true, Ordering::Relaxed) {
            self.hold.leave();
        }
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut guard = f.debug_struct("LockGuard");
        guard.field("key", self.key()).field("fence", &self.fence());
        guard.field("held", &self.is_held()).finish_non_exhaustive()
    }
}
