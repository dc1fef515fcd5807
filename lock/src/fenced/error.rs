//! Why a fenced write was refused.

use std::time::Duration;

use mainstay_core::{Key, KeyError};

use crate::{
    error::Failure,
    fence::Fence,
    lost::{Lost, LostReason},
};

/// Why a write was refused by its fence, or a transaction under a lock did not commit.
///
/// All but [`Unknown`](Self::Unknown) say that nothing was written.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FenceError {
    /// A later holder of the lock has written: this one had lost it.
    #[error(
        "`{resource}` was written under fence {seen} and refuses {ours}, which is older; the lock was lost, take it anew and read again"
    )]
    Fenced {
        /// What was to be written.
        resource: String,
        /// The fence that was refused.
        ours: Fence,
        /// The highest one so far.
        seen: Fence,
    },
    /// The number is no fence that a lock grants: the lock is not held yet, or never was.
    #[error(
        "{fence} is no fence of a grant and writes nothing to `{resource}`; take it from a held lock"
    )]
    NotGranted {
        /// What was to be written.
        resource: String,
        /// The number.
        fence: Fence,
    },
    /// The text cannot name a resource.
    #[error("a fenced resource cannot have this name: {rule}")]
    InvalidResource {
        /// The rule, and the value that breaks it.
        rule: String,
    },
    /// The text given is no key.
    #[error("no fenced value can have this name: {0}")]
    InvalidKey(#[from] KeyError),
    /// The lock was lost before the commit; everything was rolled back.
    #[error("lock `{}` was lost: {}; the transaction was rolled back", .0.key, .0.reason)]
    Lost(Lost),
    /// Too little of the lease was left for a commit; everything was rolled back.
    #[error(
        "lock `{key}` had {remaining:?} of its lease left and a commit wants {margin:?}; rolled back, shorten the work or lengthen the lease"
    )]
    TooLate {
        /// The lock.
        key: Key,
        /// What was left of the lease.
        remaining: Duration,
        /// What a commit wants.
        margin: Duration,
    },
    /// The lock is shared: others may hold it with higher fences, and none of them may write.
    #[error("lock `{key}` is held in shared mode, which protects no write; take it exclusively")]
    Shared {
        /// The lock.
        key: Key,
    },
    /// The connection is not in a transaction, so that the check would protect nothing.
    #[error(
        "the fence of `{resource}` was to be checked outside a transaction; begin one with sqlx and check first in it"
    )]
    NoTransaction {
        /// What was to be written.
        resource: String,
    },
    /// The task has an open transaction of a mainstay helper; a second one might wait for the first for ever.
    #[error("a transaction is open in this task; use it for `{resource}` too, or finish it first")]
    Nested {
        /// What was to be written.
        resource: String,
    },
    /// The body moved its `Tx` out, so that nobody could commit; it was rolled back.
    #[error(
        "the `Tx` for `{resource}` outlived its body and was rolled back; keep it inside the body"
    )]
    TxEscaped {
        /// What was to be written.
        resource: String,
    },
    /// Fences may not be forgotten so soon: an old holder could write again.
    #[error(
        "fences are kept for {least:?} at least, not {given:?}; an old holder could write again"
    )]
    InvalidRetention {
        /// What was asked for.
        given: Duration,
        /// The shortest time.
        least: Duration,
    },
    /// The store did not do it. Nothing was written.
    #[error("could not {doing} for `{resource}`: {failure}; nothing was written")]
    Backend {
        /// What was to be written.
        resource: String,
        /// What was being done.
        doing: &'static str,
        /// What the store said.
        failure: Failure,
    },
    /// It may have been written: a write or commit got no answer, or a transaction had ended before its commit.
    #[error(
        "nobody knows whether it could {doing} for `{resource}`: {failure}; look before doing it again"
    )]
    Unknown {
        /// What was to be written.
        resource: String,
        /// What was being done.
        doing: &'static str,
        /// What is known.
        failure: Failure,
    },
}

impl FenceError {
    /// Whether a later holder has written.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Fenced { .. })
    }

    /// Whether the lock was lost, as its lease or as a later holder's fence says.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Lost(_) | Self::TooLate { .. })
    }

    /// Whether it may have been written: ask, do not repeat.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// Whether the caller made a mistake that no retry mends.
    pub fn is_misuse(&self) -> bool {
        matches!(
            self,
            Self::NotGranted { .. }
                | Self::InvalidResource { .. }
                | Self::InvalidKey(_)
                | Self::Shared { .. }
                | Self::NoTransaction { .. }
                | Self::Nested { .. }
                | Self::TxEscaped { .. }
                | Self::InvalidRetention { .. }
        )
    }

    /// Why the lock was lost, where its lease says so.
    pub fn lost_reason(&self) -> Option<&LostReason> {
        match self {
            Self::Lost(lost) => Some(&lost.reason),
            _ => None,
        }
    }

    /// When to take the lock and try again, if that may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backend { .. } => Some(RETRY),
            Self::Fenced { .. } | Self::Lost(_) | Self::TooLate { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }
}

const RETRY: Duration = Duration::from_millis(100);
