//! All of them in one go, if they are free.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use mainstay_core::Key;

use crate::{acquire::Acquire, error::LockError, guard::LockGuard, locks::Locks};

/// Attempts that do not wait, made at the same time.
pub(super) struct AtOnce {
    attempts: Vec<Attempt>,
}

enum Attempt {
    Asked(Acquire),
    Answered(Result<LockGuard, LockError>),
}

impl AtOnce {
    /// `probes` if somebody's holding one of them is no refusal yet.
    pub(super) fn new(locks: &Locks, keys: &[Key], probes: bool) -> Self {
        let ask = |key: &Key| {
            let mut request = locks.lock(key).wait(Duration::ZERO);
            request.terms.probes = probes;
            Attempt::Asked(request.into_future())
        };
        let mut keys: Vec<_> = keys.iter().collect();
        keys.sort_by_key(|key| locks.manager().engine().bucket(key));
        Self { attempts: keys.into_iter().map(ask).collect() }
    }

    /// All of them, or why not: an error that no waiting mends before one that it may.
    ///
    /// Ready only once all answers are there, so that whatever was got is given back by its guard.
    pub(super) fn poll_guards(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Vec<LockGuard>, LockError>> {
        let mut open = false;
        for attempt in &mut self.attempts {
            open |= attempt.poll(cx).is_pending();
        }
        if open {
            return Poll::Pending;
        }
        let mut guards = Vec::with_capacity(self.attempts.len());
        let mut refused: Option<LockError> = None;
        for attempt in self.attempts.drain(..) {
            match attempt {
                Attempt::Answered(Ok(guard)) => guards.push(guard),
                Attempt::Answered(Err(error)) => {
                    let matters = refused.as_ref().is_none_or(LockError::is_contended);
                    refused = if matters { Some(error) } else { refused };
                }
                Attempt::Asked(_) => {}
            }
        }
        guards.sort_by(|one, other| one.key().cmp(other.key()));
        Poll::Ready(refused.map_or(Ok(guards), Err))
    }
}

impl Attempt {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Asked(acquire) = self {
            match Pin::new(acquire).poll(cx) {
                Poll::Ready(answer) => *self = Self::Answered(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}
