//! A majority of independent servers, some of which are killed, paused, emptied, cut off.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::{StreamExt, future::join_all, stream};
use mainstay_lock::{
    Clock, Fence, LockError, LockGuard, Locks, LocksBuilder, LostReason, Quorum, QuorumError,
    Redis, Released,
    conformance::{Arena, Case, cases},
};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::{Reply, Single},
};

use crate::{SOON, by_its_own_clock, guarantees::fence_refuses, keys, ms, until_empty, within};

pub(crate) async fn servers(count: usize) -> Vec<Single> {
    let started = join_all((0..count).map(|_| Single::start())).await;
    started.into_iter().map(Result::unwrap).collect()
}

fn connect(url: &str) -> Redis {
    Redis::builder(url).unwrap().budget(ms(600)).build().unwrap()
}

/// Nodes that vote at once: what they lose is what a test takes from them.
fn quorum(nodes: &[Single]) -> Quorum {
    of(nodes.iter().map(Single::url))
}

pub(crate) fn of(urls: impl IntoIterator<Item = String>) -> Quorum {
    Quorum::new(urls.into_iter().map(|url| connect(&url))).unwrap().durable_nodes()
}

pub(crate) fn client(nodes: &[Single]) -> Locks {
    Locks::builder().wait(SOON).backend(quorum(nodes))
}

pub(crate) fn short_lived(nodes: &[Single], lease: Duration) -> Locks {
    Locks::builder().wait(SOON).lease(lease).backend(quorum(nodes))
}

/// The holder as it is on one node: `(owner, fence)`.
pub(crate) async fn record(node: &Single) -> Option<(String, i64)> {
    let held = keys(node).await.into_iter().find(|key| key.ends_with(":held"))?;
    let record = node.command(&["GET", &held]).await.unwrap();
    // The end of the lease comes first if others wait; an owner stands behind its channel at that node.
    let mut fields = record.text()?.split(' ').skip_while(|field| field.starts_with('!'));
    let (_channel, owner) = fields.next()?.split_once(':')?;
    Some((owner.to_owned(), fields.next()?.parse().ok()?))
}

pub(crate) async fn every_node_is_empty(nodes: &[Single]) {
    for node in nodes {
        until_empty(node).await;
    }
}

pub(crate) async fn scripts_run(nodes: &[Single]) -> u64 {
    let mut sum = 0;
    for node in nodes {
        sum += crate::common::scripts_run(node).await;
    }
    sum
}

