//! Locks that processes share through a Redis.

mod contended;
mod drops;
mod fences;
pub mod locker;
mod pairs;
mod pause;
mod renewals;
mod server;

use tokio::runtime::{Builder, Runtime};

use super::{Group, Part};
use crate::report::{Bar, Limit};

/// What the driver alone can do.
const RAW: &str = "raw SET NX PX, EVALSHA";
const OURS: &str = "mainstay";
const RSLOCK: &str = "rslock";
const ASYNC_REDIS_LOCK: &str = "async-redis-lock";
const DISTRIBUTED_LOCK: &str = "distributed-lock-redis";
const REDISSON: &str = "redisson";

/// Measurements of the lock on Redis.
pub fn group() -> Group {
    let mut bars = vec![
        Bar::ratio(
            "uncontended, 64 tasks: pairs",
            (OURS, pairs::MANY),
            (RAW, pairs::MANY),
            Limit::AtLeast(0.7),
        ),
        Bar::ratio(
            "uncontended, 64 tasks: server CPU a pair",
            (OURS, pairs::CPU),
            (RAW, pairs::CPU),
            Limit::Shown,
        ),
    ];
    bars.extend(contended::bars());
    bars.extend(renewals::bars());
    bars.push(Bar::value("dropped acquires: keys left", (OURS, drops::LEFT), Limit::AtMost(0.0)));
    bars.push(Bar::value(
        "paused holder: held, says its first answer",
        (OURS, pause::FIRST),
        Limit::AtMost(0.0),
    ));
    bars.push(Bar::value(
        "fences not above an earlier one",
        (OURS, fences::INVERSIONS),
        Limit::AtMost(0.0),
    ));
    let parts = vec![
        Part::Runs(pairs::runs()),
        Part::Runs(contended::runs()),
        Part::Runs(renewals::runs()),
        Part::Runs(drops::runs()),
        Part::Runs(pause::runs()),
        Part::Runs(fences::runs()),
    ];
    Group { name: "lock-redis", title: "Lock, on Redis", parts, bars }
}

/// Two threads, as for the other side.
fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}

#[expect(clippy::disallowed_methods, reason = "what is held here is real time")]
async fn sleep(time: std::time::Duration) {
    tokio::time::sleep(time).await;
}
