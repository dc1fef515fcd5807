//! The suite that every backend passes.

use futures_util::{StreamExt, stream};
use mainstay_lock::{
    LocksBuilder, Redis, RedisLocks,
    conformance::{Ability, Arena, cases},
};
use mainstay_testkit::redis::Single;

use crate::until_empty;

async fn every_case(arena: &Arena) {
    // Leases of real time: side by side, or it would take a minute.
    let run = |case: mainstay_lock::conformance::Case| async move {
        case.run(arena).await.err().map(|error| format!("{}: {error}", case.name()))
    };
    let able = cases().into_iter().filter(|case| !case.needs().contains(&Ability::Shares));
    let broken: Vec<_> =
        stream::iter(able).map(run).buffer_unordered(6).filter_map(async |x| x).collect().await;
    assert!(broken.is_empty(), "{} cases broken:\n{}", broken.len(), broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_for_each_client() {
    let server = Single::start().await.unwrap();
    let url = server.url();
    let connect = move |builder: LocksBuilder| builder.redis(Redis::open(&url).unwrap());
    every_case(&Arena::real(connect)).await;
    until_empty(&server).await;
}

#[tokio::test]
async fn one_connection_and_channel_for_all_clients() {
    let server = Single::start().await.unwrap();
    let shared = RedisLocks::new(Redis::open(&server.url()).unwrap());
    every_case(&Arena::real(move |builder: LocksBuilder| builder.backend(shared.clone()))).await;
    until_empty(&server).await;
}
