//! Where messages are sent.

use std::{fmt, ops::Deref, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use crate::Envelope;

/// Hands messages to a broker, a service or, as [`Bus`](crate::Bus), to consumers in this process.
///
/// # Cancel safety
///
/// A relay drops the future on a time-out and when it is stopped; the message is then sent again.
///
/// # Examples
///
/// ```
/// use mainstay_outbox::{Confirm, Outgoing, PublishError, Publisher};
///
/// struct Print;
///
/// impl Publisher for Print {
///     async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
///         println!("{} {}", message.topic(), message.id());
///         Ok(Confirm::acknowledged())
///     }
/// }
/// ```
pub trait Publisher: Send + Sync + 'static {
    /// Sends one message and waits until the other side has it for good.
    ///
    /// # Errors
    ///
    /// The class of a [`PublishError`] decides what happens to the message.
    fn publish(
        &self,
        message: &Outgoing,
    ) -> impl Future<Output = Result<Confirm, PublishError>> + Send;
}

impl<P: Publisher> Publisher for Arc<P> {
    fn publish(
        &self,
        message: &Outgoing,
    ) -> impl Future<Output = Result<Confirm, PublishError>> + Send {
        P::publish(self, message)
    }
}

/// A message in the hands of a publisher.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub(crate) envelope: Arc<Envelope>,
    pub(crate) attempt: u32,
    pub(crate) redelivered: bool,
}

impl Outgoing {
    /// A first delivery of `envelope`, for tests of publishers.
    pub fn new(envelope: Envelope) -> Self {
        Self { envelope: Arc::new(envelope), attempt: 1, redelivered: false }
    }

    /// 1 the first time; starts anew when the message is redriven.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether an earlier delivery was begun and may have arrived.
    pub fn is_redelivered(&self) -> bool {
        self.redelivered
    }

    /// The message itself, shared.
    pub fn envelope(&self) -> &Arc<Envelope> {
        &self.envelope
    }
}

impl Deref for Outgoing {
    type Target = Envelope;

    fn deref(&self) -> &Envelope {
        &self.envelope
    }
}

/// Proof that the other side has the message for good.
///
/// Make one only of the other side's acknowledgement: a relay forgets the message for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a confirmation that is dropped sends the message again"]
pub struct Confirm(());

impl Confirm {
    /// The other side said that it has the message.
    pub fn acknowledged() -> Self {
        Self(())
    }
}

/// What a failed publish says about the message and about the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureClass {
    /// It was not done; trying again may help. Counts as an attempt.
    Retryable,
    /// Trying again is useless: the message dies.
    Final,
    /// It may have been done; it is sent again under the same id. Counts as an attempt.
    Unknown,
    /// Busy, come back later. Counts as no attempt, bounded by the age budget.
    Deferred,
    /// The other side is down: the lane pauses, no message's attempts are counted.
    Outage,
    /// The other side asked for fewer messages: the lane pauses, no attempt is counted.
    RateLimited,
}

impl FailureClass {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Final => "final",
            Self::Unknown => "unknown",
            Self::Deferred => "deferred",
            Self::Outage => "outage",
            Self::RateLimited => "rate_limited",
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        match text {
            "final" => Self::Final,
            "unknown" => Self::Unknown,
            "deferred" => Self::Deferred,
            "outage" => Self::Outage,
            "rate_limited" => Self::RateLimited,
            _ => Self::Retryable,
        }
    }

    /// Whether the whole lane has to wait.
    pub fn pauses_lane(self) -> bool {
        matches!(self, Self::Outage | Self::RateLimited)
    }

    /// Whether it burns one of the message's attempts.
    pub fn is_counted(self) -> bool {
        matches!(self, Self::Retryable | Self::Final | Self::Unknown)
    }
}

/// A publish that was not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("publish failed ({}): {message}", class.as_str())]
pub struct PublishError {
    class: FailureClass,
    message: String,
    retry_after: Option<Duration>,
}

impl PublishError {
    /// An error of `class`; its text is stored with the attempt, so keep payloads and secrets out.
    pub fn new(class: FailureClass, message: impl fmt::Display) -> Self {
        Self { class, message: message.to_string(), retry_after: None }
    }

    /// Not done; trying again may help.
    pub fn retryable(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Retryable, message)
    }

    /// Trying again is useless.
    pub fn final_(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Final, message)
    }

    /// It may have been done.
    pub fn unknown(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Unknown, message)
    }

    /// Busy; come back after `wait`.
    pub fn deferred(wait: Duration, message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Deferred, message).after(wait)
    }

    /// The other side is down.
    pub fn outage(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Outage, message)
    }

    /// The other side asked for fewer messages; the lane pauses for `wait`.
    pub fn rate_limited(wait: Duration, message: impl fmt::Display) -> Self {
        Self::new(FailureClass::RateLimited, message).after(wait)
    }

    /// Says when to come back; it replaces the policy's wait.
    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// What it means for message and lane.
    pub fn class(&self) -> FailureClass {
        self.class
    }

    /// When to come back, if the other side said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// Class and text of a failed attempt, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(unnameable_types, reason = "part of the sealed seam to the engines")]
pub struct Failed {
    pub(crate) class: FailureClass,
    pub(crate) error: String,
}

impl Failed {
    /// Longest error text kept, in characters.
    const MAX_ERROR: usize = 2000;

    pub(crate) fn new(class: FailureClass, error: &str) -> Self {
        Self { class, error: error.chars().take(Self::MAX_ERROR).collect() }
    }
}
