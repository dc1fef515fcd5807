//! Servers that are killed, paused, emptied; connections that are cut.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use mainstay_lock::{Clock, LockError, Locks, LostReason, Redis, key};
use mainstay_redis::Push;
use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Reply, Single},
};

use crate::{
    SOON, client,
    common::{cut_connections, scripts_run, while_connections_are_cut},
    key_of, ms, short_lived, until_empty, until_waiting, within,
};

#[tokio::test]
async fn a_server_that_comes_back_empty_has_told_its_holders_and_serves_its_waiters() {
    let mut server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    // No renewal is due for minutes: only a look tells.
    let guard = within(one.lock("a").lease(ms(600_000))).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    server.restart().await.unwrap();
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver);
    assert!(!guard.is_held());
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.fence() > guard.fence());
    drop(next);
    until_empty(&server).await;
}

#[tokio::test]
async fn a_durable_server_that_comes_back_keeps_its_locks() {
    let mut server = Single::start_durable().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    server.restart().await.unwrap();
    let tried = || two.try_lock("a");
    let refused = eventually(SOON, tried).await.unwrap();
    assert!(refused.is_none() && guard.is_held());
    guard.release().await;
    drop(within(two.lock("a")).await.unwrap());
}

#[tokio::test]
async fn an_acquire_that_a_killed_server_had_is_unknown_and_not_held() {
    let mut server = Single::start().await.unwrap();
    let locks = client(&server);
    drop(within(locks.lock("warm")).await.unwrap());
    server.pause().unwrap();
    let asked = tokio::spawn(locks.lock("a").into_future());
    let error = within(asked).await.unwrap().unwrap_err();
    assert!(error.is_unknown(), "{error}");
    server.kill().await.unwrap();
    server.restart().await.unwrap();
    eventually(SOON, || locks.inspect("a")).await.unwrap();
    until_empty(&server).await;
}

/// The request is done when the server goes on, and its release right behind it.
#[tokio::test]
async fn an_acquire_that_a_paused_server_had_leaves_nothing_behind() {
    let server = Single::start().await.unwrap();
    let locks = short_lived(&server, ms(60_000));
    drop(within(locks.lock("warm")).await.unwrap());
    server.pause().unwrap();
    let error = within(locks.lock("a")).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    server.resume().unwrap();
    // Far sooner than its lease.
    until_empty(&server).await;
}

/// Its caller was told that the outcome is unknown, and has long gone on.
#[tokio::test]
async fn an_acquire_that_the_server_does_too_late_is_not_done() {
    let server = Single::start().await.unwrap();
    let locks = short_lived(&server, ms(60_000));
    drop(within(locks.lock("warm")).await.unwrap());
    until_empty(&server).await;
    server.command(&["CONFIG", "RESETSTAT"]).await.unwrap();
    server.pause().unwrap();
    let error = within(locks.lock("a")).await.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    // Beyond the drift that is allowed for, too.
    locks.clock().sleep(ms(300)).await;
    server.resume().unwrap();
    let done = || async {
        let stats = server.command(&["INFO", "commandstats"]).await.unwrap();
        stats.field("cmdstat_evalsha").map(|_| stats.field("cmdstat_set").map(str::to_owned))
    };
    let set = eventually(SOON, || async { done().await.ok_or("nothing was run") }).await.unwrap();
    assert_eq!(set, None, "the lock was taken for nobody");
    drop(within(locks.lock("a")).await.unwrap());
    until_empty(&server).await;
}

/// What was asked in time looks late to it; its answer tells its time, and the second attempt is in time.
#[tokio::test]
async fn a_request_to_a_server_whose_clock_was_set_forward_is_made_again() {
    let server = Single::start_with_clock().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    for locks in [&one, &two] {
        within(locks.read_write("a").read()).await.unwrap().release().await;
        within(locks.lock("a")).await.unwrap().release().await;
    }
    for (round, scripts) in [(1, 2), (2, 2), (3, 1)] {
        if scripts == 2 {
            server.set_clock(round * 3_600_000).unwrap();
        }
        let before = scripts_run(&server).await;
        let guard = if round == 1 {
            within(one.lock("a")).await.unwrap()
        } else {
            within(two.read_write("a").read()).await.unwrap()
        };
        assert_eq!(scripts_run(&server).await - before, scripts, "in round {round}");
        assert!(guard.is_held());
        guard.release().await;
    }
    until_empty(&server).await;
}

