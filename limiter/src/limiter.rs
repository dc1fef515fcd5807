//! The limiter.

use std::{fmt, sync::Arc, time::Duration};

use mainstay_core::{Clock, IntoKey, Key, KeyError};

use crate::{
    Limit, LimiterConfig, Snapshot,
    core::Core,
    engine::UNLIMITED,
    error::LimitError,
    observe::{Event, Observe, Observer},
    permit::Permit,
    registry::Registry,
    request::PermitRequest,
    scopes::{self, IntoScopes, Kind, ResolvedScopes, Scopes},
};

/// Limits how many calls are in at once, in several scopes at a time.
///
/// A clone is a handle to the same limiter.
///
/// # Fairness
///
/// At each scope callers get in in the order they came; a heavy call that waits is not overtaken by
/// light ones there. A call waits at the scope that has no room for it and does not stand in the way
/// at its other scopes: a channel that is stuck does not hold up its neighbours.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::{Limit, Limiter};
///
/// let limiter = Limiter::builder()
///     .limit("global", Limit::max(100))
///     .limit("bank", Limit::max(2))
///     .in_process();
///
/// let first = limiter.try_acquire("bank:pay")?;
/// let second = limiter.try_acquire("bank:refund")?;
/// let refused = limiter.try_acquire("bank:pay").unwrap_err();
/// assert_eq!(refused.scope().map(|scope| scope.as_str()), Some("bank"));
/// assert!(refused.retry_after().is_some());
///
/// limiter.set("bank", Limit::max(3))?;
/// let third = limiter.try_acquire("bank:pay")?;
/// # drop((first, second, third));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Limiter(Arc<Registry>);

impl Limiter {
    /// A limiter of this process without any limits yet.
    pub fn in_process() -> Self {
        Self::builder().in_process()
    }

    /// Starts a limiter with limits.
    pub fn builder() -> LimiterBuilder {
        LimiterBuilder::default()
    }

    /// Requests a permit. See [`PermitRequest`] for what to do with it.
    ///
    /// # Cost
    ///
    /// A path costs one look-up; [`scopes`](Self::scopes) saves it.
    #[track_caller]
    pub fn acquire(&self, scopes: impl IntoScopes) -> PermitRequest {
        PermitRequest::new(self.scopes(scopes))
    }

    /// A permit now, or the reason why not.
    ///
    /// # Errors
    ///
    /// Everything of [`LimitError`] but `Timeout`.
    #[track_caller]
    pub fn try_acquire(&self, scopes: impl IntoScopes) -> Result<Permit, LimitError> {
        self.scopes(scopes)?.try_acquire()
    }

    /// Looks scopes up once, for callers that ask often.
    ///
    /// # Errors
    ///
    /// [`LimitError::InvalidKey`], or [`LimitError::Rejected`] if too many scopes are in use.
    #[inline]
    pub fn scopes(&self, scopes: impl IntoScopes) -> Result<ResolvedScopes, LimitError> {
        match scopes.into_scopes().0 {
            Kind::Resolved(resolved) => Ok(resolved),
            others => self.0.resolve(Scopes(others)),
        }
    }

    /// Changes the limit of a scope. Never waits.
    ///
    /// A raised limit lets waiting callers in. After a lowered one, permits that are out stay good;
    /// what they return pays the debt first. Callers that wait for more than the limit now allows are
    /// refused, those at a closed scope with [`LimitError::Closed`].
    ///
    /// # Errors
    ///
    /// If the name is no key.
    pub fn set(&self, scope: impl IntoKey, limit: impl Into<Limit>) -> Result<(), KeyError> {
        self.set_key(&scope.into_key()?, limit.into());
        Ok(())
    }

    /// Closes a scope: nobody gets in, nobody waits. [`set`](Self::set) opens it again.
    ///
    /// # Errors
    ///
    /// If the name is no key.
    pub fn close(&self, scope: impl IntoKey) -> Result<(), KeyError> {
        self.set(scope, Limit::closed())
    }

    /// Refuses everybody who waits and everybody who comes, for good. Permits that are out stay good.
    pub fn shutdown(&self) {
        self.0.core.shut_down();
    }

    /// What every scope looks like now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(&self.0.core, self.0.all())
    }

    fn set_key(&self, key: &Key, limit: Limit) {
        let scope = self.0.configure(key);
        let queue = limit.queue_or(self.0.queue());
        let from = shown(self.0.core.engine.set_limit(&scope, limit.bits(), queue));
        let to = limit.effective();
        if from != to {
            self.0.core.observe.tell(Event::LimitChanged { scope: key, from, to });
        }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.all()).finish()
    }
}

fn shown(limit: u32) -> Option<u32> {
    (limit != UNLIMITED).then_some(limit)
}

/// What owns a limiter, for code that only needs to know that.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no limiter",
    note = "implement `HasLimiter` for it, or name the field that is a `Limiter`"
)]
pub trait HasLimiter {
    /// The limiter.
    fn limiter(&self) -> &Limiter;
}

impl HasLimiter for Limiter {
    fn limiter(&self) -> &Limiter {
        self
    }
}

impl<T: HasLimiter + ?Sized> HasLimiter for &T {
    fn limiter(&self) -> &Limiter {
        (**self).limiter()
    }
}

impl<T: HasLimiter + ?Sized> HasLimiter for Arc<T> {
    fn limiter(&self) -> &Limiter {
        (**self).limiter()
    }
}

/// Builds a [`Limiter`].
#[derive(Clone, Debug, Default)]
#[must_use = "call `in_process` to get the limiter"]
pub struct LimiterBuilder {
    clock: Clock,
    config: LimiterConfig,
    observe: Observe,
    wrong: Option<KeyError>,
}

impl LimiterBuilder {
    /// Replaces the clock, for tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Replaces the whole configuration.
    pub fn config(mut self, config: LimiterConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets the limit of a scope.
    ///
    /// A name that is no key is reported by [`try_in_process`](Self::try_in_process).
    pub fn limit(mut self, scope: impl IntoKey, limit: impl Into<Limit>) -> Self {
        match scope.into_key() {
            Ok(key) => drop(self.config.limits.insert(key, limit.into())),
            Err(error) => self.wrong = self.wrong.or(Some(error)),
        }
        self
    }

    /// How long a call waits if it does not say.
    pub fn wait(mut self, budget: Duration) -> Self {
        self.config.wait = budget;
        self
    }

    /// Who hears what happens.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observe = Observe(Some(Arc::new(observer)));
        self
    }

    /// Makes a limiter of this process. A limit whose scope was no key is left out; it could not
    /// match a call either.
    pub fn in_process(self) -> Limiter {
        let Self { clock, config, observe, wrong: _ } = self;
        let times = (config.wait, config.retry_after);
        let core = Arc::new(Core::new(clock, observe, config.waiting, times, None));
        let limiter = Limiter(Arc::new(Registry::new(core, config.scopes, config.queue)));
        if let Some(global) = scopes::global() {
            limiter.0.configure(&global);
        }
        for (key, limit) in config.limits {
            limiter.set_key(&key, limit);
        }
        limiter
    }

    /// Like [`in_process`](Self::in_process), but reports a scope that is no key.
    ///
    /// # Errors
    ///
    /// The first name given to [`limit`](Self::limit) that is no key.
    pub fn try_in_process(mut self) -> Result<Limiter, KeyError> {
        match self.wrong.take() {
            Some(error) => Err(error),
            None => Ok(self.in_process()),
        }
    }
}
