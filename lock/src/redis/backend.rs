//! The seam.

use std::sync::Arc;

use async_trait::async_trait;
use mainstay_core::Key;

use super::{
    RedisLocks,
    ask::{Mode, PATIENCE, millis},
    scripts::{FORCE, INSPECT, RENEW},
    wire,
};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Renewal, Renewed},
    inspect::LockInfo,
    lost::LostReason,
};

impl RedisLocks {
    /// Asks whether a claim that was granted has its lock still, and tells it if not.
    async fn confirm(&self, claim: &Claim) -> Result<Answer, BackendError> {
        let answer = self.store.answer(self.store.ask(claim, Mode::Poll)).await;
        if matches!(answer, Ok(Answer::Gone)) {
            self.store.registry.leave(claim.owner());
            claim.lose(&LostReason::TakenOver);
        }
        answer
    }
}

#[async_trait]
impl Backend for RedisLocks {
    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let store = &self.store;
        store.listen();
        if store.registry.is_held(claim.owner()) {
            // It was granted meanwhile. If it is gone again it must not be taken a second time: the holder
            // would not notice that others had it in between.
            return self.confirm(claim).await;
        }
        store.registry.enter(claim);
        let mode = if queue { Mode::Wait } else { Mode::Try };
        let answer = store.answer(store.ask(claim, mode)).await;
        if matches!(answer, Err(BackendError::Failed(_))) {
            store.registry.leave(claim.owner());
        }
        answer
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        self.store.answer(self.store.ask(claim, Mode::Poll)).await
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        let names = |renewal: &Renewal| self.store.names(renewal.claim.key()).lease();
        let keys: Vec<_> = batch.iter().flat_map(names).collect();
        let mut script = self.store.redis.eval(&RENEW, keys);
        for renewal in batch {
            script = script.arg(renewal.claim.owner().to_string()).arg(millis(renewal.lease));
        }
        let reply = script.call().await.map_err(wire::failure)?;
        let renewed: Vec<i64> = reply.read().map_err(wire::failure)?;
        let note = |(renewal, renewed): (&Renewal, i64)| match renewed {
            0 => {
                self.store.registry.leave(renewal.claim.owner());
                Renewed::NotHeld
            }
            _ => Renewed::Renewed,
        };
        Ok(batch.iter().zip(renewed).map(note).collect())
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let store = &self.store;
        // First: whatever is sent for this claim by others is in the queue before this.
        store.registry.leave(claim.owner());
        let call = store.release(&store.names(claim.key()), claim.owner());
        let had: i64 = call.await.and_then(|reply| reply.read()).map_err(wire::failure)?;
        Ok(if had == 0 { GivenBack::NotHeld } else { GivenBack::Released })
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        let script = self.store.redis.eval(&FORCE, self.store.names(key).all());
        let call = script.arg(&*reason).arg(millis(PATIENCE)).call();
        let held: i64 = call.await.and_then(|reply| reply.read()).map_err(wire::failure)?;
        Ok(held != 0)
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        let script = self.store.redis.eval(&INSPECT, self.store.names(key).all());
        let reply = script.call().await.map_err(wire::failure)?;
        let (holder, waiters) = wire::shown(reply)?;
        Ok(LockInfo::new(key.clone(), holder, waiters))
    }
}
