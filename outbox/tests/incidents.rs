//! Accidents that happened elsewhere: first the way that fails, then ours.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use common::{SECOND, Script, World, config};
use mainstay_outbox::{
    Bus, DeathReason, Delivery, Event, Filter, HandlerError, Inbox, ManualClock, Message, Outbox,
    OutboxError, PublishError, Relay, Router,
};

/// A scanner saw no row, because its transaction was still open, and dropped the message.
#[tokio::test]
async fn uncommitted_is_not_absent() {
    let world = World::new().await;
    sqlx::raw_sql("CREATE TABLE orders (id INTEGER)").execute(&world.pool).await.unwrap();
    let mut tx = world.pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    sqlx::query("INSERT INTO orders VALUES (7)").execute(&mut *tx).await.unwrap();
    world.outbox.enqueue(&mut tx, Message::new("t", "7").key("order:7")).await.unwrap();

    // The naive scanner asks another connection for the row and takes its absence for an answer.
    let mut to_send = vec![7];
    if world.count("SELECT COUNT(*) FROM orders WHERE id = 7").await == 0 {
        to_send.clear();
    }
    assert!(to_send.is_empty(), "the naive way dropped it");

    let script = Script::new();
    for _ in 0..3 {
        world.drain(script.clone()).await;
        world.time.advance(SECOND);
    }
    assert!(script.seen().is_empty());
    tx.commit().await.unwrap();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["7"]);
}

/// Publish failed after the commit, the error was only logged, the refund was never sent.
#[tokio::test]
async fn swallowed_publish() {
    let world = World::new().await;
    let broker_is_down = || PublishError::outage("connection refused");

    // The naive way: commit, publish, log the error.
    let mut naive: Vec<&str> = Vec::new();
    if let Err(error) = Err::<(), _>(broker_is_down()) {
        drop(error.to_string());
    } else {
        naive.push("refund");
    }
    assert!(naive.is_empty(), "the naive way lost it");

    let script = Script::new().fail("refund", (0..50).map(|_| broker_is_down()));
    let relay = Relay::new(&world.outbox, script.clone()).start();
    let sent = world.outbox.transaction().run(|mut tx| async move {
        tx.enqueue(Message::new("refund", "refund")).await?;
        Ok::<_, OutboxError>(())
    });
    sent.await.unwrap();
    world.pass_until(|| !script.sent().is_empty()).await;
    relay.stop().await;
    assert_eq!(script.sent(), ["refund"]);
    assert_eq!(world.outbox.dead().count(&Filter::new()).await.unwrap(), 0);
}

/// The query paged by offset while rows left the filter: only the first 200 were handled.
#[tokio::test]
async fn page_200() {
    let world = World::new().await;
    let refuse_all = Router::new().route("t", |_| async { Err(HandlerError::final_("bug")) });
    let bus = Bus::new().consumer(Inbox::new(&world.outbox, "c"), refuse_all);
    let all: BTreeSet<String> = (0..1000).map(|n| n.to_string()).collect();
    let mut conn = world.pool.acquire().await.unwrap();
    let messages = all.iter().map(|text| Message::new("t", text.clone()));
    world.outbox.enqueue_many(&mut conn, messages).await.unwrap();
    world.drain(bus).await;

    // The naive way handles a page, which removes it from the filter, and goes on at the next offset.
    sqlx::raw_sql("CREATE TABLE naive AS SELECT seq, 0 AS done FROM mainstay_dead")
        .execute(&world.pool)
        .await
        .unwrap();
    let (mut offset, mut visited) = (0, 0);
    loop {
        let page: Vec<i64> = sqlx::query_scalar(
            "SELECT seq FROM naive WHERE done = 0 ORDER BY seq LIMIT 200 OFFSET ?",
        )
        .bind(offset)
        .fetch_all(&world.pool)
        .await
        .unwrap();
        if page.is_empty() {
            break;
        }
        for seq in &page {
            let done = sqlx::query("UPDATE naive SET done = 1 WHERE seq = ?").bind(seq);
            done.execute(&world.pool).await.unwrap();
        }
        visited += page.len();
        offset += 200;
    }
    assert!(visited < 1000, "the naive way visited all {visited}");

    let done = world.outbox.dead().redrive_where(Filter::new()).run().await.unwrap();
    assert_eq!(done.count, 1000);
    let script = Script::new();
    world.drain(script.clone()).await;
    assert_eq!(script.sent().len(), 1000);
    assert_eq!(script.sent().into_iter().collect::<BTreeSet<_>>(), all);

    // The same for somebody who reads pages and discards what was read.
    let again = Script::new();
    for text in &all {
        again.then(text, [PublishError::final_("bug")]);
        world.send("t", "k", text).await;
    }
    world.drain(again).await;
    let (mut filter, mut read) = (Filter::new().limit(200), BTreeSet::new());
    loop {
        let page = world.outbox.dead().query(&filter).await.unwrap();
        for letter in &page.letters {
            assert!(read.insert(letter.message.id()), "read twice");
            world.outbox.dead().discard(letter.message.id()).await.unwrap();
        }
        let Some(next) = page.next else { break };
        filter = filter.after(next);
    }
    assert_eq!(read.len(), 1000);
}

