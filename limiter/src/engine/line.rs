//! Those who wait at one scope.

use std::{collections::BTreeMap, time::Duration};

use mainstay_core::Moment;

/// The callers parked at a scope, oldest first, and how fast they are served.
#[derive(Debug, Default)]
pub(super) struct Line {
    parked: BTreeMap<u64, u32>,
    permits: u64,
    served: Option<Moment>,
    /// Mean time between two permits while somebody waits.
    pace: Option<Duration>,
}

impl Line {
    pub(super) fn first(&self) -> Option<u64> {
        self.parked.keys().next().copied()
    }

    pub(super) fn park(&mut self, seq: u64, weight: u32) {
        self.parked.insert(seq, weight);
        self.permits += u64::from(weight);
    }

    /// `false` if it did not stand here.
    pub(super) fn leave(&mut self, seq: u64) -> bool {
        let Some(weight) = self.parked.remove(&seq) else { return false };
        self.permits -= u64::from(weight);
        if self.parked.is_empty() {
            // The time until somebody waits again says nothing about the pace.
            self.served = None;
        }
        true
    }

    /// Notes that the oldest was served.
    pub(super) fn serve(&mut self, now: Moment, weight: u32) {
        if let Some(last) = self.served.replace(now) {
            let sample = now.saturating_since(last) / weight.max(1);
            self.pace = Some(self.pace.map_or(sample, |pace| (pace * 3 + sample) / 4));
        }
    }

    /// How long a newcomer of this weight would wait, if that can be told.
    pub(super) fn estimate(&self, now: Moment, weight: u32) -> Option<Duration> {
        let stalled = self.served.map_or(Duration::ZERO, |last| now.saturating_since(last));
        let ahead = u32::try_from(self.permits).unwrap_or(u32::MAX);
        Some(self.pace?.max(stalled).saturating_mul(ahead.saturating_add(weight)))
    }
}
