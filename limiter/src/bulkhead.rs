//! A pool of slots that a task may enter again.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::{Clock, IntoKey, Key, KeyError};
use serde::{Deserialize, Serialize};

use crate::{
    Limit, ScopeSnapshot,
    core::Core,
    engine::Scope,
    error::LimitError,
    observe::{Event, Observe, Observer},
    permit::Permit,
    request::PermitRequest,
    roll::Roll,
    scopes::ResolvedScopes,
};

/// A pool of slots for one kind of work.
///
/// A call inside work that this bulkhead [runs](PermitRequest::run), in the same task, is let in on
/// the slot the task has; so is one in a task started by [`Permit::spawn`]. Any other call waits as
/// long as it said, no longer, and its refusal names who holds the slots. A parent that waits for a
/// child in the same pool therefore never hangs.
///
/// # Examples
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use mainstay_limiter::{Bulkhead, LimitError};
///
/// let reports = Bulkhead::new("reports", 1);
/// let nested = reports.clone();
/// let total = reports
///     .acquire()
///     .run(async move {
///         // The only slot is ours, so this does not wait for it.
///         let part = nested.acquire().run(async { Ok::<_, LimitError>(20) }).await?;
///         Ok::<_, LimitError>(part + 1)
///     })
///     .await?;
/// assert_eq!(total, 21);
/// # Ok::<_, LimitError>(())
/// # }).unwrap();
/// ```
///
/// # Fairness
///
/// Callers get in in the order they came.
#[derive(Clone)]
pub struct Bulkhead(Arc<Inner>);

struct Inner {
    /// A name that is no key is reported by every call.
    resolved: Result<ResolvedScopes, KeyError>,
    queue: u32,
}

impl Bulkhead {
    /// A bulkhead of `slots` that refuses at once when they are taken.
    ///
    /// A name that is no key is reported when a slot is asked for.
    pub fn new(name: impl IntoKey, slots: u32) -> Self {
        Self::builder(name).slots(slots).build()
    }

    /// Starts a bulkhead with more to say about it.
    pub fn builder(name: impl IntoKey) -> BulkheadBuilder {
        BulkheadBuilder {
            name: name.into_key(),
            config: BulkheadConfig::default(),
            clock: Clock::default(),
            observe: Observe::default(),
        }
    }

    /// Requests a slot.
    #[track_caller]
    pub fn acquire(&self) -> PermitRequest {
        PermitRequest::new(self.resolved().cloned())
    }

    /// A slot now, or the reason why not.
    ///
    /// # Errors
    ///
    /// Everything of [`LimitError`] but `Timeout`.
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Permit, LimitError> {
        self.resolved()?.try_acquire()
    }

    /// Changes the number of slots. Never waits: work that is in stays in, and what it returns pays
    /// the debt first. Zero closes the bulkhead.
    pub fn resize(&self, slots: u32) {
        let Ok(resolved) = self.resolved() else { return };
        let (core, scope) = (resolved.core(), &resolved.list()[0]);
        let limit = Limit::max(slots);
        let from = Some(core.engine.set_limit(scope, limit.bits(), self.0.queue));
        let to = Some(slots);
        core.observe.tell(Event::LimitChanged { scope: &scope.key, from, to });
    }

    /// Refuses everybody who waits and everybody who comes, for good.
    pub fn shutdown(&self) {
        if let Ok(resolved) = self.resolved() {
            resolved.core().shut_down();
        }
    }

    /// What the bulkhead looks like now; `None` if its name is no key.
    pub fn snapshot(&self) -> Option<ScopeSnapshot> {
        let resolved = self.resolved().ok()?;
        resolved.core().reap();
        Some(ScopeSnapshot::new(&resolved.list()[0]))
    }

    pub(crate) fn resolved(&self) -> Result<&ResolvedScopes, LimitError> {
        self.0.resolved.as_ref().map_err(|error| error.clone().into())
    }
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Bulkhead").field(&self.0.resolved).finish()
    }
}

/// The configuration of a [`Bulkhead`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BulkheadConfig {
    /// How many slots it has.
    pub slots: u32,
    /// How long a call waits if it does not say; zero, the default, refuses at once.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
    /// How many callers may wait.
    pub queue: u32,
    /// What a refused caller is told to wait while nothing better is known.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { slots: 64, wait: Duration::ZERO, queue: 256, retry_after: Duration::from_millis(50) }
    }
}

/// Builds a [`Bulkhead`].
#[derive(Clone, Debug)]
#[must_use = "call `build` to get the bulkhead"]
pub struct BulkheadBuilder {
    name: Result<Key, KeyError>,
    config: BulkheadConfig,
    clock: Clock,
    observe: Observe,
}

impl BulkheadBuilder {
    /// How many slots it has.
    pub fn slots(mut self, slots: u32) -> Self {
        self.config.slots = slots;
        self
    }

    /// How long a call waits if it does not say.
    pub fn wait(mut self, budget: Duration) -> Self {
        self.config.wait = budget;
        self
    }

    /// How many callers may wait.
    pub fn queue(mut self, callers: u32) -> Self {
        self.config.queue = callers;
        self
    }

    /// Replaces the whole configuration.
    pub fn config(mut self, config: BulkheadConfig) -> Self {
        self.config = config;
        self
    }

    /// Replaces the clock, for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Who hears what happens.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observe = Observe(Some(Arc::new(observer)));
        self
    }

    /// Makes the bulkhead.
    pub fn build(self) -> Bulkhead {
        let Self { name, config, clock, observe } = self;
        let BulkheadConfig { slots, wait, queue, retry_after } = config;
        let waiting = usize::try_from(queue).unwrap_or(usize::MAX);
        let resolved = name.map(|key| {
            let roll = Some(Roll::default());
            let core = Core::new(clock, observe, waiting, (wait, retry_after), roll);
            let scope = Scope::new(0, key, Limit::max(slots).bits(), queue);
            ResolvedScopes::new(Arc::new(core), vec![Arc::new(scope)])
        });
        Bulkhead(Arc::new(Inner { resolved, queue }))
    }
}
