//! One task of a client: asks for locks, one after the other.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use mainstay_lock::{LockError, LockRequest};

use super::{
    Client, Order,
    habit::{Habit, Wish},
    hold::Hold,
};
use crate::{Result, event::What};

/// One task of a client.
pub(crate) struct Task {
    client: Arc<Client>,
    rng: Rng,
}

impl Task {
    pub(crate) fn new(client: Arc<Client>, rng: Rng) -> Self {
        Self { client, rng }
    }

    pub(crate) async fn run(mut self) -> Result<()> {
        let habit = self.client.args.habit;
        loop {
            let wish = match self.client.order() {
                Order::Work => habit.wish(&mut self.rng),
                Order::Calm => Habit::calm_wish(&mut self.rng),
                Order::Stop => return Ok(()),
            };
            self.ask(wish).await?;
        }
    }

    async fn ask(&mut self, wish: Wish) -> Result<()> {
        let op = self.client.next_op();
        let key = format!("k{}", self.rng.u32(..self.client.args.keys));
        let request = self.request(&key, wish);
        let (wait, lease) = (whole_millis(wish.wait), whole_millis(wish.lease));
        let reads = wish.reads;
        self.client.record(What::Asked { op, key: key.clone(), reads, wait, lease })?;
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
            Ok(guard) => {
                let hold = Hold::new(&self.client, op, &key, reads, guard);
                hold.live(&mut self.rng, wish.hold).await
            }
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
        let lock = self.client.locks.read_write(key.to_owned());
        let request = if wish.reads { lock.read() } else { lock.write() }.wait(wish.wait);
        if wish.renew { request.lease(wish.lease) } else { request.fixed_lease(wish.lease) }
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
