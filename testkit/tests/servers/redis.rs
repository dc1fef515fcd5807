use std::time::Duration;

use mainstay_testkit::{
    eventually,
    proxy::Direction,
    redis::{Reply, Single, command},
};

#[tokio::test]
async fn redis_is_empty_after_a_kill_and_a_restart() {
    let mut redis = Single::start().await.unwrap();
    redis.command(&["SET", "k", "v"]).await.unwrap();
    redis.kill().await.unwrap();
    redis.command(&["GET", "k"]).await.unwrap_err();
    redis.restart().await.unwrap();
    assert_eq!(redis.command(&["GET", "k"]).await.unwrap(), Reply::Nil);
}

#[tokio::test]
async fn a_durable_redis_keeps_what_it_acknowledged() {
    let mut redis = Single::start_durable().await.unwrap();
    redis.command(&["SET", "k", "v"]).await.unwrap();
    redis.kill().await.unwrap();
    redis.restart().await.unwrap();
    let value = redis.command(&["GET", "k"]).await.unwrap();
    assert_eq!(value.text(), Some("v"));
}

#[tokio::test]
async fn a_paused_redis_answers_after_it_is_resumed() {
    let redis = Single::start().await.unwrap();
    redis.pause().unwrap();
    let error = redis.command(&["PING"]).await.unwrap_err();
    assert!(error.to_string().contains("no answer in time"), "{error}");
    redis.resume().unwrap();
    eventually(Duration::from_secs(10), || redis.command(&["PING"])).await.unwrap();
}

#[tokio::test]
async fn redis_sits_behind_a_proxy() {
    let redis = Single::start().await.unwrap();
    let proxy = redis.proxy().await.unwrap();
    assert_eq!(proxy.url(&redis.url()), format!("redis://{}/", proxy.addr()));
    command(proxy.addr(), &["SET", "k", "v"]).await.unwrap();
    assert!(proxy.counters().to_server > 0);

    // The write arrives and its answer does not: the outcome is unknown to the client.
    proxy.black_hole(Direction::ToClient);
    command(proxy.addr(), &["SET", "k", "w"]).await.unwrap_err();
    assert_eq!(redis.command(&["GET", "k"]).await.unwrap().text(), Some("w"));
}

#[tokio::test]
async fn a_clock_is_set_for_one_server_alone() {
    let (set, other) = (Single::start_with_clock().await.unwrap(), Single::start().await.unwrap());
    let seconds = async |server: &Single| {
        let time = server.command(&["TIME"]).await.unwrap();
        time.list()[0].text().unwrap().parse::<i64>().unwrap()
    };
    for apart in [3_600, -3_600] {
        set.set_clock(apart * 1_000).unwrap();
        let seen = seconds(&set).await - seconds(&other).await;
        assert!((seen - apart).abs() < 60, "{seen} s apart, not {apart}");
    }
    // Leases end by it.
    set.command(&["SET", "k", "v", "PX", "60000"]).await.unwrap();
    set.set_clock(0).unwrap();
    assert_eq!(set.command(&["EXISTS", "k"]).await.unwrap(), Reply::Int(0));
}
