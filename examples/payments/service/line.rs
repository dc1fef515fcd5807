//! The line to the bank: requests, answers, and what a missing answer means.

use std::time::Duration;

use axum::http::StatusCode;
use mainstay::Clock;
use serde::{Deserialize, Serialize};

use super::{error::BankError, orders::Order};
use crate::{
    http::{Answer, CallError, Http},
    seam::BankTerms,
};

/// The line to the bank, without any protection.
#[derive(Clone, Debug)]
pub(super) struct Line {
    http: Http,
    clock: Clock,
    url: String,
    answers_within: Duration,
    callback_url: String,
}

/// What a call is about: one attempt to charge one order.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Subject {
    reference: String,
    attempt: String,
    customer: String,
    cents: u64,
}

/// The bank's answer to a charge.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Receipt {
    /// The bank's name for the charge.
    pub(super) charge_id: String,
}

/// The bank's answer to an inquiry.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Found {
    /// It is booked.
    Charged {
        /// The bank's name for the charge.
        charge_id: String,
    },
    /// Being worked on.
    InProgress,
    /// Not booked, and this attempt never will be.
    Nothing,
}

/// Body of a charge.
#[derive(Debug, Serialize)]
struct Charge<'a> {
    #[serde(flatten)]
    subject: &'a Subject,
    callback_url: &'a str,
}

impl Line {
    /// A line to the bank of `terms`, whose notices are to come to `callback_url`.
    pub(super) fn new(terms: &BankTerms, callback_url: String) -> Self {
        Self {
            http: Http::new(),
            clock: Clock::boot(),
            url: terms.url.clone(),
            answers_within: terms.answers_within,
            callback_url,
        }
    }

    /// Charges.
    pub(super) async fn charge(&self, subject: &Subject) -> Result<Receipt, BankError> {
        let url = format!("{}/charges", self.url);
        let charge = Charge { subject, callback_url: &self.callback_url };
        let answer = self.answer(self.http.post(&url, &[], &charge)).await?;
        // An answer that cannot be read does not say that nothing was booked.
        answer.json().map_err(|error| BankError::NoAnswer(error.to_string()))
    }

    /// Asks what became of an attempt.
    pub(super) async fn inquire(&self, subject: &Subject) -> Result<Found, BankError> {
        let Subject { reference, attempt, .. } = subject;
        let url = format!("{}/charges/{reference}?attempt={attempt}", self.url);
        let answer = self.answer(self.http.get(&url)).await?;
        answer.json().map_err(|error| BankError::NoAnswer(error.to_string()))
    }

    /// Tells what was certainly not done from what may have been.
    async fn answer(
        &self,
        call: impl Future<Output = Result<Answer, CallError>>,
    ) -> Result<Answer, BankError> {
        let answer = match self.clock.timeout(self.answers_within, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(CallError::NotSent(why))) => return Err(BankError::NotSent(why)),
            Ok(Err(CallError::NoAnswer(why))) => return Err(BankError::NoAnswer(why)),
            Err(elapsed) => return Err(BankError::NoAnswer(elapsed.to_string())),
        };
        let status = StatusCode::from_u16(answer.status)
            .map_err(|error| BankError::NoAnswer(error.to_string()))?;
        match status {
            _ if status.is_success() => Ok(answer),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::GONE | StatusCode::SERVICE_UNAVAILABLE => {
                Err(BankError::TurnedAway(status))
            }
            _ if status.is_client_error() => {
                Err(BankError::Declined(String::from_utf8_lossy(&answer.body).into_owned()))
            }
            _ => Err(BankError::NoAnswer(format!("it answered {status}"))),
        }
    }
}

impl From<&Order> for Subject {
    fn from(order: &Order) -> Self {
        Self {
            reference: order.id.clone(),
            attempt: order.attempt_id(),
            customer: order.customer.clone(),
            cents: order.cents,
        }
    }
}
