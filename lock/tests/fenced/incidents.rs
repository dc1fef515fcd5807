//! Accidents that happened elsewhere, the naive way beside ours.

use mainstay_lock::{FenceError, LockError, Locks, Redis, Released, Tx, fence_guard};
use mainstay_testkit::{eventually, proxy::Direction, redis::Single};
use sqlx::{Sqlite, SqlitePool};

use crate::{
    Broken, SOON,
    databases::{Db, read, write},
    ms, within,
};

const CLEARING: &str = "clearing:1";

async fn add(mut tx: Tx<Sqlite>, cents: i64) -> Result<i64, Broken> {
    let total = read::<Sqlite>(&mut tx).await? + cents;
    write::<Sqlite>(&mut tx, total).await?;
    Ok(total)
}

/// Clears an amount, and the follow-up of it in a call of its own that takes the same lock.
async fn clear(locks: &Locks, pool: &SqlitePool, cents: i64) -> Result<i64, Broken> {
    locks.lock(CLEARING).await?.transaction(pool, |tx| add(tx, cents)).await
}

/// A hook that runs after the commit opens a transaction of its own, when the lock is somebody else's.
#[tokio::test]
async fn after_commit_outside_lock() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());

    // As it was: the hook computes under the lock and writes when it is gone.
    let guard = locks.lock(CLEARING).await.unwrap();
    let hook_writes = db.total().await + 300;
    guard.release().await;
    clear(&locks, &db.pool, 500).await.unwrap();
    let mut tx = db.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    write::<Sqlite>(&mut tx, hook_writes).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.total().await, 300, "the naive hook was to lose 500 cents");

    // The hook carries the fence of the lock that it was computed under.
    db.run("UPDATE account SET total = 0").await;
    let guard = locks.lock(CLEARING).await.unwrap();
    let (fence, hook_writes) = (guard.fence(), db.total().await + 300);
    guard.release().await;
    clear(&locks, &db.pool, 500).await.unwrap();
    let mut tx = db.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let refused = fence_guard(&mut *tx, CLEARING, fence).await;
    assert!(matches!(refused, Err(FenceError::Fenced { .. })), "{refused:?}, {hook_writes} cents");
    tx.rollback().await.unwrap();
    // So it does its work under a lock of its own.
    clear(&locks, &db.pool, 300).await.unwrap();
    assert_eq!(db.total().await, 800);

    // A self-call of a locked method stays locked, also behind the inner one's commit.
    let request = locks.lock(CLEARING);
    let handle = request.handle();
    let (inner, pool, handle_inside) = (locks.clone(), db.pool.clone(), handle.clone());
    let run = request.run(async move {
        clear(&inner, &pool, 100).await?;
        assert!(handle_inside.is_held());
        let foreign = inner.clone();
        let busy = tokio::spawn(async move { foreign.try_lock(CLEARING).await });
        assert!(busy.await.unwrap().unwrap().is_none(), "free between the two");
        clear(&inner, &pool, 100).await
    });
    assert_eq!(within(run).await.unwrap(), 1_000);
    assert!(!handle.is_held());
    assert!(locks.try_lock(CLEARING).await.unwrap().is_some());
}

/// The delete of the lock failed, and the committed result went with it.
#[tokio::test]
async fn release_failed_can_be_retried() {
    let (db, server) = (Db::<Sqlite>::fresh().await, Single::start().await.unwrap());
    let proxy = server.proxy().await.unwrap();
    let redis = Redis::builder(&proxy.url(&server.url())).unwrap().budget(ms(200)).build().unwrap();
    let locks = Locks::builder().wait(SOON).redis(redis);
    let other = Locks::builder().wait(SOON).redis(Redis::open(&server.url()).unwrap());

    // As it was: what the release says is what the caller hears.
    let guard = within(locks.lock("order:1")).await.unwrap();
    let charged = db.pool.begin_with("BEGIN IMMEDIATE").await;
    let mut tx = charged.unwrap();
    write::<Sqlite>(&mut tx, 1).await.unwrap();
    tx.commit().await.unwrap();
    proxy.black_hole(Direction::ToClient);
    let naive = match within(guard.release()).await {
        Released::Unknown => Err("the lock could not be deleted"),
        _ => Ok("receipt"),
    };
    assert!(
        naive.is_err() && db.total().await == 1,
        "the naive call was to throw the receipt away"
    );

    // The same release can be asked for again, until it is known.
    proxy.clear().await;
    eventually(SOON, || async {
        let released = guard.release().await;
        if released == Released::Released { Ok(()) } else { Err(format!("{released:?}")) }
    })
    .await
    .unwrap();
    drop(within(other.lock("order:1")).await.unwrap());

    // A transaction and a run return what they did.
    let guard = within(locks.lock("order:1")).await.unwrap();
    let body = |mut tx: Tx<Sqlite>| async move {
        write::<Sqlite>(&mut tx, 2).await?;
        Ok::<_, Broken>("receipt")
    };
    proxy.black_hole(Direction::ToClient);
    assert_eq!(within(guard.transaction(&db.pool, body)).await.unwrap(), "receipt");
    assert_eq!(db.total().await, 2);
    proxy.clear().await;
    let hole = &proxy;
    let run = within(other.lock("order:1")).await.map(drop);
    run.unwrap();
    let run = eventually(SOON, || async {
        locks
            .lock("order:1")
            .run(async {
                hole.black_hole(Direction::ToClient);
                Ok::<_, LockError>("receipt")
            })
            .await
    });
    assert_eq!(within(run).await.unwrap(), "receipt");
    proxy.clear().await;
    drop(within(other.lock("order:1")).await.unwrap());
}
