//! Many tasks of several clients that want the same lock.

use std::{sync::Arc, time::Duration};

use mainstay_lock::Locks;
use tokio::{
    sync::{Barrier, Mutex},
    task::JoinSet,
};

use super::{
    ASYNC_REDIS_LOCK, DISTRIBUTED_LOCK, OURS, REDISSON, RSLOCK,
    locker::{AsyncRedisLock, DistributedLockRedis, Locker, Redisson, Rslock},
    runtime,
    server::{self, Usage},
    sleep,
};
use crate::{
    harness::{Column, Effort, RunSide, Runs, Samples, Whose, wall},
    report::{Bar, Limit},
};

const CLIENTS: usize = 4;
const TASKS: usize = 16;
const HOLD: Duration = Duration::from_millis(1);

const IDEAL: &str = "ideal: a tokio Mutex in one process";
const RATE: &str = "acquisitions";
const WAIT: &str = "p99 wait";
const SHARE: &str = "most / least of a task";
const CALLS: &str = "calls an acquisition";

/// What the lock has to show while others want it.
pub(super) fn bars() -> Vec<Bar> {
    vec![
        Bar::ratio(
            "64 tasks of 4 clients, 1 ms hold: throughput",
            (OURS, RATE),
            (IDEAL, RATE),
            Limit::AtLeast(0.97),
        ),
        Bar::ratio(
            "64 tasks of 4 clients, 1 ms hold: p99 wait",
            (OURS, WAIT),
            (IDEAL, WAIT),
            Limit::AtMost(1.15),
        ),
        Bar::value(
            "64 tasks of 4 clients, 1 ms hold: most / least of a task",
            (OURS, SHARE),
            Limit::AtMost(1.25),
        ),
        Bar::value(
            "64 tasks of 4 clients, 1 ms hold: calls an acquisition",
            (OURS, CALLS),
            Limit::AtMost(0.6),
        ),
    ]
}

/// Tasks that hold the lock for a while.
pub(super) fn runs() -> Runs {
    Runs {
        title: "Contended: 4 clients of 16 tasks, one key, 1 ms hold",
        note: "Each task holds it over a sleep of 1 ms, which the timer makes about 2 ms. Where the least is 0, \
               somebody starved, and the most is divided by 1. The releaser of a lock that is polled for gets it again before anybody looks, so their \
               throughput says little: see the waits and shares.",
        columns: vec![
            Column { name: RATE, unit: "/s" },
            Column { name: WAIT, unit: "ms" },
            Column { name: SHARE, unit: "" },
            Column { name: "least of a task", unit: "" },
            Column { name: CALLS, unit: "" },
            Column { name: "server CPU an acquisition", unit: "us" },
        ],
        sides: vec![
            RunSide::new(IDEAL, Whose::Theirs, run::<Ideal>),
            RunSide::new(RSLOCK, Whose::Theirs, run::<Rslock>),
            RunSide::new(ASYNC_REDIS_LOCK, Whose::Theirs, run::<AsyncRedisLock>),
            RunSide::new(DISTRIBUTED_LOCK, Whose::Theirs, run::<DistributedLockRedis>),
            RunSide::new(REDISSON, Whose::Theirs, run::<Redisson>),
            RunSide::new(OURS, Whose::Ours, run::<Locks>),
        ],
    }
}

/// All clients in one process, with a fair mutex.
#[derive(Clone)]
struct Ideal(Arc<Mutex<()>>);

impl Locker for Ideal {
    type Held = tokio::sync::OwnedMutexGuard<()>;

    async fn connect(_url: &str, _lease: Duration) -> Self {
        unreachable!("one for all")
    }

    async fn acquire(&self, _name: String) -> Self::Held {
        self.0.clone().lock_owned().await
    }

    async fn release(held: Self::Held) {
        drop(held);
    }
}

fn run<L: Locker>(effort: Effort) -> Vec<f64> {
    let (url, time) = (server::url(), effort.run * 3);
    let (ran, used) = runtime().block_on(async {
        server::flush().await;
        let clients = clients::<L>(&url).await;
        let (start, mut tasks) = (Arc::new(Barrier::new(CLIENTS * TASKS)), JoinSet::new());
        let before = Usage::now().await;
        for task in 0..CLIENTS * TASKS {
            tasks.spawn(contender(clients[task % CLIENTS].clone(), time, start.clone()));
        }
        (tasks.join_all().await, before.since().await)
    });
    let shares: Vec<f64> = ran.iter().map(|waits| waits.len() as f64).collect();
    let most = shares.iter().copied().fold(0.0, f64::max);
    let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
    let total: f64 = shares.iter().sum();
    // Each task takes it once more when the time is over.
    let taken = total + shares.len() as f64;
    let waits = Samples(ran.into_iter().flatten().collect());
    vec![
        total / time.as_secs_f64(),
        waits.quantile(0.99),
        most / least.max(1.0),
        least,
        used.calls / taken,
        used.cpu / taken,
    ]
}

async fn clients<L: Locker>(url: &str) -> Vec<L> {
    let any: Box<dyn std::any::Any> = Box::new(Ideal(Arc::default()));
    if let Some(ideal) = any.downcast_ref::<L>() {
        return vec![ideal.clone(); CLIENTS];
    }
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = L::connect(url, Duration::from_secs(30)).await;
        L::release(client.acquire("warm".to_owned()).await).await;
        clients.push(client);
    }
    clients
}

/// Takes the lock again and again; gives how long each time took, in milliseconds.
async fn contender<L: Locker>(client: L, time: Duration, start: Arc<Barrier>) -> Vec<f64> {
    start.wait().await;
    let end = wall() + time;
    let mut waits = Vec::new();
    loop {
        let asked = wall();
        let held = client.acquire("order:7".to_owned()).await;
        let now = wall();
        if now < end {
            waits.push((now - asked).as_secs_f64() * 1e3);
            sleep(HOLD).await;
        }
        L::release(held).await;
        if now >= end {
            return waits;
        }
    }
}
