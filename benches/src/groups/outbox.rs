//! The outbox on SQLite.

use std::{future::ready, sync::Arc};

use mainstay_outbox::{
    Confirm, Message, Outbox, OutboxError, Outgoing, PublishError, Publisher, Relay,
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteSynchronous};
use tokio::{
    runtime::{Builder, Runtime},
    sync::Mutex,
    task::JoinSet,
};

use super::{Group, Part, database::Database};
use crate::{
    harness::{Column, Effort, RunSide, Runs, Whose, process_cpu, wall},
    report::{Bar, Limit},
};

const FLOOR: &str = "business row + plain row";
const GATED: &str = "business row + plain row, one writer at a time";
const OURS: &str = "business row + mainstay enqueue";
const OURS_IN_TX: &str = "business row + mainstay enqueue in a plain sqlx transaction";
const RAW: &str = "log and cursor by hand";
const RELAY: &str = "mainstay relay";
const RATE: &str = "messages";
/// CPU time of the whole process, which a busy neighbour disturbs less than a rate.
const CPU: &str = "CPU of one, 1 client";
const CPU_OF_RELAY: &str = "CPU of one";
const DURABLE: &str = "16 clients, synchronous=FULL";
/// Clients, with the heading of their figures.
const CLIENTS: [(usize, &str); 3] = [(1, "1 client"), (16, "16 clients"), (64, "64 clients")];
/// Messages of a batch.
const BATCH: u32 = 100;
const PAYLOAD: [u8; 256] = [7; 256];

/// Measurements of the outbox.
pub fn group() -> Group {
    let enqueue = |what, clients, floor| {
        Bar::ratio(what, (OURS, clients), (floor, clients), Limit::AtLeast(0.95))
    };
    Group {
        name: "outbox",
        title: "Outbox, on SQLite",
        parts: vec![Part::Runs(enqueues()), Part::Runs(relays())],
        bars: vec![
            enqueue("enqueue, 16 clients", "16 clients", FLOOR),
            enqueue("enqueue, 64 clients", "64 clients", FLOOR),
            enqueue("enqueue, 16 clients, floor with a writer's turn", "16 clients", GATED),
            enqueue("enqueue, 64 clients, floor with a writer's turn", "64 clients", GATED),
            enqueue(
                "enqueue, 16 clients, synchronous=FULL, floor with a writer's turn",
                DURABLE,
                GATED,
            ),
            Bar::ratio("CPU of an enqueue", (OURS, CPU), (FLOOR, CPU), Limit::Shown),
            Bar::ratio("relay", (RELAY, RATE), (RAW, RATE), Limit::AtLeast(0.8)),
            Bar::ratio(
                "CPU of a message sent",
                (RELAY, CPU_OF_RELAY),
                (RAW, CPU_OF_RELAY),
                Limit::Shown,
            ),
        ],
    }
}

/// What a client does in a loop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Business,
    Floor,
    Gated,
    Ours,
    OursInTx,
}

fn enqueues() -> Runs {
    let side = |name, whose, job| RunSide::new(name, whose, move |effort| enqueue_all(effort, job));
    let mut columns: Vec<_> = CLIENTS.map(|(_, name)| Column { name, unit: "tx/s" }).into();
    columns.push(Column { name: DURABLE, unit: "tx/s" });
    columns.push(Column { name: CPU, unit: "us" });
    Runs {
        title: "Enqueue: transactions of one business row and one message",
        note: "A write-ahead log, synchronous=NORMAL where nothing else is said, 256 bytes of payload, 8 connections, 2 threads. SQLite has one writer at a \
               time and lets the others poll; taking turns before BEGIN is what ours does, and the harder floor does too.",
        columns,
        sides: vec![
            side("business row alone", Whose::Theirs, Job::Business),
            side(FLOOR, Whose::Theirs, Job::Floor),
            side(GATED, Whose::Theirs, Job::Gated),
            side(OURS, Whose::Ours, Job::Ours),
            side(OURS_IN_TX, Whose::Ours, Job::OursInTx),
        ],
    }
}

fn enqueue_all(effort: Effort, job: Job) -> Vec<f64> {
    let normal =
        |(clients, _): (usize, _)| enqueue(effort, job, clients, SqliteSynchronous::Normal);
    let (mut figures, costs): (Vec<f64>, Vec<f64>) = CLIENTS.into_iter().map(normal).unzip();
    figures.push(enqueue(effort, job, 16, SqliteSynchronous::Full).0);
    figures.push(costs[0]);
    figures
}

/// Transactions a second, and microseconds of CPU time for one.
fn enqueue(effort: Effort, job: Job, clients: usize, synchronous: SqliteSynchronous) -> (f64, f64) {
    let time = effort.run / 2;
    runtime().block_on(async {
        let database = Arc::new(Database::new(synchronous).await);
        let gate = Arc::new(Mutex::new(()));
        let (start, before, mut tasks) = (wall(), process_cpu(), JoinSet::new());
        for client in 0..clients {
            let (database, gate) = (database.clone(), gate.clone());
            tasks.spawn(async move {
                let mut done = 0_u64;
                while wall() < start + time {
                    one(&database, &gate, job, client).await;
                    done += 1;
                }
                done
            });
        }
        let done = tasks.join_all().await.into_iter().sum::<u64>() as f64;
        let (time, used) = (wall() - start, process_cpu() - before);
        (done / time.as_secs_f64(), used.as_secs_f64() * 1e6 / done)
    })
}

