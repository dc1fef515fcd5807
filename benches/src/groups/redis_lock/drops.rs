//! Futures of an acquire that are dropped while it is under way.

use std::time::Duration;

use mainstay_lock::Locks;

use super::{
    ASYNC_REDIS_LOCK, DISTRIBUTED_LOCK, OURS, REDISSON, RSLOCK,
    locker::{AsyncRedisLock, DistributedLockRedis, Locker, Redisson, Rslock},
    runtime, server, sleep,
};
use crate::harness::{Column, Effort, RunSide, Runs, Whose, wall};

pub(super) const LEFT: &str = "keys left";

const TRIES: u64 = 300;

/// Drops at moments that fall into the request.
pub(super) fn runs() -> Runs {
    Runs {
        title: "Dropped acquires",
        note: "300 locks are asked for, each with a name of its own, and the future is dropped 20 to 210 us later. What was \
               got before that is released and not counted. Half a second later there should be no key: one that is left blocks \
               its name for the whole lease.",
        columns: vec![
            Column { name: "dropped", unit: "" },
            Column { name: LEFT, unit: "" },
            Column { name: "share", unit: "%" },
        ],
        sides: vec![
            RunSide::new(RSLOCK, Whose::Theirs, run::<Rslock>),
            RunSide::new(ASYNC_REDIS_LOCK, Whose::Theirs, run::<AsyncRedisLock>),
            RunSide::new(DISTRIBUTED_LOCK, Whose::Theirs, run::<DistributedLockRedis>),
            RunSide::new(REDISSON, Whose::Theirs, run::<Redisson>),
            RunSide::new(OURS, Whose::Ours, run::<Locks>),
        ],
    }
}

fn run<L: Locker>(_effort: Effort) -> Vec<f64> {
    let url = server::url();
    runtime().block_on(async {
        server::flush().await;
        let client = L::connect(&url, Duration::from_secs(60)).await;
        L::release(client.acquire("warm".to_owned()).await).await;
        let mut dropped = 0.0;
        for number in 0..TRIES {
            let (client, name) = (client.clone(), format!("order:{number}"));
            #[expect(clippy::disallowed_methods, reason = "the task is what is dropped")]
            let asked = tokio::spawn(async move { client.acquire(name).await });
            let end = wall() + Duration::from_micros(20 + number * 37 % 190);
            while wall() < end {
                tokio::task::yield_now().await;
            }
            asked.abort();
            match asked.await {
                Ok(held) => L::release(held).await,
                Err(_) => dropped += 1.0,
            }
        }
        sleep(Duration::from_millis(500)).await;
        let left = server::keys().await;
        vec![dropped, left, left / dropped * 100.0]
    })
}