#[test]
fn two_or_four_nodes_or_a_cluster_are_refused_and_say_why() {
    let nodes = |count| (0..count).map(|_| Redis::open("redis://127.0.0.1:1/").unwrap());
    assert_eq!(Quorum::new(nodes(2)).unwrap_err(), QuorumError::TooFew { nodes: 2 });
    let error = Locks::quorum(nodes(4)).unwrap_err();
    assert_eq!(error, QuorumError::Even { nodes: 4 });
    assert!(error.to_string().starts_with("4 nodes survive the loss of no more than 3 do"));
    let cluster = Redis::cluster(["redis://127.0.0.1:1/"]).unwrap().build().unwrap();
    let error = Quorum::new(nodes(2).chain([cluster])).unwrap_err();
    assert_eq!(error, QuorumError::Cluster { node: 2 });
    assert!(error.to_string().contains("a server of its own"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_pass_the_suite() {
    let nodes = servers(3).await;
    let urls: Vec<_> = nodes.iter().map(Single::url).collect();
    let connect = move |builder: LocksBuilder| {
        let nodes = urls.iter().map(|url| Redis::open(url).unwrap());
        builder.backend(Quorum::new(nodes).unwrap().durable_nodes())
    };
    let arena = Arena::real(connect);
    let run = |case: Case| {
        let arena = &arena;
        async move { case.run(arena).await.err().map(|error| format!("{}: {error}", case.name())) }
    };
    let broken: Vec<_> =
        stream::iter(cases()).map(run).buffer_unordered(8).filter_map(async |x| x).collect().await;
    assert!(broken.is_empty(), "{} cases broken:\n{}", broken.len(), broken.join("\n"));
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn it_costs_what_the_docs_say() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    // Until every node knows every script.
    for round in 0..20 {
        within([&one, &two][round % 2].lock("warm")).await.unwrap().release().await;
        every_node_is_empty(&nodes).await;
    }
    let before = scripts_run(&nodes).await;
    let guard = within(one.lock("a")).await.unwrap();
    for node in &nodes {
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
    }
    costs_what_is_documented(&nodes, before, guard).await;
}

/// What `guard` has cost since so many scripts had run, and what its release costs.
pub(crate) async fn costs_what_is_documented(nodes: &[Single], before: u64, guard: LockGuard) {
    let acquired = scripts_run(nodes).await - before;
    assert!((5..=6).contains(&acquired), "{acquired}: three votes, two or three fences");
    guard.release().await;
    every_node_is_empty(nodes).await;
    assert_eq!(scripts_run(nodes).await - before, acquired + 3, "released");
}

#[tokio::test]
async fn one_node_killed_costs_nobody_a_lock() {
    let mut nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let mut last = Fence::NONE;
    for down in 0..3 {
        let guard = within(one.lock("a")).await.unwrap();
        assert!(guard.fence() > last);
        last = guard.fence();
        // Also where the one before has just come back.
        for node in &nodes {
            eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
        }
        nodes[down].kill().await.unwrap();
        // Renewed over the other two.
        one.clock().sleep(ms(2_000)).await;
        assert!(guard.is_held());
        assert!(within(two.try_lock("a")).await.unwrap().is_none());
        assert_eq!(within(guard.release()).await, Released::Released);
        let next = within(two.lock("a")).await.unwrap();
        assert!(next.fence() > last);
        last = next.fence();
        next.release().await;
        nodes[down].restart().await.unwrap();
        eventually(SOON, || two.inspect("b")).await.unwrap();
    }
}

#[tokio::test]
async fn one_node_paused_costs_a_time_budget_and_no_lock() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    for locks in [&one, &two] {
        within(locks.lock("warm")).await.unwrap().release().await;
    }
    for paused in &nodes {
        paused.pause().unwrap();
        let guard = within(one.lock("a")).await.unwrap();
        let waiter = tokio::spawn(two.lock("a").into_future());
        assert!(within(two.try_lock("a")).await.unwrap().is_none());
        assert_eq!(within(guard.release()).await, Released::Released);
        let next = within(waiter).await.unwrap().unwrap();
        assert!(next.fence() > guard.fence());
        next.release().await;
        paused.resume().unwrap();
    }
    // What the paused ones had been asked for is given back, too.
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn two_of_five_killed_cost_nobody_a_lock_and_three_end_it() {
    let mut nodes = servers(5).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    for node in &mut nodes[..2] {
        node.kill().await.unwrap();
    }
    one.clock().sleep(ms(2_500)).await;
    assert!(guard.is_held());
    assert!(within(two.try_lock("a")).await.unwrap().is_none());
    let other = within(two.lock("b")).await.unwrap();
    assert!(other.is_held());
    nodes[2].kill().await.unwrap();
    assert!(by_its_own_clock(&within(guard.lost()).await));
    let error = within(two.lock("c")).await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. } | LockError::Unknown { .. }), "{error}");
    assert!(error.to_string().contains("3 are needed"), "{error}");
}

#[tokio::test]
async fn what_a_minority_granted_is_given_back() {
    let mut nodes = servers(3).await;
    let locks = client(&nodes);
    within(locks.lock("warm")).await.unwrap().release().await;
    for node in &mut nodes[..2] {
        node.kill().await.unwrap();
    }
    for _ in 0..5 {
        let error = within(locks.lock("a")).await.unwrap_err();
        assert!(matches!(error, LockError::Backend { .. } | LockError::Unknown { .. }), "{error}");
    }
    until_empty(&nodes[2]).await;
}

#[tokio::test]
async fn a_waiter_whose_node_dies_lines_up_elsewhere() {
    let mut nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    let waiter = tokio::spawn(two.lock("a").into_future());
    crate::until_waiting(&one, "a", 1).await;
    let mut leader = 0;
    for (index, node) in nodes.iter().enumerate() {
        if keys(node).await.iter().any(|key| key.ends_with(":queue")) {
            leader = index;
        }
    }
    nodes[leader].kill().await.unwrap();
    guard.release().await;
    let next = within(waiter).await.unwrap().unwrap();
    assert!(next.fence() > guard.fence());
}

