//! Requests: keys, terms, errors, configuration.

use std::sync::{Arc, Mutex};

use mainstay_core::transaction;
use mainstay_lock::{
    Fence, LockError, LockEvent, LockOrder, Locks, LocksConfig, LostReason, Reentrancy, Released,
    With, key,
};

use crate::{manual, ms};

#[tokio::test]
async fn a_bad_key_is_reported_when_the_request_is_used() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let request = locks.lock("order::7");
    assert!(matches!(request.await, Err(LockError::InvalidKey(_))));
    assert!(matches!(locks.try_lock(key!("order:{}", "")).await, Err(LockError::InvalidKey(_))));
    let error = locks.inspect("").await.unwrap_err();
    assert!(error.is_misuse(), "{error}");
}

#[tokio::test]
async fn run_returns_the_works_output_and_releases() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let request = locks.lock("order:7");
    let lock = request.handle();
    assert!(!lock.is_held() && lock.fence() == Fence::NONE);
    assert_eq!(lock.lost().await, LostReason::NotHeld);
    let inside = lock.clone();
    let work = async move { Ok::<_, LockError>((inside.is_held(), inside.token())) };
    let (held, token) = request.run(work).await.unwrap();
    assert!(held && token > Fence::NONE && !lock.is_held());
    assert_eq!((lock.token(), lock.lost().await), (token, LostReason::Released));
    assert!(!locks.inspect("order:7").await.unwrap().is_held());
}

#[tokio::test]
async fn run_or_decides_what_a_refused_call_returns() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let _guard = locks.lock("order:7").await.unwrap();
    let reject = With(|error: LockError| {
        assert!(error.is_contended() && error.is_busy());
        assert!(error.retry_after().is_some());
        Ok::<_, std::convert::Infallible>("busy")
    });
    let request = locks.lock("order:7").wait(ms(0));
    assert_eq!(request.run_or(reject, async { Ok("done") }).await, Ok("busy"));
}

#[tokio::test]
async fn a_lock_is_refused_inside_a_transaction() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let refused = transaction::inside(locks.lock("order:7").into_future()).await;
    assert!(matches!(refused, Err(LockError::InsideTransaction { .. })), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("take the lock first"));
    // Lock, then transaction, then the same lock again: it encloses the transaction.
    let guard = locks.lock("order:7").await.unwrap();
    let again = transaction::inside(locks.lock("order:7").into_future());
    assert!(guard.scope(again).await.is_ok());
}

#[tokio::test]
async fn the_text_of_a_time_out_says_what_stands_in_the_way() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(30_000)).in_process();
    let _guard = locks.lock("order:7").await.unwrap();
    let _first = tokio::spawn(locks.lock("order:7").into_future());
    time.settle().await;
    let waiter = tokio::spawn(locks.lock_timeout("order:7", ms(250)));
    time.run_for(ms(250)).await;
    let error = waiter.await.unwrap().unwrap_err();
    assert_eq!(
        error.to_string(),
        "lock `order:7` is held elsewhere (its lease has 29.75s left); waited 250ms at place 2 of \
         the queue; try again or allow a longer wait"
    );
    assert!(error.is_timeout());
}

#[tokio::test]
async fn several_locks_are_taken_in_one_order_and_all_or_none() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let set = locks.lock_all(["c", "a", "b", "a"]).await.unwrap();
    let names: Vec<_> = set.guards().iter().map(|guard| guard.key().to_string()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(set.is_held());
    let other = tokio::spawn(locks.lock_all(["d", "c"]).wait(ms(100)).into_future());
    time.run_for(ms(100)).await;
    assert!(other.await.unwrap().unwrap_err().is_timeout());
    assert!(locks.try_lock("d").await.unwrap().is_some(), "what was got is given back");
    locks.force_release("b", "test").await.unwrap();
    let lost = set.lost().await;
    assert_eq!((lost.key.as_str(), set.is_held()), ("b", false));
    let released: Vec<_> = set.release().await.into_iter().map(|(_, released)| released).collect();
    let reason = LostReason::ForceReleased { reason: "test".into() };
    let b = Released::AlreadyLost { reason };
    assert_eq!(released, [Released::Released, b, Released::Released]);
    assert!(locks.lock_all(["x", "y::z"]).await.is_err());
    assert!(locks.lock_all(Vec::<&str>::new()).await.unwrap().is_held());
}

