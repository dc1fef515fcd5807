//! Fences rise whatever happens to the server's data and clock.

use mainstay_lock::{Fence, FencedStore, Redis, key};
use mainstay_testkit::redis::{Reply, Single};

use crate::{
    SOON, client, client_at, common::all_have_an_end, key_of, keys, ms, quorum::cut_off,
    until_empty, within,
};

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

/// As after a step back of the server's clock: the last fence of a name is in the future.
pub(crate) async fn stepped_back(server: &Single, name: &str, by: i64) -> Fence {
    let Reply::List(time) = server.command(&["TIME"]).await.unwrap() else { panic!("the time") };
    let now = time[0].text().unwrap().parse::<i64>().unwrap() * SECOND;
    let (last, left) = ((now + by).to_string(), (by / 1_000 + 1).to_string());
    let held = key_of(name, "held");
    server.command(&["SET", &held, &format!("#{last}"), "PX", &left]).await.unwrap();
    Fence::new(now + by)
}

const SECOND: i64 = 1_000_000;

#[tokio::test]
async fn fences_rise_over_a_clock_that_is_set_back_under_a_holder() {
    let server = Single::start_with_clock().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let mut holder = within(one.lock("a")).await.unwrap();
    for hours in 1..=3 {
        let waiter = tokio::spawn(two.lock("a").into_future());
        crate::until_waiting(&one, "a", 1).await;
        server.set_clock(-3_600_000 * hours).unwrap();
        let fence = holder.fence();
        holder.release().await;
        let next = within(waiter).await.unwrap().unwrap();
        assert!(next.fence() > fence, "{} after {fence}", next.fence());
        holder = within(async {
            next.release().await;
            one.lock("a").await.unwrap()
        })
        .await;
        assert!(holder.fence() > next.fence(), "{} after {}", holder.fence(), next.fence());
    }
}

/// Nothing is kept of a lock that nobody has, so its fences are the time alone. A store that checks them errs on
/// the safe side: it refuses until the clock has caught up.
#[tokio::test]
async fn fences_fall_where_a_clock_is_set_back_while_nobody_has_the_lock() {
    let server = Single::start_with_clock().await.unwrap();
    let locks = client(&server);
    let store = FencedStore::new(Redis::open(&server.url()).unwrap());
    let guard = within(locks.lock("a")).await.unwrap();
    store.set("it", "first", guard.fence(), SOON * 240).await.unwrap();
    guard.release().await;
    until_gone(&server, "a").await;
    server.set_clock(-3_600_000).unwrap();
    let next = within(locks.lock("a")).await.unwrap();
    assert!(next.fence() < guard.fence(), "{} after {}", next.fence(), guard.fence());
    let error = store.set("it", "second", next.fence(), SOON).await.unwrap_err();
    assert!(error.is_fenced(), "{error}");
}

#[tokio::test]
async fn fences_rise_over_a_lease_that_was_renewed_after_the_clock_was_set_back() {
    let server = Single::start_with_clock().await.unwrap();
    let proxy = server.proxy().await.unwrap();
    let (cut, other) = (client_at(&proxy.url(&server.url())), client(&server));
    let guard = within(cut.lock("a").fixed_lease(SOON)).await.unwrap();
    server.set_clock(-3_600_000).unwrap();
    // Renewed to end long before the clock has caught up with its fence. Whoever had it cannot give it back.
    guard.extend(ms(1)).await.unwrap();
    cut_off(&proxy).await;
    let next = within(other.lock("a")).await.unwrap();
    assert!(next.fence() > guard.fence(), "{} after {}", next.fence(), guard.fence());
}

async fn until_gone(server: &Single, name: &str) {
    let held = key_of(name, "held");
    let gone = || async { server.command(&["EXISTS", &held]).await.unwrap() == Reply::Int(0) };
    mainstay_testkit::eventually(SOON, gone).await.unwrap();
}

#[tokio::test]
async fn a_clock_that_stepped_back_leaves_a_fence_behind_until_it_caught_up() {
    let server = Single::start().await.unwrap();
    let locks = client(&server);
    let ahead = stepped_back(&server, "a", 3 * SECOND).await;
    let guard = within(locks.lock("a")).await.unwrap();
    assert_eq!(guard.fence(), Fence::new(ahead.get() + 1));
    guard.release().await;
    assert_eq!(keys(&server).await, [key_of("a", "held")]);
    let next = within(locks.lock("a")).await.unwrap();
    assert_eq!(next.fence(), Fence::new(ahead.get() + 2));
    next.release().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_waiter_and_one_who_comes_after_the_lease_have_higher_fences_too() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    stepped_back(&server, "a", 60 * SECOND).await;
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    crate::until_waiting(&one, "a", 1).await;
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.fence() > guard.fence(), "{} after {}", next.fence(), guard.fence());
    drop(next);
    // The lease ends on its own, while the clock is behind the fence.
    stepped_back(&server, "b", 60 * SECOND).await;
    let fixed = within(one.lock("b").fixed_lease(ms(300))).await.unwrap();
    fixed.extend(ms(300)).await.unwrap();
    within(fixed.lost()).await;
    let next = within(two.lock(key!("b"))).await.unwrap();
    assert!(next.fence() > fixed.fence(), "{} after {}", next.fence(), fixed.fence());
    // An operator's force, of which the holder hears too late.
    stepped_back(&server, "c", 60 * SECOND).await;
    let forced = within(one.lock("c")).await.unwrap();
    assert!(two.force_release("c", "stuck").await.unwrap());
    let next = within(two.lock("c")).await.unwrap();
    assert!(next.fence() > forced.fence(), "{} after {}", next.fence(), forced.fence());
    all_have_an_end(&server, keys(&server).await).await;
}
