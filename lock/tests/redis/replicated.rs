//! A primary with two replicas: killed, paused, cut off. What a client was told is there after the failover, or
//! its lease is over.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all, stream};
use mainstay_lock::{
    LockError, LockGuard, Locks, LocksBuilder, Redis, RedisLocks, ReplicatedError,
    conformance::{Arena, Case, cases},
    key,
};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::{Sentinel, Single, command},
};

use crate::{
    SOON, by_its_own_clock, client_at, common::calls_of, guarantees::fence_refuses, keys, ms,
    until_empty, within,
};

/// A primary and two replicas, the second of which hears it through a proxy.
struct Trio {
    nodes: Vec<Single>,
    link: Proxy,
}

impl Trio {
    async fn start() -> Self {
        let started = join_all((0..3).map(|_| Single::start())).await;
        let nodes: Vec<_> = started.into_iter().map(Result::unwrap).collect();
        let link = nodes[0].proxy().await.unwrap();
        for (replica, port) in [(1, nodes[0].addr().port()), (2, link.addr().port())] {
            let port = port.to_string();
            nodes[replica].command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
        }
        let trio = Self { nodes, link };
        trio.in_sync().await;
        trio
    }

    /// Until both have what the primary writes.
    async fn in_sync(&self) {
        let locks = replicated(&self.primary().url(), 2, ms(20_000));
        let lock = eventually(SOON, || locks.lock("in sync").into_future());
        lock.await.unwrap().release().await;
    }

    fn primary(&self) -> &Single {
        &self.nodes[0]
    }

    /// The second replica hears nothing any more: with whom it is, the primary is not.
    fn cut(&self) {
        self.link.black_hole(Direction::ToServer);
        self.link.black_hole(Direction::ToClient);
    }

