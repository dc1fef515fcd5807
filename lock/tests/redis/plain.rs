//! Plain keys, shared with services that know nothing of this library: raw commands play them.

use futures_util::{StreamExt, stream};
use mainstay_lock::{
    Fence, Locks, LocksBuilder, LostReason, ManualClock, PlainRedis, Redis, Released,
    conformance::{Ability, Arena, Case, cases},
    key,
};
use mainstay_testkit::{
    eventually,
    redis::{Reply, Single},
};

use crate::{
    SOON, client,
    common::{nothing_was_denied, scripts_run},
    keys, ms, until_empty, within,
};

fn plain(server: &Single) -> PlainRedis {
    PlainRedis::new(Redis::open(&server.url()).unwrap()).prefix("lock:")
}

fn locks(server: &Single) -> Locks {
    Locks::builder().wait(SOON).backend(plain(server))
}

async fn raw(server: &Single, command: &str) -> Reply {
    let args: Vec<_> = command.split(' ').collect();
    server.command(&args).await.unwrap()
}

/// What `SET .. NX` says.
async fn raw_takes(server: &Single, command: &str) -> bool {
    raw(server, command).await == Reply::Text("OK".to_owned())
}

async fn run(cases: Vec<Case>, arena: &Arena) {
    let run = |case: Case| async move {
        case.run(arena).await.err().map(|error| format!("{}: {error}", case.name()))
    };
    let broken: Vec<_> =
        stream::iter(cases).map(run).buffer_unordered(8).filter_map(async |x| x).collect().await;
    assert!(broken.is_empty(), "{} cases broken:\n{}", broken.len(), broken.join("\n"));
}

/// A key with something else under it gives no answer for its own lock, and for no other.
#[tokio::test]
async fn a_renewal_that_fails_for_one_key_leaves_the_others_alone() {
    let server = Single::start().await.unwrap();
    let time = ManualClock::new();
    let locks = Locks::builder().clock(time.clock()).lease(ms(30_000)).backend(plain(&server));
    let (kept, broken) = (within(locks.lock("a")).await, within(locks.lock("b")).await);
    let (kept, broken) = (kept.unwrap(), broken.unwrap());
    raw(&server, "DEL lock:b").await;
    raw(&server, "HSET lock:b some thing").await;
    // Both are due at the same moment, and time stands still until the answers are there.
    time.run_for(ms(10_000)).await;
    let renewed = || async { kept.remaining() > ms(25_000) };
    eventually(SOON, renewed).await.unwrap();
    assert!(broken.remaining() < ms(20_000) && broken.is_held(), "nobody knows");
}

#[tokio::test]
async fn clients_of_one_process_pass_the_whole_suite() {
    let server = Single::start().await.unwrap();
    let shared = plain(&server);
    let arena = Arena::real(move |builder: LocksBuilder| builder.backend(shared.clone()));
    let able = |case: &Case| !case.needs().contains(&Ability::Shares);
    run(cases().into_iter().filter(able).collect(), &arena).await;
    until_empty(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_pass_all_of_it_but_the_common_line() {
    let server = Single::start().await.unwrap();
    let redis = {
        let url = server.url();
        move || PlainRedis::new(Redis::open(&url).unwrap())
    };
    let arena = Arena::real(move |builder: LocksBuilder| builder.backend(redis()));
    let able: Vec<_> = cases().into_iter().filter(|case| case.needs().is_empty()).collect();
    assert!(able.len() >= 16, "{able:?}");
    run(able, &arena).await;
    until_empty(&server).await;
}

#[tokio::test]
async fn both_sides_exclude_each_other_on_the_same_key() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    assert!(raw_takes(&server, "SET lock:{order}:7 java NX PX 60000").await);
    assert!(locks.try_lock("{order}:7").await.unwrap().is_none());
    let waiter = tokio::spawn(locks.lock(key!("{}", "{order}:7")).into_future());
    crate::until_waiting(&locks, "{order}:7", 1).await;
    // The other side releases with its compare-and-delete.
    raw(&server, "DEL lock:{order}:7").await;
    let guard = within(waiter).await.unwrap().unwrap();
    assert!(!raw_takes(&server, "SET lock:{order}:7 java NX PX 60000").await);
    let Reply::Int(left) = raw(&server, "PTTL lock:{order}:7").await else { panic!("a time") };
    assert!(left > 0 && guard.fence() > Fence::NONE);
    assert_eq!(guard.release().await, Released::Released);
    assert!(raw_takes(&server, "SET lock:{order}:7 java NX PX 60000").await);
}

#[tokio::test]
async fn a_holder_of_the_other_side_that_lets_its_key_expire_is_succeeded() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    assert!(raw_takes(&server, "SET lock:a java NX PX 400").await);
    let info = locks.inspect("a").await.unwrap();
    let holder = info.holder.unwrap();
    assert_eq!((holder.metadata.as_deref(), holder.fence), (Some("java"), Fence::NONE));
    assert!(holder.remaining <= ms(400));
    let guard = within(locks.lock("a")).await.unwrap();
    assert!(guard.is_held());
}

