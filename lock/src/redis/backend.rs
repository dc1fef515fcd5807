//! The seam.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use mainstay_core::Key;
use mainstay_redis::Call;

use super::{
    RedisLocks,
    ask::{Mode, millis},
    names::bucket,
    scripts::{FORCE, FORCE_IN_CLUSTER, INSPECT, RENEW},
    store::Store,
    wire,
};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Order, Renewal, Renewed, Replier},
    inspect::LockInfo,
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
        let call = store.release(&store.held(claim.key()), claim.owner(), claim.fence());
        call.call_with(|answer| {
            reply.send(answer.map_err(wire::failure).and_then(wire::given_back));
        });
    }
}

impl Store {
    /// Which renewals one script can be about: all, or in a Cluster those of a bucket.
    fn together(&self, batch: &[Renewal]) -> Vec<Vec<usize>> {
        if !self.redis.is_cluster() {
            return vec![(0..batch.len()).collect()];
        }
        let mut buckets: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, renewal) in batch.iter().enumerate() {
            buckets.entry(bucket(renewal.claim.key())).or_default().push(at);
        }
        buckets.into_values().collect()
    }

    /// Puts the renewals of one group into the connection's queue.
    fn renew(&self, batch: &[Renewal], group: &[usize]) -> Call {
        let held: Vec<_> = group.iter().map(|at| self.held(batch[*at].claim.key())).collect();
        let mut script = self.redis.eval(&RENEW, held.iter().map(AsRef::as_ref));
        for renewal in group.iter().map(|at| &batch[*at]) {
            script = script.arg(self.name(renewal.claim.owner())).arg(millis(renewal.lease));
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
    fn submit(&self, order: Order) -> Option<Order> {
        match order {
            Order::Acquire { claim, queue, reply } => self.acquire_for(&claim, queue, reply),
            Order::Poll { claim, reply } => self.store.ask_for(&claim, Mode::Poll, reply),
            Order::Release { claim, reply } => self.release_for(&claim, reply),
        }
        None
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
        for (group, call) in groups.iter().zip(calls) {
            let renewed = call.await.and_then(|reply| reply.read::<Vec<i64>>());
            match renewed {
                Ok(renewed) => group.iter().zip(renewed).for_each(|(at, renewed)| {
                    results[*at] = store.note_renewal(&batch[*at], renewed);
                }),
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
        let redis = &self.store.redis;
        let script = if redis.is_cluster() { &FORCE_IN_CLUSTER } else { &FORCE };
        let script = redis.eval(script, [self.store.held(key).as_ref()]);
        let call = script.arg(&*reason).call();
        let held: i64 = call.await.and_then(|reply| reply.read()).map_err(wire::failure)?;
        Ok(held != 0)
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        let script = self.store.redis.eval(&INSPECT, [self.store.held(key).as_ref()]);
        let reply = script.call().await.map_err(wire::failure)?;
        let (holder, waiters) = wire::shown(reply)?;
        Ok(LockInfo::new(key.clone(), holder, waiters))
    }
}
