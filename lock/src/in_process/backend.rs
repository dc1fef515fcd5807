//! The store behind the seam, to be wrapped or shared by several clients.

use std::sync::Arc;

use async_trait::async_trait;
use mainstay_core::Key;

use super::InProcess;
use crate::{
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Grant, Renewal, Renewed},
    inspect::LockInfo,
};

#[async_trait]
impl Backend for InProcess {
    fn shares(&self) -> bool {
        true
    }

    async fn acquire(&self, claim: &Claim, queue: bool) -> Result<Answer, BackendError> {
        Ok(self.acquire(claim, queue))
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        let answer = self.poll(claim);
        if let Answer::Granted(Grant { fence, .. }) = answer {
            // The news of it were lost, and the lease has begun long ago.
            let (now, lease) = (claim.clock().now(), claim.lease());
            self.renew(claim, lease);
            return Ok(Answer::Granted(Grant::new(fence, now, lease)));
        }
        Ok(answer)
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        let renew = |renewal: &Renewal| match self.renew(&renewal.claim, renewal.lease) {
            true => Renewed::Renewed,
            false => Renewed::NotHeld,
        };
        Ok(batch.iter().map(renew).collect())
    }

    async fn release(&self, claim: &Claim) -> Result<GivenBack, BackendError> {
        Ok(self.release(claim))
    }

    async fn force_release(&self, key: &Key, reason: Arc<str>) -> Result<bool, BackendError> {
        Ok(self.force_release(key, reason))
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        Ok(self.inspect(key))
    }
}
