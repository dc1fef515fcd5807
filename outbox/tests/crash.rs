//! The relay dies at every one of its waits; the file is opened again and the books are compared.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use common::{CutAfter, SECOND, config, open};
use mainstay_outbox::{
    Bus, Confirm, Delivery, HandlerError, Inbox, ManualClock, Message, Outbox, Outgoing,
    PublishError, Publisher, Relay, Router,
};
use sqlx::SqlitePool;

const KEYS: usize = 3;
const MESSAGES: usize = 14;
const BATCH: u32 = 5;
/// The message that fails the first time it is handled to the end.
const STUMBLES: usize = 4;

/// A bus that remembers what it was asked and what it confirmed.
#[derive(Clone)]
struct Watched {
    bus: Bus,
    asked: Arc<Mutex<Vec<usize>>>,
    confirmed: Arc<Mutex<Vec<usize>>>,
    stumbled: Arc<Mutex<bool>>,
}

impl Publisher for Watched {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        let number = message.json::<usize>().unwrap();
        self.asked.lock().unwrap().push(number);
        let confirm = self.bus.publish(message).await?;
        if number == STUMBLES && !std::mem::replace(&mut *self.stumbled.lock().unwrap(), true) {
            return Err(PublishError::unknown("the answer was lost"));
        }
        self.confirmed.lock().unwrap().push(number);
        Ok(confirm)
    }
}

async fn book(mut delivery: Delivery) -> Result<(), HandlerError> {
    let number: i64 = delivery.json()?;
    let row = sqlx::query("INSERT INTO ledger (number) VALUES (?)").bind(number);
    row.execute(&mut **delivery.tx()).await?;
    Ok(())
}

/// One life of the process, `life` minutes after the first.
struct Life {
    pool: SqlitePool,
    outbox: Outbox,
    time: ManualClock,
}

impl Life {
    async fn begin(path: PathBuf, life: u64) -> Self {
        let time = ManualClock::new();
        time.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + 60 * life));
        let mut config = config();
        (config.batch, config.in_flight) = (BATCH, 2);
        let pool = open(path).await;
        let outbox = Outbox::builder(pool.clone()).clock(time.clock()).config(config).build();
        outbox.migrate().await.unwrap();
        Self { pool, outbox, time }
    }

    fn bus(&self) -> Bus {
        Bus::new().consumer(Inbox::new(&self.outbox, "ledger"), Router::new().route("t", book))
    }
}

/// Whether the relay was killed at its `waits`-th wait.
async fn dies_after(waits: usize) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("outbox.db");
    let first = Life::begin(path.clone(), 0).await;
    sqlx::raw_sql("CREATE TABLE ledger (at INTEGER PRIMARY KEY AUTOINCREMENT, number INTEGER)")
        .execute(&first.pool)
        .await
        .unwrap();
    let messages =
        (0..MESSAGES).map(|n| Message::json("t", &n).unwrap().key(format!("k{}", n % KEYS)));
    let mut conn = first.pool.acquire().await.unwrap();
    first.outbox.enqueue_many(&mut conn, messages).await.unwrap();
    drop(conn);

    let watched = Watched {
        bus: first.bus(),
        asked: Arc::default(),
        confirmed: Arc::default(),
        stumbled: Arc::default(),
    };
    let killed = {
        let relay = Relay::new(&first.outbox, watched.clone());
        CutAfter::new(waits, relay.run_until_idle()).await.is_none()
    };
    first.pool.close().await;

    let second = Life::begin(path, 1).await;
    let watched = Watched { bus: second.bus(), ..watched };
    for _ in 0..3 {
        Relay::new(&second.outbox, watched.clone()).run_until_idle().await.unwrap();
        second.time.advance(SECOND);
    }
    let booked: Vec<i64> = sqlx::query_scalar("SELECT number FROM ledger ORDER BY at")
        .fetch_all(&second.pool)
        .await
        .unwrap();
    let asked = watched.asked.lock().unwrap().clone();
    let health = second.outbox.health().await.unwrap();
    assert_eq!(
        (health.unsent, health.retrying, health.parked, health.dead),
        (0, 0, 0, 0),
        "{waits}"
    );
    check(waits, &booked, &asked);
    second.pool.close().await;
    killed
}

fn check(waits: usize, booked: &[i64], asked: &[usize]) {
    for n in 0..MESSAGES {
        let number = i64::try_from(n).unwrap();
        let effects = booked.iter().filter(|booked| **booked == number).count();
        assert_eq!(effects, 1, "cut at {waits}: message {n} had {effects} effects");
    }
    for key in 0..KEYS {
        let of_key: Vec<i64> =
            booked.iter().copied().filter(|n| n.unsigned_abs() as usize % KEYS == key).collect();
        assert!(of_key.is_sorted(), "cut at {waits}: key {key} was booked as {of_key:?}");
    }
    // The stumble asks once more by itself.
    let again = asked.len() - MESSAGES - 1;
    assert!(again <= BATCH as usize, "cut at {waits}: {again} messages were sent again");
}

#[tokio::test]
async fn a_crash_loses_nothing_and_repeats_at_most_one_batch() {
    let mut crashes = 0;
    while dies_after(crashes).await {
        crashes += 1;
    }
    assert!(crashes > 50, "the relay waited only {crashes} times");
}
