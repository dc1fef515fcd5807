//! The seam.

use std::sync::Arc;

use async_trait::async_trait;
use mainstay_core::Key;

use super::{
    RedisLocks,
    ask::{Mode, millis},
    scripts::{FORCE, INSPECT, RENEW},
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
        let held: Vec<_> = batch.iter().map(|renewal| store.held(renewal.claim.key())).collect();
        let mut script = store.redis.eval(&RENEW, held.iter().map(AsRef::as_ref));
        for renewal in batch {
            script = script.arg(store.name(renewal.claim.owner())).arg(millis(renewal.lease));
        }
        let reply = script.call().await.map_err(wire::failure)?;
        let renewed: Vec<i64> = reply.read().map_err(wire::failure)?;
        let note = |(renewal, renewed): (&Renewal, i64)| match renewed {
            0 => {
                store.registry.leave(renewal.claim.owner());
                Renewed::NotHeld
            }
            _ => Renewed::Renewed,
        };
        Ok(batch.iter().zip(renewed).map(note).collect())
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let (reply, answer) = Replier::channel();
        self.release_for(claim, reply);
        answer.await
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        let script = self.store.redis.eval(&FORCE, [self.store.held(key).as_ref()]);
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
