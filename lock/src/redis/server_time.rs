//! The server's time on the client's clock.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use mainstay_core::Moment;

/// What the last answer said of the server's time.
///
/// A request written at `w` was done at the server's time `s`, so at `s` the client's clock showed
/// `w` or later. A grant that the server pushed at its time `g` is then not older than
/// `w + (g - s)`, less what the two clocks drift apart in between.
#[derive(Debug, Default)]
pub(super) struct ServerTime {
    sample: Mutex<Option<(Moment, i64)>>,
}

impl ServerTime {
    /// Notes that a request written at `written` or later was done at `server`.
    pub(super) fn note(&self, written: Moment, server: i64) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = Some((written, server));
    }

    /// Another server may answer from now on.
    pub(super) fn forget(&self) {
        *self.sample.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The server's time once `budget` has passed since `from`, or a bit later than that.
    pub(super) fn not_later(&self, from: Moment, budget: Duration) -> Option<i64> {
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, server) = sample?;
        let apart = from.saturating_since(written) + budget;
        let apart = apart + apart / DRIFT;
        server.checked_add(i64::try_from(apart.as_micros()).ok()?)
    }

    /// A moment that is surely not after the server's time `at`, of which was heard at `heard`.
    ///
    /// If the server's clock was set forward in between, the moment is too late by no more than the
    /// news took to arrive.
    pub(super) fn not_after(&self, at: i64, heard: Moment) -> Option<Moment> {
        let sample = *self.sample.lock().unwrap_or_else(PoisonError::into_inner);
        let (written, server) = sample?;
        let apart = Duration::from_micros(at.abs_diff(server));
        let moment = if at >= server {
            written + (apart - apart / DRIFT)
        } else {
            written - (apart + apart / DRIFT)
        };
        Some(moment.min(heard))
    }
}

/// Two clocks drift apart by less than one part in so many.
const DRIFT: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_grant_is_never_dated_after_it_was_heard_of_and_never_without_a_sample() {
        let time = ServerTime::default();
        assert_eq!(time.not_after(5, at(9)), None);
        time.note(at(1_000), 50_000_000);
        // Server and client agree: 128 ms later, less the drift.
        assert_eq!(time.not_after(50_128_000, at(2_000)), Some(at(1_127)));
        // A server that was set forward.
        assert_eq!(time.not_after(99_000_000, at(1_500)), Some(at(1_500)));
        // A server that was set back, or a grant from before the sample.
        assert_eq!(time.not_after(49_872_000, at(1_500)), Some(at(871)));
        // What was asked for then, within a second.
        assert_eq!(time.not_later(at(1_028), at(1_000).saturating_since(at(0))), Some(51_036_031));
        time.forget();
        assert_eq!(time.not_later(at(1_000), Duration::ZERO), None);
        assert_eq!(time.not_after(5, at(9)), None);
    }
}
