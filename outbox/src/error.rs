//! What can go wrong.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::{Key, KeyError};

use crate::MessageId;

/// Error of every call of this crate.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// The message breaks a rule and was not stored.
    #[error("message for topic `{topic}` is not accepted: {rule}")]
    InvalidMessage {
        /// Its topic.
        topic: String,
        /// The rule, and the value that breaks it.
        rule: String,
    },
    /// The text given as a key is none.
    #[error(transparent)]
    InvalidKey(#[from] KeyError),
    /// Another writer kept the database; nothing was done.
    #[error("the database is busy writing; waited {waited:?}, try again")]
    Busy {
        /// How long the call waited.
        waited: Duration,
    },
    /// The task has an open transaction of this crate; a second one would wait for the first for ever.
    #[error("a transaction is already open in this task; use its `tx` or finish it first")]
    Nested,
    /// The body moved its `Tx` out, so nobody could commit; it was rolled back.
    #[error(
        "the transaction's `Tx` outlived its body and was rolled back; keep it inside the body"
    )]
    TxEscaped,
    /// The key was used with other parameters.
    #[error(
        "idempotency key `{key}` was used with other parameters; use a new key for a new request"
    )]
    Conflict {
        /// The key.
        key: Key,
    },
    /// The first request of the key is still running.
    #[error(
        "the first request of idempotency key `{key}` is still running; ask again in {retry_after:?}"
    )]
    InProgress {
        /// The key.
        key: Key,
        /// When its outcome is known at the latest.
        retry_after: Duration,
    },
    /// The first request of the key began an effect and nobody knows how it ended.
    #[error(
        "the outcome of idempotency key `{key}` is unknown; find out and call `resolve`, it is not run again"
    )]
    KeyUnknown {
        /// The key.
        key: Key,
    },
    /// The commit was sent and no answer came: it may have happened.
    #[error("no answer to a commit; it may have happened, look before doing it again")]
    CommitUnknown(#[source] Failure),
    /// Deliveries of the message were begun and never finished: it probably kills its consumer.
    #[error(
        "message {id} was delivered {deliveries} times and never came to an end; it is not handled again"
    )]
    TooManyDeliveries {
        /// The message.
        id: MessageId,
        /// How often, this one included.
        deliveries: u32,
    },
    /// No dead letter has this id.
    #[error("no dead letter has the id {id}")]
    NotDead {
        /// The id.
        id: MessageId,
    },
    /// Another relay took the lane.
    #[error("lane `{lane}` was taken over by another relay")]
    LeaseLost {
        /// The lane.
        lane: String,
    },
    /// A value could not be turned into JSON or back.
    #[error("{what} is not valid JSON for its type: {reason}")]
    Json {
        /// What was read or written.
        what: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The schema was made by a newer version of this crate.
    #[error(
        "the schema has version {found}, this version knows {known}; update the slower process first"
    )]
    SchemaTooNew {
        /// Version of the schema.
        found: i64,
        /// Newest version known here.
        known: i64,
    },
    /// The database refused; nothing of the call was stored.
    #[error("{0}")]
    Database(#[source] Failure),
}

impl OutboxError {
    /// Whether trying again later may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::InProgress { .. } | Self::Database(_))
    }

    /// Whether nobody knows if it happened: ask, do not repeat.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::KeyUnknown { .. } | Self::CommitUnknown(_))
    }

    /// Whether an idempotency key came back with other parameters.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether the first request of an idempotency key is still running.
    pub fn is_in_progress(&self) -> bool {
        matches!(self, Self::InProgress { .. })
    }

    /// Whether another writer kept the database for too long.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy { .. })
    }

    /// Whether a message, key or value broke a rule, so that trying again is useless.
    pub fn is_invalid(&self) -> bool {
        matches!(self, Self::InvalidMessage { .. } | Self::InvalidKey(_) | Self::Json { .. })
    }

    /// When to ask again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::InProgress { retry_after, .. } => Some(*retry_after),
            Self::Busy { waited } => Some(*waited),
            _ => None,
        }
    }

    pub(crate) fn json(what: &'static str, reason: &serde_json::Error) -> Self {
        Self::Json { what, reason: reason.to_string() }
    }

    pub(crate) fn database(during: &'static str, source: sqlx::Error) -> Self {
        Self::Database(Failure::new(during, source))
    }
}

/// What the database driver said. Opaque: the driver's types are not part of this crate's API.
#[derive(Clone)]
pub struct Failure {
    during: &'static str,
    source: Arc<sqlx::Error>,
}

impl Failure {
    pub(crate) fn new(during: &'static str, source: sqlx::Error) -> Self {
        Self { during, source: Arc::new(source) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the database failed to {}: {}", self.during, self.source)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failure({self})")
    }
}

impl std::error::Error for Failure {}

/// Adds what was being done to a driver's error.
pub(crate) trait During<T> {
    fn during(self, what: &'static str) -> Result<T, OutboxError>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, what: &'static str) -> Result<T, OutboxError> {
        self.map_err(|error| OutboxError::database(what, error))
    }
}
