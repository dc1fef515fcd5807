//! What is enqueued, and the rules it must keep.

use std::{fmt, time::Duration};

use mainstay_core::{IntoKey, Key, KeyError};
use serde::Serialize;

use crate::{Headers, MessageId, OutboxConfig, OutboxError};

/// Lane of messages that name none.
pub(crate) const LIVE: &str = "live";

const MAX_TOPIC: usize = 200;
const MAX_LANE: usize = 40;
const MAX_HEADERS: usize = 32;
const MAX_HEADER_NAME: usize = 64;
const MAX_HEADER_VALUE: usize = 4096;

/// A message to enqueue.
///
/// Rules, checked by [`Outbox::enqueue`](crate::Outbox::enqueue): the topic has 1 to 200 characters of
/// `a-z A-Z 0-9 . _ - / :`, at most 32 headers, names of 1 to 64 such characters, values of at most
/// 4096 bytes without control characters, and a payload within
/// [`OutboxConfig::max_payload`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_outbox::{Message, key};
///
/// let reminder = Message::json("order.remind", &serde_json::json!({ "order": 7 }))?
///     .key(key!("order:{}", 7))
///     .delay(Duration::from_secs(1800));
/// # let _ = reminder;
/// # Ok::<(), mainstay_outbox::OutboxError>(())
/// ```
#[derive(Clone)]
#[must_use = "a message does nothing until it is enqueued"]
pub struct Message {
    pub(crate) id: Option<MessageId>,
    pub(crate) lane: String,
    pub(crate) topic: String,
    pub(crate) key: Option<Result<Key, KeyError>>,
    pub(crate) headers: Headers,
    pub(crate) payload: Vec<u8>,
    pub(crate) delay: Option<Duration>,
}

impl Message {
    /// A message of bytes.
    pub fn new(topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id: None,
            lane: LIVE.into(),
            topic: topic.into(),
            key: None,
            headers: Headers::new(),
            payload: payload.into(),
            delay: None,
        }
    }

    /// A message of JSON, with the header `content-type`.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Json`] if the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(
        topic: impl Into<String>,
        value: &T,
    ) -> Result<Self, OutboxError> {
        let bytes = serde_json::to_vec(value)
            .map_err(|error| OutboxError::json("the message body", &error))?;
        Ok(Self::new(topic, bytes).header("content-type", "application/json"))
    }

    /// Messages of one key and lane are sent in the order in which their transactions committed.
    pub fn key(mut self, key: impl IntoKey) -> Self {
        self.key = Some(key.into_key());
        self
    }

    /// Uses an id of the caller's. Two messages with one id are one message to every inbox.
    pub fn id(mut self, id: MessageId) -> Self {
        self.id = Some(id);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Holds the message back. It takes its place in its key's order when it is due.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Sends through another lane than `live`. Lanes have relays of their own and no order between them.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// Checks every rule before anything is written.
    pub(crate) fn check(&self, config: &OutboxConfig) -> Result<(), OutboxError> {
        let rule = self.broken_rule(config);
        match rule {
            Some(rule) => Err(OutboxError::InvalidMessage { topic: shorten(&self.topic), rule }),
            None => Ok(()),
        }
    }

    fn broken_rule(&self, config: &OutboxConfig) -> Option<String> {
        if let Some(Err(error)) = &self.key {
            return Some(error.to_string());
        }
        name_rule("the topic", &self.topic, MAX_TOPIC)
            .or_else(|| name_rule("the lane", &self.lane, MAX_LANE))
            .or_else(|| self.header_rule())
            .or_else(|| {
                let (bytes, most) = (self.payload.len(), config.max_payload);
                (bytes > most).then(|| {
                    format!("the payload has {bytes} bytes, {most} are allowed; store it elsewhere and send a reference")
                })
            })
    }

    fn header_rule(&self) -> Option<String> {
        let count = self.headers.len();
        if count > MAX_HEADERS {
            return Some(format!("it has {count} headers, {MAX_HEADERS} are allowed"));
        }
        self.headers.iter().find_map(|(name, value)| {
            name_rule("a header name", name, MAX_HEADER_NAME).or_else(|| {
                let bad = value.len() > MAX_HEADER_VALUE || value.chars().any(char::is_control);
                bad.then(|| {
                    format!("header `{name}` is longer than {MAX_HEADER_VALUE} bytes or has control characters")
                })
            })
        })
    }

    pub(crate) fn key_text(&self) -> Option<&str> {
        self.key.as_ref().and_then(|key| key.as_ref().ok()).map(Key::as_str)
    }

    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "called by the engines"))]
    pub(crate) fn headers_text(&self) -> String {
        // A map of strings has no value that JSON cannot hold.
        serde_json::to_string(&self.headers).unwrap_or_default()
    }
}

fn name_rule(what: &str, name: &str, most: usize) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-/:".contains(c);
    let good = !name.is_empty() && name.len() <= most && name.chars().all(fits);
    (!good).then(|| {
        let shown = shorten(name);
        format!("{what} `{shown}` must have 1 to {most} of the characters a-z A-Z 0-9 . _ - / :")
    })
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("lane", &self.lane)
            .field("topic", &self.topic)
            .field("key", &self.key_text())
            .field("headers", &self.headers.keys())
            .field("bytes", &self.payload.len())
            .field("delay", &self.delay)
            .finish()
    }
}

/// What was enqueued. It is sent once the caller's transaction commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enqueued {
    /// Identity of the message.
    pub id: MessageId,
}
