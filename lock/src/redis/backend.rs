//! The seam.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use async_trait::async_trait;
use mainstay_core::Key;
use mainstay_redis::Call;

use super::{
    RedisLocks,
    ask::{Mode, millis},
    names::{Held, bucket},
    scripts::{FORCE, FORCE_IN_CLUSTER, INSPECT, INSPECT_IN_CLUSTER},
    store::Store,
    wire,
};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Order, Renewal, Renewed, Replier},
    inspect::LockInfo,
    mode::Mode as Sharing,
};

impl RedisLocks {
    fn acquire_for(&self, claim: &Claim, queue: bool, reply: Replier<Answer>) {
        let store = &self.store;
        store.listen();
        let mode = match queue {
            // It was granted meanwhile: asks whether it is still.
            _ if store.registry.is_held(claim.owner()) => Mode::Poll,
            true => Mode::Wait,
            false => Mode::Try,
        };
        if mode != Mode::Poll {
            store.registry.enter(claim);
        }
        store.ask_for(claim, mode, reply);
    }

    fn release_for(&self, claim: &Claim, reply: Replier<GivenBack>) {
        let store = &self.store;
        // First: whatever is sent for this claim by others is in the queue before this.
        store.registry.leave(claim.owner());
        store.release(claim).call_with(|answer| {
            reply.send(answer.map_err(wire::failure).and_then(wire::given_back));
        });
    }
}

impl Store {
    /// Which renewals one script can be about: those of a mode, and in a Cluster of a bucket.
    fn together(&self, batch: &[Renewal]) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<(bool, u32), Vec<usize>> = BTreeMap::new();
        for (at, renewal) in batch.iter().enumerate() {
            let is_shared = renewal.claim.mode() == Sharing::Shared;
            let bucket = if self.redis.is_cluster() { bucket(renewal.claim.key()) } else { 0 };
            groups.entry((is_shared, bucket)).or_default().push(at);
        }
        groups.into_values().collect()
    }

    /// Puts the renewals of one group into the connection's queue.
    fn renew(&self, batch: &[Renewal], group: &[usize]) -> Call {
        let held: Vec<_> = group.iter().map(|at| self.held(batch[*at].claim.key())).collect();
        // A group is never empty, and all in it are of one mode.
        let mode = batch[group[0]].claim.mode();
        let script = self.renewals_of(mode);
        let mut script = if self.names_readers(mode) {
            let keys: Vec<_> = held.iter().flat_map(Held::with_readers).collect();
            self.redis.eval(script, keys)
        } else {
            self.redis.eval(script, held.iter().map(AsRef::as_ref))
        };
        for renewal in group.iter().map(|at| &batch[*at]) {
            let name = self.name(renewal.claim.owner(), mode);
            script = script.arg(name).arg(millis(renewal.lease));
        }
        script.call()
    }

    fn note_renewal(&self, renewal: &Renewal, renewed: i64) -> Renewed {
        if renewed != 0 {
            return Renewed::Renewed;
        }
        self.registry.leave(renewal.claim.owner());
        Renewed::NotHeld
    }
}

#[async_trait]
impl Backend for RedisLocks {
    fn reserved_fences(&self) -> usize {
        // What a node of a quorum grants is not the last word.
        if self.store.votes_after.is_none() { RESERVED } else { 1 }
    }

    fn submit(&self, order: Order) -> Option<Order> {
        match order {
            Order::Acquire { claim, queue, reply } => self.acquire_for(&claim, queue, reply),
            Order::Poll { claim, reply } => self.store.ask_for(&claim, Mode::Poll, reply),
            Order::Release { claim, reply } => self.release_for(&claim, reply),
        }
        None
    }

    fn shares(&self) -> bool {
        true
    }

    fn bucket(&self, key: &Key) -> u32 {
        bucket(key)
    }

    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let (reply, answer) = Replier::channel();
        self.acquire_for(claim, queue, reply);
        answer.await
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        let (reply, answer) = Replier::channel();
        self.store.ask_for(claim, Mode::Poll, reply);
        answer.await
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        let store = &self.store;
        // All are on their way before the first is waited for.
        let groups = store.together(batch);
        let calls: Vec<_> = groups.iter().map(|group| store.renew(batch, group)).collect();
        let (mut results, mut broken) = (vec![Renewed::Unanswered; batch.len()], None);
        let mut calls: VecDeque<_> = groups.iter().map(Vec::as_slice).zip(calls).collect();
        while let Some((group, call)) = calls.pop_front() {
            let renewed = call.await.and_then(|reply| reply.read::<Vec<i64>>());
            match renewed {
                Ok(renewed) => group.iter().zip(renewed).for_each(|(at, renewed)| {
                    results[*at] = store.note_renewal(&batch[*at], renewed);
                }),
                // Each of them is on one node still.
                Err(error) if group.len() > 1 && wire::is_torn(&error) => {
                    calls.extend(group.chunks(1).map(|one| (one, store.renew(batch, one))));
                }
                Err(error) => {
                    tracing::debug!(%error, leases = group.len(), "renewals have no answer");
                    broken = Some(error);
                }
            }
        }
        match broken {
            Some(error) if results.iter().all(|one| *one == Renewed::Unanswered) => {
                Err(wire::failure(error))
            }
            _ => Ok(results),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let (reply, answer) = Replier::channel();
        self.release_for(claim, reply);
        answer.await
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        let (redis, held) = (&self.store.redis, self.store.held(key));
        let script = if redis.is_cluster() { &FORCE_IN_CLUSTER } else { &FORCE };
        let mut any = false;
        for _ in 0..ROUNDS {
            let call = redis.eval(script, [held.as_ref()]).arg(&*reason).call();
            let told: i64 = call.await.and_then(|reply| reply.read()).map_err(wire::failure)?;
            any |= told != 0;
            if told != MORE {
                break;
            }
        }
        Ok(any)
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        let redis = &self.store.redis;
        let script = if redis.is_cluster() { &INSPECT_IN_CLUSTER } else { &INSPECT };
        let call = redis.eval(script, [self.store.held(key).as_ref()]).call();
        let reply = call.await.map_err(wire::failure)?;
        wire::shown(key, reply)
    }
}

/// What a forced release says where more readers are left than one call takes.
const MORE: i64 = 2;

/// 128 readers each.
const ROUNDS: usize = 1_024;

/// `SPAN` of the scripts.
const RESERVED: usize = 64;
