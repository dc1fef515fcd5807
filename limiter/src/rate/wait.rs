//! Waiting for a cell.

use std::{
    fmt,
    pin::Pin,
    sync::atomic::Ordering,
    task::{Context, Poll, ready},
    time::Duration,
};

use mainstay_core::{Moment, Sleep};

use super::{Denied, RateLimit};
use crate::error::{Holders, LimitError};

/// Future of [`RateLimit::until_ready`].
///
/// # Cancel safety
///
/// Dropping it takes nothing.
///
/// # Panics
///
/// When it has to wait outside a tokio runtime with its timer on, except on a manual clock.
#[must_use = "futures do nothing unless polled"]
pub struct UntilReady {
    rate: RateLimit,
    cells: u32,
    budget: Duration,
    waiting: Option<Waiting>,
}

struct Waiting {
    began: Moment,
    sleep: Pin<Box<Sleep>>,
    _place: Place,
}

impl UntilReady {
    pub(super) fn new(rate: RateLimit, cells: u32, budget: Duration) -> Self {
        Self { rate, cells, budget, waiting: None }
    }

    /// Goes to sleep until a cell is due, if that is in time.
    fn wait(&mut self, denied: Denied) -> Result<(), LimitError> {
        let Denied::Until(wait, quota) = denied else { return Err(self.rate.error(denied)) };
        let now = self.rate.0.clock.now();
        let began = self.waiting.as_ref().map_or(now, |waiting| waiting.began);
        if now + wait > began + self.budget {
            return Err(match &self.waiting {
                Some(_) => self.timeout(now.saturating_since(began), wait),
                None => self.rate.error(Denied::TooLate(wait, quota)),
            });
        }
        let sleep = Box::pin(self.rate.0.clock.sleep_until(now + wait));
        match &mut self.waiting {
            Some(waiting) => waiting.sleep = sleep,
            None => {
                let Some(place) = Place::take(&self.rate) else {
                    return Err(self.rate.error(Denied::QueueFull(wait, quota)));
                };
                self.waiting = Some(Waiting { began, sleep, _place: place });
            }
        }
        Ok(())
    }

    fn timeout(&self, waited: Duration, retry_after: Duration) -> LimitError {
        let burst = self.rate.quota().burst_size();
        match &self.rate.0.name {
            Err(error) => error.clone().into(),
            Ok(name) => LimitError::Timeout {
                scope: name.clone(),
                waited,
                limit: Some(burst),
                used: burst,
                retry_after: Some(retry_after),
                holders: Holders::default(),
            },
        }
    }
}

impl Future for UntilReady {
    type Output = Result<(), LimitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            if let Some(waiting) = &mut this.waiting {
                ready!(waiting.sleep.as_mut().poll(cx));
            }
            let Err(denied) = this.rate.try_cells(this.cells) else {
                this.waiting = None;
                return Poll::Ready(Ok(()));
            };
            if let Err(error) = this.wait(denied) {
                this.waiting = None;
                return Poll::Ready(Err(error));
            }
        }
    }
}

impl fmt::Debug for UntilReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UntilReady")
            .field("rate", &self.rate)
            .field("cells", &self.cells)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// One of the bounded number of places to wait.
struct Place(RateLimit);

impl Place {
    fn take(rate: &RateLimit) -> Option<Self> {
        let inner = &rate.0;
        let more = |waiting| (waiting < inner.queue).then_some(waiting + 1);
        inner.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Self(rate.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Self(RateLimit(inner)) = self;
        inner.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
