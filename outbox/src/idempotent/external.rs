//! Effects outside of the database.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use mainstay_core::{Classify, Key, KeyError, OnReject, Outcome};
use pin_project_lite::pin_project;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    claim::{Claim, ClaimToken, to_json},
    request::refusal,
};
use crate::{
    OutboxError,
    dialect::{Dialect, KeyChange},
    tx::Step,
};

/// `Ok` is a success, `Err` says nothing: it may have been done. Right wherever a time-out is among
/// the errors.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrIsUnknown;

impl<T, E> Classify<T, E> for ErrIsUnknown {
    fn classify(&self, result: Result<&T, &E>) -> Outcome {
        if result.is_ok() { Outcome::Success } else { Outcome::Unknown }
    }
}

pin_project! {
    /// Future of [`IdempotentRequest::run_external`](crate::IdempotentRequest::run_external).
    ///
    /// It stores the work once, in place; the steps that talk to the database are boxed.
    #[must_use = "futures do nothing unless polled"]
    pub struct ExternalRun<DB: Dialect, F: Future, C, R> {
        key: Result<Key, KeyError>,
        #[pin]
        work: F,
        classify: C,
        reject: R,
        stage: Stage<DB, F::Output>,
    }
}

enum Stage<DB: Dialect, Out> {
    Claim(Step<Result<Claim<DB>, OutboxError>>),
    Work(Box<ClaimToken<DB>>),
    Record(Step<Result<(), OutboxError>>, Option<Out>),
    Over,
}

impl<DB: Dialect, F: Future, C, R> ExternalRun<DB, F, C, R> {
    pub(super) fn new(
        key: Result<Key, KeyError>,
        claim: impl Future<Output = Result<Claim<DB>, OutboxError>> + Send + 'static,
        work: F,
        classify: C,
        reject: R,
    ) -> Self {
        Self { key, work, classify, reject, stage: Stage::Claim(Box::pin(claim)) }
    }
}

impl<DB, F, T, E, C, R> Future for ExternalRun<DB, F, C, R>
where
    DB: Dialect,
    F: Future<Output = Result<T, E>>,
    T: Serialize + DeserializeOwned,
    C: Classify<T, E>,
    R: OnReject<OutboxError, T, E>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T, E>> {
        let mut this = self.project();
        loop {
            match this.stage {
                Stage::Claim(step) => {
                    let claimed = ready!(step.as_mut().poll(cx));
                    *this.stage = Stage::Over;
                    match claimed.map(|claim| begin(claim, this.key)) {
                        Ok(Begun::First(token)) => *this.stage = Stage::Work(Box::new(token)),
                        Ok(Begun::Result(Ok(value))) => return Poll::Ready(Ok(value)),
                        Ok(Begun::Result(Err(error))) | Err(error) => {
                            return Poll::Ready(this.reject.on_reject(error));
                        }
                    }
                }
                Stage::Work(_) => {
                    let out = ready!(this.work.as_mut().poll(cx));
                    let Stage::Work(token) = std::mem::replace(this.stage, Stage::Over) else {
                        unreachable!("matched above")
                    };
                    let outcome = this.classify.classify(out.as_ref());
                    let result = out.as_ref().ok().map(to_json);
                    let step = record(*token, outcome, result);
                    *this.stage = Stage::Record(Box::pin(step), Some(out));
                }
                Stage::Record(step, out) => {
                    let recorded = ready!(step.as_mut().poll(cx));
                    let out = out.take().expect("recorded once");
                    *this.stage = Stage::Over;
                    return Poll::Ready(match (recorded, out) {
                        // The work's own error says more than a record that failed.
                        (_, Err(error)) => Err(error),
                        (Ok(()), Ok(value)) => Ok(value),
                        (Err(error), Ok(_)) => this.reject.on_reject(unrecorded(error, this.key)),
                    });
                }
                Stage::Over => panic!("`ExternalRun` polled after completion"),
            }
        }
    }
}

enum Begun<DB: Dialect, T> {
    First(ClaimToken<DB>),
    Result(Result<T, OutboxError>),
}

fn begin<DB: Dialect, T: DeserializeOwned>(
    claim: Claim<DB>,
    key: &Result<Key, KeyError>,
) -> Begun<DB, T> {
    match (claim, key) {
        (Claim::First(token), _) => Begun::First(token),
        (Claim::Replay(stored), _) => Begun::Result(stored.json()),
        (other, Ok(key)) => Begun::Result(Err(refusal(&other, key.clone()))),
        (_, Err(error)) => Begun::Result(Err(error.clone().into())),
    }
}

/// Writes down how the work ended.
async fn record<DB: Dialect>(
    token: ClaimToken<DB>,
    outcome: Outcome,
    result: Option<Result<Vec<u8>, OutboxError>>,
) -> Result<(), OutboxError> {
    let id = token.bytes();
    match (result, outcome) {
        // A result that cannot be written as JSON was still an effect.
        (Some(Err(error)), _) => {
            token.change(KeyChange::Unknown { token: id }).await?;
            Err(error)
        }
        (Some(Ok(_)), Outcome::Unknown) => token.change(KeyChange::Unknown { token: id }).await,
        (Some(Ok(result)), _) => token.change(KeyChange::Done { token: id, result: &result }).await,
        (None, Outcome::Failure | Outcome::Ignored) => {
            token.change(KeyChange::Forget { token: id }).await
        }
        (None, Outcome::Success | Outcome::Unknown) => {
            token.change(KeyChange::Unknown { token: id }).await
        }
    }
}

/// The work was done and that is not written down: "busy, try again" would invite to do it twice.
fn unrecorded(error: OutboxError, key: &Result<Key, KeyError>) -> OutboxError {
    match key {
        Ok(key) if !error.is_invalid() => OutboxError::KeyUnknown { key: key.clone() },
        _ => error,
    }
}

impl<DB: Dialect, F: Future, C, R> fmt::Debug for ExternalRun<DB, F, C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalRun").field("key", &self.key).finish_non_exhaustive()
    }
}
