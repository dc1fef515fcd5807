//! Locks kept in this process.

mod backend;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use dashmap::{DashMap, Entry};
use mainstay_core::{Clock, Key};

use crate::{
    backend::{Answer, Claim, GivenBack},
    fence::Fence,
    inspect::{Holder, LockInfo},
    lane::{self, Lane, Turn},
    lost::LostReason,
};

/// A place where locks of this process are kept.
///
/// [`Locks::in_process`](crate::Locks::in_process) makes one of its own. Several [`Locks`](crate::Locks)
/// on one store ([`LocksBuilder::store`](crate::LocksBuilder::store)) contend with each other as processes
/// on one server do, which is what tests use it for. It is a [`Backend`](crate::backend::Backend) too, to be wrapped.
///
/// # Cost
///
/// Memory is what is held and waited for: a name that nobody uses takes none.
#[derive(Clone)]
pub struct InProcess {
    store: Arc<Store>,
}

struct Store {
    clock: Clock,
    lanes: DashMap<Key, Lane<Claim>>,
    /// The last fence of any name: fences rise over all of them, so no name leaves a trace.
    last_fence: AtomicI64,
}

impl InProcess {
    /// A store whose leases run on `clock`.
    pub fn new(clock: Clock) -> Self {
        let store = Store { clock, lanes: DashMap::new(), last_fence: AtomicI64::new(0) };
        Self { store: Arc::new(store) }
    }

    /// How many names are held or waited for.
    pub fn len(&self) -> usize {
        self.store.lanes.len()
    }

    /// Whether nothing is held and nobody waits.
    pub fn is_empty(&self) -> bool {
        self.store.lanes.is_empty()
    }

    pub(crate) fn acquire(&self, claim: &Claim, queue: bool) -> Answer {
        self.turn(claim.key(), |lane, turn| lane.acquire(claim, queue, turn))
    }

    pub(crate) fn poll(&self, claim: &Claim) -> Answer {
        self.turn(claim.key(), |lane, turn| lane.poll(claim, turn))
    }

    pub(crate) fn renew(&self, claim: &Claim, lease: Duration) -> bool {
        self.turn(claim.key(), |lane, turn| lane.renew(claim, lease, turn))
    }

    pub(crate) fn release(&self, claim: &Claim) -> GivenBack {
        if self.turn(claim.key(), |lane, turn| lane.release(claim, turn)) {
            GivenBack::Released
        } else {
            GivenBack::NotHeld
        }
    }

    pub(crate) fn force_release(&self, key: &Key, reason: Arc<str>) -> bool {
        self.turn(key, |lane, turn| lane.force(&LostReason::ForceReleased { reason }, turn))
    }

    pub(crate) fn inspect(&self, key: &Key) -> LockInfo {
        self.turn(key, |lane, turn| {
            lane.expire(turn);
            let show = |holder: &lane::Holder<Claim>| Holder {
                owner: holder.contender.owner(),
                fence: holder.fence,
                held_for: turn.now.saturating_since(holder.since),
                remaining: holder.expires.saturating_since(turn.now),
                metadata: holder.contender.metadata().map(Arc::from),
            };
            let readers = lane.readers().iter().take(LockInfo::SHOWN).map(show).collect();
            LockInfo::new(key.clone(), lane.holder().map(show), lane.waiters())
                .with_readers(readers, lane.readers().len())
        })
    }

    /// Runs one call on the lane of `key`, which exists only while it is in use.
    fn turn<R>(
        &self,
        key: &Key,
        act: impl FnOnce(&mut Lane<Claim>, &mut Turn<'_, Claim>) -> R,
    ) -> R {
        let fences = || self.next_fence();
        let mut turn = Turn::at(self.store.clock.now(), &fences);
        let result = match self.store.lanes.entry(key.clone()) {
            Entry::Occupied(mut entry) => {
                let result = act(entry.get_mut(), &mut turn);
                if entry.get().is_idle() {
                    entry.remove();
                }
                result
            }
            Entry::Vacant(entry) => {
                let mut lane = Lane::new();
                let result = act(&mut lane, &mut turn);
                if !lane.is_idle() {
                    entry.insert(lane);
                }
                result
            }
        };
        turn.wakes.wake();
        for (claim, reason) in turn.lost {
            claim.hold().tell_lost(&reason);
        }
        result
    }

    fn next_fence(&self) -> Fence {
        let now = self.store.clock.wall().duration_since(SystemTime::UNIX_EPOCH);
        let micros = now.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        let next = |last: i64| Some(micros.max(last + 1));
        let last = self.store.last_fence.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        Fence::new(micros.max(last.unwrap_or(0) + 1))
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("names", &self.len()).finish_non_exhaustive()
    }
}
