//! The statements that run all the time walk an index: no table is scanned, nothing is sorted.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::World;
use sqlx::{AssertSqlSafe, Row};

macro_rules! statements {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../src/sqlite/sql/", $name, ".sql")))),*]
    };
}

#[tokio::test]
async fn hot_statements_scan_and_sort_nothing() {
    let world = World::new().await;
    let all = statements![
        "peek",
        "log_read",
        "log_cancel",
        "schedule_move",
        "schedule_remove",
        "schedule_cancel",
        "due_suspect",
        "due_heads",
        "due_followers",
        "due_promote",
        "due_demote",
        "due_cancel",
        "due_recover",
        "dead_page",
        "attempt_add",
        "inbox_purge",
        "idempotency_purge",
    ];
    let mut bad = Vec::new();
    for (name, sql) in all {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::raw_sql(explain).fetch_all(&world.pool).await.unwrap();
        for row in rows {
            let step: String = row.try_get("detail").unwrap();
            let scans = step.starts_with("SCAN mainstay") || step.contains("TEMP B-TREE");
            // Reading an index in its order is what a purge and a look-up of the first rows do.
            if scans && !step.contains("USING COVERING INDEX") {
                bad.push(format!("{name}: {step}"));
            }
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}
