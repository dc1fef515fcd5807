use std::time::Duration;

use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Sentinel, command},
};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_replica_takes_over_from_a_killed_primary() {
    let mut redis = Sentinel::start().await.unwrap();
    let old = redis.primary().await.unwrap();
    command(old, &["SET", "before", "1"]).await.unwrap();
    for node in redis.nodes().iter().map(|node| node.addr()) {
        // `WAIT` on a connection of its own waits for nothing.
        let kept =
            || async { command(node, &["GET", "before"]).await.unwrap().text() == Some("1") };
        eventually(SOON, kept).await.unwrap();
    }

    assert_eq!(redis.kill().await.unwrap(), old);
    let new = redis.primary_after(old, SOON).await.unwrap();
    let kept = command(new, &["GET", "before"]).await.unwrap();
    assert_eq!(kept.text(), Some("1"));
    command(new, &["SET", "after", "2"]).await.unwrap();

    // The old one comes back as a primary; the Sentinels make it follow the new one.
    redis.restart().await.unwrap();
    eventually(SOON, || async {
        let value = command(old, &["GET", "after"]).await;
        match value.map_err(|error| error.to_string())?.text() {
            Some("2") => Ok(()),
            other => Err(format!("the old primary has {other:?}")),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_split_leaves_an_old_primary_whose_replica_confirms_what_will_be_lost() {
    let redis = Sentinel::start().await.unwrap();
    let [old, companion] = redis.split().await.unwrap();
    let new = redis.primary_after(old, SOON).await.unwrap();
    assert_ne!(new, companion);
    // The companion alone confirms: a client that waits for one replica is served, and its write will be gone.
    command(old, &["SET", "minority", "1"]).await.unwrap();
    let confirms = || async {
        let replicas = command(old, &["INFO", "replication"]).await?;
        let one = replicas.field("connected_slaves") == Some("1");
        Ok::<_, mainstay_testkit::KitError>(one)
    };
    eventually(SOON, || async { confirms().await.is_ok_and(|one| one) }).await.unwrap();
    assert_eq!(command(companion, &["GET", "minority"]).await.unwrap().text(), Some("1"));
    assert_eq!(command(new, &["GET", "minority"]).await.unwrap().text(), None);
    redis.join().await.unwrap();
}

#[tokio::test]
async fn an_old_primary_that_is_alone_reports_no_replica_and_goes_on() {
    let redis = Sentinel::start().await.unwrap();
    let old = redis.isolate().await.unwrap();
    redis.primary_after(old, SOON).await.unwrap();
    let alone = || async {
        let replicas = command(old, &["INFO", "replication"]).await.map_err(|e| e.to_string())?;
        let alone = replicas.field("connected_slaves") == Some("0");
        alone.then_some(()).ok_or_else(|| replicas.to_string())
    };
    eventually(SOON, alone).await.unwrap();
    command(old, &["SET", "minority", "1"]).await.unwrap();
    redis.join().await.unwrap();
}

/// A primary that nobody reaches through its proxy is replaced, and follows through the proxy of its successor.
#[tokio::test]
async fn nodes_behind_proxies_are_reached_through_them_by_everybody() {
    let redis = Sentinel::start_behind_proxies().await.unwrap();
    let old = redis.primary().await.unwrap();
    let proxy = redis.proxies().iter().find(|proxy| proxy.target() == old).unwrap();
    let args = ["SENTINEL", "get-master-addr-by-name", redis.name()];
    let named = command(redis.addrs()[0], &args).await.unwrap().to_string();
    assert!(named.contains(&proxy.addr().port().to_string()), "{named}");
    assert_eq!(redis.named(old), proxy.addr());
    proxy.black_hole(Direction::ToServer);
    let new = redis.primary_after(old, SOON).await.unwrap();
    proxy.clear().await;
    let port = redis.named(new).port().to_string();
    command(old, &["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    eventually(SOON, || async {
        let info = command(old, &["INFO", "replication"]).await.map_err(|e| e.to_string())?;
        let follows = info.field("master_port") == Some(&port)
            && info.field("master_link_status") == Some("up");
        if follows { Ok(()) } else { Err(info.to_string()) }
    })
    .await
    .unwrap();
    redis.settled(SOON).await.unwrap();
}
