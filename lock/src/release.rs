//! Giving a lock back.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use crate::{
    hold::{End, Hold},
    lost::LostReason,
};

/// What became of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Released {
    /// The lock was held until now and is free.
    Released,
    /// Other guards of the same hold keep it.
    Nested {
        /// How many.
        guards: usize,
    },
    /// It had been lost before: work since then may have overlapped the next holder's.
    AlreadyLost {
        /// Why it was lost.
        reason: LostReason,
    },
    /// The release was sent and no answer came. It is sent again until the lease ends; calling
    /// [`release`](crate::LockGuard::release) again waits for the next answer.
    Unknown,
}

/// Future of [`LockGuard::release`](crate::LockGuard::release).
#[must_use = "the release goes ahead; await this to learn what became of it"]
pub struct Release {
    hold: Arc<Hold>,
    nested: Option<usize>,
    watcher: Option<u64>,
}

impl Release {
    pub(crate) fn new(hold: Arc<Hold>, nested: Option<usize>) -> Self {
        Self { hold, nested, watcher: None }
    }
}

impl Future for Release {
    type Output = Released;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Released> {
        let this = self.get_mut();
        if let Some(guards) = this.nested {
            return Poll::Ready(Released::Nested { guards });
        }
        Poll::Ready(match ready!(this.hold.poll_end(cx, &mut this.watcher)) {
            End::Lost(reason) => Released::AlreadyLost { reason },
            End::Unknown => Released::Unknown,
            End::Released | End::Abandoned | End::Refused(_) => Released::Released,
        })
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher {
            self.hold.unwatch(watcher);
        }
    }
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Release").field("hold", &self.hold).finish_non_exhaustive()
    }
}
