//! Storing messages, and the transaction helper.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{Script, World};
use mainstay_outbox::{Message, MessageId, Outbox, OutboxError};

#[tokio::test]
async fn a_committed_message_is_sent_once_and_a_rolled_back_one_never() {
    let world = World::new().await;
    let mut tx = world.pool.begin().await.unwrap();
    world.outbox.enqueue(&mut tx, Message::new("t", "gone")).await.unwrap();
    tx.rollback().await.unwrap();
    world.send("t", "k", "stays").await;

    let script = Script::new();
    world.drain(script.clone()).await;
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["stays"]);
    assert_eq!(world.outbox.stats().sent, 1);
}

#[tokio::test]
async fn many_are_stored_in_order_whatever_their_delay() {
    let world = World::new().await;
    let messages = (0..2500).map(|n| {
        let message = Message::new("t", n.to_string()).key("one");
        if n % 500 == 7 { message.delay(Duration::from_secs(60)) } else { message }
    });
    let mut tx = world.pool.begin().await.unwrap();
    let stored = world.outbox.enqueue_many(&mut tx, messages).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(stored.len(), 2500);

    let script = Script::new();
    world.drain(script.clone()).await;
    assert_eq!(script.sent().len(), 2495);
    world.time.advance(Duration::from_secs(60));
    world.drain(script.clone()).await;
    let late = ["7", "507", "1007", "1507", "2007"];
    assert_eq!(script.sent()[2495..], late);
    let mut in_order: Vec<String> = (0..2500).map(|n| n.to_string()).collect();
    in_order.retain(|text| !late.contains(&text.as_str()));
    assert_eq!(script.sent()[..2495], in_order);
}

#[tokio::test]
async fn rules_are_checked_before_anything_is_written() {
    let world = World::new().await;
    let long = "x".repeat(300);
    let bad = [
        Message::new("", "p"),
        Message::new(long.clone(), "p"),
        Message::new("a b", "p"),
        Message::new("t", vec![0; (1 << 20) + 1]),
        Message::new("t", "p").key(""),
        Message::new("t", "p").key(long),
        Message::new("t", "p").lane("no lane"),
        Message::new("t", "p").header("a\nb", "v"),
        Message::new("t", "p").header("h", "line\nbreak"),
    ];
    for message in bad {
        let mut conn = world.pool.acquire().await.unwrap();
        let batch = [Message::new("t", "good"), message];
        let error = world.outbox.enqueue_many(&mut conn, batch).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_log").await, 0);
}

#[tokio::test]
async fn cancel_takes_back_what_was_certainly_not_sent() {
    let world = World::new().await;
    let waiting = world.send("t", "k", "waiting").await;
    let mut conn = world.pool.acquire().await.unwrap();
    let later = Message::new("t", "later").delay(Duration::from_secs(60));
    let later = world.outbox.enqueue(&mut conn, later).await.unwrap().id;
    let sent = world.send("t", "k", "sent").await;
    assert!(world.outbox.cancel(waiting).await.unwrap());
    assert!(world.outbox.cancel(later).await.unwrap());
    assert!(!world.outbox.cancel(later).await.unwrap());

    let script = Script::new();
    world.drain(script.clone()).await;
    assert!(!world.outbox.cancel(sent).await.unwrap());
    world.time.advance(Duration::from_secs(60));
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["sent"]);
}

#[tokio::test]
async fn the_helper_commits_on_ok_and_rolls_back_on_err_and_on_drop() {
    let world = World::new().await;
    let outbox = &world.outbox;
    let say = |text: &'static str, end: Result<(), OutboxError>| {
        outbox.transaction().run(move |mut tx| async move {
            assert!(mainstay_core::transaction::is_open());
            tx.enqueue(Message::new("t", text)).await?;
            end
        })
    };
    say("committed", Ok(())).await.unwrap();
    say("failed", Err(OutboxError::TxEscaped)).await.unwrap_err();
    for waits in 0.. {
        let text = "dropped";
        let never = outbox.transaction().run(move |mut tx| async move {
            tx.enqueue(Message::new("t", text)).await?;
            loop {
                tokio::task::yield_now().await;
            }
            #[expect(unreachable_code, reason = "says what it would return")]
            Ok::<_, OutboxError>(())
        });
        assert!(common::CutAfter::new(waits, never).await.is_none());
        if waits > 12 {
            break;
        }
    }
    let script = Script::new();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["committed"]);
}

