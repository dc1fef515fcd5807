//! Readers that a majority of independent servers keeps: beside each other, never beside a writer, in turns with
//! writers, and what they cost.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use mainstay_lock::{Clock, Fence, Key, LockGuard, Locks};
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::Single,
};
use tokio::task::JoinHandle;

use crate::{
    SOON,
    common::all_served,
    key_of, keys, ms,
    quorum::{
        client, costs_what_is_documented, every_node_is_empty, scripts_run, servers,
        through_proxies,
    },
    until_waiting, within,
};

pub(crate) async fn read(locks: &Locks) -> LockGuard {
    within(locks.read_write("a").read()).await.unwrap()
}

/// Who share "a" on one node, without their channels there.
pub(crate) async fn readers_at(node: &Single) -> Vec<String> {
    let readers = node.command(&["ZRANGE", &key_of("a", "readers"), "0", "-1"]).await.unwrap();
    let owner = |name: &str| name.split_once('~').unwrap().1.to_owned();
    readers.list().iter().map(|reader| owner(reader.text().unwrap())).collect()
}

pub(crate) async fn until_readers(nodes: &[Single], count: usize) {
    for node in nodes {
        let there = || async { readers_at(node).await.len() == count };
        eventually(SOON, there).await.unwrap();
    }
}

/// What a node has of "a": its holder, or the mark of readers, and the fence.
async fn mark(node: &Single) -> Option<(String, i64)> {
    let record = node.command(&["GET", &key_of("a", "held")]).await.unwrap();
    let mut fields = record.text()?.split(' ').skip_while(|field| field.starts_with('!'));
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// The number of the node where those who wait for "a" stand in line.
pub(crate) fn first() -> usize {
    Key::new("a").unwrap().bucket(3.try_into().unwrap()) as usize
}

/// A client that does not see the node of the line, and one that does not see another.
async fn seeing_others(nodes: &[Single]) -> ([Locks; 2], Vec<Proxy>) {
    let (mut clients, mut cuts) = (Vec::new(), Vec::new());
    for unseen in [first(), (first() + 2) % 3] {
        let (locks, proxies) = through_proxies(nodes, ms(10_000)).await;
        // A node that refuses at once is not waited for.
        proxies[unseen].refuse().await;
        clients.push(locks);
        cuts.extend(proxies);
    }
    (clients.try_into().unwrap(), cuts)
}

#[tokio::test]
async fn a_read_costs_what_a_plain_lock_does() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    // Until every node knows every script.
    for round in 0..20 {
        read([&one, &two][round % 2]).await.release().await;
        every_node_is_empty(&nodes).await;
    }
    let before = scripts_run(&nodes).await;
    let guard = read(&one).await;
    until_readers(&nodes, 1).await;
    costs_what_is_documented(&nodes, before, guard).await;
}

/// Whoever reaches two nodes meets a reader of two others at one of them at least.
#[tokio::test]
async fn a_reader_of_any_two_nodes_keeps_writers_from_any_two() {
    let nodes = servers(3).await;
    for unseen in 0..3 {
        let (few, proxies) = through_proxies(&nodes, ms(10_000)).await;
        proxies[unseen].refuse().await;
        let reader = read(&few).await;
        for other in 0..3 {
            let (rival, cut) = through_proxies(&nodes, ms(10_000)).await;
            cut[other].refuse().await;
            let lock = rival.read_write("a");
            assert!(within(lock.try_write()).await.unwrap().is_none(), "{unseen}, {other}");
            let beside = within(lock.try_read()).await.unwrap().expect("it is shared");
            assert!(beside.fence() > reader.fence(), "{unseen}, {other}");
            beside.release().await;
        }
        assert!(reader.is_held());
        reader.release().await;
        every_node_is_empty(&nodes).await;
    }
}

/// A node whose clock is ahead gives a reader a fence that the others could not; it must not die with that node.
#[tokio::test]
async fn a_writer_is_above_the_readers_before_it_although_the_node_of_the_highest_dies() {
    for reads_on in [true, false] {
        let mut nodes = servers(3).await;
        let locks = client(&nodes);
        let ahead = read(&locks).await.fence().get() + 60_000_000;
        every_node_is_empty(&nodes).await;
        // As a clock that is a minute ahead leaves it behind.
        let held = key_of("a", "held");
        nodes[1].command(&["SET", &held, &format!("#{ahead}"), "PX", "60000"]).await.unwrap();
        let high = read(&locks).await;
        assert!(high.fence().get() > ahead);
        until_readers(&nodes, 1).await;
        let mut written = 0;
        for node in &nodes {
            written += usize::from(mark(node).await.unwrap().1 >= high.fence().get());
        }
        assert!(written >= 2, "a majority has it, not just the node that drew it");
        // One who leaves later leaves the fence behind as well.
        let beside = if reads_on { Some(read(&locks).await) } else { None };
        high.release().await;
        nodes[1].kill().await.unwrap();
        let last = match &beside {
            Some(beside) => beside.fence(),
            None => high.fence(),
        };
        assert!(last >= high.fence());
        drop(beside);
        let writer = within(locks.lock("a")).await.unwrap();
        assert!(writer.fence() > last, "{} after {last}", writer.fence());
        let fence = writer.fence();
        writer.release().await;
        let reader = read(&locks).await;
        assert!(reader.fence() > fence, "{} after {fence}", reader.fence());
    }
}

