//! Makes a `Locks`.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::Clock;

use crate::{
    backend::Backend,
    engine::Engine,
    in_process::InProcess,
    lock_order::LockOrder,
    locks::Locks,
    manager::Manager,
    observe::{Observer, Observers},
    terms::{LocksConfig, Reentrancy},
};

/// Sets terms, clock, observer and backend of a [`Locks`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::{Locks, Reentrancy};
///
/// let locks = Locks::builder()
///     .lease(Duration::from_secs(10))
///     .wait(Duration::from_millis(250))
///     .max_hold(Duration::from_secs(60))
///     .reentrancy(Reentrancy::Deny)
///     .in_process();
/// # drop(locks);
/// ```
#[derive(Clone, Default)]
#[must_use = "finish with `in_process` or `backend`"]
pub struct LocksBuilder {
    clock: Clock,
    config: LocksConfig,
    observer: Option<Arc<dyn Observer>>,
}

impl LocksBuilder {
    /// Runs leases and waits on `clock`.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces all terms.
    pub fn config(mut self, config: LocksConfig) -> Self {
        self.config = config;
        self
    }

    /// How long a lock outlives its last renewal; see [`LocksConfig::lease`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// How long requests wait; see [`LocksConfig::wait`].
    pub fn wait(mut self, wait: Duration) -> Self {
        self.config.wait = wait;
        self
    }

    /// How long an acquisition may last at most; see [`LocksConfig::max_hold`].
    pub fn max_hold(mut self, max_hold: Duration) -> Self {
        self.config.max_hold = Some(max_hold);
        self
    }

    /// Whether each waiter stands in the backend's line itself; see [`LocksConfig::strict_fifo`].
    pub fn strict_fifo(mut self, strict_fifo: bool) -> Self {
        self.config.strict_fifo = strict_fifo;
        self
    }

    /// What happens when a scope asks for a lock that it holds.
    pub fn reentrancy(mut self, reentrancy: Reentrancy) -> Self {
        self.config.reentrancy = reentrancy;
        self
    }

    /// What happens when names are locked inside each other in two orders.
    pub fn lock_order(mut self, lock_order: LockOrder) -> Self {
        self.config.lock_order = lock_order;
        self
    }

    /// Tells `observer` of every event, beside `tracing`.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Keeps the locks in this process.
    pub fn in_process(self) -> Locks {
        let store = InProcess::new(self.clock.clone());
        self.store(store)
    }

    /// Keeps the locks in `store`, beside others who use it.
    pub fn store(self, store: InProcess) -> Locks {
        self.finish(Engine::InProcess(store))
    }

    /// Keeps the locks in `backend`.
    pub fn backend(self, backend: impl Backend) -> Locks {
        self.finish(Engine::Remote(Arc::new(backend)))
    }

    fn finish(self, engine: Engine) -> Locks {
        let observers = Observers::new(self.observer);
        Locks::from_manager(Manager::new(self.clock, self.config, engine, observers))
    }
}

impl fmt::Debug for LocksBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut builder = f.debug_struct("LocksBuilder");
        builder.field("clock", &self.clock).field("config", &self.config).finish_non_exhaustive()
    }
}
