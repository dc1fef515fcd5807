//! What a breaker keeps under its mutex.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::{
    gate::Guarded,
    machine::Machine,
    policy::{Hot, Policy},
    window::{CountRing, Extra, Ring, Sample, Tally},
    word::Word,
};

/// The shared ring of successes and failures; everything else is made when something first goes wrong.
#[derive(Debug)]
pub(crate) struct Books {
    ring: Ring,
    rest: Option<Box<Rest>>,
}

#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) machine: Machine,
    /// The task that probes.
    pub(crate) prober: Option<AbortHandle>,
    /// What the operator said who forced the breaker open.
    pub(crate) forced: Option<Arc<str>>,
    extra: Extra,
    count: Option<CountRing>,
}

impl Books {
    pub(crate) fn new() -> Self {
        Self { ring: Ring::new(), rest: None }
    }

    /// Everything beside the ring. As long as it does not exist the breaker has never left its first word.
    pub(crate) fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_with(|| {
            Box::new(Rest {
                machine: Machine::new(Word::first()),
                prober: None,
                forced: None,
                extra: Extra::default(),
                count: None,
            })
        })
    }

    pub(crate) fn existing(&self) -> Option<&Rest> {
        self.rest.as_deref()
    }

    pub(crate) fn machine_mut(&mut self) -> &mut Machine {
        &mut self.rest().machine
    }

    pub(crate) fn record_timed(&mut self, hot: Hot, era: u64, at: u64, sample: Sample) {
        let extra = if sample.is_plain() {
            self.rest.as_deref_mut().map(|rest| &mut rest.extra)
        } else {
            self.rest();
            self.rest.as_deref_mut().map(|rest| &mut rest.extra)
        };
        self.ring.record(extra, (hot.shift(), era, at), sample);
    }

    pub(crate) fn record_counted(&mut self, capacity: u32, era: u64, sample: Sample) {
        let count = self.rest().count.get_or_insert_with(|| CountRing::new(capacity));
        // A size that was configured meanwhile.
        count.resize(capacity);
        count.record(era, sample);
    }

    /// The calls of the era that this ring knows of.
    pub(crate) fn tally(&self, policy: &Policy, era: u64, now: u64) -> Tally {
        match policy.count {
            None => {
                let extra = self.rest.as_deref().map(|rest| &rest.extra);
                self.ring.tally(extra, era, policy.window, now)
            }
            Some(_) => {
                let count = self.rest.as_deref().and_then(|rest| rest.count.as_ref());
                count.map_or_else(Tally::default, |count| count.tally(era))
            }
        }
    }
}

impl Guarded for Books {
    fn machine(&self) -> Option<&Machine> {
        self.rest.as_deref().map(|rest| &rest.machine)
    }
}
