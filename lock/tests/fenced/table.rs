//! Making the table, and keeping it small.

use std::time::Duration;

use mainstay_lock::{
    Fence, FenceError, LEAST_FENCE_RETENTION, create_fence_table, fence_guard, purge_fences,
};
use tokio::task::JoinSet;

use crate::databases::{Db, Kit, on_every_database};

on_every_database!(everybody_may_make_the_table_at_once, only_old_fences_are_forgotten);

async fn everybody_may_make_the_table_at_once<DB: Kit>() {
    let db = DB::empty().await;
    let mut makers = JoinSet::new();
    for _ in 0..8 {
        let pool = db.pool.clone();
        makers.spawn(async move { create_fence_table(&pool).await });
    }
    for made in makers.join_all().await {
        made.unwrap();
    }
    assert_eq!(db.number("SELECT COUNT(*) FROM mainstay_fence").await, 0);
}

async fn only_old_fences_are_forgotten<DB: Kit>() {
    let db = Db::<DB>::fresh().await;
    for name in ["old:1", "old:2", "old:3", "new:1", "again:1"] {
        let mut tx = db.pool.begin().await.unwrap();
        fence_guard(&mut *tx, name, Fence::new(5)).await.unwrap();
        tx.commit().await.unwrap();
    }
    let two_days_ago = match DB::NAME {
        "SQLite" => "unixepoch() - 172800",
        "PostgreSQL" => "now() - interval '2 days'",
        _ => "UTC_TIMESTAMP() - INTERVAL 2 DAY",
    };
    db.run(&format!(
        "UPDATE mainstay_fence SET updated_at = {two_days_ago} WHERE resource <> 'new:1'"
    ))
    .await;
    // A holder that wrote again is not old.
    let mut tx = db.pool.begin().await.unwrap();
    fence_guard(&mut *tx, "again:1", Fence::new(5)).await.unwrap();
    tx.commit().await.unwrap();

    let day = Duration::from_secs(24 * 3_600);
    assert_eq!(purge_fences(&db.pool, day * 3, 100).await.unwrap(), 0);
    assert_eq!(purge_fences(&db.pool, Duration::MAX, 100).await.unwrap(), 0);
    assert_eq!(purge_fences(&db.pool, day, 2).await.unwrap(), 2);
    assert_eq!(purge_fences(&db.pool, day, 2).await.unwrap(), 1);
    let kept = "SELECT COUNT(*) FROM mainstay_fence WHERE resource IN ('new:1', 'again:1')";
    assert_eq!(db.number(kept).await, 2);

    let hasty = purge_fences(&db.pool, LEAST_FENCE_RETENTION - Duration::from_secs(1), 100).await;
    assert!(matches!(hasty, Err(FenceError::InvalidRetention { .. })));
}
