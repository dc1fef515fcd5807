//! What becomes of a use.

use std::time::Duration;

use mainstay_core::{Key, KeyError};

use crate::error::Failure;

/// A token was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumed {
    /// For the first time.
    First {
        /// The number that it drew: microseconds since 1970, or one more than the last one of the scope.
        number: i64,
    },
    /// It had been used before, by somebody who may or may not have finished.
    Replay {
        /// The number that the first use drew.
        number: i64,
    },
}

impl Consumed {
    /// The number of the use, the same for the first one and its replays.
    pub fn number(&self) -> i64 {
        match *self {
            Self::First { number } | Self::Replay { number } => number,
        }
    }

    /// Whether nobody was told the number before.
    pub fn is_first(&self) -> bool {
        matches!(self, Self::First { .. })
    }
}

/// Why a token was not issued, or not used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has expired, was never issued, or was issued for another scope.
    #[error(
        "the token is not valid for `{scope}`: it has expired or was never issued; ask for a new one"
    )]
    Invalid {
        /// What it was to be used for.
        scope: Key,
    },
    /// The backend did not do it.
    #[error(
        "the backend was not asked about a token of `{scope}`: {failure}; nothing was done, try again"
    )]
    Backend {
        /// What the token is for.
        scope: Key,
        /// What the backend said.
        failure: Failure,
    },
    /// Nobody knows whether it was done.
    #[error(
        "the backend was asked about a token of `{scope}` and gave no answer: {failure}; use the same token again, it has the same number"
    )]
    Unknown {
        /// What the token is for.
        scope: Key,
        /// What the backend said.
        failure: Failure,
    },
    /// The system has no random numbers to give.
    #[error("no token can be made: the system gives no random numbers: {failure}")]
    NoRandomness {
        /// What the system said.
        failure: Failure,
    },
    /// The text given is no key.
    #[error("no token can be for this: {0}")]
    InvalidScope(#[from] KeyError),
}

impl TokenError {
    /// Whether the token has expired or was never issued.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::Invalid { .. })
    }

    /// Whether nobody knows what was done; the same call may be made again.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. })
    }

    /// When to try again, if that may help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Backend { .. } | Self::Unknown { .. } => Some(RETRY),
            _ => None,
        }
    }
}

const RETRY: Duration = Duration::from_millis(100);
