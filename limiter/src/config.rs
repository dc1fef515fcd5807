//! The configuration of a limiter.

use std::{collections::BTreeMap, time::Duration};

use mainstay_core::Key;
use serde::{Deserialize, Serialize};

use crate::Limit;

/// The configuration of a [`Limiter`](crate::Limiter).
///
/// # Examples
///
/// ```
/// use mainstay_limiter::LimiterConfig;
///
/// let config: LimiterConfig = serde_json::from_str(
///     r#"{
///         "limits": {
///             "global": {"max": 500},
///             "bank": {"max": 64, "floor": 4},
///             "bank:refund": "closed"
///         },
///         "wait": "200ms"
///     }"#,
/// )?;
/// assert_eq!(config.limits.len(), 3);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimiterConfig {
    /// The limit of each scope; a scope that is not named has none.
    pub limits: BTreeMap<Key, Limit>,
    /// How long a call waits if it does not say; zero, the default, refuses at once.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// How many callers may wait at one scope.
    pub queue: u32,
    /// How many callers may wait in all.
    pub waiting: usize,
    /// How many scopes are known at once. Idle ones that were made by a call, not by configuration,
    /// make room for others; configured ones count, and are always let in.
    pub scopes: usize,
    /// What a refused caller is told to wait while nothing better is known.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
}

impl Default for LimiterConfig {
    fn default() -> Self {
        Self {
            limits: BTreeMap::new(),
            wait: Duration::ZERO,
            queue: 256,
            waiting: 16 * 1024,
            scopes: 10_000,
            retry_after: Duration::from_millis(50),
        }
    }
}
