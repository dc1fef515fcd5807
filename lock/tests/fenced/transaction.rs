//! What a transaction under a lock does, and what it refuses.

use mainstay_lock::{FenceError, LockError, Locks, LostReason, ManualClock, Tx, With, fence_guard};
use sqlx::{MySql, Postgres, Sqlite};

use crate::{
    Broken,
    databases::{Db, Kit, on_every_database, read, write},
    ms, within,
};

on_every_database!(
    it_commits_and_then_releases,
    an_error_of_the_body_rolls_back_and_releases,
    a_lock_that_is_no_longer_held_commits_nothing,
);

fn manual() -> (ManualClock, Locks) {
    let time = ManualClock::new();
    let locks = Locks::builder().clock(time.clock()).lease(ms(10_000)).in_process();
    (time, locks)
}

async fn it_commits_and_then_releases<DB: Kit>() {
    let (db, locks) = (Db::<DB>::fresh().await, Locks::in_process());
    let guard = locks.lock("order:1").await.unwrap();
    let fence = guard.fence();
    let body = |mut tx: Tx<DB>| async move {
        assert_eq!(tx.fence(), fence);
        write::<DB>(&mut tx, 7).await?;
        Ok::<_, Broken>("paid")
    };
    let paid = within(guard.transaction(&db.pool, body)).await.unwrap();
    assert_eq!((paid, db.total().await), ("paid", 7));
    assert_eq!(db.number("SELECT token FROM mainstay_fence").await, fence.get());
    // The next one has it at once, and may write more than one resource.
    let guard = locks.try_lock("order:1").await.unwrap().expect("it was released");
    let body = |mut tx: Tx<DB>| async move {
        let fence = tx.fence();
        fence_guard(&mut *tx, "account:1", fence).await?;
        write::<DB>(&mut tx, 8).await?;
        Ok::<_, Broken>(())
    };
    within(guard.transaction(&db.pool, body).resource("shop:order:1")).await.unwrap();
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 3);
}

async fn an_error_of_the_body_rolls_back_and_releases<DB: Kit>() {
    let (db, locks) = (Db::<DB>::fresh().await, Locks::in_process());
    let guard = locks.lock("order:1").await.unwrap();
    let body = |mut tx: Tx<DB>| async move {
        write::<DB>(&mut tx, 7).await?;
        Err::<(), _>(Broken::Changed)
    };
    let error = within(guard.transaction(&db.pool, body)).await.unwrap_err();
    assert!(matches!(error, Broken::Changed), "{error}");
    assert_eq!(db.total().await, 0);
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 0);
    assert!(locks.try_lock("order:1").await.unwrap().is_some());
}

/// The body ends and the lease has ended: it is the look before the commit that tells.
async fn a_lock_that_is_no_longer_held_commits_nothing<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let (time, locks) = manual();
    for (passes, margin) in [(ms(11_000), ms(0)), (ms(9_500), ms(1_000))] {
        let guard = locks.lock("order:1").fixed_lease(ms(10_000)).await.unwrap();
        let time = &time;
        let body = |mut tx: Tx<DB>| async move {
            write::<DB>(&mut tx, 7).await?;
            // In the same poll as the end of the body.
            time.advance(passes);
            Ok::<_, Broken>(())
        };
        let run = guard.transaction(&db.pool, body);
        let run = if margin.is_zero() { run.margin(margin) } else { run };
        let Broken::Fence(late) = within(run).await.unwrap_err() else { panic!("a fence error") };
        assert!(late.is_lost() && !late.is_unknown(), "{late}");
        match late {
            FenceError::Lost(lost) => {
                assert_eq!((lost.reason, margin), (LostReason::Expired, ms(0)));
            }
            FenceError::TooLate { remaining, margin: wanted, .. } => {
                assert_eq!((remaining, wanted), (ms(500), margin));
            }
            other => panic!("{other}"),
        }
        assert_eq!(db.total().await, 0);
        assert!(locks.try_lock("order:1").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn other_locks_and_transactions_are_refused_inside_and_the_same_lock_is_entered_again() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());
    let spare = locks.lock("order:2").await.unwrap();
    let guard = locks.lock("order:1").await.unwrap();
    let (fence, again, pool) = (guard.fence(), locks.clone(), db.pool.clone());
    let body = |mut tx: Tx<Sqlite>| async move {
        write::<Sqlite>(&mut tx, 7).await?;
        let other = again.lock("order:3").await;
        assert!(matches!(other, Err(LockError::InsideTransaction { .. })), "{other:?}");
        let tried = again.try_lock("order:3").await;
        assert!(matches!(tried, Err(LockError::InsideTransaction { .. })), "{tried:?}");
        let same = again.lock("order:1").await?;
        assert_eq!(same.fence(), fence);
        // It would wait for this very task.
        let inner = spare.transaction(&pool, |_tx| async { Ok::<_, FenceError>(()) }).await;
        assert!(matches!(inner, Err(FenceError::Nested { .. })), "{inner:?}");
        Ok::<_, Broken>(())
    };
    within(guard.transaction(&db.pool, body)).await.unwrap();
    assert_eq!(db.total().await, 7);
    // The mark ends with the transaction, and the inner transaction has released its lock.
    for name in ["order:1", "order:2", "order:3"] {
        assert!(locks.try_lock(name).await.unwrap().is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_transaction_that_outlives_its_body_is_rolled_back() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());
    let kept = std::sync::Mutex::new(None);
    let guard = locks.lock("order:1").await.unwrap();
    let body = |mut tx: Tx<Sqlite>| {
        let kept = &kept;
        async move {
            write::<Sqlite>(&mut tx, 7).await?;
            *kept.lock().unwrap() = Some(tx);
            Ok::<_, Broken>(())
        }
    };
    let escaped = within(guard.transaction(&db.pool, body)).await.unwrap_err();
    assert!(matches!(escaped, Broken::Fence(FenceError::TxEscaped { .. })), "{escaped}");
    drop(kept);
    assert_eq!(db.total().await, 0);
}

#[tokio::test]
async fn a_guard_that_holds_nothing_any_more_begins_nothing() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());
    let guard = locks.lock("order:1").await.unwrap();
    guard.release().await;
    let run = guard.transaction(&db.pool, |_tx| async { panic!("the body starts") });
    let lost: Result<(), FenceError> = within(run).await;
    assert_eq!(lost.unwrap_err().lost_reason(), Some(&LostReason::Released));
}

