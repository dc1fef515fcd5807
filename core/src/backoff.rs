//! How long to wait before the next attempt.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// A schedule of waits between attempts.
///
/// Serialised as `{"exponential": {"min": "100ms", "max": "30s", "jitter": "equal"}}`,
/// `{"decorrelated": {"min": "100ms", "max": "30s"}}`, `{"fixed": "1s"}` or `{"steps": ["1s", "5s", "1m"]}`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_core::Backoff;
///
/// let table = Backoff::steps(Duration::from_secs(1), [Duration::from_secs(60)]);
/// assert_eq!(table.delay(1, Duration::ZERO), Duration::from_secs(1));
/// assert_eq!(table.delay(9, Duration::ZERO), Duration::from_secs(60));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Shape", into = "Shape")]
pub struct Backoff(Shape);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Shape {
    Fixed(#[serde(with = "humantime_serde")] Duration),
    Exponential {
        #[serde(with = "humantime_serde")]
        min: Duration,
        #[serde(with = "humantime_serde")]
        max: Duration,
        #[serde(default)]
        jitter: Jitter,
    },
    Decorrelated {
        #[serde(with = "humantime_serde")]
        min: Duration,
        #[serde(with = "humantime_serde")]
        max: Duration,
    },
    Steps(Vec<Step>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Step(#[serde(with = "humantime_serde")] Duration);

/// How much of an exponential wait is random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Jitter {
    /// Nothing: callers that failed together come back together.
    None,
    /// The upper half: a wait is never shorter than half its step.
    #[default]
    Equal,
    /// All of it: spreads best, and may come back at once.
    Full,
}

impl Backoff {
    /// The same wait every time.
    pub fn fixed(wait: Duration) -> Self {
        Self(Shape::Fixed(wait))
    }

    /// Doubles from `min` up to `max`, with [`Jitter::Equal`].
    pub fn exponential(min: Duration, max: Duration) -> Self {
        Self(Shape::Exponential { min, max: max.max(min), jitter: Jitter::default() })
    }

    /// A random wait between `min` and three times the one before, up to `max`: spreads callers
    /// that failed together for good (Brooker, "Exponential Backoff And Jitter", 2015).
    pub fn decorrelated(min: Duration, max: Duration) -> Self {
        Self(Shape::Decorrelated { min, max: max.max(min) })
    }

    /// A table of waits; its last entry repeats.
    pub fn steps(first: Duration, rest: impl IntoIterator<Item = Duration>) -> Self {
        Self(Shape::Steps(std::iter::once(first).chain(rest).map(Step).collect()))
    }

    /// Replaces the jitter of an exponential schedule; other schedules have none to replace.
    #[must_use]
    pub fn jitter(mut self, with: Jitter) -> Self {
        if let Shape::Exponential { jitter, .. } = &mut self.0 {
            *jitter = with;
        }
        self
    }

    /// The wait after the `attempt`-th failure (the first is 1), `previous` being the wait before it.
    pub fn delay(&self, attempt: u32, previous: Duration) -> Duration {
        let (low, high) = self.bounds(attempt, previous).into_inner();
        let span = u64::try_from((high - low).as_nanos()).unwrap_or(u64::MAX);
        low + Duration::from_nanos(if span == 0 { 0 } else { fastrand::u64(0..=span) })
    }

    /// What [`delay`](Self::delay) may return.
    pub fn bounds(&self, attempt: u32, previous: Duration) -> RangeInclusive<Duration> {
        match &self.0 {
            Shape::Fixed(wait) => *wait..=*wait,
            Shape::Exponential { min, max, jitter } => {
                let doublings = attempt.saturating_sub(1).min(31);
                let step = min.saturating_mul(1 << doublings).min(*max);
                match jitter {
                    Jitter::None => step..=step,
                    Jitter::Equal => step / 2..=step,
                    Jitter::Full => Duration::ZERO..=step,
                }
            }
            Shape::Decorrelated { min, max } => *min..=previous.saturating_mul(3).clamp(*min, *max),
            Shape::Steps(table) => {
                let last = table.len().saturating_sub(1);
                let index =
                    usize::try_from(attempt.saturating_sub(1)).map_or(last, |i| i.min(last));
                table[index].0..=table[index].0
            }
        }
    }
}

/// Half a second, doubling to a minute, with [`Jitter::Equal`].
impl Default for Backoff {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(500), Duration::from_secs(60))
    }
}

impl TryFrom<Shape> for Backoff {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, Self::Error> {
        match &shape {
            Shape::Exponential { min, max, .. } | Shape::Decorrelated { min, max } if min > max => {
                Err("back-off: `min` is above `max`")
            }
            Shape::Steps(table) if table.is_empty() => {
                Err("back-off: `steps` needs at least one wait")
            }
            _ => Ok(Self(shape)),
        }
    }
}

impl From<Backoff> for Shape {
    fn from(backoff: Backoff) -> Self {
        backoff.0
    }
}
