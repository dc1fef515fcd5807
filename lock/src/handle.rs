//! A view of a lock.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use mainstay_core::Key;

use crate::{fence::Fence, hold::Hold, watch::LostSignal};

/// A view of the lock that a request got: it shows it and does not hold it.
///
/// Before the request has its lock, and if it never gets it, nothing is held and the fence is [`Fence::NONE`].
#[derive(Clone)]
pub struct LockHandle {
    view: Arc<View>,
}

struct View {
    key: Option<Key>,
    hold: OnceLock<Arc<Hold>>,
}

impl LockHandle {
    pub(crate) fn new(key: Option<Key>) -> Self {
        Self { view: Arc::new(View { key, hold: OnceLock::new() }) }
    }

    pub(crate) fn show(&self, hold: &Arc<Hold>) {
        // A request is used once, so there is never a second hold to show.
        self.view.hold.get_or_init(|| hold.clone());
    }

    /// The lock; nothing where the request's name is no key.
    pub fn key(&self) -> Option<&Key> {
        self.view.key.as_ref()
    }

    /// The number of this hold, see [`LockGuard::fence`](crate::LockGuard::fence).
    pub fn fence(&self) -> Fence {
        self.view.hold.get().map_or(Fence::NONE, |hold| hold.fence())
    }

    /// The same as [`fence`](Self::fence).
    pub fn token(&self) -> Fence {
        self.fence()
    }

    /// Whether the lock is held at this moment, see [`LockGuard::is_held`](crate::LockGuard::is_held).
    pub fn is_held(&self) -> bool {
        self.view.hold.get().is_some_and(|hold| hold.is_held())
    }

    /// What is left of the lease; zero if it is not held.
    pub fn remaining(&self) -> Duration {
        self.view.hold.get().and_then(|hold| hold.remaining()).unwrap_or_default()
    }

    /// A token that is cancelled when the lock is not held any more, see
    /// [`LockGuard::child_token`](crate::LockGuard::child_token); cancelled already if it was not held yet.
    #[cfg(feature = "cancellation")]
    pub fn child_token(&self) -> tokio_util::sync::CancellationToken {
        match self.view.hold.get() {
            Some(hold) => hold.child_token(),
            None => {
                let token = tokio_util::sync::CancellationToken::new();
                token.cancel();
                token
            }
        }
    }

    /// Resolves when the lock is not held any more, with the reason; at once if it was not held yet.
    pub fn lost(&self) -> LostSignal {
        LostSignal::new(self.view.hold.get().cloned())
    }
}

impl fmt::Debug for LockHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut handle = f.debug_struct("LockHandle");
        handle.field("key", &self.view.key).field("fence", &self.fence());
        handle.field("held", &self.is_held()).finish_non_exhaustive()
    }
}
