//! Why a call was refused.

use std::{fmt, time::Duration};

use mainstay_core::{Key, KeyError};
use serde::{Deserialize, Serialize};

/// Why a call was not let in. Nothing is held when one of these is returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitError {
    /// Refused at once.
    #[error(
        "limit `{scope}` refused: {reason} ({used} of {} permits in use{holders}){}",
        Shown(.limit),
        Hint(.retry_after)
    )]
    Rejected {
        /// The scope that refused.
        scope: Key,
        /// What was wrong.
        reason: Reason,
        /// Its limit; `None` if it has none.
        limit: Option<u32>,
        /// The permits in use.
        used: u32,
        /// When it makes sense to come back; `None` if waiting does not help.
        retry_after: Option<Duration>,
        /// Who holds the permits, where that is recorded: a bulkhead.
        holders: Holders,
    },
    /// No permit came free in the time the caller gave it.
    #[error(
        "limit `{scope}` had no room for {waited:?} ({used} of {} permits in use{holders}){}",
        Shown(.limit),
        Hint(.retry_after)
    )]
    Timeout {
        /// The scope that had no room.
        scope: Key,
        /// How long the caller waited.
        waited: Duration,
        /// The scope's limit; `None` if it has none.
        limit: Option<u32>,
        /// The permits in use.
        used: u32,
        /// When it makes sense to come back.
        retry_after: Option<Duration>,
        /// Who holds the permits, where that is recorded: a bulkhead.
        holders: Holders,
    },
    /// An operator closed the scope.
    #[error("limit `{scope}` is closed; calls are let in once it is opened again")]
    Closed {
        /// The closed scope.
        scope: Key,
    },
    /// The id is in use by a call for other scopes or another weight.
    #[error("id `{id}` is in use by a call for other scopes or another weight; use a fresh id")]
    IdInUse {
        /// The id.
        id: Key,
    },
    /// The scope or id is no key.
    #[error(transparent)]
    InvalidKey(#[from] KeyError),
    /// The limiter is shutting down.
    #[error("the limiter is shutting down and lets nobody in")]
    ShuttingDown,
}

impl LimitError {
    /// Whether the call was refused at once because of a limit or a queue.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected { .. })
    }

    /// Whether the caller waited in vain.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether an operator closed the scope.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Whether the same call may be let in later without anybody changing anything: busy is no failure.
    pub fn is_busy(&self) -> bool {
        self.retry_after().is_some()
    }

    /// When it makes sense to come back; `None` if waiting does not help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Rejected { retry_after, .. } | Self::Timeout { retry_after, .. } => *retry_after,
            Self::Closed { .. }
            | Self::IdInUse { .. }
            | Self::InvalidKey(_)
            | Self::ShuttingDown => None,
        }
    }

    /// The scope that refused, if it was one.
    pub fn scope(&self) -> Option<&Key> {
        match self {
            Self::Rejected { scope, .. } | Self::Timeout { scope, .. } | Self::Closed { scope } => {
                Some(scope)
            }
            Self::IdInUse { .. } | Self::InvalidKey(_) | Self::ShuttingDown => None,
        }
    }
}

/// What was wrong with a call that was refused at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// No permit is free and the caller does not wait.
    Full,
    /// As many callers wait as may.
    QueueFull,
    /// The deadline has passed, or will before the queue in front is served.
    Deadline,
    /// The call weighs more than the whole limit.
    TooWide,
    /// As many scopes are in use as may be known at once.
    TooManyScopes,
    /// The rate is used up for now.
    Rate,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "no permit is free",
            Self::QueueFull => "the queue is full",
            Self::Deadline => "the deadline comes before a permit does",
            Self::TooWide => "the call weighs more than the limit",
            Self::TooManyScopes => "too many scopes are in use",
            Self::Rate => "the rate is used up for now",
        })
    }
}

/// Who holds permits, oldest first; empty where that is not recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders(Box<[Holder]>);

/// Some who hold permits, by the name of their request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The label of the request, or where in the source it was made.
    pub name: String,
    /// How many hold a permit under this name.
    pub count: usize,
    /// How long the oldest of them has held it.
    pub oldest: Duration,
}

impl Holders {
    /// How many names a refusal carries.
    pub const MAX: usize = 8;

    pub(crate) fn new(holders: impl IntoIterator<Item = Holder>) -> Self {
        Self(holders.into_iter().take(Self::MAX).collect())
    }

    /// The holders, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, Holder> {
        self.0.iter()
    }

    /// Whether nobody is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a Holders {
    type Item = &'a Holder;
    type IntoIter = std::slice::Iter<'a, Holder>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Holders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Holder { name, count, oldest }) in self.iter().enumerate() {
            let lead = if index == 0 { ", held by" } else { "," };
            write!(f, "{lead} {name}")?;
            if *count > 1 {
                write!(f, " x{count}")?;
            }
            write!(f, " for {oldest:?}")?;
        }
        Ok(())
    }
}

struct Shown<'a>(&'a Option<u32>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("unlimited"),
        }
    }
}

struct Hint<'a>(&'a Option<Duration>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; try again in {wait:?}"),
            None => Ok(()),
        }
    }
}
