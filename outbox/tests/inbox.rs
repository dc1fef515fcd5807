//! Every message once per consumer.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use common::{SECOND, World};
use mainstay_outbox::{
    Bus, Delivery, Envelope, FailureClass, Filter, Handled, HandlerError, Inbox, Incoming, Message,
    MessageId, Outbox, Outgoing, PublishError, Publisher, Relay, Router,
};

async fn ledger(world: &World) {
    sqlx::raw_sql("CREATE TABLE ledger (text TEXT)").execute(&world.pool).await.unwrap();
}

async fn book(mut delivery: Delivery) -> Result<(), HandlerError> {
    let text = String::from_utf8(delivery.payload().to_vec()).map_err(HandlerError::final_)?;
    let row = sqlx::query("INSERT INTO ledger VALUES (?)").bind(&text);
    row.execute(&mut **delivery.tx()).await?;
    let reply = Message::new("booked", text.clone());
    delivery.tx().enqueue(reply).await?;
    match text.as_str() {
        "fail" => Err(HandlerError::retryable("not now")),
        "panic" => panic!("a bug"),
        _ => Ok(()),
    }
}

fn bus(outbox: &Outbox) -> Bus {
    let router = Router::new().route("t", book).route("booked", |_delivery| async { Ok(()) });
    Bus::new().consumer(Inbox::new(outbox, "ledger"), router)
}

fn incoming(id: u8, text: &str) -> Incoming {
    Incoming::new(Envelope::new(MessageId::from_bytes([id; 16]), "t", text))
}