#[tokio::test]
async fn a_key_without_an_end_is_waited_for_in_vain_until_an_operator_ends_it() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    assert!(raw_takes(&server, "SET lock:a java NX").await);
    let error = within(locks.lock("a").wait(ms(200))).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let holder = locks.inspect("a").await.unwrap().holder.unwrap();
    assert_eq!(holder.remaining, std::time::Duration::MAX);
    let waiter = tokio::spawn(locks.lock("a").into_future());
    crate::until_waiting(&locks, "a", 1).await;
    assert!(locks.force_release("a", "it died").await.unwrap());
    within(waiter).await.unwrap().unwrap().release().await;
    until_empty(&server).await;
}

/// What it costs that the other side does not look at the owner: two hold it until our next renewal.
#[tokio::test]
async fn a_delete_without_a_look_at_the_owner_is_told_by_the_next_renewal() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    let guard = within(locks.lock("a").lease(ms(1_500))).await.unwrap();
    raw(&server, "DEL lock:a").await;
    assert!(raw_takes(&server, "SET lock:a java NX PX 60000").await);
    assert!(guard.is_held(), "two hold it: nobody told us");
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver);
    drop(guard);
    // The other side's key is left alone.
    eventually(SOON, || async { keys(&server).await == ["lock:a"] }).await.unwrap();
    assert_eq!(raw(&server, "GET lock:a").await.text(), Some("java"));
}

#[tokio::test]
async fn a_late_release_and_a_late_renewal_leave_the_other_side_alone() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    for renews in [false, true] {
        let late = within(locks.lock("a")).await.unwrap();
        assert!(raw_takes(&server, "SET lock:a java PX 60000").await);
        if renews {
            let extended = late.extend(ms(90_000)).await;
            assert!(extended.as_ref().is_err_and(|error| error.is_lost()), "{extended:?}");
        } else {
            let released = late.release().await;
            assert!(matches!(released, Released::AlreadyLost { .. }), "{released:?}");
        }
        assert_eq!(raw(&server, "GET lock:a").await.text(), Some("java"));
        let Reply::Int(left) = raw(&server, "PTTL lock:a").await else { panic!("a time") };
        assert!(left <= 60_000);
        raw(&server, "DEL lock:a").await;
    }
}

/// One asks for all: waiting costs the server no more for many waiters than for one.
#[tokio::test]
async fn waiters_of_one_process_are_served_in_order_and_ask_as_one() {
    let server = Single::start().await.unwrap();
    let slow = plain(&server).ask_every(ms(100));
    let locks = Locks::builder().wait(SOON).backend(slow);
    assert!(raw_takes(&server, "SET lock:a java NX PX 60000").await);
    let mut waiters = Vec::new();
    for number in 0..20_usize {
        waiters.push(tokio::spawn(locks.lock("a").into_future()));
        crate::until_waiting(&locks, "a", number + 1).await;
    }
    let before = scripts_run(&server).await;
    locks.clock().sleep(ms(1_000)).await;
    let asked = scripts_run(&server).await - before;
    assert!((1..=30).contains(&asked), "{asked} scripts");
    raw(&server, "DEL lock:a").await;
    let mut last = Fence::NONE;
    for waiter in waiters {
        let guard = within(waiter).await.unwrap().unwrap();
        assert!(guard.fence() > last, "{} after {last}", guard.fence());
        last = guard.fence();
        guard.release().await;
    }
    until_empty(&server).await;
}

#[tokio::test]
async fn something_else_under_the_key_is_a_failure_that_says_so() {
    let server = Single::start().await.unwrap();
    let locks = locks(&server);
    raw(&server, "HSET lock:a field 1").await;
    let error = within(locks.lock("a")).await.unwrap_err();
    assert!(matches!(error, mainstay_lock::LockError::Backend { .. }), "{error}");
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}

/// The plain key and the lock of the same name of [`mainstay_lock::RedisLocks`] are two locks: a fleet
/// moves on when nobody uses the plain one any more.
#[tokio::test]
async fn a_plain_key_is_not_the_lock_of_the_full_mode() {
    let server = Single::start().await.unwrap();
    let (plain, full) = (locks(&server), client(&server));
    let one = within(plain.lock("a")).await.unwrap();
    let two = within(full.lock("a")).await.unwrap();
    assert!(one.is_held() && two.is_held() && two.fence() > one.fence());
}

#[tokio::test]
async fn the_documented_permissions_suffice_for_plain_keys() {
    let server = Single::start().await.unwrap();
    let commands = "+hello +client|info +client|kill +info +evalsha +script|load +time +get +set +del \
                    +pexpire +pttl";
    let mut rule = vec!["ACL", "SETUSER", "locks", "reset", "on", ">secret", "~lock:*"];
    rule.extend(commands.split_whitespace());
    server.command(&rule).await.unwrap();
    let url = server.url().replace("redis://", "redis://locks:secret@");
    let locks = Locks::builder().plain_redis(Redis::open(&url).unwrap(), "lock:");
    let guard = within(locks.lock("a")).await.unwrap();
    guard.extend(ms(5_000)).await.unwrap();
    locks.inspect("a").await.unwrap();
    assert!(locks.force_release("a", "x").await.unwrap());
    guard.release().await;
    nothing_was_denied(&server).await;
}
