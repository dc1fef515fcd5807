//! One task of a client: asks for locks, one after the other.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use mainstay_lock::{LockError, LockGuard, LockRequest};

use super::{Client, Order, hold::Hold};
use crate::{Result, event::What};

/// One task of a client.
pub(crate) struct Task {
    client: Arc<Client>,
    rng: Rng,
}

/// What to ask for.
#[derive(Clone, Copy, Debug)]
struct Wish {
    wait: Duration,
    lease: Duration,
    /// Whether the lease is renewed.
    renew: bool,
    /// When the future is dropped, if it is.
    patience: Option<Duration>,
}

impl Task {
    pub(crate) fn new(client: Arc<Client>, rng: Rng) -> Self {
        Self { client, rng }
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        loop {
            let wish = match self.client.order() {
                Order::Work => self.wish(),
                Order::Calm => self.calm_wish(),
                Order::Stop => return Ok(()),
            };
            self.ask(wish).await?;
        }
    }

    /// Anything, mostly short.
    fn wish(&mut self) -> Wish {
        let renew = self.rng.u8(..100) < 80;
        let wait = match self.rng.u8(..100) {
            0..25 => 0,
            25..60 => self.rng.u64(1..200),
            _ => self.rng.u64(200..4_000),
        };
        Wish {
            wait: millis(wait),
            lease: millis(self.rng.u64(300..1_500)),
            renew,
            patience: (self.rng.u8(..100) < 15).then(|| millis(self.rng.u64(0..60))),
        }
    }

    /// Waits that must be served, and leases that outlast the look at what was left behind.
    fn calm_wish(&mut self) -> Wish {
        let patience = (self.rng.u8(..100) < 15).then(|| millis(self.rng.u64(0..20)));
        Wish { wait: millis(15_000), lease: millis(10_000), renew: true, patience }
    }

    async fn ask(&mut self, wish: Wish) -> Result<()> {
        let op = self.client.next_op();
        let key = format!("k{}", self.rng.u32(..self.client.args.keys));
        let request = self.request(&key, wish);
        let (wait, lease) = (whole_millis(wish.wait), whole_millis(wish.lease));
        self.client.record(What::Asked { op, key: key.clone(), wait, lease })?;
        let answer = match wish.patience {
            None => request.await,
            Some(patience) => {
                let timeout = self.client.clock.timeout(patience, request.into_future());
                match timeout.await {
                    Ok(answer) => answer,
                    Err(_) => return self.client.record(What::Dropped { op }),
                }
            }
        };
        match answer {
            Ok(guard) => self.hold(op, &key, guard).await,
            Err(error) => {
                let failed = matches!(error, LockError::Backend { .. });
                self.client.record(refusal(op, &error))?;
                if failed {
                    self.client.clock.sleep(millis(self.rng.u64(5..50))).await;
                }
                Ok(())
            }
        }
    }

    fn request(&self, key: &str, wish: Wish) -> LockRequest {
        let request = self.client.locks.lock(key.to_owned()).wait(wish.wait);
        if wish.renew { request.lease(wish.lease) } else { request.fixed_lease(wish.lease) }
    }

    async fn hold(&mut self, op: u64, key: &str, guard: LockGuard) -> Result<()> {
        let calm = self.client.order() != Order::Work;
        let lasts = match self.rng.u8(..100) {
            0..80 => self.rng.u64(0..15),
            80..95 => self.rng.u64(15..200),
            _ if calm => 20,
            _ => self.rng.u64(200..2_000),
        };
        let hold = Hold::new(&self.client, op, key, guard);
        hold.live(&mut self.rng, millis(lasts)).await
    }
}

/// What a refusal says of the lock.
fn refusal(op: u64, error: &LockError) -> What {
    match error {
        LockError::Contended { .. } | LockError::Timeout { .. } => What::Refused { op },
        LockError::Unknown { .. } => What::Unknown { op, error: error.to_string() },
        _ => What::Failed { op, error: error.to_string() },
    }
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
