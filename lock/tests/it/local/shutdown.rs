use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use mainstay_lock::{
    ManualClock,
    local::{JobError, KeyedExecutor},
};
use proptest::prelude::*;
use tokio::sync::Notify;

use super::poll;
use crate::ms;

#[tokio::test]
async fn what_was_accepted_is_run_and_new_jobs_are_refused() {
    let time = ManualClock::new();
    let executor = KeyedExecutor::with_clock(1, 8, time.clock());
    let gate = Arc::new(Notify::new());
    let own = gate.clone();
    let running = executor.submit("a", async move { own.notified().await }).await.unwrap();
    let queued = executor.submit("a", async { 7 }).await.unwrap();
    let mut shutdown = Box::pin(executor.shutdown(ms(1_000)));
    assert!(poll(shutdown.as_mut()).is_pending());
    let refused = executor.submit("b", async { 8 }).await.unwrap_err();
    assert!(refused.is_shutting_down(), "{refused}");
    assert_eq!(refused.into_job().await, 8);
    gate.notify_one();
    assert!(shutdown.await.is_empty());
    assert_eq!((running.await, queued.await), (Ok(()), Ok(7)));
    // Nothing is left to do, so it is at once.
    assert!(executor.shutdown(ms(0)).await.is_empty());
}

#[tokio::test]
async fn one_who_waits_for_room_gets_the_job_back() {
    let time = ManualClock::new();
    let executor = KeyedExecutor::with_clock(1, 1, time.clock());
    let _stuck = executor.submit("a", std::future::pending::<()>()).await.unwrap();
    tokio::task::yield_now().await;
    let _queued = executor.submit("a", async {}).await.unwrap();
    let mut waiting = Box::pin(executor.submit("a", async { 7 }));
    assert!(poll(waiting.as_mut()).is_pending());
    let mut shutdown = Box::pin(executor.shutdown(ms(1_000)));
    assert!(poll(shutdown.as_mut()).is_pending());
    let refused = waiting.await.unwrap_err();
    assert!(refused.is_shutting_down());
    assert_eq!(refused.into_job().await, 7);
    time.advance(ms(1_001));
    let leftover = shutdown.await;
    assert_eq!((leftover.interrupted, leftover.not_run), (vec!["a"], vec!["a"]));
}

/// A shutdown that is given up refuses on; the next one says what the first did not.
#[tokio::test]
async fn a_dropped_shutdown_may_be_called_again() {
    let time = ManualClock::new();
    let executor = KeyedExecutor::with_clock(1, 8, time.clock());
    let stuck = executor.submit("a", std::future::pending::<()>()).await.unwrap();
    tokio::task::yield_now().await;
    let mut dropped = Box::pin(executor.shutdown(ms(1_000)));
    assert!(poll(dropped.as_mut()).is_pending());
    drop(dropped);
    time.advance(ms(5_000));
    assert!(executor.try_submit("b", async {}).is_err());
    let leftover = executor.shutdown(ms(0)).await;
    assert_eq!(leftover.interrupted, ["a"]);
    assert_eq!(stuck.await, Err(JobError::Interrupted));
}

type Done = Arc<Mutex<BTreeMap<u8, Vec<usize>>>>;

async fn job(done: Done, key: u8, number: usize, awaits: usize) {
    for _ in 0..awaits {
        tokio::task::yield_now().await;
    }
    done.lock().unwrap().entry(key).or_default().push(number);
}

proptest! {
    /// Whenever the deadline comes: done, interrupted and not run add up, in order for each key.
    #[test]
    fn what_a_shutdown_says_is_what_happened(
        lanes in 1..4_usize,
        jobs in prop::collection::vec((0..6_u8, 0..6_usize), 1..40),
        head_start in 0..40_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let time = ManualClock::new();
            let executor = KeyedExecutor::with_clock(lanes, 64, time.clock());
            let (done, mut submitted) = (Done::default(), Vec::new());
            for (number, (key, awaits)) in jobs.iter().enumerate() {
                let job = job(done.clone(), *key, number, *awaits);
                submitted.push((*key, number, executor.submit(*key, job).await.unwrap()));
            }
            for _ in 0..head_start {
                tokio::task::yield_now().await;
            }
            let leftover = executor.shutdown(ms(0)).await;
            let mut expected: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            let (mut interrupted, mut not_run) = (Vec::new(), Vec::new());
            for (key, number, submitted) in submitted {
                match submitted.await {
                    Ok(()) => expected.entry(key).or_default().push(number),
                    Err(JobError::Interrupted) => interrupted.push(key),
                    Err(JobError::NotRun) => not_run.push(key),
                    Err(other) => panic!("{other}"),
                }
                let late = not_run.contains(&key) && expected.get(&key).is_some_and(|d| d.last() == Some(&number));
                assert!(!late, "{number} was run after one of {key} that was not");
            }
            assert_eq!(*done.lock().unwrap(), expected);
            let sorted = |mut keys: Vec<u8>| {
                keys.sort_unstable();
                keys
            };
            assert_eq!(sorted(leftover.interrupted), sorted(interrupted));
            assert_eq!(sorted(leftover.not_run), sorted(not_run));
        });
    }
}
