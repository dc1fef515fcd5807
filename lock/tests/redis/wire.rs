//! What is on the server, and what it costs.

use futures_util::future::join_all;
use mainstay_lock::{Locks, LostReason, ManualClock, Redis, RedisLocks, Released, key};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single},
};

use crate::{
    SOON, client,
    common::{
        JUST_NOW, LONG_AGO, all_have_an_end, dead_waiter, grant_unheard, nothing_was_denied,
        scripts_run, some_channel, until_one_queued,
    },
    key_of, keys, ms, short_lived, until_empty, until_waiting, within,
};

#[tokio::test]
async fn every_key_has_a_hash_tag_and_an_end() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("order:7").metadata("till 7")).await.unwrap();
    let waiter = tokio::spawn(two.lock("order:7").into_future());
    until_waiting(&one, "order:7", 1).await;
    let mut there = keys(&server).await;
    there.sort();
    let expected = ["held", "queue"].map(|part| key_of("order:7", part));
    assert_eq!(there, expected);
    all_have_an_end(&server, there).await;
    guard.release().await;
    within(waiter).await.unwrap().unwrap().release().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_hand_over_takes_no_script_at_the_waiter() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    drop(within(one.lock("warm")).await.unwrap());
    drop(within(two.lock("warm")).await.unwrap());
    until_empty(&server).await;
    let before = scripts_run(&server).await;
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_one_queued(&server, "a").await;
    guard.release().await;
    within(waiter).await.unwrap().unwrap().release().await;
    assert_eq!(scripts_run(&server).await - before, 4, "two acquired and released");
}

#[tokio::test]
async fn several_free_locks_take_one_script() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    drop(within(one.lock_all(["warm", "up"])).await.unwrap());
    until_empty(&server).await;
    let before = scripts_run(&server).await;
    let set = within(one.lock_all(["c", "a", "b"])).await.unwrap();
    assert_eq!(scripts_run(&server).await - before, 1);
    // One of them is held: all or nothing.
    assert!(within(two.lock_all(["d", "b"]).wait(ms(0))).await.is_err());
    let all = tokio::spawn(two.lock_all(["d", "b"]).into_future());
    until_waiting(&one, "b", 1).await;
    assert!(
        within(one.try_lock("d")).await.unwrap().is_some(),
        "it comes behind the one waited for"
    );
    drop(set);
    drop(within(all).await.unwrap().unwrap());
    until_empty(&server).await;
}

#[tokio::test]
async fn renewals_of_many_locks_share_scripts() {
    let server = Single::start().await.unwrap();
    let locks = short_lived(&server, ms(3_000));
    let names = (0..150).map(|number| key!("order:{}", number));
    let guards = join_all(names.map(|name| locks.lock(name).into_future())).await;
    let before = scripts_run(&server).await;
    locks.clock().sleep(ms(4_500)).await;
    let renewals = scripts_run(&server).await - before;
    assert!(guards.iter().all(|guard| guard.as_ref().is_ok_and(|guard| guard.is_held())));
    // One each would be 600.
    assert!((4..=60).contains(&renewals), "{renewals} scripts");
    drop(guards);
    until_empty(&server).await;
}

/// The channel of a process that hears nothing.
const DEAF: &str = "00000000000000df";

/// Each of them has a fence of its own, a loss finds whoever has the lock by then, and other processes are next.
#[tokio::test]
async fn a_lock_goes_on_within_a_process_without_a_call() {
    let server = Single::start().await.unwrap();
    // However slow the test is, its time at a stretch is not over.
    let time = ManualClock::new();
    let redis = Redis::open(&server.url()).unwrap();
    let one = Locks::builder().clock(time.clock()).wait(SOON).redis(redis);
    let two = client(&server);
    let first = within(two.lock("a")).await.unwrap();
    let mut waiters = Vec::new();
    for _ in 0..12 {
        waiters.push(tokio::spawn(one.lock("a").into_future()));
    }
    until_waiting(&one, "a", 12).await;
    // One of theirs stands in line for all of them; behind it comes another process.
    let other = tokio::spawn(two.lock("a").into_future());
    until_waiting(&two, "a", 2).await;
    let (before, mut last) = (scripts_run(&server).await, first.fence());
    drop(first);
    let forced = waiters.pop().unwrap();
    for waiter in waiters {
        let guard = within(waiter).await.unwrap().unwrap();
        assert!(guard.is_held() && guard.fence() > last, "{} after {last}", guard.fence());
        last = guard.fence();
        drop(guard);
    }
    let forced = within(forced).await.unwrap().unwrap();
    let scripts = scripts_run(&server).await - before;
    assert!(scripts <= 4, "{scripts} scripts for 12 acquisitions");
    assert_eq!(one.inspect("a").await.unwrap().holder.unwrap().fence, forced.fence());
    assert!(two.force_release("a", "stuck").await.unwrap());
    let reason = within(forced.lost()).await;
    assert!(matches!(reason, LostReason::ForceReleased { .. }), "{reason}");
    let next = within(other).await.unwrap().unwrap();
    assert!(next.fence() > forced.fence());
    drop(next);
    until_empty(&server).await;
}

