//! The handle.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Key;

use crate::{
    BreakerBuilder, BreakerConfig, BreakerError, CallEvents, CallPermit, CallRequest, Events,
    Snapshot, State, books::Books, group::Group, inner::Inner, machine::Changes, permit::Admitted,
    recovery::millis, run::Asked,
};

/// Stops calling somebody who does not answer, and finds out when they are back.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use mainstay_breaker::{Breaker, BreakerError};
///
/// #[derive(Debug)]
/// enum PayError { Refused(BreakerError), Bank }
///
/// impl From<BreakerError> for PayError {
///     fn from(error: BreakerError) -> Self {
///         Self::Refused(error)
///     }
/// }
///
/// let bank = Breaker::builder("bank").consecutive(2).build();
/// for _ in 0..2 {
///     let _ = bank.call().run(async { Err::<(), _>(PayError::Bank) }).await;
/// }
/// let refused = bank.call().run(async { Ok::<_, PayError>("never sent") }).await;
/// assert!(matches!(refused, Err(PayError::Refused(error)) if error.is_open()));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Cost
///
/// A call through a closed breaker takes no lock and allocates nothing. It counts a reference to the
/// handle it was made with: threads that call often do best with a clone each. A clone allocates once.
pub struct Breaker(Handle);

enum Handle {
    /// What users clone.
    Own(Arc<Own>),
    /// What a registry keeps: nothing to spare for each of many.
    Direct(Arc<Inner>),
}

/// A reference count apart from those of other clones, for the calls made with this one.
struct Own {
    inner: Arc<Inner>,
    /// Keeps two counts off one pair of cache lines: threads with a clone each must not meet.
    _apart: [u64; 13],
}

impl Own {
    fn handle(inner: Arc<Inner>) -> Handle {
        Handle::Own(Arc::new(Self { inner, _apart: [0; 13] }))
    }
}

impl Breaker {
    /// A breaker with the default configuration: see [`BreakerConfig`].
    ///
    /// The name appears in errors, events and metrics. Text that is no [`Key`] (nothing between two
    /// colons, more than 256 bytes) is replaced by `unnamed`.
    pub fn new(name: &str) -> Self {
        Self::builder(name).build()
    }

    /// Starts a breaker.
    pub fn builder(name: &str) -> BreakerBuilder {
        BreakerBuilder::new(name)
    }

    pub(crate) fn in_group(name: Key, group: Arc<Group>) -> Self {
        Self(Own::handle(Arc::new(Inner::new(name, group))))
    }

    /// As small as can be; its calls share one reference count.
    pub(crate) fn in_registry(name: Key, group: Arc<Group>) -> Self {
        Self(Handle::Direct(Arc::new(Inner::new(name, group))))
    }

    /// Asks for a call.
    #[inline]
    pub fn call(&self) -> CallRequest {
        CallRequest::new(Asked::Breaker(Admitted::new(self.share())))
    }

    /// Asks for a call now; for code that is not a future. Tell the permit how the call went.
    ///
    /// # Errors
    ///
    /// When the breaker refuses.
    #[inline]
    pub fn try_admit(&self) -> Result<CallPermit, BreakerError> {
        self.admit().map(CallPermit::new)
    }

    #[inline]
    pub(crate) fn admit(&self) -> Result<Admitted, BreakerError> {
        let ticket = self.inner().admit()?;
        Ok(Admitted::with_ticket(self.share(), ticket))
    }

    /// The name.
    pub fn name(&self) -> &Key {
        &self.inner().name
    }

    /// Where it stands. A breaker whose wait is over is open until somebody calls.
    pub fn state(&self) -> State {
        self.inner().gate.word().state()
    }

    /// State, window and counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        self.inner().snapshot()
    }

    /// The configuration in force.
    pub fn config(&self) -> BreakerConfig {
        self.inner().group.policy().config.clone()
    }

    /// Replaces the configuration, keeping state and history. A breaker of [`Breakers`] shares it with
    /// all of them.
    ///
    /// Thresholds hold from the next bad or slow call on; waits and trial calls from the next transition on.
    /// A change between windows of time and of calls begins a new history.
    ///
    /// [`Breakers`]: crate::Breakers
    pub fn configure(&self, config: BreakerConfig) {
        self.inner().group.configure(config);
    }

    /// Refuses every call for `duration`, or until [`reset`](Self::reset); trial calls follow.
    pub fn force_open(&self, duration: Option<Duration>, reason: &str) {
        let now = self.inner().group.coarse_millis();
        let until = duration.map_or(u64::MAX, |duration| now.saturating_add(millis(duration)));
        self.operate(|books, changes| {
            books.rest().forced = Some(reason.into());
            books.machine_mut().force_open(now, until, changes);
        });
    }

    /// Lets every call through and decides nothing, until [`reset`](Self::reset). Calls are counted.
    pub fn disable(&self) {
        self.operate(|books, changes| books.machine_mut().disable(changes));
    }

    /// Closes it, whatever its state, with an empty window.
    pub fn reset(&self) {
        self.operate(|books, changes| books.machine_mut().reset(changes));
    }

    /// In shadow mode it decides and reports as ever, and refuses nobody.
    pub fn shadow(&self, on: bool) {
        self.operate(|books, _| books.machine_mut().shadow(on));
    }

    fn operate(&self, change: impl FnOnce(&mut Books, &mut Changes)) {
        let inner = self.inner();
        inner.change(inner.group.coarse_millis(), &inner.group.policy(), change);
    }

    /// Transitions and other rare events from now on; of a breaker of [`Breakers`], those of all.
    ///
    /// [`Breakers`]: crate::Breakers
    pub fn events(&self) -> Events {
        self.inner().group.observer.events()
    }

    /// An event for every call from now on, made only while somebody listens.
    pub fn call_events(&self) -> CallEvents {
        self.inner().group.listen_to_calls()
    }

    /// Another reference to the same handle, for a call.
    #[inline]
    pub(crate) fn share(&self) -> Self {
        Self(match &self.0 {
            Handle::Own(own) => Handle::Own(Arc::clone(own)),
            Handle::Direct(inner) => Handle::Direct(Arc::clone(inner)),
        })
    }

    #[inline]
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        match &self.0 {
            Handle::Own(own) => &own.inner,
            Handle::Direct(inner) => inner,
        }
    }

    /// Whether nobody but the registry that asks has a handle or a call on its way.
    pub(crate) fn is_alone(&self) -> bool {
        Arc::strong_count(self.inner()) == 1
    }
}

/// A handle to the same breaker with a reference count of its own.
impl Clone for Breaker {
    fn clone(&self) -> Self {
        Self(Own::handle(Arc::clone(self.inner())))
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.inner(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_keyed_breaker_fits_in_256_bytes() {
        // An `Arc` counts twice beside its value.
        let size = size_of::<[usize; 2]>() + size_of::<Inner>() + size_of::<Breaker>();
        assert!(size <= 256, "{size}");
    }

    #[test]
    fn handles_are_small_and_travel() {
        fn travels<T: Send + Sync + 'static>() {}
        travels::<Breaker>();
        travels::<CallPermit>();
        travels::<CallRequest>();
        assert!(size_of::<Breaker>() <= size_of::<[usize; 2]>());
    }
}
