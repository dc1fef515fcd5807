//! What breakers of one kind share: clock, configuration, events, probe.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
use mainstay_core::{Clock, Key, Outcome};

use crate::{
    config::BreakerConfig,
    observe::{CallEvent, Event, Observer},
    policy::{Hot, Policy},
};

pub(crate) type ProbeFuture = Pin<Box<dyn Future<Output = Outcome> + Send>>;
pub(crate) type Probe = Arc<dyn Fn(&Key) -> ProbeFuture + Send + Sync>;

pub(crate) struct Group {
    pub(crate) clock: Clock,
    pub(crate) observer: Observer,
    pub(crate) probe: Option<Probe>,
    /// Threads write to rings of their own from the first call on, not only once they meet.
    pub(crate) own_rings: bool,
    policy: ArcSwap<Policy>,
    hot: AtomicU64,
    call_listeners: AtomicU64,
}

impl Group {
    pub(crate) fn new(
        clock: Clock,
        config: BreakerConfig,
        probe: Option<Probe>,
        own_rings: bool,
    ) -> Self {
        let policy = Policy::new(config);
        Self {
            clock,
            observer: Observer::default(),
            probe,
            own_rings,
            hot: AtomicU64::new(policy.hot.bits()),
            policy: ArcSwap::from_pointee(policy),
            call_listeners: AtomicU64::new(0),
        }
    }

    /// What the hot path needs of the configuration.
    #[inline]
    pub(crate) fn hot(&self) -> Hot {
        Hot::from_bits(self.hot.load(Ordering::Relaxed))
    }

    /// The whole configuration, for cold paths.
    pub(crate) fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    pub(crate) fn configure(&self, config: BreakerConfig) {
        let policy = self.policy.load().replaced_by(config);
        self.hot.store(policy.hot.bits(), Ordering::Relaxed);
        self.policy.store(Arc::new(policy));
        self.observer.tell(|| Event::Configured);
    }

    #[inline]
    pub(crate) fn coarse_millis(&self) -> u64 {
        self.clock.coarse_millis()
    }

    pub(crate) fn listen_to_calls(&self) -> crate::CallEvents {
        let events = self.observer.calls();
        self.call_listeners.store(1, Ordering::Relaxed);
        events
    }

    /// Tells `event` if anybody listens to calls.
    #[inline]
    pub(crate) fn tell_call(&self, event: impl FnOnce() -> CallEvent) {
        if self.call_listeners.load(Ordering::Relaxed) == 0 || self.observer.tell_call(event()) {
            return;
        }
        self.call_listeners.store(0, Ordering::SeqCst);
        // Somebody may have begun to listen meanwhile.
        if self.observer.has_call_listeners() {
            self.call_listeners.store(1, Ordering::SeqCst);
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("policy", &self.policy.load()).finish_non_exhaustive()
    }
}
