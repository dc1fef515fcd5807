//! Grants that are pushed.

use std::sync::{Arc, Weak};

use super::Inner;
use crate::{
    backend::{Answer, Backend, Claim, Grant, Relay},
    lost::LostReason,
};

/// Where the pushes for a claim go.
pub(super) struct Pushed {
    pub(super) inner: Weak<Inner>,
    pub(super) claim: Claim,
}

impl Relay for Pushed {
    /// The waiter is told once the replicas have it.
    fn grant(&self, grant: Grant) -> bool {
        let Some(inner) = self.inner.upgrade().filter(|_| self.claim.is_wanted()) else {
            return false;
        };
        let (claim, spawner) = (self.claim.clone(), inner.clone());
        spawner.spawner.detach(async move { inner.believe(&claim, grant).await });
        true
    }

    fn lose(&self, reason: &LostReason) {
        self.claim.lose(reason);
    }
}

impl Inner {
    async fn believe(self: Arc<Self>, claim: &Claim, grant: Grant) {
        match self.confirm(claim, grant).await {
            Ok(Answer::Granted(grant)) if claim.grant(grant) => {}
            Ok(Answer::Granted(_)) => {
                // The lease ends it if this does not.
                let _ = self.locks.release(claim).await;
            }
            // Not held any more, or not to be believed, and given back: it asks anew, and hears why if that fails.
            Ok(_) | Err(_) => claim.lose(&LostReason::Unreachable),
        }
    }
}