#[tokio::test]
async fn a_server_paused_for_longer_than_the_lease_holds_nothing() {
    let server = Single::start().await.unwrap();
    let (one, two) = (short_lived(&server, ms(700)), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let work = guard.run(std::future::pending::<()>());
    server.pause().unwrap();
    let lost = within(work).await.unwrap_err();
    assert_eq!(lost.reason, LostReason::Unreachable);
    assert!(!guard.is_held(), "silence is no lease");
    server.resume().unwrap();
    let next = within(two.lock("a")).await.unwrap();
    assert!(next.fence() > guard.fence() && !guard.is_held());
    drop(next);
    until_empty(&server).await;
}

/// Leases are counted from before the request was written, or from the server's own time of the grant:
/// never from when the news arrived.
#[tokio::test]
async fn slow_news_shorten_the_lease() {
    let server = Single::start().await.unwrap();
    let proxy = server.proxy().await.unwrap();
    // The delay is to be no time-out, on a busy machine neither.
    let redis = Redis::builder(&proxy.url(&server.url())).unwrap().budget(SOON).build().unwrap();
    let (one, two) = (Locks::builder().wait(SOON).redis(redis), client(&server));
    drop(within(one.lock("warm")).await.unwrap());
    let (lease, delay) = (SOON * 4, ms(500));
    proxy.latency(Direction::ToClient, delay);
    let asked = within(one.lock("a").lease(lease)).await.unwrap();
    assert!(asked.remaining() <= lease - delay, "{:?}", asked.remaining());
    let guard = within(two.lock("b")).await.unwrap();
    let waiter = tokio::spawn(one.lock("b").lease(lease).into_future());
    until_waiting(&two, "b", 1).await;
    // The answer that it waits is there, too.
    eventually(SOON, || one.inspect("b")).await.unwrap();
    guard.release().await;
    let pushed = within(waiter).await.unwrap().unwrap();
    assert!(pushed.remaining() <= lease - delay, "{:?}", pushed.remaining());
}

#[tokio::test]
async fn forgotten_scripts_are_not_noticed() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    for round in 0..20 {
        let guard = within(one.lock("a")).await.unwrap();
        let waiter = tokio::spawn(two.lock("a").into_future());
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        until_waiting(&one, "a", 1).await;
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        guard.release().await;
        drop(within(waiter).await.unwrap().unwrap_or_else(|error| panic!("{round}: {error}")));
    }
    until_empty(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contenders_whose_connections_are_killed_never_overlap() {
    let server = Arc::new(Single::start().await.unwrap());
    let clients = [client(&server), client(&server)];
    let (inside, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for number in 0..8 {
        let locks = clients[number % 2].clone();
        let (inside, entered) = (inside.clone(), entered.clone());
        tasks.push(tokio::spawn(async move {
            let mut turns = 0;
            while turns < 15 {
                // Cut off while asking: not held, so asked again.
                let Ok(guard) = locks.lock("a").await else {
                    Clock::boot().sleep(ms(1)).await;
                    continue;
                };
                assert!(!inside.swap(true, Ordering::SeqCst), "two inside");
                Clock::boot().sleep(ms(2)).await;
                assert!(guard.is_held());
                inside.store(false, Ordering::SeqCst);
                guard.release().await;
                entered.fetch_add(1, Ordering::SeqCst);
                turns += 1;
            }
        }));
    }
    while_connections_are_cut(&server, 12, tasks).await;
    assert_eq!(entered.load(Ordering::SeqCst), 120);
    until_empty(&server).await;
}

#[tokio::test]
async fn dropped_requests_leave_no_key() {
    let server = Single::start().await.unwrap();
    let clients = [client(&server), client(&server)];
    for round in 0..200_u64 {
        let name = key!("order:{}", round % 5);
        let request = tokio::spawn(clients[usize::from(round % 2 == 0)].lock(name).into_future());
        Clock::boot().sleep(std::time::Duration::from_micros(round * 13 % 900)).await;
        request.abort();
    }
    until_empty(&server).await;
}

/// The lock of a process that dies is free after its lease, and its place in a queue at once.
#[test]
fn a_process_that_dies_leaves_its_lock_for_a_lease_and_no_waiter() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lasting = runtime();
    let server = lasting.block_on(Single::start()).unwrap();
    let dying = runtime();
    let (held, queued) = dying.block_on(async {
        let locks = short_lived(&server, ms(1_000));
        let held = within(locks.lock("a")).await.unwrap();
        let other = within(locks.lock("b")).await.unwrap();
        let queued = tokio::spawn(client(&server).lock("b").into_future());
        until_waiting(&locks, "b", 1).await;
        ((locks, held, other), queued)
    });
    // The runtime goes, and with it the connections; nothing is released.
    drop(queued);
    drop(dying);
    lasting.block_on(async {
        let locks: Locks = client(&server);
        drop(within(locks.lock("a")).await.unwrap());
        drop(within(locks.lock("b")).await.unwrap());
        let lost = matches!(held.0.lock("x").handle().lost().await, LostReason::NotHeld);
        assert!(lost && !held.1.is_held());
    });
}

#[tokio::test]
async fn a_lock_taken_away_is_told_across_processes() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    assert!(two.force_release("a", "it hung: see ticket 5").await.unwrap());
    let reason = within(guard.lost()).await;
    assert_eq!(reason, LostReason::ForceReleased { reason: "it hung: see ticket 5".into() });
    assert!(!two.force_release("a", "again").await.unwrap());
    let work = two.lock("a").run(async { Ok::<_, LockError>(1) });
    assert_eq!(within(work).await.unwrap(), 1);
    until_empty(&server).await;
}

/// After a failover some listen at the new primary and some still at the old one, a replica by now, where
/// what is published arrives as well. `behind_another` is a reader that another one lets in.
async fn passed_over_and_heard_of_through_a_replica(behind_another: bool) {
    let (server, replica) = (Single::start().await.unwrap(), Single::start().await.unwrap());
    let port = server.addr().port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let proxy = server.proxy().await.unwrap();
    let waiting = Redis::open(&proxy.url(&server.url())).unwrap();
    let (one, two) = (client(&server), Locks::builder().wait(SOON).redis(waiting));
    let guard = within(one.lock("a")).await.unwrap();
    let lock = two.read_write("a");
    let (first, waiter) = if behind_another {
        let first = tokio::spawn(one.read_write("a").read().into_future());
        until_waiting(&one, "a", 1).await;
        (Some(first), lock.read())
    } else {
        (None, lock.write())
    };
    let waiter = tokio::spawn(waiter.into_future());
    until_waiting(&one, "a", if behind_another { 2 } else { 1 }).await;

    // The owner that waits begins with its channel; its process listens at the replica now.
    let owner = server.command(&["ZRANGE", &key_of("a", "queue"), "-1", "-1"]).await.unwrap();
    let channel = format!("mainstay:lock1:{}", &owner.list()[0].text().unwrap()[..16]);
    let elsewhere = Redis::open(&replica.url()).unwrap();
    let mut listener = elsewhere.subscribe(channel.clone());
    let published = |text: &'static str| {
        let (server, channel) = (&server, &channel);
        async move { server.command(&["PUBLISH", channel, text]).await }
    };
    // Until the subscription is in place.
    let mut heard = None;
    while heard != Some("ready".into()) {
        published("ready").await.unwrap();
        heard = Clock::boot().timeout(ms(200), listener.recv()).await.ok().and_then(text);
    }
    proxy.refuse().await;
    proxy.reset();
    let gone = || async {
        let listening = server.command(&["PUBSUB", "NUMSUB", &channel]).await.unwrap();
        listening.list()[1] == Reply::Int(0)
    };
    eventually(SOON, gone).await.unwrap();
    guard.release().await;
    if let Some(first) = first {
        within(first).await.unwrap().unwrap().release().await;
    }
    drop(within(one.lock("a")).await.unwrap());
    published("marker").await.unwrap();
    while heard != Some("marker".into()) {
        heard = text(within(listener.recv()).await);
        let told = |heard: &String| heard.starts_with("grant") || heard.starts_with("share");
        assert!(!heard.as_ref().is_some_and(told), "{heard:?}");
    }
    waiter.abort();
}