#[tokio::test]
async fn a_second_delivery_is_absorbed_whether_or_not_it_is_known_to_be_one() {
    let world = World::new().await;
    ledger(&world).await;
    let inbox = Inbox::new(&world.outbox, "ledger");
    for (message, handled) in [
        (incoming(1, "a").first_delivery(), Handled::Done(())),
        (incoming(1, "a"), Handled::Duplicate),
        (incoming(1, "a").first_delivery(), Handled::Duplicate),
        (incoming(2, "b"), Handled::Done(())),
        (incoming(2, "b"), Handled::Duplicate),
    ] {
        assert_eq!(inbox.handle(&message, book).await.unwrap(), handled, "{message:?}");
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM ledger").await, 2);
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_log").await, 2);
    assert_eq!(world.outbox.stats().duplicates, 3);
    let other = Inbox::new(&world.outbox, "mailer");
    let done = other.handle(&incoming(1, "a"), book).await.unwrap();
    assert_eq!(done, Handled::Done(()), "each consumer has a memory of its own");
}

#[tokio::test]
async fn concurrent_deliveries_have_one_effect() {
    let world = World::new().await;
    ledger(&world).await;
    let inbox = Inbox::new(&world.outbox, "ledger");
    let message = incoming(1, "a");
    let all = (0..16).map(|_| inbox.handle(&message, book));
    let results = futures_util::future::join_all(all).await;
    let done = results.into_iter().filter(|result| *result == Ok(Handled::Done(()))).count();
    assert_eq!(done, 1);
    assert_eq!(world.count("SELECT COUNT(*) FROM ledger").await, 1);
}

#[tokio::test]
async fn a_failed_handler_leaves_nothing_and_is_tried_again() {
    let world = World::new().await;
    ledger(&world).await;
    let id = world.send("t", "k", "fail").await;
    let panics = world.send("t", "p", "panic").await;
    for _ in 0..3 {
        world.drain(bus(&world.outbox)).await;
        world.time.advance(SECOND);
    }
    assert_eq!(world.count("SELECT COUNT(*) FROM ledger").await, 0);
    assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_log WHERE topic = 'booked'").await, 0);
    for id in [id, panics] {
        let (letter, attempts) = world.outbox.dead().get(id).await.unwrap().unwrap();
        assert_eq!((letter.class, attempts.len()), (FailureClass::Retryable, 3));
    }
    // The handler is "fixed": the same message, under another route.
    let fixed = Router::new().route("t", |_delivery| async { Ok(()) });
    let fixed = Bus::new().consumer(Inbox::new(&world.outbox, "ledger"), fixed);
    world.outbox.dead().redrive_where(Filter::new()).run().await.unwrap();
    world.drain(fixed).await;
    assert_eq!(world.outbox.stats().sent, 2);
}

#[tokio::test]
async fn a_topic_without_a_route_is_not_dropped_in_silence() {
    let world = World::new().await;
    let message = Outgoing::new(Envelope::new(MessageId::from_bytes([1; 16]), "other", "x"));
    let error: PublishError = bus(&world.outbox).publish(&message).await.unwrap_err();
    assert_eq!(error.class(), FailureClass::Final);
}

#[tokio::test]
async fn of_two_consumers_the_one_that_was_done_absorbs_the_retry_of_the_other() {
    let world = World::new().await;
    let (good, bad) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let counting = |count: &Arc<AtomicU32>, failures: u32| {
        let count = count.clone();
        Router::new().route("t", move |_delivery| {
            let call = count.fetch_add(1, Ordering::Relaxed);
            async move {
                if call < failures { Err(HandlerError::retryable("later")) } else { Ok(()) }
            }
        })
    };
    let bus = Bus::new()
        .consumer(Inbox::new(&world.outbox, "bad"), counting(&bad, 2))
        .consumer(Inbox::new(&world.outbox, "good"), counting(&good, 0));
    world.send("t", "k", "m").await;
    for _ in 0..3 {
        Relay::new(&world.outbox, bus.clone()).run_until_idle().await.unwrap();
        world.time.advance(SECOND);
    }
    assert_eq!((good.load(Ordering::Relaxed), bad.load(Ordering::Relaxed)), (1, 3));
    assert_eq!(world.outbox.stats().sent, 1);
}

#[tokio::test]
async fn handlers_that_end_well_or_ill_are_no_killers() {
    let world = World::new().await;
    ledger(&world).await;
    let inbox = Inbox::new(&world.outbox, "ledger");
    for _ in 0..20 {
        let error = inbox.handle(&incoming(1, "fail"), book).await.unwrap_err();
        assert_eq!(error.class(), FailureClass::Retryable, "{error}");
    }
}

#[tokio::test]
async fn deliveries_that_never_end_are_refused_over_budget() {
    let world = World::new().await;
    let inbox = Inbox::new(&world.outbox, "ledger");
    let message = incoming(1, "x");
    let runs = Arc::new(AtomicU32::new(0));
    let error = loop {
        let mut call = Box::pin(inbox.handle(&message, |_delivery| {
            runs.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<Result<(), HandlerError>>()
        }));
        let before = runs.load(Ordering::Relaxed);
        tokio::select! {
            result = &mut call => break result.unwrap_err(),
            () = async {
                while runs.load(Ordering::Relaxed) == before {
                    tokio::task::yield_now().await;
                }
            } => {}
        }
    };
    assert_eq!(error.class(), FailureClass::Final, "{error}");
    assert_eq!(runs.load(Ordering::Relaxed), 5);
}

#[cfg(feature = "tower")]
mod layer {
    use std::{
        convert::Infallible,
        task::{Context, Poll},
    };

    use mainstay_outbox::{Delivery, Handled, HandlerError, Inbox, InboxLayer, OutboxError};
    use tower_layer::Layer;
    use tower_service::Service;

    use super::{World, incoming};

    /// Insists on being asked for readiness, and passes none on to its clones.
    #[derive(Debug, Default)]
    struct Strict {
        ready: bool,
    }

    impl Clone for Strict {
        fn clone(&self) -> Self {
            Self::default()
        }
    }

    impl Service<Delivery> for Strict {
        type Response = usize;
        type Error = HandlerError;
        type Future = std::future::Ready<Result<usize, HandlerError>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), HandlerError>> {
            self.ready = true;
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, delivery: Delivery) -> Self::Future {
            assert!(std::mem::take(&mut self.ready), "called without readiness");
            let bytes = delivery.payload().len();
            std::future::ready(match bytes {
                0 => Err(HandlerError::final_("empty")),
                bytes => Ok(bytes),
            })
        }
    }

    #[tokio::test]
    async fn the_layer_hands_over_the_readied_service_and_absorbs_duplicates() {
        let world = World::new().await;
        let layer = InboxLayer::new(Inbox::new(&world.outbox, "layered"));
        let mut service = layer.layer(Strict::default());
        for (message, handled) in [
            (incoming(1, "abc"), Handled::Done(3)),
            (incoming(1, "abc"), Handled::Duplicate),
            (incoming(2, "ab"), Handled::Done(2)),
        ] {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
            assert_eq!(service.call(message).await.unwrap(), handled);
        }
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        service.call(incoming(3, "")).await.unwrap_err();
        assert_eq!(world.count("SELECT COUNT(*) FROM mainstay_inbox WHERE done_at > 0").await, 2);
    }

    /// Cannot fail, so it cannot hold an error of ours.
    #[derive(Clone, Debug)]
    struct Sure;

    impl Service<Delivery> for Sure {
        type Response = ();
        type Error = Infallible;
        type Future = std::future::Ready<Result<(), Infallible>>;

        fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _delivery: Delivery) -> Self::Future {
            std::future::ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn a_service_that_cannot_fail_says_what_a_refusal_becomes() {
        let world = World::new().await;
        let layer = InboxLayer::new(Inbox::new(&world.outbox, "sure"))
            .on_reject(|_error: OutboxError| Ok::<_, Infallible>(Handled::Duplicate));
        let mut service = layer.layer(Sure);
        world.pool.close().await;
        std::future::poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
        assert_eq!(service.call(incoming(1, "x")).await, Ok(Handled::Duplicate));
    }
}
