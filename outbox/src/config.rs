//! How much: batch sizes, budgets, leases, retention.

use std::{collections::BTreeMap, time::Duration};

use mainstay_core::Backoff;
use serde::{Deserialize, Serialize};

/// Settings of an [`Outbox`](crate::Outbox), its relays and inboxes.
///
/// Every field has a default, unknown fields are refused, durations are written as `"250ms"`.
///
/// # Examples
///
/// ```
/// use mainstay_outbox::OutboxConfig;
///
/// let text = r#"{ "batch": 50, "lease": "10s", "retry": { "max_attempts": 5 } }"#;
/// let config: OutboxConfig = serde_json::from_str(text)?;
/// assert_eq!(config.retry.max_attempts, 5);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutboxConfig {
    /// Budget and waits of messages whose topic has no entry in `topics`.
    pub retry: RetryPolicy,
    /// Budget and waits by topic: seconds for what a person waits for, days for reconciliation.
    pub topics: BTreeMap<String, RetryPolicy>,
    /// What happens to later messages of a key when one of its messages dies.
    pub on_dead: OnDead,
    /// Most messages claimed at once. A crash sends at most this many again.
    pub batch: u32,
    /// Most messages being published at once, each of another key.
    pub in_flight: u32,
    /// A publish that takes longer has an unknown outcome.
    #[serde(with = "humantime_serde")]
    pub publish_timeout: Duration,
    /// Pauses of a lane whose publisher is down; no message's attempts are counted.
    pub outage: Backoff,
    /// Deliveries that may be begun and never finished, as by a handler that kills its process.
    pub max_deliveries: u32,
    /// How long a relay that stopped answering keeps its lane.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// Shortest wait between two looks for messages that nobody announced.
    #[serde(with = "humantime_serde")]
    pub poll_min: Duration,
    /// Longest wait between two looks; reached by doubling while the lane is idle.
    #[serde(with = "humantime_serde")]
    pub poll_max: Duration,
    /// Longest wait for the turn to write.
    #[serde(with = "humantime_serde")]
    pub busy_wait: Duration,
    /// Longest payload in bytes.
    pub max_payload: usize,
    /// How long an idempotency key is remembered unless the request says otherwise.
    #[serde(with = "humantime_serde")]
    pub idempotency_ttl: Duration,
    /// How long an external effect may take before its outcome counts as unknown.
    #[serde(with = "humantime_serde")]
    pub external_lease: Duration,
    /// How long finished rows are kept.
    pub retention: Retention,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            topics: BTreeMap::new(),
            on_dead: OnDead::default(),
            batch: 100,
            in_flight: 16,
            publish_timeout: Duration::from_secs(30),
            outage: Backoff::exponential(Duration::from_millis(200), Duration::from_secs(30)),
            max_deliveries: 5,
            lease: Duration::from_secs(15),
            poll_min: Duration::from_millis(20),
            poll_max: Duration::from_secs(1),
            busy_wait: Duration::from_secs(5),
            max_payload: 1 << 20,
            idempotency_ttl: Duration::from_secs(24 * 3600),
            external_lease: Duration::from_secs(60),
            retention: Retention::default(),
        }
    }
}

impl OutboxConfig {
    /// The policy of `topic`.
    pub fn policy(&self, topic: &str) -> &RetryPolicy {
        self.topics.get(topic).unwrap_or(&self.retry)
    }
}

/// When to try a message again, and when to give it up.
///
/// A message dies when either budget is spent. Outages and deferrals burn no attempt; deferrals are
/// bounded by the age alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// Waits between attempts.
    pub backoff: Backoff,
    /// Attempts before the message dies.
    pub max_attempts: u32,
    /// Time since its first attempt after which a message that fails once more dies.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
}

impl RetryPolicy {
    /// A policy of `max_attempts` attempts within `max_age`, waiting as `backoff` says.
    pub fn new(backoff: Backoff, max_attempts: u32, max_age: Duration) -> Self {
        Self { backoff, max_attempts, max_age }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff::decorrelated(Duration::from_millis(500), Duration::from_secs(300)),
            max_attempts: 20,
            max_age: Duration::from_secs(24 * 3600),
        }
    }
}

/// What happens to later messages of a key when one of its messages dies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnDead {
    /// They go on without it.
    #[default]
    Skip,
    /// They wait until the dead message is redriven or discarded.
    Block,
}

/// How long finished rows are kept. Purged by the relay, a bounded number at a time.
///
/// Dead letters are kept until they are redriven or discarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Retention {
    /// Messages that were sent.
    #[serde(with = "humantime_serde")]
    pub sent: Duration,
    /// Attempts of messages that are neither unsent nor dead.
    #[serde(with = "humantime_serde")]
    pub attempts: Duration,
    /// Inbox rows. A message redelivered later than this is handled again: keep it above the
    /// longest retry, the time dead letters wait, and the transport's own redelivery.
    #[serde(with = "humantime_serde")]
    pub inbox: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { sent: day, attempts: 30 * day, inbox: 30 * day }
    }
}
