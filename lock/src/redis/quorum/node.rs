//! One server of a quorum.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mainstay_core::Moment;
use mainstay_redis::{Reply, Script};

use crate::{
    backend::{BackendError, Claim, Mode},
    fence::Fence,
    redis::{RedisLocks, ask::millis, registry::Stage, wire},
};

static RAISE: Script = Script::new(concat!(
    include_str!("../scripts/head.lua"),
    "\n",
    include_str!("scripts/vote.lua"),
    "\n",
    include_str!("../scripts/lane.lua"),
    "\n",
    include_str!("scripts/raise.lua")
));

static RAISE_SHARED: Script = Script::new(concat!(
    include_str!("../scripts/head.lua"),
    "\n",
    include_str!("scripts/vote.lua"),
    "\n",
    include_str!("../scripts/lane.lua"),
    "\n",
    include_str!("../scripts/readers.lua"),
    "\n",
    include_str!("scripts/raise_share.lua")
));

/// One server of a quorum.
pub(super) struct Node {
    pub(super) locks: RedisLocks,
    /// Until when it does not lead, because it did not answer.
    shunned_until: AtomicU64,
}

/// A lease to renew, and the fence that the majority agreed on.
#[derive(Clone)]
pub(super) struct Raise {
    pub(super) claim: Claim,
    pub(super) lease: Duration,
    pub(super) fence: Fence,
}

/// What a node says of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Held,
    /// It was free there, for a reader to share, and is held from now on.
    WonBack,
    /// It is free there, or was and is held from now on; and since the node started it has given nobody its vote. So it
    /// says nothing against a holder.
    Forgot,
    /// Somebody else has it there, alone where this one shares it; or (looked at) nobody.
    Elsewhere,
}

impl Standing {
    fn of(answer: i64) -> Self {
        match answer {
            0 => Self::Elsewhere,
            2 => Self::WonBack,
            3 => Self::Forgot,
            _ => Self::Held,
        }
    }
}

impl Node {
    pub(super) fn new(locks: RedisLocks) -> Self {
        Self { locks, shunned_until: AtomicU64::new(0) }
    }

    /// Writes a fence where this claim holds the lock. Sends the request before it first waits.
    pub(super) async fn raise(&self, raise: &Raise) -> Result<bool, BackendError> {
        let answers = self.write("raise", std::slice::from_ref(raise)).await?;
        Ok(answers.first() == Some(&1))
    }

    /// Renews leases of one mode, and wins the lock back where it was forgotten or never given.
    ///
    /// What is won back counts for the next renewal only, so a node that forgot its votes may be asked, too.
    pub(super) async fn renew(&self, batch: &[Raise]) -> Result<Vec<Standing>, BackendError> {
        let store = &self.locks.store;
        store.listen();
        for Raise { claim, .. } in batch {
            if !store.registry.is_held(claim.owner()) {
                store.registry.enter(claim);
            }
        }
        let answers = self.write("renew", batch).await?;
        let standing = |(raise, answer): (&Raise, &i64)| {
            let (owner, standing) = (raise.claim.owner(), Standing::of(*answer));
            match standing {
                Standing::Elsewhere => _ = store.registry.leave(owner),
                _ => store.registry.note(owner, Stage::Held),
            }
            standing
        };
        Ok(batch.iter().zip(&answers).map(standing).collect())
    }

    /// Whether a lease is held here. Changes nothing.
    pub(super) async fn look(&self, raise: &Raise) -> Result<Standing, BackendError> {
        let answers = self.write("look", std::slice::from_ref(raise)).await?;
        Ok(Standing::of(answers.first().copied().unwrap_or_default()))
    }

    async fn write(&self, mode: &str, batch: &[Raise]) -> Result<Vec<i64>, BackendError> {
        let store = &self.locks.store;
        let held: Vec<_> = batch.iter().map(|raise| store.held(raise.claim.key())).collect();
        let shared = batch.first().is_some_and(|raise| raise.claim.mode() == Mode::Shared);
        let script = if shared { &RAISE_SHARED } else { &RAISE };
        let mut script = store.redis.eval(script, held.iter().map(AsRef::as_ref)).arg(mode);
        script = script.arg(store.votes_after.unwrap_or(0));
        for Raise { claim, lease, fence } in batch {
            let name = store.name(claim.owner(), claim.mode());
            script = script.arg(name).arg(millis(*lease)).arg(fence.get());
            script = script.arg(claim.metadata().unwrap_or_default());
        }
        script.call().await.and_then(Reply::read).map_err(wire::failure)
    }

    pub(super) fn shun(&self, now: Moment) {
        self.shunned_until.store((now + SHUNNED).as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn is_shunned(&self, now: Moment) -> bool {
        now.as_nanos() < self.shunned_until.load(Ordering::Relaxed)
    }
}

/// So long a node that did not answer is asked last.
const SHUNNED: Duration = Duration::from_secs(2);
