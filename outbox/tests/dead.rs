//! Dead letters and the way back.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{SECOND, Script, World, retryable};
use mainstay_outbox::{DeathReason, FailureClass, Filter, OutboxError, PublishError};

async fn kill(world: &World, texts: &[(&str, &str)]) -> Script {
    let script = Script::new();
    for (key, text) in texts {
        world.send("t", key, text).await;
        script.then(text, [PublishError::final_(format!("no {text}"))]);
    }
    world.drain(script.clone()).await;
    script
}

#[tokio::test]
async fn history_survives_a_redrive_and_budgets_start_anew() {
    let world = World::new().await;
    let id = world.send("t", "k", "m").await;
    let script = Script::new().fail("m", (0..5).map(|_| retryable()));
    for _ in 0..3 {
        world.drain(script.clone()).await;
        world.time.advance(SECOND);
    }
    let dead = world.outbox.dead();
    assert_eq!(dead.get(id).await.unwrap().unwrap().1.len(), 3);
    dead.redrive(id).await.unwrap();
    for _ in 0..3 {
        world.drain(script.clone()).await;
        world.time.advance(SECOND);
    }
    assert_eq!(script.sent(), ["m"]);
    let attempts = dead.attempts(id).await.unwrap();
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let tries: Vec<u32> = script.seen().iter().map(|seen| seen.attempt).collect();
    assert_eq!(tries, [1, 2, 3, 1, 2, 3]);
    assert!(matches!(dead.redrive(id).await, Err(OutboxError::NotDead { .. })));
}

#[tokio::test]
async fn a_filter_selects_and_a_dry_run_moves_nothing() {
    let world = World::new().await;
    kill(&world, &[("a", "1"), ("a", "2"), ("b", "3")]).await;
    let dead = world.outbox.dead();
    let some = [
        (Filter::new(), 3),
        (Filter::new().key("a"), 2),
        (Filter::new().topic("t").key("b"), 1),
        (Filter::new().topic("other"), 0),
        (Filter::new().reason(DeathReason::Final), 3),
        (Filter::new().reason(DeathReason::Age), 0),
        (Filter::new().class(FailureClass::Unknown), 0),
        (Filter::new().lane("live"), 3),
        (Filter::new().died_since(world.time.clock().wall() + SECOND), 0),
        (Filter::new().died_before(world.time.clock().wall() + SECOND), 3),
    ];
    for (filter, count) in some {
        assert_eq!(
            dead.redrive_where(filter.clone()).dry_run().await.unwrap(),
            count,
            "{filter:?}"
        );
    }
    assert_eq!(dead.count(&Filter::new()).await.unwrap(), 3);
    assert!(dead.audit(0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_redrive_keeps_the_order_of_its_key_and_is_on_record() {
    let world = World::new().await;
    let script = kill(&world, &[("k", "1"), ("k", "2"), ("k", "3")]).await;
    // One more waits for its retry: it is later than those that come back.
    world.send("t", "k", "4").await;
    script.then("4", [retryable()]);
    world.drain(script.clone()).await;
    world.send("t", "k", "5").await;

    let dead = world.outbox.dead();
    let act = dead.redrive_where(Filter::new().key("k")).by("ann").reason("handler fixed");
    let done = act.run().await.unwrap();
    assert_eq!(done.count, 3);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["1", "2", "3"]);
    world.time.advance(SECOND);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["1", "2", "3", "4", "5"]);

    let record = &dead.audit(0, 10).await.unwrap()[0];
    assert_eq!((record.batch, record.count), (done.batch, 3));
    assert_eq!((record.operator.as_str(), record.reason.as_str()), ("ann", "handler fixed"));
    assert!(record.finished_at.is_some() && record.filter.contains("\"key\":\"k\""));
}

#[tokio::test]
async fn two_operators_do_not_double_a_message() {
    let world = World::new().await;
    let texts: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let pairs: Vec<(&str, &str)> = texts.iter().map(|text| ("k", text.as_str())).collect();
    let script = kill(&world, &pairs).await;
    let dead = world.outbox.dead();
    let act = || dead.redrive_where(Filter::new()).run();
    let (one, two) = tokio::join!(act(), act());
    assert_eq!(one.unwrap().count + two.unwrap().count, 300);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), texts);
}

#[tokio::test]
async fn discarded_letters_are_gone() {
    let world = World::new().await;
    let script = kill(&world, &[("a", "1"), ("b", "2")]).await;
    let done = world.outbox.dead().discard_where(Filter::new().key("a")).run().await.unwrap();
    assert_eq!(done.count, 1);
    world.outbox.dead().redrive_where(Filter::new()).run().await.unwrap();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["2"]);
    assert_eq!((world.outbox.stats().discarded, world.outbox.stats().redriven), (1, 1));
}
