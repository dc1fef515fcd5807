//! Calls to the backend: in process at once, elsewhere on a task that nobody can drop.

use std::{sync::Arc, time::Duration};

use mainstay_core::{Backoff, Jitter, Key, Moment};

use crate::{
    backend::{Answer, Backend, BackendError, GivenBack, MAX_BATCH, Renewal, Renewed},
    error::LockError,
    hold::{End, Hold},
    in_process::InProcess,
    inspect::LockInfo,
    lost::LostReason,
    manager::Manager,
    spawn::Spawner,
};

/// Where the locks are kept.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// In this process: calls are plain functions.
    InProcess(InProcess),
    /// Behind the seam.
    Remote(Arc<dyn Backend>),
}

/// What to ask for a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The lock, standing in line or not.
    Acquire { queue: bool },
    /// What became of it.
    Poll,
}

impl Engine {
    /// Asks for a waiter; the answer is noted in its hold.
    pub(crate) fn ask(&self, hold: &Arc<Hold>, ask: Ask) {
        if !hold.begin_call() {
            return;
        }
        match self {
            Self::InProcess(store) => {
                let claim = hold.claim();
                let answer = match ask {
                    Ask::Acquire { queue } => store.acquire(&claim, queue),
                    // One who is polled stood in line; acquiring again finds its place.
                    Ask::Poll => store.acquire(&claim, true),
                };
                hold.end_call();
                hold.answered(answer);
            }
            Self::Remote(backend) => {
                let call = ask_remote(backend.clone(), hold.clone(), ask);
                detach(hold.manager(), call);
            }
        }
    }

    /// Gives back whatever the hold has; the end is noted in it.
    pub(crate) fn give_back(&self, hold: &Arc<Hold>) {
        match self {
            Self::InProcess(store) => {
                let released = store.release(&hold.claim());
                hold.given_back(released_or_lost(released));
            }
            Self::Remote(backend) => {
                detach(hold.manager(), give_back_remote(backend.clone(), hold.clone()));
            }
        }
    }

    /// Renews the leases of `batch`; the results are noted in the holds.
    pub(crate) fn renew(&self, batch: &[Arc<Hold>]) {
        match self {
            Self::InProcess(store) => {
                for hold in batch {
                    renew_in_process(store, hold, hold.lease());
                }
            }
            Self::Remote(backend) => {
                for chunk in batch.chunks(MAX_BATCH) {
                    let chunk = chunk.to_vec();
                    let spawner = chunk.first().map(|hold| hold.manager().clone());
                    let call = renew_remote(backend.clone(), chunk);
                    spawner.and_then(|manager| manager.spawner().detach(call));
                }
            }
        }
    }

    /// Lets one lease last `lease` from now on. False if it is not held any more.
    pub(crate) async fn extend(
        &self,
        hold: &Arc<Hold>,
        lease: Duration,
    ) -> Result<bool, BackendError> {
        match self {
            Self::InProcess(store) => Ok(renew_in_process(store, hold, lease)),
            Self::Remote(backend) => {
                let (sent, backend) = (hold.clock().now(), backend.clone());
                let batch = [Renewal::new(hold.claim(), lease)];
                let call = async move { backend.renew(&batch).await };
                let renewed = drive(hold.manager().spawner(), call).await?;
                let held = renewed.first() == Some(&Renewed::Renewed);
                Ok(held && hold.renewed(sent, lease))
            }
        }
    }

    pub(crate) async fn force_release(
        &self,
        spawner: &Spawner,
        key: &Key,
        reason: Arc<str>,
    ) -> Result<bool, BackendError> {
        match self {
            Self::InProcess(store) => Ok(store.force_release(key, reason)),
            Self::Remote(backend) => {
                let (backend, key) = (backend.clone(), key.clone());
                drive(spawner, async move { backend.force_release(&key, reason).await }).await
            }
        }
    }

    pub(crate) async fn inspect(
        &self,
        spawner: &Spawner,
        key: &Key,
    ) -> Result<LockInfo, BackendError> {
        match self {
            Self::InProcess(store) => Ok(store.inspect(key)),
            Self::Remote(backend) => {
                let (backend, key) = (backend.clone(), key.clone());
                drive(spawner, async move { backend.inspect(&key).await }).await
            }
        }
    }

    /// Until when a lease of `lease`, begun not before `since`, is surely held.
    pub(crate) fn deadline(&self, since: Moment, lease: Duration) -> Moment {
        match self {
            Self::InProcess(_) => since + lease,
            // Two machines' clocks do not run at the same rate.
            Self::Remote(_) => since + lease.saturating_sub(lease / 100 + DRIFT),
        }
    }

    /// When a waiter asks again unless a push comes first.
    pub(crate) fn ask_again_at(&self, now: Moment, holder_until: Option<Moment>) -> Moment {
        let patience = now + POLL_EVERY;
        match self {
            // Nothing is lost on the way: only the end of the lease is worth a look.
            Self::InProcess(_) => holder_until.unwrap_or(patience),
            Self::Remote(_) => holder_until.map_or(patience, |until| patience.min(until + GRACE)),
        }
    }

