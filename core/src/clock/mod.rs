//! Time, from one place.

mod manual;
mod moment;
mod sleep;
mod system;
mod timeout;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

pub use manual::ManualClock;
pub use moment::Moment;
pub use sleep::Sleep;
pub use timeout::{Elapsed, Timeout};

/// The source of time of everything built with it; a clone is cheap and shows the same time.
///
/// - [`Clock::boot`], the default, counts the time a machine was suspended, so a lease that ended
///   during a suspend has ended when the process wakes (`CLOCK_BOOTTIME` on Linux, the standard
///   library's monotonic clock elsewhere).
/// - [`Clock::tokio`] follows tokio's clock and so `tokio::time::pause`.
/// - [`ManualClock::clock`] moves only when a test says so.
///
/// A sleep that spans a suspend may end late; readings are right at once, and deadlines are judged
/// by readings.
#[derive(Clone, Default)]
pub struct Clock(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    Boot,
    Tokio,
    Manual(Arc<manual::State>),
}

impl Clock {
    /// The machine's clock, counting suspend.
    pub fn boot() -> Self {
        Self(Source::Boot)
    }

    /// The clock of the current tokio runtime, which tests can pause.
    pub fn tokio() -> Self {
        Self(Source::Tokio)
    }

    /// The time now. Compare it with other readings of the same clock only.
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::Boot => system::boot(),
            Source::Tokio => system::tokio(),
            Source::Manual(state) => state.now(),
        }
    }

    /// Milliseconds on an axis of its own, cheap to read and a few milliseconds coarse.
    ///
    /// For statistics on hot paths: it need not count suspend, so no lease is judged by it.
    pub fn coarse_millis(&self) -> u64 {
        match &self.0 {
            Source::Boot => system::coarse_millis(),
            Source::Tokio => system::tokio().as_millis(),
            Source::Manual(state) => state.now().as_millis(),
        }
    }

    /// The calendar time, for records that outlive the process. It may step in both directions.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::Boot | Source::Tokio => system::wall(),
            Source::Manual(state) => state.wall(),
        }
    }

    /// Waits for `duration`.
    ///
    /// # Panics
    ///
    /// When polled outside a tokio runtime with its timer on, except on a manual clock.
    pub fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now() + duration)
    }

    /// Waits until `deadline`; ready at once if it has passed.
    ///
    /// # Panics
    ///
    /// As [`Clock::sleep`].
    pub fn sleep_until(&self, deadline: Moment) -> Sleep {
        match &self.0 {
            Source::Boot | Source::Tokio => Sleep::timer(self.clone(), deadline),
            Source::Manual(state) => Sleep::manual(state.clone(), deadline),
        }
    }

    /// Runs `future` for at most `duration`, then drops it.
    ///
    /// # Panics
    ///
    /// As [`Clock::sleep`].
    pub fn timeout<F: Future>(&self, duration: Duration, future: F) -> Timeout<F> {
        Timeout::new(future, self.sleep(duration))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.0 {
            Source::Boot => "boot",
            Source::Tokio => "tokio",
            Source::Manual(_) => "manual",
        };
        write!(f, "Clock({name} at {:?})", self.now())
    }
}
