//! Locks that many read under, or one writes under.

use futures_util::FutureExt;
use mainstay_lock::{Fence, LockError, LostReason, Mode, Reentrancy, Released};

use crate::{faulty::Faulty, manual, ms};

#[tokio::test]
async fn readers_share_and_a_writer_is_alone() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let (one, two) = (lock.read().await.unwrap(), lock.read().await.unwrap());
    assert!(one.is_held() && two.is_held() && two.fence() > one.fence());
    assert!(lock.try_write().await.unwrap().is_none());
    assert_eq!(one.release().await, Released::Released);
    assert!(lock.try_write().await.unwrap().is_none());
    drop(two);
    let writer = lock.try_write().await.unwrap().unwrap();
    assert!(writer.fence() > one.fence());
    assert!(lock.try_read().await.unwrap().is_none() && lock.try_write().await.unwrap().is_none());
}

/// One name is one lock, whichever way it is asked for.
#[tokio::test]
async fn a_plain_lock_excludes_readers_and_is_excluded_by_them() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let plain = locks.lock("rates").await.unwrap();
    assert!(lock.try_read().await.unwrap().is_none());
    drop(plain);
    let reader = lock.read().await.unwrap();
    assert!(locks.try_lock("rates").await.unwrap().is_none());
    drop(reader);
    assert!(locks.try_lock("rates").await.unwrap().is_some());
}

#[tokio::test]
async fn a_reader_does_not_pass_a_waiting_writer() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let first = lock.read().await.unwrap();
    let writer = tokio::spawn(lock.write().into_future());
    time.settle().await;
    assert!(lock.try_read().await.unwrap().is_none(), "it passed the writer");
    let mut behind = Vec::new();
    for _ in 0..3 {
        behind.push(tokio::spawn(lock.read().into_future()));
        time.settle().await;
    }
    let last = tokio::spawn(lock.write().into_future());
    time.settle().await;
    assert!(!writer.is_finished() && behind.iter().all(|reader| !reader.is_finished()));
    drop(first);
    let writer = writer.await.unwrap().unwrap();
    time.settle().await;
    assert!(behind.iter().all(|reader| !reader.is_finished()), "a reader beside the writer");
    drop(writer);
    let mut readers = Vec::new();
    for reader in behind {
        readers.push(reader.await.unwrap().unwrap());
    }
    assert!(readers.iter().all(|reader| reader.is_held()), "they were to get in together");
    assert!(readers.is_sorted_by_key(|reader| reader.fence()) && !last.is_finished());
    drop(readers);
    assert!(last.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_writer_that_gives_up_lets_the_readers_behind_it_in() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let _reader = lock.read().await.unwrap();
    let writer = tokio::spawn(lock.write().wait(ms(100)).into_future());
    time.settle().await;
    let behind = tokio::spawn(lock.read().into_future());
    time.settle().await;
    assert!(!behind.is_finished());
    time.run_for(ms(100)).await;
    assert!(writer.await.unwrap().unwrap_err().is_timeout());
    assert!(behind.await.unwrap().unwrap().is_held());
}

#[tokio::test]
async fn each_reader_has_a_lease_of_its_own() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(900)).wait(ms(60_000)).in_process();
    let lock = locks.read_write("rates");
    let kept = lock.read().await.unwrap();
    let ends = lock.read().fixed_lease(ms(300)).await.unwrap();
    let writer = tokio::spawn(lock.write().into_future());
    time.run_for(ms(5_000)).await;
    assert!(kept.is_held() && !ends.is_held() && !writer.is_finished());
    assert_eq!(ends.lost().await, LostReason::Expired);
    assert_eq!(locks.inspect("rates").await.unwrap().reader_count, 1);
    kept.extend(ms(200)).await.unwrap();
    drop(ends);
    drop(kept);
    assert!(writer.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_pause_ends_all_readers_and_lets_the_writer_in() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(900)).wait(ms(60_000)).in_process();
    let lock = locks.read_write("rates");
    let readers = [lock.read().await.unwrap(), lock.read().await.unwrap()];
    let writer = tokio::spawn(lock.write().into_future());
    time.settle().await;
    time.advance(ms(1_000));
    assert!(readers.iter().all(|reader| !reader.is_held()));
    let writer = writer.await.unwrap().unwrap();
    assert!(readers.iter().all(|reader| reader.fence() < writer.fence()));
}