/// A reader's fence says nothing about other readers, and must keep no writer out.
#[tokio::test]
async fn a_shared_lock_writes_nothing() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());
    let guard = locks.read_write("order:1").read().await.unwrap();
    let body = |_tx: Tx<Sqlite>| async { Ok::<_, FenceError>(()) };
    let refused = within(guard.transaction(&db.pool, body)).await.unwrap_err();
    assert!(matches!(refused, FenceError::Shared { .. }) && refused.is_misuse(), "{refused}");
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 0);
    let guard = locks.read_write("order:1").write().await.unwrap();
    within(guard.transaction(&db.pool, body)).await.unwrap();
}

#[tokio::test]
async fn a_refusal_becomes_what_the_caller_makes_of_it() {
    let (db, locks) = (Db::<Sqlite>::fresh().await, Locks::in_process());
    let body = |mut tx: Tx<Sqlite>| async move { read::<Sqlite>(&mut tx).await };
    let reject = With(
        |error: FenceError| {
            if error.is_fenced() { Ok(-1) } else { Err(sqlx::Error::WorkerCrashed) }
        },
    );
    let guard = locks.lock("order:1").await.unwrap();
    assert_eq!(within(guard.transaction_or(reject, &db.pool, body)).await.unwrap(), 0);
    db.run("UPDATE mainstay_fence SET token = token + 3600000000").await;
    let guard = locks.lock("order:1").await.unwrap();
    assert_eq!(within(guard.transaction_or(reject, &db.pool, body)).await.unwrap(), -1);
}

/// The server would answer the commit with a yes that means no.
#[tokio::test]
async fn an_error_that_the_body_swallowed_is_not_called_committed() {
    let (db, locks) = (Db::<Postgres>::fresh().await, Locks::in_process());
    let guard = locks.lock("order:1").await.unwrap();
    let body = |mut tx: Tx<Postgres>| async move {
        write::<Postgres>(&mut tx, 7).await?;
        Postgres::run(&mut tx, "SELECT 1 / 0").await.unwrap_err();
        Ok::<_, Broken>(())
    };
    let refused = within(guard.transaction(&db.pool, body)).await.unwrap_err();
    assert!(matches!(refused, Broken::Fence(FenceError::Backend { .. })), "{refused}");
    assert_eq!(db.total().await, 0);
}

/// A statement that commits by itself ends the transaction: what follows would be written without one.
#[tokio::test]
async fn a_transaction_that_the_body_ended_is_not_called_committed() {
    let (db, locks) = (Db::<MySql>::fresh().await, Locks::in_process());
    let guard = locks.lock("order:1").await.unwrap();
    let body = |mut tx: Tx<MySql>| async move {
        write::<MySql>(&mut tx, 7).await?;
        MySql::run(&mut tx, "CREATE TABLE other (id BIGINT)").await?;
        Ok::<_, Broken>(())
    };
    let Broken::Fence(ended) = within(guard.transaction(&db.pool, body)).await.unwrap_err() else {
        panic!("a fence error")
    };
    assert!(ended.is_unknown(), "{ended}");
}

/// A deadlock undoes the whole transaction, and the body goes on as if it had not.
#[tokio::test]
async fn a_deadlock_that_the_body_swallowed_is_not_called_committed() {
    let (db, locks) = (Db::<MySql>::fresh().await, Locks::in_process());
    db.run("CREATE TABLE ballast (id BIGINT PRIMARY KEY)").await;
    let guard = locks.lock("order:1").await.unwrap();
    // The one with more changes survives a deadlock.
    let mut other = db.pool.begin().await.unwrap();
    let rows: Vec<_> = (0..200).map(|id| format!("({id})")).collect();
    MySql::run(&mut other, format!("INSERT INTO ballast VALUES {}", rows.join(", ")))
        .await
        .unwrap();
    MySql::run(&mut other, "UPDATE account SET total = 1 WHERE id = 2").await.unwrap();
    let body = |mut tx: Tx<MySql>| async move {
        write::<MySql>(&mut tx, 7).await?;
        let crossed = "UPDATE account SET total = 2 WHERE id = 2";
        let (ours, theirs) = tokio::join!(
            MySql::run(&mut tx, crossed),
            MySql::run(&mut other, "UPDATE account SET total = 3 WHERE id = 1")
        );
        ours.unwrap_err();
        theirs.unwrap();
        other.rollback().await?;
        // No transaction holds this back any more.
        MySql::run(&mut tx, "UPDATE account SET total = 9 WHERE id = 2").await?;
        Ok::<_, Broken>(())
    };
    let Broken::Fence(undone) = within(guard.transaction(&db.pool, body)).await.unwrap_err() else {
        panic!("a fence error")
    };
    assert!(undone.is_unknown(), "{undone}");
    assert_eq!(db.total().await, 0, "the first write is gone, and an `Ok` would have hidden it");
}
