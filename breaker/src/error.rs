//! Why a call was refused.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Key, KeyError};

use crate::Reason;

/// A call was refused, or could not be asked for. Nothing was sent: repeating it is safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerError {
    /// The breaker is open.
    #[error(
        "breaker `{name}` has been open for {since:?}: {reason}; call again in {retry_after:?}"
    )]
    Open {
        /// The breaker.
        name: Key,
        /// Why it opened.
        reason: Reason,
        /// How long ago the outage began.
        since: Duration,
        /// When calls are tried again; zero if that is due.
        retry_after: Duration,
    },
    /// The breaker is half-open, and its trial calls or its probe are on their way.
    #[error(
        "breaker `{name}` is half-open and its trial calls are taken ({reason}); call again within {retry_after:?}"
    )]
    HalfOpen {
        /// The breaker.
        name: Key,
        /// Why it opened.
        reason: Reason,
        /// When a permit is free again at the latest.
        retry_after: Duration,
    },
    /// The breaker lets a share of the calls through, and this was not one of them.
    #[error(
        "breaker `{name}` lets {percent}% of calls through after an outage; call again in {retry_after:?}"
    )]
    Ramping {
        /// The breaker.
        name: Key,
        /// The share let through.
        percent: u8,
        /// When the share grows.
        retry_after: Duration,
    },
    /// An operator forced the breaker open.
    #[error("breaker `{name}` was forced open: {reason}; {}", ends(*retry_after))]
    ForcedOpen {
        /// The breaker.
        name: Key,
        /// What the operator said.
        reason: Arc<str>,
        /// When it ends; `None` if it lasts until it is lifted.
        retry_after: Option<Duration>,
    },
    /// The key of a keyed breaker is no key.
    #[error(transparent)]
    InvalidKey(#[from] KeyError),
}

impl BreakerError {
    /// Whether the breaker refused the call, in whatever state: nothing was sent.
    pub fn is_open(&self) -> bool {
        !self.is_invalid_key()
    }

    /// Whether the breaker is finding out whether the other side is back.
    pub fn is_recovering(&self) -> bool {
        matches!(self, Self::HalfOpen { .. } | Self::Ramping { .. })
    }

    /// Whether an operator forced the breaker open.
    pub fn is_forced(&self) -> bool {
        matches!(self, Self::ForcedOpen { .. })
    }

    /// Whether the key was no key: a mistake of the caller, never cured by waiting.
    pub fn is_invalid_key(&self) -> bool {
        matches!(self, Self::InvalidKey(_))
    }

    /// How long to wait before calling again, if waiting helps.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Open { retry_after, .. }
            | Self::HalfOpen { retry_after, .. }
            | Self::Ramping { retry_after, .. } => Some(*retry_after),
            Self::ForcedOpen { retry_after, .. } => *retry_after,
            Self::InvalidKey(_) => None,
        }
    }

    /// The breaker that refused.
    pub fn name(&self) -> Option<&Key> {
        match self {
            Self::Open { name, .. }
            | Self::HalfOpen { name, .. }
            | Self::Ramping { name, .. }
            | Self::ForcedOpen { name, .. } => Some(name),
            Self::InvalidKey(_) => None,
        }
    }
}

fn ends(retry_after: Option<Duration>) -> String {
    match retry_after {
        Some(wait) => format!("call again in {wait:?}"),
        None => "it stays so until an operator lifts it".into(),
    }
}