/// A client that reaches each node through a proxy of its own.
pub(crate) async fn through_proxies(nodes: &[Single], lease: Duration) -> (Locks, Vec<Proxy>) {
    let mut proxies = Vec::new();
    for node in nodes {
        proxies.push(node.proxy().await.unwrap());
    }
    let urls = proxies.iter().zip(nodes).map(|(proxy, node)| proxy.url(&node.url()));
    (Locks::builder().wait(SOON).lease(lease).backend(of(urls)), proxies)
}

pub(crate) async fn cut_off(proxy: &Proxy) {
    proxy.black_hole(Direction::ToServer);
    proxy.black_hole(Direction::ToClient);
}

#[tokio::test]
async fn quorum_client_on_the_minority_side() {
    let nodes = servers(3).await;
    let (cut, proxies) = through_proxies(&nodes, ms(1_500)).await;
    let others = client(&nodes);
    let guard = within(cut.lock("a")).await.unwrap();
    let work = guard.run(std::future::pending::<()>());
    // It reaches one node still.
    cut_off(&proxies[0]).await;
    cut_off(&proxies[2]).await;
    let lost = within(work).await.unwrap_err();
    assert!(by_its_own_clock(&lost.reason));
    let next = within(others.lock("a")).await.unwrap();
    assert!(!guard.is_held() && next.fence() > guard.fence());
    // Nothing is asked of a node any more whose connection was given up, after three silent seconds.
    let error = within(cut.lock("b").wait(ms(0))).await.unwrap_err();
    assert!(matches!(error, LockError::Backend { .. } | LockError::Unknown { .. }), "{error}");
}

/// Whoever asks on the side of two nodes gets it, whoever asks on the side of one does not, in whatever order.
#[tokio::test]
async fn of_two_sides_of_a_split_one_has_holders() {
    let nodes = servers(3).await;
    let (few, small) = through_proxies(&nodes, ms(20_000)).await;
    let (many, large) = through_proxies(&nodes, ms(20_000)).await;
    for locks in [&few, &many] {
        within(locks.lock("warm")).await.unwrap().release().await;
    }
    cut_off(&small[1]).await;
    cut_off(&small[2]).await;
    cut_off(&large[0]).await;
    for name in ["a", "b", "c", "d"] {
        let (lost, won) = tokio::join!(few.lock(name).into_future(), many.lock(name).into_future());
        assert!(lost.is_err(), "{lost:?}");
        assert!(won.unwrap().is_held());
    }
}

/// Clients that reach different nodes first vote against each other, and one of them wins every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_see_different_nodes_never_overlap_and_all_get_their_turns() {
    let nodes = Arc::new(servers(3).await);
    let (inside, entered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (mut tasks, mut cuts) = (Vec::new(), Vec::new());
    for unseen in 0..3 {
        let (locks, proxies) = through_proxies(&nodes, ms(10_000)).await;
        // A node that refuses at once is not waited for.
        proxies[unseen].refuse().await;
        cuts.push(proxies);
        let (inside, entered) = (inside.clone(), entered.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..10 {
                let guard = locks.lock("a").await.unwrap();
                assert!(!inside.swap(true, Ordering::SeqCst), "two inside");
                Clock::boot().sleep(ms(2)).await;
                assert!(guard.is_held());
                inside.store(false, Ordering::SeqCst);
                guard.release().await;
                entered.fetch_add(1, Ordering::SeqCst);
            }
        }));
    }
    crate::common::all_served(tasks).await;
    assert_eq!(entered.load(Ordering::SeqCst), 30);
    every_node_is_empty(&nodes).await;
}

/// A node whose clock is ahead gives a fence that the others could not; it must not die with that node.
#[tokio::test]
async fn fences_rise_although_the_node_of_the_highest_dies() {
    let mut nodes = servers(3).await;
    let locks = client(&nodes);
    let guard = within(locks.lock("a")).await.unwrap();
    let held = keys(&nodes[1]).await.into_iter().find(|key| key.ends_with(":held")).unwrap();
    let ahead = guard.fence().get() + 60_000_000;
    guard.release().await;
    every_node_is_empty(&nodes).await;
    // As a clock that is a minute ahead leaves it behind.
    nodes[1].command(&["SET", &held, &format!("#{ahead}"), "PX", "60000"]).await.unwrap();
    let high = within(locks.lock("a")).await.unwrap();
    assert_eq!(high.fence().get(), ahead + 1);
    for node in &nodes {
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
    }
    let mut written = 0;
    for node in &nodes {
        written += usize::from(record(node).await.unwrap().1 == ahead + 1);
    }
    assert!(written >= 2, "a majority has it, not just the node that drew it");
    high.release().await;
    nodes[1].kill().await.unwrap();
    let next = within(locks.lock("a")).await.unwrap();
    assert!(next.fence() > high.fence(), "{} after {}", next.fence(), high.fence());
}

