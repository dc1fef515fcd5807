//! The bank, called with care.
//!
//! Attributes and layers say what guards a call; `guards.rs` says how much.

use std::time::Duration;

use axum::http::StatusCode;
use mainstay::{
    Outcome, breaker,
    breaker::{Breaker, BreakerLayer},
    limit,
    limiter::Limiter,
};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneSyncService};

use super::{
    error::BankError,
    line::{Found, Line, Receipt, Subject},
};
use crate::seam::BankTerms;

/// A client of the bank. A clone is the same client.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    line: Line,
    limiter: Limiter,
    breaker: Breaker,
    inquiries: BoxCloneSyncService<Subject, Found, BankError>,
    slot_held_at_most: Duration,
}

impl Bank {
    /// A client that calls within `limiter` and behind `breaker`.
    pub(super) fn new(
        terms: &BankTerms,
        callback_url: String,
        limiter: Limiter,
        breaker: Breaker,
    ) -> Self {
        let line = Line::new(terms, callback_url);
        let slot_held_at_most = terms.slot_held_at_most;
        let inquiries = inquiries(line.clone(), breaker.clone());
        Self { line, limiter, breaker, inquiries, slot_held_at_most }
    }

    /// Charges, once the bank has room.
    ///
    /// The call is a task of its own: the bank goes on when our customer hangs up, so its slot has to
    /// stay taken here as well.
    #[limit(with = self.limiter, key = "bank:charge", wait = "500ms", guard = slot)]
    pub(super) async fn charge(&self, subject: Subject) -> Result<Receipt, BankError> {
        let (bank, kept) = (self.clone(), slot.clone());
        let call = slot.spawn(async move {
            let answer = bank.call(&subject).await;
            if let Err(BankError::NoAnswer(_)) = answer {
                // The bank may still be busy with it. Nobody can tell when it is done, so time ends this.
                drop(kept.hold(bank.slot_held_at_most));
            }
            answer
        });
        call.await.unwrap_or_else(|lost| Err(BankError::NoAnswer(lost.to_string())))
    }

    #[breaker(with = self.breaker, classify = health)]
    async fn call(&self, subject: &Subject) -> Result<Receipt, BankError> {
        self.line.charge(subject).await
    }

    /// Asks what became of an attempt.
    pub(super) async fn inquire(&self, subject: Subject) -> Result<Found, BankError> {
        self.inquiries.clone().oneshot(subject).await
    }
}

/// Inquiries as a tower service behind the same breaker: a layer guards as the attribute does.
fn inquiries(line: Line, breaker: Breaker) -> BoxCloneSyncService<Subject, Found, BankError> {
    let inquire = service_fn(move |subject: Subject| {
        let line = line.clone();
        async move { line.inquire(&subject).await }
    });
    BoxCloneSyncService::new(BreakerLayer::new(breaker).classify(health).layer(inquire))
}

/// What a result says about the bank's health.
fn health<T>(result: Result<&T, &BankError>) -> Outcome {
    match result {
        Ok(_) => Outcome::Success,
        Err(BankError::NotSent(_) | BankError::TurnedAway(StatusCode::SERVICE_UNAVAILABLE)) => {
            Outcome::Failure
        }
        Err(BankError::NoAnswer(_)) => Outcome::Unknown,
        // A healthy bank said no, or we did ourselves.
        Err(
            BankError::TurnedAway(_)
            | BankError::Declined(_)
            | BankError::Limit(_)
            | BankError::Breaker(_),
        ) => Outcome::Ignored,
    }
}
