//! Two holders of one lock, the first of which is paused and wakes up too late.

use std::sync::Arc;

use mainstay_lock::{FenceError, LockError, LostReason, Tx, fence_guard};
use mainstay_testkit::unique;
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    Broken, client,
    databases::{Db, Kit, on_every_database, read, write},
    ms, within,
};

on_every_database!(
    a_paused_writer_commits_nothing_after_its_successor,
    a_writer_paused_behind_its_check_keeps_the_successor_waiting,
    a_writer_that_lost_its_lock_inside_the_transaction_commits_nothing,
    concurrent_increments_all_land,
);

/// "Check, update", under a lock.
async fn add_500<DB: Kit>(mut tx: Tx<DB>) -> Result<(), Broken> {
    let total = read::<DB>(&mut tx).await?;
    Ok(write::<DB>(&mut tx, total + 500).await?)
}

/// The lease ends for real while the first one sleeps between its read and its write.
async fn a_paused_writer_commits_nothing_after_its_successor<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let (one, two, name) = (client().await, client().await, unique("order"));
    let mut stale = 0;
    for fenced in [false, true] {
        db.run("UPDATE account SET total = 0").await;
        let paused = within(one.lock(&name).fixed_lease(ms(150))).await.unwrap();
        let seen = db.total().await;
        // Paused here, for longer than its lease.
        let successor = within(two.lock(&name)).await.unwrap();
        let fence = successor.fence();
        assert!(fence > paused.fence() && !paused.is_held());
        within(successor.transaction(&db.pool, add_500)).await.unwrap();
        // It wakes up and writes what it had computed.
        let mut tx = db.pool.begin().await.unwrap();
        let checked = match fenced {
            true => fence_guard(&mut *tx, &name, paused.fence()).await,
            false => Ok(()),
        };
        match checked {
            Ok(()) => {
                write::<DB>(&mut tx, seen + 1).await.unwrap();
                tx.commit().await.unwrap();
                stale += 1;
                assert!(!fenced && db.total().await == 1, "the successor's 500 are lost");
            }
            Err(FenceError::Fenced { ours, seen, .. }) => {
                assert_eq!((ours, seen), (paused.fence(), fence));
                tx.rollback().await.unwrap();
                assert_eq!(db.total().await, 500);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(stale, 1, "without the fence, and only there");
}

/// The check is a row that stays locked: whoever comes later waits for the end of the first one, and reads what it wrote.
async fn a_writer_paused_behind_its_check_keeps_the_successor_waiting<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let (one, two, name) = (client().await, client().await, unique("order"));
    let paused = within(one.lock(&name)).await.unwrap();
    let begin = if DB::NAME == "SQLite" { "BEGIN IMMEDIATE" } else { "BEGIN" };
    let mut tx = db.pool.begin_with(begin).await.unwrap();
    fence_guard(&mut *tx, &name, paused.fence()).await.unwrap();
    let seen = read::<DB>(&mut tx).await.unwrap();
    two.force_release(&*name, "it hangs").await.unwrap();

    let successor = within(two.lock(&name)).await.unwrap();
    let pool = db.pool.clone();
    let second = tokio::spawn(async move { successor.transaction(&pool, add_500).await });
    write::<DB>(&mut tx, seen + 1).await.unwrap();
    tx.commit().await.unwrap();
    within(second).await.unwrap().unwrap();
    assert_eq!(db.total().await, 501, "in turn, not on top of each other");
}

async fn a_writer_that_lost_its_lock_inside_the_transaction_commits_nothing<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let (one, two, name) = (client().await, client().await, unique("order"));
    let first = within(one.lock(&name)).await.unwrap();
    let (written, pool) = (Arc::new(Notify::new()), db.pool.clone());
    let wrote = written.clone();
    let paused = tokio::spawn(async move {
        let body = |mut tx: Tx<DB>| async move {
            write::<DB>(&mut tx, 1).await?;
            wrote.notify_one();
            std::future::pending::<Result<(), Broken>>().await
        };
        first.transaction(&pool, body).await
    });
    within(written.notified()).await;
    assert!(two.force_release(&*name, "it hangs").await.unwrap());
    let lost = within(paused).await.unwrap().unwrap_err();
    let Broken::Fence(lost) = lost else { panic!("{lost}") };
    let reason = LostReason::ForceReleased { reason: "it hangs".into() };
    assert_eq!(lost.lost_reason(), Some(&reason));

    let successor = within(two.lock(&name)).await.unwrap();
    within(successor.transaction(&db.pool, add_500)).await.unwrap();
    assert_eq!(db.total().await, 500);
}

async fn concurrent_increments_all_land<DB: Kit>() {
    const TASKS: usize = 8;
    const TURNS: i64 = 5;
    let db = Db::<DB>::fresh().await;
    let (clients, name) = ([client().await, client().await], unique("order"));
    let mut tasks = JoinSet::new();
    for number in 0..TASKS {
        let (locks, pool, name) = (clients[number % 2].clone(), db.pool.clone(), name.clone());
        tasks.spawn(async move {
            for _ in 0..TURNS {
                let body = |mut tx: Tx<DB>| async move {
                    let total = read::<DB>(&mut tx).await?;
                    write::<DB>(&mut tx, total + 1).await?;
                    Ok::<_, Broken>(())
                };
                locks.lock(&name).await?.transaction(&pool, body).await?;
            }
            Ok::<_, Broken>(())
        });
    }
    for done in within(tasks.join_all()).await {
        done.unwrap();
    }
    assert_eq!(db.total().await, TURNS * 8);
    let free = clients[0].try_lock(&name).await.unwrap();
    assert!(free.is_some_and(|guard| guard.is_held()));
    assert!(matches!(clients[0].lock("").await, Err(LockError::InvalidKey(_))));
}
