//! What the holder of a quorum's lock is told: it was lost only if a majority says so.

use std::time::Duration;

use mainstay_lock::{Key, LockGuard, Locks, LostReason, Quorum, Redis, Released};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::{Reply, Single},
};

use crate::{
    SOON, by_its_own_clock, key_of, ms,
    quorum::{client, cut_off, every_node_is_empty, record, scripts_run, servers},
    within,
};

/// Nodes behind proxies; each of them may be silent for a time budget.
async fn reached(nodes: &[Single], budget: Duration) -> (Quorum, Vec<Proxy>) {
    let (mut proxies, mut redis) = (Vec::new(), Vec::new());
    for node in nodes {
        let proxy = node.proxy().await.unwrap();
        let reached = Redis::builder(&proxy.url(&node.url())).unwrap().budget(budget);
        redis.push(reached.build().unwrap());
        proxies.push(proxy);
    }
    (Quorum::new(redis).unwrap().durable_nodes(), proxies)
}

/// A lock that all nodes have, and where its client reaches them.
async fn held_everywhere(nodes: &[Single]) -> (Locks, LockGuard, Vec<Proxy>) {
    let (quorum, proxies) = reached(nodes, ms(1_500)).await;
    // So long that nothing is renewed before the test says so.
    let locks = Locks::builder().wait(SOON).lease(ms(60_000)).backend(quorum);
    let guard = eventually(SOON, || locks.lock("a").into_future()).await.unwrap();
    // So every node knows the script that renews: where answers do not arrive, nobody is told that it does not.
    for node in nodes {
        let extended = || async {
            let left = || async { node.command(&["PTTL", &key_of("a", "held")]).await };
            let lasts = |left| matches!(left, Ok(Reply::Int(left)) if left > 60_000);
            // On a busy machine a node may not be asked within the budget.
            lasts(left().await) || guard.extend(ms(90_000)).await.is_ok() && lasts(left().await)
        };
        eventually(SOON, extended).await.unwrap();
        until_it_answers(&locks, node).await;
    }
    (locks, guard, proxies)
}

/// Connected, and done with whatever it was asked before: answers of a connection come in order.
async fn until_it_answers(locks: &Locks, node: &Single) {
    let asked = || async {
        let before = scripts_run(std::slice::from_ref(node)).await;
        within(locks.inspect("b")).await.is_ok()
            && scripts_run(std::slice::from_ref(node)).await > before
    };
    eventually(SOON, asked).await.unwrap();
}

/// On a busy machine a node may not have been asked within the budget.
async fn until_it_has(guard: &LockGuard, node: &Single) {
    let has = || async {
        if record(node).await.is_none() {
            within(guard.extend(ms(60_000))).await.map_err(|error| error.to_string())?;
        }
        record(node).await.ok_or_else(|| "it has nothing".to_owned())
    };
    eventually(SOON, has).await.unwrap();
}

/// A node loses its data and its connections; returns when it was asked what it has still.
async fn empty(locks: &Locks, node: &Single, proxy: &Proxy) {
    node.command(&["FLUSHALL"]).await.unwrap();
    let before = scripts_run(std::slice::from_ref(node)).await;
    proxy.reset();
    let looked = || async { scripts_run(std::slice::from_ref(node)).await > before };
    eventually(SOON, looked).await.unwrap();
    until_it_answers(locks, node).await;
}

/// One node gave it back, one had lost it, and what the third did nobody knows: with it, a majority had it.
#[tokio::test]
async fn a_release_without_a_majority_that_knows_is_unknown_and_not_a_loss() {
    let nodes = servers(3).await;
    for silent in 0..3 {
        let (_locks, guard, proxies) = held_everywhere(&nodes).await;
        nodes[(silent + 1) % 3].command(&["FLUSHALL"]).await.unwrap();
        proxies[silent].black_hole(Direction::ToClient);
        assert_eq!(within(guard.release()).await, Released::Unknown);
        proxies[silent].clear().await;
        let released = || async { within(guard.release()).await == Released::Released };
        eventually(SOON, released).await.unwrap();
        every_node_is_empty(&nodes).await;
    }
}

/// As above, and the request never arrived anywhere: nothing was given back, and it may be held still.
#[tokio::test]
async fn a_release_that_reached_a_minority_is_no_loss() {
    let nodes = servers(3).await;
    let (_locks, guard, proxies) = held_everywhere(&nodes).await;
    nodes[0].command(&["FLUSHALL"]).await.unwrap();
    for proxy in &proxies[1..] {
        proxy.refuse().await;
        proxy.reset();
    }
    assert_eq!(within(guard.release()).await, Released::Unknown);
    for proxy in &proxies[1..] {
        proxy.clear().await;
    }
    let released = || async { within(guard.release()).await == Released::Released };
    eventually(SOON, released).await.unwrap();
    // What one node may have still is no majority.
    assert!(within(client(&nodes).lock("a")).await.unwrap().fence() > guard.fence());
}

#[tokio::test]
async fn a_release_after_a_majority_forgot_the_lock_says_that_it_was_lost() {
    let nodes = servers(3).await;
    let (_locks, guard, proxies) = held_everywhere(&nodes).await;
    for node in &nodes[..2] {
        node.command(&["FLUSHALL"]).await.unwrap();
    }
    cut_off(&proxies[2]).await;
    let lost = Released::AlreadyLost { reason: LostReason::TakenOver };
    assert_eq!(within(guard.release()).await, lost);
}

