//! Making breakers.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use mainstay_core::{Backoff, Clock, Key, Outcome};

use crate::{
    Breaker, BreakerConfig, Dropped, FailureRate, Ramp, Ratio, SlowRate, Window,
    group::{Group, Probe},
};

/// Methods that both builders have: one per field of the configuration.
macro_rules! settings {
    () => {
        /// The source of time. Default: [`Clock::boot`].
        pub fn clock(mut self, clock: Clock) -> Self {
            self.clock = clock;
            self
        }

        /// Replaces the whole configuration, such as one read from a file.
        pub fn config(mut self, config: BreakerConfig) -> Self {
            self.config = config;
            self
        }

        /// The calls that the rules look at. Default: those of the last ten seconds.
        pub fn window(mut self, window: Window) -> Self {
            self.config.window = window;
            self
        }

        /// Opens when `limit` of at least `min_calls` calls in the window were bad. Default: half of 20.
        pub fn failure_rate(mut self, limit: Ratio, min_calls: u32) -> Self {
            self.config.failure_rate = Some(FailureRate { limit, min_calls });
            self
        }

        /// Takes the rule on the share of bad calls away.
        pub fn without_failure_rate(mut self) -> Self {
            self.config.failure_rate = None;
            self
        }

        /// Opens when `limit` of at least `min_calls` calls in the window took `threshold` or longer.
        pub fn slow(mut self, threshold: Duration, limit: Ratio, min_calls: u32) -> Self {
            self.config.slow_rate = Some(SlowRate { threshold, limit, min_calls });
            self
        }

        /// Opens after `calls` bad calls in a row.
        pub fn consecutive(mut self, calls: u32) -> Self {
            self.config.consecutive = Some(calls);
            self
        }

        /// Opens when `calls` bad calls are in the window.
        pub fn count(mut self, calls: u32) -> Self {
            self.config.count = Some(calls);
            self
        }

        /// How much of a bad call an unknown outcome is. Default: all of it.
        pub fn unknown_weight(mut self, weight: Ratio) -> Self {
            self.config.unknown_weight = weight;
            self
        }

        /// When a call that its caller dropped counts as unknown. Default: when it was slow.
        pub fn dropped(mut self, dropped: Dropped) -> Self {
            self.config.dropped = dropped;
            self
        }

        /// How long it stays open. Default: 5 s, doubling to a minute.
        pub fn open_for(mut self, backoff: Backoff) -> Self {
            self.config.open_for = backoff;
            self
        }

        /// Closed for this long, the back-off starts over. Default: one minute.
        pub fn quiet(mut self, quiet: Duration) -> Self {
            self.config.quiet = quiet;
            self
        }

        /// How many trial calls find out whether to close, and the share of them that must succeed.
        /// Default: three, all.
        pub fn trials(mut self, permits: u32, success: Ratio) -> Self {
            self.config.trials.permits = permits;
            self.config.trials.success = success;
            self
        }

        /// A trial call, or a probe, that has not ended by then has failed.
        pub fn trial_lease(mut self, lease: Duration) -> Self {
            self.config.trials.lease = Some(lease);
            self
        }

        /// Lets calls through step by step after the trial calls. Default: all at once.
        pub fn ramp(mut self, ramp: Ramp) -> Self {
            self.config.ramp = Some(ramp);
            self
        }
    };
}

/// Makes a [`Breaker`].
#[must_use = "call `build` to get the breaker"]
pub struct BreakerBuilder {
    name: Key,
    clock: Clock,
    config: BreakerConfig,
    probe: Option<Probe>,
}

impl BreakerBuilder {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name_of(name),
            clock: Clock::default(),
            config: BreakerConfig::default(),
            probe: None,
        }
    }

    settings!();

    /// Asks the other side whether it is back, so that no user's call is spent on finding out and
    /// recovery needs no traffic.
    ///
    /// After each wait a task runs `probe` as often as trial calls are asked for. Only
    /// [`Outcome::Success`] closes; a probe that panics or outlives the lease has failed. The task
    /// exists while the breaker is open and ends with its last handle.
    ///
    /// Outside a tokio runtime callers make the trial calls; if the runtime of the task stopped, they
    /// do after twice the lease.
    pub fn probe<F, P>(mut self, probe: F) -> Self
    where
        F: Fn() -> P + Send + Sync + 'static,
        P: Future<Output = Outcome> + Send + 'static,
    {
        let probe = Arc::new(probe);
        self.probe = Some(Arc::new(move |_: &Key| {
            let probe = probe.clone();
            // Called inside of the future, so that a panic here is a panic of the probe.
            Box::pin(async move { probe().await })
        }));
        self
    }

    /// Makes the breaker.
    pub fn build(self) -> Breaker {
        let group = Group::new(self.clock, self.config, self.probe, true);
        Breaker::in_group(self.name, Arc::new(group))
    }
}

/// A name is text of the developer, and a label in the end: no reason to fail.
fn name_of(text: &str) -> Key {
    Key::new(text).unwrap_or_else(|_| Key::new("unnamed").expect("the text is a key"))
}

impl fmt::Debug for BreakerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerBuilder")
            .field("name", &self.name)
            .field("config", &self.config)
            .field("probe", &self.probe.is_some())
            .finish_non_exhaustive()
    }
}

pub(crate) use settings;
