//! What can go wrong with a payment, and what the customer is told.

use std::{num::TryFromIntError, time::Duration};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use mainstay::{
    breaker::BreakerError,
    limiter::LimitError,
    lock::LockError,
    outbox::{OutboxError, PublishError},
};

use crate::api::Problem;

/// Why an order could not be taken or finished now.
#[derive(Debug, thiserror::Error)]
pub(super) enum PayError {
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Bank(#[from] BankError),
    #[error("order `{order}` was submitted before under another idempotency key")]
    Taken { order: String },
    #[error("order `{order}` is not known")]
    NotFound { order: String },
    #[error("order `{order}` changed meanwhile; look again")]
    Changed { order: String },
    #[error("order `{order}` is not finished yet")]
    Unfinished { order: String },
    #[error("header `idempotency-key` is missing")]
    NoKey,
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    #[error("an amount is out of range: {0}")]
    Amount(#[from] TryFromIntError),
}

/// Why the bank gave no good answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BankError {
    /// Our own limit had no room: nothing was sent.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// Our breaker is open: nothing was sent.
    #[error(transparent)]
    Breaker(#[from] BreakerError),
    /// Nothing was sent.
    #[error("the bank cannot be reached: {0}")]
    NotSent(String),
    /// It said that it did nothing, and that later it might.
    #[error("the bank turned the request away ({0})")]
    TurnedAway(StatusCode),
    /// It said that it never will.
    #[error("the bank declined: {0}")]
    Declined(String),
    /// It was sent, and what came of it is unknown.
    #[error("no answer from the bank: {0}")]
    NoAnswer(String),
}

impl BankError {
    /// When to try again, as far as our own guards know.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Limit(error) => error.retry_after(),
            Self::Breaker(error) => error.retry_after(),
            _ => None,
        }
    }
}

/// When the bank, an inquiry or a colleague is asked again, unless somebody says when.
const LATER: Duration = Duration::from_millis(150);

impl PayError {
    /// Busy is not failure: says when to come back.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Outbox(error) => error.retry_after(),
            Self::Lock(error) => error.retry_after(),
            Self::Bank(error) => Some(error.retry_after().unwrap_or(LATER)),
            Self::Changed { .. } | Self::Unfinished { .. } => Some(LATER),
            _ => None,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Outbox(error) if error.is_conflict() => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Outbox(error) if error.is_in_progress() => StatusCode::CONFLICT,
            Self::Outbox(error) if error.is_busy() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Lock(error) if error.is_busy() => StatusCode::CONFLICT,
            Self::Changed { .. } => StatusCode::CONFLICT,
            Self::Bank(_) | Self::Lock(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Taken { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NoKey => StatusCode::BAD_REQUEST,
            Self::NotFound { .. } => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// For customers.
impl IntoResponse for PayError {
    fn into_response(self) -> Response {
        problem(self.status(), &self, self.retry_after())
    }
}

/// For the relay that carries follow-ups: what is only busy burns no attempt.
impl From<PayError> for PublishError {
    fn from(error: PayError) -> Self {
        match error.retry_after() {
            Some(wait) => Self::deferred(wait, error),
            None => Self::retryable(error),
        }
    }
}

/// An answer that is not about the order itself.
pub(super) fn problem(
    status: StatusCode,
    error: impl std::fmt::Display,
    retry_after: Option<Duration>,
) -> Response {
    let retry_after_ms =
        retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
    (status, Json(Problem { error: error.to_string(), retry_after_ms })).into_response()
}
