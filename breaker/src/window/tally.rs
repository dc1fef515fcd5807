//! Counts of calls.

use std::ops::AddAssign;

use mainstay_core::Outcome;
use serde::Serialize;

/// How many calls of each kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Tally {
    /// Calls that succeeded.
    pub success: u64,
    /// Calls that failed.
    pub failure: u64,
    /// Calls of which nobody knows what became of them.
    pub unknown: u64,
    /// Calls, among all of the above, that took as long as the slow threshold.
    pub slow: u64,
}

impl Tally {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.success + self.failure + self.unknown
    }

    /// Calls that failed, or of which nobody knows.
    pub fn bad(&self) -> u64 {
        self.failure + self.unknown
    }

    /// Adds what two words of a bucket hold.
    pub(super) fn add_words(&mut self, main: u64, extra: u64) {
        let (success, failure) = halves(main);
        let (unknown, slow) = halves(extra);
        *self += Self { success, failure, unknown, slow };
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.success += other.success;
        self.failure += other.failure;
        self.unknown += other.unknown;
        self.slow += other.slow;
    }
}

fn halves(word: u64) -> (u64, u64) {
    (word & u64::from(u32::MAX), word >> 32)
}

/// One call, as the two words to add to a bucket: `failure | success` and `slow | unknown`.
///
/// Success alone touches one word. A half overflows after 2^32 calls in one bucket of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(super) main: u64,
    pub(super) extra: u64,
}

impl Sample {
    /// A success that was not slow.
    pub(crate) const GOOD: Self = Self { main: 1, extra: 0 };

    const HIGH: u64 = 1 << 32;

    /// What a call adds; `None` if it says nothing.
    pub(crate) fn new(outcome: Outcome, slow: bool) -> Option<Self> {
        let slow = if slow { Self::HIGH } else { 0 };
        Some(match outcome {
            Outcome::Success => Self { main: 1, extra: slow },
            Outcome::Failure => Self { main: Self::HIGH, extra: slow },
            Outcome::Unknown => Self { main: 0, extra: slow | 1 },
            Outcome::Ignored => return None,
        })
    }

    /// Whether it is a success or failure that was not slow.
    pub(crate) fn is_plain(self) -> bool {
        self.extra == 0
    }

    pub(crate) fn tally(self) -> Tally {
        let mut tally = Tally::default();
        tally.add_words(self.main, self.extra);
        tally
    }
}