#[tokio::test]
async fn a_waiter_that_is_passed_over_does_not_hear_of_its_grant_through_a_replica() {
    passed_over_and_heard_of_through_a_replica(false).await;
}

#[tokio::test]
async fn a_reader_that_is_passed_over_does_not_hear_of_its_share_through_a_replica() {
    passed_over_and_heard_of_through_a_replica(true).await;
}

/// The question after a reconnect is refused, as by a server that is loading: the place in the queue is not.
#[tokio::test]
async fn a_waiter_whose_question_was_refused_still_hears_of_its_grant() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a").lease(ms(600_000))).await.unwrap();
    // Shorter than the time after which a waiter asks by itself.
    let waiter = tokio::spawn(two.lock("a").wait(ms(4_500)).lease(ms(600_000)).into_future());
    until_waiting(&one, "a", 1).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).await.unwrap();
    cut_connections(&server).await;
    let refused = || async {
        let errors = server.command(&["INFO", "errorstats"]).await.unwrap();
        let count = errors.field("errorstat_OOM").and_then(|count| count.strip_prefix("count="));
        count.is_some_and(|count| count.parse::<u32>().unwrap() >= 2)
    };
    eventually(SOON, refused).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "0"]).await.unwrap();
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    let holder = one.inspect("a").await.unwrap().holder.unwrap();
    assert_eq!(holder.fence, next.fence());
}

fn text(push: Option<Push>) -> Option<String> {
    match push {
        Some(Push::Message(message)) => Some(String::from_utf8(message).unwrap()),
        _ => None,
    }
}