    /// Whether locks can be held by several at once.
    pub(crate) fn shares(&self) -> bool {
        match self {
            Self::InProcess(_) => true,
            Self::Remote(backend) => backend.shares(),
        }
    }

    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
    }
}

/// Makes a call that nobody waits for but a shutdown.
fn detach(manager: &Manager, call: impl Future<Output = ()> + Send + 'static) {
    let on_the_wire = manager.agenda().call();
    manager.spawner().detach(async move {
        call.await;
        drop(on_the_wire);
    });
}

/// Waits for a call that goes on if nobody waits for it any more.
async fn drive<T: Send + 'static>(
    spawner: &Spawner,
    call: impl Future<Output = Result<T, BackendError>> + Send + 'static,
) -> Result<T, BackendError> {
    match spawner.detach(call) {
        Some(task) => task.await.unwrap_or_else(|error| Err(BackendError::unknown(error))),
        None => Err(BackendError::failed("there is no tokio runtime to make the call on")),
    }
}

fn renew_in_process(store: &InProcess, hold: &Arc<Hold>, lease: Duration) -> bool {
    let sent = hold.clock().now();
    if store.renew(&hold.claim(), lease) {
        return hold.renewed(sent, lease);
    }
    hold.lose(&LostReason::Expired);
    false
}

fn released_or_lost(given_back: GivenBack) -> End {
    match given_back {
        GivenBack::Released => End::Released,
        GivenBack::NotHeld => End::Lost(LostReason::TakenOver),
    }
}

async fn ask_remote(backend: Arc<dyn Backend>, hold: Arc<Hold>, ask: Ask) {
    let claim = hold.claim();
    let mut answer = match ask {
        Ask::Acquire { queue } => backend.acquire(&claim, queue).await,
        Ask::Poll => backend.poll(&claim).await,
    };
    let mut acquired = ask != Ask::Poll;
    if matches!(answer, Ok(Answer::Gone)) && hold.is_waiting() {
        // The backend forgot the queue: stand in line again. One that was granted meanwhile must not: if it
        // was lost again, it would be taken anew and its guard would not notice that others were in between.
        answer = backend.acquire(&claim, true).await;
        acquired = true;
    }
    if !hold.end_call() {
        hold.manager().engine().give_back(&hold);
        return;
    }
    match answer {
        Ok(answer) => {
            hold.answered(answer);
        }
        // A poll changes nothing: ask again later.
        Err(_) if !acquired => hold.unanswered(),
        Err(BackendError::Failed(failure)) => {
            hold.refuse(LockError::Backend { key: hold.key().clone(), failure });
        }
        Err(BackendError::Unknown(failure)) => {
            if hold.refuse(LockError::Unknown { key: hold.key().clone(), failure }) {
                hold.manager().engine().give_back(&hold);
            }
        }
    }
    hold.nudge();
}

/// Tries until an answer came, or the lease has ended the hold for us.
async fn give_back_remote(backend: Arc<dyn Backend>, hold: Arc<Hold>) {
    let clock = hold.clock().clone();
    let give_up = clock.now() + hold.lease() * 2;
    let pause = Backoff::exponential(FIRST_RETRY, LAST_RETRY).jitter(Jitter::Equal);
    let mut last = Duration::ZERO;
    for attempt in 1.. {
        match backend.release(&hold.claim()).await {
            Ok(given_back) => return hold.given_back(released_or_lost(given_back)),
            Err(error) => {
                hold.manager().observe().release_failed(hold.key(), &error);
                hold.given_back(End::Unknown);
            }
        }
        if clock.now() >= give_up {
            return;
        }
        last = pause.delay(attempt, last);
        clock.sleep(last).await;
    }
}

async fn renew_remote(backend: Arc<dyn Backend>, holds: Vec<Arc<Hold>>) {
    let Some(first) = holds.first() else { return };
    let sent = first.clock().now();
    let renewal = |hold: &Arc<Hold>| Renewal::new(hold.claim(), hold.lease());
    let batch: Vec<_> = holds.iter().map(renewal).collect();
    match backend.renew(&batch).await {
        Ok(results) => {
            for (renewal, result) in batch.iter().zip(results) {
                match result {
                    Renewed::Renewed => _ = renewal.claim.hold().renewed(sent, renewal.lease),
                    Renewed::NotHeld => _ = renewal.claim.hold().lose(&LostReason::TakenOver),
                }
            }
        }
        Err(error) => {
            first.manager().observe().renewal_failed(holds.len(), &error);
            holds.iter().for_each(|hold| hold.renewal_failed());
        }
    }
}

/// How far off a pair of clocks may be at once, beside their rates.
const DRIFT: Duration = Duration::from_millis(2);

/// Repairs a push that was lost.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// After a lease has ended for the server, not just for us.
const GRACE: Duration = Duration::from_millis(5);

const FIRST_RETRY: Duration = Duration::from_millis(20);
const LAST_RETRY: Duration = Duration::from_secs(1);
