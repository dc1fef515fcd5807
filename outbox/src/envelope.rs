//! A message on its way.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration, time::SystemTime};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::OutboxError;

/// Identity of a message: the same in every attempt, at the broker and in the inbox.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// Uses an id that the caller already has.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// An id that sorts by `now`.
    pub(crate) fn at(now: SystemTime) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let stamp =
            uuid::Timestamp::from_unix(uuid::NoContext, since.as_secs(), since.subsec_nanos());
        Self(Uuid::new_v7(stamp))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = OutboxError;

    fn from_str(text: &str) -> Result<Self, OutboxError> {
        let parsed = Uuid::parse_str(text).map(Self);
        parsed
            .map_err(|error| OutboxError::Json { what: "a message id", reason: error.to_string() })
    }
}

/// Headers by name.
pub type Headers = BTreeMap<String, String>;

/// A message as publishers and consumers see it.
///
/// `Debug` shows neither payload nor header values.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    pub(crate) id: MessageId,
    pub(crate) topic: String,
    pub(crate) key: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) payload: Vec<u8>,
    pub(crate) created_at: i64,
}

impl Envelope {
    /// A message that came from elsewhere, such as a broker's client.
    pub fn new(id: MessageId, topic: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            id,
            topic: topic.into(),
            key: None,
            headers: Headers::new(),
            payload: payload.into(),
            created_at: 0,
        }
    }

    /// Sets the ordering key, as the sender wrote it.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// The same in every attempt and after a redrive.
    pub fn id(&self) -> MessageId {
        self.id
    }

    /// What the message is about.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Messages of one key are sent in order.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// All headers.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// One header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// When it entered the log, by the enqueuing process' calendar.
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.created_at.max(0).unsigned_abs())
    }

    /// Reads the payload as JSON.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Json`], which a handler returns as final: the bytes will not change.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutboxError> {
        serde_json::from_slice(&self.payload)
            .map_err(|error| OutboxError::json("the payload", &error))
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("id", &self.id)
            .field("topic", &self.topic)
            .field("key", &self.key)
            .field("headers", &self.headers.keys())
            .field("bytes", &self.payload.len())
            .finish()
    }
}

/// Why a message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeathReason {
    /// The attempt budget is spent.
    Attempts,
    /// The age budget is spent.
    Age,
    /// Publisher or handler said that trying again is useless.
    Final,
    /// Too many deliveries were begun and never finished: it probably kills its consumer.
    Killer,
    /// The stored row could not be read.
    Undecodable,
}

#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "called by the engines"))]
impl DeathReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Age => "age",
            Self::Final => "final",
            Self::Killer => "killer",
            Self::Undecodable => "undecodable",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "attempts" => Self::Attempts,
            "age" => Self::Age,
            "killer" => Self::Killer,
            "undecodable" => Self::Undecodable,
            _ => Self::Final,
        }
    }
}
