//! Why a lock was not given, or not kept.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use mainstay_core::{Key, KeyError};

use crate::{lost::Lost, mode::Mode};

/// Why a lock was not given, or was lost while work ran under it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody holds it and the call was not to wait.
    #[error("lock `{key}` is held elsewhere{}; try again or wait for it", lease_ends(.holder_remaining))]
    Contended {
        /// The lock.
        key: Key,
        /// When the holder's lease ends, unless it is renewed.
        holder_remaining: Option<Duration>,
    },
    /// The wait budget ran out.
    #[error("lock `{key}` is held elsewhere{}; waited {waited:?}{}; try again or allow a longer wait", lease_ends(.holder_remaining), place(.position))]
    Timeout {
        /// The lock.
        key: Key,
        /// How long the call waited.
        waited: Duration,
        /// When the holder's lease ends, unless it is renewed.
        holder_remaining: Option<Duration>,
        /// The place in the queue, 1 being next.
        position: Option<usize>,
    },
    /// The same scope holds it already, and re-entry is denied or a reader asks to write.
    #[error("lock `{key}` is held by this very scope {}", would_deadlock(*.held))]
    WouldDeadlock {
        /// The lock.
        key: Key,
        /// How the scope holds it.
        held: Mode,
    },
    /// Two names are locked inside each other in two orders, see [`LockOrder`](crate::LockOrder).
    #[error(
        "lock `{key}` was asked for inside lock `{held}`, and elsewhere `{held}` is asked for inside `{key}`, at once or by way of others: two callers could wait for each other; use one order everywhere, or take them with `lock_all`"
    )]
    OutOfOrder {
        /// The lock asked for.
        key: Key,
        /// The lock that the scope holds.
        held: Key,
    },
    /// The backend does not keep such locks.
    #[error("lock `{key}` cannot be {what}: its backend does not offer that; use one that does")]
    Unsupported {
        /// The lock.
        key: Key,
        /// What was asked for.
        what: &'static str,
    },
    /// The call is inside an open transaction, whose snapshot may be older than the lock.
    #[error(
        "lock `{key}` was asked for inside an open transaction; take the lock first, then begin the transaction"
    )]
    InsideTransaction {
        /// The lock.
        key: Key,
    },
    /// It was held and then lost.
    #[error(transparent)]
    Lost(#[from] Lost),
    /// The backend did not do it. The lock is not held.
    #[error("lock `{key}` could not be asked for: {failure}; nothing is held")]
    Backend {
        /// The lock.
        key: Key,
        /// What the backend said.
        failure: Failure,
    },
    /// Nobody knows whether the lock was taken; it is being given back.
    #[error(
        "lock `{key}` was asked for and no answer came: {failure}; if it was taken it is being given back and its lease ends it at the latest"
    )]
    Unknown {
        /// The lock.
        key: Key,
        /// What the backend said.
        failure: Failure,
    },
    /// The manager was shut down.
    #[error("lock `{key}` was refused: the lock manager is shutting down")]
    ShuttingDown {
        /// The lock.
        key: Key,
    },
    /// The text given is no key.
    #[error("no lock can have this name: {0}")]
    InvalidKey(#[from] KeyError),
}

impl LockError {
    /// Whether somebody else has the lock: trying later may help.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Contended { .. } | Self::Timeout { .. })
    }

    /// Whether the lock was held elsewhere and the call was not to wait.
    pub fn is_contended(&self) -> bool {
        matches!(self, Self::Contended { .. })
    }

    /// Whether the wait budget ran out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether the lock was held and then lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }

    /// Whether nobody knows what became of the request.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether the manager is shutting down.
    pub fn is_shutting_down(&self) -> bool {
        matches!(self, Self::ShuttingDown { .. })
    }

    /// Whether the caller made a mistake that no retry mends.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::WouldDeadlock { .. }
                | Self::InsideTransaction { .. }
                | Self::OutOfOrder { .. }
                | Self::Unsupported { .. }
                | Self::InvalidKey(_)
        )
    }

    /// When to try again, if that may help.
    ///
    /// Holders mostly let go long before their lease ends, so this is short for a busy lock.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Contended { holder_remaining, .. } | Self::Timeout { holder_remaining, .. } => {
                Some(holder_remaining.unwrap_or(RETRY_BUSY).min(RETRY_BUSY))
            }
            Self::Backend { .. } | Self::Unknown { .. } => Some(RETRY_FAILED),
            _ => None,
        }
    }
}

/// What a backend said when it did not do its part; the driver's error is behind it.
#[derive(Clone)]
pub struct Failure(Arc<dyn Error + Send + Sync>);

impl Failure {
    pub(crate) fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(Arc::from(source.into()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({})", self.0)
    }
}

fn lease_ends(remaining: &Option<Duration>) -> String {
    remaining.map_or_else(String::new, |left| format!(" (its lease has {left:?} left)"))
}

fn would_deadlock(held: Mode) -> &'static str {
    match held {
        Mode::Exclusive => "and re-entry is denied; use the guard it has, or allow re-entry",
        Mode::Shared => {
            "for reading, and a second request would wait for it; release it before asking to write"
        }
    }
}

fn place(position: &Option<usize>) -> String {
    position.map_or_else(String::new, |at| format!(" at place {at} of the queue"))
}

const RETRY_BUSY: Duration = Duration::from_millis(100);
const RETRY_FAILED: Duration = Duration::from_secs(1);
