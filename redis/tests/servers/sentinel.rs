//! Primaries that Sentinels name.

use std::time::Duration;

use mainstay_redis::{Push, Redis, RedisError, redis::cmd};
use mainstay_testkit::{
    eventually,
    redis::{Sentinel, command},
};

use crate::ms;

const SOON: Duration = Duration::from_secs(60);

fn connect(sentinel: &Sentinel) -> Redis {
    Redis::sentinel(sentinel.urls(), sentinel.name()).unwrap().budget(ms(500)).build().unwrap()
}

/// The number of the last write, and who took it.
async fn count(redis: &Redis) -> Result<(u32, String, u64), RedisError> {
    let reply = redis.call(cmd("INCR").arg("n").take()).await?;
    let (address, epoch) = (reply.primary().address().to_owned(), reply.primary().epoch().unwrap());
    assert!(reply.primary().run_id().is_some());
    Ok((reply.read()?, address, epoch))
}

#[tokio::test]
async fn a_killed_primary_is_followed_by_the_promoted_one() {
    let mut sentinel = Sentinel::start().await.unwrap();
    let redis = connect(&sentinel);
    let mut news = redis.subscribe("news");
    let (_, first, epoch) = count(&redis).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::MayHaveLost));
    let old = sentinel.kill().await.unwrap();
    assert_eq!(first, old.to_string());
    let new = sentinel.primary_after(old, SOON).await.unwrap();
    let (_, second, later) = eventually(SOON, || count(&redis)).await.unwrap();
    assert_eq!(second, new.to_string());
    assert!(later > epoch && redis.epoch() == Some(later), "{later} after {epoch}");
    assert_eq!(news.recv().await, Some(Push::MayHaveLost));
    command(new, &["PUBLISH", "news", "x"]).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::Message(b"x".to_vec())));
}

/// The connection to the old one is open all the time, and nothing is asked meanwhile.
#[tokio::test]
async fn a_primary_that_was_paused_and_replaced_is_not_gone_back_to() {
    let mut sentinel = Sentinel::start().await.unwrap();
    let (redis, dedicated) = (connect(&sentinel), connect(&sentinel).dedicated());
    count(&redis).await.unwrap();
    let (_, _, epoch) = count(&dedicated).await.unwrap();
    let old = sentinel.pause().await.unwrap();
    sentinel.primary_after(old, SOON).await.unwrap();
    for redis in [&redis, &dedicated] {
        let higher = || async { redis.epoch().is_some_and(|seen| seen > epoch) };
        eventually(SOON, higher).await.unwrap();
    }
    // It takes writes again, as a primary, until a Sentinel tells it.
    sentinel.resume().unwrap();
    for redis in [&redis, &dedicated] {
        for _ in 0..100 {
            let Ok((_, address, _)) = count(redis).await else { continue };
            assert_ne!(address, old.to_string());
        }
        eventually(SOON, || count(redis)).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_demoted_primary_refuses_the_next_one_does() {
    let sentinel = Sentinel::start().await.unwrap();
    let redis = connect(&sentinel);
    let (_, first, _) = count(&redis).await.unwrap();
    let old = sentinel.primary().await.unwrap();
    // By hand: no Sentinel closes the connection, and none names another one.
    let port = old.port().to_string();
    command(old, &["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    let error = count(&redis).await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("not yet promoted"), "{error}");
    command(old, &["REPLICAOF", "NO", "ONE"]).await.unwrap();
    eventually(SOON, || count(&redis)).await.unwrap();
    command(sentinel.addrs()[0], &["SENTINEL", "FAILOVER", sentinel.name()]).await.unwrap();
    eventually(SOON, || async {
        match count(&redis).await {
            Ok((_, address, _)) if address != first => Ok(()),
            Ok(_) => Err("the old one".to_owned()),
            Err(error) => {
                assert!(!error.is_refused(), "{error}");
                Err(error.to_string())
            }
        }
    })
    .await
    .unwrap();
    sentinel.primary_after(old, SOON).await.unwrap();
}

#[tokio::test]
async fn an_epoch_that_others_saw_and_a_missing_majority_keep_the_primary_from_being_used() {
    let mut sentinel = Sentinel::start().await.unwrap();
    let builder = Redis::sentinel(sentinel.urls(), sentinel.name()).unwrap();
    let careful = builder.require_majority().budget(ms(500)).build().unwrap();
    let redis = connect(&sentinel);
    let (_, _, epoch) = count(&redis).await.unwrap();
    count(&careful).await.unwrap();
    redis.saw_epoch(epoch);
    count(&redis).await.unwrap();
    redis.saw_epoch(epoch + 1);
    let refused = || async {
        let error = count(&redis).await.err().filter(|error| !error.is_unknown());
        error.is_some_and(|error| error.to_string().contains("has begun"))
    };
    eventually(SOON, refused).await.unwrap();
    // The others do not know of it.
    for killed in &mut sentinel.sentinels()[..2] {
        killed.kill().await.unwrap();
    }
    count(&connect(&sentinel)).await.unwrap();
    let refused = || async {
        let error = count(&careful).await.err().filter(|error| !error.is_unknown());
        error.is_some_and(|error| error.to_string().contains("only 1 of 3 Sentinels"))
    };
    eventually(SOON, refused).await.unwrap();
}

#[tokio::test]
async fn a_primary_that_no_sentinel_knows_is_a_failure_that_says_so() {
    let sentinel = Sentinel::start().await.unwrap();
    let redis = Redis::sentinel(sentinel.urls(), "nobody").unwrap().build().unwrap();
    let error = redis.call(cmd("PING")).await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("`nobody`") && text.contains("No such master"), "{text}");
    let nowhere = Redis::sentinel(["redis://127.0.0.1:1/"], "kit").unwrap().build().unwrap();
    let error = nowhere.call(cmd("PING")).await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error:?}");
    assert!(Redis::sentinel(Vec::<String>::new(), "kit").is_err());
    let builder = || Redis::sentinel(["redis://h/"], "kit").unwrap();
    assert!(builder().require_tls().build().is_err());
    let shown = format!("{:?}", builder().credentials(Some("anna"), "geheim").build().unwrap());
    assert!(!shown.contains("geheim") && shown.contains("kit"), "{shown}");
}
