//! The rows of the guarantee table that are the same for every mode, and what it says where a lock is lost. The
//! others are in `replicated` and `quorum`.

use std::{sync::mpsc, time::Duration};

use futures_util::future::join_all;
use mainstay_lock::{FencedStore, LockGuard, Locks, LostReason, Quorum, Redis, RedisLocks};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::{Reply, Single},
};

use crate::{SOON, by_its_own_clock, ms, within};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Default,
    Replicated,
    Quorum,
}

/// The servers of a mode.
struct World {
    mode: Mode,
    nodes: Vec<Single>,
}

impl World {
    async fn start(mode: Mode) -> Self {
        let count = if mode == Mode::Default { 1 } else { 3 };
        let started = join_all((0..count).map(|_| Single::start())).await;
        let world = Self { mode, nodes: started.into_iter().map(Result::unwrap).collect() };
        if mode == Mode::Replicated {
            let port = world.nodes[0].addr().port().to_string();
            for replica in &world.nodes[1..] {
                replica.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
            }
            let locks = world.locks(ms(20_000));
            let in_sync = eventually(SOON, || locks.lock("in sync").into_future());
            in_sync.await.unwrap().release().await;
        }
        world
    }

    fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Single::url).collect()
    }

    fn locks(&self, lease: Duration) -> Locks {
        locks(self.mode, &self.urls(), lease)
    }

    /// A client that reaches each server through a proxy of its own.
    async fn through_proxies(&self, lease: Duration) -> (Locks, Vec<Proxy>) {
        let (mut proxies, mut urls) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            let proxy = node.proxy().await.unwrap();
            urls.push(proxy.url(&node.url()));
            proxies.push(proxy);
        }
        (locks(self.mode, &urls, lease), proxies)
    }
}

fn locks(mode: Mode, urls: &[String], lease: Duration) -> Locks {
    let connect = |url: &String| Redis::builder(url).unwrap().budget(ms(800)).build().unwrap();
    let builder = Locks::builder().wait(SOON).lease(lease);
    match mode {
        Mode::Default => builder.redis(connect(&urls[0])),
        Mode::Replicated => {
            let kept = RedisLocks::new(connect(&urls[0]));
            builder.backend(kept.replicated(2, ms(600)).unwrap())
        }
        Mode::Quorum => {
            builder.backend(Quorum::new(urls.iter().map(connect)).unwrap().durable_nodes())
        }
    }
}

/// A store that checks fences, elsewhere, lets the second holder write and not the first.
pub(crate) async fn fence_refuses(first: &LockGuard, second: &LockGuard) {
    let elsewhere = Single::start().await.unwrap();
    let store = FencedStore::new(Redis::open(&elsewhere.url()).unwrap());
    let minute = Duration::from_secs(60);
    store.set("it", "first", first.fence(), minute).await.unwrap();
    store.set("it", "second", second.fence(), minute).await.unwrap();
    let error = store.set("it", "first again", first.fence(), minute).await.unwrap_err();
    assert!(error.is_fenced(), "{error}");
    assert_eq!(store.get("it").await.unwrap().unwrap().value, b"second");
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn process_dies(mode: Mode) {
    let world = World::start(mode).await;
    let urls = world.urls();
    let dying = move || {
        let runtime = runtime();
        let locks = locks(mode, &urls, ms(1_000));
        let guard = runtime.block_on(within(locks.lock("a"))).unwrap();
        // With the runtime go its connections; nothing is released.
        drop(runtime);
        (locks, guard)
    };
    let (_locks, guard) = tokio::task::spawn_blocking(dying).await.unwrap();
    let next = within(world.locks(ms(20_000)).lock("a")).await.unwrap();
    assert!(next.fence() > guard.fence() && !guard.is_held());
}

/// Nothing of the process runs between its check and its write, until another one holds the lock.
async fn process_pauses(mode: Mode) {
    let world = World::start(mode).await;
    let (urls, (go_on, paused)) = (world.urls(), mpsc::channel::<()>());
    let pausing = tokio::task::spawn_blocking(move || {
        let runtime = runtime();
        let locks = locks(mode, &urls, ms(700));
        let guard = runtime.block_on(within(locks.lock("a"))).unwrap();
        assert!(guard.is_held(), "it checks, and is paused");
        paused.recv().unwrap();
        assert!(!guard.is_held(), "the first look after the pause");
        (runtime, guard)
    });
    let next = within(async {
        let locks = world.locks(ms(20_000));
        // The pausing one was first.
        eventually(SOON, || async { locks.inspect("a").await.is_ok_and(|info| info.is_held()) })
            .await
            .unwrap();
        locks.lock("a").await
    });
    let next = next.await.unwrap();
    go_on.send(()).unwrap();
    let (runtime, guard) = pausing.await.unwrap();
    assert!(next.is_held());
    fence_refuses(&guard, &next).await;
    tokio::task::spawn_blocking(move || drop((guard, runtime))).await.unwrap();
}

async fn client_unreachable(mode: Mode) {
    let world = World::start(mode).await;
    let (cut, proxies) = world.through_proxies(ms(1_000)).await;
    let guard = within(cut.lock("a")).await.unwrap();
    let work = guard.run(std::future::pending::<()>());
    for proxy in &proxies {
        proxy.black_hole(Direction::ToServer);
        proxy.black_hole(Direction::ToClient);
    }
    let rival = tokio::spawn(world.locks(ms(20_000)).lock("a").into_future());
    assert!(by_its_own_clock(&within(work).await.unwrap_err().reason));
    let next = within(rival).await.unwrap().unwrap();
    assert!(!guard.is_held() && next.fence() > guard.fence());
}

/// Forgets everything on the server of the default mode, or on the primary.
async fn not_protected(mode: Mode, forget: &[&[&str]]) {
    let world = World::start(mode).await;
    let (one, two) = (world.locks(ms(3_000)), world.locks(ms(20_000)));
    let guard = within(one.lock("a")).await.unwrap();
    for command in forget {
        // A write that finds no room is refused; what it evicted is gone.
        let _ = world.nodes[0].command(command).await;
    }
    let second = within(two.try_lock("a")).await.unwrap().expect("it is forgotten");
    assert!(guard.is_held(), "nobody told it yet: two hold it");
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver, "the next renewal tells");
    fence_refuses(&guard, &second).await;
}

