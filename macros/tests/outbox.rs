//! What `#[transactional]` and `#[idempotent]` do to the function they annotate.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use mainstay_lock::{Locks, lock};
use mainstay_outbox::{HasOutbox, Message, Outbox, OutboxError, idempotent, sqlite, transactional};
use serde::{Deserialize, Serialize};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Receipt {
    number: u32,
}

struct Service {
    outbox: Outbox,
    pool: sqlx::SqlitePool,
    locks: Locks,
    runs: AtomicU32,
    _file: tempfile::TempDir,
}

impl HasOutbox for Service {
    type Db = sqlx::Sqlite;

    fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

impl Service {
    async fn new() -> Arc<Self> {
        let file = tempfile::tempdir().expect("a fresh file");
        let pool = sqlite::pool(file.path().join("orders.db")).await.expect("a fresh file");
        sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY)")
            .execute(&pool)
            .await
            .expect("a fresh file");
        let outbox = Outbox::sqlite(pool.clone());
        outbox.migrate().await.expect("a fresh file");
        let (locks, runs) = (Locks::in_process(), AtomicU32::new(0));
        Arc::new(Self { outbox, pool, locks, runs, _file: file })
    }

    fn run(&self) -> u32 {
        self.runs.fetch_add(1, Ordering::Relaxed) + 1
    }

    #[lock(with = self.locks, key = "order:{id}", guard = held)]
    #[transactional(with = self, tx = tx)]
    async fn place(&self, id: u32, fail: bool) -> Result<bool, Error> {
        sqlx::query("INSERT INTO orders (id) VALUES (?)").bind(id).execute(&mut *tx).await?;
        tx.enqueue(Message::json("order.placed", &id)?).await?;
        if fail {
            return Err("no stock".into());
        }
        Ok(held.is_held())
    }

    #[idempotent(with = self, key = "submit:{id}", tx = db, fingerprint = (id, cents), ttl = "24h")]
    async fn submit(&self, id: u32, cents: u32) -> Result<Receipt, Error> {
        sqlx::query("INSERT INTO orders (id) VALUES (?)").bind(id).execute(&mut *db).await?;
        Ok(Receipt { number: self.run() })
    }

    #[idempotent(with = self, key = "charge:{id}", lease = "30s")]
    async fn charge(&self, id: u32, fail: bool) -> Result<Receipt, Error> {
        let number = self.run();
        if fail { Err("no answer".into()) } else { Ok(Receipt { number }) }
    }

    #[idempotent(
        with = self,
        key = "ask:{id}",
        tx = _tx,
        fingerprint = cents,
        on_reject = |error| if error.is_conflict() { Ok("other parameters".to_owned()) } else { Err(error.into()) }
    )]
    async fn ask(&self, id: u32, cents: u32) -> Result<String, Error> {
        Ok("first".to_owned())
    }

    async fn orders(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM orders")
            .fetch_one(&self.pool)
            .await
            .expect("one row")
    }
}

#[async_trait::async_trait]
trait Place {
    async fn place_dyn(&self, id: u32) -> Result<u32, OutboxError>;
}

#[async_trait::async_trait]
impl Place for Service {
    #[transactional(with = self.outbox, tx = tx)]
    async fn place_dyn(&self, id: u32) -> Result<u32, OutboxError> {
        tx.enqueue(Message::json("order.placed", &id)?).await?;
        Ok(id)
    }
}

#[tokio::test]
async fn a_transaction_commits_on_ok_and_rolls_back_on_err() {
    let service = Service::new().await;
    assert!(service.place(1, true).await.is_err());
    assert_eq!(service.orders().await, 0);
    assert!(service.place(1, false).await.unwrap(), "the lock is held around the transaction");
    assert_eq!(service.orders().await, 1);
    assert_eq!(service.place_dyn(2).await.unwrap(), 2);
}

#[tokio::test]
async fn a_repeat_gets_the_stored_result() {
    let service = Service::new().await;
    let clone = service.clone();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { clone.submit(1, 100).await.unwrap() });
    let first = service.submit(1, 100).await.unwrap();
    assert_eq!(tasks.join_next().await.unwrap().unwrap(), first);
    assert_eq!(service.submit(1, 100).await.unwrap(), first);
    assert_eq!(service.orders().await, 1);
    assert_eq!(service.runs.load(Ordering::Relaxed), 1);
    let conflict = service.submit(1, 200).await.unwrap_err();
    assert!(conflict.downcast_ref::<OutboxError>().unwrap().is_conflict());
}

#[tokio::test]
async fn on_reject_answers_for_a_refused_call() {
    let service = Service::new().await;
    assert_eq!(service.ask(1, 100).await.unwrap(), "first");
    assert_eq!(service.ask(1, 200).await.unwrap(), "other parameters");
}

#[tokio::test]
async fn work_outside_of_the_database_is_not_run_again() {
    let service = Service::new().await;
    let first = service.charge(1, false).await.unwrap();
    assert_eq!(service.charge(1, false).await.unwrap(), first);
    assert!(service.charge(2, true).await.is_err());
    let unknown = service.charge(2, false).await.unwrap_err();
    assert!(unknown.downcast_ref::<OutboxError>().unwrap().is_unknown(), "{unknown}");
    assert_eq!(service.runs.load(Ordering::Relaxed), 2);
}
