//! Servers that are killed, paused, cut off, or slow.

use std::{cell::Cell, time::Duration};

use mainstay_redis::{Redis, RedisConfig, RedisError, redis::cmd};
use mainstay_testkit::{eventually, proxy::Direction};

use crate::{get, hasty, ms, server};

const SOON: Duration = Duration::from_secs(20);

fn set(redis: &Redis, value: &str) -> mainstay_redis::Call {
    redis.call(cmd("SET").arg("k").arg(value).take())
}

#[tokio::test]
async fn a_server_that_is_down_is_a_failure_and_one_that_is_back_is_found() {
    let (mut server, redis) = server().await;
    set(&redis, "v").await.unwrap();
    server.kill().await.unwrap();
    // The kernel may not have told of the end of the connection yet: then it is unknown once.
    eventually(SOON, || async { matches!(set(&redis, "v").await, Err(RedisError::Failed { .. })) })
        .await
        .unwrap();
    server.restart().await.unwrap();
    eventually(SOON, || set(&redis, "again")).await.unwrap();
    assert_eq!(get(&redis, "k").await.as_deref(), Some("again"));
}

#[tokio::test]
async fn a_command_that_a_paused_server_has_is_unknown_and_keeps_its_place() {
    let (server, _) = server().await;
    let redis = Redis::builder(&server.url()).unwrap().budget(ms(100)).build().unwrap();
    set(&redis, "first").await.unwrap();
    server.pause().unwrap();
    let error = set(&redis, "second").await.unwrap_err();
    assert!(matches!(error, RedisError::Unknown { .. }), "{error}");
    assert!(error.is_unknown() && error.retry_after().is_some());
    server.resume().unwrap();
    // Same connection: what is asked now comes after what was unknown.
    eventually(SOON, || async { get_if_there(&redis).await.as_deref() == Some("second") })
        .await
        .unwrap();
}

async fn get_if_there(redis: &Redis) -> Option<String> {
    redis.call(cmd("GET").arg("k").take()).await.ok()?.read().ok()
}

#[tokio::test]
async fn a_cut_after_the_write_is_unknown() {
    let (server, _) = server().await;
    let proxy = server.proxy().await.unwrap();
    let redis = hasty(&proxy.url(&server.url()));
    set(&redis, "first").await.unwrap();
    proxy.black_hole(Direction::ToClient);
    let cut = set(&redis, "second");
    let done = eventually(SOON, || async {
        server.command(&["GET", "k"]).await.unwrap().text() == Some("second")
    });
    let (cut, done) = tokio::join!(cut, done);
    done.unwrap();
    assert!(matches!(cut, Err(RedisError::Unknown { .. })), "{cut:?}");
    proxy.reset();
    proxy.clear().await;
    eventually(SOON, || set(&redis, "third")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_a_failure_at_once() {
    let (server, _) = server().await;
    let proxy = server.proxy().await.unwrap();
    let redis = Redis::open(&proxy.url(&server.url())).unwrap();
    proxy.refuse().await;
    let error = set(&redis, "v").await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error}");
    assert!(!error.is_unknown());
    proxy.clear().await;
    eventually(SOON, || set(&redis, "v")).await.unwrap();
}

#[tokio::test]
async fn a_server_that_never_greets_is_a_failure() {
    let (server, _) = server().await;
    let proxy = server.proxy().await.unwrap();
    proxy.black_hole(Direction::ToClient);
    let mut config = RedisConfig::default();
    (config.budget, config.connect_budget) = (ms(20_000), ms(200));
    let url = proxy.url(&server.url());
    let redis = Redis::builder(&url).unwrap().config(config).build().unwrap();
    let error = set(&redis, "v").await.unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error}");
    assert!(error.to_string().contains("no greeting within 200ms"), "{error}");
    proxy.clear().await;
    eventually(SOON, || set(&redis, "v")).await.unwrap();
}

#[tokio::test]
async fn a_command_that_waits_for_a_connection_fails_when_its_budget_is_spent() {
    let (server, _) = server().await;
    let proxy = server.proxy().await.unwrap();
    proxy.black_hole(Direction::ToClient);
    let mut config = RedisConfig::default();
    (config.budget, config.connect_budget) = (ms(200), ms(20_000));
    let url = proxy.url(&server.url());
    let redis = Redis::builder(&url).unwrap().config(config).build().unwrap();
    let error = set(&redis, "late").await.unwrap_err();
    assert!(error.to_string().contains("not written within 200ms"), "{error}");
    proxy.clear().await;
    eventually(SOON, || redis.call(cmd("PING"))).await.unwrap();
    assert_eq!(get(&redis, "k").await, None, "never written");
}

/// What an old connection still carries is never done after what a new one carried.
#[tokio::test]
async fn the_order_holds_across_connections() {
    let (server, _) = server().await;
    let proxy = server.proxy().await.unwrap();
    let redis = hasty(&proxy.url(&server.url()));
    set(&redis, "first").await.unwrap();
    let before = proxy.counters();
    proxy.latency(Direction::ToServer, ms(3_000));
    let late = set(&redis, "late").await.unwrap_err();
    assert!(late.is_unknown(), "{late}");
    proxy.clear().await;
    eventually(SOON, || set(&redis, "new")).await.unwrap();
    assert!(proxy.counters().accepted > before.accepted, "a new connection");
    // The old one is over once the proxy has tried to deliver what it held.
    eventually(SOON, || async { proxy.counters().open == 1 }).await.unwrap();
    assert_eq!(get(&redis, "k").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn more_commands_than_may_wait_are_refused() {
    let (server, _) = server().await;
    let mut config = RedisConfig::default();
    config.queue = 2;
    let redis = Redis::builder(&server.url()).unwrap().config(config).build().unwrap();
    let calls = [(); 3].map(|()| set(&redis, "v"));
    let mut refused = Vec::new();
    for call in calls {
        refused.extend(call.await.err());
    }
    assert_eq!(refused.len(), 1);
    assert!(refused[0].to_string().contains("2 commands wait"), "{}", refused[0]);
}

#[tokio::test]
async fn killed_connections_are_replaced_under_load() {
    let (server, redis) = server().await;
    let over = Cell::new(false);
    let work = async {
        let (mut done, mut number) = (0_u32, 0_u32);
        while !over.get() || done < 100 {
            number += 1;
            match redis.call(cmd("SADD").arg("set").arg(number).take()).await {
                Ok(_) => done += 1,
                Err(error) => assert!(!error.is_refused(), "{error}"),
            }
            tokio::task::yield_now().await;
        }
        done
    };
    let kills = async {
        for _ in 0..20 {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]).await.unwrap();
        }
        over.set(true);
    };
    let (done, ()) = tokio::join!(work, kills);
    // The last one killed may not know it yet.
    let members = eventually(SOON, || redis.call(cmd("SCARD").arg("set").take())).await.unwrap();
    let members: u32 = members.read().unwrap();
    assert!(members >= done, "{done} answered, {members} there");
}