/// One node draws the fence and answers soon, and the others are slow.
#[tokio::test]
async fn a_fence_is_told_when_a_majority_has_it() {
    let nodes = servers(3).await;
    let (locks, proxies) = through_proxies(&nodes, ms(60_000)).await;
    let quick = (first() + 1) % 3;
    let held = key_of("a", "held");
    let mut ahead = read(&locks).await.fence().get();
    within(locks.lock("a")).await.unwrap().release().await;
    for reads in [true, false] {
        every_node_is_empty(&nodes).await;
        ahead += 60_000_000;
        let tombstone = format!("#{ahead}");
        nodes[quick].command(&["SET", &held, &tombstone, "PX", "60000"]).await.unwrap();
        for slow in [first(), (first() + 2) % 3] {
            proxies[slow].latency(Direction::ToServer, ms(150));
        }
        let lock = locks.read_write("a");
        let guard = within(if reads { lock.read() } else { lock.write() }).await.unwrap();
        let mut written = 0;
        for node in &nodes {
            let fence = mark(node).await.map_or(0, |(_, fence)| fence);
            written += usize::from(fence >= guard.fence().get());
        }
        assert!(guard.fence().get() > ahead && written >= 2, "{written} have {}", guard.fence());
        for proxy in &proxies {
            proxy.clear().await;
        }
        guard.release().await;
        // What keeps the fences that are ahead.
        for node in &nodes {
            node.command(&["FLUSHALL"]).await.unwrap();
        }
    }
}

/// They come to the nodes in different orders, where all that a node can draw is one more than the last one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_get_in_together_have_fences_of_their_own() {
    let nodes = servers(3).await;
    let clients = [client(&nodes), client(&nodes), client(&nodes)];
    let ahead = read(&clients[0]).await.fence().get() + 60_000_000;
    every_node_is_empty(&nodes).await;
    for node in &nodes {
        let tombstone = format!("#{ahead}");
        let held = key_of("a", "held");
        node.command(&["SET", &held, &tombstone, "PX", "60000"]).await.unwrap();
    }
    let readers = join_all((0..60).map(|number| read(&clients[number % 3]))).await;
    let fences: HashSet<_> = readers.iter().map(LockGuard::fence).collect();
    assert_eq!(fences.len(), readers.len());
    let highest = *fences.iter().max().unwrap();
    drop(readers);
    assert!(within(clients[0].lock("a")).await.unwrap().fence() > highest);
}

#[tokio::test]
async fn the_readers_of_a_majority_are_shown_once_each() {
    let mut nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let readers = [read(&one).await, read(&two).await, read(&one).await];
    nodes[2].kill().await.unwrap();
    let info = within(two.inspect("a")).await.unwrap();
    assert!(info.holder.is_none() && info.reader_count == 3, "{info:?}");
    let mut shown: Vec<_> = info.readers.iter().map(|reader| reader.fence).collect();
    shown.sort();
    assert_eq!(shown, readers.map(|reader| reader.fence()));
}

/// Readers that hand the lock on to each other for ever, and writers in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_do_not_starve_a_writer() {
    let nodes = servers(3).await;
    let stop = Arc::new(AtomicBool::new(false));
    let reads = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for client in (0..3).map(|_| client(&nodes)) {
        for _ in 0..4 {
            let (locks, stop, reads) = (client.clone(), stop.clone(), reads.clone());
            // Of different lengths, so that they are not gone all at the same time by themselves.
            let lasts = ms(30 + 7 * tasks.len() as u64);
            tasks.push(tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let guard = locks.read_write("a").read().await.unwrap();
                    reads.fetch_add(1, Ordering::SeqCst);
                    Clock::boot().sleep(lasts).await;
                    assert!(guard.is_held());
                    guard.release().await;
                }
            }));
        }
    }
    let writer = client(&nodes);
    let mut last = Fence::NONE;
    for turn in 1..=5 {
        let read_before = || async { reads.load(Ordering::SeqCst) > turn * 12 };
        eventually(SOON, read_before).await.unwrap();
        let guard = within(writer.lock("a")).await.unwrap();
        assert!(guard.fence() > last);
        last = guard.fence();
        guard.release().await;
    }
    stop.store(true, Ordering::SeqCst);
    all_served(tasks).await;
    every_node_is_empty(&nodes).await;
}

