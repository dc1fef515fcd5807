//! Accidents that happened elsewhere, the naive way beside ours.

use mainstay_lock::{
    Fence, Locks, LocksBuilder, Redis,
    conformance::{Arena, cases},
};
use mainstay_redis::redis::cmd;
use mainstay_testkit::{
    eventually,
    proxy::{Direction, Proxy},
    redis::Single,
};

use crate::{SOON, client, keys, ms, until_empty, within};

/// A connection that gives up soon, through the proxy.
fn impatient(server: &Single, proxy: &Proxy) -> Redis {
    Redis::builder(&proxy.url(&server.url())).unwrap().budget(ms(1_000)).build().unwrap()
}

async fn heal(proxy: &Proxy) {
    proxy.reset();
    proxy.clear().await;
}

/// The reply of the acquire was lost: held by nobody for the whole time to live, or entered twice.
#[tokio::test]
async fn setnx_reply_lost() {
    let server = Single::start().await.unwrap();
    let proxy = server.proxy().await.unwrap();
    let redis = impatient(&server, &proxy);
    redis.call(cmd("PING")).await.unwrap();

    // Taken for "not got it", nobody holds it and nobody gets it.
    let set = |redis: &Redis| {
        redis.call(cmd("SET").arg("naive").arg("me").arg("NX").arg("PX").arg(600_000).take())
    };
    proxy.black_hole(Direction::ToClient);
    within(set(&redis)).await.unwrap_err();
    heal(&proxy).await;
    let again = within(set(&Redis::open(&server.url()).unwrap())).await.unwrap();
    assert_eq!(again.read::<Option<String>>().unwrap(), None, "the naive lock was to be stuck");
    server.command(&["DEL", "naive"]).await.unwrap();

    let locks = Locks::builder().lease(ms(600_000)).wait(SOON).redis(impatient(&server, &proxy));
    let other = client(&server);
    let mut last = Fence::NONE;
    // Warm: the next request is one command, not the script's text.
    within(locks.lock("ours")).await.unwrap().release().await;
    for round in 0..2 {
        proxy.black_hole(Direction::ToClient);
        let asked = tokio::spawn(locks.lock("ours").into_future());
        eventually(SOON, || async { keys(&server).await.len() == 1 })
            .await
            .expect("the server did it");
        let error = within(asked).await.unwrap().unwrap_err();
        assert!(error.is_unknown() && !error.is_busy(), "round {round}: {error}");
        heal(&proxy).await;
        // Far sooner than its lease, for others and for whoever asked.
        for locks in [&other, &locks] {
            let guard = within(locks.lock("ours")).await;
            let guard = match guard {
                Ok(guard) => guard,
                // The connection had not noticed yet that it was cut.
                Err(error) => {
                    assert!(error.is_unknown() || error.retry_after().is_some(), "{error}");
                    within(locks.lock("ours")).await.unwrap()
                }
            };
            assert!(guard.fence() > last, "{} after {last}", guard.fence());
            last = guard.fence();
            let (mine, theirs) = (locks.try_lock("ours").await, other.try_lock("ours").await);
            assert!(mine.unwrap().is_none() && theirs.unwrap().is_none(), "entered twice");
            guard.release().await;
        }
    }
    until_empty(&server).await;
}

/// The case of this name, with a connection for each client.
async fn on_a_server(name: &str) {
    let server = Single::start().await.unwrap();
    let url = server.url();
    let connect = move |builder: LocksBuilder| builder.redis(Redis::open(&url).unwrap());
    let case = cases().into_iter().find(|case| case.name() == name).expect("a case of this name");
    case.run(&Arena::real(connect)).await.unwrap();
    until_empty(&server).await;
}

#[tokio::test]
async fn takeover_admits_one() {
    on_a_server("takeover_admits_one").await;
}

#[tokio::test]
async fn late_release_spares_successor() {
    on_a_server("late_release_spares_successor").await;
}
