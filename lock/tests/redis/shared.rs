//! Readers on a server: what is kept of them, and what becomes of those that are gone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use mainstay_lock::{Clock, Fence, LockGuard, Locks, LostReason, Released};
use mainstay_testkit::redis::Single;

use crate::{
    SOON, client,
    common::{
        JUST_NOW, LONG_AGO, all_have_an_end, dead_waiter, grant_unheard, scripts_run, some_channel,
        until_one_queued, while_connections_are_cut,
    },
    fences::stepped_back,
    key_of, keys, ms, short_lived, until_empty, until_waiting, within,
};

async fn read(locks: &Locks) -> LockGuard {
    within(locks.read_write("a").read()).await.unwrap()
}

#[tokio::test]
async fn the_keys_of_readers_have_a_hash_tag_and_an_end() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let readers = [read(&one).await, read(&two).await];
    let writer = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    let mut there = keys(&server).await;
    there.sort();
    let parts = ["held", "queue", "readers", "shares"];
    assert_eq!(there, parts.map(|part| key_of("a", part)));
    all_have_an_end(&server, there).await;
    drop(readers);
    within(writer).await.unwrap().unwrap().release().await;
    until_empty(&server).await;
}

#[tokio::test]
async fn a_read_costs_two_scripts_and_one_more_when_its_turn_comes() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    // So that the scripts are known there.
    for locks in [&one, &two] {
        read(locks).await.release().await;
        within(locks.lock("a")).await.unwrap().release().await;
    }
    let before = scripts_run(&server).await;
    read(&one).await.release().await;
    assert_eq!(scripts_run(&server).await - before, 2);
    let before = scripts_run(&server).await;
    let writer = within(one.lock("a")).await.unwrap();
    let reader = tokio::spawn(two.read_write("a").read().into_future());
    until_one_queued(&server, "a").await;
    writer.release().await;
    within(reader).await.unwrap().unwrap().release().await;
    assert_eq!(scripts_run(&server).await - before, 5, "two in, two out, and one for the turn");
}

#[tokio::test]
async fn a_writer_that_died_in_the_queue_does_not_keep_readers_out() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let _reader = read(&one).await;
    let dead = "000000000000dead:000000000000dead:0000000000000001";
    dead_waiter(&server, dead, LONG_AGO).await;
    let joined = within(two.read_write("a").try_read()).await.unwrap();
    assert!(joined.is_some(), "it waits behind the dead");
}

/// The push went to a process that does not know its waiter any more.
#[tokio::test]
async fn a_turn_that_nobody_wants_is_given_back() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    until_waiting(&one, "a", 1).await;
    let channel = some_channel(&server).await;
    let owner = format!("{channel}~000000000000dead:0000000000000001");
    dead_waiter(&server, &owner, JUST_NOW).await;
    guard.release().await;
    within(waiter).await.unwrap().unwrap().release().await;
    until_empty(&server).await;
}

/// The server gave the name to a waiting reader, and the news went astray.
#[tokio::test]
async fn a_lost_turn_is_made_up_for_by_a_poll() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let guard = within(one.lock("a")).await.unwrap();
    let reader = tokio::spawn(two.read_write("a").read().into_future());
    until_waiting(&one, "a", 1).await;
    grant_unheard(&server, &guard).await;
    let next = within(reader).await.unwrap().unwrap();
    assert!(next.is_held() && next.fence() > guard.fence());
    let beside = within(one.read_write("a").try_read()).await.unwrap();
    assert!(beside.is_some(), "it is shared by now");
}