#[tokio::test]
async fn opposite_orders_do_not_deadlock() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let mut tasks = Vec::new();
    for number in 0..20 {
        let keys = if number % 2 == 0 { ["left", "right"] } else { ["right", "left"] };
        let (locks, clock) = (locks.clone(), time.clock());
        tasks.push(tokio::spawn(async move {
            let _set = locks.lock_all(keys).await?;
            clock.sleep(ms(5)).await;
            Ok::<_, LockError>(())
        }));
    }
    time.run_for(ms(1_000)).await;
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn every_step_is_an_event() {
    let (time, builder) = manual();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    let observer = move |event: &LockEvent<'_>| {
        let name = format!("{event:?}");
        let name = name.split([' ', '{']).next().unwrap().to_owned();
        log.lock().unwrap().push(name);
    };
    let locks = builder.observer(observer).in_process();
    let guard = locks.lock("a").await.unwrap();
    drop(guard.reenter().unwrap());
    drop(guard.scope(locks.lock("a").into_future()).await);
    let waiter = tokio::spawn(locks.lock_timeout("a", ms(50)));
    time.run_for(ms(50)).await;
    assert!(waiter.await.unwrap().is_err());
    time.run_for(ms(10_000)).await;
    locks.force_release("a", "test").await.unwrap();
    drop(guard);
    drop(locks.lock("a").await.unwrap());
    let seen = seen.lock().unwrap().join(" ");
    assert_eq!(seen, "Acquired Reentered Queued Refused Renewing Lost Acquired Released");
}

#[test]
fn without_a_runtime_a_lock_is_refused_and_nothing_panics() {
    use futures_util::FutureExt;
    let locks = Locks::in_process();
    let refused = locks.lock("a").into_future().now_or_never().unwrap();
    assert!(matches!(refused, Err(LockError::Backend { .. })), "{refused:?}");
}

#[test]
fn a_guard_may_be_dropped_outside_the_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = runtime.block_on(locks.lock("a").into_future()).unwrap();
    drop(guard);
    assert!(runtime.block_on(locks.try_lock("a")).unwrap().is_some());
}

#[test]
fn locks_outlive_the_runtime_they_were_first_used_on() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(300)).in_process();
    let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime().block_on(locks.lock("a").into_future()).map(drop).unwrap();
    runtime().block_on(async {
        let guard = locks.lock("a").await.unwrap();
        time.run_for(ms(3_000)).await;
        assert!(guard.is_held(), "nobody renews on the second runtime");
    });
}

#[test]
fn configuration_is_serde() {
    let text = r#"{"lease":"30s","wait":"10s","max_hold":"1h","strict_fifo":false,"reentrancy":"scope","lock_order":"off"}"#;
    let mut config = LocksConfig::default();
    // The default depends on the build.
    config.lock_order = LockOrder::Off;
    assert_eq!(serde_json::to_string(&config).unwrap(), text);
    assert_eq!(serde_json::from_str::<LocksConfig>(text).unwrap(), config);
    let partial: LocksConfig =
        serde_json::from_str(r#"{"max_hold":null,"reentrancy":"deny"}"#).unwrap();
    assert_eq!((partial.max_hold, partial.reentrancy), (None, Reentrancy::Deny));
}

#[test]
fn futures_and_guards_are_send_and_stay_small() {
    fn is_send<T: Send + 'static>(_: &T) {}
    let locks = Locks::in_process();
    let acquire = locks.lock("a").into_future();
    is_send(&acquire);
    is_send(&locks.try_lock("a"));
    let size = size_of_val(&acquire);
    assert!(size <= 256, "an acquire takes {size} bytes");
    let body = [0_u8; 1_000];
    let work = async move {
        tokio::task::yield_now().await;
        Ok::<_, LockError>(body.len())
    };
    let (plain, run) = (size_of_val(&work), size_of_val(&locks.lock("a").run(work)));
    assert!(run <= plain + 400, "the work is stored once: {plain} became {run}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn threads_never_overlap_and_leave_nothing() {
    let store = mainstay_lock::InProcess::new(mainstay_lock::Clock::boot());
    let locks = Locks::builder().wait(ms(60_000)).store(store.clone());
    let counter = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let work = |number: u32| {
        let (locks, counter) = (locks.clone(), counter.clone());
        async move {
            for round in 0..200 {
                if (number + round).is_multiple_of(7) {
                    // Asked for and thought better of.
                    let mut fickle = Box::pin(locks.lock("a").into_future());
                    _ = futures_util::FutureExt::now_or_never(&mut fickle);
                }
                let _guard = locks.lock("a").await.unwrap();
                // A lost update unless one at a time.
                let before = counter.load(std::sync::atomic::Ordering::Relaxed);
                tokio::task::yield_now().await;
                counter.store(before + 1, std::sync::atomic::Ordering::Relaxed);
            }
        }
    };
    let tasks: Vec<_> = (0..16).map(|number| tokio::spawn(work(number))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(counter.load(std::sync::atomic::Ordering::Relaxed), 3_200);
    assert!(store.is_empty());
}
