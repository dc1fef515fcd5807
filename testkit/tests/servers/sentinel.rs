use std::time::Duration;

use mainstay_testkit::{
    eventually,
    redis::{Sentinel, command},
};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_replica_takes_over_from_a_killed_primary() {
    let mut redis = Sentinel::start().await.unwrap();
    let old = redis.primary().await.unwrap();
    command(old, &["SET", "before", "1"]).await.unwrap();
    command(old, &["WAIT", "2", "5000"]).await.unwrap();

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
