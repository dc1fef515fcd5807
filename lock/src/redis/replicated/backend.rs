//! The seam.

use std::sync::Arc;

use async_trait::async_trait;
use mainstay_core::Key;

use super::{Inner, Replicated, relay::Pushed};
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Grant, Renewal, Renewed},
    inspect::LockInfo,
};

impl Inner {
    fn relayed(self: &Arc<Self>, claim: &Claim) -> Claim {
        claim.relayed(Arc::new(Pushed { inner: Arc::downgrade(self), claim: claim.clone() }))
    }

    /// Lets a grant be told only if the replicas have it, and its lease is not over by then.
    async fn checked(&self, claim: &Claim, answer: Answer) -> Result<Answer, BackendError> {
        match answer {
            Answer::Granted(grant) => self.confirm(claim, grant).await,
            other => Ok(other),
        }
    }

    /// Waits for the replicas. What they have not got in time is given back.
    pub(super) async fn confirm(
        &self,
        claim: &Claim,
        grant: Grant,
    ) -> Result<Answer, BackendError> {
        let trouble = match self.confirmer.confirm(claim, grant.lease).await {
            // The wait may have taken longer than the lease.
            Ok(Some(since)) if claim.clock().now() < since + grant.lease => {
                return Ok(Answer::Granted(Grant::new(grant.fence, since, grant.lease)));
            }
            Ok(Some(_)) => BackendError::failed("the lease was over when the replicas had it"),
            // Granted by a primary that is not the one any more.
            Ok(None) => {
                return Err(BackendError::failed("the lock was lost before the replicas had it"));
            }
            Err(error) => error,
        };
        Err(match self.locks.release(claim).await {
            Ok(_) => BackendError::failed(format!("{trouble}; it was given back")),
            Err(_) => BackendError::unknown(trouble.to_string()),
        })
    }
}

#[async_trait]
impl Backend for Replicated {
    fn shares(&self) -> bool {
        self.inner.locks.shares()
    }

    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        let inner = &self.inner;
        inner.spawner.enter();
        let answer = inner.locks.acquire(&inner.relayed(claim), queue).await?;
        inner.checked(claim, answer).await
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        let inner = &self.inner;
        let answer = inner.locks.poll(&inner.relayed(claim)).await?;
        inner.checked(claim, answer).await
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        let confirm =
            |renewal: &Renewal| self.inner.confirmer.confirm(&renewal.claim, renewal.lease);
        let confirmed: Vec<_> = batch.iter().map(confirm).collect();
        let (mut renewed, mut trouble) = (Vec::with_capacity(batch.len()), None);
        for (Renewal { claim, .. }, confirmed) in batch.iter().zip(confirmed) {
            renewed.push(match confirmed.await {
                Ok(Some(_)) => Renewed::Renewed,
                Ok(None) => {
                    self.inner.locks.store.registry.leave(claim.owner());
                    Renewed::NotHeld
                }
                Err(error) => {
                    tracing::debug!(%error, "a renewal is not known to be replicated");
                    trouble = Some(error);
                    Renewed::Unanswered
                }
            });
        }
        match trouble {
            Some(error) if renewed.iter().all(|one| *one == Renewed::Unanswered) => Err(error),
            _ => Ok(renewed),
        }
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        self.inner.locks.release(claim).await
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        self.inner.locks.force_release(key, reason).await
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        self.inner.locks.inspect(key).await
    }
}
