//! A term of office.

use std::{fmt, time::Duration};

use crate::{
    fence::Fence, guard::LockGuard, handle::LockHandle, held::WhileHeld, release::Release,
    watch::LostSignal,
};

/// The leadership, held until it is given back or lost. Owned: it may be kept or sent.
///
/// # Cancel safety
///
/// Dropping it resigns in the background.
#[must_use = "dropping the leadership resigns"]
pub struct Leadership {
    guard: LockGuard,
}

impl Leadership {
    pub(super) fn new(guard: LockGuard) -> Self {
        Self { guard }
    }

    /// The number of this term, higher than that of every earlier leader: the fence to check where
    /// something is written.
    pub fn term(&self) -> Fence {
        self.guard.fence()
    }

    /// Whether it leads at this moment, by lease and clock, without asking anybody.
    ///
    /// False on the first call after a pause that outlasted the lease, and never true again.
    pub fn is_leading(&self) -> bool {
        self.guard.is_held()
    }

    /// What is left of the lease; zero if it does not lead.
    pub fn remaining(&self) -> Duration {
        self.guard.remaining()
    }

    /// Resolves when it does not lead any more, with the reason; having resigned is one.
    pub fn lost(&self) -> LostSignal {
        self.guard.lost()
    }

    /// Runs `work` and drops it if the leadership is lost.
    ///
    /// # Errors
    ///
    /// [`Lost`](crate::Lost); the work was dropped at an await.
    pub fn run<F: Future>(&self, work: F) -> WhileHeld<F> {
        self.guard.run(work)
    }

    /// A view that others may have: it shows the leadership and does not hold it.
    pub fn handle(&self) -> LockHandle {
        self.guard.handle()
    }

    /// The lock behind it.
    pub fn guard(&self) -> &LockGuard {
        &self.guard
    }

    /// Gives the leadership to the next candidate; the future only waits for the word on it.
    ///
    /// # Cancel safety
    ///
    /// It goes ahead whether or not the future is awaited.
    pub fn resign(self) -> Release {
        self.guard.release()
    }
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut leadership = f.debug_struct("Leadership");
        leadership.field("key", self.guard.key()).field("term", &self.term());
        leadership.field("leading", &self.is_leading()).finish()
    }
}
