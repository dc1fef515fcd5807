//! Lock and unlock, when nobody else wants it.

use std::time::Duration;

use mainstay_lock::Locks;
use tokio::task::JoinSet;

use super::{
    ASYNC_REDIS_LOCK, DISTRIBUTED_LOCK, OURS, RAW, REDISSON, RSLOCK,
    locker::{AsyncRedisLock, DistributedLockRedis, Locker, Raw, Redisson, Rslock},
    runtime,
    server::{self, Usage},
};
use crate::harness::{Column, Effort, RunSide, Runs, Whose, wall};

pub(super) const MANY: &str = "64 tasks";
pub(super) const CPU: &str = "server CPU a pair";

const TASKS: usize = 64;

/// Each task has a key of its own.
pub(super) fn runs() -> Runs {
    Runs {
        title: "Uncontended: lock and unlock",
        note: "One client with one connection (redisson: a pool of 128), each task locks a key of its own. Ours draws a fence, \
               looks for waiters and renews; of the others only async-redis-lock and distributed-lock-redis renew, and none \
               has a fence or a queue. Calls include those made by scripts; keys are counted right after the last release.",
        columns: vec![
            Column { name: "1 task", unit: "/s" },
            Column { name: MANY, unit: "/s" },
            Column { name: CPU, unit: "us" },
            Column { name: "calls a pair", unit: "" },
            Column { name: "keys after it", unit: "" },
        ],
        sides: vec![
            RunSide::new(RAW, Whose::Theirs, run::<Raw>),
            RunSide::new(RSLOCK, Whose::Theirs, run::<Rslock>),
            RunSide::new(ASYNC_REDIS_LOCK, Whose::Theirs, run::<AsyncRedisLock>),
            RunSide::new(DISTRIBUTED_LOCK, Whose::Theirs, run::<DistributedLockRedis>),
            RunSide::new(REDISSON, Whose::Theirs, run::<Redisson>),
            RunSide::new(OURS, Whose::Ours, run::<Locks>),
        ],
    }
}

fn run<L: Locker>(effort: Effort) -> Vec<f64> {
    let url = server::url();
    runtime().block_on(async {
        server::flush().await;
        let client = L::connect(&url, Duration::from_secs(30)).await;
        L::release(client.acquire("warm".to_owned()).await).await;
        let one = pairs(&client, 1, effort.run / 2).await;
        let before = Usage::now().await;
        let many = pairs(&client, TASKS, effort.run).await;
        let used = before.since().await;
        let keys = server::keys().await;
        vec![
            one / (effort.run / 2).as_secs_f64(),
            many / effort.run.as_secs_f64(),
            used.cpu / many,
            used.calls / many,
            keys,
        ]
    })
}

async fn pairs<L: Locker>(client: &L, tasks: usize, time: Duration) -> f64 {
    let (mut running, end) = (JoinSet::new(), wall() + time);
    for task in 0..tasks {
        let (client, name) = (client.clone(), format!("order:{task}"));
        running.spawn(async move {
            let mut pairs = 0.0;
            while wall() < end {
                L::release(client.acquire(name.clone()).await).await;
                pairs += 1.0;
            }
            pairs
        });
    }
    running.join_all().await.into_iter().sum()
}
