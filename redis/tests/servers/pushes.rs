//! Channels.

use std::time::Duration;

use mainstay_redis::{Push, Subscription, redis::cmd};
use mainstay_testkit::eventually;

use crate::{ms, server};

/// The next message, past hints that some may be gone.
async fn message(subscription: &mut Subscription) -> Vec<u8> {
    loop {
        if let Push::Message(message) = subscription.recv().await.expect("a handle is left") {
            return message;
        }
    }
}

#[tokio::test]
async fn a_command_sent_after_a_subscription_finds_it_in_place() {
    let (_server, redis) = server().await;
    let mut one = redis.subscribe("news");
    let mut two = redis.subscribe("news");
    let published = redis.call(cmd("PUBLISH").arg("news").arg("hello").take());
    assert_eq!(published.await.unwrap().read::<u32>().unwrap(), 1, "one connection listens");
    assert_eq!(message(&mut one).await, b"hello");
    assert_eq!(message(&mut two).await, b"hello");
}

#[tokio::test]
async fn nobody_listens_once_the_last_listener_is_dropped() {
    let (_server, redis) = server().await;
    let (one, two) = (redis.subscribe("news"), redis.subscribe("news"));
    drop(one);
    let publish = || redis.call(cmd("PUBLISH").arg("news").arg("x").take());
    assert_eq!(publish().await.unwrap().read::<u32>().unwrap(), 1);
    drop(two);
    assert_eq!(publish().await.unwrap().read::<u32>().unwrap(), 0);
}

#[tokio::test]
async fn a_new_connection_listens_again_and_says_that_pushes_may_be_gone() {
    let (server, redis) = server().await;
    let mut news = redis.subscribe("news");
    redis.call(cmd("PUBLISH").arg("news").arg("before").take()).await.unwrap();
    assert_eq!(message(&mut news).await, b"before");
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::MayHaveLost));
    redis.call(cmd("PUBLISH").arg("news").arg("after").take()).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::Message(b"after".to_vec())));
}

#[tokio::test]
async fn a_listener_hears_of_a_restart_without_any_command() {
    let (mut server, redis) = server().await;
    let mut news = redis.subscribe("news");
    redis.call(cmd("PING")).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::MayHaveLost), "the first connection");
    server.restart().await.unwrap();
    assert_eq!(news.recv().await, Some(Push::MayHaveLost));
    let heard = eventually(Duration::from_secs(20), || async {
        server.command(&["PUBLISH", "news", "x"]).await.unwrap()
            == mainstay_testkit::redis::Reply::Int(1)
    });
    heard.await.unwrap();
    assert_eq!(message(&mut news).await, b"x");
}

#[tokio::test]
async fn a_slow_listener_is_told_instead_of_filling_the_memory() {
    let (_server, redis) = server().await;
    let mut news = redis.subscribe("news");
    redis.call(cmd("PING")).await.unwrap();
    assert_eq!(news.recv().await, Some(Push::MayHaveLost), "the first connection");
    let publish = |n: u32| redis.call(cmd("PUBLISH").arg("news").arg(n).take());
    let calls: Vec<_> = (0..2_000).map(publish).collect();
    for call in calls {
        call.await.unwrap();
    }
    let mut heard = 0;
    let mut told = false;
    while let Ok(Some(push)) = redis.clock().timeout(ms(500), news.recv()).await {
        match push {
            Push::Message(_) => heard += 1,
            _ => told = true,
        }
    }
    assert!(told && heard < 2_000, "{heard} heard");
}

#[tokio::test]
async fn a_listener_ends_with_the_last_handle() {
    let (_server, redis) = server().await;
    let mut news = redis.subscribe("news");
    redis.call(cmd("PING")).await.unwrap();
    drop(redis);
    while let Some(push) = news.recv().await {
        assert_eq!(push, Push::MayHaveLost);
    }
}
