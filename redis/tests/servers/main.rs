//! The connection against real servers that are killed, paused and cut off.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod answers;
#[cfg(feature = "tls")]
mod certificates;
mod check;
mod cluster;
#[cfg(feature = "tls")]
mod encrypted_fleets;
mod joined;
mod pushes;
mod secrets;
mod sentinel;
#[cfg(feature = "tls")]
mod tls;
mod troubles;

use std::time::Duration;

use mainstay_redis::{Redis, RedisConfig, Script, redis::cmd};
use mainstay_testkit::redis::Single;

static APPEND: Script = Script::new("return redis.call('RPUSH', KEYS[1], ARGV[1])");
static COUNT: Script = Script::new("return redis.call('LLEN', KEYS[1])");

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

async fn server() -> (Single, Redis) {
    let server = Single::start().await.unwrap();
    let redis = Redis::open(&server.url()).unwrap();
    (server, redis)
}

/// A connection that loses patience soon.
fn hasty(url: &str) -> Redis {
    let mut config = RedisConfig::default();
    (config.budget, config.give_up_after) = (ms(200), ms(400));
    Redis::builder(url).unwrap().config(config).build().unwrap()
}

async fn get(redis: &Redis, key: &str) -> Option<String> {
    redis.call(cmd("GET").arg(key).take()).await.unwrap().read().unwrap()
}
