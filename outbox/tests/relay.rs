//! Retry, order, outages, leases.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::time::Duration;

use common::{SECOND, Script, World, config, retryable};
use mainstay_outbox::{
    Confirm, DeathReason, Event, FailureClass, Filter, Idle, Message, OnDead, Outgoing,
    PublishError, Publisher, Relay,
};

#[tokio::test]
async fn a_failing_key_parks_and_other_keys_go_on() {
    let world = World::new().await;
    for (key, text) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("b", "b2")] {
        world.send("t", key, text).await;
    }
    let script = Script::new().fail("a1", [retryable(), retryable()]);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["b1", "b2"]);

    // What is enqueued while the key is parked goes behind it, before and after each retry.
    world.send("t", "a", "a3").await;
    world.time.advance(SECOND);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["b1", "b2"]);
    world.send("t", "a", "a4").await;
    world.time.advance(SECOND);
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["b1", "b2", "a1", "a2", "a3", "a4"]);
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_due").await, 0);
}

#[tokio::test]
async fn a_spent_budget_buries_the_message_and_its_key_goes_on() {
    let world = World::new().await;
    let id = world.send("t", "k", "bad").await;
    world.send("t", "k", "next").await;
    let script = Script::new().fail("bad", [retryable(), retryable(), retryable()]);
    for _ in 0..3 {
        world.drain(script.clone()).await;
        world.time.advance(SECOND);
    }
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["next"]);
    let (letter, attempts) = world.outbox.dead().get(id).await.unwrap().unwrap();
    assert_eq!((letter.reason, letter.class), (DeathReason::Attempts, FailureClass::Retryable));
    let numbers: Vec<u32> = attempts.iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn the_age_budget_ends_what_the_attempts_do_not() {
    let mut config = config();
    config.retry.max_attempts = 1000;
    config.retry.max_age = Duration::from_secs(10);
    let world = World::with(config).await;
    let id = world.send("t", "k", "old").await;
    let deferred = || PublishError::deferred(Duration::from_secs(4), "busy");
    let script = Script::new().fail("old", [deferred(), deferred(), deferred(), deferred()]);
    for _ in 0..4 {
        world.drain(script.clone()).await;
        world.time.advance(Duration::from_secs(4));
    }
    let (letter, _) = world.outbox.dead().get(id).await.unwrap().unwrap();
    assert_eq!((letter.reason, letter.class), (DeathReason::Age, FailureClass::Deferred));
}

#[tokio::test]
async fn a_blocked_key_waits_for_an_operator() {
    let mut config = config();
    config.on_dead = OnDead::Block;
    let world = World::with(config).await;
    let bad = world.send("t", "k", "bad").await;
    world.send("t", "k", "k2").await;
    world.send("t", "other", "o1").await;
    let script = Script::new().fail("bad", [PublishError::final_("no")]);
    world.drain(script.clone()).await;
    world.send("t", "k", "k3").await;
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["o1"]);
    assert_eq!(world.outbox.health().await.unwrap().blocked_keys, 1);

    world.outbox.dead().redrive(bad).await.unwrap();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["o1", "bad", "k2", "k3"]);

    let bad = world.send("t", "k", "bad2").await;
    world.send("t", "k", "k4").await;
    script.then("bad2", [PublishError::final_("no")]);
    world.drain(script.clone()).await;
    world.outbox.dead().discard(bad).await.unwrap();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["o1", "bad", "k2", "k3", "k4"]);
    assert_eq!(world.outbox.health().await.unwrap().blocked_keys, 0);
}