#[tokio::test]
async fn force_takes_it_from_all_readers() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let readers = [lock.read().await.unwrap(), lock.read().await.unwrap()];
    assert!(locks.force_release("rates", "stuck").await.unwrap());
    for reader in &readers {
        assert_eq!(reader.lost().await, LostReason::ForceReleased { reason: "stuck".into() });
    }
    assert!(lock.try_write().await.unwrap().is_some());
}

#[tokio::test]
async fn inspect_shows_the_readers() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let one = lock.read().metadata("one").await.unwrap();
    time.advance(ms(10));
    let two = lock.read().await.unwrap();
    let info = locks.inspect("rates").await.unwrap();
    assert!(info.is_held() && info.holder.is_none());
    let shown: Vec<_> = info.readers.iter().map(|reader| (reader.fence, reader.held_for)).collect();
    assert_eq!(shown, [(one.fence(), ms(10)), (two.fence(), ms(0))]);
    assert_eq!(info.readers[0].metadata.as_deref(), Some("one"));
}

#[tokio::test]
async fn a_read_inside_a_write_or_a_read_is_the_same_hold() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    for outer in [lock.write(), lock.read()] {
        let outer = outer.await.unwrap();
        let inner = outer.scope(lock.read().into_future()).await.unwrap();
        assert_eq!(inner.fence(), outer.fence());
        assert_eq!(outer.release().await, Released::Nested { guards: 1 });
        assert!(inner.is_held());
    }
}

#[tokio::test]
async fn a_write_inside_a_read_is_refused_at_once() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let lock = locks.read_write("rates");
    let reader = lock.read().await.unwrap();
    let refused = reader.scope(lock.write().into_future()).await.unwrap_err();
    assert!(refused.is_misuse(), "{refused:?}");
    let said = "lock `rates` is held by this very scope for reading, and a second request would wait for it; \
                release it before asking to write";
    assert_eq!(refused.to_string(), said);
    let plain = reader.scope(locks.lock("rates").reentrancy(Reentrancy::Scope).into_future()).await;
    assert!(matches!(plain, Err(LockError::WouldDeadlock { held: Mode::Shared, .. })), "{plain:?}");
    // Released, it is a lock like any other.
    let scope = reader.scope(lock.try_write());
    drop(reader);
    assert!(scope.await.unwrap().is_some());
}

#[tokio::test]
async fn denied_re_entry_holds_for_readers_too() {
    let (_time, builder) = manual();
    let locks = builder.reentrancy(Reentrancy::Deny).in_process();
    let lock = locks.read_write("rates");
    let reader = lock.read().await.unwrap();
    let refused = reader.scope(lock.read().into_future()).now_or_never().unwrap();
    assert!(matches!(refused, Err(LockError::WouldDeadlock { .. })), "{refused:?}");
}

/// A backend that does not share says so; nothing is asked of it.
#[tokio::test]
async fn a_backend_that_does_not_share_refuses_readers() {
    let (_time, builder) = manual();
    let locks = builder.backend(crate::regrant::Fleeting::default());
    let refused = locks.read_write("rates").read().await.unwrap_err();
    assert!(matches!(refused, LockError::Unsupported { what: "shared", .. }), "{refused:?}");
    assert!(refused.is_misuse() && refused.retry_after().is_none());
}

#[tokio::test]
async fn many_readers_come_and_go_behind_the_seam() {
    let (time, builder) = manual();
    let backend = Faulty::new(time.clock(), ms(2));
    let locks = builder.lease(ms(3_000)).wait(ms(60_000)).backend(backend.clone());
    let mut tasks = Vec::new();
    for number in 0..40_u64 {
        let lock = locks.read_write("rates");
        let clock = time.clock();
        tasks.push(tokio::spawn(async move {
            let request = if number % 5 == 0 { lock.write() } else { lock.read() };
            let guard = request.await?;
            clock.sleep(ms(number % 7)).await;
            assert!(guard.is_held());
            Ok::<Fence, LockError>(guard.fence())
        }));
    }
    time.run_for(ms(20_000)).await;
    for task in tasks {
        assert!(task.now_or_never().expect("everybody is served").unwrap().unwrap() > Fence::NONE);
    }
    assert!(backend.store().is_empty(), "left: {:?}", backend.store());
}
