//! Configurations, in the plain numbers of the reference.

use std::time::Duration;

use mainstay_breaker::{
    Backoff, BreakerConfig, Dropped, FailureRate, Jitter, Ramp, Ratio, SlowRate, Trials, Window,
};
use proptest::{option, prelude::*, sample::select};

/// Times are milliseconds, shares are percent.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) window: Span,
    /// Share and minimum.
    pub(crate) failure: Option<(u8, u32)>,
    /// Threshold, share and minimum.
    pub(crate) slow: Option<(u64, u8, u32)>,
    pub(crate) row: Option<u32>,
    pub(crate) count: Option<u32>,
    pub(crate) unknown_weight: u8,
    pub(crate) dropped: Dropped,
    pub(crate) wait: Wait,
    pub(crate) quiet: u64,
    pub(crate) max_hint: u64,
    pub(crate) permits: u32,
    pub(crate) success: u8,
    pub(crate) lease: Option<u64>,
    pub(crate) ramp: Vec<u8>,
    step: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Span {
    Time(u64),
    Calls(u32),
}

/// How long it stays open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    Table(u64, u64),
    Doubling(u64, u64, Jitter),
    Decorrelated(u64, u64),
}

impl Wait {
    /// Shortest and longest wait of opening `number` (from 1), those of the one before being `previous`.
    pub(crate) fn bounds(self, number: u32, previous: (u64, u64)) -> (u64, u64) {
        match self {
            Self::Table(first, then) => {
                let wait = if number == 1 { first } else { then };
                (wait, wait)
            }
            Self::Doubling(min, max, jitter) => {
                let wait = (min << (number - 1).min(20)).min(max);
                (if jitter == Jitter::None { wait } else { wait.div_ceil(2) }, wait)
            }
            Self::Decorrelated(min, max) => (min, (previous.1 * 3).clamp(min, max)),
        }
    }

    fn backoff(self) -> Backoff {
        match self {
            Self::Table(first, then) => Backoff::steps(ms(first), [ms(then)]),
            Self::Doubling(min, max, jitter) => {
                Backoff::exponential(ms(min), ms(max)).jitter(jitter)
            }
            Self::Decorrelated(min, max) => Backoff::decorrelated(ms(min), ms(max)),
        }
    }
}

impl Settings {
    /// Trial calls that must succeed.
    pub(crate) fn needed(&self) -> u32 {
        (self.permits * u32::from(self.success)).div_ceil(100).clamp(1, self.permits)
    }

    /// How long a step of the ramp lasts; a second if the ramp was taken away meanwhile.
    pub(crate) fn step(&self) -> u64 {
        if self.ramp.is_empty() { 1_000 } else { self.step }
    }

    pub(crate) fn lease(&self) -> u64 {
        self.lease.or(self.slow.map(|(threshold, ..)| 2 * threshold)).unwrap_or(30_000).max(1)
    }

    /// How long a dropped call must have run to count.
    pub(crate) fn dropped(&self) -> Option<u64> {
        match self.dropped {
            Dropped::Never => None,
            Dropped::After(time) => Some(u64::try_from(time.as_millis()).unwrap()),
            Dropped::WhenSlow => Some(self.slow.map_or(1_000, |(threshold, ..)| threshold)),
        }
    }

    pub(crate) fn config(&self) -> BreakerConfig {
        let mut config = BreakerConfig::default();
        config.window = match self.window {
            Span::Time(time) => Window::time(ms(time)),
            Span::Calls(calls) => Window::count(calls),
        };
        let rate = |(limit, min_calls)| FailureRate { limit: Ratio::percent(limit), min_calls };
        config.failure_rate = self.failure.map(rate);
        config.slow_rate = self.slow.map(|(threshold, limit, min_calls)| SlowRate {
            threshold: ms(threshold),
            limit: Ratio::percent(limit),
            min_calls,
        });
        config.consecutive = self.row;
        config.count = self.count;
        config.unknown_weight = Ratio::percent(self.unknown_weight);
        config.dropped = self.dropped;
        config.open_for = self.wait.backoff();
        config.quiet = ms(self.quiet);
        config.max_retry_after = ms(self.max_hint);
        let success = Ratio::percent(self.success);
        config.trials = Trials { permits: self.permits, success, lease: self.lease.map(ms) };
        let ramp = Ramp { percent: self.ramp.clone(), step: ms(self.step) };
        config.ramp = (!self.ramp.is_empty()).then_some(ramp);
        config
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn settings() -> impl Strategy<Value = Settings> {
    let rules = (
        option::weighted(0.8, (1_u8..=100, 0_u32..12)),
        option::of((0_u64..80, 1_u8..=100, 0_u32..8)),
        option::of(0_u32..5),
        option::of(0_u32..8),
        select(vec![0_u8, 50, 100]),
    );
    let recovery =
        (wait(), 0_u64..500, 0_u64..400, 1_u32..5, 0_u8..=100, option::of(0_u64..120), 5_u64..80);
    let ramp = select(vec![vec![], vec![50], vec![1, 99], vec![10, 25, 50]]);
    (span(), rules, dropped(), recovery, ramp).prop_map(|(window, rules, dropped, rest, ramp)| {
        let (failure, slow, row, count, unknown_weight) = rules;
        let (wait, quiet, max_hint, permits, success, lease, step) = rest;
        Settings {
            window,
            failure,
            slow,
            row,
            count,
            unknown_weight,
            dropped,
            wait,
            quiet,
            max_hint,
            permits,
            success,
            lease,
            ramp,
            step,
        }
    })
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![(10_u64..1_500).prop_map(Span::Time), (1_u32..12).prop_map(Span::Calls)]
}

fn dropped() -> impl Strategy<Value = Dropped> {
    let after = (0_u64..60).prop_map(|after| Dropped::After(ms(after)));
    prop_oneof![Just(Dropped::Never), after, Just(Dropped::WhenSlow)]
}

fn wait() -> impl Strategy<Value = Wait> {
    let jitter = select(vec![Jitter::None, Jitter::Equal]);
    prop_oneof![
        (1_u64..100, 1_u64..200).prop_map(|(first, then)| Wait::Table(first, then)),
        (1_u64..50, 50_u64..200, jitter).prop_map(|(min, max, j)| Wait::Doubling(min, max, j)),
        (1_u64..50, 50_u64..200).prop_map(|(min, max)| Wait::Decorrelated(min, max)),
    ]
}
