//! Many tasks that want the same lock.

use std::{sync::Arc, time::Duration};

use lockable::LockPool;
use mainstay_lock::Locks;
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Barrier, Mutex},
    task::JoinSet,
};

use crate::{
    harness::{Column, Effort, RunSide, Runs, Samples, Whose, wall},
    report::{Bar, Limit},
};

/// Tasks that want it.
const TASKS: usize = 64;
const HOLD: Duration = Duration::from_millis(1);

const MUTEX: &str = "tokio Mutex";
const LOCK: &str = "mainstay lock";
const RATE: &str = "acquisitions";
const WAIT: &str = "p99 wait";
const SHARE: &str = "most / least of a task";

/// What the lock has to show while others want it.
pub fn bars() -> Vec<Bar> {
    vec![
        Bar::ratio(
            "64 tasks, 1 ms hold: throughput",
            (LOCK, RATE),
            (MUTEX, RATE),
            Limit::AtLeast(0.97),
        ),
        Bar::ratio(
            "64 tasks, 1 ms hold: p99 wait",
            (LOCK, WAIT),
            (MUTEX, WAIT),
            Limit::AtMost(1.15),
        ),
        Bar::value(
            "64 tasks, 1 ms hold: most / least of a task",
            (LOCK, SHARE),
            Limit::AtMost(1.25),
        ),
    ]
}

/// Tasks that hold the lock for a while.
pub fn holding() -> Runs {
    let note = "64 tasks on 2 threads, one key; each holds it over a sleep of 1 ms, which the timer makes about 2 ms.";
    runs(
        "Contended: 64 tasks, 1 ms hold",
        note,
        Some(HOLD),
        ["tokio Mutex", "lockable LockPool", "mainstay lock"],
    )
}

/// Tasks that pass the lock on at once.
pub fn passing() -> Runs {
    let note = "64 tasks on 2 threads, one key; each yields once while it holds it. What is measured is handing over.";
    let names = ["tokio Mutex, yield", "lockable LockPool, yield", "mainstay lock, yield"];
    runs("Contended: 64 tasks, no hold", note, None, names)
}

fn runs(
    title: &'static str,
    note: &'static str,
    hold: Option<Duration>,
    names: [&'static str; 3],
) -> Runs {
    let columns = vec![
        Column { name: RATE, unit: "/s" },
        Column { name: WAIT, unit: "ms" },
        Column { name: SHARE, unit: "" },
    ];
    let [mutex, pool, lock] = names;
    let sides = vec![
        RunSide::new(mutex, Whose::Theirs, move |effort| {
            let mutex = Arc::new(Mutex::new(()));
            contend(effort, hold, move || mutex.clone().lock_owned())
        }),
        RunSide::new(pool, Whose::Theirs, move |effort| {
            let pool: &'static LockPool<u64> = Box::leak(Box::new(LockPool::new()));
            contend(effort, hold, move || pool.async_lock(7))
        }),
        RunSide::new(lock, Whose::Ours, move |effort| {
            let locks = Locks::builder().wait(Duration::from_secs(60)).in_process();
            contend(effort, hold, move || {
                let request = locks.lock("order:7");
                async move { request.await.expect("it is waited for long enough") }
            })
        }),
    ];
    Runs { title, note, columns, sides }
}

/// Lets the tasks contend; gives acquisitions a second, the wait in milliseconds, and the shares.
fn contend<L, F>(effort: Effort, hold: Option<Duration>, lock: L) -> Vec<f64>
where
    L: Fn() -> F + Clone + Send + 'static,
    F: Future<Output: Send> + Send + 'static,
{
    let start = Arc::new(Barrier::new(TASKS));
    let run = runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            tasks.spawn(contender(effort.run * 2, hold, lock.clone(), start.clone()));
        }
        tasks.join_all().await
    });
    let taken = |waits: &Vec<f64>| waits.len() as f64;
    let (most, least) = (
        run.iter().map(taken).fold(0.0, f64::max),
        run.iter().map(taken).fold(f64::INFINITY, f64::min),
    );
    let total: f64 = run.iter().map(taken).sum();
    let waits = Samples(run.into_iter().flatten().collect());
    vec![total / (effort.run * 2).as_secs_f64(), waits.quantile(0.99), most / least]
}

/// Takes the lock again and again; gives how long each time took.
async fn contender<L, F>(
    time: Duration,
    hold: Option<Duration>,
    lock: L,
    start: Arc<Barrier>,
) -> Vec<f64>
where
    L: Fn() -> F,
    F: Future,
{
    start.wait().await;
    let end = wall() + time;
    let mut waits = Vec::new();
    loop {
        let asked = wall();
        let held = lock().await;
        let now = wall();
        if now >= end {
            return waits;
        }
        waits.push((now - asked).as_secs_f64() * 1e3);
        match hold {
            Some(hold) => sleep(hold).await,
            None => tokio::task::yield_now().await,
        }
        drop(held);
    }
}

#[expect(clippy::disallowed_methods, reason = "what is held here is real time")]
async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}

/// Two threads, as for the other side.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}
