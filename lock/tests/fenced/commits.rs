//! Commits that are refused, cut off or given up, on a server that waits for a word before it commits.

use mainstay_lock::{FenceError, LockGuard, Locks, Tx};
use mainstay_testkit::{eventually, mariadb::MariaDb, proxy::Proxy};
use sqlx::{MySql, Pool, Postgres, mysql::MySqlPoolOptions, postgres::PgPoolOptions};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::{
    Broken, SOON,
    databases::{Db, Kit, write},
    within,
};

/// A database whose commits wait for [`go_on`](Slow::go_on).
struct Slow {
    db: Db<Postgres>,
    gate: sqlx::PgConnection,
}

impl Slow {
    async fn new() -> Self {
        let db = Db::<Postgres>::fresh().await;
        db.run(include_str!("slow_commit.sql")).await;
        let mut gate = db.pool.acquire().await.unwrap().detach();
        Postgres::run(&mut gate, "SELECT pg_advisory_lock(7)").await.unwrap();
        Self { db, gate }
    }

    async fn go_on(&mut self) {
        Postgres::run(&mut self.gate, "SELECT pg_advisory_unlock(7)").await.unwrap();
    }

    async fn until_committing(&self) {
        let committing = || async { self.db.number(COMMITTING).await == 1 };
        eventually(SOON, committing).await.unwrap();
    }
}

const COMMITTING: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND state = 'active' AND query = 'COMMIT' AND wait_event = 'advisory'";

fn start(guard: LockGuard, pool: Pool<Postgres>) -> JoinHandle<Result<(), Broken>> {
    tokio::spawn(async move {
        let body = |mut tx: Tx<Postgres>| async move { Ok(write::<Postgres>(&mut tx, 7).await?) };
        guard.transaction(&pool, body).await
    })
}

fn fence_error(result: Result<(), Broken>) -> FenceError {
    match result {
        Err(Broken::Fence(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown() {
    let (mut slow, locks) = (Slow::new().await, Locks::in_process());
    let (_, rest) = slow.db.url.split_once('@').unwrap();
    let (addr, _) = rest.split_once('/').unwrap();
    let proxy = Proxy::to(addr.parse().unwrap()).await.unwrap();
    let pool = PgPoolOptions::new().connect(&proxy.url(&slow.db.url)).await.unwrap();
    let running = start(locks.lock("order:1").await.unwrap(), pool);
    slow.until_committing().await;
    proxy.reset();
    let lost = fence_error(within(running).await.unwrap());
    assert!(lost.is_unknown() && !lost.is_lost(), "{lost}");
    // Here it was committed, whatever the client thinks.
    slow.go_on().await;
    eventually(SOON, || async { slow.db.total().await == 7 }).await.unwrap();
    assert!(locks.try_lock("order:1").await.unwrap().is_some());
}

/// The same on MariaDB, on a server of its own: what stops a commit there stops everybody's.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_on_mariadb() {
    let (server, locks) = (MariaDb::start().await.unwrap(), Locks::in_process());
    let db = Db::of(&server).await;
    let proxy = server.proxy().await.unwrap();
    let pool = MySqlPoolOptions::new().connect(&proxy.url(&db.url)).await.unwrap();
    let mut gate = db.pool.acquire().await.unwrap().detach();
    let ((wrote, written), (go, goes)) = (oneshot::channel(), oneshot::channel::<()>());
    let guard = locks.lock("order:1").await.unwrap();
    let running = tokio::spawn(async move {
        let body = |mut tx: Tx<MySql>| async move {
            write::<MySql>(&mut tx, 7).await?;
            wrote.send(()).unwrap();
            goes.await.unwrap();
            Ok(())
        };
        guard.transaction(&pool, body).await
    });
    within(written).await.unwrap();
    MySql::run(&mut gate, "FLUSH TABLES WITH READ LOCK").await.unwrap();
    go.send(()).unwrap();
    let stopped = "SELECT count(*) FROM information_schema.processlist \
                   WHERE info = 'COMMIT' AND state LIKE 'Waiting for %'";
    eventually(SOON, || async { db.number(stopped).await == 1 }).await.unwrap();
    proxy.reset();
    let lost = fence_error(within(running).await.unwrap());
    assert!(lost.is_unknown() && !lost.is_lost(), "{lost}");
    // Here, too, it was committed, whatever the client thinks.
    MySql::run(&mut gate, "UNLOCK TABLES").await.unwrap();
    eventually(SOON, || async { db.total().await == 7 }).await.unwrap();
    assert!(locks.try_lock("order:1").await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_that_is_ended_during_its_commit_is_unknown() {
    let (slow, locks) = (Slow::new().await, Locks::in_process());
    let running = start(locks.lock("order:1").await.unwrap(), slow.db.pool.clone());
    slow.until_committing().await;
    slow.db
        .run(&format!(
            "SELECT pg_terminate_backend(pid) FROM ({}) AS s",
            COMMITTING.replace("count(*)", "pid")
        ))
        .await;
    let ended = fence_error(within(running).await.unwrap());
    assert!(ended.is_unknown(), "{ended}");
}

#[tokio::test]
async fn a_commit_that_the_database_refuses_is_a_failure_and_nothing_is_written() {
    let (db, locks) = (Db::<Postgres>::fresh().await, Locks::in_process());
    db.run(include_str!("refused_commit.sql")).await;
    let running = start(locks.lock("order:1").await.unwrap(), db.pool.clone());
    let refused = fence_error(within(running).await.unwrap());
    assert!(matches!(refused, FenceError::Backend { .. }), "{refused}");
    assert!(refused.to_string().contains("not today"), "{refused}");
    assert_eq!(db.total().await, 0);
    assert!(locks.try_lock("order:1").await.unwrap().is_some());
}

/// Nobody gets the lock while the commit that it protects is under way.
#[tokio::test]
async fn a_future_dropped_during_its_commit_keeps_the_lock_until_the_commit_is_over() {
    let (mut slow, locks) = (Slow::new().await, Locks::in_process());
    let running = start(locks.lock("order:1").await.unwrap(), slow.db.pool.clone());
    slow.until_committing().await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    assert!(locks.try_lock("order:1").await.unwrap().is_none());
    slow.go_on().await;
    let next = within(locks.lock("order:1")).await.unwrap();
    assert_eq!(slow.db.total().await, 7);
    next.release().await;
}
