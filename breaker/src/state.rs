//! The states of a breaker.

use serde::{Deserialize, Serialize};

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// Every call is let through and watched.
    Closed,
    /// Every call is refused until the wait is over.
    Open,
    /// A few trial calls, or the probe, find out whether to close.
    HalfOpen,
    /// A growing share of calls is let through.
    Ramping,
    /// An operator refuses every call.
    ForcedOpen,
    /// An operator lets every call through; calls are counted and decide nothing.
    Disabled,
}

/// What is known about the place of `State` in a word. The number 1 is kept for shedding a share of
/// calls before opening.
impl State {
    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::Open => 2,
            Self::HalfOpen => 3,
            Self::Ramping => 4,
            Self::ForcedOpen => 5,
            Self::Disabled => 6,
        }
    }

    pub(crate) fn from_code(code: u64) -> Self {
        match code {
            2 => Self::Open,
            3 => Self::HalfOpen,
            4 => Self::Ramping,
            5 => Self::ForcedOpen,
            6 => Self::Disabled,
            _ => Self::Closed,
        }
    }
}
