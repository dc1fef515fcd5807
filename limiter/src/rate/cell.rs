//! What stays when a quota changes: the epoch and the time that is spoken for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use governor::{
    clock,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed, StateStore},
};
use mainstay_core::{Clock, Moment};

use super::Quota;

/// Nanoseconds since an epoch that every limiter of one rate shares.
///
/// A governor limiter measures from the first reading it takes, and what it stores is relative to
/// that. A new one over the same state would read the old figures against a start of its own: the
/// state would lie in its future by the age of the old one. So the first reading is the epoch.
#[derive(Debug)]
pub(super) struct EpochClock {
    clock: Clock,
    epoch: Moment,
    started: AtomicBool,
}

impl EpochClock {
    pub(super) fn new(clock: Clock, epoch: Moment) -> Self {
        Self { clock, epoch, started: AtomicBool::new(false) }
    }

    fn since_epoch(&self) -> Duration {
        self.clock.now().saturating_since(self.epoch)
    }
}

impl clock::Clock for EpochClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        // Read by one thread only while the limiter is made, and true ever after.
        if !self.started.load(Ordering::Relaxed) {
            self.started.store(true, Ordering::Relaxed);
            return Nanos::new(0);
        }
        self.since_epoch().into()
    }
}

/// The time up to which a rate is spoken for, shared by the limiters of all its quotas.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoken(Arc<InMemoryState>);

impl Spoken {
    /// Carries what is used over to a quota with another interval: used cells stay used.
    pub(super) fn rescale(&self, now: Duration, from: Duration, to: Duration) {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let change = |spoken: Option<Nanos>| {
            let used = spoken.map_or(0, Nanos::as_u64).saturating_sub(now);
            if used == 0 {
                return Err(());
            }
            let scaled = u128::from(used) * to.as_nanos() / from.as_nanos().max(1);
            let scaled = u64::try_from(scaled.min(Quota::LONGEST.as_nanos())).unwrap_or(0);
            Ok(((), Nanos::new(now.saturating_add(scaled))))
        };
        // Nothing used, nothing to carry.
        let _ = self.0.measure_and_replace(&NotKeyed::NonKey, change);
    }
}

impl StateStore for Spoken {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, key: &NotKeyed, change: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, change)
    }
}
