//! The seam.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use mainstay_core::{Key, Moment};
use mainstay_redis::{
    Reply,
    redis::{Value, from_redis_value_ref},
};

use super::{
    Held, PlainRedis, Store,
    scripts::{FORCE, INSPECT, RENEW},
    turns::{Asked, failure},
};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Owner, Renewal, Renewed},
    fence::Fence,
    inspect::{Holder, LockInfo},
    lost::LostReason,
    redis::{ask::millis, wire::owner_of},
};

impl Store {
    /// Asks whether a claim that was granted has its lock still, and tells it if not.
    async fn confirm(&self, claim: &Claim) -> Result<Answer, BackendError> {
        if let Asked::Held(grant) = self.ask(claim, "look").answer().await? {
            return Ok(Answer::Granted(grant));
        }
        self.held.remove(&claim.owner());
        claim.lose(&LostReason::TakenOver);
        Ok(Answer::Gone)
    }

    /// What those who wait already are told, and those who find others waiting.
    fn told_in_line(self: &Arc<Self>, claim: &Claim, queue: bool) -> Option<Answer> {
        let now = claim.clock().now();
        let holder_remaining = {
            let mut line = self.lines.get_mut(&self.names.of(claim.key()))?;
            if let Some(seen) = line.seen_by(claim.owner(), now) {
                return Some(seen);
            }
            line.head()?;
            line.holder_remaining(now)
        };
        if !queue {
            return Some(Answer::Busy { holder_remaining });
        }
        self.stand_in_line(claim, holder_remaining.map(|left| now + left));
        self.lines.get(&self.names.of(claim.key()))?.seen_by(claim.owner(), now)
    }

    /// Lets those who wait for `key` ask at once.
    fn nudge(&self, key: &Key) {
        if let Some(line) = self.lines.get(&self.names.of(key)) {
            line.nudge.notify_one();
        }
    }

    fn holder(&self, value: String, left: i64, now: Moment) -> Holder {
        let remaining = u64::try_from(left).map_or(Duration::MAX, Duration::from_millis);
        let owner = owner_of(&value);
        let held = owner.and_then(|owner| self.held.get(&owner).map(|held| held.clone()));
        match (owner, held) {
            (Some(owner), Some(Held { claim, fence, since })) => {
                let holder = Holder::new(owner, fence, now.saturating_since(since), remaining);
                match claim.metadata() {
                    Some(metadata) => holder.with_metadata(metadata),
                    None => holder,
                }
            }
            (Some(owner), None) => Holder::new(owner, Fence::NONE, Duration::ZERO, remaining),
            (None, _) => {
                let nobody = Owner::new(0, 0);
                Holder::new(nobody, Fence::NONE, Duration::ZERO, remaining).with_metadata(value)
            }
        }
    }
}

#[async_trait]
impl Backend for PlainRedis {
    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let store = &self.store;
        if store.held.contains_key(&claim.owner()) {
            return store.confirm(claim).await;
        }
        if let Some(told) = store.told_in_line(claim, queue) {
            return Ok(told);
        }
        Ok(match store.ask(claim, "take").answer().await? {
            Asked::Held(grant) => {
                store.note_held(claim, grant);
                Answer::Granted(grant)
            }
            Asked::Busy(until) => {
                let now = claim.clock().now();
                let holder_remaining = until.map(|until| until.saturating_since(now));
                if !queue {
                    return Ok(Answer::Busy { holder_remaining });
                }
                store.stand_in_line(claim, until);
                let line = store.lines.get(&store.names.of(claim.key()));
                let seen = line.and_then(|line| line.seen_by(claim.owner(), now));
                seen.unwrap_or(Answer::Queued { position: Some(1), holder_remaining })
            }
            Asked::Free => Answer::Gone,
        })
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        if self.store.held.contains_key(&claim.owner()) {
            return self.store.confirm(claim).await;
        }
        let told = self.store.lines.get(&self.store.names.of(claim.key())).and_then(|line| {
            line.nudge.notify_one();
            line.seen_by(claim.owner(), claim.clock().now())
        });
        Ok(told.unwrap_or(Answer::Gone))
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        // A script each, sent together: the keys are the caller's, and may live on different servers.
        let send = |Renewal { claim, lease }: &Renewal| {
            let script = self.store.redis.eval(&RENEW, [&*self.store.names.of(claim.key())]);
            script.arg(claim.owner().to_string()).arg(millis(*lease)).call()
        };
        let calls: Vec<_> = batch.iter().map(send).collect();
        let (mut results, mut failed) = (Vec::with_capacity(batch.len()), None);
        for (Renewal { claim, .. }, call) in batch.iter().zip(calls) {
            results.push(match call.await.and_then(Reply::read::<i64>) {
                Ok(0) => {
                    self.store.held.remove(&claim.owner());
                    Renewed::NotHeld
                }
                Ok(_) => Renewed::Renewed,
                Err(error) => {
                    tracing::debug!(%error, "a renewal has no answer");
                    failed = Some(failure(error));
                    Renewed::Unanswered
                }
            });
        }
        match failed {
            Some(error) if results.iter().all(|one| *one == Renewed::Unanswered) => Err(error),
            _ => Ok(results),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        let store = &self.store;
        let waited = store
            .lines
            .get_mut(&store.names.of(claim.key()))
            .is_some_and(|mut line| line.leave(claim.owner()));
        store.held.remove(&claim.owner());
        // Behind whatever was asked for this claim.
        let call = store.give_back(claim);
        let had: i64 = call.await.and_then(Reply::read).map_err(failure)?;
        store.nudge(claim.key());
        Ok(if had != 0 || waited { GivenBack::Released } else { GivenBack::NotHeld })
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        let call = self.store.redis.eval(&FORCE, [&*self.store.names.of(key)]).call();
        let had: Vec<String> = call.await.and_then(Reply::read).map_err(failure)?;
        let owner = had.first().and_then(|value| owner_of(value));
        if let Some((_, held)) = owner.and_then(|owner| self.store.held.remove(&owner)) {
            held.claim.lose(&LostReason::ForceReleased { reason });
        }
        self.store.nudge(key);
        Ok(!had.is_empty())
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        let call = self.store.redis.eval(&INSPECT, [&*self.store.names.of(key)]).call();
        let reply = call.await.map_err(failure)?;
        let now = self.store.redis.clock().now();
        let seen: Vec<Value> = reply.read().map_err(failure)?;
        let holder = match &seen[..] {
            [value, left] => {
                let text = from_redis_value_ref(value);
                let left = from_redis_value_ref(left);
                let text: String = text.map_err(BackendError::unknown)?;
                Some(self.store.holder(text, left.map_err(BackendError::unknown)?, now))
            }
            _ => None,
        };
        let waiters = self.store.lines.get(&self.store.names.of(key)).map_or(0, |line| line.len());
        Ok(LockInfo::new(key.clone(), holder, waiters))
    }
}
