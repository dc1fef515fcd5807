//! Fences that are checked where they count, on real databases and a real Redis.
#![allow(clippy::disallowed_methods, reason = "tests start tasks of their own")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod cancel;
mod check;
mod commits;
mod databases;
mod incidents;
mod store;
mod table;
mod transaction;
mod writers;

use std::time::Duration;

use mainstay_lock::{Clock, FenceError, LockError, Locks, Redis};
use mainstay_testkit::shared;

/// Longer than anything should take.
const SOON: Duration = Duration::from_secs(30);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// One more process that keeps its locks in the shared Redis.
async fn client() -> Locks {
    Locks::builder().wait(SOON).redis(Redis::open(&shared::redis().await.unwrap()).unwrap())
}

async fn within<T>(future: impl IntoFuture<Output = T>) -> T {
    let done = Clock::boot().timeout(SOON, future.into_future()).await;
    done.expect("within half a minute")
}

/// What a body may fail with.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Fence(#[from] FenceError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("the body changed its mind")]
    Changed,
}
