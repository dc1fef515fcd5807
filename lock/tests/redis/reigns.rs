//! Elections over a quorum, and over replicas that all have the leader's lock.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use mainstay_lock::{Locks, Redis, RedisLocks};
use mainstay_testkit::{
    eventually,
    redis::{Sentinel, Single, command},
};

use crate::{
    fleets::{Candidate, Reign, the_other_one_follows},
    ms,
    quorum::{client, cut_off, record, servers, through_proxies},
};

/// Longer than a failover takes on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// Where the leader's line is: the node that has a queue.
async fn with_the_line(nodes: &[Single]) -> Option<usize> {
    for (index, node) in nodes.iter().enumerate() {
        if crate::keys(node).await.iter().any(|key| key.ends_with(":queue")) {
            return Some(index);
        }
    }
    None
}

fn terms(reign: &Mutex<Reign>) -> usize {
    reign.lock().unwrap().terms.len()
}

/// A node that is killed costs no term; a leader that is cut off from two is followed when its lease ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_of_a_quorum_do_not_overlap_and_survive_a_node() {
    let mut nodes = servers(3).await;
    let reign: Arc<Mutex<Reign>> = Arc::default();
    let (locks, proxies) = through_proxies(&nodes, ms(1_500)).await;
    let mut one = Candidate::start(&locks, "one", &reign);
    let first = one.until_somebody_leads(&reign, 0).await;
    let mut two = Candidate::start(&client(&nodes), "two", &reign);
    let lined_up = || async { with_the_line(&nodes).await.ok_or("nobody waits") };
    let line = eventually(SOON, lined_up).await.unwrap();
    // The node at which its rival stands in line, of all nodes.
    nodes[line].kill().await.unwrap();
    let later = || async {
        let leader = one.until_somebody_leads(&reign, 0).await;
        if leader.leading_for > ms(4_000) { Ok(leader) } else { Err(format!("{leader:?}")) }
    };
    let same = eventually(SOON, later).await.unwrap();
    assert!(same.candidate == first.candidate && terms(&reign) == 1, "{same:?} after {first:?}");
    nodes[line].restart().await.unwrap();
    let (back, other) = (&nodes[line], &nodes[(line + 1) % 3]);
    let won_back = || async {
        let holders = [record(back).await, record(other).await].map(|held| held.map(|held| held.0));
        holders[0].is_some() && holders[0] == holders[1]
    };
    eventually(SOON, won_back).await.unwrap();
    for proxy in [&proxies[(line + 1) % 3], &proxies[(line + 2) % 3]] {
        cut_off(proxy).await;
    }
    let second = two.until_somebody_leads(&reign, first.term.get()).await;
    assert_eq!(second.candidate.as_deref(), Some("two"));
    for proxy in &proxies {
        proxy.clear().await;
    }
    two.stop().await;
    one.until_somebody_leads(&reign, second.term.get()).await;
    one.stop().await;
    assert_eq!(terms(&reign), 3);
}

/// With its primary a leader loses the replica that is promoted: it gives up at the end of its lease, and the next one
/// leads when all replicas are there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaders_that_are_replicated_do_not_overlap_while_sentinels_promote_another_primary() {
    let mut fleet = Sentinel::start().await.unwrap();
    let reign: Arc<Mutex<Reign>> = Arc::default();
    let locks = |fleet: &Sentinel| {
        let redis = Redis::sentinel(fleet.urls(), fleet.name()).unwrap().budget(ms(800));
        let kept = RedisLocks::new(redis.build().unwrap()).replicated(2, ms(600)).unwrap();
        Locks::builder().backend(kept)
    };
    let one = Candidate::start(&locks(&fleet), "one", &reign);
    let first = one.until_somebody_leads(&reign, 0).await;
    let two = Candidate::start(&locks(&fleet), "two", &reign);
    let old = fleet.kill().await.unwrap();
    let new = fleet.primary_after(old, SOON).await.unwrap();
    let nobody = || async { reign.lock().unwrap().leader.is_none() };
    eventually(SOON, nobody).await.unwrap();
    // One of two replicas is there, so nobody leads, as nobody holds any other lock.
    let other = locks(&fleet);
    for number in 0..3 {
        let refused = || async {
            let text = match other.try_lock(format!("other-{number}").as_str()).await {
                Ok(Some(guard)) => panic!("granted with a replica missing: {guard:?}"),
                // What was written is not given back yet.
                Ok(None) => "held".to_owned(),
                Err(error) => error.to_string(),
            };
            if text.contains("1 of 2 replicas") { Ok(()) } else { Err(text) }
        };
        eventually(SOON, refused).await.unwrap();
    }
    assert!(terms(&reign) == 1 && nobody().await, "led with a replica missing");
    fleet.restart().await.unwrap();
    command(old, &["REPLICAOF", "127.0.0.1", &new.port().to_string()]).await.unwrap();
    let second = two.until_somebody_leads(&reign, first.term.get()).await;
    the_other_one_follows(&reign, [one, two], &second).await;
}
