//! One hold, from the grant to the release or the loss.

use std::time::Duration;

use fastrand::Rng;
use mainstay_lock::{LockGuard, Released};

use super::{Client, task::millis};
use crate::{
    Result,
    event::{Left, What, now},
};

/// One hold. What it believes is written down while it believes it.
pub(crate) struct Hold<'a> {
    client: &'a Client,
    op: u64,
    key: &'a str,
    reads: bool,
    guard: LockGuard,
    /// Until when the guard said that it is held, last.
    until: u64,
}

impl<'a> Hold<'a> {
    pub(crate) fn new(
        client: &'a Client,
        op: u64,
        key: &'a str,
        reads: bool,
        guard: LockGuard,
    ) -> Self {
        Self { client, op, key, reads, guard, until: 0 }
    }

    /// Holds for `lasts`, unless the lock is lost first.
    pub(crate) async fn live(mut self, rng: &mut Rng, lasts: Duration) -> Result<()> {
        let (at, until) = self.claim();
        self.until = until;
        let (op, fence) = (self.op, self.guard.fence().get());
        self.client.record_at(at, What::Granted { op, fence, until })?;
        if rng.u8(..100) < 10 {
            self.enter_again().await?;
        }
        let writes = rng.u8(..100) < 40 && !self.reads;
        if writes && rng.bool() {
            self.write().await?;
        }
        let held = self.stay(lasts).await?;
        // Some trust their lock without looking: that is what the store checks fences for.
        if (writes && held) || (rng.u8(..100) < 3 && !self.reads) {
            self.write().await?;
        }
        if held { self.leave(rng).await } else { Ok(()) }
    }

    /// What the guard says now: a time before the look, and until when it is held, counted from there.
    fn claim(&self) -> (u64, u64) {
        let at = now();
        let left = self.guard.remaining();
        (at, at.saturating_add(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Looks at the guard again and again. False if the lock was lost.
    async fn stay(&mut self, lasts: Duration) -> Result<bool> {
        let end = self.client.clock.now() + lasts;
        loop {
            let (at, until) = self.claim();
            if until <= at {
                self.lost().await?;
                return Ok(false);
            }
            // Renewed: the steps between are a matter of rounding.
            if until > self.until + MEMORABLE {
                self.until = until;
                self.client.record_at(at, What::Holds { op: self.op, until })?;
            }
            let look = self.client.clock.now() + LOOK;
            if look >= end {
                self.client.clock.sleep_until(end).await;
                return Ok(true);
            }
            if self.client.clock.timeout(LOOK, self.guard.lost()).await.is_ok() {
                self.lost().await?;
                return Ok(false);
            }
        }
    }

    async fn lost(&self) -> Result<()> {
        let at = now();
        let reason = format!("{:?}", self.guard.lost().await);
        self.client.record_at(at, What::Lost { op: self.op, reason })
    }

    async fn enter_again(&self) -> Result<()> {
        let lock = self.client.locks.read_write(self.key.to_owned());
        let again = if self.reads { lock.read() } else { lock.write() }.wait(Duration::ZERO);
        // A hold that was lost meanwhile is not entered.
        if let Ok(again) = self.guard.scope(again.into_future()).await {
            let fence = again.fence().get();
            self.client.record(What::Nested { op: self.op, fence })?;
        }
        Ok(())
    }

    async fn write(&self) -> Result<()> {
        let op = self.op;
        self.client.record(What::Writes { op })?;
        let fence = self.guard.fence().get();
        self.client.record(match self.client.store.count(self.key, fence).await {
            Ok(accepted) => What::Wrote { op, accepted },
            Err(error) => What::WroteUnknown { op, error: error.to_string() },
        })
    }

    async fn leave(self, rng: &mut Rng) -> Result<()> {
        let op = self.op;
        self.client.record(What::Leaves { op })?;
        if rng.bool() {
            drop(self.guard);
            return Ok(());
        }
        let (outcome, reason) = match self.guard.release().await {
            Released::AlreadyLost { reason } => (Left::AlreadyLost, Some(format!("{reason:?}"))),
            Released::Unknown => (Left::Unknown, None),
            _ => (Left::Released, None),
        };
        self.client.record(What::Left { op, outcome, reason })
    }
}

/// Between two looks at the guard.
const LOOK: Duration = millis(10);
/// A claim that grew by more was renewed.
const MEMORABLE: u64 = 20_000_000;
