//! Writing leases once more, and waiting until the replicas have them.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mainstay_core::Moment;
use mainstay_redis::{Call, Redis, Reply, redis::cmd};
use tokio::sync::oneshot;

use crate::{
    backend::{BackendError, Claim, MAX_BATCH},
    redis::{RedisLocks, ask::millis, wire},
    spawn::Spawner,
};

/// Writes leases once more, and waits until the replicas have them; what comes up in the meantime shares the
/// next round.
#[derive(Clone)]
pub(super) struct Confirmer {
    shared: Arc<Shared>,
}

struct Shared {
    locks: RedisLocks,
    /// Nobody else's commands wait behind its `WAIT`.
    dedicated: Redis,
    replicas: u32,
    patience: Duration,
    queue: Mutex<Queue>,
    spawner: Spawner,
}

#[derive(Default)]
struct Queue {
    waiting: Vec<Job>,
    /// Whether somebody works it off.
    running: bool,
}

impl Queue {
    /// The first job and those of its mode, in their order: one script is about readers or about others.
    fn take_round(&mut self) -> Vec<Job> {
        let Some(mode) = self.waiting.first().map(|job| job.claim.mode()) else {
            return Vec::new();
        };
        let mut room = MAX_BATCH;
        let fits = |job: &mut Job| {
            let fits = room > 0 && job.claim.mode() == mode;
            room -= usize::from(fits);
            fits
        };
        self.waiting.extract_if(.., fits).collect()
    }
}

struct Job {
    claim: Claim,
    lease: Duration,
    answer: oneshot::Sender<Result<Option<Moment>, BackendError>>,
}

/// The answer to one job: since when the lease lasts on all replicas, or nothing if it is not held.
pub(super) type Confirmed = Result<Option<Moment>, BackendError>;

impl Confirmer {
    pub(super) fn new(locks: RedisLocks, replicas: u32, patience: Duration) -> Self {
        let dedicated = locks.redis().dedicated();
        let most = dedicated.config().budget * 4 / 5;
        let patience = patience.min(most).max(Duration::from_millis(1));
        let (queue, spawner) = (Mutex::default(), Spawner::default());
        let shared = Shared { locks, dedicated, replicas, patience, queue, spawner };
        Self { shared: Arc::new(shared) }
    }

    /// Confirms a lease that lasts `lease` from now on.
    pub(super) fn confirm(
        &self,
        claim: &Claim,
        lease: Duration,
    ) -> impl Future<Output = Confirmed> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let start = {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.waiting.push(Job { claim: claim.clone(), lease, answer });
            !mem::replace(&mut queue.running, true)
        };
        if start {
            let shared = self.shared.clone();
            let work = Working { shared: shared.clone(), done: false };
            if shared.spawner.detach(async move { work.run().await }).is_none() {
                tracing::debug!("there is no runtime to confirm leases on");
            }
        }
        async move {
            let gone = |_| Err(BackendError::unknown("the runtime of the connection stopped"));
            answered.await.unwrap_or_else(gone)
        }
    }
}

/// Works off the queue. If it is dropped with its runtime, the next one who asks starts another.
struct Working {
    shared: Arc<Shared>,
    done: bool,
}

impl Working {
    async fn run(mut self) {
        while let Some(jobs) = self.next() {
            self.shared.round(jobs).await;
        }
    }

    fn next(&mut self) -> Option<Vec<Job>> {
        let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let jobs = queue.take_round();
        (queue.running, self.done) = (!jobs.is_empty(), jobs.is_empty());
        (!jobs.is_empty()).then_some(jobs)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if !self.done {
            let mut queue = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
            // Also those that wait: their answers are not to come.
            let _unanswered = mem::take(&mut *queue);
        }
    }
}

