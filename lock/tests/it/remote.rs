//! Locks behind the seam: answers that are lost, late, or never come.

use std::sync::atomic::Ordering;

use mainstay_lock::{LockError, Locks, LostReason, ManualClock, Released, backend::Backend, key};

use crate::{faulty::Faulty, manual, ms};

fn remote(delay: u64) -> (ManualClock, Faulty, Locks) {
    let (time, builder) = manual();
    let backend = Faulty::new(time.clock(), ms(delay));
    let locks = builder.lease(ms(3_000)).wait(ms(1_000)).backend(backend.clone());
    (time, backend, locks)
}

/// The lock was set and the reply lost: neither an orphan for a whole lease nor a second holder.
#[tokio::test]
async fn setnx_reply_lost() {
    let (time, backend, locks) = remote(0);
    backend.faults().mute.store(true, Ordering::Relaxed);
    let lost = locks.lock("a").await.unwrap_err();
    assert!(lost.is_unknown(), "{lost}");
    assert!(!backend.store().is_empty() || backend.faults().calls.load(Ordering::Relaxed) > 1);
    backend.faults().mute.store(false, Ordering::Relaxed);
    time.run_for(ms(1_000)).await;
    assert!(backend.store().is_empty(), "an orphan stays for its lease");
    assert!(locks.try_lock("a").await.unwrap().is_some());
}

#[tokio::test]
async fn release_failed_can_be_retried() {
    let (time, backend, locks) = remote(0);
    let guard = locks.lock("a").await.unwrap();
    backend.faults().mute.store(true, Ordering::Relaxed);
    assert_eq!(guard.release().await, Released::Unknown);
    backend.faults().mute.store(false, Ordering::Relaxed);
    assert_eq!(guard.release().await, Released::Released);
    let guard = locks.lock("a").await.unwrap();
    backend.faults().down.store(true, Ordering::Relaxed);
    assert_eq!(guard.release().await, Released::Unknown);
    drop(guard);
    backend.faults().down.store(false, Ordering::Relaxed);
    // Nobody asks again: it is sent again by itself.
    time.run_for(ms(1_000)).await;
    assert!(backend.store().is_empty());
}

/// What was never asked to be given back was not given back: if it is gone later, others may have had it.
#[tokio::test]
async fn a_release_that_was_never_sent_does_not_explain_a_loss() {
    let (_time, backend, locks) = remote(0);
    let guard = locks.lock("a").await.unwrap();
    backend.faults().down.store(true, Ordering::Relaxed);
    assert_eq!(guard.release().await, Released::Unknown);
    backend.faults().down.store(false, Ordering::Relaxed);
    let flushed = Backend::force_release(backend.store(), guard.key(), "flushed".into());
    assert!(flushed.await.unwrap());
    let lost = Released::AlreadyLost { reason: LostReason::TakenOver };
    assert_eq!(guard.release().await, lost);
}

#[tokio::test]
async fn a_request_that_never_arrived_is_a_failure() {
    let (_time, backend, locks) = remote(0);
    backend.faults().down.store(true, Ordering::Relaxed);
    let error = locks.lock("a").await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "lock `a` could not be asked for: connection refused; nothing is held"
    );
    assert!(locks.inspect("a").await.is_err() && locks.force_release("a", "x").await.is_err());
}

#[tokio::test]
async fn a_run_whose_release_is_unknown_still_returns_its_output() {
    let (_time, backend, locks) = remote(0);
    let faults = backend.clone();
    let work = async move {
        faults.faults().mute.store(true, Ordering::Relaxed);
        Ok::<_, LockError>("committed")
    };
    assert_eq!(locks.lock("a").run(work).await.unwrap(), "committed");
}

#[tokio::test]
async fn silence_ends_the_hold_before_the_server_does() {
    let (time, backend, locks) = remote(0);
    let guard = locks.lock("a").await.unwrap();
    backend.faults().down.store(true, Ordering::Relaxed);
    time.run_for(ms(2_960)).await;
    assert!(guard.is_held());
    // 1 % and 2 ms before the lease ends over there.
    time.run_for(ms(8)).await;
    assert!(!guard.is_held());
    assert!(!backend.store().is_empty(), "the server's lease was to end later");
    assert_eq!(guard.lost().await, LostReason::Unreachable);
    time.run_for(ms(32)).await;
    backend.faults().down.store(false, Ordering::Relaxed);
    assert!(locks.try_lock("a").await.unwrap().is_some());
    assert!(!guard.is_held());
}

#[tokio::test]
async fn a_short_silence_is_survived() {
    let (time, backend, locks) = remote(0);
    let guard = locks.lock("a").await.unwrap();
    for _ in 0..5 {
        backend.faults().down.store(true, Ordering::Relaxed);
        time.run_for(ms(1_700)).await;
        backend.faults().down.store(false, Ordering::Relaxed);
        time.run_for(ms(1_700)).await;
    }
    assert!(guard.is_held());
}