/// One transaction.
async fn one(database: &Database, gate: &Mutex<()>, job: Job, client: usize) {
    let customer = i64::try_from(client).unwrap_or_default();
    if job == Job::Ours {
        let stored = database.outbox.transaction().run(|mut tx| async move {
            business(&mut tx, customer).await;
            tx.enqueue(message(customer)).await?;
            Ok::<_, OutboxError>(())
        });
        return stored.await.expect("it commits");
    }
    let _turn = if job == Job::Gated { Some(gate.lock().await) } else { None };
    let mut tx = database.pool.begin_with("BEGIN IMMEDIATE").await.expect("a turn to write");
    business(&mut tx, customer).await;
    match job {
        Job::Floor | Job::Gated => plain(&mut tx, customer).await,
        Job::OursInTx => {
            database.outbox.enqueue(&mut tx, message(customer)).await.expect("it is stored");
        }
        Job::Business | Job::Ours => {}
    }
    tx.commit().await.expect("it commits");
}

async fn business(conn: &mut SqliteConnection, customer: i64) {
    let insert = sqlx::query("INSERT INTO purchase (customer, cents) VALUES (?, ?)");
    insert.bind(customer).bind(1_999).execute(conn).await.expect("it is stored");
}

async fn plain(conn: &mut SqliteConnection, customer: i64) {
    sqlx::query("INSERT INTO plain_log (id, topic, key, payload) VALUES (randomblob(16), ?, ?, ?)")
        .bind("order.paid")
        .bind(format!("customer:{customer}"))
        .bind(PAYLOAD.to_vec())
        .execute(conn)
        .await
        .expect("it is stored");
}

fn message(customer: i64) -> Message {
    Message::new("order.paid", PAYLOAD).key(format!("customer:{customer}"))
}

fn relays() -> Runs {
    Runs {
        title: "Relay: messages to a publisher that does nothing",
        note: "Both read the same 20,000 rows of 1,000 keys in batches of 100, synchronous=NORMAL. By hand: read, decode, move the cursor, nothing else. \
               Ours also writes what it is about to send before it sends, so that a crash is seen, and keeps the order of each key.",
        columns: vec![Column { name: RATE, unit: "/s" }, Column { name: CPU_OF_RELAY, unit: "us" }],
        sides: vec![
            RunSide::new(RAW, Whose::Theirs, |effort| drain(effort, Drain::ByHand)),
            RunSide::new(RELAY, Whose::Ours, |effort| drain(effort, Drain::Relay)),
        ],
    }
}

#[derive(Clone, Copy)]
enum Drain {
    ByHand,
    Relay,
}

/// Messages a second, and microseconds of CPU time for one.
fn drain(effort: Effort, how: Drain) -> Vec<f64> {
    let count = if effort.runs < Effort::FULL.runs { 5_000 } else { 20_000 };
    runtime().block_on(async {
        let database = Database::new(SqliteSynchronous::Normal).await;
        fill(&database.outbox, count).await;
        let (start, before) = (wall(), process_cpu());
        match how {
            Drain::ByHand => assert_eq!(by_hand(&database).await, count),
            Drain::Relay => {
                let relay = Relay::new(&database.outbox, Null);
                relay.run_until_idle().await.expect("everything is sent");
                assert_eq!(database.outbox.stats().sent, count);
            }
        }
        let (time, used) = (wall() - start, process_cpu() - before);
        vec![count as f64 / time.as_secs_f64(), used.as_secs_f64() * 1e6 / count as f64]
    })
}

async fn fill(outbox: &Outbox, count: u64) {
    for first in (0..count).step_by(500) {
        let filled = outbox.transaction().run(|mut tx| async move {
            let customers =
                (first..first + 500).map(|n| i64::try_from(n % 1_000).unwrap_or_default());
            tx.enqueue_many(customers.map(message)).await?;
            Ok::<_, OutboxError>(())
        });
        filled.await.expect("it is stored");
    }
}

/// Reads the log batch by batch and moves a cursor of its own.
async fn by_hand(database: &Database) -> u64 {
    let mut conn = database.pool.acquire().await.expect("a connection");
    let (mut position, mut sent) = (0_i64, 0);
    loop {
        let read = sqlx::query(include_str!("raw_read.sql")).bind(position).bind(BATCH);
        let rows = read.fetch_all(&mut *conn).await.expect("the log can be read");
        for row in &rows {
            position = row.get(0);
            let message: (Vec<u8>, String, Option<String>, String, Vec<u8>, i64) =
                (row.get(1), row.get(2), row.get(3), row.get(4), row.get(5), row.get(6));
            std::hint::black_box(message);
            sent += 1;
        }
        if rows.is_empty() {
            return sent;
        }
        let moved = sqlx::query("UPDATE plain_cursor SET position = ?").bind(position);
        moved.execute(&mut *conn).await.expect("the cursor moves");
    }
}

/// A publisher that does nothing.
struct Null;

impl Publisher for Null {
    fn publish(
        &self,
        message: &Outgoing,
    ) -> impl Future<Output = Result<Confirm, PublishError>> + Send {
        std::hint::black_box(message);
        ready(Ok(Confirm::acknowledged()))
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime starts")
}
