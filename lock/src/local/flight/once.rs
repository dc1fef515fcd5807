//! One caller of a shared call.

use std::{
    fmt,
    hash::Hash,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use dashmap::DashMap;
use pin_project_lite::pin_project;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, TryAcquireError};

use super::ticket::{InFlight, Ticket};

pin_project! {
    /// Future of [`SingleFlight::once`](super::SingleFlight::once): the result of a shared call.
    ///
    /// # Cancel safety
    ///
    /// Dropped while its own call runs, the call is dropped and the next one's takes over; dropped
    /// while it waits, it just leaves.
    #[must_use = "futures do nothing unless polled"]
    pub struct Once<K, T, F>
    where
        K: Eq,
        K: Hash,
    {
        // Before the stage: the call is gone before the next one may run.
        #[pin]
        call: Option<F>,
        stage: Stage<K, T>,
    }
}

enum Stage<K: Eq + Hash, T> {
    Start(Arc<DashMap<K, InFlight<T>>>, K),
    Wait(Turn, Ticket<K, T>),
    Run(OwnedSemaphorePermit, Ticket<K, T>),
    Done,
}

type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl<K: Eq + Hash + Clone, T: Clone, F: Future<Output = T>> Once<K, T, F> {
    pub(super) fn new(flights: Arc<DashMap<K, InFlight<T>>>, key: K, call: F) -> Self {
        Self { call: Some(call), stage: Stage::Start(flights, key) }
    }
}

impl<K: Eq + Hash + Clone, T: Clone, F: Future<Output = T>> Future for Once<K, T, F> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut this = self.project();
        loop {
            // The stage is taken out while it is worked on: a call that panics gives its turn away.
            match mem::replace(this.stage, Stage::Done) {
                // Start => (Run or Wait or Done)
                Stage::Start(flights, key) => {
                    let ticket = Ticket::join(flights, key);
                    let turn = ticket.flight().turn.clone();
                    *this.stage = match turn.clone().try_acquire_owned() {
                        Ok(turn) => Stage::Run(turn, ticket),
                        Err(TryAcquireError::NoPermits) => {
                            Stage::Wait(Box::pin(turn.acquire_owned()), ticket)
                        }
                        Err(TryAcquireError::Closed) => return landed(this.call, &ticket),
                    };
                }
                // Wait => (Wait or Run or Done)
                Stage::Wait(mut turn, ticket) => match turn.as_mut().poll(cx) {
                    Poll::Pending => {
                        *this.stage = Stage::Wait(turn, ticket);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(turn)) => *this.stage = Stage::Run(turn, ticket),
                    Poll::Ready(Err(_)) => return landed(this.call, &ticket),
                },
                // Run => (Run or Done)
                Stage::Run(turn, ticket) => {
                    let Some(call) = this.call.as_mut().as_pin_mut() else { return Poll::Pending };
                    let Poll::Ready(result) = call.poll(cx) else {
                        *this.stage = Stage::Run(turn, ticket);
                        return Poll::Pending;
                    };
                    this.call.set(None);
                    let flight = ticket.flight();
                    // Nobody else has the turn, so nobody else has set it.
                    let _ = flight.result.set(result.clone());
                    flight.turn.close();
                    return Poll::Ready(result);
                }
                Stage::Done => return Poll::Pending,
            }
        }
    }
}

impl<K: Eq + Hash, T, F> fmt::Debug for Once<K, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").finish_non_exhaustive()
    }
}

/// What somebody else's call brought.
fn landed<K: Eq + Hash, T: Clone, F>(
    mut call: Pin<&mut Option<F>>,
    ticket: &Ticket<K, T>,
) -> Poll<T> {
    call.set(None);
    let result = ticket.flight().result.get().cloned();
    // Closed is set after the result.
    Poll::Ready(result.expect("a flight that has landed brought a result"))
}
