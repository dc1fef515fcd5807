//! Small numbers for threads, each held by one thread at a time.

use crate::sync::{Mutex, PoisonError};

/// How many threads have buckets of their own; the others share one ring.
pub(crate) const SLOTS: usize = 16;

/// Numbers that are free, one bit each.
///
/// The mutex orders the last write of a thread that ends before the first of the thread that gets its
/// number, so a ring that belongs to the number always has one writer.
#[derive(Debug)]
pub(crate) struct SlotPool {
    free: Mutex<u16>,
}

impl SlotPool {
    /// A pool over `free`, which is all ones at first.
    pub(crate) const fn new(free: Mutex<u16>) -> Self {
        Self { free }
    }

    /// The lowest free number.
    pub(crate) fn take(&self) -> Option<usize> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let lowest = free.trailing_zeros();
        *free = free.checked_sub(1).map_or(0, |below| *free & below);
        usize::try_from(lowest).ok().filter(|slot| *slot < SLOTS)
    }

    /// Gives a number back.
    pub(crate) fn give(&self, slot: usize) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free |= 1 << slot;
    }
}
