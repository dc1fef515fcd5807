//! The right to be in.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Key;
use tokio::task::JoinHandle;

use crate::{
    handle::PermitHandle,
    hold::{self, Held},
    reentry::{InScope, Node},
    scopes::ResolvedScopes,
    spawn,
};

const PRESENT: &str = "a permit has its slot until it is dropped";

/// The right to be in. Dropping it gives the slot back.
///
/// # Cancel safety
///
/// A permit belongs to whoever owns it: drop the future that owns it, at any await, and the slot is
/// back at once.
///
/// # Examples
///
/// An outcome that is not known keeps its slot until somebody found out:
///
/// ```
/// use std::time::Duration;
/// use mainstay_limiter::{Limit, Limiter};
///
/// let limiter = Limiter::builder().limit("bank", Limit::max(1)).in_process();
/// let permit = limiter.try_acquire("bank:pay")?;
/// let held = permit.hold(Duration::from_secs(60));
/// assert!(limiter.try_acquire("bank:pay").is_err());
/// held.release();
/// assert!(limiter.try_acquire("bank:pay").is_ok());
/// # Ok::<(), mainstay_limiter::LimitError>(())
/// ```
#[must_use = "the slot is given back when the permit is dropped"]
pub struct Permit {
    /// Empty only while it turns into a shared one.
    slot: Option<SlotRef>,
}

enum SlotRef {
    /// As it came: nothing is allocated.
    Own(Slot),
    Shared(Arc<Slot>),
    /// Of a permit further out in the same task.
    Outer(Arc<Slot>),
}

impl Permit {
    #[inline]
    pub(crate) fn new(slot: Slot) -> Self {
        Self { slot: Some(SlotRef::Own(slot)) }
    }

    pub(crate) fn reentrant(slot: Arc<Slot>) -> Self {
        Self { slot: Some(SlotRef::Outer(slot)) }
    }

    /// How many permits the call counts for.
    pub fn weight(&self) -> u32 {
        self.slot().weight
    }

    /// The scopes it counts in, broadest first.
    #[inline]
    pub fn scopes(&self) -> &ResolvedScopes {
        &self.slot().scopes
    }

    /// How long the caller waited for it.
    pub fn waited(&self) -> Duration {
        if self.is_reentrant() { Duration::ZERO } else { self.slot().waited() }
    }

    /// Whether the task was in already, so that nothing more was counted.
    #[inline]
    pub fn is_reentrant(&self) -> bool {
        matches!(self.slot, Some(SlotRef::Outer(_)))
    }

    /// Gives the slot back, as dropping does.
    pub fn release(self) {
        drop(self);
    }

    /// Keeps the slot for `ttl` although the call is over: its outcome is not known, and whoever
    /// was called may still be busy with it.
    ///
    /// # When the runtime is gone
    ///
    /// Outside a tokio runtime nothing wakes those who wait when the time ends; whoever comes next
    /// finds the slot free.
    pub fn hold(mut self, ttl: Duration) -> Held {
        hold::keep(self.share(), ttl)
    }

    /// A handle that the work may use while the permit is owned by something else.
    pub fn handle(&mut self) -> PermitHandle {
        let handle = PermitHandle::default();
        let waited = self.waited();
        handle.fill(&self.share(), waited);
        handle
    }

    /// Runs `work` inside the permit: what it acquires of these scopes is granted without being
    /// counted again, up to the permit's weight.
    pub fn scope<F: Future>(&mut self, work: F) -> InScope<F> {
        InScope::new(Node::nested(self.share()), work)
    }

    /// Starts a task that shares the slot: it is inside the permit, as in [`scope`](Self::scope),
    /// and the slot is given back when the permit and the task are both done.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, as `tokio::spawn`.
    pub fn spawn<F>(&mut self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        spawn::child(InScope::new(Node::root(self.share()), work))
    }

    /// The slot, shared from now on.
    pub(crate) fn share(&mut self) -> Arc<Slot> {
        let (slot, outer) = match self.slot.take().expect(PRESENT) {
            SlotRef::Own(slot) => (Arc::new(slot), false),
            SlotRef::Shared(slot) => (slot, false),
            SlotRef::Outer(slot) => (slot, true),
        };
        let wrap = if outer { SlotRef::Outer } else { SlotRef::Shared };
        self.slot = Some(wrap(slot.clone()));
        slot
    }

    #[inline]
    fn slot(&self) -> &Slot {
        match self.slot.as_ref().expect(PRESENT) {
            SlotRef::Own(slot) => slot,
            SlotRef::Shared(slot) | SlotRef::Outer(slot) => slot,
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("scopes", self.scopes())
            .field("weight", &self.weight())
            .field("waited", &self.waited())
            .finish_non_exhaustive()
    }
}

/// What was counted; dropping it counts it back.
pub(crate) struct Slot {
    pub(crate) scopes: ResolvedScopes,
    pub(crate) weight: u32,
    extra: Option<Box<Extra>>,
}

/// What few slots have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) id: Option<Key>,
    /// Its number on the roll.
    pub(crate) present: Option<u64>,
    pub(crate) waited: Duration,
}

impl Slot {
    #[inline]
    pub(crate) fn new(scopes: ResolvedScopes, weight: u32, extra: Option<Box<Extra>>) -> Self {
        Self { scopes, weight, extra }
    }

    fn waited(&self) -> Duration {
        self.extra.as_ref().map_or(Duration::ZERO, |extra| extra.waited)
    }

    /// Takes it off the roll and counts it back.
    fn leave(&self, extra: &Extra) {
        let core = self.scopes.core();
        if let (Some(roll), Some(number)) = (&core.roll, extra.present) {
            roll.leave(number);
        }
        core.engine.release(self.scopes.list(), self.weight, extra.id.as_ref());
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        match &self.extra {
            None => self.scopes.release(self.weight),
            Some(extra) => self.leave(extra),
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:?} x{})", self.scopes, self.weight)
    }
}
