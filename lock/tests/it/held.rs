//! Holding: renewal, deadlines, loss, release.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt;
use mainstay_lock::{LockError, LostReason, Released};

use crate::{manual, ms};

#[tokio::test]
async fn a_pause_longer_than_the_lease_shows_on_the_first_call() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).in_process();
    let guard = locks.lock("a").await.unwrap();
    time.advance(ms(999));
    assert!(guard.is_held());
    time.advance(ms(1));
    // Nobody else has run since.
    assert!(!guard.is_held() && guard.remaining().is_zero());
    assert_eq!(guard.lost().await, LostReason::Expired);
    time.settle().await;
    assert!(!guard.is_held(), "what is lost stays lost");
    let reason = LostReason::Expired;
    assert_eq!(guard.release().await, Released::AlreadyLost { reason });
}

#[tokio::test]
async fn a_pause_frees_the_lock_to_the_head_waiter() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).wait(ms(60_000)).in_process();
    let paused = locks.lock("a").await.unwrap();
    let waiter = tokio::spawn(locks.lock("a").into_future());
    time.settle().await;
    time.advance(ms(1_500));
    let next = waiter.await.unwrap().unwrap();
    assert!(next.is_held() && !paused.is_held() && next.fence() > paused.fence());
}

#[tokio::test]
async fn renewal_ends_with_the_release() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(900)).in_process();
    let guard = locks.lock("a").await.unwrap();
    time.run_for(ms(10_000)).await;
    assert!(guard.is_held());
    guard.release().await;
    let next = locks.lock("a").fixed_lease(ms(900)).await.unwrap();
    time.run_for(ms(899)).await;
    assert!(next.is_held());
    time.run_for(ms(1)).await;
    assert!(!next.is_held(), "somebody renewed a lock that is not theirs");
}

#[tokio::test]
async fn ten_thousand_locks_share_one_timer_and_few_wakeups() {
    let (time, builder) = manual();
    let renewals = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = renewals.clone();
    let observer = move |event: &mainstay_lock::LockEvent<'_>| {
        if let mainstay_lock::LockEvent::Renewing { locks } = event {
            log.lock().unwrap().push(*locks);
        }
    };
    let locks = builder.observer(observer).in_process();
    let mut guards = Vec::new();
    for number in 0..10_000 {
        guards.push(locks.lock(mainstay_lock::key!("order:{}", number)).await.unwrap());
    }
    time.settle().await;
    assert_eq!(time.sleepers(), 1);
    time.run_for(ms(10_500)).await;
    let renewals = renewals.lock().unwrap().clone();
    assert_eq!(renewals.iter().sum::<usize>(), 10_000);
    assert!(renewals.len() <= 4, "{} batches", renewals.len());
    assert!(guards.iter().all(|guard| guard.is_held()));
}

#[tokio::test]
async fn run_drops_the_work_when_the_lock_is_lost() {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let (time, builder) = manual();
    let locks = builder.in_process();
    let dropped = Arc::new(AtomicBool::new(false));
    let mark = Dropped(dropped.clone());
    let work = locks.lock("a").run(async move {
        let _mark = mark;
        pending::<Result<(), LockError>>().await
    });
    let call = tokio::spawn(work);
    time.settle().await;
    assert!(locks.force_release("a", "operator").await.unwrap());
    let error = call.await.unwrap().unwrap_err();
    assert!(dropped.load(Ordering::SeqCst));
    assert!(error.is_lost());
    assert_eq!(
        error.to_string(),
        "lock `a` was lost: it was taken away: operator; what was done since may overlap the next \
         holder's work"
    );
    assert!(!locks.force_release("a", "operator").await.unwrap());
}

#[tokio::test]
async fn work_that_is_done_is_done_although_the_lock_was_lost_meanwhile() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).in_process();
    // A poll that blocks for longer than the lease, and then has committed.
    let work = async {
        time.advance(ms(5_000));
        Ok::<_, LockError>("committed")
    };
    assert_eq!(locks.lock("a").run(work).await.unwrap(), "committed");
}

#[tokio::test]
async fn a_grant_that_nobody_picks_up_is_not_renewed() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).wait(ms(60_000)).in_process();
    let guard = locks.lock("a").await.unwrap();
    let mut idle = Box::pin(locks.lock("a").into_future());
    assert!(idle.as_mut().now_or_never().is_none());
    let next = tokio::spawn(locks.lock("a").into_future());
    time.settle().await;
    drop(guard);
    time.run_for(ms(2_000)).await;
    assert!(next.is_finished(), "the idle request keeps the lock for ever");
    drop(next.await.unwrap().unwrap());
    // It stands in line again when it is polled at last.
    assert!(idle.await.unwrap().is_held());
}

#[tokio::test]
async fn a_request_picked_up_late_in_its_lease_is_renewed_from_then_on() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(900)).wait(ms(60_000)).in_process();
    let guard = locks.lock("a").await.unwrap();
    let mut late = Box::pin(locks.lock("a").into_future());
    assert!(late.as_mut().now_or_never().is_none());
    drop(guard);
    time.run_for(ms(600)).await;
    let guard = late.await.unwrap();
    time.run_for(ms(5_000)).await;
    assert!(guard.is_held());
}

#[tokio::test]
async fn the_maximum_hold_ends_one_who_hangs() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).max_hold(ms(5_000)).in_process();
    let hung = tokio::spawn(locks.lock("a").run(pending::<Result<(), LockError>>()));
    time.run_for(ms(4_999)).await;
    assert!(locks.inspect("a").await.unwrap().is_held());
    time.run_for(ms(1)).await;
    assert!(!locks.inspect("a").await.unwrap().is_held());
    let error = hung.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("longer than the maximum hold"), "{error}");
}

#[tokio::test]
async fn fences_rise_over_a_calendar_that_steps_back() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let first = locks.lock("a").await.unwrap().fence();
    time.set_wall(std::time::SystemTime::UNIX_EPOCH);
    let second = locks.lock("a").await.unwrap().fence();
    assert_eq!(second.get(), first.get() + 1);
}

#[tokio::test]
async fn a_lost_signal_tells_every_watcher() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    drop(guard.lost());
    let watchers: Vec<_> = (0..3).map(|_| tokio::spawn(guard.lost())).collect();
    let handle = guard.handle();
    time.settle().await;
    drop(guard);
    for watcher in watchers {
        assert_eq!(watcher.await.unwrap(), LostReason::Released);
    }
    assert_eq!(handle.lost().await, LostReason::Released);
}
