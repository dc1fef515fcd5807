//! The in-process store behind the seam, with the faults of a network in between.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mainstay_lock::{
    Clock, InProcess, Key, LockInfo,
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Renewal, Renewed},
};

/// What goes wrong between a client and the store.
#[derive(Clone, Debug)]
pub(crate) struct Faulty {
    store: InProcess,
    clock: Clock,
    faults: Arc<Faults>,
}

/// Switches that a test turns while it runs.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// How long a request takes, and its answer again.
    pub(crate) delay: Duration,
    /// Pushes never arrive.
    pub(crate) deaf: AtomicBool,
    /// Requests are done and their answers lost.
    pub(crate) mute: AtomicBool,
    /// Requests never arrive, and the client knows.
    pub(crate) down: AtomicBool,
    /// How many milliseconds longer renewals are on their way to the store.
    pub(crate) late_renewals: AtomicU64,
    /// How many milliseconds longer the answers to releases are on their way back.
    pub(crate) late_releases: AtomicU64,
    /// Calls that reached the store.
    pub(crate) calls: AtomicU64,
}

impl Faulty {
    pub(crate) fn new(clock: Clock, delay: Duration) -> Self {
        let faults = Faults { delay, ..Faults::default() };
        Self { store: InProcess::new(clock.clone()), clock, faults: Arc::new(faults) }
    }

    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(crate) fn store(&self) -> &InProcess {
        &self.store
    }

    fn claim(&self, claim: &Claim) -> Claim {
        let faults = self.faults.clone();
        claim.filtered(move || !faults.deaf.load(Ordering::Relaxed))
    }

    async fn call<T>(
        &self,
        call: impl AsyncFnOnce() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.pause().await;
        if self.faults.down.load(Ordering::Relaxed) {
            return Err(BackendError::failed("connection refused"));
        }
        self.faults.calls.fetch_add(1, Ordering::Relaxed);
        let answer = call().await;
        self.pause().await;
        if self.faults.mute.load(Ordering::Relaxed) {
            return Err(BackendError::unknown("connection reset"));
        }
        answer
    }

    async fn late(&self, millis: &AtomicU64) {
        let late = Duration::from_millis(millis.load(Ordering::Relaxed));
        if !late.is_zero() {
            self.clock.sleep(late).await;
        }
    }

    async fn pause(&self) {
        if !self.faults.delay.is_zero() {
            self.clock.sleep(self.faults.delay).await;
        }
    }
}

#[async_trait]
impl Backend for Faulty {
    fn shares(&self) -> bool {
        self.store.shares()
    }

    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let claim = self.claim(claim);
        // The lease is counted from before the request was written.
        let since = self.clock.now();
        let answer = self.call(async || Backend::acquire(&self.store, &claim, queue).await).await;
        answer.map(|answer| sent_at(answer, since))
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        let claim = self.claim(claim);
        self.call(async || Backend::poll(&self.store, &claim).await).await
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        self.late(&self.faults.late_renewals).await;
        self.call(async || Backend::renew(&self.store, batch).await).await
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let answer = self.call(async || Backend::release(&self.store, claim).await).await;
        self.late(&self.faults.late_releases).await;
        answer
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        self.call(async || Backend::force_release(&self.store, key, reason).await).await
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        self.call(async || Backend::inspect(&self.store, key).await).await
    }
}

fn sent_at(answer: Answer, since: mainstay_lock::Moment) -> Answer {
    match answer {
        Answer::Granted(mut grant) => {
            grant.since = grant.since.min(since);
            Answer::Granted(grant)
        }
        other => other,
    }
}
