//! Work in order for each key.

mod job;
mod lane;
mod outcome;

use std::{
    collections::hash_map::RandomState,
    fmt,
    hash::{BuildHasher, Hash},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mainstay_core::Clock;
use tokio::sync::{mpsc, watch};

use self::{
    job::{Job, Work},
    lane::{Phase, Worker},
};
use crate::spawn::Spawner;

pub use job::Submitted;
pub use outcome::{JobError, Leftover, Refused};

/// Runs jobs in the order of their keys' submission: one at a time a key, several keys at a time.
///
/// A key belongs to one of a fixed number of lanes, by its hash. A lane runs its jobs one after the other on
/// a task of its own, so the number of lanes is the number of jobs that run at once. A clone is a
/// reference count.
///
/// # What is guaranteed
///
/// - Jobs of a key start in the order in which they were accepted, and never overlap.
/// - What was accepted is run, whatever becomes of its submitter, unless [`shutdown`](Self::shutdown) comes to its
///   deadline or the runtime stops; its submitter is then told.
/// - A job that panics is reported to its submitter; the next one runs.
/// - At most `lanes * (queue + 1)` jobs are kept. Above it [`submit`](Self::submit) waits, with its own job in its
///   hands, and [`try_submit`](Self::try_submit) gives the job back.
///
/// Keys of one lane wait for each other's jobs: take more lanes where jobs are slow. A job must not
/// wait for another one that it submits: they may share a lane, and then neither ends.
///
/// # Fairness
///
/// First come, first served in each lane, also among those who wait for room.
///
/// # Cost
///
/// One allocation and one answer channel a job; a task for each lane that was ever used.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use mainstay_lock::local::KeyedExecutor;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let accounts = KeyedExecutor::new(8, 64);
/// let first = accounts.submit("7", async { "debited" }).await?;
/// let second = accounts.submit("7", async { "credited" }).await?;
/// assert_eq!((first.await?, second.await?), ("debited", "credited"));
///
/// let leftover = accounts.shutdown(Duration::from_secs(5)).await;
/// assert!(leftover.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KeyedExecutor<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    lanes: Box<[Lane<K>]>,
    queue: usize,
    hasher: RandomState,
    clock: Clock,
    phase: watch::Sender<Phase>,
    leftover: Arc<Mutex<Leftover<K>>>,
    spawner: Spawner,
}

/// The way to the task of a lane, once it is used.
type Lane<K> = Mutex<Option<mpsc::Sender<Job<K>>>>;

/// Why a lane takes nothing.
enum Shut {
    ShuttingDown,
    NoRuntime,
}

impl<K: Hash + Send + 'static> KeyedExecutor<K> {
    /// `lanes` jobs at once, and `queue` waiting jobs for each lane; at least one of each.
    pub fn new(lanes: usize, queue: usize) -> Self {
        Self::with_clock(lanes, queue, Clock::default())
    }

    /// As [`new`](Self::new); the deadline of a shutdown runs on `clock`.
    pub fn with_clock(lanes: usize, queue: usize, clock: Clock) -> Self {
        let shared = Shared {
            lanes: (0..lanes.max(1)).map(|_| Mutex::default()).collect(),
            queue: queue.clamp(1, tokio::sync::Semaphore::MAX_PERMITS),
            hasher: RandomState::new(),
            clock,
            phase: watch::Sender::new(Phase::Open),
            leftover: Arc::default(),
            spawner: Spawner::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits for room and hands the job over. What it returns waits for the job's result.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the job, if the executor is shutting down or there is no runtime.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the job is not accepted and gone.
    pub async fn submit<F>(&self, key: K, job: F) -> Result<Submitted<F::Output>, Refused<F>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let lane = match self.lane(&key) {
            Ok(lane) => lane,
            Err(shut) => return Err(shut.refuse(job)),
        };
        match lane.reserve_owned().await {
            Ok(place) => Ok(enter(place, key, job)),
            Err(_) => Err(self.why_closed().refuse(job)),
        }
    }

    /// Hands the job over if there is room.
    ///
    /// # Errors
    ///
    /// [`Refused`], with the job; [`Refused::Full`] if there is no room.
    pub fn try_submit<F>(&self, key: K, job: F) -> Result<Submitted<F::Output>, Refused<F>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let lane = match self.lane(&key) {
            Ok(lane) => lane,
            Err(shut) => return Err(shut.refuse(job)),
        };
        match lane.try_reserve_owned() {
            Ok(place) => Ok(enter(place, key, job)),
            Err(mpsc::error::TrySendError::Full(_)) => Err(Refused::Full { job }),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(self.why_closed().refuse(job)),
        }
    }

    /// Refuses new jobs, gives those that were accepted `deadline` to finish, then drops the ones that
    /// run where they await, and says what was not run.
    ///
    /// A job that blocks its thread without an await is waited for.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped, new jobs stay refused and accepted ones go on; it may be called again.
    pub async fn shutdown(&self, deadline: Duration) -> Leftover<K> {
        let Shared { phase, clock, leftover, .. } = &*self.shared;
        phase.send_if_modified(|phase| phase.reach(Phase::Draining));
        if clock.timeout(deadline, phase.closed()).await.is_err() {
            phase.send_if_modified(|phase| phase.reach(Phase::Stopped));
            phase.closed().await;
        }
        std::mem::take(&mut *leftover.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The lane of `key`, with a task behind it.
    fn lane(&self, key: &K) -> Result<mpsc::Sender<Job<K>>, Shut> {
        let Shared { lanes, hasher, queue, phase, leftover, spawner, .. } = &*self.shared;
        let hash = usize::try_from(hasher.hash_one(key) % lanes.len() as u64).unwrap_or(0);
        let mut lane = lanes[hash].lock().unwrap_or_else(PoisonError::into_inner);
        if *phase.borrow() != Phase::Open {
            return Err(Shut::ShuttingDown);
        }
        // Its runtime may have stopped under it.
        if let Some(running) = lane.as_ref().filter(|lane| !lane.is_closed()) {
            return Ok(running.clone());
        }
        let (sender, jobs) = mpsc::channel(*queue);
        let worker = Worker::new(jobs, phase.subscribe(), leftover.clone());
        spawner.enter();
        spawner.detach(worker.run()).ok_or(Shut::NoRuntime)?;
        Ok(lane.insert(sender).clone())
    }

    fn why_closed(&self) -> Shut {
        match *self.shared.phase.borrow() {
            Phase::Open => Shut::NoRuntime,
            Phase::Draining | Phase::Stopped => Shut::ShuttingDown,
        }
    }
}

impl Shut {
    fn refuse<F>(self, job: F) -> Refused<F> {
        match self {
            Self::ShuttingDown => Refused::ShuttingDown { job },
            Self::NoRuntime => Refused::NoRuntime { job },
        }
    }
}

impl<K> Clone for KeyedExecutor<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> fmt::Debug for KeyedExecutor<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut executor = f.debug_struct("KeyedExecutor");
        executor.field("lanes", &self.shared.lanes.len()).field("queue", &self.shared.queue);
        executor.field("phase", &*self.shared.phase.borrow()).finish_non_exhaustive()
    }
}

fn enter<K, F>(place: mpsc::OwnedPermit<Job<K>>, key: K, job: F) -> Submitted<F::Output>
where
    K: Send,
    F: Future<Output: Send> + Send + 'static,
{
    let (work, submitted) = Work::new(job);
    place.send(Job { key, work: Box::pin(work) });
    submitted
}