const CHILD: &str = "MAINSTAY_TEST_KILLER_CHILD";
const BUDGET: u32 = 3;

async fn consumer(mut delivery: Delivery) -> Result<(), HandlerError> {
    let text = String::from_utf8_lossy(delivery.payload()).into_owned();
    if text == "killer" {
        std::process::abort();
    }
    let row = sqlx::query("INSERT INTO handled VALUES (?)").bind(text);
    row.execute(&mut **delivery.tx()).await?;
    Ok(())
}

/// One life of the consumer's process: its clock stands `life` minutes after the first.
async fn live(path: PathBuf, life: u64) {
    let time = ManualClock::new();
    time.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + life * 60));
    let mut config = config();
    config.max_deliveries = BUDGET;
    let pool = common::open(path).await;
    let outbox = Outbox::builder(pool).clock(time.clock()).config(config).build();
    let router = Router::new().route("t", consumer);
    let bus = Bus::new().consumer(Inbox::new(&outbox, "c"), router);
    Relay::new(&outbox, bus).run_until_idle().await.unwrap();
}

/// A message that kills its consumer's process is redelivered for ever.
#[tokio::test]
async fn killer_message() {
    if let Ok(child) = std::env::var(CHILD) {
        let (life, path) = child.split_once(':').unwrap();
        return live(path.into(), life.parse().unwrap()).await;
    }
    let world = World::new().await;
    sqlx::raw_sql("CREATE TABLE handled (text TEXT); CREATE TABLE naive (count INTEGER)")
        .execute(&world.pool)
        .await
        .unwrap();
    // The naive way counts inside the handler's transaction: a crash takes the count with it.
    for _ in 0..BUDGET {
        let mut tx = world.pool.begin().await.unwrap();
        sqlx::query("INSERT INTO naive VALUES (1)").execute(&mut *tx).await.unwrap();
        drop(tx);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM naive").await, 0, "the naive way counts to zero");

    for n in 0..10 {
        world.send("t", &format!("k{n}"), &n.to_string()).await;
    }
    let killer = world.send("t", "k5", "killer").await;
    world.send("t", "k5", "behind").await;
    world.send("t", "k6", "beside").await;

    let mut deaths = 0;
    for life in 0.. {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killer_message"])
            .env(CHILD, format!("{life}:{}", world.path().display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        if child.success() {
            break;
        }
        deaths += 1;
        assert!(deaths <= BUDGET, "the message still kills");
    }
    assert_eq!(deaths, BUDGET);
    let (letter, attempts) = world.outbox.dead().get(killer).await.unwrap().unwrap();
    assert_eq!(letter.reason, DeathReason::Killer);
    assert_eq!(attempts.len(), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM handled").await, 12);
    assert_eq!(world.count("SELECT COUNT(DISTINCT text) FROM handled").await, 12);
    assert_eq!(world.outbox.dead().count(&Filter::new()).await.unwrap(), 1, "no neighbour died");
    assert!(!world.events.lock().unwrap().iter().any(|e| matches!(e, Event::Dead { .. })));
}
