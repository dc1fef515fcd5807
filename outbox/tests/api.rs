//! What the types promise: handles, futures, settings.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use std::sync::Arc;

use common::{Script, World};
use mainstay_outbox::{
    Bus, HasOutbox, Inbox, Message, Outbox, OutboxConfig, OutboxError, Outgoing, Relay,
    RelayHandle, Router, Tx, key,
};

fn handle<T: Clone + Send + Sync + 'static>() {}
fn sendable<T: Send>(value: T) -> T {
    value
}

#[test]
fn handles_are_cheap_to_share() {
    handle::<Outbox>();
    handle::<Inbox>();
    handle::<Router>();
    handle::<Bus>();
    handle::<Relay<Bus>>();
    handle::<Outgoing>();
}

#[test]
fn what_moves_between_threads_may() {
    fn moves<T: Send + 'static>() {}
    moves::<Tx>();
    moves::<RelayHandle>();
    moves::<OutboxError>();
}

#[tokio::test]
async fn calls_can_be_spawned_with_the_key_made_in_place() {
    let world = World::new().await;
    let shop = Arc::new(world.outbox.clone());
    let call = async move {
        let number = 7;
        shop.outbox()
            .idempotent(key!("submit:{}", number))
            .run(|mut tx| async move {
                tx.enqueue(Message::json("t", &number)?.key(key!("order:{}", number))).await?;
                Ok::<_, OutboxError>(number)
            })
            .await?;
        shop.transaction().run(|_tx| async { Ok::<_, OutboxError>(()) }).await?;
        let effect = shop.idempotent(key!("effect:{}", number));
        effect.run_external(async { Ok::<_, OutboxError>(1) }).await
    };
    assert_eq!(sendable(call).await.unwrap(), 1);
    sendable(Relay::new(&world.outbox, Script::new()).run_until_idle()).await.unwrap();
    drop(sendable(Relay::new(&world.outbox, Script::new()).run()));
}

#[tokio::test]
async fn work_that_cannot_move_between_threads_is_welcome() {
    let world = World::new().await;
    let local = std::rc::Rc::new(5);
    let result = world.outbox.transaction().run(|_tx| async {
        let kept = local.clone();
        tokio::task::yield_now().await;
        Ok::<i32, OutboxError>(*kept)
    });
    assert_eq!(result.await.unwrap(), 5);
}

#[tokio::test]
async fn a_wrapped_body_is_stored_once() {
    let world = World::new().await;
    let body = |_tx: Tx| async {
        let big = [0_u8; 4096];
        tokio::task::yield_now().await;
        Ok::<u8, OutboxError>(big[0])
    };
    let run = world.outbox.transaction().run(body);
    assert!(size_of_val(&run) < 4096 + 512, "{} bytes", size_of_val(&run));
    let run = world.outbox.idempotent("k").run(body);
    assert!(size_of_val(&run) < 4096 + 512, "{} bytes", size_of_val(&run));
}

#[test]
fn settings_survive_a_round_trip_and_a_typo_is_refused() {
    let config = OutboxConfig::default();
    let text = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<OutboxConfig>(&text).unwrap(), config);
    assert!(text.contains(r#""poll_min":"20ms""#), "{text}");
    assert!(serde_json::from_str::<OutboxConfig>(r#"{ "bach": 5 }"#).is_err());
    let own = r#"{ "topics": { "slow": { "max_attempts": 2 } }, "on_dead": "block" }"#;
    let own: OutboxConfig = serde_json::from_str(own).unwrap();
    assert_eq!((own.policy("slow").max_attempts, own.policy("other").max_attempts), (2, 20));
}
