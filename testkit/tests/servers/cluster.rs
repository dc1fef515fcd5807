use std::time::Duration;

use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Cluster, Reply, command},
};

#[tokio::test]
async fn a_replica_takes_over_the_slots_of_a_killed_primary() {
    let mut redis = Cluster::start().await.unwrap();
    let slot = redis.slot_of("k").await.unwrap();
    let old = redis.primary_of(slot).await.unwrap();
    command(old, &["SET", "k", "v"]).await.unwrap();
    let nodes = redis.addrs();
    // `WAIT` on a connection of its own waits for nothing.
    let kept = || async {
        let mut count = 0;
        for node in &nodes {
            count += usize::from(command(*node, &["DBSIZE"]).await.unwrap() == Reply::Int(1));
        }
        count == 2
    };
    eventually(Duration::from_secs(60), kept).await.unwrap();

    assert_eq!(redis.kill(slot).await.unwrap(), old);
    let new = redis.primary_after(slot, old, Duration::from_secs(60)).await.unwrap();
    let kept = command(new, &["GET", "k"]).await.unwrap();
    assert_eq!(kept.text(), Some("v"));

    redis.restart().await.unwrap();
    assert_eq!(redis.primary_of(slot).await.unwrap(), new);
}

#[tokio::test]
async fn the_first_node_may_be_paused_while_others_are_asked() {
    let mut redis = Cluster::start().await.unwrap();
    let first = redis.pause(0).await.unwrap();
    assert_eq!(first, redis.addrs()[0]);
    let new = redis.primary_after(0, first, Duration::from_secs(60)).await.unwrap();
    redis.resume().unwrap();
    redis.healthy().await.unwrap();
    assert_eq!(redis.primary_of(0).await.unwrap(), new);
}

/// Whoever asks a node is sent to proxies, and nodes whose proxies deliver nothing are well all the same.
#[tokio::test]
async fn nodes_behind_proxies_name_those_and_find_each_other_without_them() {
    let redis = Cluster::start_behind_proxies().await.unwrap();
    let (addrs, proxies) = (redis.addrs(), redis.proxies());
    let slots = command(addrs[0], &["CLUSTER", "SLOTS"]).await.unwrap().to_string();
    // The primaries; who follows them may not be known to all yet.
    for (addr, proxy) in addrs.iter().zip(proxies).take(3) {
        assert_eq!((proxy.target(), slots.contains(&addr.port().to_string())), (*addr, false));
        assert!(slots.contains(&proxy.addr().port().to_string()), "{slots}");
    }
    let slot = redis.slot_of("k").await.unwrap();
    let primary = redis.primary_of(slot).await.unwrap();
    let other = proxies.iter().find(|proxy| proxy.target() != primary).unwrap();
    let error = command(other.addr(), &["SET", "k", "v"]).await.unwrap_err().to_string();
    let proxy = proxies.iter().find(|proxy| proxy.target() == primary).unwrap();
    assert!(error.contains(&format!("MOVED {slot} {}", proxy.addr())), "{error}");
    for proxy in proxies {
        proxy.black_hole(Direction::ToServer);
    }
    let info = || async { command(primary, &["CLUSTER", "INFO"]).await.unwrap() };
    let heard = |info: &Reply| -> u64 {
        info.field("cluster_stats_messages_pong_received").unwrap().parse().unwrap()
    };
    // Each answers each twice a second, and counts as down after a silence of one.
    let enough = heard(&info().await) + 20;
    let hears = || async { heard(&info().await) >= enough };
    eventually(Duration::from_secs(30), hears).await.unwrap();
    assert_eq!(info().await.field("cluster_state"), Some("ok"));
    assert_eq!(redis.primary_of(slot).await.unwrap(), primary);
    for proxy in proxies {
        proxy.clear().await;
    }
    let set = || async { command(proxy.addr(), &["SET", "k", "v"]).await };
    eventually(Duration::from_secs(30), set).await.unwrap();
}
