//! Locks within a process.

use std::sync::Arc;

use lockable::LockPool;
use mainstay_lock::Locks;
use tokio::sync::Mutex;

use super::{Group, Part, contended};
use crate::{
    harness::{
        Calls, Side,
        calls::{ONE, TWO},
        side::futures,
    },
    report::{Bar, Limit},
};

const MUTEX: &str = "tokio Mutex, one for each key";
const POOL: &str = "lockable LockPool";
const LOCK: &str = "mainstay lock";

/// Measurements of the lock.
pub fn group() -> Group {
    let mut bars = vec![
        Bar::ratio(
            "uncontended, 1 thread, vs a keyed mutex",
            (LOCK, ONE),
            (POOL, ONE),
            Limit::Shown,
        ),
        Bar::ratio(
            "uncontended, 2 threads, vs a keyed mutex",
            (LOCK, TWO),
            (POOL, TWO),
            Limit::Shown,
        ),
    ];
    bars.extend(contended::bars());
    let parts = vec![
        Part::Calls(uncontended()),
        Part::Runs(contended::holding()),
        Part::Runs(contended::passing()),
    ];
    Group { name: "lock", title: "Lock, in process", parts, bars }
}

fn uncontended() -> Calls {
    let pool = Arc::new(LockPool::<String>::new());
    let locks = Locks::in_process();
    let (once, by_run, tried) = (locks.clone(), locks.clone(), locks);
    Calls {
        title: "Uncontended: lock and unlock",
        note: "Each thread locks a key of its own. A mutex without keys is the floor. A lock of ours has a lease that is renewed, \
               a fence, a signal when it is lost and a limit to its hold; the others have none of these.",
        sides: vec![
            Side::theirs(MUTEX, |_| {
                let mutex = Arc::new(Mutex::new(()));
                futures(move |_| {
                    let mutex = mutex.clone();
                    async move { drop(mutex.lock().await) }
                })
            }),
            Side::theirs(POOL, move |thread| {
                let (pool, key) = (pool.clone(), format!("order:{thread}"));
                futures(move |_| {
                    let (pool, key) = (pool.clone(), key.clone());
                    async move { drop(pool.async_lock(key).await) }
                })
            }),
            Side::ours(LOCK, move |thread| {
                let (locks, key) = (once.clone(), key(thread));
                futures(move |_| {
                    let request = locks.lock(&key);
                    async move { drop(request.await.expect("nobody else wants it")) }
                })
            }),
            Side::ours("mainstay run", move |thread| {
                let (locks, key) = (by_run.clone(), key(thread));
                futures(move |n| {
                    locks.lock(&key).run(async move { Ok::<_, mainstay_lock::LockError>(n) })
                })
            }),
            Side::ours("mainstay try_lock", move |thread| {
                let (locks, key) = (tried.clone(), key(thread));
                futures(move |_| locks.try_lock(&key))
            }),
        ],
    }
}

fn key(thread: usize) -> mainstay_lock::Key {
    mainstay_lock::key!("order:{}", thread).expect("it is a key")
}
