//! Readers of a quorum whose nodes are killed, paused, emptied and cut off, with a writer that waits.

use mainstay_lock::{Fence, LockError, LockGuard, Locks, LostReason, Redis, Released};
use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Reply, Single},
};
use tokio::task::JoinHandle;

use crate::{
    SOON, by_its_own_clock, key_of, ms,
    quorum::{
        client, cut_off, every_node_is_empty, forgetful, no_second, scripts_run, servers,
        short_lived, through_proxies,
    },
    quorum_readers::{first, read, readers_at, until_readers},
    until_waiting, within,
};

type Waiter = JoinHandle<Result<LockGuard, LockError>>;

async fn waiting(locks: &Locks) -> Waiter {
    let waiter = tokio::spawn(locks.lock("a").into_future());
    until_waiting(locks, "a", 1).await;
    waiter
}

async fn until_has(node: &Single, owner: &str) {
    let has = || async { readers_at(node).await.iter().any(|reader| reader == owner) };
    eventually(SOON, has).await.unwrap();
}

/// Its name on the nodes.
async fn owner_of(node: &Single, others: &[String]) -> String {
    let there = readers_at(node).await;
    there.into_iter().find(|reader| !others.contains(reader)).unwrap()
}

/// What a writer that waited for readers gets when they have gone, above their fences.
async fn written(waiter: Waiter, readers: Vec<LockGuard>) -> Fence {
    let mut highest = Fence::NONE;
    for reader in readers {
        assert!(reader.is_held());
        highest = highest.max(reader.fence());
        assert_eq!(within(reader.release()).await, Released::Released);
    }
    let writer = within(waiter).await.unwrap().unwrap();
    assert!(writer.fence() > highest, "{} after {highest}", writer.fence());
    let fence = writer.fence();
    writer.release().await;
    fence
}

#[tokio::test]
async fn one_node_killed_costs_no_reader_its_lock_and_the_writer_no_turn() {
    let mut nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let mut last = Fence::NONE;
    for down in 0..3 {
        let readers = vec![read(&one).await, read(&one).await];
        assert!(readers.iter().all(|reader| reader.fence() > last));
        until_readers(&nodes, 2).await;
        let writer = waiting(&two).await;
        nodes[down].kill().await.unwrap();
        // Renewed over the other two.
        one.clock().sleep(ms(2_000)).await;
        assert!(!writer.is_finished(), "a writer beside readers");
        last = written(writer, readers).await;
        nodes[down].restart().await.unwrap();
        eventually(SOON, || two.inspect("b")).await.unwrap();
    }
}

#[tokio::test]
async fn one_node_paused_costs_readers_a_time_budget_and_no_lock() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    for locks in [&one, &two] {
        read(locks).await.release().await;
        within(locks.lock("warm")).await.unwrap().release().await;
    }
    for paused in &nodes {
        paused.pause().unwrap();
        let readers = vec![read(&one).await, read(&two).await];
        assert!(within(two.try_lock("a")).await.unwrap().is_none());
        let writer = tokio::spawn(two.lock("a").into_future());
        written(writer, readers).await;
        paused.resume().unwrap();
    }
    // What the paused ones had been asked for is given back, too.
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn two_of_five_killed_cost_no_reader_its_lock_and_three_end_it() {
    let mut nodes = servers(5).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let reader = read(&one).await;
    for node in &mut nodes[..2] {
        node.kill().await.unwrap();
    }
    one.clock().sleep(ms(2_500)).await;
    assert!(reader.is_held());
    assert!(within(two.try_lock("a")).await.unwrap().is_none());
    let beside = read(&two).await;
    assert!(beside.fence() > reader.fence());
    nodes[2].kill().await.unwrap();
    assert!(by_its_own_clock(&within(reader.lost()).await));
    let error = within(two.read_write("b").read()).await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. } | LockError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("3 are needed"), "{error}");
}

/// What comes back empty gives no reader its vote until every lease it may have forgotten is over, and the readers that
/// are there win it back.
#[tokio::test]
async fn quorum_node_with_readers_restarted_empty() {
    let mut nodes = servers(3).await;
    let (holder, rival) = (forgetful(&nodes, ms(3_000)), forgetful(&nodes, ms(3_000)));
    let asked = || async { holder.read_write("a").try_read().await };
    let first = eventually(SOON, asked).await.unwrap().unwrap();
    until_readers(&nodes, 1).await;
    let second = read(&holder).await;
    until_readers(&nodes, 2).await;
    for down in 0..3 {
        nodes[down].restart().await.unwrap();
        no_second(&within(rival.try_lock("a")).await);
        until_readers(&nodes[down..=down], 2).await;
        no_second(&within(rival.try_lock("a")).await);
        // A loss that was noticed late may hide it until then.
        holder.clock().sleep(ms(3_000)).await;
        for reader in [&first, &second] {
            assert!(reader.is_held(), "{:?}, after node {down}", reader.release().await);
        }
    }
    // More than what is promised: empty nodes give nobody their votes, so they say nothing against a reader.
    nodes[0].restart().await.unwrap();
    nodes[1].restart().await.unwrap();
    no_second(&within(rival.try_lock("a")).await);
    until_readers(&nodes, 2).await;
    holder.clock().sleep(ms(3_000)).await;
    for reader in [first, second] {
        assert!(reader.is_held(), "{:?}", reader.release().await);
        assert_eq!(within(reader.release()).await, Released::Released);
    }
    every_node_is_empty(&nodes).await;
}

