//! A scope: its word, its name and what happened to it.

use std::{
    fmt,
    sync::{
        Arc,
        // Statistics decide nothing, so the model checker need not see them.
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
};

use mainstay_core::Key;

use super::{Cause, Refusal, pool::Pool};

/// The scopes of one call, broadest first.
pub(crate) type ScopeList = Arc<[Arc<Scope>]>;

/// One limited thing.
///
/// Aligned so that two scopes never share a cache line.
#[repr(align(128))]
pub(crate) struct Scope {
    pub(crate) pool: Pool,
    peak: AtomicU32,
    waiting: AtomicU32,
    /// How many callers may wait here.
    queue: AtomicU32,
    rejected: [AtomicU64; Scope::CAUSES],
    pub(crate) id: u64,
    pub(crate) key: Key,
}

impl Scope {
    const CAUSES: usize = 8;

    pub(crate) fn new(id: u64, key: Key, limit: u32, queue: u32) -> Self {
        Self {
            pool: Pool::new(limit),
            peak: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            queue: AtomicU32::new(queue),
            rejected: Default::default(),
            id,
            key,
        }
    }

    /// Takes permits for a newcomer.
    #[inline]
    pub(super) fn try_take(&self, weight: u32) -> bool {
        self.pool.try_take(weight).map(|used| self.reached(used)).is_some()
    }

    /// Takes permits for whom the queue decided on.
    pub(super) fn take_queued(&self, weight: u32) -> bool {
        self.pool.take_queued(weight).map(|used| self.reached(used)).is_some()
    }

    #[inline]
    fn reached(&self, used: u32) {
        if used > self.peak.load(Relaxed) {
            self.peak.fetch_max(used, Relaxed);
        }
    }

    pub(super) fn set_queue(&self, bound: u32) {
        self.queue.store(bound, Relaxed);
    }

    pub(super) fn queue_is_full(&self) -> bool {
        self.waiting.load(Relaxed) >= self.queue.load(Relaxed)
    }

    pub(super) fn count_waiting(&self, arrived: bool) {
        if arrived {
            self.waiting.fetch_add(1, Relaxed);
        } else {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Counts a refusal and says what the scope looked like.
    pub(super) fn refuse(&self, cause: Cause, estimate: Option<std::time::Duration>) -> Refusal {
        self.rejected[cause as usize].fetch_add(1, Relaxed);
        let level = self.pool.read();
        let limit = (!level.is_unlimited()).then(|| level.limit());
        Refusal { cause, scope: self.key.clone(), used: level.used(), limit, estimate }
    }

    pub(crate) fn admitted(&self) -> u64 {
        self.pool.admitted()
    }

    pub(crate) fn peak(&self) -> u32 {
        self.peak.load(Relaxed)
    }

    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }

    pub(crate) fn rejected(&self, cause: Cause) -> u64 {
        self.rejected[cause as usize].load(Relaxed)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} {:?})", self.key, self.pool)
    }
}
