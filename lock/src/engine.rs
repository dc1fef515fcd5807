//! Calls to the backend: in process done at once, elsewhere by [`remote`].

use std::{sync::Arc, time::Duration};

use mainstay_core::{Key, Moment};

use crate::{
    backend::{Backend, BackendError, MAX_BATCH, Renewal, Renewed},
    hold::Hold,
    in_process::InProcess,
    inspect::LockInfo,
    line::Parted,
    lines::Entered,
    lost::LostReason,
    remote,
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
        if ask == (Ask::Acquire { queue: true })
            && self.reserved() > 1
            && let Entered::Behind(place) = hold.manager().lines().enter(hold)
        {
            return hold.wait_behind(place);
        }
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
            Self::Remote(backend) => remote::ask(backend, hold, ask),
        }
    }

    /// Asks within a call that has begun.
    pub(crate) fn ask_on(&self, hold: &Arc<Hold>, ask: Ask) {
        if let Self::Remote(backend) = self {
            remote::ask(backend, hold, ask);
        }
    }

    /// Gives back whatever the hold has; the end is noted in it.
    pub(crate) fn give_back(&self, hold: &Arc<Hold>) {
        match self {
            Self::InProcess(store) => {
                let released = store.release(&hold.claim());
                hold.given_back(remote::released_or_lost(released));
            }
            Self::Remote(_) => {
                let in_line = hold.in_line().then(|| hold.manager().lines().part(hold));
                self.parted(hold, in_line.unwrap_or(Parted::Alone));
            }
        }
    }

    /// Does what is to be done after somebody left.
    pub(crate) fn parted(&self, hold: &Arc<Hold>, parted: Parted<Arc<Hold>>) {
        match (self, parted) {
            (Self::InProcess(_), Parted::Alone) => self.give_back(hold),
            (Self::Remote(backend), Parted::Alone) => remote::give_back(backend, hold),
            (Self::Remote(backend), Parted::Next(next)) => {
                // Written together, and in this order: others come first.
                remote::give_back(backend, hold);
                self.ask_next(&next);
            }
            // It looks after its place from now on.
            (_, Parted::Taken(Some(heir))) => heir.nudge(),
            (_, Parted::Taken(None) | Parted::Waited | Parted::Stays)
            | (Self::InProcess(_), Parted::Next(_)) => {}
        }
    }

    /// Asks for the next of a line, whose call has begun.
    pub(crate) fn ask_next(&self, next: &Arc<Hold>) {
        self.ask_on(next, Ask::Acquire { queue: true });
    }

    /// How many fences a grant has.
    pub(crate) fn reserved(&self) -> usize {
        match self {
            Self::InProcess(_) => 1,
            Self::Remote(backend) => backend.reserved_fences(),
        }
    }

    /// Gives back once more what may not have been.
    pub(crate) fn give_back_later(&self, hold: &Arc<Hold>) {
        if let Self::Remote(backend) = self {
            let retries = remote::give_back_in_the_end(backend.clone(), hold.clone());
            let on_the_wire = hold.manager().agenda().call();
            hold.manager().spawner().detach(async move {
                retries.await;
                drop(on_the_wire);
            });
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
                    let call = remote::renew(backend.clone(), chunk);
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
                let renewed = remote::drive(hold.manager().spawner(), call).await?;
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
                remote::drive(spawner, async move { backend.force_release(&key, reason).await })
                    .await
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
                remote::drive(spawner, async move { backend.inspect(&key).await }).await
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

    /// When a waiter whose grant would last `lease` asks again unless a push comes first.
    pub(crate) fn ask_again_at(
        &self,
        now: Moment,
        holder_until: Option<Moment>,
        lease: Duration,
    ) -> Moment {
        match self {
            // Nothing is lost on the way: only the end of the lease is worth a look.
            Self::InProcess(_) => holder_until.unwrap_or(now + POLL_EVERY),
            Self::Remote(_) if cfg!(mainstay_planted = "no_poll") => Moment::NEVER,
            Self::Remote(_) => {
                // If the news of its grant are lost, it is to know before that is over.
                let patience = now + POLL_EVERY.min(lease / 2);
                holder_until.map_or(patience, |until| patience.min(until + GRACE))
            }
        }
    }

    /// Whether locks can be held by several at once.
    pub(crate) fn shares(&self) -> bool {
        match self {
            Self::InProcess(_) => true,
            Self::Remote(backend) => backend.shares(),
        }
    }

    pub(crate) fn bucket(&self, key: &Key) -> u32 {
        match self {
            Self::InProcess(_) => 0,
            Self::Remote(backend) => backend.bucket(key),
        }
    }

    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Remote(_))
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

/// How far off a pair of clocks may be at once, beside their rates.
const DRIFT: Duration = Duration::from_millis(2);

/// Repairs a push that was lost.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// After a lease has ended for the server, not just for us.
const GRACE: Duration = Duration::from_millis(5);
