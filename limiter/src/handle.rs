//! What the work may do with its permit.

use std::{
    fmt,
    sync::{Arc, OnceLock, Weak},
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{
    hold::{self, Held},
    permit::Slot,
    reentry::{InScope, Node},
    spawn,
};

/// A handle to the permit of a call, for use inside the work that the permit covers.
///
/// It keeps nothing alive: once the work is done the slot is given back, unless the work asked to
/// [`hold`](Self::hold) it.
#[derive(Clone, Default)]
pub struct PermitHandle(Arc<OnceLock<Live>>);

struct Live {
    slot: Weak<Slot>,
    waited: Duration,
}

impl PermitHandle {
    pub(crate) fn fill(&self, slot: &Arc<Slot>, waited: Duration) {
        // A request is used once, so its handle is filled once.
        drop(self.0.set(Live { slot: Arc::downgrade(slot), waited }));
    }

    /// Whether the call is in, and not yet over.
    pub fn is_held(&self) -> bool {
        self.slot().is_some()
    }

    /// How many permits the call counts for; zero if it is not in.
    pub fn weight(&self) -> u32 {
        self.slot().map_or(0, |slot| slot.weight)
    }

    /// How long the call waited to get in.
    pub fn waited(&self) -> Duration {
        self.0.get().map_or(Duration::ZERO, |live| live.waited)
    }

    /// Keeps the slot for `ttl` from now, or until the work is done if that is later: the outcome is
    /// not known, and whoever was called may still be busy with it.
    ///
    /// Before the call is in and after it is over there is nothing to keep, and
    /// [`Held::is_held`] is false at once.
    pub fn hold(&self, ttl: Duration) -> Held {
        self.slot().map_or_else(Held::nothing, |slot| hold::keep(slot, ttl))
    }

    /// Starts a task that shares the slot, as [`Permit::spawn`](crate::Permit::spawn). Once the call
    /// is over, or before it is in, the task runs outside of it.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as `tokio::spawn`.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match self.slot() {
            Some(slot) => spawn::child(InScope::new(Node::root(slot), work)),
            None => spawn::child(work),
        }
    }

    fn slot(&self) -> Option<Arc<Slot>> {
        self.0.get()?.slot.upgrade()
    }
}

impl fmt::Debug for PermitHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitHandle").field("is_held", &self.is_held()).finish_non_exhaustive()
    }
}