    /// What the Sentinels on its side do then.
    async fn promote(&self) -> &Single {
        self.nodes[2].command(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
        &self.nodes[2]
    }
}

fn replicated(url: &str, replicas: u32, lease: Duration) -> Locks {
    let kept = RedisLocks::new(Redis::open(url).unwrap()).replicated(replicas, ms(600)).unwrap();
    Locks::builder().wait(SOON).lease(lease).backend(kept)
}

async fn has(node: &Single, name: &str) -> bool {
    keys(node).await.iter().any(|key| key.ends_with(&format!(":{name}:held")))
}

#[test]
fn no_replica_and_a_cluster_are_refused_and_say_what_to_do() {
    let redis = Redis::open("redis://127.0.0.1:1/").unwrap();
    let error = RedisLocks::new(redis).replicated(0, ms(1)).unwrap_err();
    assert_eq!(error, ReplicatedError::NoReplicas);
    assert!(error.to_string().contains("0 replicas"), "{error}");
    let cluster = Redis::cluster(["redis://127.0.0.1:1/"]).unwrap().build().unwrap();
    let error = RedisLocks::new(cluster).replicated(1, ms(1)).unwrap_err();
    assert_eq!(error, ReplicatedError::Cluster);
    assert!(error.to_string().contains("`Redis::sentinel`"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_locks_pass_the_suite() {
    let trio = Trio::start().await;
    let url = trio.primary().url();
    let connect = move |builder: LocksBuilder| {
        let kept = RedisLocks::new(Redis::open(&url).unwrap());
        builder.backend(kept.replicated(2, ms(500)).unwrap())
    };
    let arena = Arena::real(connect);
    let run = |case: Case| {
        let arena = &arena;
        async move { case.run(arena).await.err().map(|error| format!("{}: {error}", case.name())) }
    };
    let broken: Vec<_> =
        stream::iter(cases()).map(run).buffer_unordered(8).filter_map(async |x| x).collect().await;
    assert!(broken.is_empty(), "{} cases broken:\n{}", broken.len(), broken.join("\n"));
    until_empty(trio.primary()).await;
}

/// The shape that defeats `WAIT 1`: primary, one replica and the client on one side; on the other, a replica
/// that is promoted.
#[tokio::test]
async fn replicated_client_on_the_minority_side() {
    let trio = Trio::start().await;
    let cut_off = replicated(&trio.primary().url(), 2, ms(2_000));
    let guard = within(cut_off.lock("a")).await.unwrap();
    assert!(has(&trio.nodes[1], "a").await && has(&trio.nodes[2], "a").await);
    trio.cut();
    let others = client_at(&trio.promote().await.url());
    let rival = tokio::spawn(others.lock("a").into_future());
    for name in ["b", "c"] {
        let error = within(cut_off.lock(name)).await.unwrap_err();
        assert!(matches!(error, LockError::Backend { .. }), "{error}");
        assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
        assert!(within(others.try_lock(name)).await.unwrap().is_some());
    }
    assert!(by_its_own_clock(&within(guard.lost()).await));
    let next = within(rival).await.unwrap().unwrap();
    assert!(!guard.is_held() && next.fence() > guard.fence());
    drop(guard);
    until_empty(trio.primary()).await;
}

/// Why all replicas must be configured.
#[tokio::test]
async fn replicated_to_fewer_than_all_is_not_protected() {
    let trio = Trio::start().await;
    let cut_off = replicated(&trio.primary().url(), 1, ms(20_000));
    within(cut_off.lock("warm")).await.unwrap().release().await;
    trio.cut();
    let guard = within(cut_off.lock("a")).await.unwrap();
    let others = client_at(&trio.promote().await.url());
    let second = within(others.try_lock("a")).await.unwrap().expect("nobody there knows of it");
    assert!(guard.is_held(), "two hold it");
    fence_refuses(&guard, &second).await;
}

#[tokio::test]
async fn default_client_on_the_minority_side_is_not_protected() {
    let trio = Trio::start().await;
    let cut_off = client_at(&trio.primary().url());
    within(cut_off.lock("warm")).await.unwrap().release().await;
    trio.cut();
    let guard = within(cut_off.lock("a")).await.unwrap();
    let others = client_at(&trio.promote().await.url());
    let second = within(others.try_lock("a")).await.unwrap().expect("nobody there knows of it");
    assert!(guard.is_held(), "two hold it");
    fence_refuses(&guard, &second).await;
}

/// The replica that is promoted had not got it yet.
#[tokio::test]
async fn default_primary_killed_is_not_protected() {
    let mut trio = Trio::start().await;
    let client = client_at(&trio.primary().url());
    within(client.lock("warm")).await.unwrap().release().await;
    trio.cut();
    let guard = within(client.lock("a")).await.unwrap();
    trio.nodes[0].kill().await.unwrap();
    let others = client_at(&trio.promote().await.url());
    let second = within(others.try_lock("a")).await.unwrap().expect("it was lost");
    assert!(guard.is_held(), "two hold it");
    fence_refuses(&guard, &second).await;
}

/// A client that nobody tells goes on renewing at the old primary.
#[tokio::test]
async fn default_primary_paused_then_resumed_is_not_protected() {
    let trio = Trio::start().await;
    let client = Locks::builder().wait(SOON).lease(ms(1_500));
    let client = client.redis(Redis::open(&trio.primary().url()).unwrap());
    let guard = within(client.lock("a")).await.unwrap();
    eventually(SOON, || has(&trio.nodes[2], "a")).await.unwrap();
    trio.primary().pause().unwrap();
    let others = client_at(&trio.promote().await.url());
    trio.primary().resume().unwrap();
    let second = within(others.lock("a")).await.unwrap();
    assert!(guard.is_held(), "two hold it");
    fence_refuses(&guard, &second).await;
}

#[tokio::test]
async fn a_grant_that_is_pushed_is_told_only_when_the_replicas_have_it() {
    let trio = Trio::start().await;
    let [one, two] = [0, 1].map(|_| replicated(&trio.primary().url(), 2, ms(20_000)));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    crate::until_waiting(&one, "a", 1).await;
    // The replicas have it when the waiter hears of it.
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    assert!(has(&trio.nodes[1], "a").await && has(&trio.nodes[2], "a").await);
    let waiter = tokio::spawn(one.lock("a").into_future());
    crate::until_waiting(&two, "a", 1).await;
    trio.cut();
    next.release().await;
    let error = within(waiter).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
    until_empty(trio.primary()).await;
}

/// As a store did that judged a lease before it waited.
#[tokio::test]
async fn a_lease_that_ends_while_replicas_are_waited_for_is_not_granted() {
    let trio = Trio::start().await;
    let redis = Redis::builder(&trio.primary().url()).unwrap().budget(ms(5_000)).build().unwrap();
    let kept = RedisLocks::new(redis).replicated(2, ms(3_000)).unwrap();
    let locks = Locks::builder().backend(kept);
    within(locks.lock("warm")).await.unwrap().release().await;
    trio.link.latency(Direction::ToClient, ms(700));
    let error = within(locks.lock("a").lease(ms(300))).await.unwrap_err();
    assert!(error.to_string().contains("the lease was over"), "{error}");
    let slow = within(locks.lock("b").lease(ms(20_000))).await.unwrap();
    assert!(slow.remaining() <= ms(20_000 - 700), "{:?}", slow.remaining());
}

#[tokio::test]
async fn lost_scripts_and_connections_leave_no_lock_that_the_replicas_have_not() {
    let trio = Trio::start().await;
    let locks = replicated(&trio.primary().url(), 2, ms(20_000));
    for round in 0..10 {
        let end = match round % 2 {
            0 => ["SCRIPT", "FLUSH", "SYNC"].as_slice(),
            _ => &["CLIENT", "KILL", "TYPE", "normal"],
        };
        trio.primary().command(end).await.ok();
        let name = key!("a{}", round);
        // A cut connection may cost an answer.
        let guard = eventually(SOON, || locks.lock(name.clone()).into_future()).await.unwrap();
        let name = format!("a{round}");
        assert!(has(&trio.nodes[1], &name).await && has(&trio.nodes[2], &name).await);
        guard.release().await;
    }
}

/// The script is forgotten, so the renewal is written behind the `WAIT` that was sent with it; and that one is
/// content with what was written before.
#[tokio::test]
async fn a_wait_that_overtook_its_write_does_not_count() {
    let trio = Trio::start().await;
    let locks = replicated(&trio.primary().url(), 2, ms(20_000));
    let guard = within(locks.lock("a")).await.unwrap();
    // Replicas acknowledge everything once a second.
    let acknowledged = || async {
        let info = trio.primary().command(&["INFO", "replication"]).await.unwrap();
        let written = format!("offset={},", info.field("master_repl_offset").unwrap());
        ["slave0", "slave1"].iter().all(|slave| info.field(slave).unwrap().contains(&written))
    };
    eventually(SOON, acknowledged).await.unwrap();
    trio.primary().command(&["SCRIPT", "FLUSH", "SYNC"]).await.unwrap();
    trio.cut();
    let error = within(guard.extend(ms(60_000))).await.unwrap_err();
    assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
    assert!(guard.remaining() <= ms(20_000), "{:?}", guard.remaining());
}

#[tokio::test]
async fn many_grants_share_their_waits() {
    let trio = Trio::start().await;
    let locks = replicated(&trio.primary().url(), 2, ms(20_000));
    within(locks.lock("warm")).await.unwrap().release().await;
    let waits = || calls_of(trio.primary(), "wait");
    let before = waits().await;
    let taken = join_all((0..200).map(|name| locks.lock(key!("a{}", name)).into_future())).await;
    let guards: Vec<_> = taken.into_iter().map(Result::unwrap).collect();
    let count = waits().await - before;
    assert!((2..=60).contains(&count), "{count} waits for {} grants", guards.len());
}

#[tokio::test]
async fn while_a_replica_is_down_nothing_is_granted() {
    let mut trio = Trio::start().await;
    let locks = replicated(&trio.primary().url(), 2, ms(1_500));
    let guard = within(locks.lock("a")).await.unwrap();
    trio.nodes[1].kill().await.unwrap();
    let error = within(locks.lock("b")).await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. }), "{error}");
    assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
    assert!(by_its_own_clock(&within(guard.lost()).await));
    trio.nodes[1].restart().await.unwrap();
    let port = trio.primary().addr().port().to_string();
    trio.nodes[1].command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    trio.in_sync().await;
    within(locks.lock("b")).await.unwrap().release().await;
}

/// Takes locks until one fails; what it has it believes in.
pub(crate) async fn take_many(locks: &Locks, prefix: &str, count: usize) -> Vec<LockGuard> {
    let mut guards = Vec::new();
    for number in 0..count {
        match locks.lock(key!("{}{}", prefix, number)).wait(ms(500)).await {
            Ok(guard) => guards.push(guard),
            Err(_) => break,
        }
    }
    guards
}

/// Of the locks that are believed in, how many another client gets from the new primary.
pub(crate) async fn doubled(guards: &[LockGuard], rival: &Locks) -> usize {
    let mut doubled = 0;
    for guard in guards {
        let taken = eventually(SOON, || rival.try_lock(guard.key())).await.unwrap();
        doubled += usize::from(taken.is_some() && guard.is_held());
    }
    doubled
}

/// Real Sentinels: the primary is killed, then the next one is paused and goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicated_primary_killed_and_replicated_primary_paused_then_resumed() {
    let mut fleet = Sentinel::start().await.unwrap();
    let through =
        |fleet: &Sentinel| Redis::sentinel(fleet.urls(), fleet.name()).unwrap().build().unwrap();
    let rival = Locks::builder().redis(through(&fleet));
    let kept = RedisLocks::new(through(&fleet)).replicated(2, ms(600)).unwrap();
    let locks = Locks::builder().lease(ms(20_000)).wait(SOON).backend(kept);
    let writer = tokio::spawn({
        let locks = locks.clone();
        async move { take_many(&locks, "killed", 100_000).await }
    });
    eventually(SOON, || async {
        locks.inspect("killed100").await.is_ok_and(|info| info.is_held())
    })
    .await
    .unwrap();
    let old = fleet.kill().await.unwrap();
    let guards = within(writer).await.unwrap();
    assert!(guards.len() > 100, "{} grants", guards.len());
    let new = fleet.primary_after(old, SOON).await.unwrap();
    assert!(guards.iter().any(LockGuard::is_held), "the failover took longer than the leases");
    assert_eq!(doubled(&guards, &rival).await, 0, "of {} grants", guards.len());
    drop(guards);

    // One replica is left, and a client that is told by nobody that it talks to an old primary.
    let deaf = replicated(&format!("redis://{new}/"), 1, ms(3_000));
    let told = eventually(SOON, || deaf.lock("c").into_future()).await.unwrap();
    assert_eq!(fleet.pause().await.unwrap(), new);
    let newest = fleet.primary_after(new, SOON).await.unwrap();
    fleet.resume().unwrap();
    let role = command(new, &["ROLE"]).await.unwrap();
    assert_eq!(role.list()[0].text(), Some("master"), "it believes that it is the primary still");
    let mut refused = 0;
    for name in ["d", "e", "f"] {
        let error = deaf.lock(name).wait(ms(2_000)).await.unwrap_err();
        refused += usize::from(error.to_string().contains("0 of 1 replicas"));
    }
    assert!(refused > 0, "the old primary was never asked");
    assert_ne!(newest, new);
    assert!(by_its_own_clock(&within(told.lost()).await));
    assert!(eventually(SOON, || rival.try_lock("c")).await.unwrap().is_some());
}
