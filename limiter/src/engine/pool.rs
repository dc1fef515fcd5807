//! The word of a scope.

// Of the standard library also under the model checker: a statistic decides nothing.
use std::{fmt, sync::atomic::AtomicU64 as Counter};

use crate::sync::{AtomicU64, Ordering};

/// The limit that is none; also the highest number of permits that can be out at once.
pub(crate) const UNLIMITED: u32 = (1 << 24) - 1;

/// Bits 0 to 23 count the permits that are out, 24 to 47 are the limit, 48 to 62 count admissions.
const LIMIT_SHIFT: u32 = 24;
const COUNT_SHIFT: u32 = 48;
const FIELD: u64 = UNLIMITED as u64;
const COUNT: u64 = (1 << 15) - 1;
/// Somebody waits: what comes free belongs to the queue.
const MARK: u64 = 1 << 63;

/// Permits out, limit, the mark of a queue and a count of admissions, in one word: getting in is one
/// compare-and-swap, getting out one subtraction.
///
/// A lowered limit needs no counter of debt: while more permits are out than allowed, nothing fits,
/// so what is returned pays the debt before anybody gets in.
pub(crate) struct Pool {
    word: AtomicU64,
    /// Admissions that no longer fit the word.
    carried: Counter,
}

impl Pool {
    pub(crate) fn new(limit: u32) -> Self {
        let word = AtomicU64::new(u64::from(limit.min(UNLIMITED)) << LIMIT_SHIFT);
        Self { word, carried: Counter::new(0) }
    }

    pub(crate) fn read(&self) -> Level {
        Level(self.word.load(Ordering::Acquire))
    }

    /// Takes permits for a newcomer: not past a queue. Returns how many are out afterwards.
    #[inline]
    pub(crate) fn try_take(&self, weight: u32) -> Option<u32> {
        self.take(weight, |level| !level.is_marked())
    }

    /// Takes permits for whom the queue decided on. Returns how many are out afterwards.
    pub(crate) fn take_queued(&self, weight: u32) -> Option<u32> {
        self.take(weight, |_| true)
    }

    #[inline]
    fn take(&self, weight: u32, may: impl Fn(Level) -> bool) -> Option<u32> {
        let before = self.change(|level| {
            (may(level) && level.fits(weight)).then(|| level.counted() + u64::from(weight))
        })?;
        if before.count() == COUNT {
            self.carried.fetch_add(COUNT + 1, Ordering::Relaxed);
        }
        Some(before.used() + weight)
    }

    /// Returns permits of a call that was not admitted after all. `true` as with [`give`](Self::give).
    pub(crate) fn untake(&self, weight: u32) -> bool {
        // The word may have wrapped since: only the sum of both counts means anything.
        self.carried.fetch_sub(1, Ordering::Relaxed);
        self.give(weight)
    }

    /// Calls admitted so far.
    pub(crate) fn admitted(&self) -> u64 {
        self.carried.load(Ordering::Relaxed).wrapping_add(self.read().count())
    }

    /// Returns permits. `true` if somebody waits and has to be asked.
    #[inline]
    pub(crate) fn give(&self, weight: u32) -> bool {
        let before = Level(self.word.fetch_sub(u64::from(weight), Ordering::AcqRel));
        debug_assert!(before.used() >= weight, "a permit is returned once");
        before.is_marked()
    }

    /// Marks the pool, unless there is room by now. One step, so that no permit can come back
    /// unnoticed between looking and marking.
    pub(crate) fn mark_unless_fits(&self, weight: u32) -> bool {
        self.change(|level| (!level.fits(weight)).then_some(level.0 | MARK)).is_some()
    }

    /// Marks the pool: newcomers have to ask the queue.
    pub(crate) fn mark(&self) {
        self.word.fetch_or(MARK, Ordering::AcqRel);
    }

    /// Takes the mark away. Only under the lock of the queue, which is empty here.
    pub(crate) fn unmark(&self) {
        self.word.fetch_and(!MARK, Ordering::AcqRel);
    }

    /// Sets the limit and returns the one before.
    pub(crate) fn set_limit(&self, limit: u32) -> u32 {
        let bits = u64::from(limit.min(UNLIMITED)) << LIMIT_SHIFT;
        let keep = !(FIELD << LIMIT_SHIFT);
        self.change(|level| Some((level.0 & keep) | bits)).map_or(limit, Level::limit)
    }

    /// Replaces the word by what `next` makes of it; returns the one that was replaced.
    #[inline]
    fn change(&self, next: impl Fn(Level) -> Option<u64>) -> Option<Level> {
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let new = next(Level(seen))?;
            match self.word.compare_exchange_weak(seen, new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(before) => return Some(Level(before)),
                Err(now) => seen = now,
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = self.read();
        write!(f, "Pool({} of {})", level.used(), level.limit())
    }
}

/// A reading of a [`Pool`].
#[derive(Clone, Copy)]
pub(crate) struct Level(u64);

impl Level {
    #[inline]
    pub(crate) fn used(self) -> u32 {
        field(self.0)
    }

    #[inline]
    pub(crate) fn limit(self) -> u32 {
        field(self.0 >> LIMIT_SHIFT)
    }

    #[inline]
    fn count(self) -> u64 {
        (self.0 >> COUNT_SHIFT) & COUNT
    }

    /// The word with one admission more, or none once they no longer fit.
    #[inline]
    fn counted(self) -> u64 {
        if self.count() == COUNT {
            self.0 & !(COUNT << COUNT_SHIFT)
        } else {
            self.0 + (1 << COUNT_SHIFT)
        }
    }

    #[inline]
    pub(crate) fn is_unlimited(self) -> bool {
        self.limit() == UNLIMITED
    }

    #[inline]
    pub(crate) fn is_marked(self) -> bool {
        self.0 & MARK != 0
    }

    #[inline]
    pub(crate) fn fits(self, weight: u32) -> bool {
        u64::from(self.used()) + u64::from(weight) <= u64::from(self.limit())
    }
}

#[inline]
fn field(bits: u64) -> u32 {
    u32::try_from(bits & FIELD).expect("24 bits fit")
}
