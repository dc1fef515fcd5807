//! Calls of one script that become one.

use mainstay_redis::{Redis, RedisError, Script};
use tokio::sync::oneshot;

use crate::{COUNT, hasty, server};

/// Appends, each call to its list; a call that appends nothing is an error of its own.
static APPEND_ALL: Script = Script::joined(
    "local answers = {}
    for index = 1, #KEYS do
      if ARGV[index] == '' then
        answers[index] = redis.error_reply('WRONG nothing to append')
      else
        answers[index] = redis.call('RPUSH', KEYS[index], ARGV[index])
      end
    end
    return answers",
);

static MISSHAPEN: Script = Script::joined("return 7");

async fn evals(server: &mainstay_testkit::redis::Single) -> u32 {
    let stats = server.command(&["INFO", "commandstats"]).await.unwrap();
    let calls = stats.field("cmdstat_evalsha").unwrap();
    calls.split(['=', ',']).nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn calls_that_are_written_together_are_one_and_each_has_its_answer() {
    let (server, redis) = server().await;
    for round in 0..3 {
        server.command(&["SCRIPT", "FLUSH"]).await.unwrap();
        server.command(&["CONFIG", "RESETSTAT"]).await.unwrap();
        let call = |n: usize| {
            let text = if n == 77 { String::new() } else { n.to_string() };
            redis.eval(&APPEND_ALL, [format!("list:{}", n % 10)]).arg(text).call()
        };
        let calls: Vec<_> = (0..500).map(call).collect();
        // Those that met a server without the script are sent again, and may be overtaken by then.
        let mut lengths = vec![Vec::new(); 10];
        for (n, call) in calls.into_iter().enumerate() {
            match call.await {
                Ok(length) => lengths[n % 10].push(length.read::<usize>().unwrap()),
                Err(RedisError::Refused { code, .. }) => assert_eq!((n, &*code), (77, "WRONG")),
                Err(error) => panic!("call {n}: {error}"),
            }
        }
        for (list, mut lengths) in lengths.into_iter().enumerate() {
            lengths.sort_unstable();
            let each = if list == 7 { 49 } else { 50 };
            let expected: Vec<_> = (round * each + 1..=(round + 1) * each).collect();
            assert_eq!(lengths, expected, "each call is done once");
        }
        let evals = evals(&server).await;
        assert!((8..=40).contains(&evals), "{evals} scripts for 500 calls, sent twice at most");
    }
}

/// Others in between are not overtaken.
#[tokio::test]
async fn joined_calls_keep_their_place_among_others() {
    let (_server, redis) = server().await;
    let mut calls = Vec::new();
    for round in 0..20_usize {
        for _ in 0..round {
            calls.push((None, redis.eval(&APPEND_ALL, ["list"]).arg("x").call()));
        }
        calls.push((Some(round * (round + 1) / 2), redis.eval(&COUNT, ["list"]).call()));
    }
    for (expected, call) in calls {
        let length = call.await.unwrap().read::<usize>().unwrap();
        assert!(expected.is_none_or(|expected| expected == length), "{length}, not {expected:?}");
    }
}

#[tokio::test]
async fn an_answer_of_another_shape_is_unreadable_for_all() {
    let (_server, redis) = server().await;
    let calls: Vec<_> = (0..3).map(|_| redis.eval(&MISSHAPEN, ["k"]).call()).collect();
    for call in calls {
        let error = call.await.unwrap_err();
        assert!(error.is_unknown() && matches!(error, RedisError::Unreadable { .. }), "{error}");
    }
}

fn answer_of(redis: &Redis, text: &str) -> oneshot::Receiver<Result<usize, RedisError>> {
    let (sender, receiver) = oneshot::channel();
    redis.eval(&APPEND_ALL, ["list"]).arg(text).call_with(|answer| {
        let _ = sender.send(answer.and_then(mainstay_redis::Reply::read));
    });
    receiver
}

#[tokio::test]
async fn a_handler_is_told_of_an_answer_and_of_a_time_out_and_of_a_refusal() {
    let (server, redis) = server().await;
    assert_eq!(answer_of(&redis, "x").await.unwrap().unwrap(), 1);
    let hasty = hasty(&server.url());
    assert_eq!(answer_of(&hasty, "x").await.unwrap().unwrap(), 2);
    server.pause().unwrap();
    let waiting: Vec<_> = (0..3).map(|_| answer_of(&hasty, "x")).collect();
    for answer in waiting {
        let error = answer.await.unwrap().unwrap_err();
        assert!(matches!(error, RedisError::Unknown { .. }), "{error}");
    }
    server.resume().unwrap();
    let nowhere = Redis::open("redis://127.0.0.1:1/").unwrap();
    let error = answer_of(&nowhere, "x").await.unwrap().unwrap_err();
    assert!(matches!(error, RedisError::Failed { .. }), "{error}");
}

/// Where nothing can be sent, the handler is told before the call returns.
#[test]
fn a_handler_is_told_where_there_is_no_runtime() {
    let redis = Redis::open("redis://127.0.0.1:1/").unwrap();
    let mut answer = answer_of(&redis, "x");
    assert!(matches!(answer.try_recv().unwrap(), Err(RedisError::Failed { .. })));
}
