//! Several locks behind the seam: one round trip where they are free.

use std::sync::{Arc, Mutex, atomic::Ordering};

use futures_util::FutureExt;
use mainstay_lock::{LockError, LockEvent, Locks, ManualClock};
use mainstay_testkit::cancel::cancel_at_every_await_async;

use crate::{faulty::Faulty, manual, ms};

fn remote(delay: u64) -> (ManualClock, Faulty, Locks) {
    let (time, builder) = manual();
    let backend = Faulty::new(time.clock(), ms(delay));
    let locks = builder.lease(ms(60_000)).wait(ms(60_000)).backend(backend.clone());
    (time, backend, locks)
}

const NAMES: [&str; 3] = ["c", "a", "b"];

#[tokio::test]
async fn free_locks_take_one_round_trip() {
    let (time, backend, locks) = remote(5);
    let mut all = Box::pin(locks.lock_all(NAMES).into_future());
    assert!(all.as_mut().now_or_never().is_none());
    time.run_for(ms(10)).await;
    let set = all.now_or_never().expect("there and back").unwrap();
    assert_eq!(backend.faults().calls.load(Ordering::Relaxed), 3);
    let keys: Vec<_> = set.guards().iter().map(|guard| guard.key().to_string()).collect();
    assert_eq!(keys, ["a", "b", "c"]);
    assert!(set.is_held());
}

#[tokio::test]
async fn one_that_is_held_is_waited_for_in_order_and_those_behind_it_are_free() {
    let (time, _backend, locks) = remote(0);
    let held = locks.lock("b").await.unwrap();
    let all = tokio::spawn(locks.lock_all(NAMES).into_future());
    time.settle().await;
    assert!(locks.try_lock("a").await.unwrap().is_none(), "it comes before the one waited for");
    assert!(locks.try_lock("c").await.unwrap().is_some(), "it comes behind the one waited for");
    drop(held);
    assert!(all.await.unwrap().unwrap().is_held());
}

#[tokio::test]
async fn without_time_to_wait_none_of_them_is_kept() {
    let (time, backend, locks) = remote(0);
    let held = locks.lock("b").await.unwrap();
    let refused = locks.lock_all(NAMES).wait(ms(0)).await.unwrap_err();
    assert!(matches!(&refused, LockError::Contended { key, .. } if key.to_string() == "b"));
    drop(held);
    time.settle().await;
    assert!(backend.store().is_empty());
}

/// An answer that is missing is not mended by waiting.
#[tokio::test]
async fn an_unknown_outcome_is_told_and_everything_is_given_back() {
    let (time, backend, locks) = remote(0);
    let held = locks.lock("b").await.unwrap();
    backend.faults().mute.store(true, Ordering::Relaxed);
    let unknown = locks.lock_all(NAMES).await.unwrap_err();
    assert!(unknown.is_unknown(), "{unknown}");
    backend.faults().mute.store(false, Ordering::Relaxed);
    drop(held);
    time.run_for(ms(2_000)).await;
    assert!(backend.store().is_empty(), "left: {:?}", backend.store());
}

#[tokio::test]
async fn a_lock_that_was_waited_for_was_not_refused() {
    let (time, builder) = manual();
    let refusals = Arc::new(Mutex::new(0));
    let count = refusals.clone();
    let observer = move |event: &LockEvent<'_>| {
        if let LockEvent::Refused { .. } = event {
            *count.lock().unwrap() += 1;
        }
    };
    let locks = builder.observer(observer).backend(Faulty::new(time.clock(), ms(0)));
    let held = locks.lock("b").await.unwrap();
    let all = tokio::spawn(locks.lock_all(NAMES).into_future());
    time.settle().await;
    drop(held);
    assert!(all.await.unwrap().is_ok());
    assert_eq!(*refusals.lock().unwrap(), 0);
    let _held = locks.lock("b").await.unwrap();
    assert!(locks.lock_all(NAMES).wait(ms(0)).await.is_err());
    assert_eq!(*refusals.lock().unwrap(), 1);
}

#[tokio::test]
async fn dropped_at_any_await_nothing_is_kept() {
    let (time, backend, locks) = remote(2);
    let ticker = tokio::spawn({
        let time = time.clone();
        async move {
            loop {
                time.run_for(ms(1)).await;
            }
        }
    });
    let call = || async {
        let held = locks.lock("b").await?;
        let all = locks.lock_all(NAMES);
        let ends = async {
            locks.clock().sleep(ms(7)).await;
            held.release().await;
        };
        let (set, ()) = tokio::join!(all.into_future(), ends);
        drop(set?.release().await);
        Ok::<_, LockError>(())
    };
    cancel_at_every_await_async(call).await.output.unwrap();
    ticker.abort();
    time.run_for(ms(1_000)).await;
    assert!(backend.store().is_empty(), "left behind: {:?}", backend.store());
}
