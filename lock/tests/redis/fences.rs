//! Fences rise whatever happens to the server's data and clock.

use mainstay_lock::{Fence, key};
use mainstay_testkit::redis::{Reply, Single};

use crate::{client, key_of, keys, ms, until_empty, within};

#[tokio::test]
async fn fences_rise_over_flushes_and_deletions() {
    let server = Single::start().await.unwrap();
    let clients = [client(&server), client(&server)];
    let mut last = Fence::NONE;
    for round in 0..2_000_usize {
        let guard = within(clients[round % 2].lock("a")).await.unwrap();
        assert!(guard.fence() > last, "{} after {last} in round {round}", guard.fence());
        last = guard.fence();
        match round % 100 {
            17 => _ = server.command(&["FLUSHALL"]).await.unwrap(),
            41 => _ = server.command(&["DEL", &key_of("a", "held")]).await.unwrap(),
            _ => {}
        }
        guard.release().await;
    }
    until_empty(&server).await;
}

/// As after a step back of the server's clock: the fence of the holder is in the future.
async fn set_ahead(server: &Single, name: &str, by: i64) -> Fence {
    let held = key_of(name, "held");
    let record = server.command(&["GET", &held]).await.unwrap();
    let mut fields: Vec<_> = record.text().unwrap().split(' ').map(str::to_owned).collect();
    let ahead = fields[1].parse::<i64>().unwrap() + by;
    fields[1] = ahead.to_string();
    server.command(&["SET", &held, &fields.join(" "), "KEEPTTL"]).await.unwrap();
    Fence::new(ahead)
}

const SECOND: i64 = 1_000_000;

#[tokio::test]
async fn a_clock_that_stepped_back_leaves_a_fence_behind_until_it_caught_up() {
    let server = Single::start().await.unwrap();
    let locks = client(&server);
    let guard = within(locks.lock("a")).await.unwrap();
    let ahead = set_ahead(&server, "a", 3 * SECOND).await;
    guard.release().await;
    assert_eq!(keys(&server).await, [key_of("a", "fence")]);
    let next = within(locks.lock("a")).await.unwrap();
    assert_eq!(next.fence(), Fence::new(ahead.get() + 1));
    next.release().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_waiter_and_one_who_comes_after_the_lease_have_higher_fences_too() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    crate::until_waiting(&one, "a", 1).await;
    let ahead = set_ahead(&server, "a", 60 * SECOND).await;
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.fence() > ahead, "{} after {ahead}", next.fence());
    drop(next);
    // The lease ends on its own, while the clock is behind the fence.
    let fixed = within(one.lock("b").fixed_lease(ms(300))).await.unwrap();
    let ahead = set_ahead(&server, "b", 60 * SECOND).await;
    fixed.extend(ms(300)).await.unwrap();
    within(fixed.lost()).await;
    let next = within(two.lock(key!("b"))).await.unwrap();
    assert!(next.fence() > ahead, "{} after {ahead}", next.fence());
    for key in keys(&server).await {
        let left = server.command(&["PTTL", &key]).await.unwrap();
        assert!(matches!(left, Reply::Int(left) if left != -1), "{key} lives for ever");
    }
}
