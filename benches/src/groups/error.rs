//! The error type of the services that are measured.

use std::fmt;

use mainstay_breaker::BreakerError;
use mainstay_limiter::LimitError;
use mainstay_lock::LockError;

/// Why a service that is measured did not answer.
#[derive(Debug)]
pub enum Failed {
    /// The service itself failed.
    Broken,
    /// A limit was reached.
    Limit(LimitError),
    /// The breaker was open.
    Breaker(BreakerError),
    /// The lock was not to be had.
    Lock(LockError),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => f.write_str("the service failed"),
            Self::Limit(error) => error.fmt(f),
            Self::Breaker(error) => error.fmt(f),
            Self::Lock(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {}

impl From<LimitError> for Failed {
    fn from(error: LimitError) -> Self {
        Self::Limit(error)
    }
}

impl From<BreakerError> for Failed {
    fn from(error: BreakerError) -> Self {
        Self::Breaker(error)
    }
}

impl From<LockError> for Failed {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}
