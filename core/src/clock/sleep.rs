//! Waiting for a moment.
#![expect(clippy::disallowed_methods, reason = "this is where sleeping is done")]

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use super::{Clock, Moment, manual};

pin_project! {
    /// Future of [`Clock::sleep`] and [`Clock::sleep_until`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it forgets the wait.
    #[must_use = "futures do nothing unless polled"]
    pub struct Sleep {
        #[pin]
        kind: Kind,
        deadline: Moment,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind {
        // The timer is made on first poll: it needs a runtime, the constructor does not.
        Unstarted { clock: Clock },
        Timer { clock: Clock, #[pin] timer: tokio::time::Sleep },
        Manual { waiter: manual::Waiter },
    }
}

impl Sleep {
    pub(super) fn timer(clock: Clock, deadline: Moment) -> Self {
        Self { kind: Kind::Unstarted { clock }, deadline }
    }

    pub(super) fn manual(state: Arc<manual::State>, deadline: Moment) -> Self {
        Self { kind: Kind::Manual { waiter: manual::Waiter::new(state, deadline) }, deadline }
    }

    /// The moment waited for.
    pub fn deadline(&self) -> Moment {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let clock = match this.kind.as_mut().project() {
                KindProj::Manual { waiter } => return waiter.poll(cx),
                KindProj::Unstarted { clock } => clock.clone(),
                KindProj::Timer { clock, timer } => {
                    ready!(timer.poll(cx));
                    clock.clone()
                }
            };
            let left = this.deadline.saturating_since(clock.now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            let timer = tokio::time::sleep(left);
            this.kind.set(Kind::Timer { clock, timer });
        }
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