#[tokio::test]
async fn a_transaction_inside_another_is_refused_instead_of_waiting_for_itself() {
    let world = World::new().await;
    let outbox = &world.outbox;
    let inner = outbox.clone();
    let result = outbox
        .transaction()
        .run(|_tx| async move {
            let nested = inner.transaction().run(|_tx| async { Ok::<_, OutboxError>(()) });
            nested.await
        })
        .await;
    assert!(matches!(result, Err(OutboxError::Nested)), "{result:?}");
    outbox.transaction().run(|_tx| async { Ok::<_, OutboxError>(()) }).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_leaves_its_body_is_rolled_back() {
    let world = World::new().await;
    let (sender, kept) = tokio::sync::oneshot::channel();
    let result = world
        .outbox
        .transaction()
        .run(|mut tx| async move {
            tx.enqueue(Message::new("t", "escaped")).await?;
            sender.send(tx).unwrap();
            Ok::<_, OutboxError>(())
        })
        .await;
    assert!(matches!(result, Err(OutboxError::TxEscaped)), "{result:?}");
    drop(kept);
    let script = Script::new();
    world.drain(script.clone()).await;
    assert!(script.sent().is_empty());
}

#[tokio::test]
async fn writers_of_one_process_wait_for_each_other_without_errors() {
    let world = World::new().await;
    sqlx::raw_sql("CREATE TABLE n (n INTEGER); INSERT INTO n VALUES (0)")
        .execute(&world.pool)
        .await
        .unwrap();
    let add = |outbox: Outbox| async move {
        outbox
            .transaction()
            .run(|mut tx| async move {
                let n: i64 =
                    sqlx::query_scalar("SELECT n FROM n").fetch_one(&mut *tx).await.unwrap();
                tokio::task::yield_now().await;
                sqlx::query("UPDATE n SET n = ?").bind(n + 1).execute(&mut *tx).await.unwrap();
                Ok::<_, OutboxError>(())
            })
            .await
    };
    let all = (0..64).map(|_| add(world.outbox.clone()));
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(world.count("SELECT n FROM n").await, 64);
}

#[tokio::test]
async fn migrating_twice_changes_nothing_and_a_newer_schema_is_refused() {
    let world = World::new().await;
    world.outbox.migrate().await.unwrap();
    sqlx::query("INSERT INTO mainstay_schema VALUES (99, 0)").execute(&world.pool).await.unwrap();
    let error = world.outbox.migrate().await.unwrap_err();
    assert!(matches!(error, OutboxError::SchemaTooNew { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn health_tells_the_age_of_the_oldest_unsent_message() {
    let world = World::new().await;
    assert_eq!(world.outbox.health().await.unwrap().oldest_unsent, None);
    world.send("t", "k", "a").await;
    world.time.advance(Duration::from_secs(5));
    world.send("t", "k", "b").await;
    let health = world.outbox.health().await.unwrap();
    assert_eq!((health.oldest_unsent, health.unsent), (Some(Duration::from_secs(5)), 2));
    assert!(!health.is_within(Duration::from_secs(4)));
    world.drain(Script::new()).await;
    let health = world.outbox.health().await.unwrap();
    assert_eq!((health.oldest_unsent, health.unsent), (None, 0));
}

#[test]
fn payloads_and_header_values_stay_out_of_debug() {
    let message = Message::new("t", "secret-body").header("auth", "secret-token");
    let shown = format!("{message:?}");
    assert!(!shown.contains("secret"), "{shown}");
    let envelope = mainstay_outbox::Envelope::new(MessageId::from_bytes([7; 16]), "t", "secret")
        .with_header("auth", "secret-token");
    assert!(!format!("{envelope:?}").contains("secret"));
}
