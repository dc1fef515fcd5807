//! Making keyed breakers.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use mainstay_core::{Backoff, Clock, Key, Outcome};

use super::Breakers;
use crate::{
    BreakerConfig, Dropped, FailureRate, Ramp, Ratio, SlowRate, Window,
    builder::settings,
    group::{Group, Probe},
};

/// Makes [`Breakers`].
#[must_use = "call `build` to get the breakers"]
pub struct BreakersBuilder {
    capacity: usize,
    clock: Clock,
    config: BreakerConfig,
    probe: Option<Probe>,
}

impl BreakersBuilder {
    const CAPACITY: usize = 10_000;

    pub(super) fn new() -> Self {
        Self {
            capacity: Self::CAPACITY,
            clock: Clock::default(),
            config: BreakerConfig::default(),
            probe: None,
        }
    }

    /// How many breakers there may be, beside the overflow breaker. Default: 10,000.
    pub fn capacity(mut self, breakers: usize) -> Self {
        self.capacity = breakers;
        self
    }

    settings!();

    /// As [`BreakerBuilder::probe`](crate::BreakerBuilder::probe), told the key of the breaker that asks.
    pub fn probe<F, P>(mut self, probe: F) -> Self
    where
        F: Fn(Key) -> P + Send + Sync + 'static,
        P: Future<Output = Outcome> + Send + 'static,
    {
        let probe = Arc::new(probe);
        self.probe = Some(Arc::new(move |key: &Key| {
            let (probe, key) = (probe.clone(), key.clone());
            // Called inside of the future, so that a panic here is a panic of the probe.
            Box::pin(async move { probe(key).await })
        }));
        self
    }

    /// Makes the breakers.
    pub fn build(self) -> Breakers {
        let group = Group::new(self.clock, self.config, self.probe, false);
        Breakers::new(Arc::new(group), self.capacity)
    }
}

impl fmt::Debug for BreakersBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakersBuilder")
            .field("capacity", &self.capacity)
            .field("config", &self.config)
            .field("probe", &self.probe.is_some())
            .finish_non_exhaustive()
    }
}
