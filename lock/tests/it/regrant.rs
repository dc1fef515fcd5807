//! A grant that arrives while a poll is under way, and is lost again before the poll is answered.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use mainstay_lock::{
    Fence, Key, LockInfo, LostReason,
    backend::{Answer, Backend, BackendError, Claim, GivenBack, Grant, Renewal, Renewed},
};

use crate::{manual, ms};

/// Queues whoever asks. A poll finds nothing, because the grant that was pushed meanwhile is over already.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleeting {
    acquires: Arc<AtomicUsize>,
}

#[async_trait]
impl Backend for Fleeting {
    async fn acquire(&self, claim: &Claim, _queue: bool) -> Result<Answer, BackendError> {
        if self.acquires.fetch_add(1, Ordering::Relaxed) == 0 {
            return Ok(Answer::Queued { position: Some(1), holder_remaining: None });
        }
        Ok(Answer::Granted(Grant::new(Fence::new(9), claim.clock().now(), claim.lease())))
    }

    async fn poll(&self, claim: &Claim) -> Result<Answer, BackendError> {
        assert!(claim.grant(Grant::new(Fence::new(7), claim.clock().now(), claim.lease())));
        Ok(Answer::Gone)
    }

    async fn renew(&self, batch: &[Renewal]) -> Result<Vec<Renewed>, BackendError> {
        Ok(vec![Renewed::NotHeld; batch.len()])
    }

    async fn release(&self, _claim: &Claim) -> Result<GivenBack, BackendError> {
        Ok(GivenBack::NotHeld)
    }

    async fn force_release(&self, _key: &Key, _reason: Arc<str>) -> Result<bool, BackendError> {
        Ok(false)
    }

    async fn inspect(&self, key: &Key) -> Result<LockInfo, BackendError> {
        Ok(LockInfo::new(key.clone(), None, 0))
    }
}

#[tokio::test]
async fn what_was_granted_and_lost_is_not_taken_again_behind_its_guard() {
    let (time, builder) = manual();
    let backend = Fleeting::default();
    let locks = builder.lease(ms(3_000)).wait(ms(60_000)).backend(backend.clone());
    let (guard, ()) = tokio::join!(locks.lock("a"), time.run_for(ms(5_500)));
    let guard = guard.expect("the pushed grant");
    assert_eq!(guard.fence(), Fence::new(7));
    assert_eq!(backend.acquires.load(Ordering::Relaxed), 1, "it was asked for a second time");
    // The next renewal tells.
    time.run_for(ms(1_500)).await;
    assert_eq!(guard.lost().await, LostReason::TakenOver);
}
