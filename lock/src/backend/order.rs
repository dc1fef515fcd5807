//! Calls whose answers may come from anywhere.

use std::{fmt, sync::Arc};

use super::{Answer, BackendError, Claim, GivenBack};
use crate::{agenda::OnTheWire, hold::Hold};

/// A call that a backend takes without a future, see [`Backend::submit`](super::Backend::submit).
#[derive(Debug)]
#[non_exhaustive]
pub enum Order {
    /// [`Backend::acquire`](super::Backend::acquire).
    Acquire {
        /// Who asks.
        claim: Claim,
        /// Whether to stand in line.
        queue: bool,
        /// Where the answer goes.
        reply: Replier<Answer>,
    },
    /// [`Backend::poll`](super::Backend::poll).
    Poll {
        /// Who asks.
        claim: Claim,
        /// Where the answer goes.
        reply: Replier<Answer>,
    },
    /// [`Backend::release`](super::Backend::release).
    Release {
        /// Whose lock or place it is.
        claim: Claim,
        /// Where the answer goes.
        reply: Replier<GivenBack>,
    },
}

/// Where the answer to an [`Order`] goes, from any thread and at any time.
///
/// Dropped without an answer it says [`BackendError::Unknown`].
#[must_use = "an order without an answer is one whose outcome is unknown"]
pub struct Replier<T> {
    to: Option<To<T>>,
}

enum To<T> {
    /// A shutdown waits until it has its answer.
    Hold(Arc<Hold>, Tell<T>, OnTheWire),
    #[cfg(feature = "redis")]
    Channel(tokio::sync::oneshot::Sender<Result<T, BackendError>>),
}

/// What is done with an answer.
pub(crate) type Tell<T> = fn(&Arc<Hold>, Result<T, BackendError>);

impl<T> Replier<T> {
    pub(crate) fn new(hold: Arc<Hold>, tell: Tell<T>) -> Self {
        let on_the_wire = hold.manager().agenda().call();
        Self { to: Some(To::Hold(hold, tell, on_the_wire)) }
    }

    /// An answer that is waited for.
    #[cfg(feature = "redis")]
    pub(crate) fn channel() -> (Self, impl Future<Output = Result<T, BackendError>>) {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let answer = async { receiver.await.unwrap_or_else(|_| Err(unanswered())) };
        (Self { to: Some(To::Channel(sender)) }, answer)
    }

    /// Hands over the answer. It may wake tasks and make further calls: not under a lock of the backend's own.
    pub fn send(mut self, answer: Result<T, BackendError>) {
        self.tell(answer);
    }

    fn tell(&mut self, answer: Result<T, BackendError>) {
        match self.to.take() {
            Some(To::Hold(hold, tell, _on_the_wire)) => tell(&hold, answer),
            #[cfg(feature = "redis")]
            Some(To::Channel(channel)) => {
                // Nobody waits for it any more.
                let _ = channel.send(answer);
            }
            None => {}
        }
    }
}

impl<T> Drop for Replier<T> {
    fn drop(&mut self) {
        if self.to.is_some() {
            self.tell(Err(unanswered()));
        }
    }
}

impl<T> fmt::Debug for Replier<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replier").finish_non_exhaustive()
    }
}

fn unanswered() -> BackendError {
    BackendError::unknown("the backend dropped the call")
}
