//! The mark of an open transaction follows its future, not its task.

use mainstay_core::transaction::{inside, is_open};

#[tokio::test]
async fn the_mark_covers_the_future_and_nothing_beside_it() {
    let beside = async { is_open() };
    let within = inside(async {
        tokio::task::yield_now().await;
        is_open()
    });
    assert_eq!(tokio::join!(within, beside), (true, false));
    assert!(!is_open());
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test is about spawned tasks")]
async fn a_spawned_task_does_not_inherit_it() {
    let spawned =
        inside(async { tokio::spawn(async { is_open() }).await.expect("it does not panic") });
    assert!(!spawned.await);
}
