//! Primaries that die while locks are held on them.

use std::{net::SocketAddr, time::Duration};

use mainstay_lock::{Key, LockGuard, Locks, Redis, RedisBuilder};
use mainstay_testkit::{
    eventually,
    redis::{Cluster, Sentinel, command},
};

use crate::{key_of, ms, within};

/// Longer than a failover takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

fn locks(redis: RedisBuilder) -> Locks {
    let redis = redis.budget(ms(300)).build().unwrap();
    Locks::builder().lease(ms(1_500)).wait(SOON).redis(redis)
}

fn watched(sentinel: &Sentinel) -> Locks {
    locks(Redis::sentinel(sentinel.urls(), sentinel.name()).unwrap())
}

fn clustered(cluster: &Cluster) -> Locks {
    locks(Redis::cluster(cluster.urls()).unwrap())
}

/// Takes the lock in spite of the failover; whoever failed to for now tries again.
async fn take(locks: &Locks, name: &str) -> LockGuard {
    eventually(SOON, || locks.lock_timeout(name, ms(1_000))).await.unwrap()
}

/// What was acknowledged and not replicated is gone.
async fn lose(server: SocketAddr, name: &str) {
    command(server, &["DEL", &key_of(name, "held")]).await.unwrap();
}

/// The old holder knows at the latest when its lease has ended, by its own clock.
async fn is_told(old: &LockGuard, new: &LockGuard) {
    assert!(new.fence() > old.fence(), "{} after {}", new.fence(), old.fence());
    within(old.lost()).await;
    assert!(!old.is_held());
    assert!(new.is_held());
}

#[tokio::test]
async fn a_lock_lives_on_behind_sentinels_and_a_lost_one_is_lost_for_its_holder_too() {
    let mut sentinel = Sentinel::start().await.unwrap();
    let (one, two) = (watched(&sentinel), watched(&sentinel));
    let before = within(one.lock("a")).await.unwrap();
    let fence = before.fence();
    drop(before);
    let old = within(one.lock("lost")).await.unwrap();
    let killed = sentinel.kill().await.unwrap();
    let primary = sentinel.primary_after(killed, SOON).await.unwrap();
    lose(primary, "lost").await;
    is_told(&old, &take(&two, "lost").await).await;
    let after = take(&two, "a").await;
    assert!(after.fence() > fence);
    // Hand-overs work at the new primary, once both have found it.
    eventually(SOON, || one.inspect("a")).await.unwrap();
    let waiter = tokio::spawn(one.lock("a").into_future());
    crate::until_waiting(&two, "a", 1).await;
    let fence = after.fence();
    after.release().await;
    assert!(within(waiter).await.unwrap().unwrap().fence() > fence);
}

#[tokio::test]
async fn a_lock_lives_on_in_a_cluster_and_a_lost_one_is_lost_for_its_holder_too() {
    let mut cluster = Cluster::start().await.unwrap();
    let (one, two) = (clustered(&cluster), clustered(&cluster));
    let slot = cluster.slot_of(&key_of("lost", "held")).await.unwrap();
    let old = within(one.lock("lost")).await.unwrap();
    let killed = cluster.kill(slot).await.unwrap();
    let primary = cluster.primary_after(slot, killed, SOON).await.unwrap();
    lose(primary, "lost").await;
    let new = take(&two, "lost").await;
    is_told(&old, &new).await;
    eventually(SOON, || one.inspect("lost")).await.unwrap();
    let waiter = tokio::spawn(one.lock("lost").into_future());
    crate::until_waiting(&two, "lost", 1).await;
    let fence = new.fence();
    new.release().await;
    assert!(within(waiter).await.unwrap().unwrap().fence() > fence);
}

/// Its node has no way to know that nobody hears of the grant.
#[tokio::test]
async fn a_grant_to_a_process_that_is_gone_does_not_last_in_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    let (one, two) = (clustered(&cluster), clustered(&cluster));
    let guard = within(one.lock("a").lease(Duration::from_secs(60))).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    crate::until_waiting(&one, "a", 1).await;
    let slot = cluster.slot_of(&key_of("a", "held")).await.unwrap();
    let node = cluster.primary_of(slot).await.unwrap();
    // In front of the other, and seen just now by the server's clock, or later.
    let dead = "00nobody-listens:000000000000dead:0000000000000001";
    let entry = format!("{dead} 60000 ");
    command(node, &["ZADD", &key_of("a", "queue"), "1", &entry]).await.unwrap();
    command(node, &["HSET", &key_of("a", "asked"), dead, "9000000000000000"]).await.unwrap();
    guard.release().await;
    let info = one.inspect("a").await.unwrap();
    let holder = info.holder.expect("the one that is gone");
    assert!(holder.remaining <= Duration::from_secs(1), "{:?}", holder.remaining);
    assert_eq!(info.waiters, 1);
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.is_held() && next.fence() > holder.fence);
}

