//! Why a lock is not held any more.

use std::{fmt, sync::Arc};

use mainstay_core::Key;

/// Why a lock is not held any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
    /// The lease ended before it was renewed: the process was paused, or the lease was a fixed one.
    Expired,
    /// The backend did not answer renewals until the lease had ended.
    Unreachable,
    /// The backend says that somebody else holds it, or nobody.
    TakenOver,
    /// It was held longer than the maximum hold.
    HeldTooLong,
    /// Somebody called [`Locks::force_release`](crate::Locks::force_release).
    ForceReleased {
        /// What they gave as the reason.
        reason: Arc<str>,
    },
    /// [`Locks::shutdown`](crate::Locks::shutdown) came to its deadline.
    ShutDown,
    /// Its own guard released it: nothing is wrong.
    Released,
    /// The handle's request has not got the lock, yet or at all.
    NotHeld,
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its lease ended",
            Self::Unreachable => "the backend did not answer until the lease had ended",
            Self::TakenOver => "the backend gave it to somebody else",
            Self::HeldTooLong => "it was held longer than the maximum hold",
            Self::ForceReleased { reason } => return write!(f, "it was taken away: {reason}"),
            Self::ShutDown => "the lock manager was shut down",
            Self::Released => "its guard released it",
            Self::NotHeld => "it was never held",
        })
    }
}

/// A lock was lost while work relied on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lock `{key}` was lost: {reason}; what was done since may overlap the next holder's work")]
#[non_exhaustive]
pub struct Lost {
    /// The lock.
    pub key: Key,
    /// Why it was lost.
    pub reason: LostReason,
}

impl Lost {
    pub(crate) fn new(key: Key, reason: LostReason) -> Self {
        Self { key, reason }
    }
}
