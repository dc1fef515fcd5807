//! Loss and release as a token.

use mainstay_lock::Released;

use crate::{faulty::Faulty, manual, ms};

#[tokio::test]
async fn a_release_cancels_the_token() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    let (one, two) = (guard.child_token(), guard.handle().child_token());
    let inner = guard.reenter().unwrap();
    guard.release().await;
    assert!(!one.is_cancelled(), "the hold goes on");
    inner.release().await;
    assert!(one.is_cancelled() && two.is_cancelled());
    assert!(guard.child_token().is_cancelled(), "one made afterwards");
}

#[tokio::test]
async fn a_loss_cancels_the_token_of_one_who_waits_for_it() {
    let (time, builder) = manual();
    let locks = builder.lease(ms(1_000)).in_process();
    for force in [true, false] {
        let guard = locks.lock("a").await.unwrap();
        let token = guard.child_token();
        let waits = tokio::spawn(async move { token.cancelled().await });
        time.settle().await;
        assert!(!waits.is_finished());
        if force {
            locks.force_release("a", "stuck").await.unwrap();
        } else {
            time.advance(ms(2_000));
        }
        waits.await.unwrap();
        assert!(!guard.is_held());
    }
}

#[tokio::test]
async fn one_child_cancels_neither_the_others_nor_the_lock() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let guard = locks.lock("a").await.unwrap();
    let (one, two) = (guard.child_token(), guard.child_token());
    one.cancel();
    assert!(!two.is_cancelled() && guard.is_held());
    drop(guard);
    assert!(two.is_cancelled());
}

#[tokio::test]
async fn a_handle_without_a_lock_has_a_cancelled_token() {
    let (_time, builder) = manual();
    let locks = builder.in_process();
    let request = locks.lock("a");
    let handle = request.handle();
    assert!(handle.child_token().is_cancelled());
    let guard = request.await.unwrap();
    assert!(!handle.child_token().is_cancelled());
    drop(guard);
}

/// Behind the seam the word on the release comes later, and the token with it.
#[tokio::test]
async fn a_remote_release_cancels_the_token_when_it_is_done() {
    let (time, builder) = manual();
    let locks = builder.backend(Faulty::new(time.clock(), ms(5)));
    let (guard, ()) = tokio::join!(locks.lock("a"), time.run_for(ms(20)));
    let guard = guard.unwrap();
    let token = guard.child_token();
    let (released, ()) = tokio::join!(guard.release(), time.run_for(ms(20)));
    assert_eq!(released, Released::Released);
    assert!(token.is_cancelled());
}
