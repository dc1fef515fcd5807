//! What a failed handler says.

use std::{fmt, time::Duration};

use crate::{FailureClass, OutboxError, PublishError};

/// A message that was not handled; its transaction was rolled back.
///
/// The class decides what happens to the message, as with [`PublishError`]. Errors of this crate and of
/// `sqlx` convert: an unreadable payload is final, everything else is tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("handler failed ({}): {message}", class.as_str())]
pub struct HandlerError {
    class: FailureClass,
    message: String,
    retry_after: Option<Duration>,
}

impl HandlerError {
    fn new(class: FailureClass, message: impl fmt::Display) -> Self {
        Self { class, message: message.to_string(), retry_after: None }
    }

    /// It was not done; trying again may help.
    pub fn retryable(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Retryable, message)
    }

    /// Trying again is useless: the message dies.
    pub fn final_(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Final, message)
    }

    /// Busy; come back after `wait`. Burns no attempt.
    pub fn deferred(wait: Duration, message: impl fmt::Display) -> Self {
        let busy = Self::new(FailureClass::Deferred, message);
        Self { retry_after: Some(wait), ..busy }
    }

    /// It may have had an effect outside of the transaction.
    pub fn unknown(message: impl fmt::Display) -> Self {
        Self::new(FailureClass::Unknown, message)
    }

    /// What it means for the message.
    pub fn class(&self) -> FailureClass {
        self.class
    }

    /// When to come back, if the handler said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<OutboxError> for HandlerError {
    fn from(error: OutboxError) -> Self {
        let killer = matches!(error, OutboxError::TooManyDeliveries { .. });
        if killer || error.is_invalid() || error.is_conflict() {
            Self::final_(error)
        } else if error.is_unknown() {
            Self::unknown(error)
        } else if let Some(wait) = error.retry_after() {
            Self::deferred(wait, error)
        } else {
            Self::retryable(error)
        }
    }
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        Self::retryable(error)
    }
}

impl From<serde_json::Error> for HandlerError {
    fn from(error: serde_json::Error) -> Self {
        Self::final_(error)
    }
}

impl From<HandlerError> for PublishError {
    fn from(error: HandlerError) -> Self {
        let published = Self::new(error.class, error.message);
        match error.retry_after {
            Some(wait) => published.after(wait),
            None => published,
        }
    }
}
