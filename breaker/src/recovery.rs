//! How a breaker comes back, in the units of the machine.

use std::time::Duration;

use mainstay_core::Backoff;

/// Times are milliseconds on the coarse axis of the clock.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    pub(crate) open_for: Backoff,
    /// Closed for this long, the back-off starts over.
    pub(crate) quiet: u64,
    /// Most that a `Retry-After` can ask for.
    pub(crate) max_hint: u64,
    /// Trial calls in a half-open phase.
    pub(crate) permits: u32,
    /// Of which must succeed.
    pub(crate) needed: u32,
    pub(crate) lease: u64,
    /// Percent let through, step by step.
    pub(crate) ramp: Box<[u8]>,
    pub(crate) step: u64,
}

impl Recovery {
    /// How long callers wait for a prober that does not show up before they try themselves.
    pub(crate) fn patience(&self) -> u64 {
        self.lease.saturating_mul(2)
    }

    pub(crate) fn wait(&self, opens: u32, previous: Duration) -> Duration {
        self.open_for.delay(opens, previous)
    }
}

/// Whole milliseconds, at least one unless the duration is zero.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