/// A node that gives no vote gives none to readers either: two that do not know of the restart are refused by it.
#[tokio::test]
async fn an_empty_node_gives_readers_no_vote() {
    let mut nodes = servers(3).await;
    let locks = forgetful(&nodes, ms(3_000));
    let asked = || async { locks.read_write("a").try_read().await };
    eventually(SOON, asked).await.unwrap().unwrap().release().await;
    let (first, third) = (first(), (first() + 2) % 3);
    nodes[first].restart().await.unwrap();
    nodes[third].kill().await.unwrap();
    let error = within(locks.read_write("a").try_read()).await.unwrap_err();
    assert!(error.to_string().contains("needed"), "{error}");
    assert!(readers_at(&nodes[first]).await.is_empty());
    eventually(SOON, asked).await.unwrap().unwrap().release().await;
}

#[tokio::test]
async fn quorum_a_minority_is_flushed_under_readers() {
    let nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let readers = vec![read(&one).await, read(&one).await];
    until_readers(&nodes, 2).await;
    let writer = waiting(&two).await;
    // A waiter lines up anew there, and may lead at the empty one for a moment; it finds the others shared.
    for node in &nodes {
        node.command(&["FLUSHALL"]).await.unwrap();
        assert!(within(two.try_lock("a")).await.unwrap().is_none());
        // Won back by the next renewal, and counted by the one after.
        until_readers(std::slice::from_ref(node), 2).await;
        one.clock().sleep(ms(600)).await;
    }
    assert!(!writer.is_finished(), "a writer beside readers");
    written(writer, readers).await;
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn readers_are_told_when_a_majority_was_flushed() {
    let nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(3_000)), client(&nodes));
    let readers = [read(&one).await, read(&one).await];
    for node in &nodes[..2] {
        node.command(&["FLUSHALL"]).await.unwrap();
    }
    let next = within(two.lock("a")).await.unwrap();
    for reader in &readers {
        assert!(next.fence() > reader.fence());
        assert_eq!(within(reader.lost()).await, LostReason::TakenOver, "the next renewal tells");
    }
    assert!(next.is_held());
}

/// Nobody renews: the reader is told all the same, by those that have connected again.
#[tokio::test]
async fn a_majority_that_comes_back_empty_tells_a_reader_before_the_next_renewal() {
    let nodes = servers(3).await;
    let (locks, proxies) = through_proxies(&nodes, ms(600_000)).await;
    let reader = read(&locks).await;
    until_readers(&nodes, 1).await;
    for down in [0, 2] {
        assert!(reader.is_held(), "one node is no majority");
        nodes[down].command(&["FLUSHALL"]).await.unwrap();
        let before = scripts_run(std::slice::from_ref(&nodes[down])).await;
        proxies[down].reset();
        let looked = || async { scripts_run(std::slice::from_ref(&nodes[down])).await > before };
        eventually(SOON, looked).await.unwrap();
    }
    assert_eq!(within(reader.lost()).await, LostReason::TakenOver);
    // What the third has is given back.
    every_node_is_empty(&nodes).await;
}

/// A node forgot one of two readers, and a writer stands in line there.
#[tokio::test]
async fn a_renewal_wins_a_vote_back_past_a_writer_that_waits() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let kept = read(&one).await;
    until_readers(&nodes, 1).await;
    let others = readers_at(&nodes[0]).await;
    let forgotten = read(&one).await;
    until_readers(&nodes, 2).await;
    let owner = owner_of(&nodes[0], &others).await;
    let writer = waiting(&two).await;
    let line = &nodes[first()];
    let readers = key_of("a", "readers");
    let names = line.command(&["ZRANGE", &readers, "0", "-1"]).await.unwrap();
    let name =
        names.list().iter().find_map(|name| name.text().filter(|name| name.ends_with(&owner)));
    let removed = line.command(&["ZREM", &readers, name.unwrap()]).await.unwrap();
    assert_eq!(removed, Reply::Int(1));
    // A newcomer stands behind the writer, whoever else reads there.
    assert!(within(two.read_write("a").try_read()).await.unwrap().is_none());
    within(forgotten.extend(ms(60_000))).await.unwrap();
    until_has(line, &owner).await;
    kept.release().await;
    assert!(!writer.is_finished(), "a writer beside a reader");
    written(writer, vec![forgotten]).await;
}

