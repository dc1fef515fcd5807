//! The terms of an acquisition, and their defaults.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{lock_order::LockOrder, mode::Mode};

/// Defaults of the locks of one [`Locks`](crate::Locks); every request can set its own.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::LocksConfig;
///
/// let config: LocksConfig = serde_json::from_str(r#"{"lease": "10s", "wait": "250ms"}"#)?;
/// assert_eq!(config.lease, Duration::from_secs(10));
/// assert!(serde_json::from_str::<LocksConfig>(r#"{"leese": "10s"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LocksConfig {
    /// How long a lock outlives its last renewal; renewed after a third of it. At least 1 ms. 30 s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long to wait for a lock that is held elsewhere. 10 s.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// How long one acquisition may last whatever its renewals say, so that a holder that hangs does not
    /// keep a lock for ever. `null` sets no bound. 1 h.
    #[serde(with = "humantime_serde")]
    pub max_hold: Option<Duration>,
    /// Whether each waiter stands in the backend's line itself, so that all processes' waiters are served in
    /// the order in which they came. Off, a Redis lock is handed on among the waiters of one process for a while,
    /// which costs no calls. Off.
    pub strict_fifo: bool,
    /// What happens when a scope asks for a lock that it holds.
    pub reentrancy: Reentrancy,
    /// What happens when names are locked inside each other in two orders.
    pub lock_order: LockOrder,
}

impl Default for LocksConfig {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            wait: Duration::from_secs(10),
            max_hold: Some(Duration::from_secs(3600)),
            strict_fifo: false,
            reentrancy: Reentrancy::Scope,
            lock_order: LockOrder::default(),
        }
    }
}

/// What happens when a scope asks for a lock that it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reentrancy {
    /// It gets one more guard of the same hold, with the same fence and without asking the backend.
    #[default]
    Scope,
    /// It is refused with [`LockError::WouldDeadlock`](crate::LockError::WouldDeadlock).
    Deny,
}

/// What one request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) mode: Mode,
    pub(crate) wait: Duration,
    /// That it is held elsewhere is no refusal: the request goes on in another way.
    pub(crate) probes: bool,
    pub(crate) lease: Duration,
    pub(crate) renew: bool,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) strict_fifo: bool,
    pub(crate) reentrancy: Reentrancy,
    pub(crate) metadata: Option<Arc<str>>,
}

impl Terms {
    pub(crate) fn new(config: &LocksConfig) -> Self {
        Self {
            mode: Mode::Exclusive,
            wait: config.wait,
            probes: false,
            lease: clamp(config.lease),
            renew: true,
            max_hold: config.max_hold,
            strict_fifo: config.strict_fifo,
            reentrancy: config.reentrancy,
            metadata: None,
        }
    }
}

/// A lease shorter than a timer's grain could not be renewed in time.
pub(crate) fn clamp(lease: Duration) -> Duration {
    lease.max(Duration::from_millis(1))
}
