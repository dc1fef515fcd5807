//! How many calls may come in a time.

use std::{num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize};

/// So many cells in a time, and how many of them at once.
///
/// In configuration: `{"cells": 100, "per": "1s", "burst": 20}`; `burst` is `cells` if absent. Zero
/// cells let nothing through.
///
/// # Examples
///
/// ```
/// use mainstay_limiter::Quota;
///
/// let quota = Quota::per_minute(600).burst(20);
/// assert_eq!((quota.cells(), quota.burst_size()), (600, 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    cells: u32,
    #[serde(with = "humantime_serde")]
    per: Duration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
}

impl Quota {
    /// The slowest rate is one cell in this time.
    const SLOWEST: Duration = Duration::from_secs(366 * 24 * 3600);
    /// A burst never takes longer than this to come back; larger ones are cut to it.
    pub(super) const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

    /// `cells` in each `per`, all of them at once if they come so.
    pub const fn new(cells: u32, per: Duration) -> Self {
        Self { cells, per, burst: None }
    }

    /// `cells` a second.
    pub const fn per_second(cells: u32) -> Self {
        Self::new(cells, Duration::from_secs(1))
    }

    /// `cells` a minute.
    pub const fn per_minute(cells: u32) -> Self {
        Self::new(cells, Duration::from_secs(60))
    }

    /// How many cells may come at once after a pause; zero is read as one.
    #[must_use]
    pub const fn burst(mut self, cells: u32) -> Self {
        self.burst = Some(cells);
        self
    }

    /// Cells in each period.
    pub const fn cells(&self) -> u32 {
        self.cells
    }

    /// The period.
    pub const fn per(&self) -> Duration {
        self.per
    }

    /// Cells that may come at once.
    pub fn burst_size(&self) -> u32 {
        self.burst.unwrap_or(self.cells).max(1)
    }

    /// The time after which one more cell fits; `None` if none ever does.
    pub fn interval(&self) -> Option<Duration> {
        let each = self.per.checked_div(self.cells)?;
        Some(each.clamp(Duration::from_nanos(1), Self::SLOWEST))
    }

    /// The quota in the terms of governor; `None` if nothing passes.
    pub(super) fn to_governor(self) -> Option<governor::Quota> {
        let interval = self.interval()?;
        let most = Self::LONGEST.as_nanos() / interval.as_nanos();
        let burst = self.burst_size().min(u32::try_from(most).unwrap_or(u32::MAX));
        let quota = governor::Quota::with_period(interval)?;
        Some(quota.allow_burst(NonZeroU32::new(burst)?))
    }
}
