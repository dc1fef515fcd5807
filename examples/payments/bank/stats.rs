//! What the bank counted, in its own words.

use serde::{Deserialize, Serialize};

/// Counters of one run, the answer to `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stats {
    /// Time since the bank opened.
    pub(crate) uptime_ms: u64,
    /// Charges it works on at once.
    pub(crate) limit: u32,
    /// Most charges that were wanted at once, the refused ones included.
    pub(crate) peak: u32,
    /// Charges being worked on now, the silent ones included.
    pub(crate) in_flight: u32,
    /// Charges refused because the limit was reached.
    pub(crate) refused_above_limit: u64,
    /// Charges booked.
    pub(crate) charges: u64,
    /// Value of the charges booked.
    pub(crate) charged_cents: u64,
    /// Charges booked for a reference that had been charged already.
    pub(crate) double_charges: u64,
    /// Value of the double charges.
    pub(crate) double_charged_cents: u64,
    /// Charges booked and then not answered.
    pub(crate) silent_after_charge: u64,
    /// Questions after a reference.
    pub(crate) inquiries: u64,
    /// Questions that found a charge.
    pub(crate) inquiries_found: u64,
    /// Questions that found nothing.
    pub(crate) inquiries_nothing: u64,
    /// Attempts refused because an inquiry had been told that there is nothing.
    pub(crate) late_attempts_refused: u64,
    /// Notices still to be sent.
    pub(crate) notices_waiting: u64,
    /// Notices that the service took.
    pub(crate) notices_taken: u64,
    /// Notices that were sent a second time on purpose.
    pub(crate) notices_twice: u64,
    /// Notices sent before the answer.
    pub(crate) notices_early: u64,
    /// Notices given up.
    pub(crate) notices_failed: u64,
    /// Requests turned away during an outage.
    pub(crate) turned_away: u64,
    /// When the bank was down.
    pub(crate) outages: Vec<Outage>,
}

impl Stats {
    /// Nothing is being worked on and no notice waits.
    pub(crate) fn is_quiet(&self) -> bool {
        self.in_flight == 0 && self.notices_waiting == 0
    }
}

/// A time in which the bank was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outage {
    /// Begin, in milliseconds since the bank opened.
    pub(crate) from_ms: u64,
    /// End.
    pub(crate) to_ms: u64,
}
