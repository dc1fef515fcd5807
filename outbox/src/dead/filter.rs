//! Which dead letters.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::DeadPosition;
use crate::{DeathReason, FailureClass, MessageId, outbox::millis_since_epoch};

/// Selects dead letters; what is not set matches everything.
///
/// # Examples
///
/// ```
/// use mainstay_outbox::{DeathReason, Filter};
///
/// let filter = Filter::new().topic("order.paid").reason(DeathReason::Attempts);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use = "a filter selects nothing by itself"]
pub struct Filter {
    pub(crate) id: Option<MessageId>,
    pub(crate) topic: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) lane: Option<String>,
    pub(crate) class: Option<FailureClass>,
    pub(crate) reason: Option<DeathReason>,
    /// Milliseconds since the epoch.
    pub(crate) since: Option<i64>,
    /// Milliseconds since the epoch.
    pub(crate) before: Option<i64>,
    #[serde(skip)]
    pub(crate) after: i64,
    #[serde(skip)]
    pub(crate) limit: u32,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            id: None,
            topic: None,
            key: None,
            lane: None,
            class: None,
            reason: None,
            since: None,
            before: None,
            after: 0,
            limit: 100,
        }
    }
}

impl Filter {
    /// All dead letters.
    pub fn new() -> Self {
        Self::default()
    }

    /// One message.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Messages of a topic.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.topic = Some(topic.into());
        self
    }

    /// Messages of a key, as escaped by [`Key`](crate::Key).
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Messages of a lane.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = Some(lane.into());
        self
    }

    /// Messages whose last failure was of this class.
    pub fn class(mut self, class: FailureClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Messages that died for this reason.
    pub fn reason(mut self, reason: DeathReason) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Messages that died at or after `time`.
    pub fn died_since(mut self, time: SystemTime) -> Self {
        self.since = Some(millis_since_epoch(time));
        self
    }

    /// Messages that died before `time`.
    pub fn died_before(mut self, time: SystemTime) -> Self {
        self.before = Some(millis_since_epoch(time));
        self
    }

    /// Continues behind a page's last letter. Queries only.
    pub fn after(mut self, position: DeadPosition) -> Self {
        self.after = position.0;
        self
    }

    /// Letters of one page, 100 if not said. Queries only.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit.max(1);
        self
    }
}
