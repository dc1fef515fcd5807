//! A configuration, compiled.

use crate::{
    config::{BreakerConfig, Shape},
    recovery::{Recovery, millis},
    rules::Rules,
    window::meta::shift_for,
};

/// What cold paths read.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) config: BreakerConfig,
    pub(crate) rules: Rules,
    pub(crate) recovery: Recovery,
    /// Milliseconds of a time window; zero for a count window.
    pub(crate) window: u64,
    /// Calls of a count window.
    pub(crate) count: Option<u32>,
    pub(crate) hot: Hot,
    /// A call dropped after so many milliseconds counts as unknown.
    pub(crate) dropped: Option<u64>,
}

impl Policy {
    pub(crate) fn new(config: BreakerConfig) -> Self {
        let (window, count) = match config.window.shape() {
            Shape::Time(duration) => (millis(duration), None),
            Shape::Count(calls) => (0, Some(calls)),
        };
        let dropped = config.dropped.after(config.slow_rate).map(millis);
        Self {
            rules: Rules {
                failure_rate: config.failure_rate,
                slow_rate: config.slow_rate,
                consecutive: config.consecutive,
                count: config.count,
                unknown_weight: config.unknown_weight,
            },
            recovery: recovery(&config),
            window,
            count,
            hot: Hot::new(&config, window, dropped.is_some()),
            dropped,
            config,
        }
    }

    /// The policy that replaces `self`: calls counted in a window of another kind are not looked at.
    pub(crate) fn replaced_by(&self, config: BreakerConfig) -> Self {
        let mut next = Self::new(config);
        let other_kind = next.hot.is_timed() != self.hot.is_timed();
        next.hot = next.hot.with_history(self.hot.history() + u64::from(other_kind));
        next
    }
}

fn recovery(config: &BreakerConfig) -> Recovery {
    let permits = config.trials.permits.max(1);
    let whole = u64::from(config.trials.success.parts()) * u64::from(permits);
    let needed = u32::try_from(whole.div_ceil(10_000)).unwrap_or(permits);
    let ramp = config.ramp.clone().unwrap_or(crate::Ramp { percent: vec![], ..Default::default() });
    Recovery {
        open_for: config.open_for.clone(),
        quiet: millis(config.quiet),
        max_hint: millis(config.max_retry_after),
        permits,
        needed: needed.clamp(1, permits),
        lease: millis(config.lease()),
        ramp: ramp.percent.into_iter().filter(|percent| (1..100).contains(percent)).collect(),
        step: millis(ramp.step),
    }
}

/// What the hot path reads, in one word.
///
/// ```text
/// [ slow threshold in milliseconds, 48 bits ] [ history, 6 ] [ flags, 4 ] [ shift, 6 ]
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hot(u64);

impl Hot {
    const SHIFT: u64 = 0x3f;
    /// Calls go to buckets of time.
    const TIME: u64 = 1 << 6;
    /// The time of admission is needed.
    const START: u64 = 1 << 7;
    /// Slow calls are looked for.
    const SLOW: u64 = 1 << 8;
    const HISTORY_AT: u32 = 10;
    const HISTORY: u64 = 0x3f;
    const SLOW_AT: u32 = 16;

    fn new(config: &BreakerConfig, window: u64, dropped: bool) -> Self {
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        let slow = config.slow_rate.map_or(0, |slow| millis(slow.threshold).min(1 << 47));
        let timed = window > 0;
        Self(
            u64::from(shift_for(window))
                | flag(timed, Self::TIME)
                | flag(timed || dropped || config.slow_rate.is_some(), Self::START)
                | flag(config.slow_rate.is_some(), Self::SLOW)
                | (slow << Self::SLOW_AT),
        )
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(crate) fn bits(self) -> u64 {
        self.0
    }

    #[inline]
    pub(crate) fn shift(self) -> u32 {
        u32::try_from(self.0 & Self::SHIFT).expect("the mask leaves 6 bits")
    }

    /// The number of the history: changed when a window of time becomes one of calls or back.
    fn history(self) -> u64 {
        (self.0 >> Self::HISTORY_AT) & Self::HISTORY
    }

    fn with_history(self, history: u64) -> Self {
        let cleared = self.0 & !(Self::HISTORY << Self::HISTORY_AT);
        Self(cleared | ((history & Self::HISTORY) << Self::HISTORY_AT))
    }

    /// What calls of a generation are counted under. Rings keep 16 bits of it.
    #[inline]
    pub(crate) fn era(self, generation: u64) -> u64 {
        generation.wrapping_add(self.history() << 10)
    }

    #[inline]
    pub(crate) fn is_timed(self) -> bool {
        self.0 & Self::TIME != 0
    }

    #[inline]
    pub(crate) fn needs_start(self) -> bool {
        self.0 & Self::START != 0
    }

    #[inline]
    pub(crate) fn looks_for_slow(self) -> bool {
        self.0 & Self::SLOW != 0
    }

    #[inline]
    pub(crate) fn slow_millis(self) -> u64 {
        self.0 >> Self::SLOW_AT
    }
}