#[tokio::test]
async fn fences_of_readers_and_writers_rise_although_the_clock_stepped_back() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let mut last = stepped_back(&server, "a", 60_000_000).await;
    for round in 0..4 {
        let readers = [read(&one).await, read(&two).await, read(&one).await];
        let writer = tokio::spawn(two.lock("a").into_future());
        until_waiting(&one, "a", 1).await;
        let after = tokio::spawn(one.read_write("a").read().into_future());
        until_waiting(&one, "a", 2).await;
        let fences = readers.map(|reader| reader.fence());
        let writer = within(writer).await.unwrap().unwrap();
        let fences: Vec<Fence> = fences.into_iter().chain([writer.fence()]).collect();
        drop(writer);
        let after = within(after).await.unwrap().unwrap();
        for fence in fences.into_iter().chain([after.fence()]) {
            assert!(fence > last, "round {round}: {fence} after {last}");
            last = fence;
        }
        after.release().await;
    }
}

#[tokio::test]
async fn readers_that_lost_their_data_are_told() {
    let mut server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    // No renewal is due for minutes: only a look tells.
    let reader = within(one.read_write("a").read().lease(ms(600_000))).await.unwrap();
    server.restart().await.unwrap();
    assert_eq!(within(reader.lost()).await, LostReason::TakenOver);
    let writer = within(two.lock("a")).await.unwrap();
    assert!(writer.fence() > reader.fence());
    let reason = LostReason::TakenOver;
    assert_eq!(within(reader.release()).await, Released::AlreadyLost { reason });
    assert!(writer.is_held());
}

#[tokio::test]
async fn a_reader_whose_lease_ends_leaves_the_others_alone() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), short_lived(&server, ms(1_000)));
    let (renewed, kept) = (read(&two).await, read(&one).await);
    let fixed = within(one.read_write("a").read().fixed_lease(ms(300))).await.unwrap();
    within(fixed.lost()).await;
    let gone = || async { one.inspect("a").await.is_ok_and(|info| info.reader_count == 2) };
    mainstay_testkit::eventually(SOON, gone).await.unwrap();
    one.clock().sleep(ms(1_500)).await;
    assert!(renewed.is_held() && kept.is_held());
    assert!(within(one.try_lock("a")).await.unwrap().is_none());
    drop((renewed, kept));
    drop(within(one.lock("a")).await.unwrap());
}

/// Readers and writers while their connections are cut, and pushes with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_whose_connections_are_killed_never_overlap() {
    const WRITER: usize = 1_000;
    let server = Arc::new(Single::start().await.unwrap());
    let clients = [client(&server), client(&server)];
    let inside = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for number in 0..9 {
        let (locks, inside) = (clients[number % 2].clone(), inside.clone());
        let (writes, weight) = if number % 3 == 0 { (true, WRITER) } else { (false, 1) };
        tasks.push(tokio::spawn(async move {
            let mut turns = 0;
            while turns < 10 {
                let lock = locks.read_write("a");
                let request = if writes { lock.write() } else { lock.read() };
                // Cut off while asking: not held, so asked again.
                let Ok(guard) = request.await else {
                    Clock::boot().sleep(ms(1)).await;
                    continue;
                };
                let before = inside.fetch_add(weight, Ordering::SeqCst);
                assert!(if writes { before == 0 } else { before < WRITER }, "{before} inside");
                Clock::boot().sleep(ms(2)).await;
                assert!(guard.is_held());
                inside.fetch_sub(weight, Ordering::SeqCst);
                guard.release().await;
                turns += 1;
            }
        }));
    }
    while_connections_are_cut(&server, 10, tasks).await;
    until_empty(&server).await;
}

/// A renewal does not bring back a reader that the server does not know, beside those it knows.
#[tokio::test]
async fn a_renewal_does_not_make_a_reader_of_one_that_is_gone() {
    let server = Single::start().await.unwrap();
    let (one, two) = (client(&server), client(&server));
    let gone = read(&one).await;
    server.command(&["DEL", &key_of("a", "held")]).await.unwrap();
    let reader = read(&two).await;
    let extended = gone.extend(SOON * 4).await;
    assert!(extended.as_ref().is_err_and(|error| error.is_lost()), "{extended:?}");
    assert_eq!(one.inspect("a").await.unwrap().reader_count, 1);
    reader.release().await;
    until_empty(&server).await;
}
