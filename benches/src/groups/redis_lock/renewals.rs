//! Ten thousand leases that are due at once.

use std::time::Duration;

use mainstay_lock::{LockGuard, Locks, ManualClock, Redis};
use redis::{Script, aio::MultiplexedConnection};
use tokio::{sync::watch, task::JoinSet};

use super::{OURS, runtime, server, server::Usage, sleep};
use crate::{
    harness::{Column, Effort, RunSide, Runs, Whose, wall},
    report::{Bar, Limit},
};

const LOCKS: usize = 10_000;
const LEASE: Duration = Duration::from_secs(60);

const EACH: &str = "a task and a script for each";
const WALL: &str = "all renewed after";
const LONGEST: &str = "longest round trip of others";

/// What renewing has to show.
pub(super) fn bars() -> Vec<Bar> {
    vec![
        Bar::ratio("renewing 10,000 locks", (OURS, WALL), (EACH, WALL), Limit::AtMost(0.5)),
        Bar::ratio(
            "renewing 10,000 locks: longest round trip of others",
            (OURS, LONGEST),
            (EACH, LONGEST),
            Limit::Shown,
        ),
    ]
}

/// One wave of renewals.
pub(super) fn runs() -> Runs {
    Runs {
        title: "Renewing 10,000 locks",
        note: "A wave in which all leases are due at once; a clock moved by hand makes it so. The others start a task for each \
               lock (async-redis-lock, distributed-lock-redis) or do not renew; their waves cannot be brought about from outside, \
               so a bare task for each, over one connection of the driver, stands for them. Meanwhile somebody else sends PING \
               on a connection of their own.",
        columns: vec![
            Column { name: WALL, unit: "ms" },
            Column { name: "server CPU", unit: "ms" },
            Column { name: LONGEST, unit: "ms" },
        ],
        sides: vec![
            RunSide::new(EACH, Whose::Theirs, |effort| measure(effort, each)),
            RunSide::new(OURS, Whose::Ours, |effort| measure(effort, ours)),
        ],
    }
}

fn measure<S, F>(_effort: Effort, side: S) -> Vec<f64>
where
    S: Fn(String) -> F,
    F: Future<Output = Vec<f64>>,
{
    let url = server::url();
    runtime().block_on(async {
        server::flush().await;
        side(url).await
    })
}

async fn connect(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).expect("it is an address");
    client.get_multiplexed_async_connection().await.expect("it connects")
}

/// Sends PING until told to stop; gives the longest round trip in milliseconds.
async fn ping(mut connection: MultiplexedConnection, stop: watch::Receiver<bool>) -> f64 {
    let mut longest: f64 = 0.0;
    while !*stop.borrow() {
        let asked = wall();
        let _: String = redis::cmd("PING").query_async(&mut connection).await.expect("it answers");
        longest = longest.max((wall() - asked).as_secs_f64() * 1e3);
    }
    longest
}

/// Watches the server while `wave` runs.
async fn watched(url: &str, wave: impl Future<Output = ()>) -> Vec<f64> {
    let (stop, stopped) = watch::channel(false);
    let mut pings = JoinSet::new();
    pings.spawn(ping(connect(url).await, stopped));
    let (before, begun) = (Usage::now().await, wall());
    wave.await;
    let took = (wall() - begun).as_secs_f64() * 1e3;
    let used = before.since().await;
    stop.send_replace(true);
    let longest = pings.join_all().await.into_iter().fold(0.0, f64::max);
    vec![took, used.cpu / 1e3, longest]
}

async fn each(url: String) -> Vec<f64> {
    let connection = connect(&url).await;
    let mut keys = redis::pipe();
    for lock in 0..LOCKS {
        keys.cmd("SET").arg(format!("order:{lock}")).arg("owner").arg("PX").arg(60_000).ignore();
    }
    let _: () = keys.query_async(&mut connection.clone()).await.expect("it answers");
    let script: &'static Script = Box::leak(Box::new(Script::new(include_str!("extend.lua"))));
    // The server knows the script before the wave.
    extend(script, 0, connection.clone()).await;
    let wave = async {
        let mut tasks = JoinSet::new();
        for lock in 0..LOCKS {
            tasks.spawn(extend(script, lock, connection.clone()));
        }
        tasks.join_all().await;
    };
    watched(&url, wave).await
}

async fn extend(script: &'static Script, lock: usize, mut connection: MultiplexedConnection) {
    let mut call = script.key(format!("order:{lock}"));
    call.arg("owner").arg(60_000);
    let renewed: i64 = call.invoke_async(&mut connection).await.expect("it answers");
    assert_eq!(renewed, 1, "it was held");
}

async fn ours(url: String) -> Vec<f64> {
    let time = ManualClock::new();
    let redis = Redis::open(&url).expect("it is an address");
    let locks = Locks::builder().clock(time.clock()).lease(LEASE).redis(redis);
    let mut guards: Vec<LockGuard> = Vec::new();
    for first in (0..LOCKS).step_by(100) {
        let mut asked = JoinSet::new();
        for lock in first..first + 100 {
            asked.spawn(locks.lock(format!("order:{lock}")).into_future());
        }
        guards.extend(asked.join_all().await.into_iter().map(|held| held.expect("it is free")));
    }
    let wave = async {
        time.advance(LEASE / 3 + Duration::from_millis(1));
        let mut renewed = 0;
        while renewed < LOCKS {
            match guards[renewed].remaining() > LEASE * 3 / 4 {
                true => renewed += 1,
                false => sleep(Duration::from_micros(100)).await,
            }
        }
    };
    let figures = watched(&url, wave).await;
    server::flush().await;
    drop(guards);
    figures
}