#[tokio::test]
async fn strict_order_goes_over_all_processes() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let first = within(one.lock("a")).await.unwrap();
    let mut waiters = Vec::new();
    for number in 0..6 {
        let locks = if number % 2 == 0 { &one } else { &two };
        waiters.push(tokio::spawn(locks.lock("a").strict_fifo().into_future()));
        until_waiting(&one, "a", number + 1).await;
    }
    let mut last = first.fence();
    drop(first);
    for waiter in waiters {
        let guard = within(waiter).await.unwrap().unwrap();
        assert!(guard.fence() > last);
        last = guard.fence();
    }
    until_empty(&server).await;
}

/// A waiter's owner.
fn owner(channel: &str, number: u32) -> String {
    format!("{channel}:000000000000dead:{number:016x}")
}

#[tokio::test]
async fn waiters_whose_process_is_gone_are_passed_over_at_once() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    for number in 1..=40 {
        dead_waiter(&server, &owner("00nobody-listens", number), JUST_NOW).await;
    }
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    let info = one.inspect("a").await.unwrap();
    assert_eq!((info.holder.unwrap().fence, info.waiters), (next.fence(), 0));
}

/// Their host lost power: the server believes that they listen.
#[tokio::test]
async fn waiters_that_have_not_asked_for_long_are_passed_over() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    // Somebody listens on the channel, and nobody does anything about it.
    let redis = Redis::open(&server.url()).unwrap();
    let _deaf = redis.subscribe(format!("mainstay:lock1:{DEAF}"));
    redis.call(mainstay_redis::redis::cmd("PING")).await.unwrap();
    dead_waiter(&server, &owner(DEAF, 1), LONG_AGO).await;
    guard.release().await;
    drop(within(waiter).await.unwrap().unwrap());
}

/// Waiters that came one soon after the other, none of them for long enough to ask again.
#[tokio::test]
async fn whoever_comes_sees_to_it_that_the_queue_lives_on() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let _guard = within(one.lock("a")).await.unwrap();
    let dead = format!("{DEAF}:000000000000dead:0000000000000001");
    dead_waiter(&server, &dead, LONG_AGO).await;
    server.command(&["PEXPIRE", &key_of("a", "queue"), "9000"]).await.unwrap();
    let _waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 2).await;
    let left = server.command(&["PTTL", &key_of("a", "queue")]).await.unwrap();
    assert!(matches!(left, Reply::Int(left) if left > 9_000), "{left:?}");
}

/// It came long ago, and asks: its turn is still before that of others.
#[tokio::test]
async fn a_waiter_that_asks_again_keeps_its_turn_however_long_ago_it_came() {
    let server = Single::start().await.unwrap();
    let (one, two, three) = (client(&server), client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let first = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    let queue = key_of("a", "queue");
    let head = server.command(&["ZRANGE", &queue, "0", "0"]).await.unwrap();
    let entry = head.list()[0].text().unwrap().to_owned();
    server.command(&["ZADD", &queue, "XX", "1", &entry]).await.unwrap();
    // After a new connection every waiter asks.
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    let asked = key_of("a", "asked");
    let noted = || async { server.command(&["HLEN", &asked]).await.unwrap() == Reply::Int(1) };
    eventually(SOON, noted).await.unwrap();
    let _second = tokio::spawn(three.lock("a").into_future());
    until_waiting(&one, "a", 2).await;
    guard.release().await;
    let next = within(first).await.unwrap().unwrap();
    let info = one.inspect("a").await.unwrap();
    assert_eq!((info.holder.unwrap().fence, info.waiters), (next.fence(), 1));
}

/// A push for a claim that this process does not know (any more) is given on.
#[tokio::test]
async fn a_grant_that_nobody_wants_is_given_back() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    dead_waiter(&server, &owner(&some_channel(&server).await, 1), JUST_NOW).await;
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    next.release().await;
    until_empty(&server).await;
}

/// A holder that does not know that it lost its lock neither prolongs nor ends its successor's.
#[tokio::test]
async fn renewals_and_releases_spare_a_successor() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    for round in 0..2 {
        let late = within(one.lock("a")).await.unwrap();
        server.command(&["DEL", &key_of("a", "held")]).await.unwrap();
        let next = within(two.lock("a").fixed_lease(ms(20_000))).await.unwrap();
        if round == 0 {
            let extended = late.extend(ms(60_000)).await;
            assert!(extended.as_ref().is_err_and(|error| error.is_lost()), "{extended:?}");
        } else {
            let released = late.release().await;
            assert!(matches!(released, Released::AlreadyLost { .. }), "{released:?}");
        }
        let holder = one.inspect("a").await.unwrap().holder.expect("the successor holds it");
        assert!(holder.fence == next.fence() && holder.remaining <= ms(20_000), "{holder:?}");
        next.release().await;
    }
    until_empty(&server).await;
}