#[tokio::test]
async fn an_outage_pauses_the_lane_and_burns_no_attempt() {
    let world = World::new().await;
    for n in 0..40 {
        world.send("t", &format!("k{}", n % 8), &n.to_string()).await;
    }
    // Thirty outages in a row, ten times the attempt budget.
    let script = Script::new().fail("0", (0..30).map(|_| PublishError::outage("down")));
    let relay = Relay::new(&world.outbox, script.clone()).start();
    world.time.run_for(Duration::ZERO).await;
    world.pass_until(|| script.sent().len() >= 40).await;
    relay.stop().await;
    let seen = script.seen();
    assert_eq!(seen.iter().filter(|seen| seen.text == "0").count(), 31);
    assert!(seen.iter().all(|seen| seen.attempt == 1));
    for key in 0..8 {
        let of_key: Vec<u32> = script
            .sent()
            .iter()
            .map(|text| text.parse().unwrap())
            .filter(|n| n % 8 == key)
            .collect();
        assert!(of_key.is_sorted(), "{of_key:?}");
    }
    assert_eq!(world.outbox.dead().count(&Filter::new()).await.unwrap(), 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_attempt").await, 0);
    // While it was down one message at a time knocked, and only the first batch had to be put aside.
    assert!(world.events.lock().unwrap().iter().any(|e| matches!(e, Event::LaneResumed { .. })));
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_again_under_the_same_id_and_says_so() {
    let world = World::new().await;
    let id = world.send("t", "k", "m").await;
    let script = Script::new().fail("m", [PublishError::unknown("cut")]);
    world.drain(script.clone()).await;
    assert!(!world.outbox.cancel(id).await.unwrap(), "it may have been sent");
    world.time.advance(SECOND);
    world.drain(script.clone()).await;
    let seen = script.seen();
    assert_eq!((seen[0].id, seen[0].redelivered, seen[0].attempt), (id, false, 1));
    assert_eq!((seen[1].id, seen[1].redelivered, seen[1].attempt), (id, true, 2));
}

/// Hangs for one text, panics for another.
struct Rough;

impl Publisher for Rough {
    async fn publish(&self, message: &Outgoing) -> Result<Confirm, PublishError> {
        match message.payload() {
            b"hang" => std::future::pending().await,
            b"panic" => panic!("a bug"),
            _ => Ok(Confirm::acknowledged()),
        }
    }
}

#[tokio::test]
async fn a_publisher_that_hangs_or_panics_costs_its_message_an_attempt_and_nobody_else() {
    let world = World::new().await;
    let hang = world.send("t", "a", "hang").await;
    let panic = world.send("t", "b", "panic").await;
    world.send("t", "c", "fine").await;
    let relay = Relay::new(&world.outbox, Rough).start();
    world.pass_until(|| world.outbox.stats().dead >= 2).await;
    relay.stop().await;
    assert_eq!(world.outbox.stats().sent, 1);
    for id in [hang, panic] {
        let (letter, attempts) = world.outbox.dead().get(id).await.unwrap().unwrap();
        assert_eq!((letter.class, attempts.len()), (FailureClass::Unknown, 3), "{letter:?}");
    }
}

#[tokio::test]
async fn one_of_two_relays_works_and_the_other_takes_over_when_it_stops() {
    let world = World::new().await;
    world.send("t", "k", "1").await;
    let (first, second) = (Script::new(), Script::new());
    let mine = Relay::new(&world.outbox, first.clone()).start();
    while first.sent().is_empty() {
        world.time.run_for(Duration::from_millis(20)).await;
    }
    let other = world.other_process();
    world.send("t", "k", "2").await;
    let idle = Relay::new(&other, second.clone()).run_until_idle().await.unwrap();
    assert!(matches!(idle, Idle::Held { .. }), "{idle:?}");
    mine.stop().await;
    let idle = Relay::new(&other, second.clone()).run_until_idle().await.unwrap();
    assert!(matches!(idle, Idle::Drained { .. }), "{idle:?}");
    let mut all = [first.sent(), second.sent()].concat();
    all.sort();
    assert_eq!(all, ["1", "2"]);
}

/// Tells when it was called, and waits until it is let go.
#[derive(Clone)]
struct Gate {
    entered: std::sync::Arc<tokio::sync::Semaphore>,
    leave: std::sync::Arc<tokio::sync::Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let closed = || std::sync::Arc::new(tokio::sync::Semaphore::new(0));
        Self { entered: closed(), leave: closed() }
    }
}

impl Publisher for Gate {
    async fn publish(&self, _message: &Outgoing) -> Result<Confirm, PublishError> {
        self.entered.add_permits(1);
        self.leave.acquire().await.unwrap().forget();
        Ok(Confirm::acknowledged())
    }
}

#[tokio::test]
async fn a_relay_that_lost_its_lane_changes_nothing() {
    let world = World::new().await;
    world.send("t", "k", "1").await;
    let gate = Gate::new();
    let slow = Relay::new(&world.outbox, gate.clone());
    let slow = async { slow.run_until_idle().await };
    let rival = async {
        gate.entered.acquire().await.unwrap().forget();
        // The machine was suspended: the lease is over, no renewal was made.
        world.time.set_wall(world.time.clock().wall() + Duration::from_secs(60));
        let script = Script::new();
        let other = world.other_process();
        let failing = script.clone().fail("1", [retryable()]);
        Relay::new(&other, failing).run_until_idle().await.unwrap();
        gate.leave.add_permits(1);
        script
    };
    let (lost, script) = tokio::join!(slow, rival);
    assert!(matches!(lost, Err(mainstay_outbox::OutboxError::LeaseLost { .. })), "{lost:?}");
    // The late "sent" of the first did not remove what the second has to try again.
    assert_eq!(script.sent(), Vec::<String>::new());
    assert_eq!(world.outbox.health().await.unwrap().retrying, 1);
}

#[tokio::test]
async fn a_long_publish_keeps_its_lease() {
    let mut config = config();
    config.publish_timeout = Duration::from_secs(120);
    let world = World::with(config).await;
    world.send("t", "k", "1").await;
    let gate = Gate::new();
    let relay = Relay::new(&world.outbox, gate.clone()).start();
    gate.entered.acquire().await.unwrap().forget();
    let other = world.other_process();
    for _ in 0..10 {
        // The time-out of the publish and the next renewal.
        while world.time.sleepers() < 2 {
            tokio::task::yield_now().await;
        }
        let before = world.count("SELECT lease_until FROM mainstay_cursor").await;
        world.time.advance(Duration::from_secs(5));
        while world.count("SELECT lease_until FROM mainstay_cursor").await == before {
            tokio::task::yield_now().await;
        }
        let idle = Relay::new(&other, Script::new()).run_until_idle().await.unwrap();
        assert!(matches!(idle, Idle::Held { .. }), "{idle:?}");
    }
    gate.leave.add_permits(1);
    relay.stop().await;
    assert_eq!(world.outbox.stats().sent, 1);
}

#[tokio::test]
async fn a_wake_is_not_lost_and_an_idle_relay_needs_no_clock() {
    let world = World::new().await;
    let script = Script::new();
    let relay = Relay::new(&world.outbox, script.clone()).start();
    for n in 1..=20 {
        world
            .outbox
            .transaction()
            .run(|mut tx| async move {
                tx.enqueue(Message::new("t", n.to_string())).await?;
                Ok::<_, mainstay_outbox::OutboxError>(())
            })
            .await
            .unwrap();
        // The clock stands still: nothing but the wake can make the relay look.
        while script.sent().len() < n {
            tokio::task::yield_now().await;
        }
    }
    relay.stop().await;
}

#[tokio::test]
async fn lanes_do_not_wait_for_each_other() {
    let world = World::new().await;
    let mut conn = world.pool.acquire().await.unwrap();
    for n in 0..50 {
        let message = Message::new("t", format!("bulk{n}")).lane("bulk");
        world.outbox.enqueue(&mut conn, message).await.unwrap();
    }
    world.outbox.enqueue(&mut conn, Message::new("t", "live")).await.unwrap();
    let script = Script::new();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["live"]);
    Relay::new(&world.outbox, script.clone()).lane("bulk").run_until_idle().await.unwrap();
    assert_eq!(script.sent().len(), 51);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_dies_alone() {
    let world = World::new().await;
    world.send("t", "k", "1").await;
    world.send("t", "k", "2").await;
    world.send("t", "k", "3").await;
    sqlx::query("UPDATE mainstay_log SET headers = 'no json' WHERE seq = 2")
        .execute(&world.pool)
        .await
        .unwrap();
    let script = Script::new();
    world.drain(script.clone()).await;
    assert_eq!(script.sent(), ["1", "3"]);
    let page = world.outbox.dead().query(&Filter::new()).await.unwrap();
    assert_eq!(page.letters[0].reason, DeathReason::Undecodable);
    assert_eq!(page.letters[0].message.payload(), b"2");
}

#[tokio::test]
async fn sent_rows_are_purged_after_their_retention() {
    let world = World::new().await;
    for n in 0..10 {
        world.send("t", "k", &n.to_string()).await;
    }
    world.drain(Script::new()).await;
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_log").await, 10);
    let relay = Relay::new(&world.outbox, Script::new()).start();
    world.send("t", "k", "first").await;
    world.pass_until(|| world.outbox.stats().sent >= 11).await;
    world.time.advance(Duration::from_secs(25 * 3600));
    world.send("t", "k", "last").await;
    world.pass_until(|| world.outbox.stats().sent >= 12).await;
    while world.count("SELECT COUNT(*) FROM mainstay_log").await > 1 {
        world.time.run_for(SECOND).await;
    }
    relay.stop().await;
}
