//! Which calls are looked at.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The calls that the rules look at: those of the last while, or the last so many.
///
/// Serialised as `{"time": "10s"}` or `{"count": 100}`.
///
/// # Cost
///
/// A time window is a ring of 16 buckets whatever the call rate, and threads write to rings of their
/// own. A count window keeps the exact order of calls, so its callers share a short critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Shape", into = "Shape")]
pub struct Window(Shape);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Shape {
    Time(#[serde(with = "humantime_serde")] Duration),
    Count(u32),
}

impl Window {
    /// Shortest window of time.
    pub const MIN_TIME: Duration = Duration::from_millis(10);
    /// Longest window of time.
    pub const MAX_TIME: Duration = Duration::from_secs(24 * 60 * 60);
    /// Largest window of calls.
    pub const MAX_COUNT: u32 = 65_536;

    /// The calls of the last `duration`, cut to [`MIN_TIME`](Self::MIN_TIME)..=[`MAX_TIME`](Self::MAX_TIME).
    ///
    /// It slides in steps of about a tenth of itself.
    pub fn time(duration: Duration) -> Self {
        Self(Shape::Time(duration.clamp(Self::MIN_TIME, Self::MAX_TIME)))
    }

    /// The last `calls` calls, at least one and at most [`MAX_COUNT`](Self::MAX_COUNT). It slides call by call.
    pub fn count(calls: u32) -> Self {
        Self(Shape::Count(calls.clamp(1, Self::MAX_COUNT)))
    }

    pub(crate) fn shape(self) -> Shape {
        self.0
    }
}

/// Ten seconds.
impl Default for Window {
    fn default() -> Self {
        Self::time(Duration::from_secs(10))
    }
}

impl From<Shape> for Window {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Time(duration) => Self::time(duration),
            Shape::Count(calls) => Self::count(calls),
        }
    }
}

impl From<Window> for Shape {
    fn from(window: Window) -> Self {
        window.0
    }
}
