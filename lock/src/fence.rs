//! Numbers that tell an old holder from its successor.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that rises with every grant of a name.
///
/// Send it along with every write that the lock protects. A store that refuses a fence lower than
/// the highest it has seen is safe even when a paused holder wakes up after its lease; a store that
/// ignores fences is not.
///
/// In process, fences are microseconds since 1970, or one more than the last one where the clock
/// stood still or stepped back; so they rise across restarts too, unless the calendar was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(i64);

impl Fence {
    /// Lower than every fence that is granted: what a handle shows that never held the lock.
    pub const NONE: Self = Self(0);

    /// The fence with this number.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number, below 2^53.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl From<Fence> for i64 {
    fn from(fence: Fence) -> Self {
        fence.0
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
