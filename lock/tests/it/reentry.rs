//! Entering a lock that is held.

use mainstay_lock::{LockError, LockExt, LostReason, Reentrancy, Released};

use crate::{manual, ms};

#[tokio::test]
async fn nested_work_is_one_hold_with_one_fence() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let inner = locks.clone();
    let fences = locks.lock("a").run(async move {
        let outer = inner.inspect("a").await?.holder.map(|holder| holder.fence);
        let nested = inner.clone();
        let fence = inner.lock("a").wait(ms(0)).run(async move {
            let guard = nested.lock("a").wait(ms(0)).await?;
            Ok::<_, LockError>(guard.fence())
        });
        let fence = fence.await?;
        assert!(inner.inspect("a").await?.is_held(), "the inner release took the lock");
        Ok::<_, LockError>((outer, Some(fence)))
    });
    let (outer, inner) = fences.await.unwrap();
    assert_eq!(outer, inner);
    assert!(!locks.inspect("a").await.unwrap().is_held());
}

#[tokio::test]
async fn siblings_of_a_join_contend() {
    let (time, builder) = manual();
    let locks = builder.in_process();
    let one = async {
        let _guard = locks.lock("a").await?;
        time.clock().sleep(ms(50)).await;
        Ok::<_, LockError>(())
    };
    let two = async {
        time.settle().await;
        let refused = locks.lock("a").wait(ms(10)).await;
        assert!(refused.is_err_and(|error| error.is_timeout()), "a sibling entered");
    };
    let (held, (), ()) = tokio::join!(one, two, time.run_for(ms(1_000)));
    held.unwrap();
}

#[tokio::test]
async fn a_guard_alone_is_no_scope() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    assert!(locks.try_lock("a").await.unwrap().is_none());
    assert!(guard.scope(locks.try_lock("a")).await.unwrap().is_some());
    assert!(guard.run(locks.try_lock("a")).await.unwrap().unwrap().is_some());
}

#[tokio::test]
async fn a_spawned_task_inherits_only_when_it_is_told_to() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    let spawned = |inherit: bool| {
        let attempt = locks.try_lock("a");
        async move {
            if inherit {
                tokio::spawn(attempt.in_lock_scope()).await.unwrap()
            } else {
                tokio::spawn(attempt).await.unwrap()
            }
        }
    };
    assert!(guard.scope(spawned(false)).await.unwrap().is_none());
    assert!(guard.scope(spawned(true)).await.unwrap().is_some());
}

#[tokio::test]
async fn denied_re_entry_is_an_error_at_once() {
    let (_time, builder) = manual();
    let locks = builder.reentrancy(Reentrancy::Deny).in_process();
    let guard = locks.lock("a").await.unwrap();
    let refused = guard.scope(locks.lock("a").into_future()).await;
    assert!(matches!(refused, Err(LockError::WouldDeadlock { .. })), "{refused:?}");
    let allowed = locks.lock("a").reentrancy(Reentrancy::Scope).into_future();
    assert!(guard.scope(allowed).await.is_ok());
    assert!(guard.scope(locks.lock("b").into_future()).await.is_ok());
}

#[tokio::test]
async fn a_lost_lock_cannot_be_entered_again() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).in_process();
    let guard = locks.lock("a").await.unwrap();
    time.advance(ms(2_000));
    let entered = guard.scope(locks.lock("a").into_future()).await;
    assert!(entered.is_err_and(|error| error.is_lost()));
    assert_eq!(guard.reenter().unwrap_err().reason, LostReason::Expired);
}

#[tokio::test]
async fn the_last_guard_releases() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let outer = locks.lock("a").await.unwrap();
    let inner = outer.reenter().unwrap();
    assert_eq!(outer.release().await, Released::Nested { guards: 1 });
    assert!(!outer.is_held() && inner.is_held());
    assert_eq!(outer.reenter().unwrap_err().reason, LostReason::Released);
    assert!(locks.try_lock("a").await.unwrap().is_none());
    assert_eq!(inner.release().await, Released::Released);
    assert!(locks.try_lock("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_scope_whose_lock_was_released_asks_like_anybody() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    let first = guard.fence();
    let scope = guard.scope(locks.lock("a").into_future());
    drop(guard);
    assert!(scope.await.unwrap().fence() > first);
}

#[tokio::test]
async fn locks_of_another_manager_are_not_entered() {
    let (_time, builder) = manual();
    let (mine, other) = (builder.clone().in_process(), builder.in_process());
    let guard = mine.lock("a").await.unwrap();
    let theirs = guard.scope(other.lock("a").into_future()).await.unwrap();
    assert_eq!(other.inspect("a").await.unwrap().holder.unwrap().fence, theirs.fence());
}
