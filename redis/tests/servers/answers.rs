//! Answers while all is well.

use mainstay_redis::{
    Redis, RedisError,
    redis::{Client, cmd},
};

use crate::{APPEND, COUNT, get, server};

#[tokio::test]
async fn commands_are_answered_and_errors_keep_their_code() {
    let (_server, redis) = server().await;
    redis.call(cmd("SET").arg("k").arg("v").take()).await.unwrap();
    assert_eq!(get(&redis, "k").await.as_deref(), Some("v"));
    let error = redis.call(cmd("LLEN").arg("k").take()).await.unwrap_err();
    assert!(
        matches!(&error, RedisError::Refused { code, .. } if &**code == "WRONGTYPE"),
        "{error}"
    );
    let unreadable = redis.call(cmd("GET").arg("k").take()).await.unwrap().read::<i64>();
    assert!(matches!(unreadable, Err(RedisError::Unreadable { .. })));
}

#[tokio::test]
async fn commands_are_done_in_the_order_of_their_calls_and_share_writes() {
    let (server, redis) = server().await;
    let calls: Vec<_> =
        (0..1_000).map(|n| redis.call(cmd("RPUSH").arg("list").arg(n).take())).collect();
    for (index, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().read::<usize>().unwrap(), index + 1);
    }
    let list = redis.call(cmd("LRANGE").arg("list").arg(0).arg(-1).take());
    let list: Vec<u32> = list.await.unwrap().read().unwrap();
    assert!(list.is_sorted());
    let stats = server.command(&["INFO", "stats"]).await.unwrap();
    let reads: u32 = stats.field("total_reads_processed").unwrap().parse().unwrap();
    assert!(reads < 200, "{reads} reads for 1,000 commands");
}

#[tokio::test]
async fn a_forgotten_script_is_loaded_again_for_every_call_that_met_it() {
    let (server, redis) = server().await;
    for round in 1..=3 {
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        let mut calls = Vec::new();
        for number in 0..300 {
            calls.push(redis.eval(&APPEND, ["list"]).arg(number).call());
            calls.push(redis.eval(&COUNT, ["list"]).call());
        }
        for call in calls {
            call.await.unwrap();
        }
        let length = redis.eval(&COUNT, ["list"]).call().await.unwrap();
        assert_eq!(length.read::<usize>().unwrap(), round * 300, "each call is done once");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_its_command_was_written_takes_it_along() {
    let (_server, redis) = server().await;
    // Nothing else runs between these lines: the connection is opened at the next await.
    let kept = redis.call(cmd("RPUSH").arg("list").arg("kept").take());
    drop(redis.call(cmd("RPUSH").arg("list").arg("dropped").take()));
    assert_eq!(kept.await.unwrap().read::<u32>().unwrap(), 1);
    let length = redis.call(cmd("LLEN").arg("list").take()).await.unwrap();
    assert_eq!(length.read::<u32>().unwrap(), 1);
}

#[tokio::test]
async fn a_call_is_answered_although_every_handle_is_gone() {
    let (server, redis) = server().await;
    let call = redis.call(cmd("SET").arg("k").arg("v").take());
    drop(redis);
    call.await.unwrap();
    assert_eq!(server.command(&["GET", "k"]).await.unwrap().text(), Some("v"));
}

#[test]
fn a_handle_outlives_the_runtime_that_it_was_used_on() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lasting = runtime();
    let (_server, redis) = lasting.block_on(server());
    for _ in 0..2 {
        let passing = runtime();
        assert_eq!(passing.block_on(get(&redis, "k")), None);
    }
}

#[tokio::test]
async fn a_client_of_the_users_keeps_its_database_and_need_not_speak_the_newest_protocol() {
    let (server, _) = server().await;
    let client = Client::open(format!("{}5?protocol=resp2", server.url())).unwrap();
    let redis = Redis::from_client(client).build().unwrap();
    redis.call(cmd("SET").arg("k").arg("v").take()).await.unwrap();
    let mut news = redis.subscribe("news");
    redis.call(cmd("PUBLISH").arg("news").arg("x").take()).await.unwrap();
    assert!(news.recv().await.is_some());
    assert_eq!(server.command(&["GET", "k"]).await.unwrap(), mainstay_testkit::redis::Reply::Nil);
}

#[tokio::test]
async fn a_command_that_blocks_a_dedicated_connection_holds_up_nobody_else() {
    let (_server, redis) = server().await;
    let dedicated = redis.dedicated();
    let mut order = futures_of(&dedicated);
    // It blocks until somebody else pushes: on one connection that would be never.
    let popped = dedicated.call(cmd("BLPOP").arg("list").arg(0).take());
    order.push(dedicated.call(cmd("GET").arg("written").take()));
    redis.call(cmd("RPUSH").arg("list").arg("x").take()).await.unwrap();
    let popped: (String, String) = popped.await.unwrap().read().unwrap();
    assert_eq!(popped.1, "x");
    let mut last = None;
    for call in order {
        last = Some(call.await.unwrap());
    }
    assert_eq!(last.unwrap().read::<u32>().unwrap(), 7, "in the order of the calls");
}

fn futures_of(redis: &Redis) -> Vec<mainstay_redis::Call> {
    (1..=7).map(|n| redis.call(cmd("SET").arg("written").arg(n).take())).collect()
}
