//! Locks kept in a Redis, against real servers that are killed, paused and emptied.
#![allow(clippy::disallowed_methods, reason = "tests start tasks of their own")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;
mod conformance;
mod election;
mod failover;
mod fences;
mod fleets;
mod guarantees;
mod incidents;
mod migration;
mod model;
mod plain;
mod quorum;
mod quorum_losses;
mod quorum_readers;
mod quorum_readers_lost;
mod reigns;
mod replicated;
mod replicated_split;
mod shared;
mod shared_in_cluster;
mod tokens;
mod troubles;
mod wire;

use std::{net::SocketAddr, time::Duration};

use mainstay_lock::{Clock, Key, Locks, LostReason, Redis};
use mainstay_testkit::{
    eventually,
    redis::{Single, command},
};

/// Longer than anything should take.
const SOON: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One more client of the server, with a connection of its own, as in another process.
fn client(server: &Single) -> Locks {
    client_at(&server.url())
}

fn client_at(url: &str) -> Locks {
    Locks::builder().wait(SOON).redis(Redis::open(url).unwrap())
}

/// As [`client`], with a lease that ends soon and a connection that gives up soon.
fn short_lived(server: &Single, lease: Duration) -> Locks {
    let redis = Redis::builder(&server.url()).unwrap().budget(ms(200)).build().unwrap();
    Locks::builder().lease(lease).wait(SOON).redis(redis)
}

/// Waits until `count` wait for `name`.
async fn until_waiting(locks: &Locks, name: &str, count: usize) {
    let waiting = || async { locks.inspect(name).await.is_ok_and(|info| info.waiters == count) };
    eventually(SOON, waiting).await.unwrap();
}

/// Whether a holder that hears nothing noticed by its own clock. Where its process hardly runs, the lease may end
/// before the last renewal is known to have no answer.
fn by_its_own_clock(reason: &LostReason) -> bool {
    matches!(reason, LostReason::Unreachable | LostReason::Expired)
}

async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    let done = Clock::boot().timeout(SOON, future.into_future()).await;
    done.expect("within half a minute")
}

/// A key of the lock `name`, on the server.
fn key_of(name: &str, part: &str) -> String {
    let bucket = Key::new(name).unwrap().bucket(64.try_into().unwrap());
    format!("{{mainstay:lock1:{bucket}}}:{name}:{part}")
}

async fn keys(server: &Single) -> Vec<String> {
    keys_at(server.addr()).await
}

async fn keys_at(server: SocketAddr) -> Vec<String> {
    let keys = command(server, &["KEYS", "*"]).await.unwrap();
    keys.list().iter().filter_map(|key| key.text().map(str::to_owned)).collect()
}

/// Nothing is left on the server once nobody uses it.
async fn until_empty(server: &Single) {
    until_all_empty(&[server.addr()]).await;
}

async fn until_all_empty(servers: &[SocketAddr]) {
    let empty = || async {
        let mut left = Vec::new();
        for server in servers {
            left.extend(keys_at(*server).await);
        }
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} are left")) }
    };
    eventually(SOON, empty).await.unwrap();
}