/// One that is heard of lasts as long as it was asked for.
#[tokio::test]
async fn a_waiter_that_hears_of_its_grant_has_the_whole_lease_in_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    let (one, two) = (clustered(&cluster), clustered(&cluster));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").lease(Duration::from_secs(60)).into_future());
    crate::until_waiting(&one, "a", 1).await;
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.remaining() > Duration::from_secs(30), "{:?}", next.remaining());
    let held = one.inspect("a").await.unwrap();
    assert!(held.holder.unwrap().remaining > Duration::from_secs(30));
}

/// Each bucket is on one node, and one node that is gone does not keep the others from being renewed.
#[tokio::test]
async fn locks_of_all_nodes_are_renewed_although_one_node_is_down() {
    let mut cluster = Cluster::start().await.unwrap();
    let one = clustered(&cluster);
    let mut guards = Vec::new();
    for n in 0..90 {
        guards.push(within(one.lock(format!("name:{n}").as_str())).await.unwrap());
    }
    let slot = cluster.slot_of(&key_of("name:0", "held")).await.unwrap();
    let node = cluster.primary_of(slot).await.unwrap();
    let mut there = Vec::new();
    for guard in &guards {
        let slot = cluster.slot_of(&key_of(guard.key().as_str(), "held")).await.unwrap();
        there.push(cluster.primary_of(slot).await.unwrap() == node);
    }
    cluster.pause(slot).await.unwrap();
    // Those of the node that hangs end, and by then the others have been renewed in spite of it.
    within(guards[0].lost()).await;
    let held = |on: bool| {
        let theirs = guards.iter().zip(&there).filter(move |(_, there)| **there == on);
        theirs.filter(|(guard, _)| guard.is_held()).count()
    };
    assert_eq!(held(false), there.iter().filter(|there| !**there).count());
    cluster.resume().unwrap();
}

/// Names of a bucket are neighbours at their node, whatever stands between them in the order of names.
#[tokio::test]
async fn many_locks_take_one_script_for_each_bucket_of_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    let one = clustered(&cluster);
    let names: Vec<_> = (0..600).map(|n| Key::new(&format!("order:{n}")).unwrap()).collect();
    let bucket = |name: &Key| name.bucket(64.try_into().unwrap());
    // Two buckets of one node.
    let node = node_of(&cluster, &names[0]).await;
    let (first, mut second) = (bucket(&names[0]), None);
    for name in names.iter().filter(|name| bucket(name) != first) {
        if node_of(&cluster, name).await == node {
            second = Some(bucket(name));
            break;
        }
    }
    let some = names.iter().filter(|name| [Some(first), second].contains(&Some(bucket(name))));
    let mut some: Vec<_> = some.cloned().collect();
    some.sort();
    assert!(!some.is_sorted_by_key(bucket) && some.len() > 4, "they alternate: {some:?}");
    // So that the nodes know the script.
    within(one.lock_all(some.clone())).await.unwrap().release().await;
    let before = scripts_run(&cluster).await;
    let set = within(one.lock_all(some)).await.unwrap();
    assert_eq!(scripts_run(&cluster).await - before, 2);
    assert!(set.guards().is_sorted_by_key(|guard| guard.key().clone()));
}

async fn node_of(cluster: &Cluster, name: &Key) -> SocketAddr {
    let slot = cluster.slot_of(&key_of(name.as_str(), "held")).await.unwrap();
    cluster.primary_of(slot).await.unwrap()
}

async fn scripts_run(cluster: &Cluster) -> u64 {
    let mut run = 0;
    for node in cluster.addrs() {
        let stats = command(node, &["INFO", "commandstats"]).await.unwrap();
        let calls = stats.field("cmdstat_evalsha").unwrap_or("calls=0,");
        run += calls.split(['=', ',']).nth(1).unwrap().parse::<u64>().unwrap();
    }
    run
}
