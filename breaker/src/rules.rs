//! When a breaker opens.

use crate::{
    config::{FailureRate, Ratio, SlowRate},
    reason::Reason,
    window::Tally,
};

/// Each rule alone opens the breaker.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) failure_rate: Option<FailureRate>,
    pub(crate) slow_rate: Option<SlowRate>,
    pub(crate) consecutive: Option<u32>,
    pub(crate) count: Option<u32>,
    pub(crate) unknown_weight: Ratio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    Trip(Reason),
    /// A share is over its limit, too few calls are in the window: one more call of any kind may trip.
    Watch,
    Calm,
}

impl Rules {
    /// Whether a call with this outcome breaks or makes a row of bad calls.
    pub(crate) fn unknown_counts(&self) -> bool {
        self.unknown_weight > Ratio::ZERO
    }

    /// Judges the calls in the window, `row` of which were bad to the end. While only `percent` of the
    /// calls are let through, minimums shrink with them.
    pub(crate) fn judge(&self, tally: &Tally, row: u32, percent: u8) -> Judgement {
        let rates = [self.judge_failures(tally, percent), self.judge_slow(tally, percent)];
        let trip = rates.into_iter().find(|judged| matches!(judged, Judgement::Trip(_)));
        trip.or_else(|| self.judge_row(row)).or_else(|| self.judge_count(tally)).unwrap_or(
            if rates.contains(&Judgement::Watch) { Judgement::Watch } else { Judgement::Calm },
        )
    }

    fn judge_failures(&self, tally: &Tally, percent: u8) -> Judgement {
        let Some(rule) = self.failure_rate else { return Judgement::Calm };
        let scaled = self.scaled_bad(tally);
        let reason = |rate, limit, calls| Reason::FailureRate { rate, limit, calls };
        judge_rate(scaled, tally.calls(), (rule.limit, rule.min_calls), percent, reason)
    }

    fn judge_slow(&self, tally: &Tally, percent: u8) -> Judgement {
        let Some(rule) = self.slow_rate else { return Judgement::Calm };
        let scaled = u128::from(tally.slow) * u128::from(Ratio::ONE.parts());
        let reason = |rate, limit, calls| Reason::SlowRate { rate, limit, calls };
        judge_rate(scaled, tally.calls(), (rule.limit, rule.min_calls), percent, reason)
    }

    fn judge_row(&self, row: u32) -> Option<Judgement> {
        let limit = self.consecutive?.max(1);
        (row >= limit).then_some(Judgement::Trip(Reason::Consecutive { calls: row, limit }))
    }

    fn judge_count(&self, tally: &Tally) -> Option<Judgement> {
        let limit = self.count?.max(1);
        let bad = Ratio::ONE.parts();
        let calls = self.scaled_bad(tally) / u128::from(bad);
        let calls = u32::try_from(calls).unwrap_or(u32::MAX);
        (calls >= limit).then_some(Judgement::Trip(Reason::Count { calls, limit }))
    }

    /// Bad calls, each as 10,000, unknown ones by their weight.
    fn scaled_bad(&self, tally: &Tally) -> u128 {
        u128::from(tally.failure) * u128::from(Ratio::ONE.parts())
            + u128::from(tally.unknown) * u128::from(self.unknown_weight.parts())
    }

    /// The share of bad calls.
    pub(crate) fn rate(&self, tally: &Tally) -> Ratio {
        Ratio::from_scaled(self.scaled_bad(tally), tally.calls())
    }
}

fn judge_rate(
    scaled: u128,
    calls: u64,
    (limit, min_calls): (Ratio, u32),
    percent: u8,
    reason: impl FnOnce(Ratio, Ratio, u32) -> Reason,
) -> Judgement {
    // Compared in whole numbers: no rounding decides.
    if scaled == 0 || scaled < u128::from(limit.parts()) * u128::from(calls) {
        return Judgement::Calm;
    }
    let needed = u64::from(min_calls) * u64::from(percent) / 100;
    if calls < needed.max(1) {
        return Judgement::Watch;
    }
    let rate = Ratio::from_scaled(scaled, calls);
    Judgement::Trip(reason(rate, limit, u32::try_from(calls).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            failure_rate: Some(FailureRate { limit: Ratio::percent(50), min_calls: 10 }),
            slow_rate: None,
            consecutive: None,
            count: None,
            unknown_weight: Ratio::ONE,
        }
    }

    fn tally(success: u64, failure: u64, unknown: u64) -> Tally {
        Tally { success, failure, unknown, slow: 0 }
    }

    #[test]
    fn a_rate_trips_at_its_limit_and_not_below() {
        assert_eq!(rules().judge(&tally(6, 5, 0), 0, 100), Judgement::Calm);
        let reason =
            Reason::FailureRate { rate: Ratio::percent(50), limit: Ratio::percent(50), calls: 10 };
        assert_eq!(rules().judge(&tally(5, 5, 0), 0, 100), Judgement::Trip(reason));
    }

    #[test]
    fn too_few_calls_are_watched_and_a_small_share_needs_fewer() {
        assert_eq!(rules().judge(&tally(4, 5, 0), 0, 100), Judgement::Watch);
        assert!(matches!(rules().judge(&tally(0, 1, 0), 0, 10), Judgement::Trip(_)));
        assert_eq!(rules().judge(&tally(0, 0, 0), 0, 10), Judgement::Calm);
    }

    #[test]
    fn unknown_counts_by_its_weight() {
        let half = Rules { unknown_weight: Ratio::percent(50), ..rules() };
        assert_eq!(half.judge(&tally(1, 0, 9), 0, 100), Judgement::Calm);
        assert!(matches!(half.judge(&tally(0, 0, 10), 0, 100), Judgement::Trip(_)));
        let none = Rules { unknown_weight: Ratio::ZERO, count: Some(1), ..rules() };
        assert_eq!(none.judge(&tally(0, 0, 10), 0, 100), Judgement::Calm);
    }

    #[test]
    fn each_rule_alone_trips() {
        let none = Rules { failure_rate: None, ..rules() };
        let row = Rules { consecutive: Some(3), ..none.clone() };
        assert_eq!(row.judge(&tally(9, 2, 0), 2, 100), Judgement::Calm);
        assert_eq!(
            row.judge(&tally(9, 3, 0), 3, 100),
            Judgement::Trip(Reason::Consecutive { calls: 3, limit: 3 })
        );
        let count = Rules { count: Some(4), ..none.clone() };
        assert_eq!(
            count.judge(&tally(999, 3, 1), 0, 100),
            Judgement::Trip(Reason::Count { calls: 4, limit: 4 })
        );
        let slow = SlowRate {
            threshold: std::time::Duration::from_secs(1),
            limit: Ratio::percent(80),
            min_calls: 5,
        };
        let slow = Rules { slow_rate: Some(slow), ..none };
        assert_eq!(slow.judge(&Tally { slow: 3, ..tally(5, 0, 0) }, 0, 100), Judgement::Calm);
        assert!(matches!(
            slow.judge(&Tally { slow: 4, ..tally(5, 0, 0) }, 0, 100),
            Judgement::Trip(Reason::SlowRate { calls: 5, .. })
        ));
    }
}