/// All that a node knew of the readers is gone, and a writer has its vote there: the readers' renewals leave it alone.
#[tokio::test]
async fn a_renewal_does_not_take_a_vote_from_a_writer() {
    let nodes = servers(3).await;
    let one = client(&nodes);
    let reader = read(&one).await;
    until_readers(&nodes, 1).await;
    nodes[0].command(&["FLUSHALL"]).await.unwrap();
    let alone = Locks::builder().redis(Redis::open(&nodes[0].url()).unwrap());
    let writer = within(alone.lock("a")).await.unwrap();
    within(reader.extend(ms(60_000))).await.expect("two nodes have it");
    assert!(readers_at(&nodes[0]).await.is_empty());
    within(writer.extend(ms(60_000))).await.expect("nobody took it");
    writer.release().await;
    within(reader.extend(ms(60_000))).await.unwrap();
    until_readers(&nodes, 1).await;
}

#[tokio::test]
async fn quorum_reader_on_the_minority_side() {
    let nodes = servers(3).await;
    let (cut, proxies) = through_proxies(&nodes, ms(1_500)).await;
    let others = client(&nodes);
    let reader = read(&cut).await;
    until_readers(&nodes, 1).await;
    let writer = waiting(&others).await;
    let work = reader.run(std::future::pending::<()>());
    // It reaches one node still.
    let (kept, gone) = (first(), [(first() + 1) % 3, (first() + 2) % 3]);
    for node in gone {
        cut_off(&proxies[node]).await;
    }
    let lost = within(work).await.unwrap_err();
    assert!(by_its_own_clock(&lost.reason), "{}", lost.reason);
    let next = within(writer).await.unwrap().unwrap();
    assert!(!reader.is_held() && next.fence() > reader.fence());
    // Nothing is asked of a node any more whose connection was given up, after three silent seconds.
    let error = within(cut.read_write("b").read().wait(ms(0))).await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. } | LockError::Unknown { .. }), "{error}");
    assert!(readers_at(&nodes[kept]).await.is_empty());
}

#[tokio::test]
async fn a_forced_release_takes_the_lock_from_all_readers() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let readers = [read(&one).await, read(&two).await, read(&one).await];
    until_readers(&nodes, 3).await;
    let writer = waiting(&two).await;
    assert!(within(one.force_release("a", "stuck")).await.unwrap());
    for reader in &readers {
        let reason = within(reader.lost()).await;
        assert_eq!(reason, LostReason::ForceReleased { reason: "stuck".into() });
    }
    within(writer).await.unwrap().unwrap().release().await;
    assert!(!within(two.force_release("a", "again")).await.unwrap());
    every_node_is_empty(&nodes).await;
}

/// A forced release at one node and then at another, with a renewal in between: it is forced all the same.
#[tokio::test]
async fn a_renewal_between_two_forced_nodes_does_not_bring_a_reader_back() {
    let nodes = servers(3).await;
    let reader = within(client(&nodes).read_write("a").read().lease(ms(60_000))).await.unwrap();
    until_readers(&nodes, 1).await;
    for (count, node) in nodes[..2].iter().enumerate() {
        assert!(reader.is_held(), "{count} of three nodes were forced");
        let alone = Locks::builder().redis(Redis::open(&node.url()).unwrap());
        assert!(within(alone.force_release("a", "stuck")).await.unwrap());
        // Lost at the second node by now, if not to be renewed.
        let _ = within(reader.extend(ms(60_000))).await;
    }
    let reason = within(reader.lost()).await;
    assert_eq!(reason, LostReason::ForceReleased { reason: "stuck".into() });
    every_node_is_empty(&nodes).await;
}

/// One node forgot it, and another one is silent: with that one, a majority had it.
#[tokio::test]
async fn a_release_says_that_a_read_was_lost_only_where_a_majority_does() {
    let nodes = servers(3).await;
    let (locks, proxies) = through_proxies(&nodes, ms(60_000)).await;
    let reader = read(&locks).await;
    until_readers(&nodes, 1).await;
    // So every node knows the scripts, and answers of what comes next are lost, not asked for again.
    reader.release().await;
    let reader = read(&locks).await;
    until_readers(&nodes, 1).await;
    nodes[1].command(&["FLUSHALL"]).await.unwrap();
    proxies[0].black_hole(Direction::ToClient);
    assert_eq!(within(reader.release()).await, Released::Unknown);
    proxies[0].clear().await;
    let released = || async { within(reader.release()).await == Released::Released };
    eventually(SOON, released).await.unwrap();
    every_node_is_empty(&nodes).await;

    let reader = read(&locks).await;
    until_readers(&nodes, 1).await;
    let beside = read(&client(&nodes)).await;
    until_readers(&nodes, 2).await;
    for node in &nodes[..2] {
        node.command(&["FLUSHALL"]).await.unwrap();
    }
    let lost = Released::AlreadyLost { reason: LostReason::TakenOver };
    assert_eq!(within(reader.release()).await, lost);
    drop(beside);
    every_node_is_empty(&nodes).await;
}
