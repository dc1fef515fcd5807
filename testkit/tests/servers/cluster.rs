use std::time::Duration;

use mainstay_testkit::redis::{Cluster, command};

#[tokio::test]
async fn a_replica_takes_over_the_slots_of_a_killed_primary() {
    let mut redis = Cluster::start().await.unwrap();
    let slot = redis.slot_of("k").await.unwrap();
    let old = redis.primary_of(slot).await.unwrap();
    command(old, &["SET", "k", "v"]).await.unwrap();
    command(old, &["WAIT", "1", "5000"]).await.unwrap();

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
