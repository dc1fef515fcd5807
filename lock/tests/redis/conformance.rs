//! The suite that every backend passes.

use futures_util::{StreamExt, stream};
use mainstay_lock::{
    LocksBuilder, Redis, RedisLocks,
    conformance::{Arena, Case, cases},
};
use mainstay_testkit::redis::{Cluster, Sentinel, Single};

use crate::{until_all_empty, until_empty};

async fn every_case(arena: &Arena) {
    // Leases of real time: side by side, or it would take a minute.
    let run = |case: Case| async move {
        case.run(arena).await.err().map(|error| format!("{}: {error}", case.name()))
    };
    let broken: Vec<_> =
        stream::iter(cases()).map(run).buffer_unordered(6).filter_map(async |x| x).collect().await;
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_sentinels() {
    let sentinel = Sentinel::start().await.unwrap();
    let (urls, name) = (sentinel.urls(), sentinel.name().to_owned());
    let connect = move |builder: LocksBuilder| {
        builder.redis(Redis::sentinel(&urls, &name).unwrap().build().unwrap())
    };
    every_case(&Arena::real(connect)).await;
    until_all_empty(&[sentinel.primary().await.unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_cluster() {
    let cluster = Cluster::start().await.unwrap();
    let urls = cluster.urls();
    let connect =
        move |builder: LocksBuilder| builder.redis(Redis::cluster(&urls).unwrap().build().unwrap());
    every_case(&Arena::real(connect)).await;
    until_all_empty(&cluster.addrs()).await;
}

#[cfg(feature = "redis-tls")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_mutual_tls() {
    use mainstay_lock::Tls;
    use mainstay_testkit::redis::TlsFiles;

    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let files = TlsFiles {
        authority: &certificate,
        certificate: &certificate,
        key: &key,
        ask_clients: true,
    };
    let server = Single::start_tls(&files).await.unwrap();
    let url = format!("rediss://{}/", server.tls_addr());
    let tls = Tls::trusting(&certificate).unwrap().client_certificate(&certificate, &key).unwrap();
    let connect = move |builder: LocksBuilder| {
        builder.redis(Redis::builder(&url).unwrap().tls(tls.clone()).build().unwrap())
    };
    every_case(&Arena::real(connect)).await;
    until_empty(&server).await;
}