const FLUSH: &[&[&str]] = &[&["FLUSHALL"]];

/// No room for anything, and then for everything again.
const EVICT: &[&[&str]] = &[
    &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"],
    &["CONFIG", "SET", "maxmemory", "1"],
    &["SET", "one", "more"],
    &["CONFIG", "SET", "maxmemory", "0"],
];

macro_rules! rows {
    ($($name:ident: $scenario:ident($($arg:expr),*);)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            $scenario($($arg),*).await;
        }
    )*};
}

rows! {
    default_process_dies: process_dies(Mode::Default);
    replicated_process_dies: process_dies(Mode::Replicated);
    quorum_process_dies: process_dies(Mode::Quorum);
    default_process_pauses: process_pauses(Mode::Default);
    replicated_process_pauses: process_pauses(Mode::Replicated);
    quorum_process_pauses: process_pauses(Mode::Quorum);
    default_client_unreachable: client_unreachable(Mode::Default);
    replicated_client_unreachable: client_unreachable(Mode::Replicated);
    quorum_client_unreachable: client_unreachable(Mode::Quorum);
    default_flush_is_not_protected: not_protected(Mode::Default, FLUSH);
    replicated_flush_is_not_protected: not_protected(Mode::Replicated, FLUSH);
    default_eviction_is_not_protected: not_protected(Mode::Default, EVICT);
    replicated_eviction_is_not_protected: not_protected(Mode::Replicated, EVICT);
}

/// A restart that is over before anybody promotes a replica.
#[tokio::test]
async fn replicated_primary_restarted_empty_is_not_protected() {
    let mut world = World::start(Mode::Replicated).await;
    let guard = within(world.locks(ms(600_000)).lock("a")).await.unwrap();
    world.nodes[0].restart().await.unwrap();
    let others = locks(Mode::Default, &world.urls(), ms(20_000));
    let second = within(others.lock("a")).await.unwrap();
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver, "its connection is there again");
    fence_refuses(&guard, &second).await;
}

/// Every test that the table names is one.
#[test]
fn the_table_names_tests_that_exist() {
    let sources = [
        include_str!("fences.rs"),
        include_str!("fleets.rs"),
        include_str!("guarantees.rs"),
        include_str!("migration.rs"),
        include_str!("quorum.rs"),
        include_str!("quorum_losses.rs"),
        include_str!("quorum_readers.rs"),
        include_str!("quorum_readers_lost.rs"),
        include_str!("reigns.rs"),
        include_str!("replicated.rs"),
        include_str!("replicated_split.rs"),
        include_str!("shared_in_cluster.rs"),
        include_str!("troubles.rs"),
    ]
    .concat();
    let table = include_str!("../../GUARANTEES.md");
    let is_name = |text: &&str| {
        text.contains('_') && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    let named: Vec<_> = table.split('`').filter(is_name).collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        let there = [format!("async fn {name}()"), format!("    {name}: ")];
        assert!(there.iter().any(|text| sources.contains(text)), "there is no test `{name}`");
    }
}

#[tokio::test]
async fn without_eviction_a_full_server_refuses_and_forgets_nothing() {
    let world = World::start(Mode::Default).await;
    let server = &world.nodes[0];
    let locks = world.locks(ms(20_000));
    let guard = within(locks.lock("a")).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    let error = within(locks.lock("b")).await.unwrap_err();
    assert!(error.to_string().contains("OOM"), "{error}");
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    assert!(within(locks.try_lock("a")).await.unwrap().is_none());
    assert!(guard.is_held());
}

/// As [`quorum`](crate::quorum)'s flush of a minority.
#[tokio::test]
async fn quorum_a_minority_evicts() {
    let world = World::start(Mode::Quorum).await;
    let (one, two) = (world.locks(ms(1_500)), world.locks(ms(20_000)));
    let guard = within(one.lock("a")).await.unwrap();
    for command in EVICT {
        let _ = world.nodes[0].command(command).await;
    }
    assert!(within(two.try_lock("a")).await.unwrap().is_none());
    let Reply::List(left) = world.nodes[1].command(&["KEYS", "*:held"]).await.unwrap() else {
        panic!("keys")
    };
    assert!(guard.is_held() && left.len() == 1);
}