impl Shared {
    async fn round(&self, jobs: Vec<Job>) {
        let outcome = self.write_and_wait(&jobs).await;
        for (index, job) in jobs.into_iter().enumerate() {
            let one = outcome.as_ref().map(|confirmed| confirmed.get(index).copied().flatten());
            // Gone meanwhile: its claim is given back by whoever abandoned it.
            let _ = job.answer.send(one.map_err(BackendError::clone));
        }
    }

    /// Tries again where the replicas were asked too early.
    async fn write_and_wait(&self, jobs: &[Job]) -> Result<Vec<Option<Moment>>, BackendError> {
        let wanted = self.wanted().await;
        for _ in 0..ATTEMPTS {
            let since: Vec<_> = jobs.iter().map(|job| job.claim.clock().now()).collect();
            let (written, waited) = self.send(jobs, wanted);
            let written = written.await.map_err(wire::failure)?;
            // What was written before it may be anywhere.
            let waited = waited.await.map_err(BackendError::unknown)?;
            if !covers(&waited, &written) {
                continue;
            }
            self.check_epoch(&written)?;
            let renewed: Vec<i64> = written.read().map_err(wire::failure)?;
            let acknowledged: u32 = waited.read().map_err(wire::failure)?;
            if acknowledged < wanted {
                let patience = self.patience;
                return Err(BackendError::unknown(format!(
                    "{acknowledged} of {wanted} replicas acknowledged the lock within {patience:?}"
                )));
            }
            let confirmed = |(renewed, since): (i64, Moment)| (renewed != 0).then_some(since);
            return Ok(renewed.into_iter().zip(since).map(confirmed).collect());
        }
        Err(BackendError::unknown("the connection was cut before the replicas were asked"))
    }

    /// How many replicas must acknowledge.
    async fn wanted(&self) -> u32 {
        if cfg!(mainstay_planted = "wait_reported") {
            let info = self.dedicated.call(cmd("INFO").arg("replication").take()).await;
            let info = info.and_then(|info| info.read::<String>()).unwrap_or_default();
            return info.lines().filter(|line| line.contains("state=online")).count() as u32;
        }
        self.replicas
    }

    /// One script and one `WAIT` behind it; all jobs are of one mode.
    fn send(&self, jobs: &[Job], wanted: u32) -> (Call, Call) {
        let store = &self.locks.store;
        let held: Vec<_> = jobs.iter().map(|job| store.held(job.claim.key())).collect();
        let mode = jobs.first().map(|job| job.claim.mode()).unwrap_or_default();
        let mut script =
            self.dedicated.eval(store.renewals_of(mode), held.iter().map(AsRef::as_ref));
        for job in jobs {
            script =
                script.arg(store.name(job.claim.owner(), job.claim.mode())).arg(millis(job.lease));
        }
        let written = script.call();
        let wait = cmd("WAIT").arg(wanted).arg(millis(self.patience)).take();
        (written, self.dedicated.call(wait))
    }

    /// Replicas may follow an old primary still while a later one has been elected.
    fn check_epoch(&self, reply: &Reply) -> Result<(), BackendError> {
        match (reply.primary().epoch(), self.dedicated.epoch()) {
            (Some(its), Some(highest)) if its < highest => Err(BackendError::unknown(format!(
                "a primary of epoch {its} answered, and epoch {highest} has begun"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a `WAIT` was about a write: behind it, and on the same connection. On another one it counts the
/// replicas and waits for nothing; and a script that the server had forgotten is written once more, behind it.
fn covers(waited: &Reply, written: &Reply) -> bool {
    // Both replies are there, so no other connection can be at that address.
    std::ptr::eq(waited.primary(), written.primary()) && written.written() <= waited.written()
}

impl fmt::Debug for Confirmer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut confirmer = f.debug_struct("Confirmer");
        confirmer.field("replicas", &self.shared.replicas);
        confirmer.field("patience", &self.shared.patience).finish_non_exhaustive()
    }
}

/// A script that the server had forgotten takes one more, a cut connection too.
const ATTEMPTS: usize = 3;