/// The server gave the lock to a waiter, and the news went astray.
#[tokio::test]
async fn a_lost_push_is_made_up_for_by_a_poll() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    grant_unheard(&server, &guard).await;
    let released = guard.release().await;
    assert!(matches!(released, Released::AlreadyLost { .. }), "{released:?}");
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.is_held() && next.fence() > guard.fence());
}

/// Makes a user who may do what the documentation of `RedisLocks` asks for, and `more`. The URL with its name.
pub(crate) async fn allow_documented(server: &Single, more: &[&str]) -> String {
    let commands = "+hello +client|info +client|kill +info +subscribe +unsubscribe +evalsha +script|load \
                    +time +get +mget +exists +set +del +pexpire +pttl +publish +pubsub|numsub +zadd +zcard +zcount +zpopmin +zrange \
                    +zrangebyscore +zrank +zrem +zscore +hdel +hget +hset";
    let mut rule = vec!["ACL", "SETUSER", "locks", "reset", "on", ">secret"];
    rule.extend(["~{mainstay:lock1:*", "&mainstay:lock1:*"]);
    rule.extend(commands.split_whitespace().chain(more.iter().copied()));
    server.command(&rule).await.unwrap();
    server.url().replace("redis://", "redis://locks:secret@")
}

/// What the documentation asks of an administrator is enough.
#[tokio::test]
async fn the_documented_permissions_suffice() {
    let server = Single::start().await.unwrap();
    let url = allow_documented(&server, &[]).await;
    let (one, two) = (Locks::redis(&url).unwrap(), Locks::redis(&url).unwrap());
    let guard = within(one.lock("a").metadata("m")).await.unwrap();
    let waiter = tokio::spawn(two.lock_timeout("a", SOON));
    until_waiting(&one, "a", 1).await;
    guard.extend(ms(5_000)).await.unwrap();
    server.command(&["CLIENT", "KILL", "USER", "locks"]).await.unwrap();
    eventually(SOON, || two.inspect("a")).await.unwrap();
    assert!(eventually(SOON, || one.force_release("a", "x")).await.unwrap());
    within(waiter).await.unwrap().unwrap().release().await;
    let readers = [two.read_write("a").read(), one.read_write("a").read()];
    let [first, second] = readers.map(IntoFuture::into_future);
    let (first, second) = (within(first).await.unwrap(), within(second).await.unwrap());
    let writer = tokio::spawn(two.lock_timeout("a", SOON));
    until_waiting(&one, "a", 1).await;
    let behind = tokio::spawn(one.read_write("a").read().wait(SOON).into_future());
    until_waiting(&one, "a", 2).await;
    first.extend(ms(5_000)).await.unwrap();
    first.release().await;
    assert!(one.force_release("a", "x").await.unwrap() && !second.is_held());
    within(writer).await.unwrap().unwrap().release().await;
    within(behind).await.unwrap().unwrap().release().await;
    until_empty(&server).await;
    nothing_was_denied(&server).await;
}

#[tokio::test]
async fn a_replica_is_a_failure_and_nothing_is_in_doubt() {
    let server = Single::start().await.unwrap();
    server.command(&["REPLICAOF", "127.0.0.1", "1"]).await.unwrap();
    let error = within(client(&server).lock("a")).await.unwrap_err();
    assert!(matches!(error, mainstay_lock::LockError::Backend { .. }), "{error}");
    assert!(error.to_string().contains("READONLY"), "{error}");
}

#[tokio::test]
async fn namespaces_and_databases_are_apart() {
    let server = Single::start().await.unwrap();
    let redis = Redis::open(&server.url()).unwrap();
    let other = RedisLocks::with_namespace(redis.clone(), "other shop").unwrap();
    let (one, two) = (Locks::builder().redis(redis), Locks::builder().backend(other));
    let third = Locks::redis(&format!("{}3", server.url())).unwrap();
    let guards = [one.try_lock("a").await, two.try_lock("a").await, third.try_lock("a").await];
    assert!(guards.iter().all(|guard| matches!(guard, Ok(Some(_)))), "{guards:?}");
    let waiter = tokio::spawn(two.lock_timeout("a", SOON));
    until_waiting(&one, "a", 0).await;
    until_waiting(&two, "a", 1).await;
    drop(guards);
    drop(within(waiter).await.unwrap().unwrap());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_failure() {
    let locks = Locks::redis("redis://127.0.0.1:1/").unwrap();
    let error = within(locks.lock("a").wait(ms(500))).await.unwrap_err();
    assert!(matches!(error, mainstay_lock::LockError::Backend { .. }), "{error}");
}
