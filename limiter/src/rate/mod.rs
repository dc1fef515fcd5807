//! How many calls come in a time.

mod cell;
mod quota;
mod wait;

use std::{
    fmt,
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use governor::{
    RateLimiter, clock::Clock as _, middleware::NoOpMiddleware, nanos::Nanos, state::NotKeyed,
};
use mainstay_core::{Clock, IntoKey, Key, KeyError, Moment};

use crate::error::{Holders, LimitError, Reason};
use cell::{EpochClock, Spoken};

pub use quota::Quota;
pub use wait::UntilReady;

type Governor = RateLimiter<NotKeyed, Spoken, EpochClock, NoOpMiddleware<Nanos>>;

/// Limits how many calls come in a time, by a quota that can be changed while it is used.
///
/// Calls are let through one interval apart, or in a burst after a pause (GCRA). A clone is a handle to
/// the same rate.
///
/// # Fairness
///
/// None among those who wait: each asks again when a cell is due, and one of them gets it.
///
/// # Cost
///
/// One reading of the clock and one compare-and-swap; no allocation for a call that passes.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::{Quota, RateLimit};
///
/// let rate = RateLimit::new("sms", Quota::per_minute(2));
/// assert!(rate.check().is_ok());
/// assert!(rate.check().is_ok());
/// let refused = rate.check().unwrap_err();
/// assert!(refused.retry_after().is_some());
///
/// rate.set(Quota::per_minute(3));
/// assert!(rate.check().is_ok());
/// ```
#[derive(Clone)]
pub struct RateLimit(Arc<Inner>);

struct Inner {
    /// A name that is no key is reported by every call.
    name: Result<Key, KeyError>,
    clock: Clock,
    epoch: Moment,
    spoken: Spoken,
    gate: ArcSwap<Gate>,
    /// Held while the quota changes, so that two changes do not carry the same cells over.
    changing: Mutex<()>,
    waiting: AtomicU32,
    queue: u32,
}

struct Gate {
    quota: Quota,
    /// With the cells of a burst; `None` if nothing passes.
    governor: Option<(Governor, u32)>,
}

impl RateLimit {
    /// A rate that lets `quota` through.
    ///
    /// A name that is no key is reported when something is asked for.
    pub fn new(name: impl IntoKey, quota: Quota) -> Self {
        Self::with_clock(name, quota, Clock::default())
    }

    /// Like [`new`](Self::new) with another clock, for tests.
    pub fn with_clock(name: impl IntoKey, quota: Quota, clock: Clock) -> Self {
        let (spoken, epoch) = (Spoken::default(), clock.now());
        let gate = ArcSwap::from_pointee(Gate::new(quota, &spoken, &clock, epoch));
        Self(Arc::new(Inner {
            name: name.into_key(),
            clock,
            epoch,
            spoken,
            gate,
            changing: Mutex::new(()),
            waiting: AtomicU32::new(0),
            queue: 256,
        }))
    }

    /// Lets one call through, or says when to come back.
    ///
    /// # Errors
    ///
    /// [`LimitError::Rejected`] with a `retry_after`, [`LimitError::Closed`] if the quota has no
    /// cells, [`LimitError::InvalidKey`].
    pub fn check(&self) -> Result<(), LimitError> {
        self.check_n(1)
    }

    /// Lets a call through that counts for `cells`: all of them or none; zero is read as one.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); without `retry_after` if it is more than a burst.
    pub fn check_n(&self, cells: u32) -> Result<(), LimitError> {
        self.try_cells(cells).map_err(|denied| self.error(denied))
    }

    /// Waits until one call may pass, for at most `budget`.
    ///
    /// Refused at once if the budget ends before a cell is due, or if 256 callers wait already.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), and [`LimitError::Timeout`] if others were faster all the time.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes nothing.
    pub fn until_ready(&self, budget: Duration) -> UntilReady {
        self.until_ready_n(1, budget)
    }

    /// Waits until a call may pass that counts for `cells`, for at most `budget`.
    ///
    /// # Errors
    ///
    /// As [`until_ready`](Self::until_ready).
    pub fn until_ready_n(&self, cells: u32, budget: Duration) -> UntilReady {
        UntilReady::new(self.clone(), cells, budget)
    }

    /// Changes the quota. Cells that are used stay used, nothing else is forgotten or owed.
    pub fn set(&self, quota: Quota) {
        let inner = &*self.0;
        let _changing = inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.gate.load().quota;
        if let (Some(from), Some(to)) = (before.interval(), quota.interval()) {
            let now = inner.clock.now().saturating_since(inner.epoch);
            inner.spoken.rescale(now, from, to);
        }
        let gate = Gate::new(quota, &inner.spoken, &inner.clock, inner.epoch);
        inner.gate.store(Arc::new(gate));
    }

    /// The quota that holds now.
    pub fn quota(&self) -> Quota {
        self.0.gate.load().quota
    }

    fn try_cells(&self, cells: u32) -> Result<(), Denied> {
        if self.0.name.is_err() {
            return Err(Denied::NoName);
        }
        let gate = self.0.gate.load();
        let Some((governor, burst)) = &gate.governor else { return Err(Denied::Closed) };
        if cells > *burst {
            return Err(Denied::TooWide(gate.quota));
        }
        let denied = match NonZeroU32::new(cells).filter(|cells| cells.get() > 1) {
            None => governor.check().err(),
            // It only fails for more than a burst.
            Some(cells) => governor.check_n(cells).ok().and_then(Result::err),
        };
        match denied {
            None => Ok(()),
            Some(until) => {
                let wait = until.wait_time_from(governor.clock().now());
                Err(Denied::Until(wait, gate.quota))
            }
        }
    }

    #[cold]
    fn error(&self, denied: Denied) -> LimitError {
        let scope = match &self.0.name {
            Ok(name) => name.clone(),
            Err(error) => return error.clone().into(),
        };
        let (reason, retry_after, quota) = match denied {
            Denied::NoName | Denied::Closed => return LimitError::Closed { scope },
            Denied::Until(wait, quota) => (Reason::Rate, Some(wait), quota),
            Denied::QueueFull(wait, quota) => (Reason::QueueFull, Some(wait), quota),
            Denied::TooLate(wait, quota) => (Reason::Deadline, Some(wait), quota),
            Denied::TooWide(quota) => (Reason::TooWide, None, quota),
        };
        let (limit, used) = (Some(quota.burst_size()), quota.burst_size());
        LimitError::Rejected {
            scope,
            reason,
            limit,
            used,
            retry_after,
            holders: Holders::default(),
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("name", &self.0.name)
            .field("quota", &self.quota())
            .field("waiting", &self.0.waiting.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

impl Gate {
    fn new(quota: Quota, spoken: &Spoken, clock: &Clock, epoch: Moment) -> Self {
        let clock = || EpochClock::new(clock.clone(), epoch);
        let make = |quota: governor::Quota| {
            (RateLimiter::new(quota, spoken.clone(), clock()), quota.burst_size().get())
        };
        Self { quota, governor: quota.to_governor().map(make) }
    }
}

/// Why a call did not pass.
#[derive(Clone, Copy, Debug)]
enum Denied {
    NoName,
    Closed,
    /// A cell is due after this time.
    Until(Duration, Quota),
    QueueFull(Duration, Quota),
    TooLate(Duration, Quota),
    TooWide(Quota),
}
