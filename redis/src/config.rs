//! How patient a connection is.

use std::time::Duration;

use mainstay_core::Backoff;
use serde::{Deserialize, Serialize};

/// Time budgets and bounds of a [`Redis`](crate::Redis).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_redis::RedisConfig;
///
/// let config: RedisConfig = serde_json::from_str(r#"{"budget": "250ms"}"#)?;
/// assert_eq!(config.budget, Duration::from_millis(250));
/// assert!(serde_json::from_str::<RedisConfig>(r#"{"bugdet": "1s"}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RedisConfig {
    /// How long one command may take, from the call to the answer. 1 s.
    #[serde(with = "humantime_serde")]
    pub budget: Duration,
    /// How long one attempt to connect may take, greeting included. 1 s.
    #[serde(with = "humantime_serde")]
    pub connect_budget: Duration,
    /// How long the oldest command may stay unanswered before the connection is given up. Longer than
    /// `budget`: a server that hangs for a moment keeps its connection and so the order of commands. 3 s.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    /// The pauses between attempts to connect. 20 ms, doubling to 1 s.
    pub retry: Backoff,
    /// How many commands may wait to be written before more are refused. 16,384.
    pub queue: usize,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(1),
            connect_budget: Duration::from_secs(1),
            give_up_after: Duration::from_secs(3),
            retry: Backoff::exponential(Duration::from_millis(20), Duration::from_secs(1)),
            queue: 16_384,
        }
    }
}
