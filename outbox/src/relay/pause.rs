//! A lane whose publisher is down.

use std::time::Duration;

use mainstay_core::{Backoff, Moment};

/// Running => Paused by an outage; Paused => Probing when the wait is over; Probing => Running by one
/// message that got through, or => Paused again.
#[derive(Debug, Default)]
pub(super) struct Pause {
    outages: u32,
    until: Option<Moment>,
    last: Duration,
}

impl Pause {
    /// What is left of the pause.
    pub(super) fn remaining(&self, now: Moment) -> Option<Duration> {
        let left = self.until?.saturating_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Whether the next message tries whether the publisher is back.
    pub(super) fn is_probing(&self) -> bool {
        self.outages > 0
    }

    /// Begins or prolongs the pause; the other side's own wish wins over the schedule.
    pub(super) fn begin(
        &mut self,
        now: Moment,
        schedule: &Backoff,
        wish: Option<Duration>,
    ) -> Duration {
        self.outages = self.outages.saturating_add(1);
        let wait = wish.unwrap_or_else(|| schedule.delay(self.outages, self.last));
        self.last = wait;
        self.until = Some(now + wait);
        wait
    }

    /// Ends the pause; whether there was one.
    pub(super) fn end(&mut self) -> bool {
        std::mem::take(self).outages > 0
    }
}