#[tokio::test]
async fn fences_rise_while_nodes_come_and_go() {
    let mut nodes = servers(3).await;
    let clients = [client(&nodes), client(&nodes)];
    let mut last = Fence::NONE;
    for round in 0..12 {
        if round % 2 == 0 {
            nodes[round / 2 % 3].restart().await.unwrap();
        }
        for locks in &clients {
            // A cut connection may cost an answer.
            let guard = eventually(SOON, || locks.lock("a").into_future()).await.unwrap();
            assert!(guard.fence() > last, "{} after {last}", guard.fence());
            last = guard.fence();
            guard.release().await;
        }
    }
}

/// It is held elsewhere, or too few nodes vote just now.
pub(crate) fn no_second(tried: &Result<Option<LockGuard>, LockError>) {
    assert!(!matches!(tried, Ok(Some(_))), "two hold it: {tried:?}");
}

/// Nodes that give no vote for three seconds after their start.
pub(crate) fn forgetful(nodes: &[Single], lease: Duration) -> Locks {
    let quorum = Quorum::new(nodes.iter().map(|node| connect(&node.url()))).unwrap();
    Locks::builder().wait(SOON).lease(lease).backend(quorum.restart_wait(ms(3_000)))
}

/// What comes back empty gives no vote until every lease it may have forgotten is over.
#[tokio::test]
async fn quorum_node_restarted_empty() {
    let mut nodes = servers(3).await;
    let locks = |nodes: &[Single]| forgetful(nodes, ms(3_000));
    // Nobody votes within the first minute, unless told otherwise.
    let redis = nodes.iter().map(|node| connect(&node.url()));
    let error = within(Locks::quorum(redis).unwrap().try_lock("a")).await.unwrap_err();
    assert!(error.to_string().contains("NOVOTE"), "{error}");
    let holder = locks(&nodes);
    let guard = eventually(SOON, || holder.try_lock("a")).await.unwrap().unwrap();
    let rival = locks(&nodes);
    // One that did not vote yet has it with the first renewal.
    for node in &nodes {
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
    }
    for down in 0..3 {
        nodes[down].restart().await.unwrap();
        no_second(&within(rival.try_lock("a")).await);
        // The next renewal wins it back, and the next but one counts it.
        let won_back = || async {
            assert!(guard.is_held(), "{:?}, while node {down} was won back", guard.release().await);
            record(&nodes[down]).await.is_some()
        };
        eventually(SOON, won_back).await.unwrap();
        no_second(&within(rival.try_lock("a")).await);
        let (owner, fence) = record(&nodes[down]).await.unwrap();
        let other = record(&nodes[(down + 1) % 3]).await.unwrap();
        assert_eq!(owner, other.0);
        assert!(fence >= guard.fence().get() && other.1 >= guard.fence().get());
        // A loss that was noticed late may hide it until then.
        holder.clock().sleep(ms(3_000)).await;
        assert!(guard.is_held(), "{:?}, after node {down}", guard.release().await);
    }
    let long = within(holder.lock("b").lease(ms(4_000))).await.unwrap_err();
    assert!(long.to_string().contains("a lease of 4s is longer"), "{long}");
}

/// A server counts its uptime in whole seconds of the day: one that starts at the end of one is a second old at once.
#[tokio::test]
async fn restarted_nodes_wait_for_all_of_the_longest_lease() {
    let mut nodes = servers(3).await;
    let locks = forgetful(&nodes, ms(3_000));
    nodes[0].restart().await.unwrap();
    let of_day = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let left = 1_850_u64.saturating_sub(u64::from(of_day.subsec_millis())) % 1_000;
    locks.clock().sleep(ms(left)).await;
    let begun = locks.clock().now();
    nodes[1].restart().await.unwrap();
    nodes[2].kill().await.unwrap();
    let guard = eventually(SOON, || locks.try_lock("a")).await.unwrap();
    let age = locks.clock().now().saturating_since(begun);
    assert!(guard.is_some() && age >= ms(3_000), "a vote {age:?} after the start at the earliest");
}

