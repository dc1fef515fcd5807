//! How much is too much, and how to come back.

mod parts;
mod ratio;
mod window;

use std::time::Duration;

use mainstay_core::Backoff;
use serde::{Deserialize, Serialize};

pub use parts::{FailureRate, Ramp, SlowRate, Trials};
pub use ratio::{Ratio, RatioError};
pub(crate) use window::Shape;
pub use window::Window;

/// Thresholds and recovery of a breaker; can be replaced at run time with [`Breaker::configure`].
///
/// Rules are joined by *or*: each alone opens the breaker. A count of zero is read as one.
/// In a file, every field may be left out; an unknown field is an error.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use mainstay_breaker::BreakerConfig;
///
/// let config: BreakerConfig = serde_json::from_str(
///     r#"{
///         "window": {"time": "30s"},
///         "failure_rate": {"limit": 0.25, "min_calls": 50},
///         "slow_rate": {"threshold": "800ms", "limit": 0.8, "min_calls": 50},
///         "consecutive": 20,
///         "open_for": {"exponential": {"min": "5s", "max": "60s"}}
///     }"#,
/// )?;
/// assert_eq!(config.consecutive, Some(20));
/// # Ok(())
/// # }
/// ```
///
/// [`Breaker::configure`]: crate::Breaker::configure
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BreakerConfig {
    /// The calls that the rules look at.
    pub window: Window,
    /// Opens on the share of bad calls. Default: half of at least 20.
    pub failure_rate: Option<FailureRate>,
    /// Opens on the share of slow calls. Default: off.
    pub slow_rate: Option<SlowRate>,
    /// Opens after so many bad calls in a row. Default: off.
    pub consecutive: Option<u32>,
    /// Opens when so many bad calls are in the window. Default: off.
    pub count: Option<u32>,
    /// How much of a bad call an unknown outcome is, in the rules on bad calls. Default: all of it.
    /// Zero takes it out of them; a trial call whose outcome is unknown has failed in any case.
    pub unknown_weight: Ratio,
    /// A call dropped by its caller after it ran this long counts as unknown; one dropped sooner says
    /// nothing. Default: the slow threshold, or a second if there is none.
    pub dropped: Dropped,
    /// How long it stays open. Default: 5 s, doubling to a minute.
    pub open_for: Backoff,
    /// Closed for this long, the next opening waits as the first did. Default: one minute.
    #[serde(with = "humantime_serde")]
    pub quiet: Duration,
    /// The longest wait that the other side can ask for (`Retry-After`). Default: five minutes.
    #[serde(with = "humantime_serde")]
    pub max_retry_after: Duration,
    /// The calls that decide whether to close.
    pub trials: Trials,
    /// Lets calls through step by step after the trial calls. Default: off, all at once.
    pub ramp: Option<Ramp>,
}

/// When a call that its caller dropped counts as unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dropped {
    /// When it ran as long as a slow call, or a second if no threshold is set.
    #[default]
    WhenSlow,
    /// When it ran at least this long.
    After(#[serde(with = "humantime_serde")] Duration),
    /// Never: a dropped call says nothing.
    Never,
}

impl Dropped {
    const WITHOUT_THRESHOLD: Duration = Duration::from_secs(1);

    pub(crate) fn after(self, slow: Option<SlowRate>) -> Option<Duration> {
        match self {
            Self::WhenSlow => Some(slow.map_or(Self::WITHOUT_THRESHOLD, |slow| slow.threshold)),
            Self::After(duration) => Some(duration),
            Self::Never => None,
        }
    }
}

impl BreakerConfig {
    /// The lease of trial calls when nothing says how long a call may take.
    const LEASE: Duration = Duration::from_secs(30);

    pub(crate) fn lease(&self) -> Duration {
        let twice_slow = || self.slow_rate.map(|slow| slow.threshold.saturating_mul(2));
        let lease = self.trials.lease.or_else(twice_slow).unwrap_or(Self::LEASE);
        lease.max(Duration::from_millis(1))
    }
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::default(),
            failure_rate: Some(FailureRate { limit: Ratio::percent(50), min_calls: 20 }),
            slow_rate: None,
            consecutive: None,
            count: None,
            unknown_weight: Ratio::ONE,
            dropped: Dropped::default(),
            open_for: Backoff::exponential(Duration::from_secs(5), Duration::from_secs(60)),
            quiet: Duration::from_secs(60),
            max_retry_after: Duration::from_secs(300),
            trials: Trials::default(),
            ramp: None,
        }
    }
}