/// A crowd whose readers and writers count themselves.
#[derive(Clone, Default)]
struct Crowd {
    inside: Arc<AtomicUsize>,
    together: Arc<AtomicUsize>,
}

impl Crowd {
    const WRITER: usize = 1_000;

    fn enter(&self, locks: &Locks, writes: bool, turns: usize) -> JoinHandle<()> {
        let (crowd, lock) = (self.clone(), locks.read_write("a"));
        tokio::spawn(async move {
            for _ in 0..turns {
                let guard = if writes { lock.write() } else { lock.read() }.await.unwrap();
                let weight = if writes { Self::WRITER } else { 1 };
                let before = crowd.inside.fetch_add(weight, Ordering::SeqCst);
                crowd.together.fetch_max(before + weight, Ordering::SeqCst);
                assert!(
                    if writes { before == 0 } else { before < Self::WRITER },
                    "{before} inside"
                );
                Clock::boot().sleep(ms(3)).await;
                assert!(guard.is_held());
                crowd.inside.fetch_sub(weight, Ordering::SeqCst);
                guard.release().await;
            }
        })
    }
}

/// Clients that stand in line at different nodes meet at the others, readers and writers at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_that_see_different_nodes_never_overlap_and_all_get_their_turns() {
    let nodes = servers(3).await;
    let (clients, _cuts) = seeing_others(&nodes).await;
    let crowd = Crowd::default();
    let enter = |number: usize| crowd.enter(&clients[number % 2], number % 4 == number / 4, 8);
    all_served((0..8).map(enter).collect()).await;
    assert_eq!(crowd.inside.load(Ordering::SeqCst), 0);
    every_node_is_empty(&nodes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_and_writers_over_five_nodes_never_overlap() {
    let mut nodes = servers(5).await;
    let clients = [client(&nodes), client(&nodes), client(&nodes)];
    for down in [0, 3] {
        let crowd = Crowd::default();
        let enter = |number: usize| crowd.enter(&clients[number % 3], number.is_multiple_of(4), 4);
        all_served((0..16).map(enter).collect()).await;
        assert!(crowd.together.load(Ordering::SeqCst) > 1, "nobody shared it");
        every_node_is_empty(&nodes[if down == 0 { 0 } else { 1 }..]).await;
        nodes[down].kill().await.unwrap();
    }
}

/// Dropped at any moment, while a node is slow: nothing is left that only a lease would end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_readers_give_their_votes_back_at_every_node() {
    let nodes = servers(3).await;
    let (slow, proxies) = through_proxies(&nodes, ms(60_000)).await;
    let other = client(&nodes);
    for round in 0..12 {
        proxies[round % 3].latency(Direction::ToClient, ms(30));
        proxies[(round + 1) % 3].clear().await;
        let beside = (round % 2 == 0).then_some(read(&other).await);
        let reads: Vec<_> =
            (0..4).map(|_| tokio::spawn(slow.read_write("a").read().into_future())).collect();
        let write = tokio::spawn(slow.lock("a").into_future());
        slow.clock().sleep(ms(7 * (round as u64 % 6))).await;
        drop(beside);
        for read in &reads {
            read.abort();
        }
        write.abort();
        drop((reads, write));
        every_node_is_empty(&nodes).await;
    }
}

/// The line of a name dies under its waiters.
#[tokio::test]
async fn readers_and_a_writer_that_wait_line_up_elsewhere_when_their_node_dies() {
    let mut nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let guard = within(one.lock("a")).await.unwrap();
    let readers: Vec<_> =
        (0..3).map(|_| tokio::spawn(two.read_write("a").read().into_future())).collect();
    until_waiting(&one, "a", 3).await;
    let writer = tokio::spawn(one.lock("a").into_future());
    until_waiting(&one, "a", 4).await;
    nodes[first()].kill().await.unwrap();
    guard.release().await;
    let mut tasks = Vec::new();
    for task in readers.into_iter().chain([writer]) {
        let fence = guard.fence();
        tasks.push(tokio::spawn(async move {
            let next = task.await.unwrap().unwrap();
            assert!(next.is_held() && next.fence() > fence);
            next.release().await;
        }));
    }
    all_served(tasks).await;
}

/// Every key of readers has an end, on every node.
#[tokio::test]
async fn the_keys_of_readers_end_on_every_node() {
    let nodes = servers(3).await;
    let (one, two) = (client(&nodes), client(&nodes));
    let _readers = [read(&one).await, read(&two).await];
    until_readers(&nodes, 2).await;
    for node in &nodes {
        let there = keys(node).await;
        assert_eq!(there.len(), 3, "{there:?}");
        crate::common::all_have_an_end(node, there).await;
    }
}
