//! Work that happens once per key.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use common::{CutAfter, World};
use mainstay_outbox::{Claim, Message, Outbox, OutboxError, Outcome};

/// Draws a number and stores a message.
async fn submit(outbox: Outbox, runs: Arc<AtomicU32>, cents: u32) -> Result<u32, OutboxError> {
    outbox
        .idempotent("submit:7")
        .fingerprint(&cents)
        .run(|mut tx| async move {
            let number = runs.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            tx.enqueue(Message::json("order.accepted", &number)?).await?;
            Ok(number + 100)
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_concurrent_duplicates_have_one_effect_and_one_result() {
    let world = World::new().await;
    let runs = Arc::new(AtomicU32::new(0));
    let calls = (0..16).map(|_| submit(world.outbox.clone(), runs.clone(), 5));
    let results = futures_util::future::join_all(calls).await;
    for result in results {
        assert_eq!(result.unwrap(), 100);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_log").await, 1);
    assert_eq!(world.outbox.stats().replayed, 15);
}

#[tokio::test]
async fn other_parameters_under_the_same_key_are_a_conflict() {
    let world = World::new().await;
    let runs = Arc::new(AtomicU32::new(0));
    submit(world.outbox.clone(), runs.clone(), 5).await.unwrap();
    let error = submit(world.outbox.clone(), runs.clone(), 6).await.unwrap_err();
    assert!(error.is_conflict(), "{error}");
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_error_or_a_drop_frees_the_key() {
    let world = World::new().await;
    let fails =
        world.outbox.idempotent("k").run(|_tx| async { Err::<u32, _>(OutboxError::Nested) });
    fails.await.unwrap_err();
    for waits in 0..40 {
        let endless = world.outbox.idempotent("k").run(|_tx| async {
            loop {
                tokio::task::yield_now().await;
            }
            #[expect(unreachable_code, reason = "says what it would return")]
            Ok::<u32, OutboxError>(0)
        });
        assert!(CutAfter::new(waits, endless).await.is_none());
    }
    let runs = world.outbox.idempotent("k").run(|_tx| async { Ok::<u32, OutboxError>(1) });
    assert_eq!(runs.await.unwrap(), 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_its_time() {
    let world = World::new().await;
    let call = |result: u32| {
        let request = world.outbox.idempotent("k").ttl(Duration::from_secs(60));
        request.run(move |_tx| async move { Ok::<u32, OutboxError>(result) })
    };
    assert_eq!(call(1).await.unwrap(), 1);
    world.time.advance(Duration::from_secs(59));
    assert_eq!(call(2).await.unwrap(), 1);
    world.time.advance(Duration::from_secs(1));
    assert_eq!(call(3).await.unwrap(), 3);
}

fn charge(
    world: &World,
    runs: &Arc<AtomicU32>,
    end: Result<u32, OutboxError>,
) -> impl Future<Output = Result<u32, OutboxError>> + use<> {
    let runs = runs.clone();
    world.outbox.idempotent("charge:7").fingerprint(&7).run_external(async move {
        runs.fetch_add(1, Ordering::Relaxed);
        // Longer than the number of the database's wake-ups varies: a cut between two of them is sure to come.
        for _ in 0..40 {
            tokio::task::yield_now().await;
        }
        end
    })
}

#[tokio::test]
async fn a_crash_after_started_yields_unknown_and_never_a_second_charge() {
    let (mut before, mut during) = (0, 0);
    for waits in 0.. {
        let world = World::new().await;
        let runs = Arc::new(AtomicU32::new(0));
        let crashed = CutAfter::new(waits, charge(&world, &runs, Ok(1))).await.is_none();
        // Whatever the crash left in flight is done once this has had its turn to write.
        world.outbox.migrate().await.unwrap();
        let started = world.count("SELECT COUNT(*) FROM mainstay_idempotency").await == 1;
        let ran = runs.load(Ordering::Relaxed);
        assert!(started || ran == 0, "the effect began before `started` was committed");
        let done =
            world.count("SELECT COUNT(*) FROM mainstay_idempotency WHERE state = 1").await == 1;

        let again = charge(&world, &runs, Ok(2)).await;
        match (started, done) {
            (false, _) => assert_eq!(again.unwrap(), 2),
            (true, true) => assert_eq!(again.unwrap(), 1),
            (true, false) => {
                assert!(again.unwrap_err().is_in_progress());
                world.time.advance(Duration::from_secs(61));
                let unknown = charge(&world, &runs, Ok(3)).await.unwrap_err();
                assert!(unknown.is_unknown(), "{unknown}");
                assert_eq!(runs.load(Ordering::Relaxed), ran, "a taken-over key ran again");
                during += 1;
            }
        }
        before += u32::from(!started);
        assert!(runs.load(Ordering::Relaxed) <= 1, "charged twice");
        if !crashed {
            break;
        }
    }
    assert!(before > 0 && during > 0, "{before} crashes before, {during} after `started`");
}

#[tokio::test]
async fn what_an_error_means_is_asked_of_the_classifier() {
    let world = World::new().await;
    let call = |meaning: Outcome, end: Result<u32, OutboxError>| {
        let request = world.outbox.idempotent("k");
        request
            .classify(
                move |result: Result<&u32, &OutboxError>| {
                    if result.is_ok() { Outcome::Success } else { meaning }
                },
            )
            .run_external(async move { end })
    };
    call(Outcome::Failure, Err(OutboxError::Nested)).await.unwrap_err();
    call(Outcome::Unknown, Err(OutboxError::Nested)).await.unwrap_err();
    let blocked = call(Outcome::Unknown, Ok(1)).await.unwrap_err();
    assert!(blocked.is_unknown(), "{blocked}");

    assert!(world.outbox.idempotent("k").resolve_done(&9).await.unwrap());
    assert!(!world.outbox.idempotent("k").resolve_retry().await.unwrap(), "it is known by now");
    assert_eq!(call(Outcome::Unknown, Ok(1)).await.unwrap(), 9);
}

#[tokio::test]
async fn an_inquiry_that_found_nothing_frees_the_key() {
    let world = World::new().await;
    let fail =
        world.outbox.idempotent("k").run_external(async { Err::<u32, _>(OutboxError::Nested) });
    fail.await.unwrap_err();
    assert!(world.outbox.idempotent("k").resolve_retry().await.unwrap());
    let works = world.outbox.idempotent("k").run_external(async { Ok::<_, OutboxError>(1) });
    assert_eq!(works.await.unwrap(), 1);
}

#[tokio::test]
async fn step_by_step_claims_see_each_other() {
    let world = World::new().await;
    let ask = || world.outbox.idempotent("k").fingerprint(&1).claim();
    let Claim::First(token) = ask().await.unwrap() else { panic!("the first is first") };
    assert!(matches!(ask().await.unwrap(), Claim::InProgress { .. }));
    let other = world.outbox.idempotent("k").fingerprint(&2).claim().await.unwrap();
    assert!(matches!(other, Claim::Conflict));
    world.time.advance(Duration::from_secs(61));
    assert!(matches!(ask().await.unwrap(), Claim::Unknown));
    // The starter was only slow: what it knows is better than "unknown".
    token.finish(&"done").await.unwrap();
    let Claim::Replay(stored) = ask().await.unwrap() else { panic!("finished") };
    assert_eq!(stored.json::<String>().unwrap(), "done");
}

#[tokio::test]
async fn an_external_effect_inside_an_open_transaction_is_refused() {
    let world = World::new().await;
    let inner = world.outbox.clone();
    let result = world
        .outbox
        .transaction()
        .run(|_tx| async move {
            inner.idempotent("k").run_external(async { Ok::<u32, OutboxError>(1) }).await
        })
        .await;
    assert!(matches!(result, Err(OutboxError::Nested)), "{result:?}");
}
