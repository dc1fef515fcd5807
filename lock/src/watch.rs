//! The signal that a lock is gone.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    hold::{End, Hold},
    lost::LostReason,
};

/// Future that resolves when a lock is not held any more, with the reason.
///
/// # Cancel safety
///
/// Dropping it forgets the wait; another one may be made at any time.
#[must_use = "futures do nothing unless polled"]
pub struct LostSignal {
    hold: Option<Arc<Hold>>,
    watcher: Option<u64>,
}

impl LostSignal {
    pub(crate) fn new(hold: Option<Arc<Hold>>) -> Self {
        Self { hold, watcher: None }
    }

    pub(crate) fn poll_lost(&mut self, cx: &mut Context<'_>) -> Poll<LostReason> {
        let Some(hold) = &self.hold else { return Poll::Ready(LostReason::NotHeld) };
        match hold.poll_end(cx, &mut self.watcher) {
            Poll::Ready(End::Lost(reason)) => Poll::Ready(reason),
            Poll::Ready(_) => Poll::Ready(LostReason::Released),
            // The clock is right at once; the scheduler may not have woken yet.
            Poll::Pending if hold.remaining().is_some_and(|left| left.is_zero()) => {
                Poll::Ready(LostReason::Expired)
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Future for LostSignal {
    type Output = LostReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LostReason> {
        self.get_mut().poll_lost(cx)
    }
}

impl Drop for LostSignal {
    fn drop(&mut self) {
        if let (Some(hold), Some(watcher)) = (&self.hold, self.watcher) {
            hold.unwatch(watcher);
        }
    }
}

impl fmt::Debug for LostSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LostSignal").field("hold", &self.hold).finish_non_exhaustive()
    }
}
