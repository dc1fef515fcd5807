//! What happens to locks, as events.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Key;

use crate::{backend::BackendError, error::LockError, fence::Fence, lost::LostReason};

/// Something that happened to a lock.
///
/// Keys are as many as a user makes them: do not use one as a metric's label.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LockEvent<'a> {
    /// A request stands in line.
    Queued {
        /// The lock.
        key: &'a Key,
        /// Its place, 1 being next.
        position: Option<usize>,
    },
    /// A request got its lock.
    Acquired {
        /// The lock.
        key: &'a Key,
        /// The holder's fence.
        fence: Fence,
        /// How long it waited.
        waited: Duration,
    },
    /// A scope entered a lock that it holds.
    Reentered {
        /// The lock.
        key: &'a Key,
        /// The holder's fence.
        fence: Fence,
    },
    /// A request did not get its lock.
    Refused {
        /// Why.
        error: &'a LockError,
        /// How long it waited.
        waited: Duration,
    },
    /// Names are locked inside each other in two orders, see [`LockOrder`](crate::LockOrder).
    OutOfOrder {
        /// The lock asked for.
        key: &'a Key,
        /// The lock that the scope holds.
        held: &'a Key,
    },
    /// Leases are being renewed.
    Renewing {
        /// How many.
        locks: usize,
    },
    /// Renewals got no answer; they are tried again until their leases end.
    RenewalFailed {
        /// How many.
        locks: usize,
        /// What the backend said.
        error: &'a BackendError,
    },
    /// A holder lost its lock.
    Lost {
        /// The lock.
        key: &'a Key,
        /// The fence it had.
        fence: Fence,
        /// Why.
        reason: &'a LostReason,
        /// How long it had held it.
        held: Duration,
    },
    /// A holder released its lock.
    Released {
        /// The lock.
        key: &'a Key,
        /// The fence it had.
        fence: Fence,
        /// How long it had held it.
        held: Duration,
    },
    /// A release got no answer; it is tried again until the lease ends.
    ReleaseFailed {
        /// The lock.
        key: &'a Key,
        /// What the backend said.
        error: &'a BackendError,
    },
}

/// Sees every [`LockEvent`]. Closures `Fn(&LockEvent<'_>)` are observers.
///
/// It is called in the middle of the work: count and return.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, event: &LockEvent<'_>);
}

impl<F: Fn(&LockEvent<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &LockEvent<'_>) {
        self(event);
    }
}

/// Tells `tracing` and the user's observer, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Observers(Option<Arc<dyn Observer>>);

impl Observers {
    pub(crate) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self(observer)
    }

    pub(crate) fn queued(&self, key: &Key, position: Option<usize>) {
        tracing::trace!(%key, position, "lock: waiting");
        self.tell(&LockEvent::Queued { key, position });
    }

    pub(crate) fn acquired(&self, key: &Key, fence: Fence, waited: Duration) {
        tracing::debug!(%key, %fence, ?waited, "lock: acquired");
        self.tell(&LockEvent::Acquired { key, fence, waited });
    }

    pub(crate) fn reentered(&self, key: &Key, fence: Fence) {
        tracing::trace!(%key, %fence, "lock: entered again");
        self.tell(&LockEvent::Reentered { key, fence });
    }

    pub(crate) fn refused(&self, error: &LockError, waited: Duration) {
        tracing::debug!(%error, "lock: refused");
        self.tell(&LockEvent::Refused { error, waited });
    }

    pub(crate) fn out_of_order(&self, key: &Key, held: &Key) {
        tracing::warn!(%key, %held, "lock: asked for in two orders");
        self.tell(&LockEvent::OutOfOrder { key, held });
    }

    pub(crate) fn renewing(&self, locks: usize) {
        tracing::trace!(locks, "lock: renewing");
        self.tell(&LockEvent::Renewing { locks });
    }

    pub(crate) fn renewal_failed(&self, locks: usize, error: &BackendError) {
        tracing::warn!(locks, %error, "lock: renewals without an answer");
        self.tell(&LockEvent::RenewalFailed { locks, error });
    }

    pub(crate) fn lost(&self, key: &Key, fence: Fence, reason: &LostReason, held: Duration) {
        tracing::warn!(%key, %fence, %reason, ?held, "lock: lost");
        self.tell(&LockEvent::Lost { key, fence, reason, held });
    }

    pub(crate) fn released(&self, key: &Key, fence: Fence, held: Duration) {
        tracing::debug!(%key, %fence, ?held, "lock: released");
        self.tell(&LockEvent::Released { key, fence, held });
    }

    pub(crate) fn release_failed(&self, key: &Key, error: &BackendError) {
        tracing::warn!(%key, %error, "lock: release without an answer");
        self.tell(&LockEvent::ReleaseFailed { key, error });
    }

    fn tell(&self, event: &LockEvent<'_>) {
        if let Some(observer) = &self.0 {
            observer.observe(event);
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observers").field("own", &self.0.is_some()).finish()
    }
}