#[tokio::test]
async fn leases_are_renewed_in_batches() {
    let (time, backend, locks) = remote(0);
    let mut guards = Vec::new();
    for number in 0..250 {
        guards.push(locks.lock(key!("order:{}", number)).await.unwrap());
    }
    let before = backend.faults().calls.load(Ordering::Relaxed);
    time.run_for(ms(1_000)).await;
    let calls = backend.faults().calls.load(Ordering::Relaxed) - before;
    assert_eq!(calls, 3, "250 locks in chunks of 100");
    assert!(guards.iter().all(|guard| guard.is_held()));
}

#[tokio::test]
async fn a_grant_that_took_longer_than_its_lease_is_never_handed_out() {
    let (time, backend, locks) = remote(2_000);
    let late = tokio::spawn(locks.lock("a").fixed_lease(ms(3_000)).into_future());
    time.run_for(ms(60_000)).await;
    let result = late.await.unwrap();
    assert!(result.as_ref().is_err_and(LockError::is_timeout), "{result:?}");
    time.run_for(ms(60_000)).await;
    assert!(backend.store().is_empty());
}

/// Work that begins with a lease that is all but over would be lost at once.
#[tokio::test]
async fn a_grant_with_little_left_of_its_lease_is_given_back() {
    let (time, backend, locks) = remote(2_000);
    // It arrives after 4 s of its lease.
    for (lease, is_worth_having) in [(4_200, false), (5_000, true)] {
        let request = locks.lock("a").fixed_lease(ms(lease)).wait(ms(9_000));
        let request = tokio::spawn(request.into_future());
        time.run_for(ms(60_000)).await;
        assert_eq!(request.await.unwrap().is_ok(), is_worth_having, "with {lease} ms");
        time.run_for(ms(60_000)).await;
        assert!(backend.store().is_empty());
    }
}

#[tokio::test]
async fn a_call_on_the_wire_outlives_the_one_who_made_it() {
    let (time, backend, locks) = remote(100);
    for after in [0, 50, 100, 150, 199, 200, 201] {
        let request = tokio::spawn(locks.lock("a").into_future());
        time.run_for(ms(after)).await;
        request.abort();
        drop(request);
        time.run_for(ms(1_000)).await;
        assert!(backend.store().is_empty(), "dropped after {after} ms and left behind");
    }
    assert!(backend.faults().calls.load(Ordering::Relaxed) >= 12);
}

#[tokio::test]
async fn a_store_that_forgets_its_queue_is_asked_again() {
    let (time, backend, locks) = remote(0);
    backend.faults().deaf.store(true, Ordering::Relaxed);
    let guard = locks.lock("a").fixed_lease(ms(500)).await.unwrap();
    let waiter = tokio::spawn(locks.lock_timeout("a", ms(20_000)));
    time.run_for(ms(10_000)).await;
    assert!(waiter.await.unwrap().unwrap().is_held());
    assert!(!guard.is_held());
}

#[tokio::test]
async fn a_renewal_answered_after_the_deadline_revives_nothing() {
    let (time, _backend, locks) = remote(300);
    let guard = tokio::spawn(locks.lock("a").into_future());
    time.run_for(ms(1_400)).await;
    let guard = guard.await.unwrap().unwrap();
    // The server has renewed; its answer is on the wire, and would last until later than now.
    time.advance(ms(2_100));
    assert!(!guard.is_held());
    time.settle().await;
    assert!(!guard.is_held(), "held, not held, and held again");
    assert_eq!(guard.lost().await, LostReason::Expired);
}

/// A process that ends after its shutdown would leave them behind until their leases end.
#[tokio::test]
async fn a_shutdown_waits_for_what_is_being_given_back() {
    let (time, backend, locks) = remote(100);
    let guard = tokio::spawn(locks.lock("a").into_future());
    time.run_for(ms(300)).await;
    let request = tokio::spawn(locks.lock("b").into_future());
    time.run_for(ms(50)).await;
    request.abort();
    drop((guard.await.unwrap().unwrap(), request));
    let ended = tokio::spawn(async move {
        let taken = locks.shutdown(ms(5_000)).await;
        (taken, backend.store().is_empty())
    });
    time.run_for(ms(2_000)).await;
    assert_eq!(ended.await.unwrap(), (0, true));
}

/// A server that has just started knows no scripts: a renewal that has to be sent again arrives late.
#[tokio::test]
async fn a_renewal_that_arrives_behind_the_release_says_nothing_about_it() {
    let (time, backend, locks) = remote(0);
    let guard = locks.lock("a").await.unwrap();
    backend.faults().late_renewals.store(500, Ordering::Relaxed);
    backend.faults().late_releases.store(500, Ordering::Relaxed);
    time.run_for(ms(1_200)).await;
    let released = tokio::spawn(async move { guard.release().await });
    time.run_for(ms(1_000)).await;
    assert_eq!(released.await.unwrap(), Released::Released);
}