/// More than what is promised: empty nodes give nobody their votes, so they say nothing against a holder.
#[tokio::test]
async fn a_majority_restarted_empty_is_won_back_by_the_holder() {
    let mut nodes = servers(3).await;
    let (holder, rival) = (forgetful(&nodes, ms(3_000)), forgetful(&nodes, ms(3_000)));
    let guard = eventually(SOON, || holder.try_lock("a")).await.unwrap().unwrap();
    for node in &nodes {
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
    }
    nodes[0].restart().await.unwrap();
    nodes[1].restart().await.unwrap();
    no_second(&within(rival.try_lock("a")).await);
    for node in &nodes {
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
    }
    holder.clock().sleep(ms(3_000)).await;
    assert!(guard.is_held(), "{:?}", guard.release().await);
    assert_eq!(within(guard.release()).await, Released::Released);
    every_node_is_empty(&nodes).await;
}

/// Why restarted nodes must wait: with nodes that are said to be durable and are not, two hold the lock.
#[tokio::test]
async fn quorum_nodes_that_forget_and_vote_are_not_protected() {
    let mut nodes = servers(3).await;
    let (cut, proxies) = through_proxies(&nodes, ms(20_000)).await;
    proxies[0].refuse().await;
    let guard = within(cut.lock("a")).await.unwrap();
    let rival = client(&nodes);
    // Nobody tells the holder: it would be told when it is connected again.
    proxies[1].refuse().await;
    nodes[1].restart().await.unwrap();
    let second = eventually(SOON, || async {
        match rival.try_lock("a").await {
            Ok(Some(guard)) => Ok(guard),
            other => Err(format!("{other:?}")),
        }
    });
    let second = second.await.unwrap();
    assert!(guard.is_held(), "two hold it");
    fence_refuses(&guard, &second).await;
}

#[tokio::test]
async fn quorum_a_minority_is_flushed() {
    let nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(1_500)), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    for node in &nodes {
        node.command(&["FLUSHALL"]).await.unwrap();
        assert!(within(two.try_lock("a")).await.unwrap().is_none());
        // Won back by the next renewal, and counted by the one after.
        eventually(SOON, || async { record(node).await.is_some() }).await.unwrap();
        one.clock().sleep(ms(600)).await;
    }
    assert!(guard.is_held());
    guard.release().await;
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn quorum_a_flushed_majority_is_not_protected() {
    let nodes = servers(3).await;
    let (one, two) = (short_lived(&nodes, ms(3_000)), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    for node in &nodes[..2] {
        node.command(&["FLUSHALL"]).await.unwrap();
    }
    let next = within(two.lock("a")).await.unwrap();
    assert!(guard.is_held(), "nobody told it yet: two hold it");
    assert_eq!(within(guard.lost()).await, LostReason::TakenOver, "the next renewal tells");
    assert!(next.is_held());
    fence_refuses(&guard, &next).await;
}

#[tokio::test]
async fn many_contenders_over_five_nodes_are_served_one_at_a_time() {
    let nodes = servers(5).await;
    let clients = [client(&nodes), client(&nodes), client(&nodes)];
    let inside = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for number in 0..24 {
        let (locks, inside) = (clients[number % 3].clone(), inside.clone());
        tasks.push(tokio::spawn(async move {
            let guard = locks.lock("a").await.unwrap();
            assert!(!inside.swap(true, Ordering::SeqCst), "two inside");
            Clock::boot().sleep(ms(1)).await;
            inside.store(false, Ordering::SeqCst);
            (guard.fence(), guard.release().await)
        }));
    }
    for task in tasks {
        let (fence, released) = within(task).await.unwrap();
        assert!(fence > Fence::NONE && released == Released::Released);
    }
    every_node_is_empty(&nodes).await;
}

#[tokio::test]
async fn a_forced_release_is_told_by_the_majority() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    assert!(within(two.force_release("a", "stuck")).await.unwrap());
    let reason = within(guard.lost()).await;
    assert_eq!(reason, LostReason::ForceReleased { reason: "stuck".into() });
    assert!(!within(two.force_release("a", "again")).await.unwrap());
    let Reply::Int(0) = nodes[0].command(&["EXISTS", "x"]).await.unwrap() else { panic!("0") };
    every_node_is_empty(&nodes).await;
}
