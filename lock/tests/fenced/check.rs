//! The check by itself, inside a transaction of the caller's.

use mainstay_lock::{Fence, FenceError, fence_guard};
use sqlx::{Acquire, Connection, Executor, Row, Sqlite};

use crate::databases::{Db, Kit, on_every_database};

on_every_database!(
    an_older_fence_is_refused_and_the_same_passes,
    a_refused_check_leaves_the_fence_as_it_was,
    names_are_told_apart_by_their_bytes,
    a_fence_is_a_column,
);

async fn guarded<DB: Kit>(db: &Db<DB>, name: &str, fence: i64) -> Result<(), FenceError> {
    let mut tx = db.pool.begin().await.unwrap();
    fence_guard(&mut *tx, name, Fence::new(fence)).await?;
    tx.commit().await.unwrap();
    Ok(())
}

async fn an_older_fence_is_refused_and_the_same_passes<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let highest = (1_i64 << 53) - 1;
    for fence in [7, 7, 8, 1_795_000_000_000_000, highest, highest] {
        guarded(&db, "order:1", fence).await.unwrap();
    }
    let refused = guarded(&db, "order:1", highest - 1).await.unwrap_err();
    assert!(refused.is_fenced() && refused.is_lost() && !refused.is_unknown());
    let FenceError::Fenced { resource, ours, seen } = refused else { panic!("{refused}") };
    assert_eq!((resource.as_str(), ours.get(), seen.get()), ("order:1", highest - 1, highest));
}

/// Also if the caller commits in spite of it.
async fn a_refused_check_leaves_the_fence_as_it_was<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    guarded(&db, "a", 9).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    fence_guard(&mut *tx, "a", Fence::new(5)).await.unwrap_err();
    tx.commit().await.unwrap();
    assert_eq!(db.number("SELECT token FROM mainstay_fence").await, 9);
    // What is rolled back does not keep anybody out.
    let mut tx = db.pool.begin().await.unwrap();
    fence_guard(&mut *tx, "a", Fence::new(100)).await.unwrap();
    tx.rollback().await.unwrap();
    guarded(&db, "a", 10).await.unwrap();
}

async fn names_are_told_apart_by_their_bytes<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    let names = ["Order", "order", "a", "a ", "ä", "a\u{308}", "'; DROP TABLE account; --"];
    let long = "x".repeat(512);
    for (fence, name) in (1..).zip(names.into_iter().chain([long.as_str()]).rev()) {
        guarded(&db, name, fence).await.unwrap();
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 8);
}

async fn a_fence_is_a_column<DB: Kit>()
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    for<'q> Fence: sqlx::Encode<'q, DB> + sqlx::Decode<'q, DB> + sqlx::Type<DB>,
    DB::Arguments: sqlx::IntoArguments<DB>,
    usize: sqlx::ColumnIndex<DB::Row>,
{
    let db = Db::<DB>::fresh().await;
    let fence = Fence::new(1_795_000_000_000_000);
    let mut conn = db.pool.acquire().await.unwrap();
    let place = if DB::NAME == "PostgreSQL" { "$1" } else { "?" };
    let sql = format!("UPDATE account SET total = {place} WHERE id = 1");
    let sql = sqlx::query::<DB>(sqlx::AssertSqlSafe(sql)).bind(fence);
    (&mut *conn).execute(sql).await.unwrap();
    let row = (&mut *conn).fetch_one("SELECT total FROM account WHERE id = 1").await.unwrap();
    assert_eq!(row.get::<Fence, _>(0), fence);
}

#[tokio::test]
async fn what_cannot_be_a_check_is_refused_before_the_database_is_asked() {
    let db = Db::<Sqlite>::fresh().await;
    let mut tx = db.pool.begin().await.unwrap();
    for fence in [Fence::NONE, Fence::new(-1), Fence::new(1 << 53)] {
        let refused = fence_guard(&mut *tx, "a", fence).await.unwrap_err();
        assert!(matches!(refused, FenceError::NotGranted { .. }) && refused.is_misuse());
    }
    for name in [String::new(), "x".repeat(513), "a\0b".to_owned()] {
        let refused = fence_guard(&mut *tx, name, Fence::new(1)).await.unwrap_err();
        assert!(matches!(refused, FenceError::InvalidResource { .. }), "{refused}");
    }
    drop(tx);
    let mut conn = db.pool.acquire().await.unwrap();
    let refused = fence_guard(&mut *conn, "a", Fence::new(1)).await.unwrap_err();
    assert!(matches!(refused, FenceError::NoTransaction { .. }), "{refused}");
    let mut tx = Connection::begin(&mut *conn).await.unwrap();
    let mut savepoint = tx.begin().await.unwrap();
    fence_guard(&mut *savepoint, "a", Fence::new(1)).await.unwrap();
    savepoint.commit().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 1);
}