/// A node was won back, and the news of that were lost. Then another one forgets.
#[tokio::test]
async fn a_vote_that_was_won_back_unseen_counts_when_another_node_is_lost() {
    let nodes = servers(3).await;
    let (locks, guard, proxies) = held_everywhere(&nodes).await;
    empty(&locks, &nodes[0], &proxies[0]).await;
    proxies[0].black_hole(Direction::ToClient);
    within(guard.extend(ms(60_000))).await.expect("two nodes have it");
    until_it_has(&guard, &nodes[0]).await;
    proxies[0].reset();
    proxies[0].clear().await;
    empty(&locks, &nodes[1], &proxies[1]).await;
    within(guard.extend(ms(60_000))).await.expect("two nodes have it, others than before");
    assert!(guard.is_held());
    until_it_has(&guard, &nodes[1]).await;
}

/// Nobody renews: the holder is told all the same, by those that have connected again.
#[tokio::test]
async fn a_majority_that_comes_back_empty_tells_the_holder_before_the_next_renewal() {
    let nodes = servers(3).await;
    let (locks, guard, proxies) = held_everywhere(&nodes).await;
    empty(&locks, &nodes[0], &proxies[0]).await;
    assert!(guard.is_held());
    empty(&locks, &nodes[2], &proxies[2]).await;
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver);
    // What the third has is given back.
    every_node_is_empty(&nodes).await;
}

/// The first node's vote is taken back while the second one's is on its way and the third gives none.
#[tokio::test]
async fn a_vote_that_is_lost_while_others_are_waited_for_is_asked_for_again() {
    let nodes = servers(3).await;
    let (patient, proxies) = reached(&nodes, ms(3_000)).await;
    let locks = Locks::builder().wait(SOON).backend(patient);
    within(locks.lock("a")).await.unwrap().release().await;
    every_node_is_empty(&nodes).await;
    let first = Key::new("a").unwrap().bucket(3.try_into().unwrap()) as usize;
    let (second, third) = ((first + 1) % 3, (first + 2) % 3);
    proxies[second].latency(Direction::ToClient, ms(700));
    proxies[third].refuse().await;
    proxies[third].reset();
    let waiter = tokio::spawn(locks.lock("a").into_future());
    eventually(SOON, || async { record(&nodes[first]).await.is_some() }).await.unwrap();
    let alone = Locks::builder().redis(Redis::open(&nodes[first].url()).unwrap());
    assert!(within(alone.force_release("a", "stuck")).await.unwrap());
    assert!(within(waiter).await.unwrap().unwrap().is_held());
}

/// One lease of a batch is in doubt, the others are renewed.
#[tokio::test]
async fn a_lease_without_a_majority_that_answers_leaves_others_alone() {
    let mut nodes = servers(3).await;
    let locks = Locks::builder()
        .wait(SOON)
        .lease(ms(3_000))
        .backend(crate::quorum::of(nodes.iter().map(Single::url)));
    let kept = within(locks.lock("kept")).await.unwrap();
    let lost = within(locks.lock("lost")).await.unwrap();
    let theirs = key_of("lost", "held");
    let has = || async { nodes[1].command(&["DEL", &theirs]).await.unwrap() == Reply::Int(1) };
    eventually(SOON, has).await.unwrap();
    // At one node it is somebody else's, another one is down: one has it, and that is no verdict.
    let other = Locks::builder().redis(Redis::open(&nodes[1].url()).unwrap());
    let _other = within(other.lock("lost")).await.unwrap();
    nodes[2].kill().await.unwrap();
    assert!(by_its_own_clock(&within(lost.lost()).await));
    locks.clock().sleep(ms(3_000)).await;
    assert!(kept.is_held());
}

/// A forced release at one node and then at another, with a renewal in between: it is forced all the same.
#[tokio::test]
async fn a_renewal_between_two_forced_nodes_does_not_undo_them() {
    let nodes = servers(3).await;
    let (_locks, guard, _proxies) = held_everywhere(&nodes).await;
    for (count, node) in nodes[..2].iter().enumerate() {
        assert!(guard.is_held(), "{count} of three nodes were forced");
        let alone = Locks::builder().redis(Redis::open(&node.url()).unwrap());
        assert!(within(alone.force_release("a", "stuck")).await.unwrap());
        // Lost at the second node by now, if not to be renewed.
        let _ = within(guard.extend(ms(60_000))).await;
    }
    let reason = within(guard.lost()).await;
    assert_eq!(reason, LostReason::ForceReleased { reason: "stuck".into() });
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn one_node_that_is_flushed_costs_a_waiter_nothing() {
    let nodes = servers(3).await;
    let (_locks, guard, _proxies) = held_everywhere(&nodes).await;
    let waiter = tokio::spawn(client(&nodes).lock("a").into_future());
    nodes[1].command(&["FLUSHALL"]).await.unwrap();
    assert_eq!(within(guard.release()).await, Released::Released);
    assert!(within(waiter).await.unwrap().unwrap().is_held());
}
